//! The service that every client asks: it answers 200 only where the stored credential arrived and the caller's placeholder did not.
//! It is an API, a git repository, three package registries, a WebSocket echo and a gRPC method, by path.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::socket::accept;
use crate::harness::{Authority, Body, Call, Offers, Upstream, answer, channel};

pub(super) const HOST: &str = "api.clients.test";
pub(super) const PLAIN_HOST: &str = "plain.clients.test";
/// What the vault holds and no client.
pub(super) const KEY: &str = "clients-stored-0123456789abcdef";
/// How the placeholder begins that the clients hold.
pub(super) const PLACEHOLDER: &str = "clients-placeholder-";
/// The word in every answer.
pub(super) const EXPECTED: &str = "proxied";

const API: &str = r#"{ "proxied": true, "ok": true, "object": "model", "id": "m" }"#;
const INDEX: &str = r#"<!DOCTYPE html><a href="proxied-1.0-py3-none-any.whl" data-dist-info-metadata="true" data-core-metadata="true">proxied-1.0-py3-none-any.whl</a>"#;
const METADATA: &str = "Metadata-Version: 2.1\nName: proxied\nVersion: 1.0\n";
const PACKUMENT: &str = r#"{ "name": "proxied", "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": {
    "name": "proxied", "version": "1.0.0", "dist": { "tarball": "https://api.clients.test/npm/proxied.tgz", "shasum": "0" } } } }"#;
const CRATES: &str =
    r#"{ "crates": [{ "name": "proxied", "max_version": "1.0.0", "description": "" }], "meta": { "total": 1 } }"#;

/// Starts the service for `https://api.clients.test`.
pub(super) async fn start(ca: &Authority) -> Upstream {
    Upstream::serve(ca, &[HOST], Offers::Both, |mut call| async move {
        if call.parts.headers.contains_key("upgrade") {
            return match fault(&call) {
                None => accept(call),
                Some(fault) => answer(403, fault),
            };
        }
        let body = call.read().await.expect("a request body");
        match fault(&call) {
            None => respond(call.parts.uri.path(), &body),
            Some(fault) => answer(403, fault),
        }
    })
    .await
}

/// What is wrong with the credentials of a request. The text has nothing of what the clients wait for.
fn fault(call: &Call) -> Option<String> {
    let authorizations: Vec<&HeaderValue> = call.parts.headers.get_all("authorization").iter().collect();
    if authorizations != [format!("Bearer {KEY}").as_str()] {
        return Some(format!("the stored credential did not come alone: {authorizations:?}"));
    }
    let fields = call.parts.headers.iter().filter(|(name, _)| *name != "authorization");
    let mut places: Vec<(&str, &[u8])> = fields.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let path = call.parts.uri.to_string();
    places.push(("the path", path.as_bytes()));
    places.push(("the body", call.seen.body.as_deref().unwrap_or_default()));
    let held = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase().contains("placeholder");
    let found = places.iter().find(|(_, bytes)| held(bytes))?;
    Some(format!("a credential of the caller came through in {}", found.0))
}

fn respond(path: &str, body: &[u8]) -> Response<Body> {
    let (kind, content) = match path {
        "/repository/info/refs" => return typed("application/x-git-upload-pack-advertisement", refs()),
        "/echo.Echo/Say" => return grpc(body),
        "/simple/proxied/" => ("text/html", INDEX),
        "/simple/proxied/proxied-1.0-py3-none-any.whl.metadata" => ("text/plain", METADATA),
        path if path.starts_with("/simple/") => return answer(404, "no such page"),
        "/crates/config.json" => {
            ("application/json", r#"{ "dl": "https://api.clients.test/crates", "api": "https://api.clients.test/crates" }"#)
        }
        "/crates/api/v1/crates" => ("application/json", CRATES),
        "/npm/proxied" => ("application/json", PACKUMENT),
        _ => ("application/json", API),
    };
    typed(kind, content.into())
}

fn typed(kind: &'static str, content: Bytes) -> Response<Body> {
    let mut response = answer(200, content);
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    response
}

/// One branch, as git's smart protocol announces it (gitprotocol-http).
fn refs() -> Bytes {
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let object = "1111111111111111111111111111111111111111";
    let text = line("# service=git-upload-pack\n") + "0000" + &line(&format!("{object} refs/heads/{EXPECTED}\0\n")) + "0000";
    text.into()
}

/// A unary answer: one message behind its flag and length, and the status as a trailer.
fn grpc(request: &[u8]) -> Response<Body> {
    let said = request.get(5..).unwrap_or_default().to_vec();
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        let text = [EXPECTED.as_bytes(), b" ", &said].concat();
        let mut message = BytesMut::new();
        message.put_u8(0);
        message.put_u32(u32::try_from(text.len()).expect("a short text"));
        message.extend_from_slice(&text);
        sender.send_data(message.freeze()).await.expect("a reader");
        let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from_static("0"))]);
        sender.send_trailers(trailers).await.expect("a reader");
    });
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

/// The same without TLS: no credential may come here, neither the stored one nor the caller's.
pub(super) async fn start_plain() -> (std::net::SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let accepting = tokio::spawn(async move {
        loop {
            let (stream, _peer) = listener.accept().await.expect("a stream");
            let service = service_fn(|request: http::Request<Incoming>| async move {
                let (parts, body) = request.into_parts();
                body.collect().await?;
                let head = format!("{:?} {}", parts.headers, parts.uri);
                let clean = parts.headers.get("authorization").is_none() && !head.contains(KEY) && !head.contains(PLACEHOLDER);
                let response = if clean { typed("application/json", API.into()) } else { answer(403, "a credential came") };
                Ok::<_, hyper::Error>(response)
            });
            // How a client leaves is no matter of this test.
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, accepting)
}
