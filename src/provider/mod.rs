//! The catalogue as data: which hosts belong to which provider, and how a credential goes on a request there. Floor 1.

mod catalogue;
mod parse;
mod pattern;
mod rule;
mod strategy;

pub use catalogue::Catalogue;
pub use parse::Error;
pub use pattern::{HostPattern, PathPattern};
pub use rule::{ClientAuthentication, InjectRule, MethodPath, OAuth2, Placeholder, Provider, ReplayRule, Slot};
pub use strategy::{Placement, Prepared, Template};
