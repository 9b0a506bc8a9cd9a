//! A token endpoint that is down, busy, broken, slow or final.

use std::time::{Duration, SystemTime};

use super::house::{API, House, Plan};
use crate::harness::{Odd, run};
use nexus::vault::Status;

#[test]
fn an_endpoint_that_is_down_costs_the_request_and_nothing_else() {
    run(async {
        let house =
            House::with(Plan { config: "[upstream.resolve]\n\"token.renew.test\" = \"127.0.0.1:1\"", ..Plan::default() }).await;
        house.tokens.expire();
        let mut session = house.caller().http1(API).await;
        let reply = session.get("/a").await;
        assert_eq!((reply.status, reply.text()), (401, "who are you?"));
        assert_eq!(house.nexus.notes("/a").await, ["endpoint_unreachable"]);
        assert_eq!(session.get("/b").await.status, 401);
        assert_eq!(house.nexus.notes("/b").await, ["cooling_down"]);
        assert_eq!(house.nexus.entry("renew").status, Status::Active);
    });
}

#[test]
fn only_the_endpoints_final_word_needs_a_person() {
    run(async {
        let odds = [
            (Odd::RetryAfter(429, 30), "endpoint_unavailable"),
            (Odd::Status(429, "{\"error\":\"slow_down\"}"), "endpoint_unavailable"),
            (Odd::Status(500, "oops"), "endpoint_unavailable"),
            (Odd::RetryAfter(503, 1), "endpoint_unavailable"),
            (Odd::Status(200, "<html>captive portal</html>"), "endpoint_unavailable"),
            (Odd::Status(200, "{\"token_type\":\"Bearer\"}"), "endpoint_unavailable"),
            (Odd::Status(302, ""), "endpoint_unavailable"),
            (Odd::Hang, "endpoint_late"),
        ];
        for (odd, note) in odds {
            let house = House::with(Plan { config: "[renewal]\ntimeout_secs = 1", ..Plan::default() }).await;
            let shown = format!("{odd:?}");
            house.tokens.expire();
            house.tokens.next(odd);
            let mut session = house.caller().http1(API).await;
            assert_eq!(session.get("/a").await.status, 401, "{shown}");
            assert_eq!(house.nexus.notes("/a").await, [note], "{shown}");
            // It backs off: the endpoint is not asked again at once.
            assert_eq!(session.get("/b").await.status, 401);
            assert_eq!(house.nexus.notes("/b").await, ["cooling_down"], "{shown}");
            assert_eq!((house.tokens.uses(), house.nexus.entry("renew").status), (1, Status::Active), "{shown}");
            assert!(!house.tokens.is_revoked());
        }
    });
}

#[test]
fn invalid_grant_puts_the_connection_into_attention_until_a_person_acts() {
    run(async {
        let mut house = House::spawned(Plan::default()).await;
        house.tokens.expire();
        house.tokens.next(Odd::Status(400, "{\"error\":\"invalid_grant\"}"));
        for path in ["/a", "/b", "/c"] {
            let reply = house.caller().get(&House::url(path)).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("auth_required")), "{path}");
        }
        assert_eq!(house.nexus.notes("/a").await, ["attention"]);
        assert_eq!(house.service.count(), 1, "what the service refused goes out no more");
        assert_eq!((house.tokens.uses(), house.nexus.entry("renew").status), (1, Status::Attention));
        let status = house.caller().get("https://nexus.internal/connections/renew").await;
        assert!(status.text().contains("\"status\":\"attention\""), "{status:?}");
        // It is on disk: another run does not ask again.
        house.nexus.kill().await;
        house.nexus.respawn().await;
        assert_eq!(house.caller().get(&House::url("/d")).await.status, 403);
        assert_eq!(house.nexus.notes("/d").await, ["attention"]);
        assert_eq!(house.tokens.uses(), 1);
        let mut session = house.caller().http1(API).await;
        assert_eq!((session.get("/e").await.status, house.service.count()), (403, 2));
        house.connect_anew();
        assert_eq!(session.get("/f").await.status, 200, "what a person registers is live for the next request");
        house.tokens.expire();
        assert_eq!((session.get("/g").await.status, house.tokens.uses()), (200, 2));
        assert_eq!(house.nexus.entry("renew").status, Status::Active);
    });
}

#[test]
fn a_dead_token_that_cannot_be_renewed_now_is_a_502_that_says_when_to_come_back() {
    run(async {
        let expires_at = Some(SystemTime::now() - Duration::from_secs(10));
        let house = House::with(Plan { expires_at, ..Plan::default() }).await;
        house.tokens.next(Odd::RetryAfter(503, 120));
        let mut session = house.caller().http1(API).await;
        let reply = session.get("/a").await;
        assert_eq!((reply.status, reply.refusal()), (502, Some("renewal")), "{reply:?}");
        assert_eq!(house.nexus.notes("/a").await, ["endpoint_unavailable"]);
        let reply = session.get("/b").await;
        assert_eq!((reply.status, reply.refusal()), (502, Some("renewal")));
        let after: u64 = reply.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
        assert!((100..=120).contains(&after), "{after}");
        assert_eq!(house.nexus.notes("/b").await, ["cooling_down"]);
        assert_eq!((house.tokens.uses(), house.service.count()), (1, 0), "nothing leaves with a dead token");
    });
}

#[test]
fn a_dead_token_that_was_refused_for_good_is_auth_required() {
    run(async {
        let expires_at = Some(SystemTime::now() - Duration::from_secs(10));
        let house = House::with(Plan { expires_at, ..Plan::default() }).await;
        house.tokens.next(Odd::Status(400, "{\"error\":\"invalid_grant\"}"));
        for path in ["/a", "/b"] {
            let reply = house.caller().get(&House::url(path)).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("auth_required")));
            let line = house.nexus.closed(path).await;
            assert_eq!((&line["event"], &line["refusal"]), (&"refuse".into(), &"auth_required".into()), "{line}");
        }
        assert_eq!((house.tokens.uses(), house.service.count()), (1, 0));
        house.connect_anew();
        assert_eq!(house.caller().get(&House::url("/c")).await.status, 200);
    });
}
