//! A proxy that takes its connections from a gateway: the link to it, the copies in memory, their renewal by it. Floor 3.
//!
//! Promises: copies live in memory only; they are used for at most the grace after the gateway was heard last; a connection that the
//! gateway ever served is never taken from this machine's vault instead; nothing here can spend a refresh token.

mod asking;
mod door;
mod error;
mod held;
mod link;
mod pulse;
mod served;
mod settings;

pub(crate) use door::{Door, refused};
pub(crate) use error::Error;
pub(crate) use held::Held;
pub(crate) use link::{keep_up, look_once, told};
pub(crate) use served::{State, read_state};
pub use settings::UrlError;
pub(crate) use settings::{Settings, Url};
