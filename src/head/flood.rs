//! HTTP/2 peers that send frames without substance: so many, and the stream has ended.
//!
//! The engine answers each PING and SETTINGS and drops what it does not know, for as long as they come (CVE-2019-9512, CVE-2019-9515
//! and their kin). Here only the nine bytes before each frame are looked at (RFC 9113 §4.1); what is wrong with them is the
//! engine's to say.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Frames without substance that a peer may be ahead by.
const ALLOWANCE: u32 = 1000;
/// One more of them each.
const REFILL: Duration = Duration::from_millis(30);
/// Bytes of ours that entitle a peer to one frame in answer: a window opened, a message without a body. Twice a shortest frame's worth.
const ANSWERED: usize = 5;
/// Answers that a peer may owe.
const OWED: u32 = 100_000;
/// PINGs that a peer may owe.
const PINGS_OWED: u32 = 1000;
/// What a caller sends before its first frame (RFC 9113 §3.4).
const PREFACE: usize = 24;
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;

/// A peer floods.
#[derive(Debug, thiserror::Error)]
#[error("too many HTTP/2 frames without substance")]
pub(crate) struct Flood;

/// An HTTP/2 stream whose incoming frames are counted.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    meter: Meter,
}

#[derive(Debug)]
struct Meter {
    came: Heads,
    went: Heads,
    /// It is a service, not a caller.
    answers: bool,
    left: u32,
    /// Frames that the peer may send on account of what we sent.
    owed: u32,
    /// PINGs that it may send on account of the DATA frames we sent: gRPC measures its bandwidth by one for each.
    pings: u32,
    /// When `left` was last filled up.
    filled: Instant,
}

/// The heads of the frames that go one way.
#[derive(Debug)]
struct Heads {
    head: [u8; HEAD],
    /// Bytes of `head` that have come.
    have: usize,
    /// Bytes until the next head.
    skip: usize,
}

/// What the head of a frame says of it.
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
}

impl<S> Metered<S> {
    /// What a caller sends.
    pub(crate) fn requests(stream: S) -> Self {
        Self { stream, meter: Meter::of_caller() }
    }

    /// What a service sends.
    pub(crate) fn responses(stream: S) -> Self {
        Self { stream, meter: Meter::of_service() }
    }
}

impl Heads {
    /// Bytes that are no frame come first: `skip` of them.
    fn new(skip: usize) -> Self {
        Self { head: [0; HEAD], have: 0, skip }
    }

    /// The next frame whose head is whole; `bytes` is moved behind that head, or to its end.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let (_payload, rest) = bytes.split_at(skipped);
        let wanted = (HEAD - self.have).min(rest.len());
        let (head, rest) = rest.split_at(wanted);
        *bytes = rest;
        self.head.get_mut(self.have..self.have + wanted)?.copy_from_slice(head);
        self.have += wanted;
        if self.have < HEAD {
            return None;
        }
        self.have = 0;
        let [high, middle, low, kind, flags, ..] = self.head;
        self.skip = u32::from_be_bytes([0, high, middle, low]) as usize;
        Some(Frame { length: self.skip, kind, flags })
    }
}

impl Meter {
    fn of_caller() -> Self {
        Self::new(PREFACE, 0, false)
    }

    fn of_service() -> Self {
        Self::new(0, PREFACE, true)
    }

    /// Bytes that are no frame come first: so many of the peer's, and so many of ours.
    fn new(came: usize, went: usize, answers: bool) -> Self {
        let (came, went) = (Heads::new(came), Heads::new(went));
        Self { came, went, answers, left: ALLOWANCE, owed: 0, pings: 0, filled: Instant::now() }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while let Some(frame) = self.came.next(&mut bytes) {
            self.weigh(&frame)?;
        }
        Ok(())
    }

    fn weigh(&mut self, frame: &Frame) -> Result<(), Flood> {
        let last = frame.flags & END_STREAM != 0;
        match frame.kind {
            DATA if frame.length > 0 || last => self.left = ALLOWANCE.min(self.left + 1),
            // Our answers to PINGs are no DATA: they pay for none.
            PING if self.pings > 0 => self.pings -= 1,
            // Windows open as fast as we fill them, and messages without a body answer one of ours.
            WINDOW_UPDATE if self.owed > 0 => self.owed -= 1,
            HEADERS if last && self.owed > 0 => self.owed -= 1,
            // A service that needed no more of a body than it has read asks us to stop (RFC 9113 §8.1). From a caller, one request each and
            // its end are a flood of their own (CVE-2023-44487).
            RST_STREAM if self.answers && self.owed > 0 => self.owed -= 1,
            _ => self.spend()?,
        }
        Ok(())
    }

