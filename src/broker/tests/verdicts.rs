use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::fakes::*;
use crate::broker::Error;
use crate::model::Secret;
use crate::vault::Status;

const REFUSAL: Oddity = Oddity::Status(400, r#"{"error":"invalid_grant","error_description":"the-client-secret"}"#);

#[tokio::test(start_paused = true)]
async fn t124_invalid_grant_puts_the_connection_into_attention_and_ends_all_calls() {
    let house = House::new(None);
    house.endpoint.next(REFUSAL);
    assert_eq!(kept(&house.always_401().await), "attention");
    assert!(is_in_attention(&house));
    let entry = house.vault.get(&house.id);
    assert!(has(&entry, "refresh_token", "refresh-1"), "nothing is deleted because of one failure");
    for _ in 0..30 {
        advance(HOUR).await;
        assert_eq!(kept(&house.always_401().await), "attention");
    }
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn t124_attention_lets_a_living_access_token_serve_until_it_dies() {
    let house = House::new(Some(HOUR));
    house.endpoint.next(REFUSAL);
    house.always_401().await;
    assert_eq!(house.request().await, "access-1");
    advance(HOUR).await;
    assert!(matches!(house.authorize().await, Err(Error::AuthRequired { .. })));
    house.vault.put(&house.id, registered(&[("refresh_token", "refresh-1")]));
    house.vault.edit(&house.id, |entry| entry.status = Status::Attention);
    assert!(matches!(house.authorize().await, Err(Error::AuthRequired { .. })));
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_service_calls_revoked_serves_nobody_and_a_person_ends_that() {
    let house = House::new(Some(HOUR));
    house.endpoint.next(Oddity::Status(400, r#"{"error":"token_revoked"}"#));
    assert_eq!(kept(&house.always_401().await), "attention");
    assert_eq!(house.vault.get(&house.id).status, Status::Revoked);
    for _ in 0..30 {
        let refused = house.authorize().await;
        assert!(matches!(refused, Err(Error::Ended { status: Status::Revoked, .. })), "{refused:?}");
        advance(MINUTE).await;
    }
    assert_eq!(house.endpoint.calls(), 1);
    house.register_anew(5);
    assert_eq!(house.request().await, "access-5");
    assert_eq!(fresh(&house.always_401().await), "access-2");
}

#[tokio::test(start_paused = true)]
async fn i2_what_somebody_ended_meanwhile_goes_on_no_request_and_is_not_renewed() {
    for status in [Status::Revoked, Status::Failed, Status::Unknown] {
        let house = House::new(Some(HOUR));
        let permit = house.permit().await;
        house.vault.edit(&house.id, |entry| entry.status = status);
        assert!(matches!(house.authorize().await, Err(Error::Ended { .. })));
        assert_eq!(kept(&permit.renew(Instant::now()).await), "attention");
        // The token is another too: the 401 of the old one gets none.
        house.vault.edit(&house.id, |entry| entry.fields.set("access_token", Secret::new(String::from("access-9"))));
        assert_eq!(kept(&permit.renew(Instant::now()).await), "gone");
        assert_eq!(house.endpoint.calls(), 0);
        house.vault.edit(&house.id, |entry| entry.status = Status::Active);
        assert_eq!(house.request().await, "access-9");
    }
}

#[tokio::test(start_paused = true)]
async fn t124_a_verdict_that_cannot_be_noted_is_still_obeyed() {
    let house = House::new(None);
    house.vault.broken.store(true, Ordering::SeqCst);
    house.endpoint.next(REFUSAL);
    for _ in 0..5 {
        assert_eq!(kept(&house.always_401().await), "attention");
        advance(HOUR).await;
    }
    assert_eq!(house.endpoint.calls(), 1);
    house.vault.broken.store(false, Ordering::SeqCst);
    house.register_anew(9);
    assert_eq!(fresh(&house.always_401().await), "access-2");
}

#[tokio::test(start_paused = true)]
async fn t124_a_person_ends_attention() {
    let house = House::new(None);
    house.endpoint.next(REFUSAL);
    house.always_401().await;
    house.register_anew(5);
    assert_eq!(house.request().await, "access-5");
    advance(HOUR).await;
    assert_eq!(fresh(&house.always_401().await), "access-2");
    assert!(!is_in_attention(&house));
}

#[tokio::test(start_paused = true)]
async fn t124_other_processes_obey_the_verdict_too() {
    let house = House::new(Some(Duration::ZERO));
    house.endpoint.next(REFUSAL);
    assert!(matches!(house.authorize().await, Err(Error::AuthRequired { .. })));
    assert!(matches!(house.another().authorize().await, Err(Error::AuthRequired { .. })));
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn t124_a_busy_endpoint_is_left_alone_as_long_as_it_asks_and_the_connection_stays() {
    for status in [429, 503] {
        let house = House::new(None);
        house.endpoint.next(Oddity::RetryAfter(status, "90"));
        assert_eq!(kept(&house.always_401().await), "endpoint_unavailable");
        for _ in 0..89 {
            advance(Duration::from_secs(1)).await;
            assert_eq!(kept(&house.always_401().await), "cooling_down");
        }
        assert_eq!(house.endpoint.calls(), 1);
        advance(Duration::from_secs(1)).await;
        assert_eq!(fresh(&house.always_401().await), "access-2");
        assert!(!is_in_attention(&house));
    }
}

#[tokio::test(start_paused = true)]
async fn t124_an_endpoint_that_asks_for_a_short_pause_is_asked_again_after_it() {
    let house = House::new(None);
    for (asked, paused) in [("3", 3), ("0", 1)] {
        house.endpoint.next(Oddity::RetryAfter(429, asked));
        assert_eq!(kept(&house.always_401().await), "endpoint_unavailable");
        advance(Duration::from_millis(paused * 1000 - 1)).await;
        assert_eq!(kept(&house.always_401().await), "cooling_down");
        advance(Duration::from_millis(1)).await;
    }
    assert_eq!(fresh(&house.always_401().await), "access-2");
    assert_eq!(house.endpoint.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn t124_failures_in_a_row_pause_longer_and_longer() {
    let house = House::new(None);
    for _ in 0..1000 {
        house.endpoint.next(Oddity::Status(502, "<html>"));
    }
    for _ in 0..3600 {
        house.always_401().await;
        advance(Duration::from_secs(1)).await;
    }
    assert!((10..=20).contains(&house.endpoint.calls()), "{}", house.endpoint.calls());
}

#[tokio::test(start_paused = true)]
async fn t130_an_answer_that_is_not_understood_changes_nothing() {
    for (status, body) in [(200, "<html>"), (302, ""), (400, "<html>"), (200, r#"{"access_token":7}"#), (403, "{}")] {
        let house = House::new(None);
        house.endpoint.next(Oddity::Status(status, body));
        assert_eq!(kept(&house.always_401().await), "endpoint_unavailable", "{status} {body}");
        let entry = house.vault.get(&house.id);
        assert!(has(&entry, "access_token", "access-1") && entry.status == Status::Active);
    }
}

#[tokio::test(start_paused = true)]
async fn i1_neither_permits_nor_errors_nor_the_broker_show_a_secret() {
    let house = House::new(Some(Duration::ZERO));
    house.endpoint.next(REFUSAL);
    let error = house.authorize().await.expect_err("a refusal");
    house.register_anew(3);
    let permit = house.permit().await;
    let renewal = permit.renew(tokio::time::Instant::now()).await;
    let mut shown = format!("{error} {error:?} {permit:?} {renewal:?} {:?} {:?}", house.broker, permit.prepared());
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        shown.push_str(&format!("{error} {error:?}"));
        cause = error.source();
    }
    for secret in ["access-", "refresh-", "the-client-secret", "the-client-id"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn i6_what_waits_for_approval_goes_on_no_request_and_is_not_renewed() {
    let house = House::new(Some(HOUR));
    let permit = house.permit().await;
    // Another log-in, under the name of one that was removed while its request was under way.
    let mut other = registered(&[("access_token", "another-account"), ("refresh_token", "another-refresh")]);
    other.status = Status::Pending;
    house.vault.put(&house.id, other);
    assert_eq!(kept(&permit.renew(Instant::now()).await), "gone");
    advance(2 * HOUR).await;
    assert!(matches!(house.authorize().await, Err(Error::Pending { .. })));
    house.vault.edit(&house.id, |entry| entry.status = Status::Active);
    assert_eq!(token(&house.permit().await), "another-account");
    assert_eq!(house.endpoint.calls(), 0);
}
