//! WebSocket by `Upgrade` (RFC 6455) and by extended CONNECT (RFC 8441): accepted and refused, with frames of every size.

use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::socket::{BINARY, CLOSE, PING, PONG, TEXT, accept, accepted, read_frame, write_frame};
use crate::harness::{
    Authority, Body, Builder, Caller, Nexus, Offers, Session, Upstream, answer, empty, read, read_head, request, run,
};

const PROVIDER: &str = r#"
name = "chat"
title = "Chat"
slots = ["authorization"]
[[inject]]
hosts = ["ws.chat.test"]
strategy = { bearer = "{api_key}" }
"#;
const KEY: &str = "chat-key-0123456789abcdef";
/// The example of RFC 6455 §1.3.
const CALLERS_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Echoes messages, answers pings and closes.
async fn service(ca: &Authority) -> Upstream {
    Upstream::serve(ca, &["ws.chat.test"], Offers::Both, |call| async move {
        match call.seen.path.as_str() {
            "/refused" => answer(403, "not you"),
            "/plain" => answer(200, "no socket here"),
            _ => accept(call),
        }
    })
    .await
}

fn home(ca: &Authority, service: &Upstream) -> Nexus {
    let builder = Builder::new(ca).resolve("ws.chat.test", service.address).provider("chat", PROVIDER);
    builder.register("chat", &[("api_key", KEY)]).start()
}

/// The opening handshake, as each version writes it.
fn handshake(version: Version, path: &str) -> Request<Body> {
    let mut sent = request(Method::GET, path, empty());
    sent.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("13"));
    sent.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("echo"));
    if version == Version::HTTP_2 {
        *sent.method_mut() = Method::CONNECT;
        sent.extensions_mut().insert(Protocol::from_static("websocket"));
    } else {
        sent.headers_mut().insert("connection", HeaderValue::from_static("keep-alive, Upgrade"));
        sent.headers_mut().insert("upgrade", HeaderValue::from_static("websocket"));
        sent.headers_mut().insert("sec-websocket-key", HeaderValue::from_static(CALLERS_KEY));
    }
    sent
}

async fn session(nexus: &Nexus, version: Version) -> Session {
    session_of(Caller::new(nexus), version).await
}

async fn session_of(caller: Caller, version: Version) -> Session {
    if version != Version::HTTP_2 {
        return caller.http1("ws.chat.test").await;
    }
    let mut session = caller.http2("ws.chat.test").await;
    // Only after its SETTINGS may an extended CONNECT be sent (RFC 8441 §3).
    assert_eq!(session.get("/plain").await.status, 200);
    session
}

#[test]
fn frames_of_every_size_pings_and_the_close_pass() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let nexus = home(&ca, &service);
        for (version, path) in [(Version::HTTP_11, "/by-upgrade"), (Version::HTTP_2, "/by-connect")] {
            let response = session(&nexus, version).await.begin(handshake(version, path)).await.expect("an answer");
            let status = if version == Version::HTTP_2 { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["sec-websocket-protocol"], "echo");
            let accept = response.headers().get("sec-websocket-accept").cloned();
            assert_eq!(accept, (version == Version::HTTP_11).then(|| accepted(CALLERS_KEY).parse().expect("a value")));
            let mut stream = TokioIo::new(hyper::upgrade::on(response).await.expect("an upgrade"));
            let big: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
            for (kind, payload, back) in [
                (TEXT, &b"hello"[..], TEXT),
                (PING, b"are you there", PONG),
                (BINARY, &big[..70_000], BINARY),
                (BINARY, &big, BINARY),
            ] {
                // Written while it is read: the echo of a big frame is on its way before the frame has ended.
                let (mut reading, mut writing) = tokio::io::split(stream);
                let ((), (kind, echoed)) =
                    tokio::join!(write_frame(&mut writing, kind, payload, Some([1, 2, 3, 4])), read_frame(&mut reading));
                stream = reading.unsplit(writing);
                assert!(kind == back && echoed == payload, "{kind} of {} bytes over {version:?}", echoed.len());
            }
            write_frame(&mut stream, CLOSE, &1000_u16.to_be_bytes(), Some([9, 9, 9, 9])).await;
            assert_eq!(read_frame(&mut stream).await, (CLOSE, 1000_u16.to_be_bytes().to_vec()));
            assert_eq!(stream.read(&mut [0]).await.expect("an end"), 0);
            drop(stream);
            let seen = service.seen().pop().expect("a request");
            assert_eq!((seen.version, seen.method.as_str(), seen.bearer()), (Version::HTTP_11, "GET", Some(KEY)));
            assert_eq!(seen.header("sec-websocket-version"), Some("13"));
            let line = nexus.closed(path).await;
            assert_eq!(line["status"], 101, "{line}");
            assert!(line["bytes_up"].as_u64() > Some(5_070_000) && line["bytes_down"].as_u64() > Some(5_070_000), "{line}");
        }
    });
}

