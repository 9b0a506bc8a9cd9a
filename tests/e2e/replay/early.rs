//! Answers that come before the body has ended.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::noise;
use crate::harness::{Offers, answer, channel, full, read_head, request, run};
use crate::renewal::house::{API, House, Plan};

/// 401 at once for a dead token; a valid one reads the body.
async fn hasty(offers: Offers, config: &'static str) -> House {
    House::answering(Plan { offers, config, ..Plan::default() }, |tokens, mut call| async move {
        if !tokens.accepts(call.seen.bearer()) {
            // What still comes is read: a service that closed on it could lose its own answer to the reset.
            tokio::spawn(async move { drop(call.read().await) });
            return answer(401, "not you");
        }
        let Ok(body) = call.read().await else { return answer(400, "") };
        answer(200, body.len().to_string())
    })
    .await
}

#[test]
fn a_401_in_the_middle_of_a_body_is_replayed_from_its_beginning() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let house = hasty(offers, "").await;
            let mut sessions = [house.caller().http1(API).await, house.caller().http2(API).await];
            for (caller, session) in sessions.iter_mut().enumerate() {
                house.connect_anew();
                house.tokens.expire();
                let (path, whole) = (format!("/{caller}"), noise(200_000));
                let (mut sender, body) = channel();
                let mut post = request(Method::POST, &path, body);
                post.headers_mut().insert("content-length", HeaderValue::from(whole.len()));
                let feed = async {
                    sender.send_data(whole.slice(..80_000)).await.expect("it is read");
                    // The first send has met its 401, and the second one has begun.
                    house.service.until(|seen| seen.iter().filter(|seen| seen.path == path).count() == 2).await;
                    sender.send_data(whole.slice(80_000..)).await.expect("it is read");
                    drop(sender);
                };
                let (reply, ()) = tokio::join!(session.send(post), feed);
                assert_eq!((reply.status, reply.text()), (200, "200000"), "{offers:?} {caller}");
                let last = house.service.seen().pop().expect("a request");
                assert!(last.body == Some(whole), "{offers:?} {caller}");
                assert_eq!(house.nexus.notes(&path).await, ["renewed", "replayed"]);
            }
            assert_eq!(house.tokens.uses(), 2);
        }
    });
}

#[test]
fn a_caller_that_breaks_off_its_body_never_looks_whole() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let house = House::with(Plan { offers, ..Plan::default() }).await;
            let (mut sender, body) = channel();
            let mut post = request(Method::POST, "/half", body);
            post.headers_mut().insert("content-length", HeaderValue::from(100_000));
            let mut session = house.caller().http1(API).await;
            let sending = tokio::spawn(async move { session.begin(post).await });
            sender.send_data(noise(50_000)).await.expect("it is read");
            house.service.until(|seen| seen.len() == 1).await;
            sender.abort("the caller has had enough".into());
            assert!(sending.await.expect("no panic").is_err());
            house.nexus.closed("/half").await;
            assert!(house.service.seen()[0].body.is_none(), "half a body is not a body");
        }
    });
}

#[test]
fn an_early_answer_reaches_a_caller_that_is_still_sending() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let house =
                House::answering(Plan { offers, ..Plan::default() }, |_tokens, _call| async { answer(413, "too much") }).await;
            for round in 0..5 {
                let path = format!("/{round}");
                let reply = house.caller().send(request(Method::POST, &House::url(&path), full(noise(8 << 20)))).await;
                assert_eq!((reply.status, reply.text()), (413, "too much"), "{offers:?}");
            }
        }
    });
}

#[test]
fn a_refusal_reaches_a_caller_that_is_still_sending() {
    run(async {
        let house = hasty(Offers::Http1, "").await;
        assert!(house.nexus.store().delete(&"renew".parse().expect("a name")).expect("a vault"));
        house.nexus.register("renew", &[("username", "nobody")], None);
        for round in 0..5 {
            let path = format!("/{round}");
            let reply = house.caller().send(request(Method::POST, &House::url(&path), full(noise(8 << 20)))).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("auth_required")));
        }
        assert_eq!(house.service.count(), 0);
    });
}

