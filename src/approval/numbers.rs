//! What became of questions since the start, for whoever counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::item::State;

/// One count for each end.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    asked: AtomicU64,
    allowed: AtomicU64,
    denied: AtomicU64,
    timed_out: AtomicU64,
    left: AtomicU64,
    by_grant: AtomicU64,
}

impl Numbers {
    pub(super) fn asked(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn by_grant(&self) {
        self.by_grant.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, state: State) {
        let count = match state {
            State::Allowed => &self.allowed,
            State::Denied => &self.denied,
            State::TimedOut => &self.timed_out,
            State::Left => &self.left,
            State::Waiting | State::Used => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Each count by its word.
    pub(crate) fn all(&self) -> [(&'static str, u64); 6] {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        [
            ("asked", count(&self.asked)),
            ("allowed", count(&self.allowed)),
            ("denied", count(&self.denied)),
            ("timed_out", count(&self.timed_out)),
            ("left", count(&self.left)),
            ("by_grant", count(&self.by_grant)),
        ]
    }
}