#[test]
fn a_refusal_of_the_service_reaches_the_caller() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let nexus = home(&ca, &service);
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let mut session = session(&nexus, version).await;
            let reply = read(session.begin(handshake(version, "/refused")).await.expect("an answer")).await.expect("a body");
            assert_eq!((reply.status, reply.text(), reply.refusal()), (403, "not you", None), "{version:?}");
            // The stream is still HTTP.
            assert_eq!(session.get("/plain").await.text(), "no socket here", "{version:?}");
        }
    });
}

/// Over HTTP/2 a 200 says that the socket stands (RFC 8441 §5).
#[test]
fn an_answer_that_does_not_switch_is_no_websocket() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let nexus = home(&ca, &service);
        let mut over_http1 = session(&nexus, Version::HTTP_11).await;
        let reply =
            read(over_http1.begin(handshake(Version::HTTP_11, "/plain")).await.expect("an answer")).await.expect("a body");
        assert_eq!((reply.status, reply.text()), (200, "no socket here"));
        let mut over_http2 = session(&nexus, Version::HTTP_2).await;
        let reply =
            read(over_http2.begin(handshake(Version::HTTP_2, "/plain")).await.expect("an answer")).await.expect("a body");
        assert_eq!((reply.status, reply.refusal()), (502, Some("upstream")));
    });
}

/// What either side sends before it has seen the other's half of the handshake, and what one side says after the other has ended.
#[test]
fn early_bytes_and_half_closes_pass() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &["ws.chat.test"], Offers::Http1, |mut stream, _number| async move {
            read_head(&mut stream).await;
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nearly from the service;";
            stream.write_all(head.as_bytes()).await.expect("a write");
            let mut all = String::new();
            stream.read_to_string(&mut all).await.expect("the caller's half");
            stream.write_all(all.to_uppercase().as_bytes()).await.expect("a write");
            stream.shutdown().await.expect("an end");
        })
        .await;
        let nexus = home(&ca, &service);
        let mut stream = Caller::new(&nexus).tls("ws.chat.test", &["http/1.1"]).await;
        let sent =
            "GET /raw HTTP/1.1\r\nHost: ws.chat.test\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nearly from the caller";
        stream.write_all(sent.as_bytes()).await.expect("a write");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream.shutdown().await.expect("a half-close");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.expect("the service's half");
        assert_eq!(rest, "early from the service;EARLY FROM THE CALLER");
    });
}

#[test]
fn t43_a_frame_that_nobody_can_read_ends_the_socket_and_the_log_says_why() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &["ws.chat.test"], Offers::Http1, |mut stream, _number| async move {
            let Ok(1) = stream.read(&mut [0]).await else { return };
            let head = read_head(&mut stream).await.to_ascii_lowercase();
            let Some(key) = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")) else { return };
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                accepted(key)
            );
            stream.write_all(head.as_bytes()).await.expect("a write");
            // RFC 6455 §5.1: a service masks nothing.
            write_frame(&mut stream, TEXT, KEY.as_bytes(), Some([1, 2, 3, 4])).await;
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest).await);
        })
        .await;
        let nexus = home(&ca, &service);
        let mut session = session(&nexus, Version::HTTP_11).await;
        let response = session.begin(handshake(Version::HTTP_11, "/masked")).await.expect("an answer");
        let mut socket = TokioIo::new(hyper::upgrade::on(response).await.expect("a stream"));
        let mut read = Vec::new();
        drop(socket.read_to_end(&mut read).await);
        assert!(read.is_empty(), "{read:?}");
        assert_eq!(nexus.notes("/masked").await, ["unreadable_frame", "broken_off"]);
    });
}

