use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use tokio::time::advance;

use super::fakes::*;
use crate::broker::{Renewal, Seen};

#[tokio::test(start_paused = true)]
async fn t126_fresh_tokens_are_on_disk_before_anyone_uses_them() {
    let house = Arc::new(House::new(None));
    let (word, gate) = mpsc::channel();
    *house.vault.gate.lock().expect("a lock") = Some(gate);
    let asking = tokio::spawn({
        let house = Arc::clone(&house);
        async move { house.always_401().await }
    });
    until(|| house.endpoint.calls() == 1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!asking.is_finished());
    assert_eq!(house.request().await, "access-1", "others go on with what is on disk");
    word.send(()).expect("a listener");
    assert_eq!(fresh(&asking.await.expect("an answer")), "access-2");
    let entry = house.vault.get(&house.id);
    assert!(has(&entry, "access_token", "access-2") && has(&entry, "refresh_token", "refresh-2"));
    assert_eq!(entry.expires_at, Some(house.time() + HOUR));
}

#[tokio::test(start_paused = true)]
async fn t126_tokens_that_cannot_be_stored_are_not_used_and_not_asked_for_twice() {
    let house = House::new(None);
    house.vault.broken.store(true, Ordering::SeqCst);
    assert_eq!(kept(&house.always_401().await), "vault");
    assert_eq!(token(&house.permit().await), "access-1");
    advance(MINUTE).await;
    assert_eq!(kept(&house.always_401().await), "vault");
    house.vault.broken.store(false, Ordering::SeqCst);
    advance(MINUTE).await;
    assert_eq!(fresh(&house.always_401().await), "access-2");
    assert!(has(&house.vault.get(&house.id), "refresh_token", "refresh-2"));
    assert_eq!(house.endpoint.calls(), 1, "the spent refresh token never went out again");
    assert!(!house.endpoint.is_revoked());
}

