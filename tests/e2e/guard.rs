//! Threats 34 to 43: a service that echoes the credential in what it answers. The caller gets a placeholder of the same length (I1).

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body_util::BodyExt as _;

use crate::attack::{ACME, HOST};
use crate::harness::socket::{CLOSE, TEXT, accept, read_frame, write_frame};
use crate::harness::{
    Authority, Body, Builder, Call, Caller, Nexus, Offers, Program, Session, Upstream, answer, channel, empty, full, request,
    run,
};

/// As long as its placeholder.
const KEY: &str = "acme-key/0123456789+abcdefghijklmnopqrstu";
const MIB: usize = 1024 * 1024;

fn home(ca: &Authority, service: &Upstream) -> Builder {
    Builder::new(ca).resolve(HOST, service.address).provider("acme", ACME).register("acme", &[("api_key", KEY)])
}

/// What stands in for the key.
fn placeholder(nexus: &Nexus) -> String {
    let placeholder = format!("acme_{}", nexus.placeholder("local", "acme"));
    assert_eq!(placeholder.len(), KEY.len());
    placeholder
}

/// Both versions on either side, and the short way beside the engine.
async fn session(nexus: &Nexus, way: &str) -> Session {
    let caller = Caller::new(nexus);
    if way == "h2" { caller.http2(HOST).await } else { caller.http1(HOST).await }
}

fn asked(path: &str, way: &str) -> http::Request<Body> {
    let mut asked = request(Method::GET, &format!("https://{HOST}{path}"), empty());
    if way == "engine" {
        // Whoever takes trailers goes by the engine.
        asked.headers_mut().insert("te", HeaderValue::from_static("trailers"));
        asked.headers_mut().insert("connection", HeaderValue::from_static("te"));
    }
    asked
}

const WAYS: [&str; 3] = ["express", "engine", "h2"];

fn escaped(text: &str, escape: impl Fn(u8) -> String) -> String {
    text.bytes().fold(String::new(), |all, byte| all + &escape(byte))
}

/// The key as services write it.
fn spellings() -> Vec<String> {
    let odd = |escape: fn(u8) -> String| {
        move |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { escape(byte) }
    };
    vec![
        KEY.to_owned(),
        STANDARD.encode(KEY),
        STANDARD.encode(format!("x{KEY}")),
        URL_SAFE_NO_PAD.encode(format!("xy{KEY}")),
        escaped(KEY, |byte| format!("{byte:02x}")),
        escaped(KEY, |byte| format!("{byte:02X}")),
        escaped(KEY, odd(|byte| format!("%{byte:02X}"))),
        escaped(KEY, odd(|byte| format!("%{byte:02x}"))),
        escaped(KEY, |byte| format!("%{byte:02x}")),
        escaped(KEY, |byte| format!("\\u{byte:04x}")),
        KEY.replace('/', "\\/"),
    ]
}

/// A service that answers `/N` with the N-th spelling: with a length, or under `/c/N` in pieces of seven bytes.
async fn echo(ca: &Authority, offers: Offers) -> Upstream {
    Upstream::serve(ca, &[HOST], offers, |call: Call| async move {
        assert_eq!(call.seen.bearer(), Some(KEY));
        let (chunked, number) = call.seen.path.trim_start_matches('/').rsplit_once('/').unwrap_or(("", &call.seen.path[1..]));
        let spelling = &spellings()[number.parse::<usize>().expect("a number")];
        let text = format!("{{\"you sent\": \"{spelling}\", \"ok\": true}}");
        if chunked.is_empty() {
            return answer(200, text);
        }
        Response::new(in_pieces(text.into_bytes(), 7))
    })
    .await
}

fn in_pieces(bytes: Vec<u8>, size: usize) -> Body {
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        for piece in bytes.chunks(size) {
            if sender.send_data(Bytes::copy_from_slice(piece)).await.is_err() {
                return;
            }
        }
    });
    body
}

