use std::sync::atomic::Ordering;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, advance};

use super::fakes::*;
use crate::broker::{Error, Renewal, Whose, Why};
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
    let house = House::new(Some(MINUTE));
    house.endpoint.next(REFUSAL);
    assert_eq!(house.request().await, "access-1");
    advance(MINUTE - Duration::from_secs(5)).await;
    assert_eq!(house.request().await, "access-1", "its renewal was refused beforehand");
    assert!(is_in_attention(&house));
    assert_eq!(house.request().await, "access-1");
    advance(Duration::from_secs(5)).await;
    assert!(matches!(house.authorize().await, Err(Error::AuthRequired { .. })));
    house.vault.put(&house.id, registered(&[("refresh_token", "refresh-1")]));
    house.vault.edit(&house.id, |entry| entry.status = Status::Attention);
    assert!(matches!(house.authorize().await, Err(Error::AuthRequired { .. })));
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn t124_what_the_service_refuses_and_nothing_renews_goes_on_no_request_until_a_person_acts() {
    for again in [false, true] {
        let house = House::new(Some(HOUR));
        house.endpoint.next(REFUSAL);
        let refused = house.always_401().await;
        assert!(matches!(refused, Renewal::Dead(Error::Refused { .. })), "{refused:?}");
        for _ in 0..50 {
            advance(Duration::from_secs(1)).await;
            let refused = house.authorize().await;
            assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
        }
        assert_eq!(house.endpoint.calls(), 1);
        if again {
            // The same tokens: the service has thought better of it, and a person knows.
            house.vault.edit(&house.id, |entry| entry.status = Status::Active);
            assert_eq!(house.request().await, "access-1");
        } else {
            house.register_anew(7);
            assert_eq!(house.request().await, "access-7");
        }
        assert_eq!(fresh(&house.always_401().await), "access-2", "nothing of the past counts");
    }
}

