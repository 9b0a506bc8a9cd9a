//! `Agents`: the registry in force, and word of its changes, for streams that outlive the request that opened them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::frozen::Frozen;
use super::identity::Agent;
use super::lease::{Bounds, LeaseError, Leases, Wanted};
use super::registry::Registry;
use super::token::{LEASE_PREFIX, Token};
use crate::model::AgentName;

/// The registry in force.
#[derive(Debug)]
pub(crate) struct Agents {
    current: ArcSwap<Registry>,
    /// Those that get nothing, of the file and not yet in it.
    frozen: ArcSwap<Vec<Frozen>>,
    unsaved: Mutex<Vec<Frozen>>,
    leases: Leases,
    changed: watch::Sender<()>,
}

impl Agents {
    /// With `registry` in force.
    pub(crate) fn new(registry: Registry, bounds: Bounds) -> Self {
        Self {
            current: ArcSwap::from_pointee(registry),
            frozen: ArcSwap::default(),
            unsaved: Mutex::default(),
            leases: Leases::new(bounds),
            changed: watch::Sender::new(()),
        }
    }

    /// The registry as it is now.
    pub(crate) fn load(&self) -> Guard<Arc<Registry>> {
        self.current.load()
    }

    /// As [`Agents::load`], to be kept.
    pub(crate) fn load_full(&self) -> Arc<Registry> {
        self.current.load_full()
    }

    /// Puts `registry` in force, and says so.
    pub(crate) fn store(&self, registry: Arc<Registry>) {
        self.current.store(registry);
        self.changed.send_replace(());
    }

    /// The agent whose token this is, or the lease.
    pub(crate) fn by_token(&self, token: &str, now: SystemTime) -> Option<Arc<Agent>> {
        if !token.starts_with(LEASE_PREFIX) {
            return self.current.load().by_token(token, now);
        }
        self.leases.by_token(token).filter(|child| self.lives(child, now))
    }

    /// Whether `agent` is still the one in force: same name, same token, same limits. A lease is as long as its agent is.
    pub(crate) fn holds(&self, agent: &Arc<Agent>) -> bool {
        let registry = self.current.load();
        match agent.lease() {
            Some(lease) => !lease.ended() && registry.holds(&lease.parent),
            None => registry.holds(agent),
        }
    }

    fn lives(&self, child: &Arc<Agent>, now: SystemTime) -> bool {
        !child.expired(now) && self.holds(child)
    }

    /// Makes a lease of `parent`: its token, and who shows it.
    ///
    /// # Errors
    /// As [`LeaseError`] says.
    pub(crate) fn lend(&self, parent: &Arc<Agent>, wanted: Wanted, now: SystemTime) -> Result<(Token, Arc<Agent>), LeaseError> {
        self.leases.mint(parent, wanted, now, |child| self.lives(child, now))
    }

    /// The lease `id`, while it counts.
    pub(crate) fn lease(&self, id: &str, now: SystemTime) -> Option<Arc<Agent>> {
        self.leases.by_id(id).filter(|child| self.lives(child, now))
    }

    /// The leases of `parent` that count.
    pub(crate) fn leases_of(&self, parent: &AgentName, now: SystemTime) -> Vec<Arc<Agent>> {
        self.leases.of(parent).into_iter().filter(|child| self.lives(child, now)).collect()
    }

    /// Takes the lease `id` back; what it has open ends.
    pub(crate) fn end_lease(&self, id: &str) {
        // Beside the one in hand nobody has it but streams.
        if self.leases.end(id).is_some_and(|child| Arc::strong_count(&child) > 1) {
            self.changed.send_replace(());
        }
    }

    /// Forgets leases that count no more.
    pub(crate) fn sweep(&self, now: SystemTime) {
        self.leases.sweep(|child| self.lives(child, now));
    }

    /// Whether the time of any of them will be up.
    pub(crate) fn any_ends(&self) -> bool {
        !self.leases.is_empty() || self.current.load().any_ends()
    }

    /// Whether the agent called `name` gets nothing.
    pub(crate) fn is_frozen(&self, name: &AgentName) -> bool {
        self.frozen.load().iter().any(|frozen| frozen.agent == *name)
    }

    /// Those that get nothing.
    pub(crate) fn frozen(&self) -> Arc<Vec<Frozen>> {
        self.frozen.load_full()
    }

    /// From now on this agent gets nothing; false = so it was already. It is for whoever hears of changes to write it down.
    pub(crate) fn freeze(&self, frozen: Frozen) -> bool {
        let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_frozen(&frozen.agent) {
            return false;
        }
        self.frozen.store(Arc::new([&**self.frozen.load(), std::slice::from_ref(&frozen)].concat()));
        unsaved.push(frozen);
        drop(unsaved);
        self.changed.send_replace(());
        true
    }

    /// Those that are not written down yet.
    pub(crate) fn unsaved(&self) -> Vec<Frozen> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `written` is in the file now.
    pub(crate) fn saved(&self, written: &[Frozen]) {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| !written.contains(one));
    }

    /// Takes the file's, beside those that are not in it yet.
    pub(crate) fn store_frozen(&self, mut file: Vec<Frozen>) {
        let unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        let new = |one: &&Frozen| file.iter().all(|other| other.agent != one.agent);
        let more: Vec<Frozen> = unsaved.iter().filter(new).cloned().collect();
        file.extend(more);
        self.frozen.store(Arc::new(file));
        drop(unsaved);
        self.changed.send_replace(());
    }

    /// Hears of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn i9_who_is_frozen_stays_so_until_the_file_that_had_it_no_longer_has() {
        let agents = Agents::new(Registry::default(), Bounds::default());
        let name: AgentName = "ci".parse().expect("a name");
        let frozen = Frozen { agent: name.clone(), since: SystemTime::UNIX_EPOCH, why: String::new() };
        assert!(!agents.is_frozen(&name) && agents.freeze(frozen.clone()) && !agents.freeze(frozen.clone()));
        agents.store_frozen(Vec::new());
        assert!(agents.is_frozen(&name), "the file was read before it was written");
        agents.saved(&agents.unsaved());
        agents.store_frozen(vec![frozen]);
        assert!(agents.is_frozen(&name) && agents.unsaved().is_empty());
        agents.store_frozen(Vec::new());
        assert!(!agents.is_frozen(&name));
    }
}