#[test]
fn t34_t39_t41_i1_an_echo_in_a_body_is_a_placeholder_in_every_spelling() {
    run(async {
        let ca = Authority::new();
        for offers in [Offers::Http1, Offers::Both] {
            let service = echo(&ca, offers).await;
            let nexus = home(&ca, &service).start();
            let placeholder = placeholder(&nexus);
            for way in WAYS {
                let mut session = session(&nexus, way).await;
                for (number, spelling) in spellings().iter().enumerate() {
                    for path in [format!("/{number}"), format!("/c/{number}")] {
                        let reply = session.send(asked(&path, way)).await;
                        let text = reply.text();
                        let whole = format!("{{\"you sent\": \"{spelling}\", \"ok\": true}}");
                        assert!(!text.contains(spelling) && text.len() == whole.len(), "{way} {path} {spelling}: {text}");
                        assert!(text.starts_with("{\"you sent\": \"") && text.ends_with("\", \"ok\": true}"), "{way}: {text}");
                        assert!(number != 0 || text.contains(&placeholder), "{way}: {text}");
                    }
                }
            }
            for path in ["/0", "/c/5"] {
                let line = nexus.closed(path).await;
                assert_eq!(line["guard_hits"], 1, "{line}");
            }
        }
    });
}

#[test]
fn clean_events_are_not_kept_waiting_and_an_echo_that_trickles_is_found() {
    run(async {
        let ca = Authority::new();
        let (told, mut asks) = tokio::sync::mpsc::unbounded_channel();
        let service = Upstream::serve(&ca, &[HOST], Offers::Both, move |_call| {
            let (sender, body) = channel();
            told.send(sender).expect("somebody asks");
            async move {
                let mut response = Response::new(body);
                response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
                response
            }
        })
        .await;
        let nexus = home(&ca, &service).start();
        for way in WAYS {
            let mut session = session(&nexus, way).await;
            let response = session.begin(asked("/events", way));
            let (response, sender) = tokio::join!(response, asks.recv());
            let (mut body, mut sender) = (response.expect("an answer").into_body(), sender.expect("a sender"));
            // Each comes before the next one is sent, whatever it ends with.
            for event in ["data: {}\n\n", "data: a", "acm", "data: acme-ke? a", "\\u00", "%"] {
                sender.send_data(event.into()).await.expect("it is read");
                let mut read = Vec::new();
                while read.len() < event.len() {
                    let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.expect("at once");
                    read.extend_from_slice(frame.expect("more").expect("sound").data_ref().expect("data"));
                }
                assert_eq!(read, event.as_bytes(), "{way}");
            }
            for byte in KEY.bytes().chain(*b"\n\n") {
                sender.send_data(Bytes::copy_from_slice(&[byte])).await.expect("it is read");
            }
            drop(sender);
            let rest = body.collect().await.expect("a sound end").to_bytes();
            let text = String::from_utf8(rest.to_vec()).expect("text");
            // Three letters are on their way before they look like a beginning.
            assert!(text.len() == KEY.len() + 2 && !text.contains(&KEY[4..]) && text.ends_with("\n\n"), "{way}: {text}");
            assert!(text.contains(&placeholder(&nexus)[3..]), "{way}: {text}");
        }
    });
}

#[test]
fn what_is_held_back_comes_before_trailers_and_before_the_end() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Both, |call: Call| async move {
            let (mut sender, body) = channel();
            let trailers = call.seen.path == "/trailers";
            tokio::spawn(async move {
                sender.send_data(format!("an end: {}", &KEY[..20]).into()).await.expect("it is read");
                if trailers {
                    let trailers = HeaderMap::from_iter([("x-sum".parse().expect("a name"), HeaderValue::from_static("1"))]);
                    sender.send_trailers(trailers).await.expect("they are read");
                }
            });
            Response::new(body)
        })
        .await;
        let nexus = home(&ca, &service).start();
        for way in WAYS {
            let mut session = session(&nexus, way).await;
            for path in ["/trailers", "/none"] {
                let reply = session.send(asked(path, way)).await;
                assert_eq!(reply.text(), format!("an end: {}", &KEY[..20]), "{way} {path}");
                assert_eq!(reply.trailers.is_some(), path == "/trailers" && way == "h2", "{way} {path}");
            }
        }
    });
}

/// Ten MiB without the key, and it after one MiB and after nine.
fn large() -> Vec<u8> {
    let mut bytes = (0..10 * MIB).map(|number| (number % 251) as u8).collect::<Vec<_>>();
    for at in [MIB, 9 * MIB] {
        bytes[at..at + KEY.len()].copy_from_slice(KEY.as_bytes());
    }
    bytes
}

