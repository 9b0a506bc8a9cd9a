//! One accepted stream, from its first byte: TLS or not, CONNECT or not.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use http::Response;
use http_body_util::BodyExt as _;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::authenticate::{Origin, note_source};
use super::body::ResponseBody;
use super::caller::{Caller, Prefixed};
use super::connect::{Next, Opened, Tunnel};
use super::door::Door;
use super::known::Known;
use super::refusal::Refusal;
use super::worker::{Listener, Worker};
use crate::audit::Kind;
use crate::head::{Malformed, ReadError, read_head};
use crate::listener::Peer;
use crate::model::Host;

/// RFC 8446 §5.1: a record of type handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// In place of an address where there is none: a Unix socket is on this machine.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// CONNECTs that may be refused on one stream before it is closed: a client answers a challenge on its second try.
const CONNECT_TRIES: u32 = 4;

/// Serves `stream` to its end.
pub(super) async fn stream(worker: &Rc<Worker>, stream: TcpStream, peer: Peer, listener: &Arc<Listener>) {
    let Some((arrived, known)) = Box::pin(arrive(worker, stream, peer, listener)).await else { return };
    match known {
        None => go(worker, arrived).await,
        Some(known) => Box::pin(go_while_known(worker, arrived, known)).await,
    }
}

/// A stream's caller, what was read of it, and where it comes from.
type Arrived = Box<(Caller, BytesMut, Origin)>;

/// Serves the stream until its caller is not any more who it was.
async fn go_while_known(worker: &Rc<Worker>, arrived: Arrived, known: Known) {
    tokio::select! {
        () = go(worker, arrived) => {}
        () = worker.until_unknown(known) => {}
    }
}

async fn go(worker: &Rc<Worker>, arrived: Arrived) {
    // The way to the first request is on the heap while it lasts, so that a stream that waits for the next one holds little.
    match Box::pin(serve(worker, arrived)).await {
        Some(Then::Requests(opened)) => worker.requests(opened).await,
        Some(Then::Http1(caller, buffer, origin)) => Box::pin(worker.http1(caller, buffer, Door::open(origin))).await,
        Some(Then::Tunnel(caller, buffer, tunnel)) => Box::pin(worker.tunnel(*caller, buffer, tunnel)).await,
        None => {}
    }
}

/// What a stream has become once it has said what it wants.
enum Then {
    /// An opened CONNECT.
    Requests(Opened),
    /// Requests to the proxy port itself.
    Http1(Box<Caller>, BytesMut, Origin),
    /// A CONNECT that is left shut.
    Tunnel(Box<Caller>, BytesMut, Box<Tunnel>),
}

/// Finds out who the stream's caller is, and ends its TLS; `None` = it has gone.
async fn arrive(
    worker: &Rc<Worker>,
    stream: TcpStream,
    peer: Peer,
    listener: &Arc<Listener>,
) -> Option<(Arrived, Option<Known>)> {
    let changes = matches!(peer, Peer::Unix(_)).then(|| worker.proxy.callers.changes());
    let (peer, local, process) = match peer {
        Peer::Tcp(peer) => {
            stream.set_nodelay(true).ok()?;
            (peer, stream.local_addr().ok()?, None)
        }
        Peer::Unix(process) => (NOWHERE, NOWHERE, Some(Arc::new(worker.known_by_kernel(process)))),
    };
    let mut stream = stream;
    let mut buffer = BytesMut::with_capacity(2048);
    let first = unless_draining(worker, timeout(worker.proxy.settings.head_timeout, stream.read_buf(&mut buffer))).await;
    if !matches!(first, Some(Ok(Ok(1..)))) {
        return None;
    }
    let mut origin = Origin {
        peer,
        local,
        listener: Arc::clone(listener),
        process,
        certificate: None,
        tls: buffer.first() == Some(&TLS_HANDSHAKE),
    };
    let known = |shown, changes| Known { process: origin.process.clone(), shown, changes };
    if !origin.tls {
        let known = changes.map(|changes| known(None, changes));
        return Some((Box::new((Caller::Tcp(Prefixed::new(BytesMut::new(), stream)), buffer, origin)), known));
    }
    let changes = changes.unwrap_or_else(|| worker.proxy.callers.changes());
    let (caller, chain) = Box::pin(end_tls(worker, Prefixed::new(buffer, stream), local)).await?;
    let agent = chain.first().and_then(|certificate| worker.known_by_certificate(certificate));
    let shown = (!chain.is_empty()).then(|| (chain, agent.clone()));
    let known = (shown.is_some() || origin.process.is_some()).then(|| known(shown, changes));
    origin.certificate = agent;
    Some((Box::new((caller, BytesMut::new(), origin)), known))
}

