//! Threats 79, 109 and 115: whoever is slow on purpose, in either direction, is ended by a limit that has a name (I7).

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http_body_util::channel::Sender;

use crate::attack::{HOST, home};
use crate::harness::{Authority, BoxError, Caller, Offers, Upstream, answer, channel, empty, eventually, request, run};

/// A byte now and then, for ever.
async fn trickle(mut sender: Sender<Bytes, BoxError>) {
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    loop {
        beat.tick().await;
        if sender.send_data(Bytes::from_static(b"x")).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[test]
fn t109_an_upload_that_trickles_is_ended_and_a_slow_one_is_not() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let ca = Authority::new();
            let service = Upstream::serve(&ca, &[HOST], offers, |mut call| async move {
                let Ok(body) = call.read().await else { return answer(400, "") };
                answer(200, body.len().to_string())
            })
            .await;
            let config = "[proxy]\nworkers = 1\n[upstream]\nhead_timeout_secs = 1\n[limits]\nupload_grace_secs = 1\nupload_rate = \"1KiB\"";
            let nexus = home(&ca, &service).config(config).start();
            let caller = Caller::new(&nexus);
            for mut session in [caller.http1(HOST).await, caller.http2(HOST).await] {
                let (sender, body) = channel();
                let begun = Instant::now();
                let reply = tokio::select! {
                    reply = session.send(request(Method::POST, "/trickle", body)) => reply,
                    () = trickle(sender) => panic!("it never ends"),
                };
                assert_eq!((reply.status, reply.refusal()), (504, Some("timeout")), "{offers:?} {reply:?}");
                assert!(reply.text().contains("limits.upload_rate"), "{reply:?}");
                assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            }
            let mut session = caller.http1(HOST).await;
            let (mut sender, body) = channel();
            let slow = async {
                let mut beat = tokio::time::interval(Duration::from_millis(100));
                for _ in 0..25 {
                    beat.tick().await;
                    sender.send_data(Bytes::from_static(&[b'x'; 1024])).await.expect("it is read");
                }
                drop(sender);
            };
            let (reply, ()) = tokio::join!(session.send(request(Method::POST, "/slow", body)), slow);
            assert_eq!((reply.status, reply.text()), (200, "25600"), "{offers:?}");
        }
    });
}

#[test]
fn t115_a_caller_that_never_reads_its_answer_is_closed() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let ca = Authority::new();
            let service =
                Upstream::serve(&ca, &[HOST], offers, |_call| async { answer(200, vec![b'x'; 64 * 1024 * 1024]) }).await;
            let nexus = home(&ca, &service).config("[upstream]\nidle_timeout_secs = 1").start();
            let caller = Caller::new(&nexus);
            let mut sessions = [caller.http1(HOST).await, caller.http2(HOST).await];
            let mut answers = Vec::new();
            for (number, session) in sessions.iter_mut().enumerate() {
                let asking = session.begin(request(Method::GET, &format!("/{number}"), empty()));
                // The head is taken, and nothing of the body.
                answers.push(asking.await.expect("a head"));
            }
            eventually("every place free", || (nexus.connections() == 0).then_some(())).await;
            for number in 0..2 {
                let line = nexus.closed(&format!("/{number}")).await;
                assert!(line["notes"].as_array().is_some_and(|notes| notes.iter().any(|note| note == "broken_off")), "{line}");
            }
            drop(answers);
        }
    });
}
