//! `Link`: how a proxy of this home stands with its gateway, and what it was ever lent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::AskError;
use crate::app::home::{Home, HomeError};
use crate::model::{ConnectionId, UserName};
use crate::node;
use crate::vault::Snapshot;

/// How the link of this home's proxy to its gateway stands, as that proxy wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The gateway.
    pub gateway: String,
    /// Whether it was being heard.
    pub connected: bool,
    /// When it was heard last; meaningful while it is not. `None` = never.
    pub heard_at: Option<SystemTime>,
    /// Why it is not heard.
    pub why: Option<String>,
    /// Whether it has said that it lends this home nothing, and nothing since.
    pub denied: bool,
    /// How long copies outlive its silence.
    pub grace: Duration,
    /// How many copies there were.
    pub connections: usize,
}

impl Link {
    /// What was written down last; `None` where nothing was.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn of(home: &Home) -> Result<Option<Self>, HomeError> {
        Ok(state(home)?.map(|state| Self {
            gateway: state.gateway,
            connected: state.connected,
            heard_at: state.heard_at.and_then(|at| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at))),
            why: state.why,
            denied: state.denied,
            grace: Duration::from_secs(state.grace_secs),
            connections: state.connections,
        }))
    }

    /// The connections that a gateway ever lent to this home.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn served(home: &Home) -> Result<BTreeSet<ConnectionId>, HomeError> {
        Ok(state(home)?.map(|state| state.ids()).unwrap_or_default())
    }

    /// Those of `vault` that a proxy of this home uses while its gateway is away and it holds no copies: what a gateway ever lent is none of
    /// them.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn unserved(home: &Home, vault: &Snapshot) -> Result<Snapshot, HomeError> {
        Ok(unserved(vault, Self::served(home)?.iter()))
    }

    /// Whether a gateway ever lent `id` to this home, its person by name or by number: then none of that name in the vault here is used.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn has_served(home: &Home, id: &ConnectionId) -> Result<bool, HomeError> {
        Ok(Self::served(home)?.iter().any(|one| same(one, id)))
    }

    /// How long copies may still be used at `now`; zero once they are too old.
    pub fn left(&self, now: SystemTime) -> Duration {
        if self.denied {
            return Duration::ZERO;
        }
        let silent = self.heard_at.map_or(Duration::MAX, |at| now.duration_since(at).unwrap_or_default());
        if self.connected { self.grace } else { self.grace.saturating_sub(silent) }
    }
}

/// What a gateway that does not answer has lent to this home, for who asks what a request gets meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheard {
    /// The proxy of this home has copies that are still good: exactly those of `lent`.
    pub(in crate::app) copies: bool,
    /// Those that there are copies of; without any what was ever served.
    pub(in crate::app) lent: BTreeSet<ConnectionId>,
    /// It answers, but not with its connections.
    pub(in crate::app) refuses: bool,
}

impl Unheard {
    /// As the proxy of this home wrote it down; only one that is up has copies, and only until they are too old at `now`.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn of(home: &Home, why: &AskError, now: SystemTime) -> Result<Self, HomeError> {
        let good = |link: Link| link.connections > 0 && !link.left(now).is_zero();
        let copies = Link::of(home)?.is_some_and(good) && !home.announced()?.is_empty();
        let state = state(home)?.unwrap_or_default();
        let refuses = matches!(why, AskError::Refused { .. });
        Ok(Self { copies, lent: if copies { state.copies() } else { state.ids() }, refuses })
    }
}

fn state(home: &Home) -> Result<Option<node::State>, HomeError> {
    let path = home.node_file();
    node::read_state(&path).map_err(|cause| HomeError::File { path, cause })
}

/// Those of `vault` that are not among `served`, where a person may go by another name.
pub(super) fn unserved<'a>(vault: &Snapshot, served: impl Iterator<Item = &'a ConnectionId>) -> Snapshot {
    let served: Vec<&ConnectionId> = served.collect();
    let own = vault.iter().filter(|(id, _)| !served.iter().any(|one| same(one, id)));
    Snapshot::gathered(vault.generation(), own.map(|(id, entry)| (id.clone(), Arc::clone(entry))).collect())
}

fn same(one: &ConnectionId, other: &ConnectionId) -> bool {
    one.provider() == other.provider() && UserName::same(one.user(), other.user())
}
