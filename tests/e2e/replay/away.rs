//! Requests that the service says it has not acted on (RFC 9113 §8.7) go out once more on another connection, whatever their method;
//! others do not.

use std::sync::{Arc, Mutex};

use http::Method;
use tokio::io::AsyncWriteExt as _;

use super::noise;
use crate::frames::Service;
use crate::harness::{Authority, Builder, Caller, Nexus, Offers, Upstream, channel, empty, full, read_head, request, run};

const HOST: &str = "api.away.test";
const PROVIDER: &str = r#"
name = "away"
title = "Away"
slots = ["authorization"]
[[inject]]
hosts = ["api.away.test"]
strategy = { bearer = "{api_key}" }
"#;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const INTERNAL_ERROR: u32 = 2;

fn start(ca: &Authority, service: &Upstream, config: &str) -> Nexus {
    Builder::new(ca)
        .resolve(HOST, service.address)
        .provider("away", PROVIDER)
        .config("[proxy]\nworkers = 1")
        .config(config)
        .register("away", &[("api_key", "away-key-0123456789abcdef")])
        .start()
}

/// What a service does with the second request of a connection.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    GoAway,
    Reset(u32),
    /// GOAWAY that covers the request, and the end of the connection.
    GoAwayAfter,
}

/// A service whose first `leaving` connections answer once and then do as `leaves` says; bodies go to the list, by connection.
async fn service(ca: &Authority, leaves: Leaves, leaving: usize) -> (Upstream, Arc<Mutex<Vec<(usize, Vec<u8>)>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&bodies);
    let service = Upstream::raw(ca, &[HOST], Offers::Http2, move |stream, number| {
        let bodies = Arc::clone(&shared);
        async move {
            let Some(mut service) = Service::accept(stream).await else { return };
            let mut requests = 0;
            while let Some((stream, bare)) = service.request().await {
                let body = if bare { Some(Vec::new()) } else { service.body(1000).await };
                let Some(body) = body else { return };
                requests += 1;
                // The first connection answers once before it leaves.
                let stays = number >= leaving || (number == 0 && requests == 1);
                if !(number == 0 && requests == 1) {
                    bodies.lock().expect("a lock").push((number, body));
                }
                let sent = match leaves {
                    _ if stays => service.answer(stream).await,
                    Leaves::GoAway => service.go_away(stream.saturating_sub(2)).await,
                    Leaves::Reset(code) => service.reset(stream, code).await,
                    Leaves::GoAwayAfter => {
                        service.go_away(stream).await;
                        return;
                    }
                };
                assert!(sent, "{leaves:?}");
            }
        }
    })
    .await;
    (service, bodies)
}

#[test]
fn a_request_that_was_not_acted_on_is_sent_again_whatever_its_method() {
    run(async {
        for (leaves, note) in [(Leaves::GoAway, "goaway"), (Leaves::Reset(REFUSED_STREAM), "refused_stream")] {
            for method in [Method::GET, Method::POST, Method::PATCH] {
                for http2 in [false, true] {
                    let ca = Authority::new();
                    let (service, bodies) = service(&ca, leaves, 1).await;
                    let nexus = start(&ca, &service, "");
                    let caller = Caller::new(&nexus);
                    let mut session = if http2 { caller.http2(HOST).await } else { caller.http1(HOST).await };
                    assert_eq!(session.get("/first").await.status, 200);
                    let sent = if method == Method::GET { Vec::new() } else { noise(1000).to_vec() };
                    let body = if sent.is_empty() { empty() } else { full(sent.clone()) };
                    let reply = session.send(request(method.clone(), "/second", body)).await;
                    assert_eq!((reply.status, reply.text()), (200, "ok"), "{leaves:?} {method}");
                    assert_eq!(*bodies.lock().expect("a lock"), [(0, sent.clone()), (1, sent)], "{leaves:?} {method}");
                    assert_eq!(nexus.notes("/second").await, [note]);
                    // The connection that turned it away gets no more.
                    assert_eq!(session.get("/third").await.status, 200);
                    assert_eq!(bodies.lock().expect("a lock").last(), Some(&(1, Vec::new())));
                    assert_eq!(service.connections(), 2);
                }
            }
        }
    });
}

#[test]
fn a_request_that_is_turned_away_twice_is_a_502() {
    run(async {
        for (leaves, note) in [(Leaves::GoAway, "goaway"), (Leaves::Reset(REFUSED_STREAM), "refused_stream")] {
            let ca = Authority::new();
            let (service, bodies) = service(&ca, leaves, 9).await;
            let nexus = start(&ca, &service, "");
            let mut session = Caller::new(&nexus).http2(HOST).await;
            assert_eq!(session.get("/first").await.status, 200);
            let reply = session.send(request(Method::POST, "/second", full(noise(1000)))).await;
            assert_eq!((reply.status, reply.refusal()), (502, Some("upstream")), "{reply:?}");
            assert!(reply.text().contains("did not act on the request"), "{reply:?}");
            assert_eq!(bodies.lock().expect("a lock").len(), 2);
            assert_eq!(nexus.notes("/second").await, [note]);
        }
    });
}

