//! A request body that can be sent twice, up to a limit, and that can be held back until the service says 100.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::head::{Malformed, check_trailers};
use crate::provider::{Provider, strip};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The caller broke off: the service must not take what came for the whole.
    #[error("the caller broke off its request body")]
    Caller(#[source] hyper::Error),
    /// A trailer that may not follow a body, or that HTTP/1.1 can't carry (RFC 9110 §6.5.1).
    #[error("the request trailers are malformed")]
    Trailers(#[from] Malformed),
    /// The request is being sent again elsewhere.
    #[error("the request is sent again on another connection")]
    Superseded,
}

impl Error {
    /// What was malformed about the caller's body, if that is it.
    fn malformed(&self) -> Option<Malformed> {
        match self {
            Self::Caller(cause) => Malformed::in_chain(cause),
            Self::Trailers(malformed) => Some(*malformed),
            Self::Superseded => None,
        }
    }
}

/// Holds a body back until it is released: by a 100, by a final answer, or by the clock.
#[derive(Debug, Default)]
pub(super) struct Hold {
    released: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Hold {
    /// Lets the body go. Called from hyper's 1xx callback and from a timer.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
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

/// The caller's body, kept while it streams. At most one [`RequestBody`] reads it at a time: the newest.
pub(super) struct Replay {
    source: Rc<Source>,
}

struct Source {
    state: RefCell<State>,
    newest: Cell<u32>,
    hint: SizeHint,
    /// Bytes that moved towards the service, all sends together.
    moved: Rc<Cell<u64>>,
    /// What was malformed about the body: the engine that sends it does not say why it broke.
    malformed: Cell<Option<Malformed>>,
    limit: usize,
    /// Whose slots are stripped from trailers as they were from the head.
    strip: Option<Arc<Provider>>,
}

struct State {
    incoming: Incoming,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    /// More came than may be kept: it can't be sent twice.
    overflowed: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
    received: u64,
}

impl Replay {
    /// Keeps at most `limit` bytes of `incoming`.
    pub(super) fn keep(incoming: Incoming, limit: usize, strip: Option<Arc<Provider>>) -> Self {
        let hint = incoming.size_hint();
        let ended = incoming.is_end_stream();
        let state = State { incoming, kept: Vec::new(), kept_bytes: 0, overflowed: false, trailers: None, ended, received: 0 };
        let source = Source {
            state: RefCell::new(state),
            newest: Cell::new(0),
            hint,
            moved: Rc::default(),
            malformed: Cell::new(None),
            limit,
            strip,
        };
        Self { source: Rc::new(source) }
    }

    /// A reader from the beginning; whoever read before is cut off. `None` if what was read can't be read again.
    pub(super) fn body(&self, hold: Option<Arc<Hold>>) -> Option<RequestBody> {
        if self.source.state.borrow().overflowed {
            return None;
        }
        let turn = self.source.newest.get() + 1;
        self.source.newest.set(turn);
        Some(RequestBody { source: Some(Rc::clone(&self.source)), turn, position: 0, trailers_given: false, hold })
    }

    /// Whether nothing of the body was read yet, or all that was read is kept.
    pub(super) fn repeatable(&self) -> bool {
        !self.source.state.borrow().overflowed
    }

    /// Whether the caller has sent all of it.
    pub(super) fn ended(&self) -> bool {
        let state = self.source.state.borrow();
        state.ended || state.incoming.is_end_stream()
    }

    /// Whether there is no body at all.
    pub(super) fn is_empty(&self) -> bool {
        self.source.hint.exact() == Some(0)
    }

    /// Whether the body is larger than what is kept, or of unknown length.
    pub(super) fn exceeds_limit(&self) -> bool {
        self.source.hint.upper().is_none_or(|upper| upper > self.source.limit as u64)
    }

    /// Counts what moves; see [`crate::upstream::Destination`].
    pub(super) fn progress(&self) -> &Rc<Cell<u64>> {
        &self.source.moved
    }

    /// What was malformed about the body, if it broke for that.
    pub(super) fn malformed(&self) -> Option<Malformed> {
        self.source.malformed.get()
    }

    /// Bytes that came from the caller so far.
    pub(super) fn received(&self) -> u64 {
        self.source.state.borrow().received
    }
}

/// One reading of a [`Replay`].
pub(super) struct RequestBody {
    source: Option<Rc<Source>>,
    turn: u32,
    position: usize,
    trailers_given: bool,
    hold: Option<Arc<Hold>>,
}

impl Source {
    fn broken(&self, error: Error) -> Error {
        self.malformed.set(error.malformed());
        error
    }

    fn poll_incoming(&self, position: &mut usize, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.state.borrow_mut();
        if state.ended {
            return Poll::Ready(None);
        }
        let mut frame = match std::task::ready!(Pin::new(&mut state.incoming).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(self.broken(Error::Caller(error))))),
            None => {
                state.ended = true;
                return Poll::Ready(None);
            }
        };
        if let Some(data) = frame.data_ref() {
            state.received += data.len() as u64;
            self.moved.set(self.moved.get() + data.len() as u64);
            state.keep(data, self.limit);
            *position += 1;
            return Poll::Ready(Some(Ok(frame)));
        }
        let Ok(mut trailers) = frame.into_trailers() else { return Poll::Ready(None) };
        if let Err(malformed) = check_trailers(&trailers) {
            return Poll::Ready(Some(Err(self.broken(malformed.into()))));
        }
        if let Some(provider) = &self.strip {
            strip(&provider.slots, &mut trailers, None);
        }
        state.trailers = Some(trailers.clone());
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl State {
    fn keep(&mut self, data: &Bytes, limit: usize) {
        self.kept_bytes += data.len();
        if self.overflowed || self.kept_bytes > limit {
            self.overflowed = true;
            self.kept = Vec::new();
        } else {
            self.kept.push(data.clone());
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(source) = &this.source else { return Poll::Ready(None) };
        if source.newest.get() != this.turn {
            return Poll::Ready(Some(Err(Error::Superseded)));
        }
        if let Some(hold) = &this.hold {
            std::task::ready!(hold.poll(context));
            this.hold = None;
        }
        if let Some(data) = source.state.borrow().kept.get(this.position) {
            this.position += 1;
            source.moved.set(source.moved.get() + data.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        let polled = std::task::ready!(source.poll_incoming(&mut this.position, context));
        if polled.as_ref().is_some_and(|frame| frame.as_ref().is_ok_and(Frame::is_trailers)) {
            this.trailers_given = true;
        }
        if polled.is_none() && !std::mem::replace(&mut this.trailers_given, true) {
            let trailers = source.state.borrow().trailers.clone();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.source.as_ref().is_none_or(|source| source.hint.exact() == Some(0))
    }

    fn size_hint(&self) -> SizeHint {
        self.source.as_ref().map_or_else(|| SizeHint::with_exact(0), |source| source.hint)
    }
}
