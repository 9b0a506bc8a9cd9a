//! `Tally`: how renewals ended since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Why;
use super::flight::Outcome;

/// Counts, each of which only grows.
#[derive(Debug, Default)]
pub(super) struct Tally {
    renewed: AtomicU64,
    refused: AtomicU64,
    kept: AtomicU64,
}

impl Tally {
    /// One more has ended so.
    pub(super) fn count(&self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Fresh(_) => &self.renewed,
            Outcome::Keep(Why::Refused(_)) => &self.refused,
            Outcome::Keep(_) => &self.kept,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Those that brought another credential, those that were refused for good, and those that left the old one there.
    pub(super) fn read(&self) -> [(&'static str, u64); 3] {
        [("renewed", &self.renewed), ("refused", &self.refused), ("kept", &self.kept)]
            .map(|(word, counter)| (word, counter.load(Ordering::Relaxed)))
    }
}
