//! `Server`: connections in, answers out; bounded in number, size and time.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use bytes::BytesMut;
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;
use zeroize::Zeroizing;

use super::access::PathKey;
use super::context::Shared;
use super::crowd::{Crowd, Group, Place};
use super::origin::{Origin, meant};
use super::problem::{Code, Problem};
use super::routes;
use super::settings::LIMITS;
use super::standing;
use crate::head::{Gate, Malformed};
use crate::listener::{self, Peer, Socket};

/// How long what was sent may stay unacknowledged: who takes nothing of an answer is gone.
const UNTAKEN: Duration = Duration::from_secs(60);

/// What is said to a caller that comes when every place is taken.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The gateway behind a socket.
pub(crate) struct Server {
    gateway: Shared,
    router: Router,
    /// Whether TLS is spoken, from its start to its end.
    tls: bool,
}

impl Server {
    /// Serves plain HTTP, or TLS where the gateway has a configuration for it.
    pub(crate) fn new(gateway: Shared) -> Self {
        Self { router: routes::all(&gateway), tls: gateway.tls.load().is_some(), gateway }
    }

    /// Serves until told to stop, then as long as requests that are under way may go on.
    pub(crate) async fn run(self, socket: std::net::TcpListener) {
        let (drain, stopping) = (self.gateway.settings.drain, self.gateway.stopping.clone());
        let crowd = Crowd::new(self.gateway.settings.connections, self.gateway.settings.address_connections);
        // Who gets in is for the crowd to say.
        tokio::spawn(standing::keep_looking(Arc::clone(&self.gateway)));
        let stop = listener::Stop { stopping: stopping.clone(), count: Arc::default(), limit: usize::MAX };
        let server = Arc::new(self);
        // Each connection holds an end of it: when all are gone, so is it.
        let (under_way, mut over) = tokio::sync::mpsc::channel::<()>(1);
        let handle = move |stream: std::net::TcpStream, peer: Peer| {
            let Peer::Tcp(peer) = peer else { return };
            let Some(place) = server.place(&crowd, &stream, peer) else { return server.turn_away(&stream) };
            let (server, held) = (Arc::clone(&server), under_way.clone());
            tokio::spawn(async move {
                let _held = held;
                tokio::select! {
                    () = server.serve(stream, peer, &place) => {}
                    () = place.wanted() => tracing::debug!(%peer, "a connection to the gateway gave way to another"),
                }
            });
        };
        listener::accept(listener::Door { socket: Socket::Tcp(socket), handle: Box::new(handle) }, stop).await;
        if timeout(drain, over.recv()).await.is_err() {
            tracing::warn!("requests of the gateway were cut off at the end of the drain");
        }
    }

    fn place(&self, crowd: &Arc<Crowd>, stream: &std::net::TcpStream, peer: SocketAddr) -> Option<Place> {
        let local = stream.local_addr().ok()?;
        let own = self.gateway.is_our_user(&Origin { peer, local, tls: self.tls });
        crowd.enter(if own { Group::Own } else { Group::of(peer.ip()) })
    }

    /// Says why, as far as the socket's buffer takes it, and closes. Who speaks TLS hears nothing.
    fn turn_away(&self, mut stream: &std::net::TcpStream) {
        let said = if self.tls { Ok(0) } else { stream.write(FULL) };
        if let Err(error) = said {
            tracing::debug!(%error, "a caller of the gateway that came too late left without an answer");
        }
    }

