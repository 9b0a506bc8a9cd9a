//! The catalogue as data: which hosts belong to which provider, and how a credential goes on a request there. Floor 1.

mod builtin;
mod catalogue;
mod grant;
mod parse;
mod path;
mod pattern;
mod presented;
mod rule;
mod slot;
mod strategy;
mod takeover;
mod template;
mod whoami;

pub use catalogue::Catalogue;
pub use grant::{Grant, GrantKind, Jwt, JwtAlgorithm, KeyForm, ROLE_FIELDS, Renewal, TokenMethod};
pub use parse::{Error, Mistake, parse};
pub use path::{PathError, PathPattern, is_readable, normalised};
pub use pattern::{BindError, HostPattern, PatternError};
pub use presented::presented;
pub use rule::{
    ClientAuthentication, Derived, Field, InjectRule, MethodPath, OAuth2, Placeholder, Provider, ReplayRule, Slot, TokenBody,
};
pub(crate) use slot::same_field;
pub use slot::{SlotError, strip, strip_target};
pub use strategy::{Fields, InjectError, Placement, Prepared, prepare};
pub use takeover::Takeover;
pub use template::{Template, TemplateError};
pub use whoami::WhoAmI;
