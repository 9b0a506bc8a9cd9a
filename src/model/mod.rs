//! The words every floor speaks: hosts, targets, ids, credentials, secrets, members of JSON objects. No I/O, no async.

mod credential;
mod host;
mod id;
mod map;
mod members;
mod secret;
mod target;

pub use credential::Credential;
pub use host::{Host, HostError};
pub use id::{AgentName, ConnectionId, IdError, ProviderId, UserName};
pub use map::Map;
pub(crate) use members::Members;
pub use secret::Secret;
pub use target::{Authority, AuthorityError, Scheme, Target};
