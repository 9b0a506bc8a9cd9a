//! `Level`: how finely the past is counted: one level for each range that can be asked for, so that an answer reads just what it shows.

use std::ops::Range;

/// Microseconds.
const SECOND: i64 = 1_000_000;

/// Steps of one length, and how many of them are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Level {
    /// Its number in the tables.
    pub(super) number: u8,
    pub(super) step_secs: i64,
    pub(super) steps: i64,
}

/// From the finest to the coarsest; each step of one is made of whole minutes.
pub(super) const LEVELS: [Level; 5] = [
    Level { number: 0, step_secs: 60, steps: 60 },
    Level { number: 1, step_secs: 5 * 60, steps: 72 },
    Level { number: 2, step_secs: 15 * 60, steps: 96 },
    Level { number: 3, step_secs: 60 * 60, steps: 168 },
    Level { number: 4, step_secs: 6 * 60 * 60, steps: 120 },
];

impl Level {
    /// The number of the step, counted since 1970, in which `time` lies.
    pub(super) fn step(&self, time: i64) -> i64 {
        time.div_euclid(self.step_secs * SECOND)
    }

    /// When step number `step` begins, in microseconds.
    pub(super) fn begins(&self, step: i64) -> i64 {
        step * self.step_secs * SECOND
    }

    /// The first step that is shown at `now`; the last is the one that is under way.
    pub(super) fn first(&self, now: i64) -> i64 {
        self.step(now) - self.steps + 1
    }

    /// The first step that is kept at `now`: one more than is shown, for who has asked a moment ago.
    pub(super) fn oldest(&self, now: i64) -> i64 {
        self.first(now) - 1
    }

    /// The times that are counted in it at `now`. Clocks that differ by an hour are no reason to forget anything.
    pub(super) fn holds(&self, now: i64) -> Range<i64> {
        self.begins(self.oldest(now))..now + 3600 * SECOND
    }
}
