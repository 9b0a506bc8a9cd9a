//! Threats 34 to 43: a service that echoes the credential in what it answers. The caller gets a placeholder of the same length (I1).

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body_util::BodyExt as _;

use crate::attack::{ACME, HOST};
use crate::harness::{
    Authority, Body, Builder, Call, Caller, Nexus, Offers, Session, Upstream, answer, channel, empty, request, run,
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
        let mut line = String::new();
        write!(line, "{}", nexus.closed("/").await).expect("into a string");
        assert!(!line.contains("guard_hits") && !line.contains(KEY), "{line}");
    });
}
