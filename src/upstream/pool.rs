//! One worker's connections to services, and the one way to send a request.
//!
//! HTTP/1.1 connections are shared by all callers; HTTP/2 ones belong to one agent. A pool lives on one thread and takes no lock.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use hyper::client::conn::{http1, http2};
use tokio::sync::oneshot;

use super::Error;
use super::dial::{Dialler, Through};
use super::direct::Direct;
use super::received::Received;
use super::stream::Stream;
use super::timers::Timers;
use crate::head::{Expectation, Gate};
use crate::model::{Authority, Map, Scheme};

/// Which versions the request can be sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    /// Whatever the service chooses.
    Any,
    /// Upgrades need HTTP/1.1.
    Http1,
}

/// Where a request goes and on whose behalf.
pub(crate) struct Destination<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) authority: &'a Authority,
    pub(crate) versions: Versions,
    /// HTTP/2 connections are not shared between agents.
    pub(crate) agent: &'a Arc<str>,
    /// Counts what moves of the request body: while it moves, the wait for the head does not begin.
    pub(crate) progress: &'a Rc<Cell<u64>>,
    /// The method is HEAD: the response has no body (RFC 9112 §6.3).
    pub(crate) head_method: bool,
    /// The request asks for an upgrade: a 101 may come.
    pub(crate) upgrade: bool,
    /// The request's body, where all of it is at hand.
    pub(crate) whole: Option<&'a Bytes>,
    /// Told when the request goes over HTTP/2, where no 100 is heard of: it goes without its `Expect`.
    pub(crate) on_http2: &'a dyn Fn(),
}

impl Destination<'_> {
    /// The body of a request that needs no engine: all of it is at hand, and nothing but a response can come.
    pub(super) fn direct(&self) -> Option<&Bytes> {
        self.whole.filter(|_| self.scheme == Scheme::Https && !self.upgrade)
    }
}

/// A response, and the connection it came on. Boxed where it is made: it goes through many hands.
pub(crate) struct Sent<B: Body + 'static> {
    pub(crate) response: Response<Received<B>>,
    pub(crate) lease: Lease<B>,
    pub(crate) address: SocketAddr,
    pub(crate) http2: bool,
    /// No body follows, whatever the fields say (RFC 9110 §6.4.1).
    pub(crate) bodiless: bool,
}

/// A stream after its 101: the gate passes bytes through; `prefix` was read beyond the head.
pub(crate) struct Upgraded {
    pub(crate) stream: Gate<Stream>,
    pub(crate) prefix: Bytes,
}

/// An HTTP/1.1 connection on loan; give it back once the response body has ended.
pub(crate) struct Lease<B: Body + 'static>(pub(super) Option<Loan<B>>);

pub(super) struct Loan<B: Body + 'static> {
    pub(super) connection: Box<Http1<B>>,
    pub(super) pool: Rc<Pool<B>>,
}

/// On the heap all its life: it changes hands twice per request.
pub(super) struct Http1<B> {
    pub(super) authority: Authority,
    pub(super) scheme: Scheme,
    pub(super) reusable: bool,
    pub(super) sender: http1::SendRequest<B>,
    pub(super) gate: Arc<Expectation>,
    pub(super) through: Option<Through>,
    pub(super) upgraded: Option<oneshot::Receiver<Upgraded>>,
    pub(super) address: SocketAddr,
    pub(super) idle_since: Instant,
}

pub(super) struct Http2<B> {
    pub(super) shared: Shared<B>,
    pub(super) agent: Arc<str>,
    pub(super) idle_since: Instant,
}

/// What each request on an HTTP/2 connection is handed.
pub(super) struct Shared<B> {
    pub(super) sender: http2::SendRequest<B>,
    pub(super) address: SocketAddr,
    /// Which connection it is.
    pub(super) number: u64,
}

impl<B> Clone for Shared<B> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), address: self.address, number: self.number }
    }
}

pub(super) struct HostPool<B> {
    /// Encrypted ones that no engine drives.
    #[expect(clippy::vec_box, reason = "the connections change hands, and a box moves as one word")]
    pub(super) direct: Vec<Box<Direct>>,
    #[expect(clippy::vec_box, reason = "the connections change hands, and a box moves as one word")]
    pub(super) clear: Vec<Box<Http1<B>>>,
    #[expect(clippy::vec_box, reason = "the connections change hands, and a box moves as one word")]
    pub(super) tls: Vec<Box<Http1<B>>>,
    pub(super) http2: Vec<Http2<B>>,
}

/// One worker's connections.
pub(crate) struct Pool<B: Body + 'static> {
    pub(super) dialler: Arc<Dialler>,
    pub(super) hosts: RefCell<Map<Authority, HostPool<B>>>,
    pub(super) warming: RefCell<Map<Authority, Vec<Warming>>>,
    /// HTTP/2 connections so far.
    pub(super) numbered: Cell<u64>,
    /// For the heads that are waited for.
    pub(super) timers: Timers,
}

/// A connection that is being dialled ahead for an agent; the first request of that agent waits for it instead of dialling again.
pub(super) struct Warming {
    pub(super) agent: Arc<str>,
    pub(super) failed: oneshot::Receiver<Error>,
}

