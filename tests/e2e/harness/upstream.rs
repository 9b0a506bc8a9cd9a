//! `Upstream`: a scripted TLS service. It speaks HTTP/1.1 or HTTP/2 as ALPN decides, records every request (connection, version,
//! method, path, fields in order, body), and answers by the test's handler, which may read the body, stream, or wait for anything.
//! The raw variant hands the test the TLS stream itself, for answers that no HTTP library would write.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Version, request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authority::Authority;
use super::body::{Body, full};

/// What the service offers in ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offers {
    Http1,
    Http2,
    Both,
}

impl Offers {
    fn alpn(self) -> &'static [&'static str] {
        match self {
            Self::Http1 => &["http/1.1"],
            Self::Http2 => &["h2"],
            Self::Both => &["h2", "http/1.1"],
        }
    }
}

/// One request as the service saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Connections are numbered from 0.
    pub(crate) connection: usize,
    pub(crate) version: Version,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    /// `:authority` on HTTP/2, `Host` on HTTP/1.1.
    pub(crate) authority: Option<String>,
    pub(crate) headers: HeaderMap,
    /// `None` until the handler has read it to its end.
    pub(crate) body: Option<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Seen {
    /// The one value of the field called `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        assert!(values.next().is_none(), "{name} came twice: {:?}", self.headers);
        first.to_str().ok()
    }

    /// What follows `Bearer `.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

#[derive(Debug)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    changed: watch::Sender<usize>,
    connections: AtomicUsize,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.seen.fmt(formatter)
    }
}

/// One request on its way through the handler.
pub(crate) struct Call {
    /// Its head.
    pub(crate) seen: Seen,
    /// All of the request's head, with hyper's extensions.
    pub(crate) parts: request::Parts,
    /// Its body, unread.
    pub(crate) body: Incoming,
    number: usize,
    log: Arc<Log>,
}

impl Call {
    /// Reads the body to its end and puts it on record.
    ///
    /// # Errors
    /// Where the body broke off.
    pub(crate) async fn read(&mut self) -> Result<Bytes, hyper::Error> {
        let collected = (&mut self.body).collect().await?;
        let trailers = collected.trailers().cloned();
        let bytes = collected.to_bytes();
        (self.seen.body, self.seen.trailers) = (Some(bytes.clone()), trailers);
        self.log.seen.lock().expect("a lock")[self.number] = self.seen.clone();
        self.log.changed.send_modify(|count| *count += 1);
        Ok(bytes)
    }
}

/// A service on a port of its own.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    log: Arc<Log>,
    accepting: JoinHandle<()>,
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// What answers a request, and what serves a stream. Boxed, or the HTTP servers would be compiled once for each handler of a test.
type Answering = Arc<dyn Fn(Call) -> Pending<Response<Body>> + Send + Sync>;
type Serving = Arc<dyn Fn(TlsStream<TcpStream>, usize, Arc<Log>) -> Pending<()> + Send + Sync>;

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Upstream {
    /// A service for `names` that answers each request by `handler`.
    pub(crate) async fn serve<H, F>(ca: &Authority, names: &[&str], offers: Offers, handler: H) -> Self
    where
        H: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let handler: Answering = Arc::new(move |call| Box::pin(handler(call)));
        let serving: Serving = Arc::new(move |stream, number, log| Box::pin(talk(Arc::clone(&handler), stream, number, log)));
        Self::start(ca, names, offers.alpn(), serving).await
    }

    /// A service that answers each request with one event, and never ends its answer.
    pub(crate) async fn endless(ca: &Authority, names: &[&str]) -> Self {
        Self::serve(ca, names, Offers::Both, |_call| async {
            let (mut sender, body) = super::channel();
            tokio::spawn(async move {
                sender.send_data("data: tick\n\n".into()).await.expect("it is read");
                std::future::pending::<()>().await;
            });
            Response::new(body)
        })
        .await
    }

    /// A service that hands each TLS stream, with its number, to `handler`.
    pub(crate) async fn raw<H, F>(ca: &Authority, names: &[&str], offers: Offers, handler: H) -> Self
    where
        H: Fn(TlsStream<TcpStream>, usize) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let serving: Serving = Arc::new(move |stream, number, _log| Box::pin(handler(stream, number)));
        Self::start(ca, names, offers.alpn(), serving).await
    }

    async fn start(ca: &Authority, names: &[&str], alpn: &[&str], serving: Serving) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(ca.server_config(names, alpn));
        let log = Arc::new(Log { seen: Mutex::default(), changed: watch::Sender::new(0), connections: AtomicUsize::new(0) });
        let shared = Arc::clone(&log);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _peer) = listener.accept().await.expect("a stream");
                stream.set_nodelay(true).expect("no delay");
                let (acceptor, log, serving) = (acceptor.clone(), Arc::clone(&shared), Arc::clone(&serving));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let number = log.connections.fetch_add(1, Ordering::SeqCst);
                    serving(stream, number, log).await;
                });
            }
        });
        Self { address, log, accepting }
    }

    /// All requests so far, in the order of their arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().expect("a lock").clone()
    }

    /// How many requests have come.
    pub(crate) fn count(&self) -> usize {
        self.log.seen.lock().expect("a lock").len()
    }

    /// How many connections have completed their handshake.
    pub(crate) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// Waits until the requests so far satisfy `condition`.
    pub(crate) async fn until(&self, condition: impl Fn(&[Seen]) -> bool) {
        let mut changed = self.log.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if condition(&self.log.seen.lock().expect("a lock")) {
                return;
            }
            changed.changed().await.expect("the log lives");
        }
    }
}

/// Speaks HTTP on a stream, as ALPN has decided.
async fn talk(handler: Answering, stream: TlsStream<TcpStream>, number: usize, log: Arc<Log>) {
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let call = record(&log, number, request);
        let answering = handler(call);
        async move { Ok::<_, std::convert::Infallible>(answering.await) }
    });
    let stream = TokioIo::new(stream);
    // How a peer leaves is the test's business, seen in what was recorded.
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        drop(builder.enable_connect_protocol().serve_connection(stream, service).await);
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        drop(builder.serve_connection(stream, service).with_upgrades().await);
    }
}

fn record(log: &Arc<Log>, connection: usize, request: hyper::Request<Incoming>) -> Call {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok());
    let seen = Seen {
        connection,
        version: parts.version,
        method: parts.method.clone(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authority: parts.uri.authority().map(ToString::to_string).or_else(|| host.map(str::to_owned)),
        headers: parts.headers.clone(),
        body: None,
        trailers: None,
    };
    let mut all = log.seen.lock().expect("a lock");
    let number = all.len();
    all.push(seen.clone());
    drop(all);
    log.changed.send_modify(|count| *count += 1);
    Call { seen, parts, body, number, log: Arc::clone(log) }
}

/// A plain answer.
pub(crate) fn answer(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}
