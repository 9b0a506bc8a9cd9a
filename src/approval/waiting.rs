//! `Waiting`: a request that is held until a person has answered.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::desk::Approvals;
use super::grant::Approved;
use super::item::State;

/// What a held request is told.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    /// It may go on.
    Allowed(Approved),
    /// It may not.
    Denied,
    /// Nobody answered.
    TimedOut,
}

/// A place on the list; dropping it, as a caller's hanging up does, takes the question off.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(super) desk: Arc<Approvals>,
    pub(super) id: Arc<str>,
    pub(super) until: Instant,
    pub(super) word: oneshot::Receiver<Word>,
}

impl Waiting {
    /// Waits for the answer, as long as the rule says.
    pub(crate) async fn word(&mut self) -> Word {
        match timeout_at(self.until, &mut self.word).await {
            Ok(Ok(word)) => word,
            Ok(Err(_)) => Word::TimedOut,
            Err(_elapsed) => {
                self.desk.ended(&self.id, State::TimedOut, SystemTime::now());
                // Whoever answered at the last moment was told that it counts.
                self.word.try_recv().unwrap_or(Word::TimedOut)
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.desk.ended(&self.id, State::Left, SystemTime::now());
    }
}
