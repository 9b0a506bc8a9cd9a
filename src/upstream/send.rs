//! Sending one request: on which connection, and what came of it.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;

use super::dial::Connected;
use super::direct::Direct;
use super::pool::{Destination, Http1, Http2, Lease, Loan, Pool, Sent, Shared, Upgraded, Versions};
use super::received::Received;
use super::shape::{Written, request_written, to_absolute_form, to_http1, to_http2};
use super::timers::Late;
use super::{Error, unprocessed};
use crate::head::{Gate, Limits, Metered};
use crate::local::LocalExecutor;
use crate::model::{Authority, Scheme};

/// How long a kept connection may take to be ready again.
const SETTLE: Duration = Duration::from_millis(20);

/// A kept connection that the next request will be written to.
pub(crate) struct Claimed(Box<Direct>);

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
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
    ) -> Result<Box<Sent<B>>, Error> {
        loop {
            if let Some(shared) = self.shared_http2(to) {
                if let Some(sent) = Box::pin(self.send_http2(to, shared, request)).await? {
                    return Ok(sent);
                }
                continue;
            }
            if let Some(whole) = to.direct()
                && let Some(connection) = self.idle_direct(to)
            {
                let bytes = self::bytes(to, request, whole)?;
                return self.send_direct(to, connection, true, &bytes).await;
            }
            let Some(connection) = self.idle_http1(to).await else {
                if let Some(connection) = self.idle_direct(to) {
                    let connection = self.start_http1(connection.into(), to.scheme, to.authority).await?;
                    if let Some(sent) = self.send_http1(to, connection, true, request).await? {
                        return Ok(sent);
                    }
                    continue;
                }
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

    async fn send_on_new(
        self: &Rc<Self>,
        to: &Destination<'_>,
        request: &mut Option<Request<B>>,
    ) -> Result<Box<Sent<B>>, Error> {
        let connected = self.dialler.connect(to.scheme, to.authority, to.versions, to.agent).await?;
        let outcome = if connected.http2 {
            let shared = self.start_http2(connected, to.authority, to.agent).await?;
            self.send_http2(to, shared, request).await?
        } else if let Some(whole) = to.direct() {
            let bytes = self::bytes(to, request, whole)?;
            return self.send_direct(to, Direct::new(connected, to.authority), false, &bytes).await;
        } else {
            let connection = self.start_http1(connected, to.scheme, to.authority).await?;
            self.send_http1(to, connection, false, request).await?
        };
        outcome.ok_or_else(|| gone(to))
    }

    /// A kept connection on which a request whose body is at hand can go as bytes, without an engine; [`Pool::send`] has others.
    pub(crate) fn claim(&self, to: &Destination<'_>) -> Option<Claimed> {
        to.direct()?;
        let has_http2 =
            to.versions == Versions::Any && self.hosts.borrow().get(to.authority).is_some_and(|host| !host.http2.is_empty());
        if has_http2 { None } else { self.idle_direct(to).map(Claimed) }
    }

    /// Sends `bytes`, a whole request with its body, on a claimed connection.
    ///
    /// # Errors
    /// As [`Pool::send`].
    pub(crate) async fn send_claimed(
        self: &Rc<Self>,
        to: &Destination<'_>,
        connection: Claimed,
        bytes: &[u8],
    ) -> Result<Box<Sent<B>>, Error> {
        debug_assert_eq!(connection.0.authority, *to.authority, "claimed for another service");
        self.send_direct(to, connection.0, true, bytes).await
    }

    /// Keeps a claimed connection that nothing was sent on.
    pub(crate) fn give_back(&self, connection: Claimed) {
        self.keep_direct(connection.0);
    }

    /// The most recently used connection that no engine drives and that the service has not closed.
    fn idle_direct(&self, to: &Destination<'_>) -> Option<Box<Direct>> {
        if to.scheme == Scheme::Http {
            return None;
        }
        let mut hosts = self.hosts.borrow_mut();
        let idle = &mut hosts.get_mut(to.authority)?.direct;
        loop {
            let mut connection = idle.pop()?;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    async fn send_direct(
        self: &Rc<Self>,
        to: &Destination<'_>,
        connection: Box<Direct>,
        reused: bool,
        bytes: &[u8],
    ) -> Result<Box<Sent<B>>, Error> {
        let address = connection.address;
        let answered = {
            let calling = pin!(connection.call(bytes, to.head_method, self));
            self.until_head(to, calling).await?
        };
        let authority = || to.authority.clone();
        let response = answered.map_err(|error| match error.nothing_came() && reused {
            true => Error::Stale { authority: authority(), cause: error.into() },
            false => Error::Broken { authority: authority(), cause: error.into() },
        })?;
        let bodiless = is_bodiless(to, response.status());
        Ok(Box::new(Sent { response: response.map(Received::Direct), lease: Lease(None), address, http2: false, bodiless }))
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
        let broken = |cause: hyper::Error| Error::Broken { authority: authority.clone(), cause: cause.into() };
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

    pub(super) async fn start_http2(
        &self,
        connected: Connected,
        authority: &Authority,
        agent: &Arc<str>,
    ) -> Result<Shared<B>, Error> {
        let broken = |cause: hyper::Error| Error::Broken { authority: authority.clone(), cause: cause.into() };
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
    ) -> Result<Option<Box<Sent<B>>>, Error> {
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
        let response = response.map(Received::Engine);
        Ok(Some(Box::new(Sent { response, lease: Lease(Some(loan)), address, http2: false, bodiless })))
    }

    async fn send_http2(
        &self,
        to: &Destination<'_>,
        Shared { mut sender, address, number }: Shared<B>,
        request: &mut Option<Request<B>>,
    ) -> Result<Option<Box<Sent<B>>>, Error> {
        if sender.ready().await.is_err() {
            return Ok(None);
        }
        (to.on_http2)();
        let sending = sender.try_send_request(to_http2(to, request.take().ok_or_else(|| gone(to))?));
        match self.until_head(to, pin!(sending)).await? {
            Ok(response) => {
                let bodiless = is_bodiless(to, response.status());
                let response = response.map(Received::Engine);
                Ok(Some(Box::new(Sent { response, lease: Lease(None), address, http2: true, bodiless })))
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
            match self.timers.within(settings.head_timeout, sending.as_mut()).await {
                Ok(outcome) => return Ok(outcome),
                Err(Late) if to.progress.get() != moved => {}
                Err(Late) => return Err(Error::HeadTimeout { authority: to.authority.clone() }),
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
) -> Result<Option<Box<Sent<B>>>, Error> {
    if message.is_some() {
        return Ok(None);
    }
    let authority = to.authority.clone();
    let nothing_came = cause.is_incomplete_message() || cause.is_closed() || cause.is_canceled() || is_cut(&cause);
    let cause = cause.into();
    Err(if reused && nothing_came { Error::Stale { authority, cause } } else { Error::Broken { authority, cause } })
}

fn bytes<B>(to: &Destination<'_>, request: &mut Option<Request<B>>, whole: &Bytes) -> Result<Written, Error> {
    let request = request.as_mut().ok_or_else(|| gone(to))?;
    to_http1(to, request);
    Ok(request_written(request, whole))
}

/// Whether the stream itself ended; many services close TLS without a close_notify.
fn is_cut(cause: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let io = std::error::Error::source(cause).and_then(|source| source.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}
