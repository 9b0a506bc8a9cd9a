//! One reading of a request body, through what signs its chunks anew.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Error, Source};
use crate::provider::Rechunk;
use crate::proxy::hold::Held;
use crate::proxy::load::Room;

/// What signs the chunks of a body anew, and the room for the chunk that is not whole yet.
pub(in crate::proxy) struct Resigning {
    rechunk: Rechunk,
    room: Room,
}

impl Resigning {
    /// Chunks are held in `room`.
    pub(in crate::proxy) fn new(rechunk: Rechunk, room: Room) -> Self {
        Self { rechunk, room }
    }

    fn feed(&mut self, data: &[u8]) -> Result<Bytes, Error> {
        let signed = self.rechunk.feed(data)?;
        if self.room.hold(self.rechunk.held()) { Ok(signed) } else { Err(Error::Room) }
    }
}

/// One reading of a [`Replay`]. A reader that was cut off ends with an error, so that no service takes a part for the whole.
pub(in crate::proxy) struct RequestBody {
    source: Rc<Source>,
    turn: u32,
    position: usize,
    given: u64,
    trailers_given: bool,
    held: Option<Box<Held>>,
    resigning: Option<Box<Resigning>>,
}

impl RequestBody {
    /// Reads `source` from its beginning, held back by `held`.
    pub(super) fn new(source: Rc<Source>, held: Option<Held>) -> Self {
        let held = held.map(Box::new);
        Self { turn: source.newest.get(), source, position: 0, given: 0, trailers_given: false, held, resigning: None }
    }

    /// With its chunks signed anew.
    pub(in crate::proxy) fn signed_by(mut self, resigning: Option<Box<Resigning>>) -> Self {
        self.resigning = resigning;
        self
    }

    /// As [`poll_next`](Self::poll_next), through what signs its chunks.
    fn poll_signed(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            let polled = std::task::ready!(self.poll_next(context));
            let Some(resigning) = &mut self.resigning else { return Poll::Ready(polled) };
            let signed = match polled {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => resigning.feed(&data),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => match resigning.rechunk.finish() {
                    Ok(()) => return Poll::Ready(None),
                    Err(error) => Err(error.into()),
                },
            };
            return Poll::Ready(Some(match signed {
                // A chunk goes on when it is whole.
                Ok(signed) if signed.is_empty() => continue,
                Ok(signed) => Ok(Frame::data(signed)),
                Err(error) => Err(self.source.broken(&mut self.source.state.borrow_mut(), error)),
            }));
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &self.held {
            Some(held) if held.only_at_limit() => {}
            Some(_) => std::task::ready!(self.poll_held(context)),
            None => {}
        }
        let source = &self.source;
        if let Some(data) = source.state.borrow().kept.get(self.position) {
            self.position += 1;
            source.moved.set(source.moved.get() + data.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        let polled = std::task::ready!(self.poll_fresh(context));
        if polled.as_ref().is_some_and(|frame| frame.as_ref().is_ok_and(Frame::is_trailers)) {
            self.trailers_given = true;
        }
        if polled.is_none() && !std::mem::replace(&mut self.trailers_given, true) {
            let trailers = self.source.state.borrow().trailers.clone();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        Poll::Ready(polled)
    }

    /// What nobody has read yet.
    fn poll_fresh(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let limit = self.source.limit;
        let waiting = self.source.state.borrow().waiting.clone();
        let data = match waiting {
            Some(data) => data,
            None => match std::task::ready!(self.source.poll_incoming(context)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => data,
                Some(Ok(Err(frame))) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            },
        };
        if self.held.is_some() && self.source.state.borrow().exceeds(&data, limit) {
            self.source.state.borrow_mut().waiting = Some(data.clone());
            std::task::ready!(self.poll_held(context));
        }
        let mut state = self.source.state.borrow_mut();
        state.waiting = None;
        state.keep(&data, limit);
        self.position += 1;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    /// Ready once the reader is not held back any more.
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(held) = &mut self.held else { return Poll::Ready(()) };
        std::task::ready!(held.poll(context));
        self.held = None;
        Poll::Ready(())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.source.readers.set(self.source.readers.get() - 1);
        self.source.left.notify_one();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.source.newest.get() != this.turn {
            return Poll::Ready(Some(Err(Error::Superseded)));
        }
        let Poll::Ready(polled) = this.poll_signed(context) else {
            *this.source.parked.borrow_mut() = Some(context.waker().clone());
            return Poll::Pending;
        };
        let mut last = polled.is_none();
        if let Some(Ok(frame)) = &polled {
            this.given += frame.data_ref().map_or(0, |data| data.len() as u64);
            last = frame.is_trailers();
        }
        if last || this.source.hint.exact() == Some(this.given) {
            this.source.whole.set(true);
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.source.hint.exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.source.hint
    }
}
