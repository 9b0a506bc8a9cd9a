//! HTTP/1.1 and HTTP/2 on either side in every combination: versions, trailers, bodiless answers, `Expect`, pipelining, and who shares
//! a connection with whom.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use crate::harness::{
    Authority, Body, Builder, Call, Caller, Nexus, Offers, Session, Upstream, answer, channel, empty, full, run,
};
use crate::harness::{read_head, request};

const PROVIDER: &str = r#"
name = "pair"
title = "Pair"
slots = ["authorization"]
[[inject]]
hosts = ["h1.pair.test", "h2.pair.test"]
strategy = { bearer = "{api_key}" }
"#;
const KEY: &str = "pair-key-0123456789abcdef";
/// (what the caller speaks, the service that it calls, what the service speaks)
const PAIRS: [(Version, &str, Version); 4] = [
    (Version::HTTP_11, "h1.pair.test", Version::HTTP_11),
    (Version::HTTP_11, "h2.pair.test", Version::HTTP_2),
    (Version::HTTP_2, "h1.pair.test", Version::HTTP_11),
    (Version::HTTP_2, "h2.pair.test", Version::HTTP_2),
];

/// A service on each version and a proxy with a credential for both.
struct World {
    old: Upstream,
    new: Upstream,
    nexus: Nexus,
    caller: Caller,
}

impl World {
    async fn new<H, F>(handler: H) -> Self
    where
        H: Fn(Call) -> F + Send + Sync + Clone + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let ca = Authority::new();
        let old = Upstream::serve(&ca, &["h1.pair.test"], Offers::Http1, handler.clone()).await;
        let new = Upstream::serve(&ca, &["h2.pair.test"], Offers::Http2, handler).await;
        let builder = Builder::new(&ca).resolve("h1.pair.test", old.address).resolve("h2.pair.test", new.address);
        let nexus = builder.provider("pair", PROVIDER).register("pair", &[("api_key", KEY)]).start();
        let caller = Caller::new(&nexus);
        Self { old, new, nexus, caller }
    }

    fn service(&self, host: &str) -> &Upstream {
        if host.starts_with("h1") { &self.old } else { &self.new }
    }

    async fn session(&self, version: Version, host: &str) -> Session {
        if version == Version::HTTP_2 { self.caller.http2(host).await } else { self.caller.http1(host).await }
    }
}

fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
}

fn text(version: Version) -> &'static str {
    if version == Version::HTTP_2 { "2" } else { "1.1" }
}

#[test]
fn every_pair_of_versions_carries_a_request() {
    run(async {
        let world = World::new(|mut call| async move {
            let body = call.read().await.expect("a body");
            answer(201, body)
        })
        .await;
        for (number, (down, host, up)) in PAIRS.into_iter().enumerate() {
            let path = format!("/pair/{number}?q=1");
            let mut session = world.session(down, host).await;
            let reply = session.send(request(Method::POST, &path, full("some words"))).await;
            assert_eq!((reply.status, reply.text(), reply.version), (201, "some words", down), "{host}");
            let seen = world.service(host).seen().pop().expect("a request");
            assert_eq!((seen.version, seen.path.as_str(), seen.authority.as_deref()), (up, path.as_str(), Some(host)));
            assert_eq!((seen.bearer(), seen.body.as_deref()), (Some(KEY), Some(&b"some words"[..])));
            let of = |event: &'static str| {
                let path = format!("/pair/{number}?q=");
                world.nexus.audit_line(move |line| line["event"] == event && line["path"] == path)
            };
            let (opened, closed) = (of("open").await, of("close").await);
            assert_eq!(
                (opened["http"].as_str(), closed["upstream_http"].as_str()),
                (Some(text(down)), Some(text(up))),
                "{opened}{closed}"
            );
        }
    });
}

#[test]
fn a_status_of_the_services_own_passes_on_every_pair() {
    run(async {
        let world =
            World::new(
                |call| async move { answer(call.seen.path.trim_start_matches('/').parse().expect("a status"), "as ever") },
            )
            .await;
        for (down, host, up) in PAIRS {
            for status in [599, 600, 999] {
                let path = format!("/{status}");
                let reply = world.session(down, host).await.get(&path).await;
                assert_eq!((reply.status, reply.text()), (status, "as ever"), "{down:?} to {up:?}");
                let line = world.nexus.closed(&path).await;
                assert_eq!(line["status"], status, "{line}");
            }
        }
    });
}

