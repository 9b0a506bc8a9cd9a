//! `node.json`: which connections the gateway ever served, and how the link stands, for `nexus status`. No secret is in it.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::model::ConnectionId;

/// Room for the names of all connections that a gateway is good for.
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The gateway.
    pub(crate) gateway: String,
    /// Whether it was being heard when this was written.
    pub(crate) connected: bool,
    /// When it was heard last, in seconds since 1970; meaningful while not connected.
    pub(crate) heard_at: Option<u64>,
    /// Why it is not heard.
    pub(crate) why: Option<String>,
    /// Whether it has said that it lends this home nothing, and nothing since.
    pub(crate) denied: bool,
    /// How long copies outlive its silence.
    pub(crate) grace_secs: u64,
    /// How many copies there were.
    pub(crate) connections: usize,
    /// Which they were.
    pub(crate) lent: BTreeSet<String>,
    /// Every connection that it ever served, under whatever address: this machine's vault is no substitute for them.
    pub(crate) served: BTreeSet<String>,
}

impl State {
    /// The names among `served` that can be read.
    pub(crate) fn ids(&self) -> BTreeSet<ConnectionId> {
        read_ids(&self.served)
    }

    /// The names among `lent` that can be read.
    pub(crate) fn copies(&self) -> BTreeSet<ConnectionId> {
        read_ids(&self.lent)
    }
}

fn read_ids(names: &BTreeSet<String>) -> BTreeSet<ConnectionId> {
    names.iter().filter_map(|id| id.parse().ok()).collect()
}

/// What `file` says; `None` where there is none.
///
/// # Errors
/// As [`disk::Error`] says. One that is not understood counts as none, with a word to the log.
pub(crate) fn read_state(file: &Path) -> Result<Option<State>, disk::Error> {
    let Some(bytes) = disk::read_private(file, MAX_LEN)? else { return Ok(None) };
    let read = serde_json::from_slice(&bytes);
    Ok(read
        .inspect_err(|error| tracing::warn!(%error, file = %file.display(), "what the gateway served is not remembered"))
        .ok())
}

pub(super) fn write(file: &Path, state: &State) -> Result<(), disk::Error> {
    let text = serde_json::to_vec(state).unwrap_or_default();
    disk::write_atomic(file, &text, disk::PRIVATE)
}
