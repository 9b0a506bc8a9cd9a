//! `Sampling`: which of the requests that somebody watches they are told of, where there are more than they can look at.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::audit::Happened;

/// Requests that were told to have begun, and have not ended.
const OPEN: usize = 10_000;

/// What one who watches was told, and of how much.
#[derive(Debug, Default)]
pub(super) struct Sampling {
    /// One of so many requests is told of, a power of two; 0 = every one.
    one_of: u64,
    /// What was told in this second.
    told: u64,
    /// Requests of this second that ended, as far as they were seen.
    ended: u64,
    /// Those of them that were told of.
    told_ended: u64,
    /// How many had ended in all when this second began.
    all: u64,
    /// Whether the last second was told of.
    spoke: bool,
    /// The ends of these are told in any case.
    open: HashSet<Box<str>>,
}

impl Sampling {
    /// How much is told in a second, about.
    pub(super) const MOST: u64 = 200;
    /// What more of it is told for each halving, until the second is over.
    const MORE: u64 = 40;

    /// Begins, with so many that have ended before.
    pub(super) fn begin(&mut self, all: u64) {
        self.all = all;
    }

    /// Notes one that is told of without a question.
    pub(super) fn note(&mut self, happened: &Happened) {
        if happened.ended {
            self.open.remove(&happened.id);
        } else if self.open.len() < OPEN {
            self.open.insert(happened.id.clone());
        }
    }

    /// Whether it is told of; one of `seen_of` is seen at all.
    pub(super) fn takes(&mut self, happened: &Happened, seen_of: u64) -> bool {
        self.ended += u64::from(happened.ended);
        let one_of = self.one_of.max(1);
        let sampled = one_of.max(seen_of) > 1;
        let known = happened.ended && self.open.contains(&happened.id);
        if !known && ((sampled && !happened.ended) || !happened.bucket.is_multiple_of(one_of)) {
            return false;
        }
        self.told += 1;
        self.told_ended += u64::from(happened.ended);
        self.note(happened);
        if self.told >= Self::MOST + Self::MORE * u64::from(one_of.ilog2()) {
            self.one_of = one_of.max(seen_of).saturating_mul(2);
        }
        true
    }

    /// Ends a second; what is to be said of it. `all` have ended until now, one of `seen_of` is seen.
    pub(super) fn second(&mut self, all: u64, seen_of: u64) -> Option<Value> {
        let (before, told, ended) = (self.one_of.max(1), self.told_ended, self.ended);
        let passed = all.saturating_sub(std::mem::replace(&mut self.all, all));
        let matching = ended.saturating_mul(seen_of);
        // As long as every one is told of, so are beginnings.
        let calm = before == 1 && self.told < Self::MOST;
        self.one_of = if calm { 1 } else { matching.div_ceil(Self::MOST).next_power_of_two() };
        (self.told, self.ended, self.told_ended) = (0, 0, 0);
        let quiet = passed == 0 && ended == 0;
        if std::mem::replace(&mut self.spoke, !quiet) || !quiet {
            return Some(json!({ "all": passed, "matching": matching, "told": told, "kept_one_of": before.max(seen_of) }));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Happened;

    fn happened(number: u64, ended: bool) -> Happened {
        Happened::example(number, ended)
    }

    #[test]
    fn few_are_told_whole() {
        let mut sampling = Sampling::default();
        assert!((0..50).all(|at| sampling.takes(&happened(at, false), 1) && sampling.takes(&happened(at, true), 1)));
        assert_eq!(sampling.second(50, 1), Some(json!({ "all": 50, "matching": 50, "told": 50, "kept_one_of": 1 })));
        assert_eq!(sampling.second(50, 1).map(|rate| rate["all"].clone()), Some(json!(0)), "that it is over");
        assert_eq!(sampling.second(50, 1), None);
        assert!(sampling.open.is_empty());
    }

    #[test]
    fn of_many_a_part_is_told_and_how_many_there_were() {
        let mut sampling = Sampling::default();
        let mut all = 0;
        for second in 0..4 {
            let told = (0..2_000).filter(|at| {
                let number = second * 10_000 + at;
                let began = sampling.takes(&happened(number, false), 1);
                let ended = sampling.takes(&happened(number, true), 1);
                assert!(!began || ended, "what is told to begin is told to end");
                ended
            });
            let told = told.count() as u64;
            all += 2_000;
            let rate = sampling.second(all, 1).expect("a rate");
            assert_eq!((&rate["all"], &rate["matching"], &rate["told"]), (&json!(2_000), &json!(2_000), &json!(told)));
            assert!((50..=600).contains(&told), "{told}");
            assert!(second == 0 || rate["kept_one_of"].as_u64().is_some_and(|one_of| one_of >= 8), "{rate}");
        }
        assert!((0..50).filter(|at| sampling.takes(&happened(1_000_000 + at, true), 1)).count() < 50);
        sampling.second(all + 50, 1);
        assert!((0..50).all(|at| sampling.takes(&happened(2_000_000 + at, false), 1)), "calm again");
    }
}
