//! `Item`: one need on the list, how often and when it was asked for, and what has become of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::need::{Need, Shown, State, stamp};
use crate::model::AgentName;

/// How long an item that nobody asks for stays open, and how long one that is settled can be asked about.
pub(super) const LAPSE: Duration = Duration::from_secs(60 * 60);
/// An item that is opened again sooner is not told of again.
pub(super) const QUIET: Duration = Duration::from_secs(60);

/// One need, and how often and when it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: Arc<str>,
    /// The node that refused; `None` = this proxy.
    pub(super) node: Option<AgentName>,
    pub(super) need: Arc<Need>,
    pub(super) state: State,
    pub(super) first_seen: SystemTime,
    pub(super) last_seen: SystemTime,
    pub(super) settled_at: Option<SystemTime>,
    pub(super) count: u64,
    /// When it was told of; `None` = not at all.
    pub(super) told: Option<SystemTime>,
    /// Whoever was told that it is open has not been told that it is settled.
    pub(super) owed: bool,
    /// How often it was opened again.
    pub(super) reopened: u32,
}

impl Item {
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn settle(&mut self, state: State, now: SystemTime) {
        (self.state, self.settled_at) = (state, Some(now));
    }

    /// Whether it was settled so long ago that nobody asks for it any more.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.settled_at.is_some_and(|then| long_ago(then, now))
    }

    /// Opens one that was settled.
    pub(super) fn open_again(&mut self, need: Arc<Need>) {
        (self.state, self.settled_at, self.need) = (State::Open, None, need);
        self.reopened = self.reopened.saturating_add(1);
    }

    /// How long nobody is told of it again. Advice that comes and goes may be about what one caller may not see: each time twice as long.
    fn quiet(&self) -> Duration {
        let doublings = if self.need.reason.is_advice() { self.reopened.min(6) } else { 0 };
        QUIET * (1 << doublings)
    }

    /// Whether it is open and to be told of once more: what it was told of last was its end, and not just now.
    pub(super) fn is_due(&mut self, now: SystemTime) -> bool {
        let quiet = self.told.is_none_or(|told| now.duration_since(told).is_ok_and(|ago| ago < self.quiet()));
        let due = self.is_open() && !self.owed && !quiet;
        if due {
            (self.told, self.owed) = (Some(now), true);
        }
        due
    }

    /// Which goes first where there is no room: what is settled, then what nobody has asked for in the longest time.
    pub(super) fn rank(&self) -> (bool, SystemTime) {
        (self.is_open(), self.last_seen)
    }

    /// What it is called among the items of all nodes: no node can take the name of another's.
    pub(super) fn name(&self) -> String {
        match &self.node {
            Some(node) => format!("{}@{node}", self.id),
            None => self.id.to_string(),
        }
    }

    pub(super) fn shown(&self) -> Shown {
        let need = &*self.need;
        let lapses_at = self.is_open().then(|| stamp(self.last_seen + LAPSE));
        Shown {
            id: self.name(),
            status: self.state,
            category: "auth_required",
            urgency: need.reason.urgency(),
            title: need.words.title.clone(),
            content: need.words.content.clone(),
            command: need.words.command.clone(),
            reason: need.reason.word(),
            provider: need.connection.provider().to_string(),
            connection: need.connection.to_string(),
            node: self.node.as_ref().map(ToString::to_string),
            agent: need.agent.to_string(),
            user: need.user.as_ref().map(ToString::to_string),
            first_seen: stamp(self.first_seen),
            last_seen: stamp(self.last_seen),
            count: self.count,
            lapses_at,
        }
    }
}

/// Whether nobody asks any more about what was `then`.
pub(super) fn long_ago(then: SystemTime, now: SystemTime) -> bool {
    now.duration_since(then).is_ok_and(|ago| ago >= LAPSE)
}
