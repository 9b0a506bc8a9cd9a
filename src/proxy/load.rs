//! What each agent has under way: connections and requests, counted and bounded, so that one cannot starve another (I7).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

/// The counters of one agent.
#[derive(Debug, Default)]
pub(crate) struct Load {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Of request bodies that are held.
    bytes: AtomicUsize,
}

/// Room that an agent's body takes while it is held; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Room {
    load: Arc<Load>,
    bytes: usize,
    limit: usize,
}

impl Room {
    /// Takes `more` bytes, unless the agent would have more than its limit.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let before = self.load.bytes.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        before.saturating_add(more) <= self.limit
    }

    /// Takes `bytes` in all, unless the agent would have more than its limit.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.grow(more),
            None => {
                self.load.bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
                self.bytes = bytes;
                true
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The counters of all agents.
#[derive(Debug, Default)]
pub(crate) struct Loads(DashMap<Arc<str>, Arc<Load>>);

/// One connection or request that counts; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Counted {
    load: Arc<Load>,
    which: Which,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Connection,
    Request,
}

impl Loads {
    /// The counters of `agent`.
    pub(crate) fn of(&self, agent: &Arc<str>) -> Arc<Load> {
        if let Some(load) = self.0.get(agent) {
            return Arc::clone(&load);
        }
        Arc::clone(&self.0.entry(Arc::clone(agent)).or_default())
    }

    /// Forgets agents that have nothing under way.
    pub(crate) fn sweep(&self) {
        self.0.retain(|_agent, load| Arc::strong_count(load) > 1);
    }
}

impl Load {
    /// Room for a body that grows; all of the agent's together take at most `limit` bytes.
    pub(crate) fn room(self: &Arc<Self>, limit: usize) -> Room {
        Room { load: Arc::clone(self), bytes: 0, limit }
    }

    /// Counts a connection, unless the agent has `limit` already.
    pub(crate) fn connection(self: &Arc<Self>, limit: usize) -> Option<Counted> {
        self.count(Which::Connection, limit)
    }

    /// Counts a request, unless the agent has `limit` under way.
    pub(crate) fn request(self: &Arc<Self>, limit: usize) -> Option<Counted> {
        self.count(Which::Request, limit)
    }

    fn count(self: &Arc<Self>, which: Which, limit: usize) -> Option<Counted> {
        let before = self.counter(which).fetch_add(1, Ordering::Relaxed);
        let counted = Counted { load: Arc::clone(self), which };
        (before < limit).then_some(counted)
    }

    fn counter(&self, which: Which) -> &AtomicUsize {
        match which {
            Which::Connection => &self.connections,
            Which::Request => &self.requests,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.load.counter(self.which).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_an_agent_has_its_limit_and_no_more() {
        let loads = Loads::default();
        let (greedy, other): (Arc<str>, Arc<str>) = ("greedy".into(), "other".into());
        let first = loads.of(&greedy).request(1).expect("room for one");
        assert!(loads.of(&greedy).request(1).is_none());
        assert!(loads.of(&other).request(1).is_some());
        drop(first);
        assert!(loads.of(&greedy).request(1).is_some());
        let room = |agent| loads.of(agent).room(10);
        let mut large = room(&greedy);
        assert!(large.grow(6) && !room(&greedy).grow(5) && room(&other).grow(10));
        assert!(room(&greedy).grow(4) && !large.grow(5));
        assert!(large.hold(1) && room(&greedy).hold(9) && !room(&greedy).hold(10) && large.hold(10));
        drop(large);
        assert!(room(&greedy).grow(10));
    }

    #[test]
    fn i7_an_agent_is_forgotten_once_nothing_of_it_is_under_way() {
        let loads = Loads::default();
        let (busy, gone): (Arc<str>, Arc<str>) = ("busy".into(), "gone".into());
        let first = loads.of(&busy).request(1).expect("room for one");
        drop(loads.of(&gone).connection(1));
        loads.sweep();
        assert!(loads.0.contains_key(&busy) && !loads.0.contains_key(&gone));
        assert!(loads.of(&busy).request(1).is_none(), "what is under way still counts");
        drop(first);
        loads.sweep();
        assert!(loads.0.is_empty());
    }
}
