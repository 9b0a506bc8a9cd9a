//! One worker's connections to services, and the one way to send a request.
//!
//! HTTP/1.1 connections are shared by all callers; HTTP/2 ones belong to one agent. A pool lives on one thread and takes no lock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

use super::Error;
use super::dial::{Connected, Dialler, Through};
use super::shape::{to_absolute_form, to_http1, to_http2};
use super::stream::Stream;
use super::unprocessed;
use crate::head::{Expectation, Gate, Limits, Metered};
use crate::local::LocalExecutor;
use crate::model::{Authority, Scheme};

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
    /// Told when the request goes over HTTP/2, where no 100 is heard of: it goes without its `Expect`.
    pub(crate) on_http2: &'a dyn Fn(),
}

/// How long a kept connection may take to be ready again.
const SETTLE: Duration = Duration::from_millis(20);

/// A response, and the connection it came on.
pub(crate) struct Sent<B: Body + 'static> {
    pub(crate) response: Response<Incoming>,
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
pub(crate) struct Lease<B: Body + 'static>(Option<Loan<B>>);

struct Loan<B: Body + 'static> {
    connection: Box<Http1<B>>,
    pool: Rc<Pool<B>>,
}

/// On the heap all its life: it changes hands twice per request.
struct Http1<B> {
    authority: Authority,
    scheme: Scheme,
    reusable: bool,
    sender: http1::SendRequest<B>,
    gate: Arc<Expectation>,
    through: Option<Through>,
    upgraded: Option<oneshot::Receiver<Upgraded>>,
    address: SocketAddr,
    idle_since: Instant,
}

struct Http2<B> {
    shared: Shared<B>,
    agent: Arc<str>,
    idle_since: Instant,
}

/// What each request on an HTTP/2 connection is handed.
struct Shared<B> {
    sender: http2::SendRequest<B>,
    address: SocketAddr,
    /// Which connection it is.
    number: u64,
}

impl<B> Clone for Shared<B> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), address: self.address, number: self.number }
    }
}

struct HostPool<B> {
    #[expect(clippy::vec_box, reason = "the connections change hands, and a box moves as one word")]
    clear: Vec<Box<Http1<B>>>,
    #[expect(clippy::vec_box, reason = "the connections change hands, and a box moves as one word")]
    tls: Vec<Box<Http1<B>>>,
    http2: Vec<Http2<B>>,
}

/// One worker's connections.
pub(crate) struct Pool<B: Body + 'static> {
    dialler: Arc<Dialler>,
    hosts: RefCell<HashMap<Authority, HostPool<B>>>,
    warming: RefCell<HashMap<Authority, Vec<Warming>>>,
    /// HTTP/2 connections so far.
    numbered: Cell<u64>,
}

/// A connection that is being dialled ahead for an agent; the first request of that agent waits for it instead of dialling again.
struct Warming {
    agent: Arc<str>,
    failed: oneshot::Receiver<Error>,
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
    fn keep(&mut self, connection: Box<Http1<B>>, limit: usize) {
        let idle = if connection.scheme == Scheme::Https { &mut self.tls } else { &mut self.clear };
        if idle.len() < limit {
            idle.push(connection);
        }
    }
}

