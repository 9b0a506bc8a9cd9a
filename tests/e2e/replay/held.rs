//! Bodies that are held back when the answer has come, or when nobody waits for one any more.

use std::sync::Arc;

use http::Method;
use tokio::sync::mpsc;

use super::noise;
use crate::harness::{Offers, answer, channel, full, request, run};
use crate::renewal::house::{API, House, Plan};

/// Half an hour: no clock of ours lets a body go.
const PATIENT: &str = "[proxy]\nworkers = 1\n[replay]\nmemory = \"64KiB\"\nexpect_timeout_millis = 1800000";
const HASTY: &str = "[proxy]\nworkers = 1\n[replay]\nmemory = \"64KiB\"\nexpect_timeout_millis = 100";
const LARGE: usize = 1 << 20;

/// Says `status` at once, reads all of the body, and only then ends its answer by how much that was. A dead token is a 401.
async fn thorough(offers: Offers, status: u16) -> House {
    House::answering(Plan { offers, config: HASTY, ..Plan::default() }, move |tokens, mut call| async move {
        let status = if tokens.accepts(call.seen.bearer()) { status } else { 401 };
        let (mut sender, body) = channel();
        tokio::spawn(async move {
            let length = call.read().await.map_or(0, |body| body.len());
            sender.send_data(length.to_string().into()).await.ok();
        });
        let mut response = http::Response::new(body);
        *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        response
    })
    .await
}

#[test]
fn a_service_that_refuses_early_and_reads_on_gets_the_rest() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let house = thorough(offers, 413).await;
            for mut session in [house.caller().http1(API).await, house.caller().http2(API).await] {
                let reply = session.send(request(Method::POST, "/refused", full(noise(LARGE)))).await;
                assert_eq!((reply.status, reply.text()), (413, "1048576"), "{offers:?}");
            }
            // A 401 that goes to the caller is an answer like another: here nothing can renew the credential.
            house.tokens.expire();
            house.tokens.next(crate::harness::Odd::Status(500, ""));
            let reply = house.caller().send(request(Method::POST, &House::url("/401"), full(noise(LARGE)))).await;
            assert_eq!((reply.status, reply.text()), (401, "1048576"), "{offers:?}");
        }
    });
}

/// Answers by `status`, ends that answer only if `whole`, and tells whether the request body came to its end.
async fn listening(status: u16, whole: bool) -> (House, mpsc::UnboundedReceiver<bool>) {
    let (tell, told) = mpsc::unbounded_channel();
    let open = Arc::default();
    let plan = Plan { offers: Offers::Http2, config: PATIENT, ..Plan::default() };
    let house = House::answering(plan, move |_tokens, mut call| {
        let (tell, open): (_, Arc<std::sync::Mutex<Vec<_>>>) = (tell.clone(), Arc::clone(&open));
        async move {
            tokio::spawn(async move { tell.send(call.read().await.is_ok()) });
            if whole {
                return answer(status, "no");
            }
            let (sender, body) = channel();
            open.lock().expect("a lock").push(sender);
            let mut response = http::Response::new(body);
            *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
            response
        }
    })
    .await;
    (house, told)
}

#[test]
fn i7_a_held_body_whose_caller_leaves_is_broken_off() {
    run(async {
        let (house, mut told) = listening(413, false).await;
        let mut session = house.caller().http2(API).await;
        let response = session.begin(request(Method::POST, "/left", full(noise(LARGE)))).await.expect("a head");
        assert_eq!(response.status(), 413);
        drop((response, session));
        assert_eq!(told.recv().await, Some(false), "the service waits for a body that nobody sends");
    });
}

#[test]
fn i7_a_body_that_was_not_held_yet_ends_with_its_answer() {
    run(async {
        let (house, mut told) = listening(413, true).await;
        let mut session = house.caller().http2(API).await;
        let (mut sender, body) = channel();
        sender.send_data(noise(1000)).await.expect("room");
        let reply = session.send(request(Method::POST, "/slow", body)).await;
        assert_eq!((reply.status, reply.text()), (413, "no"));
        assert_eq!(told.recv().await, Some(false), "the service waits for a body that nobody sends");
        drop(sender);
    });
}

#[test]
fn a_caller_that_leaves_is_not_the_services_silence() {
    run(async {
        let (tell, mut told) = mpsc::unbounded_channel();
        let plan = Plan { offers: Offers::Http2, config: HASTY, ..Plan::default() };
        let house = House::answering(plan, move |tokens, mut call| {
            let tell = tell.clone();
            async move {
                if call.seen.path == "/left" {
                    tell.send(call.read().await.is_ok()).ok();
                    return answer(200, "");
                }
                if !tokens.accepts(call.seen.bearer()) {
                    return answer(401, "not you");
                }
                answer(200, call.read().await.map_or(0, |body| body.len()).to_string())
            }
        })
        .await;
        let mut session = house.caller().http2(API).await;
        let asking = tokio::spawn(async move {
            session.begin(request(Method::POST, "/left", full(noise(LARGE)))).await.ok();
        });
        house.service.until(|seen| seen.len() == 1).await;
        asking.abort();
        assert_eq!(told.recv().await, Some(false));
        // Were it remembered as silent, the body would be gone when the 401 comes.
        house.tokens.expire();
        let reply = house.caller().send(request(Method::POST, &House::url("/next"), full(noise(LARGE)))).await;
        assert_eq!((reply.status, reply.text()), (200, "1048576"));
    });
}
