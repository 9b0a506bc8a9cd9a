//! Larger bodies go with `Expect: 100-continue`, so that a 401 costs nothing (RFC 9110 §10.1.1).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::noise;
use crate::harness::{
    Authentication, Authority, Body, Builder, Caller, Nexus, Odd, Offers, TokenServer, Upstream, answer, channel, full,
    read_head, request, run,
};
use crate::renewal::house::{API, House, Plan, fields, provider};

const LARGE: usize = 1 << 20;
const LIMIT: &str = "[replay]\nmemory = \"64KiB\"";

/// What a service does with expectations is remembered by each worker.
const ONE_WORKER: &str = "[proxy]\nworkers = 1\n[replay]\nmemory = \"64KiB\"";

/// A service that judges by the head and reads no body it does not want.
async fn strict(config: &'static str) -> House {
    judging(Offers::Http1, config).await
}

async fn judging(offers: Offers, config: &'static str) -> House {
    House::answering(Plan { offers, config, ..Plan::default() }, |tokens, mut call| async move {
        if !tokens.accepts(call.seen.bearer()) {
            return answer(401, "not you");
        }
        let Ok(body) = call.read().await else { return answer(400, "") };
        answer(200, body.len().to_string())
    })
    .await
}

/// A large body, its length told or not.
fn large(path: &str, told: bool) -> Request<Body> {
    if told {
        return request(Method::POST, path, full(noise(LARGE)));
    }
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        for chunk in noise(LARGE).chunks(10_000) {
            // Nobody reads on once the answer is there.
            if sender.send_data(chunk.to_vec().into()).await.is_err() {
                return;
            }
        }
    });
    request(Method::POST, path, body)
}

#[test]
fn a_large_body_stays_here_until_the_service_wants_it() {
    run(async {
        let house = strict(LIMIT).await;
        let mut sessions = [house.caller().http1(API).await, house.caller().http2(API).await];
        for (caller, session) in sessions.iter_mut().enumerate() {
            for told in [true, false] {
                house.connect_anew();
                house.tokens.expire();
                let path = format!("/{caller}/{told}");
                let reply = session.send(large(&path, told)).await;
                assert_eq!((reply.status, reply.text()), (200, "1048576"), "{path}");
                let seen: Vec<_> = house.service.seen().into_iter().filter(|seen| seen.path == path).collect();
                assert_eq!(seen.len(), 2, "{path}");
                assert!(seen.iter().all(|seen| seen.header("expect") == Some("100-continue")), "{seen:?}");
                assert!(seen[0].body.is_none() && seen[1].body == Some(noise(LARGE)));
                let line = house.nexus.closed(&path).await;
                assert_eq!(line["notes"], serde_json::json!(["renewed", "replayed"]));
                assert_eq!(line["bytes_up"], LARGE, "it went over the wire once: {line}");
            }
        }
        house.no_mistakes();
    });
}

#[test]
fn over_http2_a_large_body_stops_where_it_would_no_longer_be_kept() {
    run(async {
        for http2 in [false, true] {
            for told in [true, false] {
                let house = judging(Offers::Http2, LIMIT).await;
                let mut session = if http2 { house.caller().http2(API).await } else { house.caller().http1(API).await };
                house.tokens.expire();
                let path = format!("/{http2}/{told}");
                let reply = session.send(large(&path, told)).await;
                assert_eq!((reply.status, reply.text()), (200, "1048576"), "{path}");
                let seen: Vec<_> = house.service.seen().into_iter().filter(|seen| seen.path == path).collect();
                assert_eq!(seen.len(), 2, "{path}");
                assert!(seen.iter().all(|seen| seen.header("expect").is_none()), "no 100 would be heard: {seen:?}");
                assert!(seen[0].body.is_none() && seen[1].body == Some(noise(LARGE)), "{path}");
                let line = house.nexus.closed(&path).await;
                assert_eq!(line["notes"], serde_json::json!(["renewed", "replayed"]));
                assert_eq!(line["bytes_up"], LARGE, "the caller sent it once: {line}");
            }
        }
    });
}

