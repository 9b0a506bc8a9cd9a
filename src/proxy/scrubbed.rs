//! A service's stream after it has switched protocols: what comes off it goes through the guard, WebSocket by its messages.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::guarded::Owner;
use crate::broker::Permit;
use crate::guard::{Frames, Scrubber};

/// What is read at once.
const PIECE: usize = 16 * 1024;

/// A stream whose reader gets no secret of the request that began it.
pub(super) struct Scrubbed<S> {
    stream: S,
    guard: Option<Box<Guard>>,
}

/// What looks for them.
pub(super) struct Guard {
    owner: Owner,
    permit: Permit,
    protocol: Protocol,
    hits: Rc<Cell<u32>>,
    /// What may go on and has not been read.
    ready: Bytes,
    ended: bool,
}

enum Protocol {
    WebSocket(Box<Frames>),
    Other(Scrubber),
}

impl Guard {
    /// For the stream that a request with `permit` has begun.
    pub(super) fn new(owner: Owner, permit: Permit, is_websocket: bool) -> Option<Box<Self>> {
        let scrubber = owner.scrubber(Some(&permit))?;
        let protocol = match is_websocket {
            true => Protocol::WebSocket(Box::new(Frames::new(scrubber))),
            false => Protocol::Other(scrubber),
        };
        Some(Box::new(Self { owner, permit, protocol, hits: Rc::default(), ready: Bytes::new(), ended: false }))
    }

    /// Counts what is replaced, as long as the stream lives.
    pub(super) fn hits(&self) -> Rc<Cell<u32>> {
        Rc::clone(&self.hits)
    }

    /// Takes what came; nothing: the stream has ended.
    fn take(&mut self, piece: Bytes) -> io::Result<()> {
        let (owner, permit) = (&self.owner, &self.permit);
        let stand_in = || owner.stand_in(Some(permit));
        self.ended = piece.is_empty();
        let hits = match &mut self.protocol {
            Protocol::WebSocket(frames) => {
                let mut ready = Vec::new();
                match self.ended {
                    true => frames.finish(&mut ready, &stand_in),
                    false => frames.feed(piece, &mut ready, &stand_in).map_err(io::Error::other)?,
                }
                self.ready = Bytes::from(ready);
                frames.take_hits()
            }
            Protocol::Other(scrubber) => {
                self.ready = if self.ended { scrubber.finish(&stand_in) } else { scrubber.feed(piece, false, &stand_in) };
                scrubber.take_hits()
            }
        };
        self.hits.set(self.hits.get().saturating_add(hits));
        Ok(())
    }
}

impl<S> Scrubbed<S> {
    /// Puts `guard`, if any, behind `stream`.
    pub(super) fn new(stream: S, guard: Option<Box<Guard>>) -> Self {
        Self { stream, guard }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Scrubbed<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, guard } = self.get_mut();
        let Some(guard) = guard else { return Pin::new(stream).poll_read(context, buffer) };
        while guard.ready.is_empty() && !guard.ended {
            let mut piece = BytesMut::zeroed(PIECE);
            let mut read = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
            let length = read.filled().len();
            piece.truncate(length);
            guard.take(piece.freeze())?;
        }
        let length = guard.ready.len().min(buffer.remaining());
        buffer.put_slice(guard.ready.get(..length).unwrap_or_default());
        guard.ready.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Scrubbed<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
