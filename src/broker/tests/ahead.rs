use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::fakes::*;
use crate::broker::{Error, Renewal, Settings, Whose};
use crate::provider::Provider;

#[tokio::test(start_paused = true)]
async fn t119_a_thousand_requests_over_an_expired_credential_make_one_call() {
    let house = Arc::new(House::new(Some(Duration::ZERO)));
    let tasks = at_once(1000, &house, async move |house| house.request().await);
    for task in tasks {
        assert_eq!(task.await.expect("an answer"), "access-2");
    }
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_credential_is_renewed_shortly_before_it_expires_and_not_earlier() {
    let house = House::new(Some(HOUR));
    assert_eq!(house.request().await, "access-1");
    advance(HOUR - MINUTE - Duration::from_secs(1)).await;
    assert_eq!(house.request().await, "access-1");
    assert_eq!(house.endpoint.calls(), 0);
    advance(Duration::from_secs(20)).await;
    assert_eq!(house.request().await, "access-2");
    assert_eq!(house.request().await, "access-2");
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_old_credential_serves_while_it_lives_and_cannot_be_renewed() {
    let house = House::new(Some(HOUR));
    house.endpoint.next(Oddity::Status(500, ""));
    assert_eq!(house.request().await, "access-1");
    advance(HOUR - Duration::from_secs(20)).await;
    for _ in 0..50 {
        assert_eq!(house.request().await, "access-1");
    }
    assert_eq!(house.endpoint.calls(), 1, "one attempt, then a pause");
    advance(Duration::from_secs(6)).await;
    assert_eq!(house.request().await, "access-2");
}

#[tokio::test(start_paused = true)]
async fn t124_an_expired_credential_whose_endpoint_is_away_is_a_clear_error_until_it_is_back() {
    let house = House::new(Some(Duration::ZERO));
    house.endpoint.next(Oddity::Unreachable);
    assert_eq!(waiting(house.authorize().await).word(), "endpoint_unreachable");
    let error = house.authorize().await.expect_err("a pause");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    assert_eq!(house.endpoint.calls(), 1);
    advance(Duration::from_secs(5)).await;
    assert_eq!(house.request().await, "access-2");
    assert!(!is_in_attention(&house));
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_does_not_hold_up_requests_while_the_old_credential_lives() {
    let house = House::new(Some(HOUR));
    house.endpoint.next(Oddity::Hang);
    assert_eq!(house.request().await, "access-1");
    advance(HOUR - Duration::from_secs(20)).await;
    let start = Instant::now();
    assert_eq!(house.request().await, "access-1");
    assert_eq!(start.elapsed().as_secs(), Settings::default().ahead_wait.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_a_refresh_token_alone_is_renewed_first() {
    let house = House::new(None);
    house.vault.put(&house.id, registered(&[("refresh_token", "refresh-1")]));
    assert_eq!(house.request().await, "access-2");
    assert_eq!(house.request().await, "access-2");
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_credential_without_refresh_token_is_left_to_the_service() {
    let house = House::new(None);
    let mut entry = registered(&[("access_token", "access-1")]);
    entry.expires_at = Some(house.time() - HOUR);
    house.vault.put(&house.id, entry);
    assert_eq!(house.request().await, "access-1");
    assert!(matches!(house.always_401().await, Renewal::Dead(Error::Refused { .. })));
}

#[tokio::test(start_paused = true)]
async fn credentials_that_live_for_seconds_are_not_renewed_on_every_request() {
    let house = House::new(Some(Duration::ZERO));
    *house.endpoint.life.lock().expect("a lock") = Some(40);
    for _ in 0..120 {
        house.request().await;
        advance(Duration::from_secs(1)).await;
    }
    assert!((3..=5).contains(&house.endpoint.calls()), "{}", house.endpoint.calls());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_by_five_minutes_makes_no_loop() {
    for life in [-300, 0, 1, 300] {
        let house = House::new(Some(Duration::ZERO));
        house.vault.edit(&house.id, |entry| entry.expires_at = Some(house.time() - 5 * MINUTE));
        *house.endpoint.life.lock().expect("a lock") = Some(life);
        let another = house.another();
        for _ in 0..200 {
            // The answer may be an error when tokens live for a second; how often the endpoint is asked is what counts.
            drop(house.authorize().await);
            drop(another.authorize().await);
            advance(Duration::from_millis(500)).await;
        }
        assert!(house.endpoint.calls() <= 2 * (5 + 2), "{life}: {}", house.endpoint.calls());
        assert!(!house.endpoint.is_revoked(), "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn rules_are_tried_in_order_and_the_first_whose_fields_exist_wins() {
    let house = House::new(None);
    let permit = house.broker.authorize(&house.id, &house.provider, &[1, 0], Whose::default()).await.expect("a permit");
    assert_eq!((permit.rule(), token(&permit)), (0, String::from("access-1")));
    let none = house.broker.authorize(&house.id, &house.provider, &[1, 99], Whose::default()).await;
    assert!(matches!(none, Err(Error::MissingFields { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_a_request_is_prepared_once_per_generation_and_file() {
    let house = House::new(None);
    let (one, two) = (house.permit().await, house.permit().await);
    assert!(std::ptr::eq(one.prepared(), two.prepared()));
    let reloaded: Arc<Provider> = House::new(None).provider;
    let three = house.broker.authorize(&house.id, &reloaded, &[0], Whose::default()).await.expect("a permit");
    assert!(!std::ptr::eq(one.prepared(), three.prepared()) && Arc::ptr_eq(three.provider(), &reloaded));
    assert_eq!(one.generation(), three.generation());
}

#[tokio::test(start_paused = true)]
async fn connections_come_and_go_with_the_vault() {
    let house = House::new(None);
    let alice = "acme:alice".parse().expect("a name");
    assert_eq!(house.broker.status(&alice).expect("a vault"), None);
    assert!(matches!(
        house.broker.authorize(&alice, &house.provider, &[0], Whose::default()).await,
        Err(Error::NotRegistered { .. })
    ));
    house.vault.put(&alice, registered(&[("access_token", "alices")]));
    let permit = house.broker.authorize(&alice, &house.provider, &[0], Whose::default()).await.expect("a permit");
    assert_eq!((permit.connection(), token(&permit)), (&alice, String::from("alices")));
    let listed = house.broker.connections_of(house.id.provider()).expect("a list");
    assert_eq!(listed.ids[..], [house.id.clone(), alice.clone()]);
    // Whoever asks for many takes one look: what it showed stays, whatever becomes of the vault.
    house.vault.remove(&alice);
    assert!(house.broker.entry(&alice).expect("a vault").is_none());
    assert_eq!(listed.moment.connections(house.id.provider()), listed.ids);
    assert!(listed.moment.entry(&alice).is_some() && listed.moment.entry(&"other".parse().expect("a handle")).is_none());
    house.vault.remove(&alice);
    assert!(matches!(
        house.broker.authorize(&alice, &house.provider, &[0], Whose::default()).await,
        Err(Error::NotRegistered { .. })
    ));
    assert_eq!(house.request().await, "access-1");
}

#[tokio::test(start_paused = true)]
async fn the_last_use_is_known_to_the_second_whatever_the_service_answered() {
    let house = House::new(Some(100 * HOUR));
    let permit = house.permit().await;
    assert!(house.broker.uses().is_empty(), "a permit is no use yet");
    let used = |house: &House| {
        let uses = house.broker.uses();
        let [(id, at)] = uses.as_slice() else { panic!("{uses:?}") };
        assert_eq!(*id, house.id);
        let off = house.time().duration_since(*at).or_else(|early| Ok::<_, ()>(early.duration())).expect("a time");
        assert!(off < Duration::from_secs(2), "{off:?}");
        *at
    };
    permit.succeeded(Instant::now());
    let first = used(&house);
    advance(HOUR).await;
    house.endpoint.next(Oddity::Status(500, ""));
    drop(permit.renew(Instant::now()).await);
    assert!(used(&house) > first);
    // One that was sent before another ended says nothing new.
    permit.succeeded(Instant::now() - HOUR);
    used(&house);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_connections_of_one_hour_do_not_renew_in_one_second() {
    const COUNT: usize = 1000;
    let house = House::new(None);
    let ids: Vec<crate::model::ConnectionId> =
        (0..COUNT).map(|number| format!("acme:{number}").parse().expect("a handle")).collect();
    *house.endpoint.vendor.lock().expect("a lock") =
        Some(Box::new(|_request, _number| reply(200, r#"{"access_token":"new","refresh_token":"r","expires_in":3600}"#)));
    for id in &ids {
        house.vault.put(id, registered(&[("access_token", "a"), ("refresh_token", "r")]));
        house.vault.edit(id, |entry| entry.expires_at = Some(house.time() + HOUR));
        house.broker.authorize(id, &house.provider, &[0], Whose::default()).await.expect("a permit");
    }
    advance(HOUR - MINUTE - Duration::from_secs(1)).await;
    let mut each = Vec::new();
    for _second in 0..=60 {
        let before = house.endpoint.calls();
        for id in &ids {
            house.broker.authorize(id, &house.provider, &[0], Whose::default()).await.expect("a permit");
        }
        each.push(house.endpoint.calls() - before);
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(each.iter().sum::<usize>(), COUNT, "{each:?}");
    assert!(each.iter().all(|calls| *calls < COUNT / 8), "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn sealed_hosts_and_fields_are_the_newest_in_the_same_generation() {
    let house = House::new(None);
    let before = house.permit().await;
    house.vault.edit(&house.id, |entry| entry.hosts.push(String::from("api.example.com")));
    let after = house.permit().await;
    assert_eq!(before.hosts(), None);
    assert_eq!(after.hosts(), Some(&["api.example.com".to_owned()][..]));
    assert_eq!(before.generation(), after.generation());
    assert!(after.field("client_id").is_some_and(|id| id.matches("the-client-id")));
}
