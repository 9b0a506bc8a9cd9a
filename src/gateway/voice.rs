//! `Voice`: what is said to one node, line by line, and the answer's body that it becomes.
//!
//! Nothing is queued beyond a few lines: what comes after is looked up when there is room, and who makes no room is cut off.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

/// A node that takes nothing for so long is cut off, and begins anew.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lines on their way to a node.
const AHEAD: usize = 8;

/// The other end takes no more.
#[derive(Debug)]
pub(super) struct Left;

/// Says lines to a node.
pub(super) struct Voice {
    sender: mpsc::Sender<Bytes>,
    spoke: Instant,
}

/// What was said, until nobody has more to say.
pub(super) struct Telling(mpsc::Receiver<Bytes>);

impl Voice {
    /// A voice, and what it says.
    pub(super) fn new() -> (Self, Telling) {
        let (sender, lines) = mpsc::channel(AHEAD);
        (Self { sender, spoke: Instant::now() }, Telling(lines))
    }

    /// Says `line` once there is room for it.
    ///
    /// # Errors
    /// [`Left`] where nobody listens, or nothing was taken for too long.
    pub(super) async fn say(&mut self, line: Zeroizing<Vec<u8>>) -> Result<(), Left> {
        self.spoke = Instant::now();
        // Wiped when the last copy of it goes.
        let line = Bytes::from_owner(line);
        match timeout(PATIENCE, self.sender.send(line)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Left),
        }
    }

    /// Whether nobody listens any more.
    pub(super) fn is_left(&self) -> bool {
        self.sender.is_closed()
    }

    /// How long it has been silent.
    pub(super) fn silent(&self) -> Duration {
        self.spoke.elapsed()
    }
}

impl http_body::Body for Telling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn line() -> Zeroizing<Vec<u8>> {
        Zeroizing::new(b"{}\n".to_vec())
    }

    #[tokio::test(start_paused = true)]
    async fn i7_who_reads_slowly_is_waited_for_and_who_takes_nothing_is_cut_off() {
        let (mut voice, mut body) = Voice::new();
        for _ in 0..AHEAD {
            voice.say(line()).await.expect("room");
        }
        // Slower than it is told, but it reads: each line that it takes makes room for one.
        for _ in 0..3 {
            let late = async {
                tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
                body.frame().await.expect("a line").expect("sound");
            };
            let (said, ()) = tokio::join!(voice.say(line()), late);
            said.expect("room in time");
        }
        let begun = Instant::now();
        assert!(voice.say(line()).await.is_err(), "nothing was taken");
        assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
        // Who gives up drops the voice, and with it the stream ends.
        drop(voice);
        let mut rest = 0;
        while body.frame().await.is_some() {
            rest += 1;
        }
        assert_eq!(rest, AHEAD, "no more than there was room for");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_left_is_noticed_at_once() {
        let (mut voice, body) = Voice::new();
        drop(body);
        let begun = Instant::now();
        assert!(voice.say(line()).await.is_err() && begun.elapsed().is_zero());
    }
}