impl<B> Default for HostPool<B> {
    fn default() -> Self {
        Self { clear: Vec::new(), tls: Vec::new(), http2: Vec::new() }
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// An empty pool over `dialler`. Call inside a `LocalSet`.
    pub(crate) fn new(dialler: Arc<Dialler>) -> Rc<Self> {
        Rc::new(Self { dialler, hosts: RefCell::default(), warming: RefCell::default(), numbered: Cell::new(0) })
    }

    /// Drops what has been idle too long; run now and then.
    pub(crate) fn sweep(&self) {
        let limit = self.dialler.settings.pool_idle_timeout;
        let fresh = |since: Instant| since.elapsed() < limit;
        self.hosts.borrow_mut().retain(|_authority, host| {
            host.clear.retain(|idle| fresh(idle.idle_since) && !idle.sender.is_closed());
            host.tls.retain(|idle| fresh(idle.idle_since) && !idle.sender.is_closed());
            host.http2.retain(|http2| fresh(http2.idle_since) && !http2.shared.sender.is_closed());
            !(host.clear.is_empty() && host.tls.is_empty() && host.http2.is_empty())
        });
        self.warming.borrow_mut().retain(|_authority, waiting| {
            waiting.retain_mut(|warming| matches!(warming.failed.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
            !waiting.is_empty()
        });
    }

    /// Whether a request to `authority` could go at once.
    pub(crate) fn has_idle(&self, scheme: Scheme, authority: &Authority) -> bool {
        self.hosts.borrow().get(authority).is_some_and(|host| match scheme {
            Scheme::Http => !host.clear.is_empty(),
            Scheme::Https => !host.tls.is_empty() || !host.http2.is_empty(),
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
        let connection = self.start_http1(connected, Scheme::Https, authority).await?;
        Lease(Some(Loan { connection, pool: Rc::clone(self) })).release();
        Ok(())
    }

    /// Waits for a connection that is being dialled ahead; false = there is none.
    async fn warmed(&self, to: &Destination<'_>) -> Result<bool, Error> {
        if to.scheme == Scheme::Http {
            return Ok(false);
        }
        let claimed = {
            let mut warming = self.warming.borrow_mut();
            let Some(waiting) = warming.get_mut(to.authority) else { return Ok(false) };
            let Some(first) = waiting.iter().position(|warming| warming.agent == *to.agent) else { return Ok(false) };
            let claimed = waiting.remove(first);
            if waiting.is_empty() {
                warming.remove(to.authority);
            }
            claimed
        };
        // The sender is dropped without a word once the connection is in the pool.
        claimed.failed.await.map_or(Ok(true), Err)
    }

    /// Sends what `request` holds on a kept or a new connection. One that was never written is moved to another connection by itself.
    ///
    /// # Errors
    /// [`Error::Stale`] if a kept connection died after the request was written and before anything came back: whether it may be
    /// sent again is the caller's decision.
    pub(crate) async fn send(
        self: &Rc<Self>,
        to: &Destination<'_>,
        request: &mut Option<Request<B>>,
    ) -> Result<Sent<B>, Error> {
        loop {
            if let Some(shared) = self.shared_http2(to) {
                if let Some(sent) = Box::pin(self.send_http2(to, shared, request)).await? {
                    return Ok(sent);
                }
                continue;
            }
            let Some(connection) = self.idle_http1(to).await else {
                if self.warmed(to).await? {
                    continue;
                }
                break;
            };
            if let Some(sent) = self.send_http1(to, connection, true, request).await? {
                return Ok(sent);
            }
        }
        // Dialling is rare and its state is large: only then is it held.
        Box::pin(self.send_on_new(to, request)).await
    }

    async fn send_on_new(self: &Rc<Self>, to: &Destination<'_>, request: &mut Option<Request<B>>) -> Result<Sent<B>, Error> {
        let connected = self.dialler.connect(to.scheme, to.authority, to.versions, to.agent).await?;
        let outcome = if connected.http2 {
            let shared = self.start_http2(connected, to.authority, to.agent).await?;
            self.send_http2(to, shared, request).await?
        } else {
            let connection = self.start_http1(connected, to.scheme, to.authority).await?;
            self.send_http1(to, connection, false, request).await?
        };
        outcome.ok_or_else(|| gone(to))
    }

    /// The most recently used connection that still lives.
    async fn idle_http1(&self, to: &Destination<'_>) -> Option<Box<Http1<B>>> {
        loop {
            let mut connection = {
                let mut hosts = self.hosts.borrow_mut();
                let host = hosts.get_mut(to.authority)?;
                if to.scheme == Scheme::Https { host.tls.pop()? } else { host.clear.pop()? }
            };
            // It was put back when its response had ended; its task may need one more turn to notice. One that is still busy with
            // the request (the service answered before the body was whole) is another caller's trouble: it is closed.
            let ready = connection.sender.is_ready()
                || matches!(Box::pin(tokio::time::timeout(SETTLE, connection.sender.ready())).await, Ok(Ok(())));
            if ready {
                return Some(connection);
            }
        }
    }

    fn shared_http2(&self, to: &Destination<'_>) -> Option<Shared<B>> {
        if to.versions == Versions::Http1 || to.scheme == Scheme::Http {
            return None;
        }
        let mut hosts = self.hosts.borrow_mut();
        let host = hosts.get_mut(to.authority)?;
        host.http2.retain(|http2| !http2.shared.sender.is_closed());
        let http2 = host.http2.iter_mut().find(|http2| http2.agent == *to.agent)?;
        http2.idle_since = Instant::now();
        Some(http2.shared.clone())
    }

    /// Takes no more requests to the HTTP/2 connection `number`; those on it go on.
    fn forget_http2(&self, authority: &Authority, number: u64) {
        if let Some(host) = self.hosts.borrow_mut().get_mut(authority) {
            host.http2.retain(|http2| http2.shared.number != number);
        }
    }

    async fn start_http1(&self, connected: Connected, scheme: Scheme, authority: &Authority) -> Result<Box<Http1<B>>, Error> {
        let (gate, handle) = Gate::responses(connected.stream, Limits::default());
        let broken = |cause| Error::Broken { authority: authority.clone(), cause };
        let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(gate)).await.map_err(broken)?;
        let (upgrade, upgraded) = oneshot::channel();
        tokio::task::spawn_local(async move {
            match connection.without_shutdown().await {
                // Nobody waits unless a 101 came: then the parts are the raw stream.
                Ok(parts) => drop(upgrade.send(Upgraded { stream: parts.io.into_inner(), prefix: parts.read_buf })),
                Err(error) => tracing::debug!(%error, "a connection to a service ended"),
            }
        });
        Ok(Box::new(Http1 {
            authority: authority.clone(),
            scheme,
            reusable: true,
            sender,
            gate: handle,
            upgraded: Some(upgraded),
            address: connected.address,
            through: connected.through,
            idle_since: Instant::now(),
        }))
    }

    async fn start_http2(&self, connected: Connected, authority: &Authority, agent: &Arc<str>) -> Result<Shared<B>, Error> {
        let broken = |cause| Error::Broken { authority: authority.clone(), cause };
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .max_header_list_size(64 * 1024)
            .keep_alive_interval(Duration::from_secs(60))
            .keep_alive_timeout(Duration::from_secs(20))
            .handshake(TokioIo::new(Metered::responses(connected.stream)))
            .await
            .map_err(broken)?;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection to a service ended");
            }
        });
        let mut hosts = self.hosts.borrow_mut();
        let host = hosts.entry(authority.clone()).or_default();
        self.numbered.set(self.numbered.get() + 1);
        let shared = Shared { sender, address: connected.address, number: self.numbered.get() };
        host.http2.push(Http2 { shared: shared.clone(), agent: Arc::clone(agent), idle_since: Instant::now() });
        Ok(shared)
    }

    /// `Ok(None)`: nothing was written and `request` is there again; it may go elsewhere.
    async fn send_http1(
        self: &Rc<Self>,
        to: &Destination<'_>,
        mut connection: Box<Http1<B>>,
        reused: bool,
        request: &mut Option<Request<B>>,
    ) -> Result<Option<Sent<B>>, Error> {
        connection.gate.expect(to.head_method, to.upgrade);
        if let Some(request) = request {
            to_http1(to, request);
            if let Some(through) = &connection.through {
                to_absolute_form(to, through, request);
            }
        }
        let answered = {
            let sending = pin!(connection.sender.try_send_request(request.take().ok_or_else(|| gone(to))?));
            self.until_head(to, sending).await?
        };
        let response = match answered {
            Ok(response) => response,
            Err(mut failed) => {
                *request = failed.take_message();
                return unsent_or_broken(to, reused, request, failed.into_error());
            }
        };
        if connection.through.is_some() && response.status() == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            // It is between the parent and us; the caller has nothing to answer it with.
            return Err(Error::ParentPassword);
        }
        let address = connection.address;
        let loan = Loan { connection, pool: Rc::clone(self) };
        let bodiless = is_bodiless(to, response.status());
        Ok(Some(Sent { response, lease: Lease(Some(loan)), address, http2: false, bodiless }))
    }

