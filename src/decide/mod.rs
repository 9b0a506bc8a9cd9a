//! Rules compiled into one snapshot, and `decide`: pure, the same for the exchange and for `nexus explain`. Floor 2.

mod answers;
mod occupants;
mod snapshot;

pub(crate) use answers::Answering;
pub(crate) use occupants::Occupants;
pub(crate) use snapshot::{
    Connect, ConnectRefusal, Named, Reason, Registered, Route, Rules, Settings, Unmatched, Unregistered,
};
