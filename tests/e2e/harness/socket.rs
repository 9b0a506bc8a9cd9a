//! A WebSocket service by hand (RFC 6455): the answer to an opening handshake, and an echo of frames of every size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::body::{Body, empty};
use super::upstream::{Call, answer};

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Switches to a socket that echoes messages, answers pings and closes.
pub(crate) fn accept(call: Call) -> Response<Body> {
    let mut response = answer(101, "");
    *response.body_mut() = empty();
    let accepted = accepted(call.seen.header("sec-websocket-key").expect("a key"));
    let fields = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", accepted.as_str())];
    for (name, value) in fields {
        response.headers_mut().insert(name, value.parse().expect("a value"));
    }
    if let Some(protocol) = call.parts.headers.get("sec-websocket-protocol") {
        response.headers_mut().insert("sec-websocket-protocol", protocol.clone());
    }
    let upgrade = hyper::upgrade::on(Request::from_parts(call.parts, call.body));
    tokio::spawn(async move { echo(TokioIo::new(upgrade.await.expect("an upgrade"))).await });
    response
}

/// RFC 6455 §4.2.2.
pub(crate) fn accepted(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

async fn echo(mut stream: TokioIo<Upgraded>) {
    loop {
        let Some((kind, payload)) = next_frame(&mut stream).await else { return };
        let kind = if kind == PING { PONG } else { kind };
        write_frame(&mut stream, kind, &payload, None).await;
        if kind == CLOSE {
            return stream.shutdown().await.expect("an end");
        }
    }
}

/// RFC 6455 §5.2; one frame per message.
pub(crate) async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), kind: u8, payload: &[u8], mask: Option<[u8; 4]>) {
    let mut bytes = vec![0x80 | kind];
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..126 => bytes.push(masked | short as u8),
        medium @ 126..65536 => {
            bytes.push(masked | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(masked | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| bytes.extend(mask)).unwrap_or_default();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    stream.write_all(&bytes).await.expect("a write");
    stream.flush().await.expect("a flush");
}

/// The next frame, which must come.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    next_frame(stream).await.expect("a frame")
}

/// `None` once the peer has left between two frames.
async fn next_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()? & 0x0f;
    let second = stream.read_u8().await.expect("a length");
    let length = match second & 0x7f {
        126 => u64::from(stream.read_u16().await.expect("a length")),
        127 => stream.read_u64().await.expect("a length"),
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        stream.read_exact(&mut mask).await.expect("a mask");
    }
    let mut payload = vec![0; usize::try_from(length).expect("a length")];
    stream.read_exact(&mut payload).await.expect("a payload");
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some((kind, payload))
}
