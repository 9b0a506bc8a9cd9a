//! One accept loop hands streams to whoever takes them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

/// What is said to a caller that comes when every place is taken.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable (limit)\r\nretry-after: 1\r\nnexus-refusal: limit\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A bound socket and what its streams are handed to. The handler must not block.
pub(crate) struct Door {
    pub(crate) socket: TcpListener,
    pub(crate) handle: Box<dyn Fn(std::net::TcpStream, SocketAddr) + Send>,
}

/// Counts streams and says when to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) stopping: watch::Receiver<bool>,
    /// Streams under way, over all doors.
    pub(crate) count: Arc<AtomicUsize>,
    /// How many there may be.
    pub(crate) limit: usize,
}

/// Accepts until told to stop. Running out of descriptors slows it down and never ends it.
pub(crate) async fn accept(door: Door, mut stop: Stop) {
    loop {
        let accepted = tokio::select! {
            accepted = door.socket.accept() => accepted,
            changed = stop.stopping.changed() => {
                if changed.is_err() || *stop.stopping.borrow() {
                    return;
                }
                continue;
            }
        };
        match accepted {
            Ok((stream, _peer)) if stop.count.load(Ordering::Relaxed) >= stop.limit => turn_away(&stream),
            Ok((stream, peer)) => match stream.into_std() {
                Ok(stream) => (door.handle)(stream, peer),
                Err(error) => tracing::debug!(%error, "an accepted stream could not be handed on"),
            },
            Err(error) => {
                tracing::warn!(%error, "a stream could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Says why, as far as the socket's buffer takes it, and closes.
fn turn_away(stream: &tokio::net::TcpStream) {
    if let Err(error) = stream.try_write(FULL) {
        tracing::debug!(%error, "a caller that came too late left without an answer");
    }
}
