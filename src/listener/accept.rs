//! One accept loop hands streams to whoever takes them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use super::unix::{UnixDoor, UnixPeer, as_stream};

/// What is said to a caller that comes when every place is taken.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable (limit)\r\nretry-after: 1\r\nnexus-refusal: limit\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Socket {
    /// A port.
    Tcp(std::net::TcpListener),
    /// A file.
    Unix(UnixDoor),
}

impl Socket {
    /// Its address, if it is a port.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// Who is at the other end of a stream.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// Somebody at this address.
    Tcp(SocketAddr),
    /// A process of this machine.
    Unix(UnixPeer),
}

/// What a door's streams are handed to. It must not block.
pub(crate) type Handle = Box<dyn Fn(std::net::TcpStream, Peer) + Send + Sync>;

/// A bound socket and what its streams are handed to.
pub(crate) struct Door {
    pub(crate) socket: Socket,
    pub(crate) handle: Handle,
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

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Accepting {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(socket) => socket.accept().await.map(|(stream, peer)| Accepted::Tcp(stream, peer)),
            Self::Unix(socket) => socket.accept().await.map(|(stream, _unnamed)| Accepted::Unix(stream)),
        }
    }
}

impl Accepted {
    /// Says why, as far as the socket's buffer takes it, and closes.
    fn turn_away(&self) {
        let written = match self {
            Self::Tcp(stream, _) => stream.try_write(FULL),
            Self::Unix(stream) => stream.try_write(FULL),
        };
        if let Err(error) = written {
            tracing::debug!(%error, "a caller that came too late left without an answer");
        }
    }

    fn hand_on(self, handle: &Handle) -> io::Result<()> {
        match self {
            Self::Tcp(stream, peer) => handle(stream.into_std()?, Peer::Tcp(peer)),
            Self::Unix(stream) => {
                let peer = UnixPeer::of(&stream)?;
                handle(as_stream(stream)?, Peer::Unix(peer));
            }
        }
        Ok(())
    }
}

/// Accepts until told to stop. Running out of descriptors slows it down and never ends it.
pub(crate) async fn accept(Door { socket, handle }: Door, stop: Stop) {
    let begun = match socket {
        Socket::Tcp(socket) => TcpListener::from_std(socket).map(|socket| (Accepting::Tcp(socket), None)),
        Socket::Unix(door) => door.split().map(|(socket, file)| (Accepting::Unix(socket), Some(file))),
    };
    match begun {
        Ok((socket, _file)) => accept_all(&socket, &handle, stop).await,
        Err(error) => tracing::error!(%error, "a listening socket can't be used"),
    }
}

async fn accept_all(socket: &Accepting, handle: &Handle, mut stop: Stop) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            changed = stop.stopping.changed() => {
                if changed.is_err() || *stop.stopping.borrow() {
                    return;
                }
                continue;
            }
        };
        match accepted {
            Ok(stream) if stop.count.load(Ordering::Relaxed) >= stop.limit => stream.turn_away(),
            Ok(stream) => {
                if let Err(error) = stream.hand_on(handle) {
                    tracing::debug!(%error, "an accepted stream could not be handed on");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a stream could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
