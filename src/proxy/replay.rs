//! A request body that can be sent twice, up to a limit, and that can be held back until the service wants it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Notify;

use super::canary::BodyWatch;
use super::hold::{Held, Hold};
use crate::audit::Entry;
use crate::decide::Occupants;
use crate::head::{Malformed, check_trailers};
use crate::provider::{ChunkError, strip};

mod reader;

pub(super) use reader::{RequestBody, Resigning};

/// How long a caller may go on sending a body that nobody wants, so that it gets to read its answer: a stream that is closed on bytes
/// still to be read is reset, and takes the answer with it.
const LINGER: Duration = Duration::from_secs(10);

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The caller broke off: the service must not take what came for the whole.
    #[error("the caller broke off its request body")]
    Caller(#[source] hyper::Error),
    /// Chunks that are not signed as their head says, or too large.
    #[error("the signed chunks of the request body are malformed")]
    Chunks(#[from] ChunkError),
    /// The agent's bodies already take what they may.
    #[error("there is no room for the chunks of the request body")]
    Room,
    /// A trailer that may not follow a body, or that HTTP/1.1 can't carry (RFC 9110 §6.5.1).
    #[error("the request trailers are malformed")]
    Trailers(#[from] Malformed),
    /// It holds a placeholder, and may not go on.
    #[error("a placeholder stands in the request body")]
    Canary,
    /// It broke off for one reader, so it is whole for none.
    #[error("the request body broke off")]
    Broken,
    /// The request is being sent again elsewhere.
    #[error("the request is sent again on another connection")]
    Superseded,
}

/// What was wrong with the caller's body: the engine that sends it does not say why it broke.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Its framing or its trailers.
    Malformed(Malformed),
    /// Its signed chunks.
    Chunks(ChunkError),
    /// It takes more room than the agent has left.
    Room,
    /// It holds a placeholder.
    Canary,
}

impl Error {
    /// What was wrong with the caller's body, if that is it.
    fn fault(&self) -> Option<Fault> {
        match self {
            Self::Caller(cause) => Malformed::in_chain(cause).map(Fault::Malformed),
            Self::Trailers(malformed) => Some(Fault::Malformed(*malformed)),
            Self::Chunks(error) => Some(Fault::Chunks(*error)),
            Self::Room => Some(Fault::Room),
            Self::Canary => Some(Fault::Canary),
            Self::Broken | Self::Superseded => None,
        }
    }
}

/// A request body as it comes from the caller.
pub(super) enum Inflow {
    /// From the engine, piece by piece.
    Stream(Incoming),
    /// All of it.
    Whole(Bytes),
    /// What was read of it already, and the rest from the engine.
    Begun(Bytes, Incoming),
}

impl Inflow {
    /// How long it is, where that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Stream(incoming) => incoming.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Begun(first, rest) => longer(&rest.size_hint(), first.len() as u64),
        }
    }

    /// What of it is at hand.
    pub(super) fn at_hand(&self) -> &[u8] {
        match self {
            Self::Stream(_) => &[],
            Self::Whole(bytes) | Self::Begun(bytes, _) => bytes,
        }
    }

    /// As it was before all that is in `read` was read of it.
    pub(super) fn with_first(self, read: Bytes) -> Self {
        match self {
            Self::Whole(bytes) => Self::Whole(bytes),
            Self::Stream(rest) | Self::Begun(_, rest) => Self::Begun(read, rest),
        }
    }

    /// Whether all of it is at hand.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// Whether there is nothing to wait for.
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Stream(incoming) | Self::Begun(_, incoming) => incoming.is_end_stream(),
            Self::Whole(_) => true,
        }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self {
            Self::Stream(incoming) | Self::Begun(_, incoming) => Pin::new(incoming).poll_frame(context),
            Self::Whole(_) => Poll::Ready(None),
        }
    }
}

fn longer(hint: &SizeHint, by: u64) -> SizeHint {
    let mut longer = SizeHint::new();
    longer.set_lower(hint.lower().saturating_add(by));
    if let Some(upper) = hint.upper() {
        longer.set_upper(upper.saturating_add(by));
    }
    longer
}

/// The caller's body, kept while it streams. At most one [`RequestBody`] reads it at a time: the newest.
pub(super) struct Replay {
    source: Rc<Source>,
}

