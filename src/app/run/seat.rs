//! `Seat`: one worker thread, its runtime and its streams.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

use crate::audit::Log;
use crate::listener::Peer;
use crate::proxy::{Listener, Proxy, Worker};
use crate::upstream::Dialler;

/// How often connections to services are looked through.
const SWEEP: Duration = Duration::from_secs(10);

/// A stream as it was accepted, from whom, and where.
pub(super) type Accepted = (std::net::TcpStream, Peer, Arc<Listener>);

/// What one worker thread is given.
pub(super) struct Seat {
    pub(super) proxy: Arc<Proxy>,
    pub(super) dialler: Arc<Dialler>,
    pub(super) log: Arc<Log>,
    pub(super) count: Arc<AtomicUsize>,
}

impl Seat {
    /// Serves what it is handed until nothing more can come, then waits up to `drain` for what is under way.
    pub(super) fn run(self, receive: mpsc::UnboundedReceiver<Accepted>, drain: Duration) {
        let built = Builder::new_current_thread().enable_all().max_blocking_threads(128).build_local(LocalOptions::default());
        let runtime = match built {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "a worker has no runtime"),
        };
        runtime.block_on(self.work(receive, drain));
    }

    async fn work(self, mut receive: mpsc::UnboundedReceiver<Accepted>, drain: Duration) {
        let spool = match self.log.spool() {
            Ok(spool) => spool,
            Err(error) => return tracing::error!(error = &error as &dyn std::error::Error, "a worker has no audit spool"),
        };
        let worker = Worker::new(self.proxy, self.dialler, spool, self.count);
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                accepted = receive.recv() => match accepted {
                    Some((stream, peer, listener)) => worker.accept(stream, peer, listener),
                    None => break,
                },
                _ = sweep.tick() => worker.sweep(),
            }
        }
        if tokio::time::timeout(drain, worker.drained()).await.is_err() {
            tracing::warn!(streams = worker.under_way(), "streams were cut off at the end of the drain");
        }
    }
}
