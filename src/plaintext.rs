//! Reading what TLS makes of what has arrived on its socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufRead, AsyncWrite, ReadBuf};
use tokio_rustls::{client, server};

/// What TLS may hold for a peer that takes nothing: as much as is written at once, which is this or more ...
const UNSENT: usize = 32 * 1024;
/// ... up to this.
pub(crate) const LARGE: usize = 128 * 1024;

/// Behind a shorter piece off the socket, more is seldom there already: it is not asked for in the same breath.
const SHORT: usize = 4 * 1024;

/// A TLS stream whose reader first asks the socket. That is asked several times per request for what is not there yet, and knows it
/// for less than TLS does.
#[derive(Debug)]
pub(crate) struct Plaintext<S> {
    /// The TLS stream, for everything but reading.
    pub(crate) stream: S,
    /// An error that came behind data: nothing more needs to arrive for the reader to be told.
    put_aside: Option<io::Error>,
}

impl<S: AsyncBufRead + Unpin> Plaintext<S> {
    /// Reads `stream` from now on; nobody else may.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, put_aside: None }
    }

    /// As [`AsyncRead::poll_read`](tokio::io::AsyncRead::poll_read), while TLS `holds` something or it has `arrived`.
    pub(crate) fn poll_read(
        &mut self,
        holds: impl Fn(&S) -> bool,
        arrived: impl Fn(&S, &mut Context<'_>) -> Poll<io::Result<()>>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(error) = self.put_aside.take() {
            return Poll::Ready(Err(error));
        }
        let (mut some, mut drained) = (false, false);
        while buffer.remaining() > 0 {
            let held = holds(&self.stream);
            if drained && !held {
                break;
            }
            let ready = if held { Poll::Ready(Ok(())) } else { arrived(&self.stream, context) };
            let polled = match ready {
                Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_fill_buf(context),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            };
            let length = match polled {
                Poll::Ready(Ok([])) => break,
                Poll::Ready(Ok(data)) => {
                    let piece = data.get(..buffer.remaining()).unwrap_or(data);
                    buffer.put_slice(piece);
                    piece.len()
                }
                Poll::Ready(Err(error)) if some => {
                    self.put_aside = Some(error);
                    break;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if some => break,
                Poll::Pending => return Poll::Pending,
            };
            Pin::new(&mut self.stream).consume(length);
            // What TLS held may be the end of a longer piece, which the last reader had no room for.
            (some, drained) = (true, !held && length < SHORT);
        }
        Poll::Ready(Ok(()))
    }
}

/// A stream that keeps what its socket does not take yet.
pub(crate) trait Keeps {
    /// Keeps no more than so many `bytes` from now on.
    fn keep(&mut self, bytes: usize);
}

impl<S> Keeps for server::TlsStream<S> {
    fn keep(&mut self, bytes: usize) {
        self.get_mut().1.set_buffer_limit(Some(bytes));
    }
}

impl<S> Keeps for client::TlsStream<S> {
    fn keep(&mut self, bytes: usize) {
        self.get_mut().1.set_buffer_limit(Some(bytes));
    }
}

