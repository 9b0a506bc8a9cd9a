//! More off a socket at once than its reader asks for.
//!
//! TLS takes about one record at a time (16 KiB, RFC 8446 §5.1). While a body goes through, that would be a system call for each.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::ample::Ample;
use crate::write_through::write_through;

/// What the socket is asked for once it has more than its reader took.
const AHEAD: usize = 128 * 1024;
/// The same, while many streams hold what their readers leave.
const LESS: usize = 32 * 1024;
/// Behind a shorter piece there is seldom more.
const SHORT: usize = 16 * 1024;

thread_local! {
    /// A buffer that the next piece may use: while nothing is left over, no stream holds one.
    static SPARE: Cell<BytesMut> = Cell::default();
}

/// How many streams hold the rest of a large piece.
static HOLDING: AtomicUsize = AtomicUsize::new(0);

/// A stream that is read ahead while a lot comes. One that is idle, or whose messages are short, holds nothing.
#[derive(Debug)]
pub(crate) struct ReadAhead<S> {
    stream: S,
    left: BytesMut,
    /// For as long as something of a large piece is left.
    ample: Option<Ample>,
    /// The last reader's buffer was full: there is more.
    eager: bool,
}

impl<S> ReadAhead<S> {
    /// Reads `stream` from now on.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, left: BytesMut::new(), ample: None, eager: false }
    }

    /// The stream, unless something that came on it is still here.
    pub(crate) fn drained(&self) -> Option<&S> {
        self.left.is_empty().then_some(&self.stream)
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    /// Fills `left`; leaves it empty at the end of the stream.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ample = Ample::take(&HOLDING);
        let (mut piece, size) = if ample.is_some() { (SPARE.take(), AHEAD) } else { (BytesMut::new(), LESS) };
        piece.reserve(size);
        let read = pin!(self.stream.read_buf(&mut (&mut piece).limit(size))).poll(context);
        if matches!(read, Poll::Ready(Ok(1..))) {
            self.eager = piece.len() >= SHORT;
            (self.left, self.ample) = (piece, ample);
        } else if ample.is_some() {
            SPARE.set(piece);
        }
        read.map_ok(drop)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left.is_empty() {
            if !this.eager {
                ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
                this.eager = buffer.remaining() == 0;
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_ahead(context))?;
            if this.left.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        let length = this.left.len().min(buffer.remaining());
        buffer.put_slice(this.left.get(..length).unwrap_or_default());
        this.left.advance(length);
        if this.left.is_empty() {
            let emptied = std::mem::take(&mut this.left);
            if this.ample.take().is_some() {
                SPARE.set(emptied);
            }
        }
        Poll::Ready(Ok(()))
    }
}

write_through!([S: AsyncWrite + Unpin] ReadAhead<S> => stream);

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Gives of `bytes` what fits, counts how often it is asked, and ends, or waits, behind them.
    struct Source {
        bytes: Vec<u8>,
        asked: usize,
        ends: bool,
    }

    impl AsyncRead for Source {
        fn poll_read(self: Pin<&mut Self>, _context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            this.asked += 1;
            if this.bytes.is_empty() && !this.ends {
                return Poll::Pending;
            }
            let rest = this.bytes.split_off(this.bytes.len().min(buffer.remaining()));
            buffer.put_slice(&std::mem::replace(&mut this.bytes, rest));
            Poll::Ready(Ok(()))
        }
    }

    fn source(length: usize, ends: bool) -> (Vec<u8>, ReadAhead<Source>) {
        let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        (bytes.clone(), ReadAhead::new(Source { bytes, asked: 0, ends }))
    }

    fn read(stream: &mut ReadAhead<Source>, room: usize) -> Poll<Vec<u8>> {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        let polled = Pin::new(stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        polled.map(|done| done.map(|()| buffer.filled().to_vec()).expect("no error"))
    }

    #[test]
    fn short_messages_are_read_as_they_are_asked_for() {
        let (bytes, mut stream) = source(700, false);
        assert_eq!(read(&mut stream, 4096), Poll::Ready(bytes));
        assert_eq!(read(&mut stream, 4096), Poll::Pending);
        assert!(stream.left.capacity() == 0 && stream.drained().is_some(), "nothing is held");
    }

    #[test]
    fn all_bytes_come_in_order_by_few_reads_and_then_the_end() {
        let (bytes, mut stream) = source(300_000, true);
        let mut got = Vec::new();
        loop {
            match read(&mut stream, 18_000) {
                Poll::Ready(piece) if piece.is_empty() => break,
                Poll::Ready(piece) => got.extend(piece),
                Poll::Pending => panic!("it ends"),
            }
        }
        assert!(got == bytes);
        assert_eq!(read(&mut stream, 18_000), Poll::Ready(Vec::new()), "the end is told each time");
        // Where the other tests have all leave to hold more; without reading ahead there are 17.
        assert!(stream.stream.asked <= 1 + 300_000 / LESS + 4, "{}", stream.stream.asked);
        assert!(stream.left.capacity() == 0, "nothing is held");
    }

    #[test]
    fn what_is_left_is_known() {
        let (bytes, mut stream) = source(10_000, false);
        assert_eq!(read(&mut stream, 4000), Poll::Ready(bytes.get(..4000).expect("so many").to_vec()));
        assert_eq!(read(&mut stream, 4000), Poll::Ready(bytes.get(4000..8000).expect("so many").to_vec()));
        assert!(stream.drained().is_none());
        assert_eq!(read(&mut stream, 4000), Poll::Ready(bytes.get(8000..).expect("so many").to_vec()));
        assert!(stream.drained().is_some() && !stream.eager);
        assert_eq!(read(&mut stream, 4000), Poll::Pending);
    }

    #[test]
    fn many_that_stand_still_hold_little() {
        let stalled: Vec<_> = (0..50)
            .map(|_| {
                let (bytes, mut stream) = source(300_000, false);
                let mut got = Vec::new();
                for _ in 0..2 {
                    let Poll::Ready(piece) = read(&mut stream, 18_000) else { panic!("there is more") };
                    got.extend(piece);
                }
                assert!(bytes.starts_with(&got) && !stream.left.is_empty());
                stream
            })
            .collect();
        let held: usize = stalled.iter().map(|stream| stream.left.len()).sum();
        assert!(held <= 16 * AHEAD + 34 * LESS, "{held}");
        assert!(stalled.iter().all(|stream| stream.left.len() <= if stream.ample.is_some() { AHEAD } else { LESS }));
    }

    #[test]
    fn waiting_holds_nothing() {
        let (bytes, mut stream) = source(4000, false);
        assert_eq!(read(&mut stream, 4000), Poll::Ready(bytes));
        assert_eq!(read(&mut stream, 4000), Poll::Pending);
        assert!(stream.left.capacity() == 0 && stream.drained().is_some());
    }
}
