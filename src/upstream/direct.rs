//! HTTP/1.1 to a service without an engine between: for requests whose body is at hand, which are nearly all.
//!
//! The request is one write, the response is read by whoever waits for it: no task of its own, no channel, nothing parsed twice.
//! Framing is the strict reader's. Whatever needs more than this (a body that still comes, an upgrade) goes to the engine.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::dial::Connected;
use super::pool::Pool;
use super::stream::Stream;
use crate::ample::Ample;
use crate::head::{Framing, Head, Limits, Malformed, Parser, Piece, Shape, fields_of};
use crate::model::Authority;
use crate::plaintext::LARGE;

/// What is read at once: a record (RFC 8446 §5.1), and as much as is written at once where a lot comes.
const PIECE: usize = 16 * 1024;
const LONG_PIECE: usize = LARGE;
/// The same, while a lot comes on many connections.
const LESS: usize = 32 * 1024;
/// Smaller pieces do while a head is awaited. (Of 4 KiB, an allocator of pages has each by itself.)
const HEAD_PIECE: usize = 3 * 1024;
/// How many bodies are read in long pieces.
static LONG: AtomicUsize = AtomicUsize::new(0);

/// 1xx responses before a final one.
const INTERIM_RESPONSES: u8 = 16;

/// A connection that nobody speaks on.
pub(super) struct Direct {
    pub(super) stream: Stream,
    pub(super) authority: Authority,
    pub(super) address: SocketAddr,
    pub(super) idle_since: Instant,
}

/// Why a response did not come, or broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the service closed the connection")]
    Closed,
    /// After a part of a head, or an interim response.
    #[error("the service broke off before its response was whole")]
    BrokenOff(#[source] std::io::Error),
    #[error("the connection to the service failed")]
    Io(#[from] std::io::Error),
    #[error("the response is malformed")]
    Malformed(#[from] Malformed),
}

impl From<Box<Direct>> for Connected {
    fn from(connection: Box<Direct>) -> Self {
        Self { stream: connection.stream, http2: false, address: connection.address, through: None }
    }
}

impl Error {
    /// Whether the connection ended before anything came on it.
    pub(super) fn nothing_came(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match self {
            Self::Closed => true,
            // Not what TLS refuses: for that, something came.
            Self::Io(error) => matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof),
            Self::BrokenOff(_) | Self::Malformed(_) => false,
        }
    }

    /// The same once something had come.
    fn after_all(self) -> Self {
        match self {
            Self::Closed => Self::BrokenOff(std::io::ErrorKind::UnexpectedEof.into()),
            Self::Io(error) => Self::BrokenOff(error),
            other => other,
        }
    }
}

impl Direct {
    /// Takes over a connection that nobody has spoken on.
    pub(super) fn new(connected: Connected, authority: &Authority) -> Box<Self> {
        let Connected { stream, address, .. } = connected;
        Box::new(Self { stream, authority: authority.clone(), address, idle_since: Instant::now() })
    }

    /// Whether the service still waits for a request: nothing came, and no end.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut scratch = [std::mem::MaybeUninit::uninit(); 1];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut context, &mut scratch).is_pending()
    }

    /// Writes `request`, whole as it is, and reads the head of its response.
    pub(super) async fn call<B: Body + 'static>(
        mut self: Box<Self>,
        request: &[u8],
        bodiless: bool,
        pool: &Rc<Pool<B>>,
    ) -> Result<Response<Reading<B>>, Error> {
        let written = match self.stream.write_all(request).await {
            Ok(()) => self.stream.flush().await,
            failed => failed,
        };
        let mut buffer = BytesMut::new();
        // A service that refuses a request unread may close before it is written: its answer may be here all the same.
        let (head, parts) = match (self.final_head(&mut buffer).await, &written) {
            (Err(read), Err(_)) if read.nothing_came() => return Err(written.err().map_or(read, Error::from)),
            (read, _) => read?,
        };
        let framing = Framing::of_response(&head, bodiless);
        // Behind half a request, no other may stand.
        let reusable = written.is_ok() && framing.delimits() && head.version() == Version::HTTP_11 && !closes(&parts.headers);
        let reading =
            Reading { connection: Some(self), buffer, framing, reusable, long: false, ample: None, pool: Rc::clone(pool) };
        Ok(Response::from_parts(parts, reading))
    }

    async fn final_head(&mut self, buffer: &mut BytesMut) -> Result<(Head, http::response::Parts), Error> {
        let limits = Limits::default();
        for interim in 0..INTERIM_RESPONSES {
            let head = self.head(buffer, &limits).await.map_err(|error| if interim > 0 { error.after_all() } else { error })?;
            let whole = buffer.split_to(head.len()).freeze();
            match head.status() {
                101 => return Err(Malformed::UnrequestedSwitch.into()),
                100..=199 => {}
                status => {
                    let (mut parts, ()) = Response::new(()).into_parts();
                    parts.status = StatusCode::from_u16(status).map_err(|_impossible| Malformed::StatusLine)?;
                    parts.headers = fields_of(&head.view(&whole), &whole)?;
                    return Ok((head, parts));
                }
            }
        }
        Err(Malformed::TooManyInterim.into())
    }

    async fn head(&mut self, buffer: &mut BytesMut, limits: &Limits) -> Result<Head, Error> {
        let mut parser = Parser::new(Shape::Response);
        loop {
            if let Some(head) = parser.feed(buffer, limits)? {
                return Ok(head);
            }
            buffer.reserve(HEAD_PIECE);
            let ended = match self.stream.read_buf(buffer).await {
                Ok(1..) => continue,
                Ok(0) => Error::Closed,
                Err(error) => Error::Io(error),
            };
            return Err(if buffer.is_empty() { ended } else { ended.after_all() });
        }
    }
}

