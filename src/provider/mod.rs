//! The catalogue as data: which hosts belong to which provider, and how a credential goes on a request there. Floor 1.

mod about_token;
mod action;
mod below;
mod body;
mod builtin;
mod catalogue;
mod expired;
mod grant;
mod mint;
mod parse;
mod path;
mod pattern;
mod prepared;
mod renewal;
mod rule;
mod signer;
mod slot;
mod strategy;
mod takeover;
mod template;
mod token_response;
mod whoami;

pub use about_token::{AboutToken, Good, Matter};
pub use action::{Action, ActionError};
pub use body::{BodyError, Pointer, slots_in_body, strip_body};
pub use catalogue::Catalogue;
pub use expired::{Judgement, LOOKED_AT, Signal, Signals};
pub use grant::{Grant, GrantKind, Jwt, JwtAlgorithm, KeyForm, ROLE_FIELDS, TokenMethod};
pub use mint::{Mint, Minted};
pub use parse::{Error, Mistake, parse, text};
pub use path::{PathError, PathPattern, is_readable, normalised};
pub use pattern::{BindError, HostPattern, PatternError};
pub use prepared::{Prepared, prepare};
pub use renewal::Renewal;
pub use rule::{
    ClientAuthentication, Derived, Field, HelperFile, InjectRule, MethodPath, OAuth2, Placeholder, Provider, ReplayRule, Slot,
    TokenBody,
};
pub use signer::Signer;
pub(crate) use signer::{ChunkError, Plan, Ready, Rechunk, put_signature_on};
pub(crate) use slot::same_field;
pub use slot::{SlotError, strip, strip_target};
pub use strategy::{Fields, InjectError, Placement};
pub use takeover::Takeover;
pub use template::{Template, TemplateError};
pub use token_response::{Endpoint, Made, Member, Occasion, Shape, TokenResponse};
pub use whoami::{FixedBody, WhoAmI};