#[test]
fn a_trailer_that_no_field_announced_does_not_cross_http_1_1_and_does_no_harm() {
    run(async {
        let world = World::new(|mut call| async move {
            call.read().await.expect("a body");
            let (mut sender, body) = channel();
            tokio::spawn(async move {
                sender.send_data(Bytes::from_static(b"answer")).await.expect("a reader");
                sender.send_trailers(fields(&[("x-down", "of the service")])).await.expect("a reader");
            });
            Response::new(body)
        })
        .await;
        for (down, host, up) in PAIRS {
            let (mut sender, body) = channel();
            let mut sent = request(Method::POST, "/trailers", body);
            sent.headers_mut().insert("te", HeaderValue::from_static("trailers"));
            if down == Version::HTTP_11 {
                sent.headers_mut().insert("connection", HeaderValue::from_static("te"));
            }
            tokio::spawn(async move {
                sender.send_data(Bytes::from_static(b"question")).await.expect("a reader");
                sender.send_trailers(fields(&[("x-up", "of the caller")])).await.expect("a reader");
            });
            let reply = world.session(down, host).await.send(sent).await;
            assert_eq!((reply.status, reply.text()), (200, "answer"));
            let both = down == Version::HTTP_2 && up == Version::HTTP_2;
            let seen = world.service(host).seen().pop().expect("a request");
            assert_eq!(seen.body.as_deref(), Some(&b"question"[..]));
            assert_eq!((reply.trailers.is_some(), seen.trailers.is_some()), (both, both), "{down:?} to {up:?}");
        }
    });
}

#[test]
fn trailers_go_both_ways_on_every_pair() {
    run(async {
        let world = World::new(|mut call| async move {
            call.read().await.expect("a body");
            let (mut sender, body) = channel();
            tokio::spawn(async move {
                sender.send_data(Bytes::from_static(b"answer")).await.expect("a reader");
                sender.send_trailers(fields(&[("x-down", "of the service")])).await.expect("a reader");
            });
            let mut response = Response::new(body);
            response.headers_mut().insert("trailer", HeaderValue::from_static("x-down"));
            response
        })
        .await;
        for (down, host, up) in PAIRS {
            let (mut sender, body) = channel();
            let mut sent = request(Method::POST, "/trailers", body);
            sent.headers_mut().insert("trailer", HeaderValue::from_static("x-up"));
            sent.headers_mut().insert("te", HeaderValue::from_static("trailers"));
            if down == Version::HTTP_11 {
                sent.headers_mut().insert("connection", HeaderValue::from_static("te"));
            }
            tokio::spawn(async move {
                sender.send_data(Bytes::from_static(b"question")).await.expect("a reader");
                sender.send_trailers(fields(&[("x-up", "of the caller")])).await.expect("a reader");
            });
            let reply = world.session(down, host).await.send(sent).await;
            assert_eq!((reply.status, reply.text()), (200, "answer"));
            assert_eq!(reply.trailers, Some(fields(&[("x-down", "of the service")])), "{down:?} to {up:?}");
            let seen = world.service(host).seen().pop().expect("a request");
            assert_eq!(seen.trailers, Some(fields(&[("x-up", "of the caller")])), "{down:?} to {up:?}");
            assert_eq!(seen.header("te"), Some("trailers"), "{down:?} to {up:?}");
        }
    });
}

#[test]
fn an_exchange_that_ends_with_trailers_has_ended_as_it_should() {
    run(async {
        let world = World::new(|mut call| async move {
            call.read().await.expect("a body");
            let (mut sender, body) = channel();
            tokio::spawn(async move {
                sender.send_data(Bytes::from_static(b"answer")).await.expect("a reader");
                // A caller that was promised a length may have left.
                drop(sender.send_trailers(fields(&[("x-down", "of the service")])).await);
            });
            let mut response = Response::new(body);
            if call.seen.path.contains("counted") {
                response.headers_mut().insert("content-length", HeaderValue::from_static("6"));
            } else {
                response.headers_mut().insert("trailer", HeaderValue::from_static("x-down"));
            }
            response
        })
        .await;
        for (number, (down, host, up)) in PAIRS.into_iter().enumerate() {
            let mut session = world.session(down, host).await;
            for path in [format!("/streamed/{number}"), format!("/again/{number}"), format!("/counted/{number}")] {
                // hyper's HTTP/1.1 writes no trailers behind a length.
                if path.contains("counted") && up == Version::HTTP_11 {
                    continue;
                }
                let (mut sender, body) = channel();
                let mut sent = request(Method::POST, &path, body);
                sent.headers_mut().insert("trailer", HeaderValue::from_static("x-up"));
                sent.headers_mut().insert("te", HeaderValue::from_static("trailers"));
                if down == Version::HTTP_11 {
                    sent.headers_mut().insert("connection", HeaderValue::from_static("te"));
                }
                tokio::spawn(async move { sender.send_trailers(fields(&[("x-up", "of the caller")])).await });
                let reply = session.send(sent).await;
                assert_eq!((reply.status, reply.text()), (200, "answer"), "{path}");
                let line = world.nexus.closed(&path).await;
                assert!(line["notes"].is_null(), "{down:?} to {up:?}: {line}");
            }
            let seen = world.service(host).seen();
            let [before, after] = seen.last_chunk().expect("requests");
            assert_eq!(before.connection, after.connection, "{down:?} to {up:?}: its connection is kept");
        }
    });
}

