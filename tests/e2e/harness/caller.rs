//! `Caller`: a small client that trusts Nexus's CA and goes through it: CONNECT with or without credentials, TLS with the ALPN of the
//! test's choice, then HTTP/1.1 or HTTP/2 by hyper, or the stream itself for bytes that no library would send.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::body::{Body, BoxError, empty};
use super::crypto;
use super::nexus::Nexus;

/// A program that was given a proxy and a CA file.
#[derive(Clone)]
pub(crate) struct Caller {
    proxy: SocketAddr,
    config: ClientConfig,
    authorization: Option<String>,
}

/// A CONNECT that was not answered with 200.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// The whole head, as it came.
    pub(crate) head: String,
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Reply {
    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// `Nexus-Refusal`, where Nexus answered itself.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.headers.get("nexus-refusal")?.to_str().ok()
    }
}

impl Caller {
    /// A caller of the Unix user that runs the test, without credentials.
    pub(crate) fn new(nexus: &Nexus) -> Self {
        Self::trusting(nexus.address, &nexus.ca_file())
    }

    /// A caller of the proxy at `proxy`, whose CA is in `ca_file`.
    pub(crate) fn trusting(proxy: SocketAddr, ca_file: &std::path::Path) -> Self {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(ca_file).expect("the CA") {
            roots.add(root.expect("a certificate")).expect("a root");
        }
        let builder = ClientConfig::builder_with_provider(crypto()).with_safe_default_protocol_versions().expect("versions");
        Self { proxy, config: builder.with_root_certificates(roots).with_no_client_auth(), authorization: None }
    }

    /// The same, with an agent's token.
    pub(crate) fn agent(mut self, name: &str, token: &str) -> Self {
        self.authorization = Some(format!("Basic {}", STANDARD.encode(format!("{name}:{token}"))));
        self
    }

    /// Through another listener.
    pub(crate) fn through(mut self, proxy: SocketAddr) -> Self {
        self.proxy = proxy;
        self
    }

    /// A bare stream to the proxy.
    pub(crate) async fn tcp(&self) -> TcpStream {
        let stream = TcpStream::connect(self.proxy).await.expect("the proxy");
        stream.set_nodelay(true).expect("no delay");
        stream
    }

    /// CONNECT to `authority` (`host:port`).
    pub(crate) async fn tunnel(&self, authority: &str) -> Result<TcpStream, Refused> {
        let mut stream = self.tcp().await;
        let credentials = self.authorization.iter().map(|value| format!("Proxy-Authorization: {value}\r\n"));
        let credentials: String = credentials.collect();
        let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credentials}\r\n");
        stream.write_all(head.as_bytes()).await.expect("a write");
        let head = read_head(&mut stream).await;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        if status == 200 { Ok(stream) } else { Err(Refused { status, head }) }
    }

    /// CONNECT to port 443 of `host` and a handshake that offers `alpn`.
    pub(crate) async fn tls(&self, host: &str, alpn: &[&str]) -> TlsStream<TcpStream> {
        let stream = self.tunnel(&format!("{host}:443")).await.expect("a tunnel");
        self.handshake(stream, host, alpn).await.expect("a handshake")
    }

    /// A handshake on a stream that is open already.
    ///
    /// # Errors
    /// What the handshake met.
    pub(crate) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        host: &str,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<S>> {
        let mut config = self.config.clone();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// HTTP/1.1 inside a tunnel to `host`.
    pub(crate) async fn http1(&self, host: &str) -> Session {
        let stream = self.tls(host, &["http/1.1"]).await;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a session");
        tokio::spawn(connection.with_upgrades());
        Session { host: host.to_owned(), kind: Kind::Http1(sender) }
    }

    /// HTTP/2 inside a tunnel to `host`.
    pub(crate) async fn http2(&self, host: &str) -> Session {
        let stream = self.tls(host, &["h2"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()), "Nexus offers h2");
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a session");
        tokio::spawn(connection);
        Session { host: host.to_owned(), kind: Kind::Http2(sender) }
    }

    /// Sends `request`, whose URI is `https://host/path`, over HTTP/1.1 on a stream of its own.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let host = request.uri().host().expect("a host").to_owned();
        self.http1(&host).await.send(request).await
    }

    /// GET `https://host/path`.
    pub(crate) async fn get(&self, url: &str) -> Reply {
        self.send(request(Method::GET, url, empty())).await
    }
}

/// A request for [`Caller::send`] or [`Session::send`].
pub(crate) fn request(method: Method, url: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(url).body(body).expect("a request")
}

/// Requests inside one tunnel. Cloning an HTTP/2 session shares its connection.
pub(crate) struct Session {
    host: String,
    kind: Kind,
}

enum Kind {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Session {
    /// Another handle of the same HTTP/2 connection.
    pub(crate) fn share(&self) -> Self {
        let Kind::Http2(sender) = &self.kind else { panic!("HTTP/1.1 has one request at a time") };
        Self { host: self.host.clone(), kind: Kind::Http2(sender.clone()) }
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn send(&mut self, request: Request<Body>) -> Reply {
        self.try_send(request).await.expect("a whole response")
    }

    /// As [`Session::send`].
    ///
    /// # Errors
    /// Where the stream broke before the answer's end.
    pub(crate) async fn try_send(&mut self, request: Request<Body>) -> Result<Reply, BoxError> {
        read(self.begin(request).await?).await
    }

    /// GET `path`.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(request(Method::GET, path, empty())).await
    }

    /// Sends a request; the answer's body is unread.
    ///
    /// # Errors
    /// Where the stream broke before the answer's head.
    pub(crate) async fn begin(&mut self, mut request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        let path = request.uri().path_and_query().cloned().unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"));
        match &mut self.kind {
            Kind::Http1(sender) => {
                *request.uri_mut() = Uri::from(path);
                if !request.headers().contains_key("host") {
                    request.headers_mut().insert("host", self.host.parse().expect("a host"));
                }
                sender.ready().await?;
                sender.send_request(request).await
            }
            Kind::Http2(sender) => {
                let uri = Uri::builder().scheme("https").authority(self.host.as_str()).path_and_query(path);
                *request.uri_mut() = uri.build().expect("a URI");
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

/// Reads a response to its end.
///
/// # Errors
/// Where its body broke off.
pub(crate) async fn read(response: Response<Incoming>) -> Result<Reply, BoxError> {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned();
    let status = StatusCode::as_u16(&parts.status);
    Ok(Reply { status, version: parts.version, headers: parts.headers, body: collected.to_bytes(), trailers })
}

/// Reads up to and including the empty line, not a byte more.
pub(crate) async fn read_head(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}
