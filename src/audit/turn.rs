//! `Turn`: work that can wait is done in short pieces, between which the core is anybody's.
//!
//! A thread that has the core keeps it for a tick of the scheduler, 4 ms where there are 250 in a second. Where a worker is on the same core,
//! all its requests would wait so long.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// How long a piece lasts.
const PIECE: Duration = Duration::from_micros(125);
/// How many steps go between two looks at the clock.
const STEPS: u32 = 16;

/// The piece that is being done.
#[derive(Debug)]
pub(super) struct Turn {
    began: Cell<Instant>,
    steps: Cell<u32>,
}

impl Turn {
    /// Begins a piece.
    pub(super) fn begin() -> Self {
        Self { began: Cell::new(Instant::now()), steps: Cell::new(0) }
    }

    /// After a step of some microseconds: lets others have the core if the piece has lasted long enough. Says whether it has.
    pub(super) fn step(&self) -> bool {
        self.steps.set(self.steps.get() + 1);
        self.steps.get() >= STEPS && self.long_step()
    }

    /// After a step of some hundred microseconds: the same, without counting.
    pub(super) fn long_step(&self) -> bool {
        self.steps.set(0);
        let over = self.began.get().elapsed() >= PIECE;
        if over {
            thread::yield_now();
            self.began.set(Instant::now());
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_by_the_clock_which_is_looked_at_now_and_then() {
        let turn = Turn::begin();
        turn.began.set(Instant::now() - PIECE);
        let ended: Vec<u32> = (1..=STEPS).filter(|_| turn.step()).collect();
        assert_eq!(ended, [STEPS]);
        turn.began.set(Instant::now() - PIECE);
        assert!(turn.long_step());
    }
}