    async fn send_http2(
        &self,
        to: &Destination<'_>,
        Shared { mut sender, address, number }: Shared<B>,
        request: &mut Option<Request<B>>,
    ) -> Result<Option<Sent<B>>, Error> {
        if sender.ready().await.is_err() {
            return Ok(None);
        }
        (to.on_http2)();
        let sending = sender.try_send_request(to_http2(to, request.take().ok_or_else(|| gone(to))?));
        match self.until_head(to, pin!(sending)).await? {
            Ok(response) => {
                let bodiless = is_bodiless(to, response.status());
                Ok(Some(Sent { response, lease: Lease(None), address, http2: true, bodiless }))
            }
            Err(mut failed) => {
                *request = failed.take_message();
                let cause = failed.into_error();
                if let Some(why) = unprocessed::why(&cause) {
                    // It may go on turning requests away, or be about to end: the next one goes on another connection.
                    self.forget_http2(to.authority, number);
                    return Err(Error::Unprocessed { authority: to.authority.clone(), why, cause });
                }
                unsent_or_broken(to, true, request, cause)
            }
        }
    }

    /// Waits for the response head, at most `head_timeout` after the request body last moved, and as long as the body keeps its pace.
    async fn until_head<T>(&self, to: &Destination<'_>, mut sending: Pin<&mut impl Future<Output = T>>) -> Result<T, Error> {
        let settings = &self.dialler.settings;
        let mut waited = Duration::ZERO;
        loop {
            let moved = to.progress.get();
            match tokio::time::timeout(settings.head_timeout, &mut sending).await {
                Ok(outcome) => return Ok(outcome),
                Err(_elapsed) if to.progress.get() != moved => {}
                Err(_elapsed) => return Err(Error::HeadTimeout { authority: to.authority.clone() }),
            }
            // It has moved since: when this wait began it was not whole.
            let owed = waited.saturating_sub(settings.upload_grace).as_secs().saturating_mul(settings.upload_rate);
            if to.progress.get() < owed {
                return Err(Error::UploadTooSlow { authority: to.authority.clone() });
            }
            waited += settings.head_timeout;
        }
    }
}

/// Nothing can take the request, which is lost with its connection.
fn gone(to: &Destination<'_>) -> Error {
    Error::Unreachable { authority: to.authority.clone(), cause: std::io::ErrorKind::ConnectionAborted.into() }
}

fn is_bodiless(to: &Destination<'_>, status: http::StatusCode) -> bool {
    to.head_method || matches!(status, http::StatusCode::NO_CONTENT | http::StatusCode::NOT_MODIFIED)
}

fn unsent_or_broken<B: Body + 'static>(
    to: &Destination<'_>,
    reused: bool,
    message: &Option<Request<B>>,
    cause: hyper::Error,
) -> Result<Option<Sent<B>>, Error> {
    if message.is_some() {
        return Ok(None);
    }
    let authority = to.authority.clone();
    let nothing_came = cause.is_incomplete_message() || cause.is_closed() || cause.is_canceled() || is_cut(&cause);
    Err(if reused && nothing_came { Error::Stale { authority, cause } } else { Error::Broken { authority, cause } })
}

/// Whether the stream itself ended; many services close TLS without a close_notify.
fn is_cut(cause: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let io = std::error::Error::source(cause).and_then(|source| source.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}