#[test]
fn t43_i1_a_handshake_that_echoes_the_key_does_not_show_it() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &["ws.chat.test"], Offers::Http1, |mut stream, _number| async move {
            loop {
                let mut first = [0];
                let Ok(1) = stream.read(&mut first).await else { return };
                let head = read_head(&mut stream).await.to_ascii_lowercase();
                let Some(key) = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ").map(str::to_owned)) else {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("a write");
                    continue;
                };
                let head = format!(
                    "HTTP/1.1 101 {KEY}\r\nConnection: Upgrade, {KEY}\r\nUpgrade: websocket, {KEY}\r\nSec-WebSocket-Accept: {}\r\n\
                     Sec-WebSocket-Protocol: {KEY}\r\nX-Echo: Bearer {KEY}\r\nX-{KEY}: 1\r\nSet-Cookie: session={KEY}\r\nX-Kept: yes\r\n\r\n",
                    accepted(&key)
                );
                stream.write_all(head.as_bytes()).await.expect("a write");
                return;
            }
        })
        .await;
        let nexus = home(&ca, &service);
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let response = session(&nexus, version).await.begin(handshake(version, "/echo")).await.expect("an answer");
            let shown = format!("{:?}", response.headers());
            assert!(!shown.contains(KEY) && response.headers().contains_key("x-kept"), "{version:?}: {shown}");
            assert!(!response.headers().contains_key("set-cookie"), "{version:?}: {shown}");
            let upgrade = response.headers().get("upgrade").map(HeaderValue::as_bytes);
            assert_eq!(upgrade, (version == Version::HTTP_11).then_some(&b"websocket"[..]), "{version:?}: {shown}");
        }
        let line = nexus.closed("/echo").await;
        assert!(line["guard_hits"].as_u64() >= Some(3), "{line}");
    });
}

/// RFC 9110 §7.8: a service may not switch to what nobody offered.
#[test]
fn t43_a_protocol_that_was_not_offered_is_a_502() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &["ws.chat.test"], Offers::Http1, |mut stream, _number| async move {
            let head = read_head(&mut stream).await;
            let named = if head.starts_with("GET /second ") { "SECOND/2" } else { "other" };
            let head = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {named}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.expect("a write");
        })
        .await;
        let nexus = home(&ca, &service);
        for (path, expected) in [("/second", Some("upgrade: second/2\r\n")), ("/other", None)] {
            let mut stream = Caller::new(&nexus).tls("ws.chat.test", &["http/1.1"]).await;
            let sent =
                format!("GET {path} HTTP/1.1\r\nHost: ws.chat.test\r\nConnection: Upgrade\r\nUpgrade: first, second/2\r\n\r\n");
            stream.write_all(sent.as_bytes()).await.expect("a write");
            let head = read_head(&mut stream).await.to_ascii_lowercase();
            match expected {
                Some(expected) => assert!(head.starts_with("http/1.1 101 ") && head.contains(expected), "{path}: {head}"),
                None => assert!(head.starts_with("http/1.1 502 ") && !head.contains("\r\nupgrade:"), "{path}: {head}"),
            }
        }
    });
}

#[test]
fn i6_a_revoked_agents_sockets_end_within_a_second() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let builder = Builder::new(&ca).resolve("ws.chat.test", service.address).provider("chat", PROVIDER);
        let (builder, token) = builder.register("chat", &[("api_key", KEY)]).agent("a", |_agent| {});
        let (builder, _other) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        let mut streams = Vec::new();
        for (version, path) in [(Version::HTTP_11, "/by-upgrade"), (Version::HTTP_2, "/by-connect")] {
            let mut session = session_of(Caller::new(&nexus).agent("a", &token), version).await;
            let response = session.begin(handshake(version, path)).await.expect("an answer");
            let mut stream = TokioIo::new(hyper::upgrade::on(response).await.expect("an upgrade"));
            write_frame(&mut stream, TEXT, b"hello", Some([1, 2, 3, 4])).await;
            assert_eq!(read_frame(&mut stream).await, (TEXT, b"hello".to_vec()));
            streams.push((session, stream));
        }
        let rows = nexus::agent::read(&std::fs::read_to_string(nexus.home().agents_file()).expect("a file")).expect("agents");
        let rest: Vec<_> = rows.into_iter().filter(|row| row.name.as_str() != "a").collect();
        let text = nexus::agent::write(&rest).expect("text");
        nexus::disk::write_atomic(&nexus.home().agents_file(), text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        nexus.reload();
        let revoked = Instant::now();
        for (_session, mut stream) in streams {
            let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await;
            assert!(ended.is_ok());
        }
        assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    });
}