struct Source {
    state: RefCell<State>,
    newest: Cell<u32>,
    hint: SizeHint,
    /// All of it, where it was at hand from the beginning.
    whole_body: Option<Bytes>,
    /// Bytes that moved towards the service, all sends together.
    moved: Rc<Cell<u64>>,
    fault: Cell<Option<Fault>>,
    limit: usize,
    /// Whose slots are stripped from trailers as they were from the head.
    strip: Option<Arc<Occupants>>,
    /// The newest reader, if it waits.
    parked: RefCell<Option<Waker>>,
    /// What the newest reader is held by.
    hold: RefCell<Option<Arc<Hold>>>,
    /// The newest reader has given all of the body.
    whole: Cell<bool>,
    readers: Cell<usize>,
    left: Notify,
    /// What looks through it.
    watch: RefCell<Option<Box<BodyWatch>>>,
}

struct State {
    incoming: Inflow,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    /// What came next and would not be kept, while its reader is held back.
    waiting: Option<Bytes>,
    /// More came than may be kept: it can't be sent twice.
    overflowed: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// It ended before its end: what was kept is a part of it, and the engine that reads it would call that the end.
    broken: bool,
    received: u64,
}

impl Replay {
    /// Keeps at most `limit` bytes of `incoming`.
    pub(super) fn keep(incoming: Inflow, limit: usize, strip: Option<Arc<Occupants>>) -> Self {
        let hint = incoming.size_hint();
        let ended = incoming.is_end_stream();
        let (first, incoming) = match incoming {
            Inflow::Begun(first, rest) => (Some(first), Inflow::Stream(rest)),
            Inflow::Whole(bytes) => (Some(bytes.clone()), Inflow::Whole(bytes)),
            Inflow::Stream(incoming) => (None, Inflow::Stream(incoming)),
        };
        let whole = if let Inflow::Whole(bytes) = &incoming { Some(bytes.clone()) } else { None };
        let kept: Vec<Bytes> = first.into_iter().filter(|bytes| !bytes.is_empty()).collect();
        let kept_bytes = kept.iter().map(Bytes::len).sum::<usize>();
        let state = State {
            incoming,
            kept,
            kept_bytes,
            waiting: None,
            overflowed: false,
            trailers: None,
            ended,
            broken: false,
            received: kept_bytes as u64,
        };
        let source = Source {
            state: RefCell::new(state),
            newest: Cell::new(0),
            hint,
            whole_body: whole,
            moved: Rc::default(),
            fault: Cell::new(None),
            limit,
            strip,
            parked: RefCell::default(),
            hold: RefCell::default(),
            whole: Cell::new(false),
            readers: Cell::new(0),
            left: Notify::new(),
            watch: RefCell::default(),
        };
        Self { source: Rc::new(source) }
    }

    /// The same, looked through by `watch`.
    pub(super) fn watched(self, watch: Option<Box<BodyWatch>>) -> Self {
        *self.source.watch.borrow_mut() = watch;
        self
    }

    /// A reader from the beginning; whoever read before is cut off. `None` if what was read can't be read again.
    pub(super) fn body(&self, held: Option<Held>) -> Option<RequestBody> {
        if !self.repeatable() {
            return None;
        }
        let source = Rc::clone(&self.source);
        source.supersede();
        *source.hold.borrow_mut() = held.as_ref().map(|held| Arc::clone(held.hold()));
        source.whole.set(self.is_empty());
        source.readers.set(source.readers.get() + 1);
        Some(RequestBody::new(source, held))
    }

    /// Whether nothing of the body was read yet, or all that was read is kept and the rest can still come.
    pub(super) fn repeatable(&self) -> bool {
        let state = self.source.state.borrow();
        !state.overflowed && !state.broken
    }

