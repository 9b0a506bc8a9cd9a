//! `Indexer`: keeps the index up to date from the thread that chains, in batches, and never in its way.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Index, PART, batch};
use crate::audit::error::Error;
use crate::audit::turn::Pace;

/// Between two batches, as long as none is full.
const EVERY: Duration = Duration::from_secs(1);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// As many lines in a second at any pace.
fn every(pace: Pace<'_>) -> Duration {
    match pace {
        Pace::Brisk => EVERY,
        Pace::Calm(_) => EVERY / PART,
    }
}

/// The index that is fed, and when.
#[derive(Debug)]
pub(in crate::audit) struct Indexer {
    index: Option<Index>,
    due: Instant,
    failing: bool,
}

impl Indexer {
    /// Nothing is opened at first: a process that lives for less than a moment needs no index.
    pub(in crate::audit) fn new() -> Self {
        Self { index: None, due: Instant::now() + EVERY, failing: false }
    }

    /// Takes a batch if it is time; says whether there is more. While there are lines to be chained (`busy`) they go first.
    pub(in crate::audit) fn keep_up(&mut self, folder: &Path, busy: bool, pace: Pace<'_>) -> bool {
        if Instant::now() < self.due {
            return false;
        }
        match self.batch(folder, pace) {
            Ok(taken) => {
                let more = taken == batch(pace);
                self.due = Instant::now() + if more && !busy { Duration::ZERO } else { every(pace) };
                self.failing = false;
                more
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the index of the audit log is behind");
                }
                (self.index, self.due) = (None, Instant::now() + PAUSE);
                false
            }
        }
    }

    fn batch(&mut self, folder: &Path, pace: Pace<'_>) -> Result<u64, Error> {
        let index = match self.index.take().filter(Index::is_there) {
            Some(index) => self.index.insert(index),
            None => self.index.insert(Index::open(folder)?),
        };
        index.advance(pace)
    }
}