#[tokio::test(start_paused = true)]
async fn t124_other_processes_and_later_ones_learn_it_from_the_next_401() {
    let house = House::new(Some(HOUR));
    house.endpoint.next(REFUSAL);
    house.always_401().await;
    let other = house.another();
    assert!(matches!(other.always_401().await, Renewal::Dead(Error::Refused { .. })));
    assert!(matches!(other.authorize().await, Err(Error::Refused { .. })));
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn past_its_end_a_token_that_nothing_renews_is_dead_at_its_401() {
    let house = House::new(None);
    house.vault.put(&house.id, registered(&[("access_token", "access-1")]));
    house.vault.edit(&house.id, |entry| entry.expires_at = Some(house.time() + MINUTE));
    assert!(matches!(house.always_401().await, Renewal::Doubtful(_)), "it has some time to live, and never worked");
    advance(MINUTE).await;
    let refused = house.always_401().await;
    assert!(matches!(refused, Renewal::Dead(Error::Refused { .. })), "{refused:?}");
    assert!(matches!(house.authorize().await, Err(Error::Refused { .. })));
    advance(MINUTE).await;
    assert_eq!(house.request().await, "access-1", "our clock may be wrong: one goes, and sees");
    house.register_anew(7);
    assert_eq!(house.request().await, "access-7");
    assert_eq!(house.endpoint.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_person_is_told_of_the_second_401_in_a_row_or_of_a_new_credentials_first() {
    let house = House::new(None);
    house.vault.put(&house.id, registered(&[("access_token", "access-1")]));
    let doubtful = async || {
        advance(Duration::from_secs(1)).await;
        matches!(house.always_401().await, Renewal::Doubtful(_))
    };
    let works = async || {
        advance(Duration::from_secs(1)).await;
        house.permit().await.succeeded(Instant::now());
    };
    assert!(doubtful().await, "it never worked");
    for _ in 0..3 {
        works().await;
        advance(MINUTE).await;
        assert!(!doubtful().await, "what works and is refused once is asked for what it may not see");
    }
    assert!(doubtful().await);
    works().await;
    for _ in 0..50 {
        assert!(!doubtful().await, "it worked a moment ago");
    }
    advance(MINUTE).await;
    assert!(doubtful().await);
    house.permit().await.answered(StatusCode::SERVICE_UNAVAILABLE, Instant::now());
    house.permit().await.answered(StatusCode::TOO_MANY_REQUESTS, Instant::now());
    assert!(doubtful().await, "nobody looked at it");
    works().await;
    let (slow, sent_at) = (house.permit().await, Instant::now());
    works().await;
    for _ in 0..3 {
        assert!(matches!(slow.renew(sent_at).await, Renewal::Keep(_)), "it worked since");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_is_told_of_tokens_that_are_renewed_and_refused_all_the_same() {
    let house = House::new(None);
    let Renewal::Fresh(fresh) = house.always_401().await else { panic!("not renewed") };
    assert!(matches!(fresh.doubt(Instant::now(), Why::NotOurs), Renewal::Keep(_)));
    advance(Duration::from_secs(1)).await;
    assert!(matches!(house.always_401().await, Renewal::Doubtful(Why::NotOurs)));
}

#[tokio::test(start_paused = true)]
async fn a_token_fresh_from_a_renewal_is_dead_too_once_the_vault_says_that_nothing_renews_it() {
    let house = House::new(None);
    assert!(matches!(house.always_401().await, Renewal::Fresh(_)));
    house.vault.edit(&house.id, |entry| entry.status = Status::Attention);
    let refused = house.always_401().await;
    assert!(matches!(refused, Renewal::Dead(Error::Refused { .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn t120_a_path_that_nobody_may_see_shuts_nobody_out_for_longer_than_a_trial() {
    let house = House::new(Some(HOUR));
    house.vault.edit(&house.id, |entry| entry.fields.set("api_key", String::from("key").into()));
    house.vault.edit(&house.id, |entry| entry.status = Status::Attention);
    assert_eq!(house.request().await, "access-1", "its token lives");
    advance(Duration::from_secs(1)).await;
    assert!(matches!(house.always_401().await, Renewal::Dead(_)));
    assert!(matches!(house.authorize().await, Err(Error::Refused { .. })));
    let elsewhere = house.broker.authorize(&house.id, &house.provider, &[1], Whose::default()).await;
    assert!(elsewhere.is_ok(), "what one rule's hosts refuse says nothing of another's");
    advance(MINUTE).await;
    let trial = house.permit().await;
    assert!(matches!(house.authorize().await, Err(Error::Refused { .. })), "one goes, and sees");
    advance(Duration::from_secs(1)).await;
    trial.succeeded(Instant::now());
    assert_eq!(house.request().await, "access-1");
    assert_eq!(house.endpoint.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn t120_who_goes_on_asking_for_what_it_may_not_see_uses_up_no_trial_but_its_own() {
    let house = House::new(Some(HOUR));
    house.vault.edit(&house.id, |entry| entry.status = Status::Attention);
    assert_eq!(house.request().await, "access-1", "its token lives");
    advance(Duration::from_secs(1)).await;
    assert!(matches!(house.always_401().await, Renewal::Dead(_)));
    let asks = async |agent: &str| {
        let whose = Whose { agent, version: None };
        house.broker.authorize(&house.id, &house.provider, &[0], whose).await
    };
    assert!(matches!(asks("other").await, Err(Error::Refused { .. })), "it was refused a moment ago");
    for _ in 0..3 {
        advance(MINUTE).await;
        let refused = asks("greedy").await.expect("its trial").renew(Instant::now()).await;
        assert!(matches!(refused, Renewal::Dead(_)), "{refused:?}");
        assert!(matches!(asks("greedy").await, Err(Error::Refused { .. })));
    }
    let other = asks("other").await.expect("a trial of its own");
    advance(Duration::from_secs(1)).await;
    other.succeeded(Instant::now());
    assert!(asks("greedy").await.is_ok() && asks("greedy").await.is_ok(), "it serves everybody again");
}

#[tokio::test(start_paused = true)]
async fn t120_a_401_to_what_was_sent_before_the_credential_worked_shuts_nobody_out() {
    let house = House::new(Some(HOUR));
    house.vault.edit(&house.id, |entry| entry.status = Status::Attention);
    let (slow, quick) = (house.permit().await, house.permit().await);
    let sent_at = Instant::now();
    advance(Duration::from_millis(1)).await;
    quick.succeeded(Instant::now());
    assert_eq!(kept(&slow.renew(sent_at).await), "not_ours");
    assert_eq!(house.request().await, "access-1");
    // And the other way round.
    advance(Duration::from_millis(1)).await;
    let (early, late) = (Instant::now(), Instant::now() + Duration::from_millis(1));
    advance(Duration::from_millis(2)).await;
    assert!(matches!(slow.renew(early).await, Renewal::Dead(_)));
    quick.succeeded(late);
    assert_eq!(house.request().await, "access-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_service_calls_revoked_serves_nobody_and_a_person_ends_that() {
    let house = House::new(Some(HOUR));
    house.endpoint.next(Oddity::Status(400, r#"{"error":"token_revoked"}"#));
    let refused = house.always_401().await;
    assert!(matches!(refused, Renewal::Dead(Error::Ended { status: Status::Revoked, .. })), "{refused:?}");
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
