//! Secrets go to the token endpoint that was sealed with them, and to no other.

use std::sync::Arc;

use tokio::time::Instant;

use super::fakes::*;
use crate::broker::{Error, Renewal, Why};
use crate::vault::Entry;

const OURS: &str = "https://auth.example/token";

/// The fakes' token endpoint refuses to be called at another address, so each of these tests fails on any call but the sealed one.
fn seal(house: &House, token_urls: &[&str]) {
    house.vault.edit(&house.id, |entry: &mut Entry| {
        entry.hosts = vec!["api.example.com".to_owned()];
        entry.token_urls = token_urls.iter().map(|url| (*url).to_owned()).collect();
    });
}

#[tokio::test(start_paused = true)]
async fn i2_a_refresh_token_goes_to_no_endpoint_that_was_not_sealed_with_it() {
    for sealed in [&["https://auth.example/oauth"][..], &["https://auth.example/token/"], &["https://auth.example"], &[]] {
        let house = House::new(None);
        seal(&house, sealed);
        let renewal = house.always_401().await;
        assert_eq!(kept(&renewal), "not_sealed");
        let Renewal::Keep(why) = renewal else { panic!("renewed") };
        assert!(why.to_string().contains("nexus providers trust acme"), "{why}");
        assert_eq!(house.endpoint.calls(), 0, "{sealed:?}");
        // A person accepts it; no pause stands in the way.
        seal(&house, &[OURS]);
        assert_eq!(fresh(&house.always_401().await), "access-2");
    }
}

#[tokio::test(start_paused = true)]
async fn i2_an_expired_credential_whose_endpoint_moved_says_what_to_type() {
    let house = House::new(Some(MINUTE));
    seal(&house, &["https://auth.example/elsewhere"]);
    tokio::time::advance(HOUR).await;
    let error = house.authorize().await.expect_err("expired");
    assert!(matches!(&error, Error::Renewal { why: Why::NotSealed { .. }, .. }), "{error:?}");
    assert_eq!(house.endpoint.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn i2_an_entry_that_was_sealed_anew_while_the_renewal_waited_is_looked_at_again() {
    let house = House::new(None);
    seal(&house, &[OURS]);
    let permit = house.permit().await;
    // Another process holds the lock; when it lets go, the entry is another one.
    let held = house.lock();
    let waiting = tokio::spawn(async move { permit.renew(Instant::now()).await });
    until(|| house.broker.is_renewing()).await;
    seal(&house, &["https://auth.example/elsewhere"]);
    drop(held);
    assert_eq!(kept(&waiting.await.expect("an answer")), "not_sealed");
    assert_eq!(house.endpoint.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_jarviscores_renews_where_the_file_says() {
    let house = Arc::new(House::new(None));
    assert_eq!(fresh(&house.always_401().await), "access-2");
}