#[tokio::test(start_paused = true)]
async fn t126_after_a_kill_between_answer_and_disk_the_connection_needs_attention_and_nothing_loops() {
    let house = House::new(None);
    house.vault.broken.store(true, Ordering::SeqCst);
    house.always_401().await;
    house.vault.broken.store(false, Ordering::SeqCst);
    let restarted = house.another();
    for _ in 0..50 {
        assert_eq!(kept(&restarted.always_401().await), "attention");
        advance(MINUTE).await;
    }
    assert!(is_in_attention(&house));
    assert_eq!(house.endpoint.calls(), 2, "one before the kill, one after it");
    assert_eq!(kept(&restarted.another().always_401().await), "attention");
    assert_eq!(house.endpoint.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn t126_where_refresh_tokens_stay_good_a_kill_costs_nothing() {
    let house = House::new(None);
    house.endpoint.rotates.store(false, Ordering::SeqCst);
    house.vault.broken.store(true, Ordering::SeqCst);
    house.always_401().await;
    house.vault.broken.store(false, Ordering::SeqCst);
    assert_eq!(fresh(&house.another().always_401().await), "access-3");
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_refresh_token_keeps_the_old_one() {
    let house = House::new(None);
    house.endpoint.rotates.store(false, Ordering::SeqCst);
    for expected in ["access-2", "access-3"] {
        assert_eq!(fresh(&house.always_401().await), expected);
        assert!(has(&house.vault.get(&house.id), "refresh_token", "refresh-1"));
        house.request().await;
        advance(HOUR / 2).await;
    }
    assert!(has(&house.vault.get(&house.id), "client_secret", "the-client-secret"));
}

#[tokio::test(start_paused = true)]
async fn t127_what_another_process_renewed_is_used_without_a_call() {
    let (house, another) = {
        let house = House::new(None);
        let another = house.another();
        (house, another)
    };
    let permit = another.permit().await;
    house.always_401().await;
    assert_eq!(fresh(&permit.renew(tokio::time::Instant::now()).await), "access-2");
    assert_eq!(kept(&another.always_401().await), "not_ours", "it came from a renewal, if not from ours");
    assert_eq!(house.endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn t127_two_processes_that_renew_at_once_spend_one_refresh_token() {
    let house = Arc::new(House::new(None));
    let another = Arc::new(house.another());
    house.endpoint.gate.forget_permits(usize::MAX);
    let tasks: Vec<_> = [&house, &another]
        .into_iter()
        .cycle()
        .take(100)
        .map(|house| {
            tokio::spawn({
                let house = Arc::clone(house);
                async move { fresh(&house.always_401().await) }
            })
        })
        .collect();
    until(|| house.broker.is_renewing() && another.broker.is_renewing()).await;
    house.endpoint.gate.add_permits(10);
    for task in tasks {
        assert_eq!(task.await.expect("an answer"), "access-2");
    }
    assert_eq!(house.endpoint.calls(), 1);
    assert!(!house.endpoint.is_revoked());
}

/// A renewal is asked for, and answered only after a person registered another account.
async fn registered_during_a_renewal(house: &Arc<House>) -> Renewal {
    house.endpoint.gate.forget_permits(usize::MAX);
    let asking = tokio::spawn({
        let house = Arc::clone(house);
        async move { house.always_401().await }
    });
    until(|| house.endpoint.sent.load(Ordering::SeqCst) == 1).await;
    house.vault.edit(&house.id, |entry| {
        entry.fields.set("access_token", String::from("by-hand").into());
        entry.fields.set("refresh_token", String::from("by-hand-too").into());
        entry.registered_at = Some(house.time());
    });
    house.endpoint.gate.add_permits(1);
    asking.await.expect("an answer")
}

#[tokio::test(start_paused = true)]
async fn what_a_person_registers_during_a_renewal_is_not_overwritten() {
    let house = Arc::new(House::new(None));
    assert_eq!(fresh(&registered_during_a_renewal(&house).await), "by-hand");
    assert!(has(&house.vault.get(&house.id), "refresh_token", "by-hand-too"));
}

#[tokio::test(start_paused = true)]
async fn a_verdict_on_the_old_account_says_nothing_about_the_one_registered_meanwhile() {
    let house = Arc::new(House::new(None));
    house.endpoint.next(Oddity::Status(400, r#"{"error":"invalid_grant"}"#));
    assert_eq!(fresh(&registered_during_a_renewal(&house).await), "by-hand");
    assert!(has(&house.vault.get(&house.id), "refresh_token", "by-hand-too") && !is_in_attention(&house));
}

#[tokio::test(start_paused = true)]
async fn t119_a_look_at_the_vault_that_comes_late_does_not_bring_the_old_credential_back() {
    let house = House::new(None);
    let before = house.vault.look(&house.id);
    let Renewal::Fresh(renewed) = house.always_401().await else { panic!("kept") };
    *house.vault.late.lock().expect("a lock") = Some(before);
    let permit = house.permit().await;
    assert_eq!((token(&permit), permit.generation()), (token(&renewed), renewed.generation()));
    *house.vault.late.lock().expect("a lock") = Some(Seen { version: 0, entry: None });
    assert_eq!(house.permit().await.generation(), renewed.generation());
}

#[tokio::test(start_paused = true)]
async fn t127_another_process_that_renewed_ends_our_pause() {
    let house = House::new(None);
    house.endpoint.next(Oddity::RetryAfter(503, "3600"));
    assert_eq!(kept(&house.always_401().await), "endpoint_unavailable");
    assert_eq!(fresh(&house.another().always_401().await), "access-2");
    assert_eq!(house.request().await, "access-2");
    advance(MINUTE).await;
    assert_eq!(fresh(&house.always_401().await), "access-3");
}

#[tokio::test(start_paused = true)]
async fn a_change_on_disk_is_live_for_the_next_request() {
    let house = House::new(None);
    assert_eq!(house.request().await, "access-1");
    house.register_anew(7);
    assert_eq!(house.request().await, "access-7");
    assert_eq!(house.endpoint.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_registers_anew_clears_limits_and_pauses() {
    let house = House::new(None);
    for _ in 0..7 {
        house.request().await;
        advance(std::time::Duration::from_millis(1)).await;
        house.always_401().await;
    }
    assert_eq!(
        kept(&{
            house.request().await;
            advance(MINUTE / 60).await;
            house.always_401().await
        }),
        "rate_limited"
    );
    house.register_anew(50);
    house.endpoint.next(Oddity::Status(503, ""));
    assert_eq!(kept(&house.always_401().await), "endpoint_unavailable");
    house.register_anew(60);
    assert!(matches!(house.always_401().await, Renewal::Fresh(_)));
}