#[test]
fn over_http2_a_small_body_of_unknown_length_waits_for_nothing() {
    run(async {
        // Half an hour, should anything be held.
        let house =
            judging(Offers::Http2, "[proxy]\nworkers = 1\n[replay]\nmemory = \"64KiB\"\nexpect_timeout_millis = 1800000").await;
        for mut session in [house.caller().http1(API).await, house.caller().http2(API).await] {
            let (mut sender, body) = channel();
            let feeding = async {
                sender.send_data(noise(1000)).await.expect("it is read");
                drop(sender);
            };
            let (reply, ()) = tokio::join!(session.send(request(Method::POST, "/small", body)), feeding);
            assert_eq!((reply.status, reply.text()), (200, "1000"));
        }
    });
}

#[test]
fn over_http2_an_upload_that_is_refused_ends_at_the_limit() {
    run(async {
        let house =
            House::answering(Plan { offers: Offers::Http2, config: LIMIT, ..Plan::default() }, |_tokens, _call| async {
                answer(413, "too much")
            })
            .await;
        let sessions = [house.caller().http1(API).await, house.caller().http2(API).await];
        for (number, mut session) in sessions.into_iter().enumerate() {
            let path = format!("/{number}");
            let reply = session.send(large(&path, false)).await;
            assert_eq!((reply.status, reply.text()), (413, "too much"));
            let line = house.nexus.closed(&path).await;
            assert!(line["bytes_up"].as_u64().is_some_and(|bytes| bytes <= 128 * 1024), "{line}");
        }
    });
}

#[test]
fn over_http2_silence_costs_one_wait() {
    run(async {
        // The service reads all of the body before it says anything, as most do.
        let config = "[proxy]\nworkers = 1\n[replay]\nmemory = \"64KiB\"\nexpect_timeout_millis = 300";
        let house = House::with(Plan { offers: Offers::Http2, config, ..Plan::default() }).await;
        let mut session = house.caller().http2(API).await;
        let begun = std::time::Instant::now();
        assert_eq!(session.send(large("/first", true)).await.text(), "1048576");
        assert!(begun.elapsed() >= std::time::Duration::from_millis(300), "it was held: {:?}", begun.elapsed());
        house.tokens.expire();
        let reply = session.send(large("/second", true)).await;
        assert_eq!((reply.status, house.nexus.notes("/second").await), (401, vec!["renewed".into(), "not_replayable".into()]));
        assert_eq!(session.send(large("/third", true)).await.text(), "1048576");
    });
}

#[test]
fn a_401_that_stands_costs_no_upload_and_reaches_the_caller() {
    run(async {
        let house = strict(LIMIT).await;
        house.tokens.expire();
        house.tokens.next(Odd::Status(500, ""));
        for (number, told) in [true, false, true].into_iter().enumerate() {
            let path = format!("/{number}");
            let reply = house.caller().send(large(&House::url(&path), told)).await;
            assert_eq!((reply.status, reply.text()), (401, "not you"));
            let line = house.nexus.closed(&path).await;
            assert_eq!(line["bytes_up"], 0, "{line}");
        }
        assert!(house.service.seen().iter().all(|seen| seen.body.is_none()));
        // Its connections waited for bodies that never came: the next request goes on another one.
        house.connect_anew();
        assert_eq!(house.caller().get(&House::url("/next")).await.status, 200);
        let reply = house.caller().send(large(&House::url("/large"), true)).await;
        assert_eq!((reply.status, reply.text()), (200, "1048576"));
        let last = house.service.seen().pop().expect("a request");
        assert_eq!(last.header("expect"), Some("100-continue"), "a service that answers in time is asked again");
    });
}

