//! `Trials`: who may find out whether a service still refuses a credential that nothing renews.

use std::sync::{Mutex, PoisonError};

/// More agents than this have none in one span.
const MOST: usize = 16;

/// Each agent has one trial in every span: one that goes on asking for what it may not see uses up its own, and nobody else's.
#[derive(Debug, Default)]
pub(super) struct Trials(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// When the first request was refused.
    since: u64,
    /// By whom and when they were taken last.
    by: Vec<(Box<str>, u64)>,
}

impl Trials {
    /// A request that was sent at `mark` was refused, and none before it.
    pub(super) fn begin(&self, mark: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Taken { since: mark, by: Vec::new() };
    }

    /// Whether `agent` may try at `now`, a `span` after its last trial and after the first refusal.
    pub(super) fn take(&self, agent: &str, now: u64, span: u64) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now < taken.since.saturating_add(span) {
            return false;
        }
        taken.by.retain(|(_, at)| now < at.saturating_add(span));
        let may = taken.by.len() < MOST && taken.by.iter().all(|(by, _)| **by != *agent);
        if may {
            taken.by.push((agent.into(), now));
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_each_agent_has_one_in_every_span_and_so_many_of_them() {
        let trials = Trials::default();
        trials.begin(100);
        let take = |agent: &str, now| trials.take(agent, now, 60);
        assert!(!take("a", 159) && take("a", 160) && !take("a", 219), "one in a span");
        assert!(take("b", 161) && !take("b", 162), "and another one of another agent");
        assert!(take("a", 220) && take("b", 221));
        assert_eq!((0..100).filter(|number| take(&number.to_string(), 222)).count(), MOST - 2);
        assert!(take("c", 282), "the others are over");
        trials.begin(300);
        assert!(!take("d", 359) && take("d", 360));
    }
}