impl<B> Lease<B>
where
    B: Body + 'static,
{
    /// Puts the connection back for the next request. Call it at the end of the response body.
    pub(crate) fn release(&mut self) {
        let Some(Loan { mut connection, pool }) = self.0.take() else { return };
        if !connection.reusable || connection.sender.is_closed() {
            return;
        }
        connection.idle_since = Instant::now();
        let limit = pool.dialler.settings.pool_idle_per_host;
        let mut hosts = pool.hosts.borrow_mut();
        match hosts.get_mut(&connection.authority) {
            Some(host) => host.keep(connection, limit),
            None => hosts.entry(connection.authority.clone()).or_default().keep(connection, limit),
        }
    }

    /// Closes the connection instead of keeping it: it may know who spoke on it.
    pub(crate) fn retire(&mut self) {
        if let Some(loan) = &mut self.0 {
            loan.connection.reusable = false;
        }
    }

    /// The raw stream once the service has answered 101; `None` if it broke first.
    pub(crate) async fn upgraded(mut self) -> Option<Upgraded> {
        self.0.take()?.connection.upgraded?.await.ok()
    }
}

impl<B> HostPool<B> {
    fn keep_direct(&mut self, connection: Box<Direct>, limit: usize) {
        if self.direct.len() < limit {
            self.direct.push(connection);
        }
    }

    fn keep(&mut self, connection: Box<Http1<B>>, limit: usize) {
        let idle = if connection.scheme == Scheme::Https { &mut self.tls } else { &mut self.clear };
        if idle.len() < limit {
            idle.push(connection);
        }
    }
}

impl<B> Default for HostPool<B> {
    fn default() -> Self {
        Self { direct: Vec::new(), clear: Vec::new(), tls: Vec::new(), http2: Vec::new() }
    }
}

impl<B: Body + 'static> Pool<B> {
    /// Keeps a connection that has nothing more to say.
    pub(super) fn keep_direct(&self, mut connection: Box<Direct>) {
        connection.idle_since = Instant::now();
        let limit = self.dialler.settings.pool_idle_per_host;
        let mut hosts = self.hosts.borrow_mut();
        match hosts.get_mut(&connection.authority) {
            Some(host) => host.keep_direct(connection, limit),
            None => hosts.entry(connection.authority.clone()).or_default().keep_direct(connection, limit),
        }
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// An empty pool over `dialler`. Call inside a `LocalSet`.
    pub(crate) fn new(dialler: Arc<Dialler>) -> Rc<Self> {
        let (hosts, warming) = (RefCell::default(), RefCell::default());
        Rc::new(Self { dialler, hosts, warming, numbered: Cell::new(0), timers: Timers::default() })
    }

    /// Drops what has been idle too long; run now and then.
    pub(crate) fn sweep(&self) {
        let limit = self.dialler.settings.pool_idle_timeout;
        let fresh = |since: Instant| since.elapsed() < limit;
        self.hosts.borrow_mut().retain(|_authority, host| {
            host.direct.retain_mut(|idle| fresh(idle.idle_since) && idle.is_quiet());
            host.clear.retain(|idle| fresh(idle.idle_since) && !idle.sender.is_closed());
            host.tls.retain(|idle| fresh(idle.idle_since) && !idle.sender.is_closed());
            host.http2.retain(|http2| fresh(http2.idle_since) && !http2.shared.sender.is_closed());
            !(host.direct.is_empty() && host.clear.is_empty() && host.tls.is_empty() && host.http2.is_empty())
        });
        self.warming.borrow_mut().retain(|_authority, waiting| {
            waiting.retain_mut(|warming| matches!(warming.failed.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
            !waiting.is_empty()
        });
    }

    /// How many connections wait for a request; of HTTP/2 ones all that stand.
    pub(crate) fn idle(&self) -> usize {
        let hosts = self.hosts.borrow();
        hosts.values().map(|host| host.direct.len() + host.clear.len() + host.tls.len() + host.http2.len()).sum()
    }

    /// Whether a request to `authority` could go at once.
    pub(crate) fn has_idle(&self, scheme: Scheme, authority: &Authority) -> bool {
        self.hosts.borrow().get(authority).is_some_and(|host| match scheme {
            Scheme::Http => !host.clear.is_empty(),
            Scheme::Https => !(host.direct.is_empty() && host.tls.is_empty() && host.http2.is_empty()),
        })
    }

    /// Dials ahead of the first request, so that the caller's handshake and the service's overlap.
    pub(crate) async fn warm(self: Rc<Self>, authority: Authority, agent: Arc<str>) {
        let (fail, failed) = oneshot::channel();
        self.warming.borrow_mut().entry(authority.clone()).or_default().push(Warming { agent: Arc::clone(&agent), failed });
        if let Err(error) = self.warm_one(&authority, &agent).await {
            tracing::debug!(%error, "dialling ahead failed; the request will say why");
            drop(fail.send(error));
        }
    }

    async fn warm_one(self: &Rc<Self>, authority: &Authority, agent: &Arc<str>) -> Result<(), Error> {
        let connected = self.dialler.connect(Scheme::Https, authority, Versions::Any, agent).await?;
        if connected.http2 {
            return self.start_http2(connected, authority, agent).await.map(drop);
        }
        self.keep_direct(Direct::new(connected, authority));
        Ok(())
    }
}
