//! The words every floor speaks: hosts, targets, paths, ids, credentials, secrets, members of
//! JSON objects, text with holes, how sure a rule is. No I/O, no async.

mod amount;
pub(crate) mod braces;
mod charset;
mod credential;
mod fit;
mod glob;
mod host;
mod host_term;
mod id;
mod map;
mod members;
mod overriding;
mod path;
mod secret;
mod target;

pub use amount::{AmountError, Rate, Volume, Wait};
pub(crate) use charset::Charset;
pub use credential::Credential;
pub(crate) use credential::is_field_name;
pub use fit::Preset;
pub(crate) use fit::{Fit, Inside};
pub(crate) use glob::Parts;
pub use glob::{Glob, GlobError, Part};
pub use host::{Host, HostError};
pub use host_term::{HostTerm, HostTermError};
pub use id::{AgentName, ConnectionId, GatewayId, IdError, ProviderId, UserName};
pub use map::Map;
pub(crate) use members::Members;
pub(crate) use overriding::Methods;
pub(crate) use path::without_format;
pub use path::{PathError, Readings, has_one_shape, is_readable, normalised, readings};
pub use secret::Secret;
pub(crate) use secret::to_be_sealed;
pub use target::{Authority, AuthorityError, Scheme, Target};
