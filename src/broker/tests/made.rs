//! Credentials that are made from what is stored: the same care as for those that are renewed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::advance;

use super::fakes::*;
use crate::broker::{Error, Why};
use crate::oauth::{TokenReply, TokenRequest};
use crate::vault::Status;

const CLIENT: [(&str, &str); 2] = [("client_id", "the-client-id"), ("client_secret", "the-client-secret")];

/// A provider with `grant`, which places the access token.
pub(super) fn provider(grant: &str) -> String {
    format!(
        "name = \"acme\"\nslots = [\"authorization\"]\n{grant}\n\
         [[inject]]\nhosts = [\"api.example.com\"]\nstrategy = {{ bearer = \"{{access_token}}\" }}\n"
    )
}

const CLIENT_CREDENTIALS: &str = "[[grant]]\nkind = \"client_credentials\"\ntoken_url = \"https://auth.example/token\"\n\
                                  scopes = [\"a\", \"b\"]\ndefault_lifetime_secs = 600\n";

fn tokens(_request: &TokenRequest, number: usize) -> TokenReply {
    reply(200, &format!(r#"{{"access_token":"made-{number}","token_type":"Bearer","expires_in":3600}}"#))
}

fn house() -> House {
    House::making(&provider(CLIENT_CREDENTIALS), &CLIENT, |request, number| {
        let body = String::from_utf8(request.body().to_vec()).expect("text");
        assert_eq!(request.url, "https://auth.example/token");
        assert_eq!(body, "grant_type=client_credentials&scope=a+b&client_id=the-client-id&client_secret=the-client-secret");
        tokens(request, number)
    })
}

#[tokio::test(start_paused = true)]
async fn the_first_request_gets_a_token_that_is_on_disk_and_later_ones_use_it() {
    let house = house();
    assert_eq!(house.request().await, "made-2");
    assert_eq!(house.request().await, "made-2");
    assert_eq!(house.endpoint.calls(), 1);
    let entry = house.vault.get(&house.id);
    assert!(has(&entry, "access_token", "made-2") && has(&entry, "client_secret", "the-client-secret"));
    assert_eq!(entry.expires_at, Some(house.time() + HOUR));
    // Another process, or this one after a restart.
    assert_eq!(house.another().request().await, "made-2");
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn t119_a_thousand_first_requests_make_one_call() {
    let house = Arc::new(house());
    let tasks = at_once(1000, &house, async move |house| house.request().await);
    for task in tasks {
        assert_eq!(task.await.expect("an answer"), "made-2");
    }
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_made_anew_shortly_before_it_expires() {
    let house = house();
    assert_eq!(house.request().await, "made-2");
    advance(HOUR - MINUTE - Duration::from_secs(1)).await;
    assert_eq!(house.request().await, "made-2");
    advance(Duration::from_secs(20)).await;
    assert_eq!(house.request().await, "made-3");
    assert_eq!(house.endpoint.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_401_makes_it_anew_once_and_then_is_about_the_request() {
    let house = house();
    house.request().await;
    advance(HOUR / 2).await;
    let renewal = house.always_401().await;
    assert_eq!(fresh(&renewal), "made-3");
    assert_eq!(kept(&house.always_401().await), "not_ours");
    assert_eq!(house.endpoint.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_a_life_gets_that_of_the_file_and_its_refresh_token_is_not_kept() {
    let house = House::making(&provider(CLIENT_CREDENTIALS), &CLIENT, |_, _| {
        reply(200, r#"{"access_token":"made","refresh_token":"another-grant"}"#)
    });
    assert_eq!(house.request().await, "made");
    let entry = house.vault.get(&house.id);
    assert_eq!(entry.expires_at, Some(house.time() + Duration::from_secs(600)));
    assert!(entry.fields.field("refresh_token").is_none());
}

#[tokio::test(start_paused = true)]
async fn t124_the_endpoints_verdict_needs_a_person_and_others_obey_it() {
    for body in [r#"{"error":"invalid_client"}"#, r#"{"error":"unauthorized_client"}"#, r#"{"error":"invalid_grant"}"#] {
        let house = House::making(&provider(CLIENT_CREDENTIALS), &CLIENT, move |_, _| reply(401, body));
        for _ in 0..5 {
            assert!(matches!(house.authorize().await, Err(Error::AuthRequired { .. })), "{body}");
            advance(HOUR).await;
        }
        assert!(matches!(house.another().authorize().await, Err(Error::AuthRequired { .. })), "{body}");
        assert_eq!((house.endpoint.calls(), house.vault.get(&house.id).status), (1, Status::Attention), "{body}");
        *house.endpoint.vendor.lock().expect("a lock") = Some(Box::new(tokens));
        house.put(&[("client_id", "the-client-id"), ("client_secret", "another-secret")]);
        assert!(house.request().await.starts_with("made-"), "{body}");
        assert!(!is_in_attention(&house));
    }
}

#[tokio::test(start_paused = true)]
async fn t124_an_endpoint_that_is_busy_is_left_alone_as_long_as_it_asks() {
    for status in [429, 503] {
        let house = house();
        house.endpoint.next(Oddity::RetryAfter(status, "90"));
        assert_eq!(waiting(house.authorize().await).word(), "endpoint_unavailable");
        let error = house.authorize().await.expect_err("a pause");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(90)));
        advance(Duration::from_secs(90)).await;
        assert_eq!(house.request().await, "made-2");
        assert_eq!(house.endpoint.calls(), 2);
        assert!(!is_in_attention(&house));
    }
}

#[tokio::test(start_paused = true)]
async fn t126_a_token_that_cannot_be_stored_is_not_used_and_not_asked_for_twice() {
    let house = house();
    house.vault.broken.store(true, Ordering::SeqCst);
    assert_eq!(waiting(house.authorize().await).word(), "vault");
    advance(MINUTE).await;
    assert_eq!(waiting(house.authorize().await).word(), "vault");
    house.vault.broken.store(false, Ordering::SeqCst);
    advance(MINUTE).await;
    assert_eq!(house.request().await, "made-2");
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_old_registration_is_not_written_into_the_new_one() {
    let house = Arc::new(house());
    house.endpoint.gate.forget_permits(usize::MAX);
    let asking = tokio::spawn({
        let house = Arc::clone(&house);
        async move { house.authorize().await.is_ok() }
    });
    until(|| house.endpoint.sent.load(Ordering::SeqCst) == 1).await;
    house.put(&[("client_id", "another-id"), ("client_secret", "another-secret")]);
    house.endpoint.gate.add_permits(1);
    asking.await.expect("an end");
    assert!(house.vault.get(&house.id).fields.field("access_token").is_none());
    *house.endpoint.vendor.lock().expect("a lock") = Some(Box::new(tokens));
    house.endpoint.gate.add_permits(1);
    advance(HOUR).await;
    assert_eq!(house.request().await, "made-3");
}

#[tokio::test(start_paused = true)]
async fn i2_the_secret_goes_to_no_endpoint_that_was_not_sealed_with_it() {
    let house = house();
    house.vault.edit(&house.id, |entry| {
        entry.hosts = vec!["api.example.com".to_owned()];
        entry.token_urls = vec!["https://auth.example/elsewhere".to_owned()];
    });
    let error = house.authorize().await.expect_err("not sealed");
    assert!(matches!(&error, Error::Renewal { why: Why::NotSealed { .. }, .. }), "{error:?}");
    assert_eq!(house.endpoint.calls(), 0);
}

/// Entries as JarvisCore writes them: the client's secret stands for a personal token, unless tokens are made from it.
#[tokio::test(start_paused = true)]
async fn i2_a_client_secret_that_makes_tokens_is_never_the_token() {
    let plain = House::making(&provider(""), &CLIENT, tokens);
    assert_eq!(token(&plain.permit().await), "the-client-secret");
    let house = house();
    house.endpoint.next(Oddity::Unreachable);
    assert_eq!(waiting(house.authorize().await).word(), "endpoint_unreachable");
    let more = "[[field]]\nname = \"account_id\"\nprompt = \"Account\"\n";
    let zoom = CLIENT_CREDENTIALS.replace("scopes = [\"a\", \"b\"]", "params = { account_id = \"{account_id}\" }") + more;
    let house = House::making(&provider(&zoom), &CLIENT, tokens);
    assert!(matches!(house.authorize().await, Err(Error::MissingFields { .. })));
    assert_eq!(house.endpoint.calls(), 0);
    // An access token that a person gave does without.
    house.put(&[CLIENT[0], CLIENT[1], ("access_token", "given")]);
    assert_eq!(house.request().await, "given");
    assert_eq!(kept(&house.always_401().await), "no_refresh_token");
}

#[tokio::test(start_paused = true)]
async fn i1_nothing_that_prints_shows_a_secret() {
    let house = House::making(&provider(CLIENT_CREDENTIALS), &CLIENT, |_, _| reply(400, r#"{"error":"invalid_client"}"#));
    let error = house.authorize().await.expect_err("a refusal");
    let shown = format!("{error} {error:?} {:?} {:?}", house.broker, house.vault.get(&house.id));
    assert!(!shown.contains("the-client-secret"), "{shown}");
}