/// A Nexus before a raw service, `handler`.
async fn before(ca: &Authority, service: &Upstream, config: &str) -> (Nexus, TokenServer) {
    let tokens = TokenServer::start(ca, "token.renew.test", Authentication::Post).await;
    let (access, refresh) = tokens.connect_anew();
    let all = fields(&access, &refresh);
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let builder = Builder::new(ca)
        .resolve(API, service.address)
        .resolve("token.renew.test", tokens.upstream().address)
        .provider("renew", &provider(Authentication::Post, ""))
        .config(LIMIT)
        .config("[proxy]\nworkers = 1")
        .config(config)
        .register("renew", &all);
    (builder.start(), tokens)
}

#[test]
fn a_service_that_never_says_100_gets_the_body_after_a_while_and_is_remembered() {
    run(async {
        let ca = Authority::new();
        let expected = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&expected);
        let service = Upstream::raw(&ca, &[API], Offers::Http1, move |mut stream, _number| {
            let asked = Arc::clone(&asked);
            async move {
                loop {
                    let head = read_head(&mut stream).await;
                    if head.to_ascii_lowercase().contains("expect: 100-continue") {
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                    let mut body = vec![0; LARGE];
                    stream.read_exact(&mut body).await.expect("the body");
                    assert!(body == noise(LARGE));
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("a write");
                }
            }
        })
        .await;
        let (nexus, _tokens) = before(&ca, &service, "[replay]\nexpect_timeout_millis = 50").await;
        let mut session = Caller::new(&nexus).http1(API).await;
        for _ in 0..3 {
            let reply = session.send(large("/a", true)).await;
            assert_eq!((reply.status, reply.text()), (200, "ok"));
        }
        assert_eq!(expected.load(Ordering::SeqCst), 1, "it is asked once");
    });
}

#[test]
fn a_service_that_knows_no_expectations_is_sent_the_request_without() {
    run(async {
        let house = House::answering(
            Plan { offers: Offers::Http1, config: ONE_WORKER, ..Plan::default() },
            |tokens, mut call| async move {
                if call.seen.header("expect").is_some() {
                    return answer(417, "what?");
                }
                let Ok(body) = call.read().await else { return answer(400, "") };
                if tokens.accepts(call.seen.bearer()) { answer(200, body.len().to_string()) } else { answer(401, "not you") }
            },
        )
        .await;
        let mut session = house.caller().http1(API).await;
        let reply = session.send(large("/a", true)).await;
        assert_eq!((reply.status, reply.text()), (200, "1048576"));
        let seen = house.service.seen();
        assert_eq!(seen.iter().map(|seen| seen.header("expect")).collect::<Vec<_>>(), [Some("100-continue"), None]);
        assert_eq!(house.nexus.notes("/a").await, ["expectation_failed"]);
        // Without the service's word the body is gone when the 401 comes.
        house.tokens.expire();
        let (caller, url) = (house.caller(), House::url("/b"));
        let reply = caller.send(request(Method::POST, &url, full(noise(LARGE)))).await;
        assert_eq!((reply.status, house.tokens.uses()), (401, 1));
        assert_eq!(house.nexus.notes("/b").await, ["renewed", "not_replayable"]);
        assert_eq!(caller.send(request(Method::POST, &House::url("/c"), full(noise(LARGE)))).await.status, 200);
    });
}

#[test]
fn a_100_that_comes_late_or_twice_does_no_harm() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::raw(&ca, &[API], Offers::Http1, |mut stream, _number| async move {
            loop {
                read_head(&mut stream).await;
                for _ in 0..3 {
                    stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await.expect("a write");
                }
                let mut body = vec![0; LARGE];
                stream.read_exact(&mut body).await.expect("the body");
                stream
                    .write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .expect("a write");
            }
        })
        .await;
        let (nexus, _tokens) = before(&ca, &service, "").await;
        let mut session = Caller::new(&nexus).http1(API).await;
        for _ in 0..2 {
            let reply = session.send(large("/a", true)).await;
            assert_eq!((reply.status, reply.text()), (200, "ok"));
        }
        assert_eq!(service.connections(), 1);
    });
}