#[test]
fn a_stream_goes_on_after_an_early_head() {
    run(async {
        // The service answers before the body, and then echoes it: nothing waits for the request's end.
        for offers in [Offers::Http1, Offers::Http2] {
            let house = House::answering(Plan { offers, ..Plan::default() }, |_tokens, call| async move {
                use http_body_util::BodyExt as _;
                http::Response::new(call.body.map_err(Into::into).boxed_unsync())
            })
            .await;
            for mut session in [house.caller().http1(API).await, house.caller().http2(API).await] {
                use http_body_util::BodyExt as _;
                let (mut sender, body) = channel();
                let mut response = session.begin(request(Method::POST, "/echo", body)).await.expect("a response");
                for round in 0..20_usize {
                    let sent = noise(1000 + round);
                    sender.send_data(sent.clone()).await.expect("it is read");
                    let mut received = Vec::new();
                    while received.len() < sent.len() {
                        let frame = response.body_mut().frame().await.expect("more").expect("a frame");
                        received.extend_from_slice(&frame.into_data().unwrap_or_else(|_trailers| Bytes::new()));
                    }
                    assert!(received == sent, "{offers:?} {round}");
                }
                drop(sender);
                while let Some(frame) = response.body_mut().frame().await {
                    let frame = frame.unwrap_or_else(|error| panic!("{offers:?}: {error:?}"));
                    assert!(frame.data_ref().is_some_and(Bytes::is_empty), "{offers:?} {frame:?}");
                }
            }
        }
    });
}

#[test]
fn a_401_whose_body_never_ends_does_not_hold_up_the_replay() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let (open, body) = channel();
            let endless = Arc::new(Mutex::new(Some(body)));
            let house = House::answering(Plan { offers, ..Plan::default() }, move |tokens, call| {
                let endless = Arc::clone(&endless);
                async move {
                    if tokens.accepts(call.seen.bearer()) {
                        return answer(200, "fine");
                    }
                    let mut response = answer(401, "");
                    *response.body_mut() = endless.lock().expect("a lock").take().expect("one 401");
                    response
                }
            })
            .await;
            house.tokens.expire();
            let reply = house.caller().get(&House::url("/a")).await;
            assert_eq!((reply.status, reply.text()), (200, "fine"), "{offers:?}");
            drop(open);
        }
    });
}

#[test]
fn a_request_for_another_protocol_is_replayed_too() {
    run(async {
        let house = House::answering(Plan { offers: Offers::Http1, ..Plan::default() }, |tokens, mut call| async move {
            if !tokens.accepts(call.seen.bearer()) {
                return answer(401, "not you");
            }
            let upgrade = call.parts.extensions.remove::<hyper::upgrade::OnUpgrade>().expect("an upgrade");
            tokio::spawn(async move {
                let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.expect("a stream"));
                let mut bytes = [0; 5];
                stream.read_exact(&mut bytes).await.expect("a read");
                stream.write_all(&bytes.map(|byte| byte.to_ascii_uppercase())).await.expect("a write");
            });
            let mut response = answer(101, "");
            response.headers_mut().insert("connection", HeaderValue::from_static("Upgrade"));
            response.headers_mut().insert("upgrade", HeaderValue::from_static("shout"));
            response
        })
        .await;
        house.tokens.expire();
        let mut stream = house.caller().tls(API, &["http/1.1"]).await;
        let head = format!("GET /up HTTP/1.1\r\nHost: {API}\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("a write");
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101 "));
        stream.write_all(b"hello").await.expect("a write");
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).await.expect("a read");
        assert_eq!((&echo, house.tokens.uses()), (b"HELLO", 1));
        drop(stream);
        assert_eq!(house.nexus.notes("/up").await[..2], ["renewed", "replayed"]);
    });
}
