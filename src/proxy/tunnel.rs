//! CONNECT we leave shut: bytes both ways, back-pressure, half-close, an idle deadline.
//!
//! Between two TCP streams on Linux the bytes never leave the kernel (`splice(2)` through a pipe); elsewhere, and where one side is
//! TLS, they are copied through one buffer per direction.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};

use crate::guard::Unreadable;

const BUFFER: usize = 64 * 1024;

/// Bytes each way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    /// From the caller.
    pub(super) up: u64,
    /// To the caller.
    pub(super) down: u64,
}

/// What ends a relay besides its two sides.
pub(super) struct Leave<F> {
    /// Silence both ways.
    pub(super) idle: Duration,
    /// Ready once it may not go on, with why.
    pub(super) over: F,
}

/// Why a relay ended before both sides had.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// One side broke.
    #[error("one side broke off")]
    Broken(#[from] io::Error),
    /// Nothing moved for too long.
    #[error("nothing moved")]
    Idle,
    /// The agent may not act any more.
    #[error("the agent was revoked")]
    Revoked,
    /// The time is over for which a rule let it on.
    #[error("the rule's time is over")]
    Hours,
}

impl End {
    /// A stable word for records.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Broken(_) => "broken_off",
            Self::Idle => "idle",
            Self::Revoked => "agent_revoked",
            Self::Hours => "rule_over",
        }
    }

    /// Why it was broken off by us, where it was.
    pub(super) fn cause(&self) -> Option<&'static str> {
        let Self::Broken(error) = self else { return None };
        error.get_ref()?.is::<Unreadable>().then_some("unreadable_frame")
    }
}

/// What the two directions share: how much moved, and when something last did.
#[derive(Debug)]
struct Shared {
    up: Cell<u64>,
    down: Cell<u64>,
    last: Cell<Instant>,
}

/// Relays until both sides have ended, one side fails, or it is time to `leave`.
///
/// The count is right whichever way it ends.
pub(super) async fn relay<A, B>(caller: A, service: B, leave: Leave<impl Future<Output = End>>) -> (Moved, Result<(), End>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let shared = Rc::new(Shared { up: Cell::new(0), down: Cell::new(0), last: Cell::new(Instant::now()) });
    let (caller_read, caller_write) = tokio::io::split(caller);
    let (service_read, service_write) = tokio::io::split(service);
    let up = copy(caller_read, service_write, &shared, &shared.up);
    let down = copy(service_read, caller_write, &shared, &shared.down);
    let both = async { tokio::try_join!(up, down).map(|((), ())| ()) };
    let outcome = until_end(both, &shared, leave).await;
    (Moved { up: shared.up.get(), down: shared.down.get() }, outcome)
}