/// RFC 9112 §9.6.
fn closes(headers: &HeaderMap) -> bool {
    headers.get_all(http::header::CONNECTION).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

/// A response body that is read off its connection, which goes back to the pool at its end.
pub(crate) struct Reading<B: Body + 'static> {
    connection: Option<Box<Direct>>,
    buffer: BytesMut,
    framing: Framing,
    reusable: bool,
    /// The last piece was full: a lot comes.
    long: bool,
    /// For as long as it does.
    ample: Option<Ample>,
    pool: Rc<Pool<B>>,
}

impl<B: Body + 'static> Reading<B> {
    /// Does not give the connection back.
    pub(super) fn retire(&mut self) {
        self.reusable = false;
    }

    /// Gives the connection up once the body has ended; bytes behind it were asked for by nobody.
    fn settle(&mut self) {
        if !self.framing.has_ended() {
            return;
        }
        if let Some(connection) = self.connection.take()
            && self.reusable
            && self.buffer.is_empty()
        {
            self.pool.keep_direct(connection);
        }
    }

    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // What was read last has been taken: only now nobody holds the large piece any more.
        if !self.long && self.ample.take().is_some() {
            self.buffer = BytesMut::from(&*self.buffer);
        }
        let Some(connection) = &mut self.connection else { return Poll::Ready(Err(Error::Closed)) };
        let piece = match (self.long, &self.ample) {
            (true, Some(_)) => LONG_PIECE,
            (true, None) => LESS,
            (false, _) => PIECE,
        };
        self.buffer.reserve(piece);
        let read = {
            // Not more, though there may be more room: what is read at once is written at once.
            let mut room = (&mut self.buffer).limit(piece);
            ready!(std::pin::pin!(connection.stream.read_buf(&mut room)).poll(context))?
        };
        if read > 0 {
            self.long = read >= PIECE;
            if self.long && self.ample.is_none() {
                self.ample = Ample::take(&LONG);
            }
            return Poll::Ready(Ok(()));
        }
        if !self.framing.may_end() {
            return Poll::Ready(Err(Error::Closed));
        }
        self.framing.end();
        Poll::Ready(Ok(()))
    }

    /// The next piece that is for the caller; `None` at the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Error>> {
        let limits = Limits::default();
        loop {
            match self.framing.next(&self.buffer, &limits)? {
                Piece::Data(range) => {
                    self.buffer.advance(range.start);
                    return Poll::Ready(Ok(Some(Frame::data(self.buffer.split_to(range.len()).freeze()))));
                }
                Piece::More(skipped) => {
                    self.buffer.advance(skipped);
                    if skipped == 0 || self.buffer.is_empty() {
                        ready!(self.poll_more(context))?;
                    }
                }
                Piece::Trailers(length) => {
                    let whole = self.buffer.split_to(length).freeze();
                    let trailers = fields_of(&crate::head::section(&whole), &whole)?;
                    if !trailers.is_empty() {
                        return Poll::Ready(Ok(Some(Frame::trailers(trailers))));
                    }
                }
                Piece::End(skipped) => {
                    self.buffer.advance(skipped);
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }
}

/// A body that had ended before anyone read it gives its connection back here: until then the head may still be a reason to
/// [retire](Reading::retire) it.
impl<B: Body + 'static> Drop for Reading<B> {
    fn drop(&mut self) {
        self.settle();
    }
}

impl<B: Body + 'static> Body for Reading<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let polled = ready!(this.poll_piece(context)).transpose();
        if matches!(polled, Some(Err(_))) {
            this.connection = None;
        }
        this.settle();
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.framing.has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        self.framing.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn what_tls_refuses_did_come() {
        let came = |kind: ErrorKind| !Error::Io(kind.into()).nothing_came();
        assert!(!came(ErrorKind::ConnectionReset) && !came(ErrorKind::BrokenPipe) && !came(ErrorKind::UnexpectedEof));
        assert!(came(ErrorKind::InvalidData), "a record that doesn't decrypt");
        assert!(Error::Closed.nothing_came());
        assert!(!Error::Closed.after_all().nothing_came());
    }
}
