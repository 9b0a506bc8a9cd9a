//! The words every floor speaks: hosts, targets, ids, credentials, secrets. No I/O, no async.

mod credential;
mod host;
mod id;
mod secret;
mod target;

pub use credential::Credential;
pub(crate) use host::{Host, HostError};
pub use id::{AgentName, ConnectionId, IdError, ProviderId, UserName};
pub use secret::Secret;
pub(crate) use target::{Authority, AuthorityError, Scheme, Target};
