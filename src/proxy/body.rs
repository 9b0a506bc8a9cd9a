//! What goes back to the caller: our own text, or the service's body, counted and followed to its end.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, timeout_at};

use super::observe::Observation;
use super::replay::RequestBody;
use crate::audit::Entry;
use crate::guard;
use crate::upstream::{BodyError, Lease, Received};

/// Why a response broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The service's stream ended early or was malformed: the caller must see an incomplete answer, not a whole one.
    #[error("the service broke off its response body")]
    Upstream(#[source] BodyError),
    /// The guard could not read it.
    #[error("the service's response body can't be searched")]
    Coding(#[from] guard::Error),
    /// Nothing moved for too long.
    #[error("the service stopped sending")]
    Idle,
    /// The time is over for which a rule let it on.
    #[error("the rule's time is over")]
    Hours,
}

/// A response body for the caller.
pub(crate) struct ResponseBody(Kind);

enum Kind {
    Full(Option<Bytes>),
    /// Ends at once without having said so before.
    Unannounced,
    Observed(Box<Observed>),
}

/// What was read of a response to judge it: it goes to the caller first.
pub(super) type Peeked = VecDeque<Result<Frame<Bytes>, BodyError>>;

struct Observed {
    peeked: Peeked,
    /// What is for the caller already, its head being still here.
    ahead: VecDeque<Result<Frame<Bytes>, Error>>,
    /// Why it breaks off, to be told once what came before is on its way.
    failed: Option<Error>,
    /// Trailers that wait for what the guard held back.
    trailers: Option<Frame<Bytes>>,
    incoming: Received<RequestBody>,
    lease: Option<Lease<RequestBody>>,
    observation: Observation,
    idle_timeout: Duration,
    idle: Option<Pin<Box<Sleep>>>,
    /// Since the last frame the service is being waited for. While the caller holds us up, nobody waits.
    waiting: bool,
    /// Nothing more goes to the caller, whatever the service sends (RFC 9110 §6.4.1).
    ended: bool,
    /// Trailers have come: they are the last, whether the engine says so or not (RFC 9110 §6.5).
    trailed: bool,
    /// How much of the request had moved when the wait began.
    moved: u64,
}

impl ResponseBody {
    /// No body.
    pub(super) fn empty() -> Self {
        Self(Kind::Full(None))
    }

    /// For a 304, whose `Content-Length` is that of what is not sent (RFC 9110 §8.6): hyper's HTTP/1.1 drops the field where it is
    /// told of the end beforehand.
    pub(super) fn unannounced() -> Self {
        Self(Kind::Unannounced)
    }

    /// Our own text.
    pub(super) fn full(text: impl Into<Bytes>) -> Self {
        Self(Kind::Full(Some(text.into())))
    }

    /// The service's body. When it has ended, the connection goes back to the pool and the record is closed.
    pub(super) fn observed(
        (peeked, incoming): (Peeked, Received<RequestBody>),
        lease: Lease<RequestBody>,
        observation: Observation,
        idle_timeout: Duration,
        bodiless: bool,
    ) -> Self {
        let (lease, idle) = (Some(lease), None);
        let mut observed = Observed {
            peeked,
            ahead: VecDeque::new(),
            failed: None,
            trailers: None,
            incoming,
            lease,
            observation,
            idle_timeout,
            idle,
            waiting: false,
            ended: bodiless,
            trailed: false,
            moved: 0,
        };
        if bodiless || observed.has_ended() {
            observed.end();
        }
        Self(Kind::Observed(Box::new(observed)))
    }
}

/// A beginning that takes longer to come is not waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// What is decoded of a body before its head goes out.
const AHEAD: usize = 64 * 1024;

impl ResponseBody {
    /// Decodes the beginning of a body whose head has not gone out: the first piece, and what follows without a wait.
    ///
    /// # Errors
    /// It can't be decoded: then what stands in the record is returned with the reason.
    pub(super) async fn look_ahead(&mut self) -> Result<(), (guard::Error, Option<Entry>)> {
        let Kind::Observed(observed) = &mut self.0 else { return Ok(()) };
        let deadline = Instant::now() + PATIENCE;
        let mut length = 0;
        while length < AHEAD && !observed.ended && !observed.is_over() {
            let next = std::future::poll_fn(|context| match observed.poll_next(context) {
                Poll::Pending if length > 0 => Poll::Ready(None),
                next => next,
            });
            match timeout_at(deadline, next).await {
                Ok(Some(Err(Error::Coding(why)))) => return Err((why, observed.observation.account())),
                Ok(Some(frame)) => {
                    let failed = frame.is_err();
                    length += frame.as_ref().ok().and_then(Frame::data_ref).map_or(1, Bytes::len);
                    observed.ahead.push_back(frame);
                    if failed {
                        break;
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }
}

impl Observed {
    fn has_ended(&self) -> bool {
        self.trailed || (self.peeked.is_empty() && self.incoming.is_end_stream())
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.peeked.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.incoming).poll_frame(context),
        }
    }

    fn length(&self) -> SizeHint {
        let Some(held) = self.observation.guarded.as_ref().map_or(Some(0), |guarded| guarded.held()) else {
            return if self.is_over() { self.length_ahead() } else { SizeHint::default() };
        };
        let peeked = self.peeked.iter().flatten().filter_map(Frame::data_ref).map(Bytes::len).sum::<usize>();
        let here = (peeked + held) as u64;
        match self.incoming.size_hint() {
            hint if here == 0 => hint,
            hint => hint.exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(here + rest)),
        }
    }

    /// Of what is decoded, where nothing follows.
    fn length_ahead(&self) -> SizeHint {
        let lengths = self.ahead.iter().map(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
        lengths.sum::<Option<usize>>().map_or_else(SizeHint::default, |length| SizeHint::with_exact(length as u64))
    }

    /// Whether all that came has gone to the caller, and no more will come.
    fn is_over(&self) -> bool {
        self.has_ended()
            && self.trailers.is_none()
            && self.observation.guarded.as_ref().is_none_or(|guarded| guarded.is_settled())
    }

    /// The next frame for the caller of what came already.
    fn next(&mut self) -> Result<Option<Frame<Bytes>>, Error> {
        let piece = if self.observation.guarded.is_some() { self.observation.guarded_piece()? } else { None };
        Ok(piece.map(Frame::data).or_else(|| self.trailers.take()))
    }

    /// A frame that came, as far as it goes on at once.
    fn take(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, Error> {
        self.waiting = false;
        self.trailed |= frame.is_trailers();
        let last = self.has_ended();
        let frame = self.observation.frame(frame);
        let Some(guarded) = &mut self.observation.guarded else { return Ok(Some(frame)) };
        match frame.into_data() {
            Ok(data) => guarded.push(data, last),
            Err(trailers) => {
                self.trailers = Some(trailers);
                let rest = self.observation.guarded_rest()?;
                return Ok(rest.map(Frame::data).or_else(|| self.trailers.take()));
            }
        }
        self.next()
    }

    /// The next frame for the caller.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            match self.next() {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    self.end_if_over();
                    return Poll::Ready(Some(Ok(frame)));
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if self.ended {
                return Poll::Ready(None);
            }
            if self.observation.is_over(context) {
                return Poll::Ready(Some(Err(Error::Hours)));
            }
            match self.poll_incoming(context) {
                Poll::Pending => {
                    std::task::ready!(self.poll_idle(context));
                    return Poll::Ready(Some(Err(Error::Idle)));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let taken = self.take(frame);
                    self.end_if_over();
                    if let Some(frame) = taken.transpose() {
                        return Poll::Ready(Some(frame));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Error::Upstream(error)))),
                Poll::Ready(None) => {
                    let rest = self.observation.guarded_rest();
                    if rest.is_ok() {
                        self.end();
                    }
                    return Poll::Ready(rest.map(|rest| rest.map(Frame::data)).map_err(Error::from).transpose());
                }
            }
        }
    }

    fn end_if_over(&mut self) {
        if !self.ended && self.is_over() {
            self.end();
        }
    }

    /// A service that answered before it had read the whole request keeps its connection to itself: the next request would wait for
    /// this caller's upload.
    fn end(&mut self) {
        if let Some(mut lease) = self.lease.take()
            && self.observation.replay.sent()
        {
            lease.release();
        }
        self.observation.complete();
    }

    /// Ready when neither direction has moved for the whole of `idle_timeout`.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.idle_timeout;
        let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        loop {
            let moved = self.observation.replay.progress().get();
            if !self.waiting || moved != self.moved {
                (self.waiting, self.moved) = (true, moved);
                idle.as_mut().reset(Instant::now() + limit);
            }
            std::task::ready!(idle.as_mut().poll(context));
            if self.observation.replay.progress().get() == self.moved {
                return Poll::Ready(());
            }
        }
    }
}

/// An HTTP/1.1 caller that was promised a length is given so much and no more: its engine never asks whether trailers or an empty last
/// frame follow.
impl Drop for Observed {
    fn drop(&mut self) {
        let given = self.ahead.is_empty() && self.failed.is_none() && self.length().exact() == Some(0);
        if given && !self.ended {
            self.observation.complete();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let observed = match &mut self.get_mut().0 {
            Kind::Full(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Unannounced => return Poll::Ready(None),
            Kind::Observed(observed) => observed,
        };
        if let Some(error) = observed.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let next = match observed.ahead.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => observed.poll_next(context),
        };
        let Poll::Ready(Some(Err(error))) = next else { return next };
        // An engine that hears of it drops what it has not written yet, the head with it: the caller would see an empty reply.
        observed.failed = Some(error);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Unannounced => false,
            Kind::Observed(observed) => observed.ahead.is_empty() && (observed.ended || observed.is_over()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Unannounced => SizeHint::default(),
            Kind::Observed(observed) => observed.length(),
        }
    }
}
