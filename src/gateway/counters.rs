//! What has been counted since the start, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use http::StatusCode;

/// A request that is not answered yet. Its caller may leave before it is.
pub(super) struct UnderWay<'a>(&'a Counters);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers by status, and problems by their word; both sets are ours and small.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    answers: DashMap<u16, u64>,
    problems: DashMap<&'static str, u64>,
    under_way: AtomicU64,
}

impl Counters {
    /// A request begins, and ends where what this gives is dropped.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// One was answered, with a problem perhaps.
    pub(super) fn answered(&self, status: StatusCode, problem: Option<&'static str>) {
        *self.answers.entry(status.as_u16()).or_default() += 1;
        if let Some(code) = problem {
            *self.problems.entry(code).or_default() += 1;
        }
    }

    /// Requests that are not answered yet.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How many answers each status had, in order.
    pub(super) fn answers(&self) -> Vec<(u16, u64)> {
        let mut all: Vec<_> = self.answers.iter().map(|entry| (*entry.key(), *entry.value())).collect();
        all.sort_unstable();
        all
    }

    /// How many problems there were of each word, in order.
    pub(super) fn problems(&self) -> Vec<(&'static str, u64)> {
        let mut all: Vec<_> = self.problems.iter().map(|entry| (*entry.key(), *entry.value())).collect();
        all.sort_unstable();
        all
    }
}
