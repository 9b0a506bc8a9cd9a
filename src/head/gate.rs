//! `Gate`: a stream whose reading side lets only sound HTTP/1.1 through.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::handle::Decision;
use super::{Expectation, Limits, Malformed, Reader, Verdict};

/// Stands for a malformed head, so that its answer comes in its turn.
const STAND_IN: &[u8] = b"GET /malformed HTTP/1.1\r\nHost: malformed.invalid\r\nConnection: close\r\n\r\n";
/// What is read at once while a head is incomplete.
const PIECE: usize = 4 * 1024;
/// What is read ahead while an upgrade is undecided.
const AHEAD: usize = 16 * 1024;
/// What is read after a refusal, so that the answer isn't lost to a reset.
const LINGER_BYTES: usize = 1024 * 1024;

/// How the reading side stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The stand-in has been put in line; nothing is read any more.
    Refused,
    /// A body is malformed, or a response is.
    Failed(Malformed),
}

/// A stream in front of the HTTP engine. Writes pass; reads give only bytes that [`Reader`] found sound.
///
/// Bytes go straight into the engine's buffer and are looked at there. Only an incomplete head, and what came behind one, is
/// kept here, and the memory is given back as soon as it has been handed on: an idle gate holds no buffer.
#[derive(Debug)]
pub(crate) struct Gate<S> {
    stream: S,
    reader: Reader,
    /// Bytes not handed on yet: `clean` sound ones, then some that were looked at, up to `examined`, then new ones.
    kept: BytesMut,
    clean: usize,
    examined: usize,
    state: State,
    shut: bool,
    lingered: usize,
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S> Gate<S> {
    /// A gate for a caller's requests. `prefix` holds the bytes that were already read from `stream`.
    pub(crate) fn requests(stream: S, prefix: BytesMut, limits: Limits) -> (Self, Arc<Verdict>) {
        let verdict = Arc::new(Verdict::default());
        (Self::new(stream, Reader::requests(Arc::clone(&verdict), limits), prefix), verdict)
    }

    /// A gate for a service's responses.
    pub(crate) fn responses(stream: S, limits: Limits) -> (Self, Arc<Expectation>) {
        let expectation = Arc::new(Expectation::default());
        (Self::new(stream, Reader::responses(Arc::clone(&expectation), limits), BytesMut::new()), expectation)
    }

    fn new(stream: S, reader: Reader, kept: BytesMut) -> Self {
        let (clean, examined, lingered) = (0, 0, 0);
        Self { stream, reader, kept, clean, examined, state: State::Open, shut: false, lingered, linger: None }
    }

    /// How much memory is held for bytes that can't be handed on yet.
    #[cfg(test)]
    pub(super) fn kept_capacity(&self) -> usize {
        self.kept.capacity()
    }

    /// Hands on what fits of the sound bytes, and gives the memory back with the last one.
    fn hand_on(&mut self, into: &mut ReadBuf<'_>) {
        let count = self.clean.min(into.remaining());
        into.put_slice(self.kept.get(..count).unwrap_or_default());
        self.kept.advance(count);
        self.clean -= count;
        self.examined -= count;
        if self.kept.is_empty() {
            self.kept = BytesMut::new();
        }
    }

    /// Looks at what is kept.
    fn examine(&mut self) {
        let step = self.reader.advance(&self.kept, &mut ());
        self.clean = step.clean;
        self.examined = self.kept.len();
        if let Some(malformed) = step.malformed {
            self.stop(malformed);
        }
    }

    /// Looks at what was just read into the engine's buffer, from `before` on, and takes back what can't be handed on yet.
    fn examine_in_place(&mut self, into: &mut ReadBuf<'_>, before: usize) {
        let new = into.filled().get(before..).unwrap_or_default();
        let step = self.reader.advance(new, &mut ());
        if let Some(malformed) = step.malformed {
            self.stop(malformed);
        } else if let Some(tail @ [_, ..]) = new.get(step.clean..) {
            self.kept.extend_from_slice(tail);
            self.examined = self.kept.len();
        }
        into.set_filled(before + step.clean);
    }

    /// Nothing behind the clean bytes counts. A malformed request head is answered in its turn, by way of the stand-in.
    fn stop(&mut self, malformed: Malformed) {
        self.kept.truncate(self.clean);
        match self.reader.verdict() {
            Some(verdict) if self.reader.is_at_head() => {
                verdict.refuse(malformed);
                self.kept.extend_from_slice(STAND_IN);
                self.clean = self.kept.len();
                self.state = State::Refused;
            }
            _ => self.state = State::Failed(malformed),
        }
        self.examined = self.clean;
    }

    /// The stream has ended: soundly, or inside a message.
    fn end(&self) -> io::Result<()> {
        if self.kept.is_empty() && self.reader.may_end() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Reads more bytes behind those that are kept; 0 at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.kept.reserve(PIECE);
        pin!(self.stream.read_buf(&mut self.kept)).poll(cx)
    }

    /// Waits until the service has answered a wish for another protocol, and notices when the caller leaves meanwhile:
    /// then the result is `true`.
    fn poll_decision(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let decision = self.reader.verdict().map_or(Decision::Http, |verdict| verdict.decision(cx.waker()));
            match decision {
                Decision::Http => self.reader.resume(),
                Decision::Raw => self.reader.become_raw(),
                Decision::Open if self.kept.len() >= AHEAD => return Poll::Pending,
                Decision::Open => match ready!(self.poll_more(cx))? {
                    0 if self.kept.is_empty() => {
                        self.kept = BytesMut::new();
                        return Poll::Ready(Ok(true));
                    }
                    0 => return Poll::Pending,
                    _ => continue,
                },
            }
            self.examined = 0;
            return Poll::Ready(Ok(false));
        }
    }

    /// Reads and throws away what a refused caller still sends, within bounds.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.reader.limits().linger;
        let timer = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(linger)));
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; PIECE];
        while self.lingered < LINGER_BYTES {
            let mut piece = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece));
            if read.is_err() || piece.filled().is_empty() {
                break;
            }
            self.lingered += piece.filled().len();
        }
        Poll::Ready(())
    }

    fn note_incomplete(&self) {
        if self.reader.is_at_head()
            && let Some(verdict) = self.reader.verdict()
        {
            verdict.wait_for_more();
        }
    }

    /// Whether the caller may still be sending something that nobody will read.
    fn was_cut_short(&self) -> bool {
        self.reader.verdict().is_some() && (self.state != State::Open || !self.reader.may_end())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        loop {
            if this.clean > 0 {
                this.hand_on(into);
                return Poll::Ready(Ok(()));
            }
            match this.state {
                State::Open => {}
                // The engine closes once it has answered; an end here would make it give up before.
                State::Refused => return Poll::Pending,
                State::Failed(malformed) => return Poll::Ready(Err(malformed.into())),
            }
            if this.reader.is_held() {
                if ready!(this.poll_decision(cx))? {
                    return Poll::Ready(Ok(()));
                }
            } else if this.kept.len() > this.examined {
                this.examine();
            } else if this.kept.is_empty() {
                ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
                if into.filled().len() == before {
                    return Poll::Ready(this.end());
                }
                this.examine_in_place(into, before);
                if into.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
            } else {
                this.note_incomplete();
                if ready!(this.poll_more(cx))? == 0 {
                    return Poll::Ready(this.end());
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(expectation) = this.reader.expectation() {
            expectation.sending();
        }
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(expectation) = this.reader.expectation() {
            expectation.sending();
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.shut = true;
        }
        if this.was_cut_short() {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
