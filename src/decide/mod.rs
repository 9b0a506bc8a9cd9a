//! Rules compiled into one snapshot, and `decide`: pure, the same for the exchange and for `nexus explain`. Floor 2.

mod answers;
mod candidate;
mod decision;
mod log_ins;
mod minting;
mod occupants;
mod own;
mod route;
mod settings;
mod snapshot;

pub(crate) use answers::{Answering, Fitting, preferred};
pub(crate) use decision::{Asking, Decision, Passage};
pub(crate) use minting::Minting;
pub(crate) use occupants::Occupants;
pub(crate) use own::Registered;
pub(crate) use route::{Connect, ConnectRefusal, Named, Reason, Route};
pub(crate) use settings::{LogIns, Mints, OnCanary, Settings, Unmatched, Unregistered};
pub(crate) use snapshot::Rules;
