//! Identities of callers: who they are, what they may use, how their tokens are recognised. Floor 1.

mod apps;
mod current;
mod file;
mod frozen;
mod identity;
mod lease;
mod limits;
mod placeholder;
mod registry;
mod sight;
mod token;
mod variables;

pub(crate) use apps::AppPlaceholders;
pub(crate) use current::Agents;
pub use file::{Error, Registered, read, write};
pub use frozen::{Frozen, read_frozen, write_frozen};
pub(crate) use identity::Agent;
pub(crate) use lease::{Bounds, Lease, LeaseError, Wanted};
pub use limits::Limits;
pub use placeholder::PlaceholderKey;
pub(crate) use placeholder::{TAIL, is_for};
pub(crate) use registry::{Guesses, Registry};
pub(crate) use sight::{Runs, tails};
pub use token::Token;
pub(crate) use token::{hash, hex, unhex};
pub use variables::{ADDED_ROOTS, BUNDLES};

pub use crate::wording::Mistake;