    /// All of the body, where it was at hand from the beginning.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        self.source.whole_body.as_ref()
    }

    /// The same as long as nobody reads it: it can be sent as it is, without a reader.
    pub(super) fn at_hand(&self) -> Option<&Bytes> {
        self.whole().filter(|_| self.source.readers.get() == 0)
    }

    /// Whether the service has been given all of it.
    pub(super) fn sent(&self) -> bool {
        self.source.whole.get() || self.source.whole_body.is_some()
    }

    /// The service's answer goes to the caller: there will be no second send.
    pub(super) fn stands(&self) {
        self.source.hold.borrow().iter().for_each(|hold| hold.stands());
    }

    /// The response has ended. A body that nobody let go until now stays here; what the caller still sends is read away where nobody
    /// else reads it, if `linger`.
    pub(super) fn finish(&self, linger: bool) {
        self.source.cut_held();
        let state = self.source.state.borrow();
        if linger && !state.ended && !state.incoming.is_end_stream() {
            let source = Rc::clone(&self.source);
            tokio::task::spawn_local(async move { drop(tokio::time::timeout(LINGER, source.read_away()).await) });
        }
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

    /// What was wrong with the body, if it broke for that.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.source.fault.get()
    }

    /// Puts into the record what was seen in the body.
    pub(super) fn note_in(&self, entry: &mut Entry) {
        let watch = self.source.watch.borrow();
        watch.as_ref().and_then(|watch| watch.seen()).into_iter().for_each(|sighting| sighting.note_in(entry));
    }

    /// Bytes that came from the caller so far.
    pub(super) fn received(&self) -> u64 {
        self.source.state.borrow().received
    }
}

/// The exchange is over, also where its caller has left: nobody would let a held reader go any more.
impl Drop for Replay {
    fn drop(&mut self) {
        self.source.cut_held();
    }
}

/// Reads what the caller still sends, for a while.
pub(super) fn read_away(incoming: Inflow) {
    if let Inflow::Stream(mut incoming) | Inflow::Begun(_, mut incoming) = incoming
        && !incoming.is_end_stream()
    {
        let reading = async move { while incoming.frame().await.is_some_and(|frame| frame.is_ok()) {} };
        tokio::task::spawn_local(async move { drop(tokio::time::timeout(LINGER, reading).await) });
    }
}

impl Source {
    /// From now on the body is broken for every reader.
    fn broken(&self, state: &mut State, error: Error) -> Error {
        state.broken = true;
        self.fault.set(error.fault());
        error
    }

    /// Cuts off whoever reads.
    fn supersede(&self) {
        self.newest.set(self.newest.get() + 1);
        if let Some(waker) = self.parked.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Cuts off whoever is held back, or would be.
    fn cut_held(&self) {
        if self.hold.borrow().as_ref().is_some_and(|hold| !hold.released()) {
            self.supersede();
        }
    }

    /// Waits until nobody reads, and reads the rest.
    async fn read_away(&self) {
        while self.readers.get() > 0 {
            self.left.notified().await;
        }
        let next = |context: &mut Context<'_>| self.state.borrow_mut().incoming.poll_frame(context);
        while std::future::poll_fn(next).await.is_some_and(|frame| frame.is_ok()) {}
    }

    fn poll_incoming(&self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut state = self.state.borrow_mut();
        if state.broken {
            return Poll::Ready(Some(Err(Error::Broken)));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        let frame = match std::task::ready!(state.incoming.poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(self.broken(&mut state, Error::Caller(error))))),
            None => {
                state.ended = true;
                return Poll::Ready(None);
            }
        };
        if let Some(data) = frame.data_ref() {
            state.received += data.len() as u64;
            self.moved.set(self.moved.get() + data.len() as u64);
            if self.watch.borrow_mut().as_mut().is_some_and(|watch| watch.feed(data)) {
                return Poll::Ready(Some(Err(self.broken(&mut state, Error::Canary))));
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        let Ok(mut trailers) = frame.into_trailers() else { return Poll::Ready(None) };
        if let Err(malformed) = check_trailers(&trailers) {
            return Poll::Ready(Some(Err(self.broken(&mut state, malformed.into()))));
        }
        if let Some(occupants) = &self.strip {
            strip(&occupants.slots, &mut trailers, None);
        }
        // Nothing follows them (RFC 9110 §6.5).
        (state.trailers, state.ended) = (Some(trailers.clone()), true);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl State {
    /// Whether `data` would be too much to keep.
    fn exceeds(&self, data: &Bytes, limit: usize) -> bool {
        self.overflowed || self.kept_bytes + data.len() > limit
    }

    fn keep(&mut self, data: &Bytes, limit: usize) {
        if self.exceeds(data, limit) {
            self.overflowed = true;
            self.kept = Vec::new();
        } else {
            self.kept_bytes += data.len();
            self.kept.push(data.clone());
        }
    }
}
