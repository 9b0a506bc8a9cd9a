//! The control plane: one HTTP server for who registers, watches and fetches connections. Floor 3.
//!
//! [`access`] says who asks, [`routes`] what can be asked, one file for each matter; a handler has no way around the first.

mod access;
mod context;
mod counters;
mod health;
mod input;
mod keys;
mod openapi;
mod origin;
mod problem;
mod routes;
mod server;
mod settings;

pub(crate) use context::{Gateway, Ports};
pub use keys::{Error as KeysError, Key, Kind as KeyKind};
pub(crate) use keys::{Keys, OwnKey, read as read_keys, write as write_keys};
pub(crate) use server::Server;
pub(crate) use settings::Settings;