async fn copy<R, W>(mut from: ReadHalf<R>, mut to: WriteHalf<W>, shared: &Shared, count: &Cell<u64>) -> io::Result<()>
where
    R: AsyncRead,
    W: AsyncWrite,
{
    let mut buffer = bytes::BytesMut::new();
    loop {
        buffer.reserve(BUFFER);
        let length = from.read_buf(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all_buf(&mut buffer).await?;
        to.flush().await?;
        count.set(count.get() + length as u64);
        shared.last.set(Instant::now());
        if length < BUFFER / 4 {
            // A quiet stream holds no buffer.
            buffer = bytes::BytesMut::new();
        }
    }
}

/// Runs `work` until it is time to `leave`.
async fn until_end(
    work: impl Future<Output = io::Result<()>>,
    shared: &Shared,
    leave: Leave<impl Future<Output = End>>,
) -> Result<(), End> {
    let Leave { idle, over } = leave;
    let (mut work, mut over) = (std::pin::pin!(work), std::pin::pin!(over));
    loop {
        let left = idle.saturating_sub(shared.last.get().elapsed());
        if left.is_zero() {
            return Err(End::Idle);
        }
        tokio::select! {
            outcome = &mut work => return Ok(outcome?),
            end = &mut over => return Err(end),
            () = tokio::time::sleep(left) => {}
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use spliced::relay_tcp;

/// Splices between two sockets: the kernel moves pages, we move nothing.
#[cfg(target_os = "linux")]
mod spliced {
    use std::os::fd::OwnedFd;

    use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    use super::{Cell, End, Instant, Leave, Moved, Rc, Shared, io, until_end};

    const CHUNK: usize = 1024 * 1024;

    /// As [`super::relay`], for two TCP streams.
    pub(in super::super) async fn relay_tcp(
        caller: &TcpStream,
        service: &TcpStream,
        leave: Leave<impl Future<Output = End>>,
    ) -> (Moved, Result<(), End>) {
        let shared = Rc::new(Shared { up: Cell::new(0), down: Cell::new(0), last: Cell::new(Instant::now()) });
        let up = copy(caller, service, &shared, &shared.up);
        let down = copy(service, caller, &shared, &shared.down);
        let both = async { tokio::try_join!(up, down).map(|((), ())| ()) };
        let outcome = until_end(both, &shared, leave).await;
        (Moved { up: shared.up.get(), down: shared.down.get() }, outcome)
    }

    struct Pipe {
        read: OwnedFd,
        write: OwnedFd,
    }

    impl Pipe {
        fn new() -> io::Result<Self> {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            Ok(Self { read, write })
        }
    }

    async fn copy(from: &TcpStream, to: &TcpStream, shared: &Shared, count: &Cell<u64>) -> io::Result<()> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        loop {
            from.readable().await?;
            // The pipe lives only while bytes move: an idle tunnel holds two sockets and nothing else.
            let pipe = Pipe::new()?;
            loop {
                let filled = from.try_io(Interest::READABLE, || Ok(splice(from, None, &pipe.write, None, CHUNK, flags)?));
                let mut left = match filled {
                    Ok(0) => return shut(to),
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                while left > 0 {
                    to.writable().await?;
                    match to.try_io(Interest::WRITABLE, || Ok(splice(&pipe.read, None, to, None, left, flags)?)) {
                        Ok(moved) => {
                            left -= moved.min(left);
                            count.set(count.get() + moved as u64);
                            shared.last.set(Instant::now());
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// Passes the end of one direction on (half-close); the other goes on.
    fn shut(stream: &TcpStream) -> io::Result<()> {
        match rustix::net::shutdown(stream, rustix::net::Shutdown::Write) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("address")).await.expect("a connection");
        (near, listener.accept().await.expect("a connection").0)
    }

    async fn talk(mut caller: TcpStream, mut service: TcpStream) {
        let message = vec![7_u8; 300_000];
        let (sent, received) = (message.clone(), message.clone());
        let up = async move {
            caller.write_all(&sent).await.expect("write");
            caller.shutdown().await.expect("half-close");
            let mut answer = Vec::new();
            caller.read_to_end(&mut answer).await.expect("read");
            answer
        };
        let down = async move {
            let mut request = Vec::new();
            service.read_to_end(&mut request).await.expect("read");
            service.write_all(&received).await.expect("write");
            request
        };
        let (answer, request) = tokio::join!(up, down);
        assert!(answer == message && request == message);
    }

    fn after(idle: Duration) -> Leave<impl Future<Output = End>> {
        Leave { idle, over: std::future::pending() }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(test);
    }

    #[test]
    fn bytes_and_half_closes_go_both_ways() {
        run(async {
            let ((near, caller), (service, far)) = (pair().await, pair().await);
            let relayed = relay(caller, service, after(Duration::from_secs(10)));
            let ((), (moved, outcome)) = tokio::join!(talk(near, far), relayed);
            assert!(outcome.is_ok(), "{outcome:?}");
            assert_eq!(moved, Moved { up: 300_000, down: 300_000 });
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn spliced_bytes_and_half_closes_go_both_ways() {
        run(async {
            let ((near, caller), (service, far)) = (pair().await, pair().await);
            let ((), (moved, outcome)) =
                tokio::join!(talk(near, far), relay_tcp(&caller, &service, after(Duration::from_secs(10))));
            drop((caller, service));
            assert!(outcome.is_ok(), "{outcome:?}");
            assert_eq!(moved, Moved { up: 300_000, down: 300_000 });
        });
    }

    #[test]
    fn i7_a_silent_tunnel_ends() {
        run(async {
            let ((_near, caller), (service, _far)) = (pair().await, pair().await);
            let (moved, outcome) = relay(caller, service, after(Duration::from_millis(20))).await;
            assert_eq!(moved, Moved::default());
            assert!(matches!(outcome, Err(End::Idle)), "{outcome:?}");
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn i7_a_silent_spliced_tunnel_ends() {
        run(async {
            let ((_near, caller), (service, _far)) = (pair().await, pair().await);
            let (moved, outcome) = relay_tcp(&caller, &service, after(Duration::from_millis(20))).await;
            assert_eq!(moved, Moved::default());
            assert!(matches!(outcome, Err(End::Idle)), "{outcome:?}");
        });
    }
}
