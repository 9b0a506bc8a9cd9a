//! A token that the service refuses, whose renewal was refused for good: its clock still runs, and all the same a person has to act.

use std::time::{Duration, SystemTime};

use http::Method;

use super::house::{API, House, Plan};
use crate::attention::{status, told};
use crate::harness::{Odd, full, request, run};

/// A connection whose tokens have an hour left.
async fn house(config: &'static str) -> House {
    let expires_at = Some(SystemTime::now() + Duration::from_secs(3600));
    House::with(Plan { expires_at, config, ..Plan::default() }).await
}

/// The service refuses the token, and the next renewal is refused for good.
fn end(house: &House) {
    house.tokens.expire();
    house.tokens.next(Odd::Status(400, "{\"error\":\"invalid_grant\"}"));
}

#[test]
fn its_first_401_is_a_persons_matter_and_so_is_every_request_until_one_has_acted() {
    run(async {
        let house = house("").await;
        let caller = house.caller();
        assert_eq!(caller.get(&House::url("/lives")).await.status, 200);
        end(&house);
        let refusal = told(&caller.get(&House::url("/dies")).await);
        let why = "The service refuses the credential, and it can't be renewed by itself.";
        for (member, value) in
            [("reason", "attention"), ("connection", "renew"), ("command", "nexus register renew"), ("urgency", "blocking")]
        {
            assert_eq!(refusal[member], value, "{refusal}");
        }
        assert!(refusal["content"].as_str().is_some_and(|text| text.starts_with(why)), "{refusal}");
        let line = house.nexus.closed("/dies").await;
        assert_eq!((&line["refusal"], &line["notes"][0]), (&"auth_required".into(), &"attention".into()), "{line}");
        assert_eq!(status(&caller, &refusal).await, "open");

        let mut session = caller.http1(API).await;
        for _ in 0..3 {
            let again = told(&session.get("/again").await);
            assert_eq!(again["status_url"], refusal["status_url"], "one need is one item");
        }
        assert_eq!((house.service.count(), house.tokens.uses()), (2, 1));

        house.connect_anew();
        assert_eq!(session.get("/mended").await.status, 200);
        assert_eq!(status(&caller, &refusal).await, "resolved");
        house.tokens.expire();
        assert_eq!(session.get("/renewed").await.status, 200, "what was just registered and meets 401 is renewed");
        house.no_mistakes();
    });
}

#[test]
fn a_request_after_it_is_held_until_a_person_has_acted() {
    run(async {
        let house = house("[attention]\nhold = \"50s\"").await;
        let caller = house.caller();
        end(&house);
        let refusal = told(&caller.get(&House::url("/left")).await);
        let waiting = {
            let caller = caller.clone();
            tokio::spawn(async move { caller.get(&House::url("/held")).await })
        };
        let url = refusal["status_url"].as_str().expect("an address").replace("http://", "https://");
        while !caller.get(&url).await.text().contains("\"count\":2") {}
        assert!(!waiting.is_finished());
        house.connect_anew();
        assert_eq!(waiting.await.expect("an answer").status, 200);
        assert_eq!(house.nexus.notes("/held").await, ["held"]);
        assert_eq!(status(&caller, &refusal).await, "resolved");
    });
}

#[test]
fn what_the_endpoint_calls_revoked_is_told_so_at_once() {
    run(async {
        let house = house("").await;
        house.tokens.expire();
        house.tokens.next(Odd::Status(400, "{\"error\":\"token_revoked\"}"));
        for path in ["/a", "/b"] {
            assert_eq!(told(&house.caller().get(&House::url(path)).await)["reason"], "revoked", "{path}");
        }
        assert_eq!(house.service.count(), 1);
    });
}

#[test]
fn a_body_that_was_on_its_way_is_answered_with_it_too() {
    run(async {
        let house = house("[replay]\nmemory = \"1KiB\"").await;
        end(&house);
        let upload = request(Method::POST, "/large", full("x".repeat(100_000)));
        let mut session = house.caller().http1(API).await;
        assert_eq!(told(&session.send(upload).await)["reason"], "attention");
        assert_eq!(told(&session.get("/after").await)["reason"], "attention");
        house.connect_anew();
        assert_eq!(session.get("/mended").await.status, 200);
    });
}