#[test]
fn a_request_that_may_have_been_acted_on_is_not_sent_again() {
    run(async {
        let rows = [
            (Leaves::Reset(CANCEL), Method::POST, 502, 1),
            (Leaves::Reset(INTERNAL_ERROR), Method::POST, 502, 1),
            (Leaves::Reset(INTERNAL_ERROR), Method::GET, 502, 1),
            (Leaves::GoAwayAfter, Method::POST, 502, 1),
            // Nothing came back, and twice is once.
            (Leaves::GoAwayAfter, Method::PUT, 200, 2),
        ];
        for (leaves, method, status, sends) in rows {
            let ca = Authority::new();
            let (service, bodies) = service(&ca, leaves, 1).await;
            let nexus = start(&ca, &service, "");
            let mut session = Caller::new(&nexus).http2(HOST).await;
            assert_eq!(session.get("/first").await.status, 200);
            let body = if method == Method::GET { empty() } else { full(noise(1000)) };
            let reply = session.send(request(method.clone(), "/second", body)).await;
            assert_eq!((reply.status, bodies.lock().expect("a lock").len()), (status, sends), "{leaves:?} {method} {reply:?}");
            let notes = nexus.notes("/second").await;
            assert_eq!(notes.contains(&"stale_connection".to_owned()), sends == 2, "{leaves:?} {method} {notes:?}");
        }
    });
}

#[test]
fn a_body_that_is_gone_is_not_sent_again() {
    run(async {
        for (length, status, note) in [(10_000, 200, true), (60_000, 502, false)] {
            let ca = Authority::new();
            let service = Upstream::raw(&ca, &[HOST], Offers::Http2, move |stream, number| async move {
                let Some(mut service) = Service::accept(stream).await else { return };
                while let Some((stream, _bare)) = service.request().await {
                    let wanted = if number == 0 { length } else { 60_000 };
                    let Some(_body) = service.body(wanted).await else { return };
                    let sent =
                        if number == 0 { service.reset(stream, REFUSED_STREAM).await } else { service.answer(stream).await };
                    assert!(sent);
                }
            })
            .await;
            let nexus = start(&ca, &service, "[replay]\nmemory = \"32KiB\"\nexpect_timeout_millis = 50");
            let mut session = Caller::new(&nexus).http1(HOST).await;
            let (mut sender, body) = channel();
            let feeding = async {
                for chunk in noise(60_000).chunks(5000) {
                    // Nobody reads on once it is refused.
                    if sender.send_data(chunk.to_vec().into()).await.is_err() {
                        break;
                    }
                }
                drop(sender);
            };
            let (reply, ()) = tokio::join!(session.send(request(Method::POST, "/upload", body)), feeding);
            assert_eq!(reply.status, status, "{length}: {reply:?}");
            assert_eq!(nexus.notes("/upload").await.contains(&"refused_stream".to_owned()), note, "{length}");
        }
    });
}

#[test]
fn no_post_arrives_twice_when_services_close_as_they_please() {
    run(async {
        let ca = Authority::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        let service = Upstream::raw(&ca, &[HOST], Offers::Http1, move |mut stream, number| {
            let seen = Arc::clone(&shared);
            async move {
                // One, two or three requests, then the end, announced or not.
                for last in (0..=number % 3).rev() {
                    let mut first = [0];
                    let Ok(1) = tokio::io::AsyncReadExt::read(&mut stream, &mut first).await else { return };
                    let head = read_head(&mut stream).await;
                    seen.lock().expect("a lock").push(head.split(' ').nth(1).unwrap_or_default().to_owned());
                    let close = if last == 0 && number % 2 == 0 { "Connection: close\r\n" } else { "" };
                    let answer = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 2\r\n\r\nok");
                    drop(stream.write_all(answer.as_bytes()).await);
                    drop(stream.flush().await);
                }
                if number % 4 == 3 {
                    // One more is taken and never answered.
                    let mut first = [0];
                    let Ok(1) = tokio::io::AsyncReadExt::read(&mut stream, &mut first).await else { return };
                    let head = read_head(&mut stream).await;
                    seen.lock().expect("a lock").push(head.split(' ').nth(1).unwrap_or_default().to_owned());
                }
            }
        })
        .await;
        let nexus = start(&ca, &service, "");
        let mut session = Caller::new(&nexus).http2(HOST).await;
        let mut served = 0;
        for number in 0..200 {
            let reply = session.send(request(Method::POST, &format!("/{number}"), empty())).await;
            assert!([200, 502].contains(&reply.status), "{reply:?}");
            served += usize::from(reply.status == 200);
        }
        let mut seen = seen.lock().expect("a lock").clone();
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "a request arrived twice");
        assert!(served >= 100, "{served} of 200");
    });
}