#[test]
fn i7_a_trailer_that_authenticates_is_not_passed_on() {
    run(async {
        let world = World::new(|mut call| async move {
            let whole = call.read().await.is_ok();
            answer(200, if whole { "whole" } else { "broken" })
        })
        .await;
        for host in ["h1.pair.test", "h2.pair.test"] {
            let (mut sender, body) = channel();
            let mut sent = request(Method::POST, "/trailers", body);
            sent.headers_mut().insert("trailer", HeaderValue::from_static("authorization"));
            tokio::spawn(async move { sender.send_trailers(fields(&[("authorization", "Bearer mine")])).await });
            let reply = world.caller.http2(host).await.try_send(sent).await;
            assert!(!reply.is_ok_and(|reply| reply.text() == "whole"), "{host}");
            assert!(world.service(host).seen().iter().all(|seen| seen.trailers.is_none()), "{host}");
        }
    });
}

#[test]
fn answers_without_a_body_keep_their_length_field() {
    run(async {
        let world = World::new(|call| async move {
            let (status, length) = match call.seen.path.as_str() {
                "/none" => (204, None),
                "/unknown" => (200, None),
                _ => (200, Some("123456789012")),
            };
            let mut response = answer(status, Bytes::new());
            if let Some(length) = length {
                response.headers_mut().insert("content-length", HeaderValue::from_static(length));
            } else if status == 200 {
                *response.body_mut() = channel().1;
            }
            response
        })
        .await;
        for (down, host, up) in PAIRS {
            let mut session = world.session(down, host).await;
            for (method, path, status, length) in [
                (Method::HEAD, "/long", 200, Some("123456789012")),
                (Method::HEAD, "/unknown", 200, None),
                (Method::DELETE, "/none", 204, None),
                (Method::HEAD, "/long", 200, Some("123456789012")),
            ] {
                let reply = session.send(request(method.clone(), path, empty())).await;
                let found = reply.headers.get("content-length").map(|length| length.to_str().expect("text"));
                assert_eq!((reply.status, reply.body.len(), found), (status, 0, length), "{method} {path}, {down:?} to {up:?}");
            }
        }
    });
}

/// RFC 9110 §8.6: the length of what the caller has already.
#[test]
fn a_304_keeps_its_length_field() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &["h1.pair.test"], Offers::Http1, |mut stream, _number| async move {
            for _ in 0..2 {
                read_head(&mut stream).await;
                let answer = b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 1234\r\n\r\n";
                stream.write_all(answer).await.expect("a write");
            }
            drop(stream.read_u8().await);
        })
        .await;
        let builder = Builder::new(&ca).resolve("h1.pair.test", service.address).provider("pair", PROVIDER);
        let nexus = builder.register("pair", &[("api_key", KEY)]).start();
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let caller = Caller::new(&nexus);
            let mut session = if version == Version::HTTP_2 {
                caller.http2("h1.pair.test").await
            } else {
                caller.http1("h1.pair.test").await
            };
            for _ in 0..2 {
                let reply = session.get("/").await;
                assert_eq!(
                    (reply.status, reply.body.len(), reply.headers["content-length"].as_bytes()),
                    (304, 0, &b"1234"[..]),
                    "{version:?}"
                );
            }
        }
    });
}

