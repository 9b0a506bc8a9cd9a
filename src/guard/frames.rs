//! `Frames`: WebSocket messages (RFC 6455 §5) as a service sends them, scrubbed across the frames of each.

use std::collections::VecDeque;

use bytes::Bytes;

use super::scrubber::{Scrubber, StandIn};

/// RFC 6455 §5.5.
const LONGEST_CONTROL: u64 = 125;

/// Bytes that no service may send where no extension was agreed on: then nobody could say what they hold.
#[derive(Debug, thiserror::Error)]
#[error("the service sent a WebSocket frame that can't be read")]
pub(crate) struct Unreadable;

/// The frames of one direction. As many bytes come out as went in.
#[derive(Debug)]
pub(crate) struct Frames {
    scrubber: Scrubber,
    control: Scrubber,
    /// What came of the next frame's head.
    head: Vec<u8>,
    /// The frame whose payload is coming.
    frame: Option<Frame>,
    /// Heads and control frames that wait for the payload before them, by how much of the payload that is.
    waiting: VecDeque<(u64, Vec<u8>)>,
    taken: u64,
    released: u64,
}

#[derive(Debug)]
struct Frame {
    left: u64,
    /// The message ends with it.
    last: bool,
    /// Its head, and what came of its payload, where it is a control frame.
    control: Option<Vec<u8>>,
}

impl Frames {
    /// The messages are scrubbed by a scrubber such as this.
    pub(crate) fn new(scrubber: Scrubber) -> Self {
        let control = scrubber.another();
        let (head, frame, waiting) = (Vec::new(), None, VecDeque::new());
        Self { scrubber, control, head, frame, waiting, taken: 0, released: 0 }
    }

    /// How many spellings were replaced since this was last asked.
    pub(crate) fn take_hits(&mut self) -> u32 {
        self.scrubber.take_hits().saturating_add(self.control.take_hits())
    }

    /// Takes what came, and puts out what can go on.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(crate) fn feed(
        &mut self,
        mut data: Bytes,
        out: &mut Vec<u8>,
        stand_in: &dyn Fn() -> StandIn,
    ) -> Result<(), Unreadable> {
        while !data.is_empty() {
            match self.frame.take() {
                None => {
                    self.head.push(data.split_to(1).first().copied().unwrap_or_default());
                    self.begin()?;
                }
                Some(mut frame) => {
                    let length = usize::try_from(frame.left).map_or(data.len(), |left| left.min(data.len()));
                    frame.left -= length as u64;
                    let piece = data.split_to(length);
                    self.payload(frame, piece, out, stand_in);
                }
            }
            // A frame may have no payload.
            if let Some(frame) = self.frame.take_if(|frame| frame.left == 0) {
                self.payload(frame, Bytes::new(), out, stand_in);
            }
            self.put_out(Bytes::new(), out);
        }
        Ok(())
    }

    /// What was held back; the stream has ended.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>, stand_in: &dyn Fn() -> StandIn) {
        let rest = self.scrubber.finish(stand_in);
        self.put_out(rest, out);
        out.append(&mut self.head);
        out.extend(self.frame.take().and_then(|frame| frame.control).unwrap_or_default());
    }

    /// Begins a frame once its head is whole.
    fn begin(&mut self) -> Result<(), Unreadable> {
        let Some(Opening { left, last, is_control }) = opening(&self.head)? else { return Ok(()) };
        let head = std::mem::take(&mut self.head);
        let control = if is_control {
            Some(head)
        } else {
            self.waiting.push_back((self.taken, head));
            None
        };
        self.frame = Some(Frame { left, last, control });
        Ok(())
    }

    /// A piece of the payload of `frame`.
    fn payload(&mut self, mut frame: Frame, piece: Bytes, out: &mut Vec<u8>, stand_in: &dyn Fn() -> StandIn) {
        let ended = frame.left == 0;
        match &mut frame.control {
            Some(whole) => {
                whole.extend_from_slice(&piece);
                if ended {
                    let whole = self.control.feed(Bytes::from(std::mem::take(whole)), true, stand_in);
                    self.waiting.push_back((self.taken, whole.to_vec()));
                }
            }
            None => {
                self.taken += piece.len() as u64;
                let piece = self.scrubber.feed(piece, ended && frame.last, stand_in);
                self.put_out(piece, out);
            }
        }
        self.frame = Some(frame).filter(|_| !ended);
    }

    /// Payload, and the heads between.
    fn put_out(&mut self, mut piece: Bytes, out: &mut Vec<u8>) {
        loop {
            let next = self.waiting.front().map_or(u64::MAX, |(at, _)| *at);
            let before = usize::try_from(next - self.released).map_or(piece.len(), |before| before.min(piece.len()));
            out.extend_from_slice(&piece.split_to(before));
            self.released += before as u64;
            match self.waiting.pop_front_if(|(at, _)| *at == self.released) {
                Some((_, head)) => out.extend(head),
                None => return,
            }
        }
    }
}

/// What the head of a frame says.
struct Opening {
    left: u64,
    last: bool,
    is_control: bool,
}

/// RFC 6455 §5.2; `None` while `head` is not whole.
fn opening(head: &[u8]) -> Result<Option<Opening>, Unreadable> {
    let [first, second, extended @ ..] = head else { return Ok(None) };
    // Extensions give meaning to the reserved bits, and only callers mask (§5.1).
    if first & 0x70 != 0 || second & 0x80 != 0 {
        return Err(Unreadable);
    }
    let wanted = match second {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if extended.len() < wanted {
        return Ok(None);
    }
    let left = match wanted {
        0 => u64::from(*second),
        _ => extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let is_control = first & 0x08 != 0;
    if is_control && left > LONGEST_CONTROL {
        return Err(Unreadable);
    }
    Ok(Some(Opening { left, last: first & 0x80 != 0, is_control }))
}