impl<S: AsyncWrite + Keeps + Unpin> AsyncWrite for Plaintext<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.keep(bytes.len().clamp(UNSENT, LARGE));
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        self.stream.keep(length.clamp(UNSENT, LARGE));
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Waker, ready};

    use tokio::io::AsyncRead;

    use super::*;

    /// What TLS would say, one after the other; the last word holds.
    struct Script {
        pieces: Vec<io::Result<&'static [u8]>>,
    }

    impl AsyncRead for Script {
        fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            buffer.put_slice(ready!(self.poll_fill_buf(context))?);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncBufRead for Script {
        fn poll_fill_buf(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
            match self.get_mut().pieces.first() {
                Some(Ok(piece)) => Poll::Ready(Ok(piece)),
                Some(Err(error)) => Poll::Ready(Err(error.kind().into())),
                None => Poll::Pending,
            }
        }

        fn consume(mut self: Pin<&mut Self>, amount: usize) {
            if let Some(Ok(piece)) = self.pieces.first_mut() {
                *piece = piece.get(amount..).unwrap_or_default();
                if piece.is_empty() {
                    drop(self.pieces.remove(0));
                }
            }
        }
    }

    /// With so much `held` by TLS, and the rest on the socket if it has `arrived`.
    fn read(script: &mut Plaintext<Script>, arrived: bool, room: usize) -> Poll<Result<Vec<u8>, io::ErrorKind>> {
        read_held(script, |script| !script.pieces.is_empty() && arrived, arrived, room)
    }

    fn read_held(
        script: &mut Plaintext<Script>,
        held: impl Fn(&Script) -> bool,
        arrived: bool,
        room: usize,
    ) -> Poll<Result<Vec<u8>, io::ErrorKind>> {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        let socket = |_: &Script, _: &mut Context<'_>| if arrived { Poll::Ready(Ok(())) } else { Poll::Pending };
        let polled = script.poll_read(held, socket, &mut Context::from_waker(Waker::noop()), &mut buffer);
        polled.map(|done| done.map(|()| buffer.filled().to_vec()).map_err(|error| error.kind()))
    }

    fn script(pieces: Vec<io::Result<&'static [u8]>>) -> Plaintext<Script> {
        Plaintext::new(Script { pieces })
    }

    #[test]
    fn an_error_behind_data_is_told_although_nothing_more_arrives() {
        let mut script = script(vec![Ok(b"ab"), Ok(b"cd"), Err(io::ErrorKind::InvalidData.into())]);
        assert_eq!(read(&mut script, true, 9), Poll::Ready(Ok(b"abcd".to_vec())));
        assert_eq!(read(&mut script, false, 9), Poll::Ready(Err(io::ErrorKind::InvalidData)));
    }

    #[test]
    fn behind_a_short_piece_only_what_tls_holds_is_read() {
        let mut short = script(vec![Ok(b"ab"), Ok(b"cd")]);
        assert_eq!(read_held(&mut short, |_| false, true, 9), Poll::Ready(Ok(b"ab".to_vec())));
        assert_eq!(read_held(&mut short, |_| false, true, 9), Poll::Ready(Ok(b"cd".to_vec())));
        let mut rest = script(vec![Ok(b"ab"), Ok(b"cd"), Ok(b"ef")]);
        let held = |script: &Script| script.pieces.len() == 3;
        assert_eq!(read_held(&mut rest, held, true, 9), Poll::Ready(Ok(b"abcd".to_vec())), "behind the end of a longer one");
        static LONG: [u8; SHORT] = [b'a'; SHORT];
        let mut long = script(vec![Ok(&LONG), Ok(b"cd")]);
        let read = read_held(&mut long, |_| false, true, 2 * SHORT).map(|read| read.map(|bytes| bytes.len()));
        assert_eq!(read, Poll::Ready(Ok(SHORT + 2)));
    }

    #[test]
    fn what_has_not_arrived_is_not_asked_for() {
        let mut script = script(vec![Ok(b"abcd")]);
        assert_eq!(read(&mut script, false, 9), Poll::Pending);
        assert_eq!(read(&mut script, true, 3), Poll::Ready(Ok(b"abc".to_vec())));
        assert_eq!(read(&mut script, true, 3), Poll::Ready(Ok(b"d".to_vec())));
        assert_eq!(read(&mut script, true, 3), Poll::Pending);
    }

    #[test]
    fn the_end_is_told_each_time() {
        let mut script = script(vec![Ok(b"a"), Ok(b"")]);
        assert_eq!(read(&mut script, true, 9), Poll::Ready(Ok(b"a".to_vec())));
        assert_eq!(read(&mut script, true, 9), Poll::Ready(Ok(Vec::new())));
        assert_eq!(read(&mut script, true, 9), Poll::Ready(Ok(Vec::new())));
    }
}