    async fn serve(&self, stream: std::net::TcpStream, peer: SocketAddr, place: &Place) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        let Ok(local) = stream.local_addr() else { return };
        if let Err(error) = stream.set_nodelay(true).and_then(|()| bound(&stream)) {
            tracing::debug!(%error, "a connection to the gateway goes on without its options");
        }
        let origin = Origin { peer, local, tls: self.tls };
        if !self.tls {
            return self.converse(stream, origin, place).await;
        }
        let Some(tls) = self.gateway.tls.load_full().map(TlsAcceptor::from) else { return };
        match timeout(self.gateway.settings.handshake_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.converse(stream, origin, place).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the gateway failed"),
            Err(_late) => tracing::debug!("a TLS handshake with the gateway took too long"),
        }
    }

    /// The strict reader stands in front of the engine here too: what two readers could frame differently is a problem, not a request.
    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, origin: Origin, place: &Place) {
        let (gate, verdict) = Gate::requests(stream, BytesMut::new(), LIMITS);
        let count = AtomicU64::new(0);
        let (verdict, count) = (&verdict, &count);
        let service = service_fn(move |request| async move {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            // Nothing here becomes another protocol.
            verdict.resume(number);
            // Where the place is another's the connection ends here and now.
            let Some(busy) = place.busy() else { return Ok(Problem::full().into_response()) };
            let response = self.answer(request, origin, verdict.malformed_at(number)).await;
            Ok::<_, std::convert::Infallible>(response.map(|body| busy.until_told(body)))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.gateway.settings.head_timeout)
            .serve_connection(TokioIo::new(gate), service);
        let mut connection = std::pin::pin!(connection);
        let mut stopping = self.gateway.stopping.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = told(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the gateway ended early");
        }
    }

    /// Answers one request. Never fails: a problem is an answer.
    async fn answer(&self, request: Request<Incoming>, origin: Origin, malformed: Option<Malformed>) -> Response<Body> {
        let _under_way = self.gateway.counters.begin();
        let within = self.gateway.settings.answer_timeout;
        let answered = match malformed {
            Some(malformed) => Err(Problem::unsound(malformed)),
            None => timeout(within, self.route(request, origin)).await.unwrap_or_else(|_late| Err(Problem::late())),
        };
        let mut response = answered.unwrap_or_else(Problem::into_response);
        let code = response.extensions().get::<Code>().map(|code| code.0);
        self.gateway.counters.answered(response.status(), code);
        let fields = response.headers_mut();
        fields.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        fields.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
        response
    }

    async fn route(&self, mut request: Request<Incoming>, origin: Origin) -> Result<Response<Body>, Problem> {
        meant(&self.gateway.settings, &origin, request.uri(), request.headers())?;
        if let Some((uri, key)) = without_key(request.uri()) {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(PathKey(Arc::new(key)));
        }
        request.extensions_mut().insert(origin);
        let mut router = self.router.clone();
        router.call(request).await.map_err(|never| match never {})
    }
}

/// Until the process is about to end.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // An error means that whoever would tell is gone.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// Ends a connection whose other end takes nothing of what is sent.
#[cfg(target_os = "linux")]
fn bound(stream: &TcpStream) -> std::io::Result<()> {
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNTAKEN))
}

#[cfg(not(target_os = "linux"))]
fn bound(_stream: &TcpStream) -> std::io::Result<()> {
    Ok(())
}

/// `/k/KEY/…` without its beginning, and the key: for clients that know no header. What is left is all that anything else sees.
fn without_key(uri: &Uri) -> Option<(Uri, Zeroizing<String>)> {
    let rest = uri.path_and_query()?.as_str().strip_prefix("/k/")?;
    let (key, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let left = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    let path: PathAndQuery = left.parse().ok()?;
    Some((Uri::from(path), Zeroizing::new(key.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_out_of_the_path() {
        let split =
            |text: &str| without_key(&text.parse().expect("a URI")).map(|(uri, key)| (uri.to_string(), key.to_string()));
        let found = |uri: &str, key: &str| Some((uri.to_owned(), key.to_owned()));
        assert_eq!(split("/k/nxk_1/v1/token/7?a=b"), found("/v1/token/7?a=b", "nxk_1"));
        assert_eq!(split("/k/nxk_1"), found("/", "nxk_1"));
        assert_eq!(split("/k/nxk_1?a=b"), found("/?a=b", "nxk_1"));
        assert_eq!(split("/k//x"), found("/x", ""));
        assert_eq!(split("/k"), None);
        assert_eq!(split("/health"), None);
        assert_eq!(split("/k/a//k/b/x"), found("//k/b/x", "a"));
    }
}
