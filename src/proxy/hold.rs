//! Holding a request body back until the service has said something, so that a 401 costs nothing (RFC 9110 §10.1.1).

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Sleep;

/// Holds a body back until it is released: by a 100, by a final answer, or by the clock of its reader.
#[derive(Debug, Default)]
pub(super) struct Hold {
    released: AtomicBool,
    answered: AtomicBool,
    /// That answer is the caller's: there will be no second send.
    stands: AtomicBool,
    /// The body is held only where it would no longer be kept.
    at_limit: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Hold {
    /// Lets the body go. Called from hyper's 1xx callback too.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.wake();
    }

    /// A final answer came in time: the clock does not release the body any more.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Release);
    }

    /// That answer goes to the caller. A service may read all of the body before it ends its answer, so the clock runs
    /// again.
    pub(super) fn stands(&self) {
        self.stands.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    /// Lets as much of the body go as is kept: no 100 will be heard.
    pub(super) fn only_at_limit(&self) {
        self.at_limit.store(true, Ordering::Release);
    }

    /// Whether the body is held only where it would no longer be kept.
    pub(super) fn is_at_limit(&self) -> bool {
        self.at_limit.load(Ordering::Acquire)
    }

    /// Whether the body may go.
    pub(super) fn released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if self.released() {
            return Poll::Ready(());
        }
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        if self.released() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A reader's end of a [`Hold`], with the clock: it runs from the moment that the reader is held back.
pub(super) struct Held {
    hold: Arc<Hold>,
    patience: Duration,
    clock: Option<Pin<Box<Sleep>>>,
    silent: Box<dyn Fn()>,
}

impl Held {
    /// Waits at most `patience` for a word of the service; calls `silent` if there is none.
    pub(super) fn new(hold: Arc<Hold>, patience: Duration, silent: Box<dyn Fn()>) -> Self {
        Self { hold, patience, clock: None, silent }
    }

    /// What it is held by.
    pub(super) fn hold(&self) -> &Arc<Hold> {
        &self.hold
    }

    /// Whether the reader may go as far as what it reads is kept.
    pub(super) fn only_at_limit(&self) -> bool {
        self.hold.is_at_limit()
    }

    /// Ready once the body may go.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.hold.poll(context).is_ready() {
            return Poll::Ready(());
        }
        let patience = self.patience;
        let clock = self.clock.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        std::task::ready!(clock.as_mut().poll(context));
        if !self.hold.answered.load(Ordering::Acquire) {
            (self.silent)();
        } else if !self.hold.stands.load(Ordering::Acquire) {
            self.clock = None;
            return Poll::Pending;
        }
        self.hold.release();
        Poll::Ready(())
    }
}