#[test]
fn text_is_searched_to_its_end_and_anything_else_for_8_mib() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Http1, |call: Call| async move {
            let mut response = answer(200, large());
            let kind = if call.seen.path == "/text" { "text/plain" } else { "application/octet-stream" };
            response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
            response
        })
        .await;
        let nexus = home(&ca, &service).start();
        let (sent, key) = (large(), KEY.as_bytes());
        for (path, found) in [("/text", vec![MIB, 9 * MIB]), ("/binary", vec![MIB])] {
            let reply = session(&nexus, "express").await.send(asked(path, "express")).await;
            assert_eq!(reply.headers["content-length"], sent.len().to_string());
            let mut expected = sent.clone();
            for at in &found {
                expected[*at..at + key.len()].copy_from_slice(placeholder(&nexus).as_bytes());
            }
            assert!(reply.body == expected, "{path}");
            assert_eq!(nexus.closed(path).await["guard_hits"], found.len());
        }
    });
}

/// Nothing else looks at what a host without a credential answers.
#[test]
fn a_host_without_a_credential_is_not_searched() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["plain.test"], Offers::Http1, |_call| async { answer(200, KEY) }).await;
        let nexus =
            home(&ca, &service).resolve("plain.test", service.address).config("[proxy]\nunmatched = \"intercept\"").start();
        let reply = Caller::new(&nexus).get("https://plain.test/").await;
        assert_eq!(reply.text(), KEY);
        let line = nexus.closed("/").await.to_string();
        assert!(!line.contains("guard_hits") && !line.contains(KEY), "{line}");
    });
}

#[test]
fn i1_with_the_agents_scope_what_one_service_passes_on_to_another_is_found() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST, "plain.test"], Offers::Both, |call: Call| async move {
            let mut response = answer(200, if call.seen.path == "/first" { "" } else { KEY });
            response.headers_mut().insert("x-echo", HeaderValue::from_static(KEY));
            response.headers_mut().insert("x-kept", HeaderValue::from_static("1"));
            response
        })
        .await;
        let config = "[proxy]\nunmatched = \"intercept\"\n[guard]\nscope = \"agent\"";
        let nexus = home(&ca, &service).resolve("plain.test", service.address).config(config).start();
        let caller = Caller::new(&nexus);
        assert_eq!(caller.get("https://plain.test/before").await.text(), KEY, "nobody has said what it is");
        assert_eq!(caller.get(&format!("https://{HOST}/first")).await.text(), "");
        for host in ["plain.test", HOST] {
            let reply = caller.get(&format!("https://{host}/after-{host}")).await;
            assert_eq!(reply.text(), placeholder(&nexus), "{host}");
            assert!(reply.headers["x-echo"] == placeholder(&nexus) && reply.headers["x-kept"] == "1", "{:?}", reply.headers);
            assert_eq!(nexus.closed(&format!("/after-{host}")).await["guard_hits"], 2, "{host}");
        }
    });
}

/// RFC 7932 §9.2: one block that is not compressed.
fn brotli(text: &[u8]) -> Vec<u8> {
    let head = u32::try_from(text.len() - 1).expect("short") << 4 | 1 << 20;
    [&head.to_le_bytes()[..3], text, &[3]].concat()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("into a vector");
    encoder.finish().expect("into a vector")
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("into a vector");
    encoder.finish().expect("into a vector")
}

/// `text` as the path says: `/gzip`, `/br`, `/zstd`, `/deflate`, both in one, or a coding that nobody knows.
fn coded(path: &str, text: &[u8]) -> (&'static str, Vec<u8>) {
    match path.trim_start_matches('/') {
        "gzip" | "part" | "half" => ("gzip", gzip(text)),
        "br" => ("br", brotli(text)),
        "zstd" => ("zstd", zstd::encode_all(text, 3).expect("into a vector")),
        "deflate" => ("deflate", deflate(text)),
        "both" => ("gzip, br", brotli(&gzip(text))),
        _ => ("lzma", text.to_vec()),
    }
}