/// `None` once the proxy drains: whoever has not asked for anything yet is not waited for.
pub(super) async fn unless_draining<T>(worker: &Worker, work: impl Future<Output = T>) -> Option<T> {
    let mut draining = worker.proxy.draining.clone();
    tokio::select! {
        done = work => Some(done),
        _stopped = draining.wait_for(|draining| *draining) => None,
    }
}

/// Ends the TLS of a caller that speaks it to the proxy itself, with a certificate for the address it came to and all our names.
/// Says also which certificates the caller showed, its own first.
async fn end_tls(
    worker: &Worker,
    stream: Prefixed<TcpStream>,
    local: SocketAddr,
) -> Option<(Caller, Vec<CertificateDer<'static>>)> {
    let host = Host::from(local.ip().to_canonical());
    let config = worker.proxy.issuer.load().listener_config(&host, &worker.proxy.settings.names);
    let config = config.map_err(|error| tracing::warn!(%error, "no certificate for the proxy's own address")).ok()?;
    let accepting = TlsAcceptor::from(config).accept(stream);
    match timeout(worker.proxy.settings.handshake_timeout, accepting).await {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default().iter();
            let chain = shown.map(|certificate| certificate.clone().into_owned()).collect();
            Some((Caller::Tls(Box::new(stream)), chain))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a caller's TLS to the proxy failed");
            None
        }
        Err(_elapsed) => None,
    }
}

/// Reads heads until one is not a refused CONNECT; `None` = it has been answered, or has gone.
async fn serve(worker: &Rc<Worker>, arrived: Arrived) -> Option<Then> {
    let (mut caller, mut buffer, origin) = *arrived;
    let limits = worker.proxy.settings.head;
    for _ in 0..CONNECT_TRIES {
        let reading = timeout(worker.proxy.settings.head_timeout, read_head(&mut caller, &mut buffer, &limits));
        let head = match unless_draining(worker, reading).await {
            Some(Ok(Ok(head))) => head,
            Some(Ok(Err(ReadError::Malformed(malformed)))) => {
                Box::pin(malformed_head(worker, caller, &origin, malformed)).await;
                return None;
            }
            Some(Ok(Err(_)) | Err(_)) | None => return None,
        };
        if !head.is_connect() {
            return Some(Then::Http1(Box::new(caller), buffer, origin));
        }
        let request = buffer.split_to(head.len()).freeze();
        // Each phase is on the heap while it lasts: an idle stream holds none of them.
        match Box::pin(worker.connect(&head, &request, &origin)).await {
            Next::Again(response) => {
                answer(&mut caller, response).await.ok()?;
            }
            Next::Close(response) => {
                answer(&mut caller, response).await.ok()?;
                return None;
            }
            Next::Open(inside) => return Box::pin(worker.open(caller, buffer, inside)).await.map(Then::Requests),
            Next::Tunnel(tunnel) => return Some(Then::Tunnel(Box::new(caller), buffer, tunnel)),
        }
    }
    None
}

/// The first head was none: told so, recorded, closed. What is still on its way is read, so that the answer is not lost to a reset.
async fn malformed_head(worker: &Worker, mut caller: Caller, origin: &Origin, malformed: Malformed) {
    let refusal = Refusal::Malformed(malformed);
    let mut entry = worker.spool.begin(Kind::Request);
    note_source(&mut entry, origin);
    entry.refusal(refusal.kind(), refusal.status().as_u16());
    entry.note(malformed.kind());
    let mut response = refusal.response(entry.id().as_str());
    response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    drop(entry);
    if answer(&mut caller, response).await.is_err() {
        return;
    }
    if caller.shutdown().await.is_err() {
        return;
    }
    let linger = async {
        let mut scratch = BytesMut::with_capacity(4096);
        let mut left = 1024 * 1024_usize;
        while let Ok(length @ 1..) = caller.read_buf(&mut scratch).await {
            left = left.saturating_sub(length);
            if left == 0 {
                return;
            }
            scratch.clear();
        }
    };
    drop(timeout(std::time::Duration::from_secs(2), linger).await);
}

/// Writes a response of ours outside hyper: the head of a CONNECT's answer is the one thing we write ourselves.
pub(super) async fn answer(caller: &mut Caller, response: Response<ResponseBody>) -> std::io::Result<()> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let reason = parts.headers.get(super::refusal::NEXUS_REFUSAL).and_then(|kind| kind.to_str().ok());
    let standard = parts.status.canonical_reason().unwrap_or("Refused");
    let reason = reason.map_or_else(|| standard.to_owned(), |kind| format!("{standard} ({kind})"));
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\ncontent-length: {}\r\n", parts.status.as_u16(), body.len()).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    caller.write_all(&bytes).await?;
    caller.flush().await
}
