//! The control plane: one HTTP server for who registers, watches and fetches connections. Floor 3.
//!
//! [`access`] says who asks, [`routes`] what can be asked, one file for each matter; a handler has no way around the first.

mod access;
mod adopt;
mod begin;
mod context;
mod counters;
mod crowd;
mod describe;
mod device;
mod flow;
mod health;
mod input;
mod insight;
mod keep;
mod keys;
mod level;
mod metrics;
mod openapi;
mod origin;
mod page;
mod paging;
mod paste;
mod pending;
mod people;
mod problem;
mod profile;
mod return_url;
mod roster;
mod routes;
mod sampling;
mod server;
mod session;
mod settings;
mod shape;
mod shown;
mod survey;
mod tried;
mod voice;
mod web;
mod when;

pub(crate) use adopt::ProviderFiles;
pub(crate) use context::{Gateway, Ports};
pub(crate) use insight::{Inquiry, Insight, RulesNow, Unexplained};
pub use keep::{Ended, KeepError, can_end, can_keep, end, end_here, keep};
pub use keys::{Error as KeysError, Key, Kind as KeyKind};
pub(crate) use keys::{Keys, OwnKey, read as read_keys, write as write_keys};
pub(crate) use pending::Pending;
pub use pending::PendingError;
pub use return_url::{ReturnUrl, ReturnUrlError};
pub(crate) use roster::{Cause, Change, Door, Roster};
pub(crate) use server::Server;
pub(crate) use session::Lasting;
pub(crate) use settings::Settings;
pub(crate) use tried::{NotTried, Tried, TryOut};
