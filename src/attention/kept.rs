//! The list in a file, so that a restart forgets nothing that somebody asks about. No secret is in it.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::item::Item;
use super::list::{Attention, MOST};
use super::need::{Need, Reason, Shown, State, Words};
use super::nodes::MOST_OF_NODES;
use crate::disk;

/// Room for as many items as there can be, each with the longest names.
const MAX_LEN: u64 = 8 * 1024 * 1024;

/// What the file says.
#[derive(Serialize, Deserialize)]
struct Kept {
    items: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    node: Option<String>,
    agent: String,
    user: Option<String>,
    connection: String,
    named: bool,
    reason: Reason,
    registered_at: Option<SystemTime>,
    title: String,
    content: String,
    command: String,
    status: State,
    first_seen: SystemTime,
    last_seen: SystemTime,
    settled_at: Option<SystemTime>,
    count: u64,
    told: Option<SystemTime>,
    #[serde(default)]
    owed: bool,
}

impl Line {
    fn of(item: &Item) -> Self {
        let need = &*item.need;
        let Words { title, content, command } = need.words.clone();
        Self {
            id: item.id.to_string(),
            node: item.node.as_ref().map(ToString::to_string),
            agent: need.agent.to_string(),
            user: need.user.as_ref().map(ToString::to_string),
            connection: need.connection.to_string(),
            named: need.named,
            reason: need.reason,
            registered_at: need.registered_at,
            title,
            content,
            command,
            status: item.state,
            first_seen: item.first_seen,
            last_seen: item.last_seen,
            settled_at: item.settled_at,
            count: item.count,
            told: item.told,
            owed: item.owed,
        }
    }

    /// `None` where a name in it is none, or it is over.
    fn read(self, now: SystemTime) -> Option<Item> {
        let (title, content, command) = (self.title, self.content, self.command);
        let need = Need {
            agent: self.agent.parse().ok()?,
            user: self.user.map(|user| user.parse()).transpose().ok()?,
            connection: self.connection.parse().ok()?,
            named: self.named,
            reason: self.reason,
            registered_at: self.registered_at,
            words: Words { title, content, command },
        };
        let item = Item {
            id: self.id.into(),
            node: self.node.map(|node| node.parse()).transpose().ok()?,
            need: Arc::new(need),
            state: self.status,
            first_seen: self.first_seen,
            // What a clock that was wrong wrote would never lapse.
            last_seen: self.last_seen.min(now),
            settled_at: self.settled_at.map(|at| at.min(now)),
            count: self.count,
            told: self.told.map(|at| at.min(now)),
            owed: self.owed,
            reopened: 0,
        };
        Some(item).filter(|item| !item.is_over(now))
    }
}

impl Attention {
    /// Writes the list to `file`, where `nexus attention` of a machine without a gateway reads it too.
    ///
    /// # Errors
    /// As [`disk::Error`] says.
    pub(crate) fn write(&self, file: &Path) -> Result<(), disk::Error> {
        let items = self.own().iter().chain(&self.nodes.all()).map(Line::of).collect();
        disk::write_atomic(file, &serde_json::to_vec(&Kept { items }).unwrap_or_default(), disk::PRIVATE)
    }

    /// Takes in what `file` says, beside what there is already.
    ///
    /// # Errors
    /// As [`disk::Error`] says.
    pub(crate) fn take_up(&self, file: &Path, now: SystemTime) -> Result<(), disk::Error> {
        let (theirs, own): (Vec<Item>, Vec<Item>) = read(file, now)?.into_iter().partition(|item| item.node.is_some());
        self.take_up_own(own.into_iter().take(MOST).collect());
        self.nodes.take_up(theirs.into_iter().take(MOST_OF_NODES).collect(), now);
        self.stir();
        self.has_news();
        Ok(())
    }
}

/// The list as it was written to `file`, for people.
///
/// # Errors
/// As [`disk::Error`] says.
pub(crate) fn read_list(file: &Path, now: SystemTime) -> Result<Vec<Shown>, disk::Error> {
    let mut items = read(file, now)?;
    items.sort_by_key(|item| std::cmp::Reverse(item.rank()));
    Ok(items.iter().map(Item::shown).collect())
}

/// A file that is not understood counts as none, with a word to the log: all that it held is that somebody may ask once more.
fn read(file: &Path, now: SystemTime) -> Result<Vec<Item>, disk::Error> {
    let Some(bytes) = disk::read_private(file, MAX_LEN)? else { return Ok(Vec::new()) };
    let read: Result<Kept, _> = serde_json::from_slice(&bytes);
    let kept = read.inspect_err(|error| tracing::warn!(%error, file = %file.display(), "what needed a person is forgotten"));
    Ok(kept.map(|kept| kept.items.into_iter().filter_map(|line| line.read(now)).collect()).unwrap_or_default())
}
