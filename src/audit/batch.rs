//! `Batch`: the requests whose opening lines go with one write, waiting for its outcome.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::error::Error;

/// The outcome of one write, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Result<(), Error>>,
    waiting: Vec<Waker>,
}

impl Batch {
    /// Tells the outcome to all who wait and will wait. Only the first call counts.
    pub(super) fn finish(&self, outcome: Result<(), Error>) {
        let mut state = self.state();
        state.outcome.get_or_insert(outcome);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits for the outcome.
    pub(super) fn wait(&self) -> Waiting<'_> {
        Waiting { batch: self, place: None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits; it takes one place however often it is polled.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    batch: &'a Batch,
    place: Option<usize>,
}

impl Future for Waiting<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.batch.state();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        match self.place.and_then(|place| state.waiting.get_mut(place)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                let place = state.waiting.len();
                state.waiting.push(context.waker().clone());
                drop(state);
                self.place = Some(place);
            }
        }
        Poll::Pending
    }
}