    /// The first `written` bytes of `slices` went out.
    fn wrote<'a>(&mut self, slices: impl IntoIterator<Item = &'a [u8]>, written: usize) {
        let owed = u32::try_from(written / ANSWERED).unwrap_or(OWED);
        self.owed = OWED.min(self.owed.saturating_add(owed).saturating_add(1));
        let mut left = written;
        for slice in slices {
            let mut bytes = slice.get(..left.min(slice.len())).unwrap_or_default();
            left -= bytes.len();
            while let Some(frame) = self.went.next(&mut bytes) {
                self.pings = PINGS_OWED.min(self.pings + u32::from(frame.kind == DATA));
            }
        }
    }

    fn spend(&mut self) -> Result<(), Flood> {
        if self.left == 0 {
            let earned = self.filled.elapsed().as_millis() / REFILL.as_millis();
            self.left = ALLOWANCE.min(u32::try_from(earned).unwrap_or(ALLOWANCE));
            self.filled = Instant::now();
        }
        self.left = self.left.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(this.meter.take(came).map_err(io::Error::other))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.meter.wrote([bytes], written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
        this.meter.wrote(slices.iter().map(|slice| &**slice), written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a length").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1][..], &vec![0; payload][..]].concat()
    }

    fn flooded(mut meter: Meter, bytes: &[u8], step: usize) -> bool {
        bytes.chunks(step).any(|piece| meter.take(piece).is_err())
    }

    #[test]
    fn t112_frames_without_substance_are_bounded_however_they_arrive() {
        let rows = [
            ("ping", frame(6, 0, 8)),
            ("settings", frame(4, 0, 6)),
            ("empty data", frame(DATA, 0, 0)),
            ("continuation", frame(9, 0, 0)),
            ("reset", frame(RST_STREAM, 0, 4)),
            ("interim responses", frame(HEADERS, 4, 20)),
            ("a kind that nobody knows", frame(0xee, 0, 3)),
            ("windows", frame(WINDOW_UPDATE, 0, 4)),
            ("messages without a body", frame(HEADERS, 4 | END_STREAM, 20)),
        ];
        for (what, one) in rows {
            for step in [1, 7, 9, 4096] {
                assert!(!flooded(Meter::new(0, 0, false), &one.repeat(900), step), "{what} {step}");
                assert!(flooded(Meter::new(0, 0, false), &one.repeat(1500), step), "{what} {step}");
            }
        }
    }

    #[test]
    fn what_carries_something_is_never_too_much() {
        let exchange = [frame(HEADERS, 4, 30), frame(DATA, 0, 1), frame(DATA, END_STREAM, 0), frame(6, 0, 8)].concat();
        assert!(!flooded(Meter::new(0, 0, false), &exchange.repeat(10_000), 1000));
        let short = [frame(HEADERS, 4 | END_STREAM, 30), frame(WINDOW_UPDATE, 0, 4).repeat(2)].concat();
        let mut meter = Meter::new(0, 0, false);
        for _ in 0..10_000 {
            // The least that answers it: a head, and one byte in a frame of its own.
            meter.wrote([&frame(HEADERS, 4, 1)[..]], 10);
            meter.wrote([&frame(DATA, 0, 1)[..]], 10);
            meter.take(&short).expect("an exchange");
        }
    }

    #[test]
    fn t112_a_service_may_end_each_stream_that_we_began_and_a_caller_may_not() {
        let (request, reset) = (frame(HEADERS, 4, 30), frame(RST_STREAM, 0, 4));
        let answer = [frame(HEADERS, 4, 30), frame(DATA, END_STREAM, 9), reset.clone()].concat();
        let mut service = Meter::of_service();
        service.wrote([&[b'P'; PREFACE][..]], PREFACE);
        for _ in 0..10_000 {
            service.wrote([&request[..]], request.len());
            service.take(&answer).expect("an answer that ends the request as well");
        }
        assert!((0..100_000).any(|_| service.take(&reset).is_err()), "resets of nothing");
        let mut caller = Meter::of_caller();
        caller.take(&[b'P'; PREFACE]).expect("the preface");
        let whole = [request.clone(), frame(DATA, END_STREAM, 9)].concat();
        for (sent, flooded) in [(whole.clone(), false), ([whole, reset].concat(), true)] {
            let flood = (0..1500).any(|_| {
                caller.wrote([&request[..]], request.len());
                caller.take(&sent).is_err()
            });
            assert_eq!(flood, flooded);
        }
    }

    #[test]
    fn what_we_send_is_paid_for_by_as_many_pings_and_our_answers_to_them_are_not() {
        let (ping, answer, data) = (frame(PING, 0, 8), frame(PING, 1, 8), frame(DATA, 0, 5));
        for step in [1, 7, 9, 4096] {
            let mut meter = Meter::of_service();
            meter.wrote([&[b'P'; PREFACE][..]], PREFACE);
            for _ in 0..5000 {
                // One write may end anywhere, and hold slices that it did not come to.
                for piece in [&data[..], &answer].concat().chunks(step) {
                    meter.wrote([piece, &data], piece.len());
                }
                meter.take(&ping).expect("a ping that measures");
            }
            let flooded = (0..3000).any(|_| {
                meter.wrote([&answer[..9], &answer[9..]], answer.len());
                meter.take(&ping).is_err()
            });
            assert!(flooded, "pings are answered, and nothing else is sent");
        }
    }

    #[test]
    fn the_preface_is_no_frame() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        assert_eq!(preface.len(), PREFACE);
        for step in [1, 10, 5000] {
            let sound = [&preface[..], &frame(4, 0, 12), &frame(DATA, 0, 16_384).repeat(50)].concat();
            assert!(!flooded(Meter::of_caller(), &sound, step));
            let flood = [&preface[..], &frame(6, 0, 8).repeat(1500)].concat();
            assert!(flooded(Meter::of_caller(), &flood, step));
        }
    }
}
