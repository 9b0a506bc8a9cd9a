//! Bodies that are kept while they stream.

use http::{HeaderMap, HeaderValue, Method};

use super::noise;
use crate::harness::{Offers, channel, full, request, run};
use crate::renewal::house::{API, House, Plan};

const LIMIT: &str = "[replay]\nmemory = \"64KiB\"";

#[test]
fn bodies_up_to_the_limit_go_out_twice_byte_for_byte() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let house = House::with(Plan { offers, config: LIMIT, ..Plan::default() }).await;
            let mut sessions = [house.caller().http1(API).await, house.caller().http2(API).await];
            for (caller, session) in sessions.iter_mut().enumerate() {
                for length in [1, 1000, 65_535, 65_536] {
                    house.connect_anew();
                    house.tokens.expire();
                    let (path, body) = (format!("/{caller}/{length}"), noise(length));
                    let reply = session.send(request(Method::POST, &path, full(body.clone()))).await;
                    assert_eq!((reply.status, reply.text()), (200, length.to_string().as_str()), "{offers:?} {path}");
                    let seen: Vec<_> = house.service.seen().into_iter().filter(|seen| seen.path == path).collect();
                    assert_eq!(seen.len(), 2, "{path}");
                    for seen in seen {
                        assert!(seen.body == Some(body.clone()), "{offers:?} {path}");
                        assert_eq!(seen.header("content-length"), Some(length.to_string().as_str()));
                        assert_eq!(seen.header("expect"), None);
                    }
                    assert_eq!(house.nexus.notes(&path).await, ["renewed", "replayed"]);
                }
            }
            house.no_mistakes();
        }
    });
}

#[test]
fn bodies_of_unknown_length_go_out_twice_with_their_trailers() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let house = House::with(Plan { offers, config: LIMIT, ..Plan::default() }).await;
            let mut sessions = [house.caller().http1(API).await, house.caller().http2(API).await];
            for (caller, session) in sessions.iter_mut().enumerate() {
                house.connect_anew();
                house.tokens.expire();
                let path = format!("/{caller}");
                let (mut sender, body) = channel();
                let mut post = request(Method::POST, &path, body);
                post.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
                let feed = async {
                    for chunk in 0..10 {
                        sender.send_data(noise(1000 + chunk)).await.expect("it is read");
                    }
                    let trailers = HeaderMap::from_iter([("x-sum".parse().expect("a name"), HeaderValue::from_static("42"))]);
                    sender.send_trailers(trailers).await.expect("it is read");
                    drop(sender);
                };
                let (reply, ()) = tokio::join!(session.send(post), feed);
                assert_eq!(reply.status, 200, "{offers:?} {caller}: {reply:?}");
                let whole: Vec<u8> = (0..10).flat_map(|chunk| noise(1000 + chunk)).collect();
                let seen: Vec<_> = house.service.seen().into_iter().filter(|seen| seen.path == path).collect();
                assert_eq!(seen.len(), 2);
                for seen in seen {
                    assert!(seen.body.as_deref() == Some(whole.as_slice()), "{offers:?} {caller}");
                    let sum = seen.trailers.as_ref().and_then(|trailers| trailers.get("x-sum")).map(HeaderValue::as_bytes);
                    assert_eq!(sum, Some(b"42".as_slice()), "{offers:?} {caller}");
                }
            }
        }
    });
}

#[test]
fn a_body_that_cannot_be_sent_twice_is_a_401_and_the_next_request_works() {
    run(async {
        let house = House::with(Plan { offers: Offers::Http2, config: LIMIT, ..Plan::default() }).await;
        for mut session in [house.caller().http1(API).await, house.caller().http2(API).await] {
            house.connect_anew();
            house.tokens.expire();
            let uses = house.tokens.uses();
            let reply = session.send(request(Method::PUT, "/large", full(noise(1 << 20)))).await;
            assert_eq!((reply.status, reply.text()), (401, "who are you?"));
            assert_eq!(house.tokens.uses(), uses + 1, "the renewal happens all the same");
            assert_eq!(house.nexus.notes("/large").await, ["renewed", "not_replayable"]);
            let reply = session.send(request(Method::PUT, "/again", full(noise(1 << 20)))).await;
            assert_eq!((reply.status, reply.text()), (200, "1048576"));
            assert_eq!(house.tokens.uses(), uses + 1);
        }
    });
}
