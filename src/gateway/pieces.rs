//! `Pieces`: an answer that is made while it is sent, piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Who takes nothing for so long has left.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pieces on their way.
const AHEAD: usize = 2;

/// The body of the answer. It ends whole when nobody has more to say, and broken after a failure, so that nobody takes a part for all of it.
pub(super) struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

/// What makes them.
pub(super) struct Maker(mpsc::Sender<io::Result<Bytes>>);

impl Pieces {
    pub(super) fn new() -> (Maker, Self) {
        let (sender, pieces) = mpsc::channel(AHEAD);
        (Maker(sender), Self(pieces))
    }
}

impl Maker {
    /// Sends one; says whether anybody still takes them.
    pub(super) async fn send(&self, piece: io::Result<Bytes>) -> bool {
        matches!(timeout(PATIENCE, self.0.send(piece)).await, Ok(Ok(())))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn i7_pieces_are_made_as_they_are_taken() {
        let (maker, mut body) = Pieces::new();
        for _ in 0..AHEAD {
            assert!(maker.send(Ok(Bytes::from_static(b"x"))).await);
        }
        assert!(!maker.send(Ok(Bytes::from_static(b"x"))).await, "nothing was taken");
        drop(body.frame().await);
        assert!(maker.send(Err(io::ErrorKind::Other.into())).await);
        drop(maker);
        assert!(body.collect().await.is_err(), "a part is not taken for the whole");
        let (maker, body) = Pieces::new();
        drop(body);
        assert!(!maker.send(Ok(Bytes::new())).await);
    }
}
