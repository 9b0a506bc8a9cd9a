//! Captures under way. What an agent may have waiting is looked at before the service hears of it, for what nobody could keep must not be
//! made; so those count as well that are on their way there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::AgentName;

/// How many captures of each agent are under way.
#[derive(Debug, Default)]
pub(crate) struct Captures(Mutex<HashMap<AgentName, usize>>);

/// A capture under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Capturing<'a> {
    captures: &'a Captures,
    owner: AgentName,
}

impl Captures {
    /// Begins one of `owner`, where fewer than `bound` wait and are under way. `waiting` is asked while none can begin or end.
    ///
    /// # Errors
    /// As many wait and are under way as may, or what `waiting` fails with.
    pub(super) fn begin<E>(
        &self,
        owner: &AgentName,
        bound: usize,
        waiting: impl FnOnce() -> Result<usize, E>,
        too_many: impl FnOnce(usize) -> E,
    ) -> Result<Capturing<'_>, E> {
        let mut under_way = self.lock();
        let taken = waiting()?.saturating_add(under_way.get(owner).copied().unwrap_or_default());
        if taken >= bound {
            return Err(too_many(taken));
        }
        *under_way.entry(owner.clone()).or_default() += 1;
        drop(under_way);
        Ok(Capturing { captures: self, owner: owner.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Capturing<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.captures.lock().entry(self.owner.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_what_is_under_way_counts_with_what_waits() {
        let captures = Captures::default();
        let name = |text: &str| text.parse::<AgentName>().expect("a name");
        let begin = |owner: &AgentName, waiting| captures.begin(owner, 3, || Ok(waiting), |taken| taken);
        let (ci, other) = (name("ci"), name("other"));
        let first = begin(&ci, 1).expect("room");
        let second = begin(&ci, 1).expect("room");
        assert_eq!(begin(&ci, 1).err(), Some(3));
        assert!(begin(&other, 2).is_ok(), "another agent has a bound of its own");
        drop(first);
        assert_eq!(begin(&ci, 2).err(), Some(3), "it was stored");
        assert!(begin(&ci, 1).is_ok(), "it was not");
        drop(second);
        assert!(captures.lock().is_empty());
    }
}