#[test]
fn a_caller_that_expects_100_gets_it_before_its_body() {
    run(async {
        let world = World::new(|mut call| async move { answer(200, call.read().await.expect("a body")) }).await;
        for host in ["h1.pair.test", "h2.pair.test"] {
            let mut stream = world.caller.tls(host, &["http/1.1"]).await;
            let head = format!("PUT /expect HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
            stream.write_all(head.as_bytes()).await.expect("a write");
            assert_eq!(read_head(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
            stream.write_all(b"body").await.expect("a write");
            let answer = read_head(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            let seen = world.service(host).seen().pop().expect("a request");
            assert_eq!((seen.body.as_deref(), seen.header("expect")), (Some(&b"body"[..]), None));
        }
    });
}

#[test]
fn a_refused_caller_that_expects_100_need_not_send_its_body() {
    run(async {
        let world = World::new(|_call| async { answer(200, "never") }).await;
        let mut stream = world.caller.tls("h1.pair.test", &["http/1.1"]).await;
        let head = "PUT / HTTP/1.1\r\nHost: other.test\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("a write");
        let answer = read_head(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
        assert_eq!(world.old.count(), 0);
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let first = Arc::new(Notify::new());
        let last = Arc::clone(&first);
        let world = World::new(move |call| {
            let last = Arc::clone(&last);
            async move {
                if call.seen.path == "/0" {
                    last.notified().await;
                }
                answer(200, call.seen.path)
            }
        })
        .await;
        let mut stream = world.caller.tls("h2.pair.test", &["http/1.1"]).await;
        let requests: String = (0..5).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: h2.pair.test\r\n\r\n")).collect();
        stream.write_all(requests.as_bytes()).await.expect("a write");
        world.new.until(|seen| !seen.is_empty()).await;
        first.notify_one();
        for number in 0..5 {
            let head = read_head(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let mut body = [0; 2];
            stream.read_exact(&mut body).await.expect("a body");
            assert_eq!(&body, format!("/{number}").as_bytes());
        }
    });
}

#[test]
fn http1_connections_to_services_are_shared_by_callers() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["h1.pair.test"], Offers::Http1, |_call| async { answer(200, "ok") }).await;
        let builder = Builder::new(&ca).resolve("h1.pair.test", service.address).provider("pair", PROVIDER);
        let builder = builder.register("pair", &[("api_key", KEY)]).config("[proxy]\nworkers = 1");
        let (builder, one) = builder.agent("one", |_agent| {});
        let (builder, two) = builder.agent("two", |_agent| {});
        let nexus = builder.start();
        for round in 0..10 {
            let (name, token) = if round % 2 == 0 { ("one", &one) } else { ("two", &two) };
            let path = format!("/{round}");
            assert_eq!(Caller::new(&nexus).agent(name, token).get(&format!("https://h1.pair.test{path}")).await.status, 200);
            nexus.closed(&path).await;
        }
        assert_eq!((service.count(), service.connections()), (10, 1));
    });
}

#[test]
fn i6_http2_connections_to_services_belong_to_one_agent() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["h2.pair.test"], Offers::Http2, |_call| async { answer(200, "ok") }).await;
        let builder = Builder::new(&ca).resolve("h2.pair.test", service.address).provider("pair", PROVIDER);
        let builder = builder.register("pair", &[("api_key", KEY)]).config("[proxy]\nworkers = 1");
        let (builder, one) = builder.agent("one", |_agent| {});
        let (builder, two) = builder.agent("two", |_agent| {});
        let nexus = builder.start();
        for (name, token) in [("one", &one), ("two", &two), ("one", &one), ("two", &two)] {
            let url = format!("https://h2.pair.test/{name}");
            assert_eq!(Caller::new(&nexus).agent(name, token).get(&url).await.status, 200);
        }
        let of = |path: &str| {
            service.seen().into_iter().filter(|seen| seen.path == path).map(|seen| seen.connection).collect::<Vec<_>>()
        };
        assert_eq!((of("/one").len(), of("/two").len()), (2, 2));
        assert!(of("/one").iter().all(|connection| !of("/two").contains(connection)), "{:?}", service.seen());
        assert_eq!(service.connections(), 2);
    });
}

#[test]
fn what_was_dialled_ahead_is_what_the_first_request_uses() {
    run(async {
        let world = World::new(|_call| async { answer(200, "ok") }).await;
        for host in ["h1.pair.test", "h2.pair.test"] {
            assert_eq!(world.caller.get(&format!("https://{host}/")).await.status, 200);
            assert_eq!(world.service(host).connections(), 1, "{host}");
        }
    });
}

#[test]
fn the_cookies_of_http2_are_one_field_on_http1() {
    run(async {
        let world = World::new(|_call| async { answer(200, "ok") }).await;
        let mut sent = request(Method::GET, "/cookies", empty());
        for crumb in ["a=1", "b=2", "c=3"] {
            sent.headers_mut().append("cookie", HeaderValue::from_static(crumb));
        }
        assert_eq!(world.caller.http2("h1.pair.test").await.send(sent).await.status, 200);
        let seen = world.old.seen().pop().expect("a request");
        assert_eq!(seen.header("cookie"), Some("a=1; b=2; c=3"));
    });
}

