//! Requests that wait for a person: how many, and until when.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::list::Attention;
use crate::model::AgentName;

/// How many requests of each agent are held.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<AgentName, usize>>);

impl Held {
    /// How many in all.
    pub(super) fn count(&self) -> usize {
        self.lock().values().sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits; dropping it frees its place.
#[derive(Debug)]
pub(crate) struct Holding {
    attention: Arc<Attention>,
    agent: AgentName,
    changes: watch::Receiver<u64>,
    until: Instant,
}

impl Attention {
    /// A place for one request of `agent`; `None` where requests are not held, or as many are as may be.
    pub(crate) fn hold(self: &Arc<Self>, agent: &AgentName) -> Option<Holding> {
        let settings = self.settings.load();
        if settings.hold.is_zero() {
            return None;
        }
        let mut held = self.held.lock();
        let all: usize = held.values().sum();
        let theirs = held.get(agent).copied().unwrap_or_default();
        if all >= settings.hold_limit || theirs >= settings.agent_hold_limit {
            return None;
        }
        *held.entry(agent.clone()).or_default() += 1;
        drop(held);
        self.stir();
        let (changes, until) = (self.changes.subscribe(), Instant::now() + settings.hold);
        Some(Holding { attention: Arc::clone(self), agent: agent.clone(), changes, until })
    }

    /// How many requests are held.
    pub(crate) fn held(&self) -> usize {
        self.held.count()
    }
}

impl Holding {
    /// Waits for the next change of the vault since the last call, or since the place was given; false once the time is up.
    pub(crate) async fn changed(&mut self) -> bool {
        matches!(timeout_at(self.until, self.changes.changed()).await, Ok(Ok(())))
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.attention.held.lock().entry(self.agent.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
