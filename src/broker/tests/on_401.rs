use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::fakes::*;
use crate::broker::{Renewal, Settings, Whose};
use crate::vault::Status;

#[tokio::test(start_paused = true)]
async fn a_credential_that_was_just_registered_and_meets_401_is_renewed() {
    let house = House::new(None);
    assert_eq!(fresh(&house.always_401().await), "access-2");
    assert_eq!(house.request().await, "access-2");
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_a_person_brought_back_and_meets_401_is_renewed_whatever_it_was_before() {
    for dead in [Status::Attention, Status::Revoked, Status::Failed] {
        let house = House::new(None);
        assert_eq!(house.request().await, "access-1");
        house.vault.edit(&house.id, |entry| entry.status = dead);
        drop(house.authorize().await);
        house.vault.edit(&house.id, |entry| {
            entry.fields.set("access_token", String::from("access-of-a-log-in").into());
            entry.status = Status::Active;
        });
        assert_eq!(fresh(&house.always_401().await), "access-2", "{}", dead.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_worked_for_an_hour_and_meets_401_is_renewed() {
    let house = House::new(None);
    for expected in ["access-1", "access-2", "access-3"] {
        assert_eq!(house.request().await, expected);
        advance(HOUR).await;
        house.always_401().await;
    }
    assert_eq!(house.endpoint.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn t119_a_request_that_saw_an_old_generation_fail_uses_the_new_one() {
    let house = House::new(None);
    let (one, two) = (house.permit().await, house.permit().await);
    assert_eq!(one.generation(), two.generation());
    let sent_at = Instant::now();
    assert_eq!(fresh(&one.renew(sent_at).await), "access-2");
    let Renewal::Fresh(fresh_permit) = two.renew(sent_at).await else { panic!("kept") };
    assert_eq!(token(&fresh_permit), "access-2");
    assert!(fresh_permit.generation() > two.generation());
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn t119_a_thousand_401s_make_one_call_and_all_get_the_fresh_credential() {
    let house = Arc::new(House::new(None));
    house.endpoint.gate.forget_permits(usize::MAX);
    let waiting = at_once(1000, &house, async move |house| fresh(&house.always_401().await));
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    house.endpoint.gate.add_permits(10);
    for task in waiting {
        assert_eq!(task.await.expect("an answer"), "access-2");
    }
    assert_eq!(house.endpoint.calls(), 1);
    assert!(!house.endpoint.is_revoked());
}

#[tokio::test(start_paused = true)]
async fn t120_twenty_requests_to_a_path_that_always_says_401_renew_once() {
    let house = House::new(None);
    assert_eq!(fresh(&house.always_401().await), "access-2");
    for _ in 1..20 {
        advance(Duration::from_secs(2)).await;
        assert_eq!(kept(&house.always_401().await), "not_ours");
    }
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn t120_the_trial_of_a_credential_that_works_nowhere_doubles() {
    let house = House::new(None);
    for second in 0..=420 {
        let renewed = matches!(house.always_401().await, Renewal::Fresh(_));
        assert_eq!(renewed, [0, 60, 180, 420].contains(&second), "{second}");
        advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn t120_a_401_is_not_ours_when_the_credential_worked_there_after_the_request_was_sent() {
    let house = House::new(None);
    let (permit, other) = (house.permit().await, house.permit().await);
    let sent_at = Instant::now();
    advance(Duration::from_millis(1)).await;
    other.succeeded(Instant::now());
    assert_eq!(kept(&permit.renew(sent_at).await), "not_ours");
    advance(Duration::from_millis(1)).await;
    assert_eq!(fresh(&permit.renew(Instant::now()).await), "access-2");
}

#[tokio::test(start_paused = true)]
async fn t120_success_elsewhere_says_nothing_about_here() {
    let house = House::new(None);
    house.vault.edit(&house.id, |entry| entry.fields.set("api_key", String::from("key").into()));
    let permit = house.permit().await;
    let elsewhere = house.broker.authorize(&house.id, &house.provider, &[1], Whose::default()).await.expect("a permit");
    assert_eq!(permit.generation(), elsewhere.generation());
    let sent_at = Instant::now();
    advance(Duration::from_millis(1)).await;
    elsewhere.succeeded(Instant::now());
    assert_eq!(fresh(&permit.renew(sent_at).await), "access-2");
}

#[tokio::test(start_paused = true)]
async fn t120_a_caller_that_mixes_good_and_bad_paths_cannot_burn_refresh_tokens() {
    let house = House::new(None);
    let mut limited = 0;
    for _ in 0..100 {
        house.request().await;
        advance(Duration::from_secs(1)).await;
        let renewal = house.always_401().await;
        limited += usize::from(!matches!(renewal, Renewal::Fresh(_)) && kept(&renewal) == "rate_limited");
    }
    assert_eq!(house.endpoint.calls(), 5 + 1, "five at once, then one a minute");
    assert_eq!(limited, 94);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_refresh_token_keeps_its_401() {
    let house = House::new(None);
    house.vault.put(&house.id, registered(&[("access_token", "access-1")]));
    assert_eq!(kept(&house.always_401().await), "no_refresh_token");
    house.vault.put(&house.id, registered(&[("access_token", "access-1"), ("refresh_token", "")]));
    house.vault.edit(&house.id, |entry| entry.registered_at = Some(house.time()));
    assert_eq!(kept(&house.always_401().await), "no_refresh_token");
    assert_eq!(house.endpoint.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_removed_meanwhile_keeps_its_401() {
    let house = House::new(None);
    let permit = house.permit().await;
    house.vault.remove(&house.id);
    assert_eq!(kept(&permit.renew(Instant::now()).await), "gone");
    assert_eq!(house.endpoint.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn i7_requests_that_wait_for_a_renewal_are_bounded() {
    let house = Arc::new(House::with(Settings { waiters: 3, ..Settings::default() }, None));
    house.endpoint.gate.forget_permits(usize::MAX);
    let tasks = at_once(10, &house, async move |house| house.always_401().await);
    until(|| tasks.iter().filter(|task| task.is_finished()).count() == 7).await;
    house.endpoint.gate.add_permits(1);
    let mut renewed = 0;
    for task in tasks {
        match task.await.expect("an answer") {
            Renewal::Fresh(_) => renewed += 1,
            other => assert_eq!(kept(&other), "busy"),
        }
    }
    assert_eq!(renewed, 3);
}

#[tokio::test(start_paused = true)]
async fn i7_an_endpoint_that_hangs_is_given_up() {
    let house = House::new(None);
    house.endpoint.next(Oddity::Hang);
    let start = Instant::now();
    assert_eq!(kept(&house.always_401().await), "endpoint_late");
    assert_eq!(start.elapsed().as_secs(), Settings::default().call_deadline.as_secs());
    assert_eq!(kept(&house.always_401().await), "cooling_down");
    advance(MINUTE).await;
    assert_eq!(fresh(&house.always_401().await), "access-2");
}

#[tokio::test(start_paused = true)]
async fn t125_a_caller_that_leaves_does_not_stop_the_renewal() {
    let house = House::new(None);
    house.endpoint.gate.forget_permits(usize::MAX);
    let permit = house.permit().await;
    let mut leaving = Box::pin(permit.renew(Instant::now()));
    assert!(tokio::time::timeout(Duration::from_millis(1), &mut leaving).await.is_err());
    drop(leaving);
    drop(permit);
    house.endpoint.gate.add_permits(1);
    until(|| house.vault.writes.load(Ordering::SeqCst) == 1).await;
    assert!(has(&house.vault.get(&house.id), "refresh_token", "refresh-2"));
    assert_eq!(house.request().await, "access-2");
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_the_renewal_in_flight() {
    let house = Arc::new(House::new(None));
    house.endpoint.gate.forget_permits(usize::MAX);
    let asking = tokio::spawn({
        let house = Arc::clone(&house);
        async move { house.always_401().await }
    });
    until(|| house.broker.is_renewing()).await;
    let settled = tokio::spawn({
        let house = Arc::clone(&house);
        async move { house.broker.settle().await }
    });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!settled.is_finished());
    house.endpoint.gate.add_permits(1);
    settled.await.expect("an end");
    assert!(has(&house.vault.get(&house.id), "refresh_token", "refresh-2"));
    assert_eq!(fresh(&asking.await.expect("an answer")), "access-2");
}