async fn coding_service(ca: &Authority) -> Upstream {
    Upstream::serve(ca, &[HOST], Offers::Both, |call: Call| async move {
        let text = format!("{} you sent: {KEY}\n", "padding ".repeat(100));
        let (name, mut bytes) = coded(&call.seen.path, text.as_bytes());
        if call.seen.path == "/half" {
            bytes.truncate(bytes.len() - 9);
        }
        let mut response = Response::new(in_pieces(bytes, 7));
        if call.seen.path == "/part" {
            *response.status_mut() = http::StatusCode::PARTIAL_CONTENT;
        }
        for (name, value) in
            [("content-encoding", name), ("etag", "\"a\""), ("content-digest", "sha-256=:AA==:"), ("x-kept", "1")]
        {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    })
    .await
}

#[test]
fn t40_i1_an_echo_under_a_coding_is_found_and_an_unknown_coding_is_a_502() {
    run(async {
        let ca = Authority::new();
        let service = coding_service(&ca).await;
        let nexus = home(&ca, &service).start();
        let expected = format!("{} you sent: {}\n", "padding ".repeat(100), placeholder(&nexus));
        for way in WAYS {
            for path in ["/gzip", "/br", "/zstd", "/deflate", "/both"] {
                let mut session = session(&nexus, way).await;
                let mut asked = asked(path, way);
                asked.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip, dcb, br"));
                let reply = session.send(asked).await;
                assert_eq!((reply.status, reply.text()), (200, expected.as_str()), "{way} {path}");
                for gone in ["content-encoding", "content-digest"] {
                    assert!(!reply.headers.contains_key(gone), "{way} {path}: {:?}", reply.headers);
                }
                let length = reply.headers.get("content-length");
                assert!(length.is_none_or(|length| *length == expected.len().to_string()), "{way} {path}: {length:?}");
                assert!(reply.headers["etag"] == "\"a\"" && reply.headers["x-kept"] == "1", "{way} {path}");
                assert_eq!(service.seen().last().expect("a request").header("accept-encoding"), Some("gzip, br"), "{way}");
            }
            for path in ["/unknown", "/part"] {
                let reply = session(&nexus, way).await.send(asked(path, way)).await;
                assert_eq!((reply.status, reply.refusal()), (502, Some("upstream")), "{way} {path}");
                assert!(!reply.text().contains(KEY), "{way} {path}");
            }
            let broken = session(&nexus, way).await.try_send(asked("/half", way)).await;
            assert!(broken.map_or(true, |reply| reply.status == 502), "{way}: a part of it must not look whole");
        }
        assert!(nexus.notes("/unknown").await.contains(&"unknown_coding".to_owned()));
        assert_eq!(nexus.closed("/gzip").await["guard_hits"], 1);
        let curl = Program::new(&nexus, "curl", None).args(&["-sS", "--fail", "--compressed", &format!("https://{HOST}/br")]);
        assert_eq!(curl.run().await.ok(), expected);
    });
}

/// A body that is not what its coding says: `/garbage` and `/truncated` at once, `/later` behind more than is looked at beforehand.
async fn malformed_service(ca: &Authority) -> Upstream {
    Upstream::serve(ca, &[HOST], Offers::Both, |call: Call| async move {
        let mut whole = gzip("some text; ".repeat(10).as_bytes());
        let body = match call.seen.path.as_str() {
            "/garbage" => full("no gzip at all"),
            "/truncated" => full(whole[..whole.len() - 9].to_vec()),
            _ => {
                let noise = (0..300_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8);
                whole = gzip(&noise.collect::<Vec<_>>());
                whole.truncate(whole.len() - 9);
                full(whole)
            }
        };
        let mut response = Response::new(body);
        response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        response
    })
    .await
}

#[test]
fn t40_t113_what_is_not_what_its_coding_says_is_a_502_or_cut_off_and_the_log_says_why() {
    run(async {
        let ca = Authority::new();
        let service = malformed_service(&ca).await;
        let nexus = home(&ca, &service).start();
        for way in WAYS {
            for path in ["/garbage", "/truncated"] {
                let reply = session(&nexus, way).await.send(asked(path, way)).await;
                assert_eq!((reply.status, reply.refusal()), (502, Some("upstream")), "{way} {path}");
                assert!(reply.headers["content-type"] == "application/problem+json", "{way} {path}: {reply:?}");
            }
            let mut session = session(&nexus, way).await;
            let response = session.begin(asked("/later", way)).await.expect("a head");
            assert_eq!(response.status(), 200, "{way}");
            assert!(response.into_body().collect().await.is_err(), "{way}: it must not look whole");
        }
        for (path, status, why) in [
            ("/garbage", 502, &["malformed_coding"][..]),
            ("/truncated", 502, &["truncated_coding"]),
            ("/later", 200, &["truncated_coding", "broken_off"]),
        ] {
            let line = nexus.closed(path).await;
            assert_eq!((&line["status"], &line["notes"]), (&status.into(), &serde_json::json!(why)), "{line}");
            assert_eq!(line["refusal"].as_str(), (status == 502).then_some("upstream"), "{line}");
        }
    });
}

#[test]
fn coded_events_come_one_by_one() {
    run(async {
        let ca = Authority::new();
        let (told, mut asks) = tokio::sync::mpsc::unbounded_channel();
        let service = Upstream::serve(&ca, &[HOST], Offers::Both, move |_call| {
            let (sender, body) = channel();
            told.send(sender).expect("somebody asks");
            async move {
                let mut response = Response::new(body);
                response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
                response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
                response
            }
        })
        .await;
        let nexus = home(&ca, &service).start();
        for way in WAYS {
            let mut session = session(&nexus, way).await;
            let (response, sender) = tokio::join!(session.begin(asked("/events", way)), asks.recv());
            let (mut body, mut sender) = (response.expect("an answer").into_body(), sender.expect("a sender"));
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            for event in ["data: 1\n\n".to_owned(), "data: 2\n\n".repeat(9000), format!("data: {}\n\n", &KEY[..30])] {
                encoder.write_all(event.as_bytes()).expect("into a vector");
                encoder.flush().expect("into a vector");
                sender.send_data(std::mem::take(encoder.get_mut()).into()).await.expect("it is read");
                let mut read = Vec::new();
                while read.len() < event.len() {
                    let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.expect("at once");
                    read.extend_from_slice(frame.expect("more").expect("sound").data_ref().expect("data"));
                }
                assert!(read == event.as_bytes(), "{way}");
            }
        }
    });
}

#[test]
fn t43_i1_a_socket_that_echoes_the_key_sends_a_placeholder() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[HOST], Offers::Both, |call| async move {
            if call.seen.path == "/plain" { answer(200, "") } else { accept(call) }
        })
        .await;
        let nexus = home(&ca, &service).start();
        for way in ["engine", "h2"] {
            let mut session = session(&nexus, way).await;
            session.get("/plain").await;
            let mut asked = request(Method::GET, &format!("https://{HOST}/socket-{way}"), empty());
            let fields = [("sec-websocket-version", "13"), ("sec-websocket-extensions", "permessage-deflate")];
            let by_upgrade =
                [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
            for (name, value) in fields.into_iter().chain(if way == "h2" { [].as_slice() } else { &by_upgrade }.iter().copied())
            {
                asked.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            if way == "h2" {
                *asked.method_mut() = Method::CONNECT;
                asked.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
            }
            let response = session.begin(asked).await.expect("an answer");
            assert!(!response.headers().contains_key("sec-websocket-extensions"), "{way}");
            let mut socket = hyper_util::rt::TokioIo::new(hyper::upgrade::on(response).await.expect("a stream"));
            for (sent, expected) in [
                (format!("[{KEY}]"), format!("[{}]", placeholder(&nexus))),
                ("clean".to_owned(), "clean".to_owned()),
                (KEY[..20].to_owned(), KEY[..20].to_owned()),
                (String::new(), String::new()),
            ] {
                write_frame(&mut socket, TEXT, sent.as_bytes(), Some([1, 2, 3, 4])).await;
                assert_eq!(read_frame(&mut socket).await, (TEXT, expected.into_bytes()), "{way}");
            }
            write_frame(&mut socket, CLOSE, &[], Some([1, 2, 3, 4])).await;
            assert_eq!(read_frame(&mut socket).await.0, CLOSE, "{way}");
            drop(socket);
            let seen = service.seen();
            assert!(seen.iter().all(|seen| seen.header("sec-websocket-extensions").is_none()), "{way}");
            assert_eq!(nexus.closed(&format!("/socket-{way}")).await["guard_hits"], 1, "{way}");
        }
    });
}

#[test]
fn with_the_guard_off_bodies_pass_as_they_are() {
    run(async {
        let ca = Authority::new();
        let service = coding_service(&ca).await;
        let nexus = home(&ca, &service).config("[guard]\nmode = \"off\"").start();
        for way in WAYS {
            let reply = session(&nexus, way).await.send(asked("/unknown", way)).await;
            assert!(reply.text().contains(KEY) && reply.headers["content-encoding"] == "lzma", "{way}");
        }
    });
}
