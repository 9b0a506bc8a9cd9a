//! `Turn`: work that can wait is done in short pieces, between which the core is anybody's.
//!
//! A thread that has the core keeps it for a tick of the scheduler, 4 ms where there are 250 in a second. Where a worker is on the same core,
//! all its requests would wait so long.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use super::log::Bell;

/// How long a piece lasts.
const PIECE: Duration = Duration::from_micros(200);
/// How many steps go between two looks at the clock.
const STEPS: u32 = 32;
/// What lies between two pieces at [`Pace::Calm`]: so a tenth of a core is taken, which is what two busy workers' lines cost.
const REST: Duration = Duration::from_millis(2);

/// What becomes of the core between two pieces.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace<'a> {
    /// Whoever waits for it may have it.
    Brisk,
    /// It is left alone for a while, until this one stops: many requests go through.
    Calm(&'a Bell),
}

/// The piece that is being done.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pace: Cell<Pace<'a>>,
    began: Cell<Instant>,
    steps: Cell<u32>,
}

impl<'a> Turn<'a> {
    /// Begins a piece.
    pub(super) fn begin(pace: Pace<'a>) -> Self {
        Self { pace: Cell::new(pace), began: Cell::new(Instant::now()), steps: Cell::new(0) }
    }

    /// Goes on at a brisk pace.
    pub(super) fn hurry(&self) {
        self.pace.set(Pace::Brisk);
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
            match self.pace.get() {
                Pace::Brisk => thread::yield_now(),
                Pace::Calm(bell) => {
                    if bell.rest(REST) {
                        self.hurry();
                    }
                }
            }
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
        let turn = Turn::begin(Pace::Brisk);
        turn.began.set(Instant::now() - PIECE);
        let ended: Vec<u32> = (1..=STEPS).filter(|_| turn.step()).collect();
        assert_eq!(ended, [STEPS]);
        turn.began.set(Instant::now() - PIECE);
        assert!(turn.long_step());
    }

    #[test]
    fn at_a_calm_pace_the_core_is_left_alone_between_two_pieces() {
        let bell = Bell::default();
        let turn = Turn::begin(Pace::Calm(&bell));
        let before = Instant::now() - PIECE;
        turn.began.set(before);
        assert!(turn.long_step());
        assert!(turn.began.get() - before >= PIECE + REST);
    }

    #[test]
    fn nobody_who_stops_waits_for_a_calm_pace() {
        let bell = Bell::default();
        let turn = Turn::begin(Pace::Calm(&bell));
        bell.stop();
        turn.began.set(Instant::now() - PIECE);
        assert!(turn.long_step() && matches!(turn.pace.get(), Pace::Brisk));
    }
}