/// A service may answer before it has read the request; the next caller must not wait for the first one's upload.
#[test]
fn i6_an_unfinished_upload_holds_nobody_else_up() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["h1.pair.test"], Offers::Http1, |call| async move {
            // Unread, but kept until the test has ended.
            std::mem::forget(call.body);
            answer(200, "early")
        })
        .await;
        let builder = Builder::new(&ca).resolve("h1.pair.test", service.address).provider("pair", PROVIDER);
        let nexus = builder.register("pair", &[("api_key", KEY)]).config("[proxy]\nworkers = 1").start();
        let caller = Caller::new(&nexus);
        let (mut sender, body) = channel();
        sender.send_data(Bytes::from_static(b"the beginning")).await.expect("a reader");
        let mut first = caller.http2("h1.pair.test").await;
        let reply = first.send(request(Method::POST, "/slow", body)).await;
        assert_eq!((reply.status, reply.text()), (200, "early"));
        let reply = caller.get("https://h1.pair.test/next").await;
        assert_eq!((reply.status, reply.text()), (200, "early"));
        drop(sender);
    });
}

/// B3: the same bounds on both versions, in the caller's own terms: an answer, and the stream goes on.
#[test]
fn i7_the_bounds_of_a_head_are_told_on_both_versions() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Both, |_call| async { answer(200, "inside") }).await;
        let config =
            "[proxy]\nunmatched = \"intercept\"\n[limits]\nhead_size = \"4KiB\"\ntarget_size = \"1KiB\"\nhead_fields = 20";
        let nexus = Builder::new(&ca).resolve("any.test", service.address).config(config).start();
        let caller = Caller::new(&nexus);
        let with = |path: String, count: usize, length: usize| {
            let mut request = request(Method::GET, &format!("https://any.test{path}"), empty());
            for number in 0..count {
                let name = http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).expect("a name");
                request.headers_mut().insert(name, "v".repeat(length).parse().expect("a value"));
            }
            request
        };
        for version in [Version::HTTP_11, Version::HTTP_2] {
            for (path, count, length, status) in [
                (format!("/{}", "a".repeat(900)), 0, 0, 200),
                (format!("/{}", "a".repeat(2000)), 0, 0, 414),
                (format!("/{}", "a".repeat(20_000)), 0, 0, 414),
                ("/many".to_owned(), 15, 1, 200),
                ("/too-many".to_owned(), 30, 1, 431),
                ("/large".to_owned(), 1, 3000, 200),
                ("/too-large".to_owned(), 1, 6000, 431),
                ("/far-too-large".to_owned(), 1, 70_000, 431),
                ("/several".to_owned(), 3, 2000, 431),
            ] {
                let mut session =
                    if version == Version::HTTP_2 { caller.http2("any.test").await } else { caller.http1("any.test").await };
                let reply = session.send(with(path.clone(), count, length)).await;
                let what = format!("{version:?} {} {count} {length}", path.len());
                assert_eq!(reply.status, status, "{what}: {reply:?}");
                assert_eq!(reply.refusal(), (status != 200).then_some("too-large"), "{what}");
                if version == Version::HTTP_2 {
                    assert_eq!(session.get("https://any.test/next").await.status, 200, "the others go on: {what}");
                }
            }
        }
    });
}

/// B17: a server may pass over an offer (RFC 9110 §7.8); curl makes this one by itself.
#[test]
fn t64_an_offer_of_cleartext_http2_is_passed_over_and_goes_no_further() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["any.test"], Offers::Http1, |_call| async { answer(200, "inside") }).await;
        let config = "[proxy]\nunmatched = \"intercept\"";
        let nexus = Builder::new(&ca).resolve("any.test", service.address).config(config).start();
        let mut session = Caller::new(&nexus).http1("any.test").await;
        for (method, body) in [(Method::GET, ""), (Method::POST, "a body"), (Method::GET, "")] {
            let mut request = request(method, "https://any.test/", full(body));
            for (name, value) in [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")]
            {
                request.headers_mut().insert(name, value.parse().expect("a value"));
            }
            let reply = session.send(request).await;
            assert_eq!((reply.status, reply.text()), (200, "inside"), "{reply:?}");
        }
        assert_eq!(service.count(), 3);
        for seen in service.seen() {
            let hop = ["connection", "upgrade", "http2-settings"].map(|name| seen.header(name).is_some());
            assert_eq!(hop, [false; 3], "{seen:?}");
        }
    });
}
