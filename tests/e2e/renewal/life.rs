//! Callers that leave, a Nexus that stops, and one that is killed between the endpoint's answer and the disk.

use std::time::{Duration, Instant};

use http::Method;
use nexus::vault::Status;

use super::house::{API, House, Plan};
use crate::harness::{access, empty, eventually, refresh, request, run, run_within};

#[test]
fn a_caller_that_leaves_during_a_renewal_loses_nothing() {
    run(async {
        let house = House::new().await;
        house.tokens.expire();
        house.tokens.hold();
        let mut session = house.caller().http1(API).await;
        let leaving = tokio::spawn(async move { session.begin(request(Method::GET, "/left", empty())).await });
        house.tokens.until_used(1).await;
        leaving.abort();
        let line = house.nexus.closed("/left").await;
        assert_eq!(line["notes"], serde_json::json!(["caller_left"]), "{line}");
        house.tokens.let_through(1);
        eventually("the new tokens", || house.nexus.holds("renew", "access_token", &access(2)).then_some(())).await;
        assert!(house.nexus.holds("renew", "refresh_token", &refresh(2)));
        assert_eq!(house.caller().get(&House::url("/next")).await.status, 200);
        assert_eq!(house.tokens.uses(), 1);
    });
}

#[test]
fn a_nexus_that_stops_finishes_its_renewal() {
    run(async {
        let mut house = House::new().await;
        house.tokens.expire();
        house.tokens.hold();
        let mut session = house.caller().http1(API).await;
        let waiting = tokio::spawn(async move { session.begin(request(Method::GET, "/a", empty())).await });
        house.tokens.until_used(1).await;
        waiting.abort();
        house.nexus.closed("/a").await;
        let tokens = house.tokens.clone();
        let stopping = std::thread::spawn(move || {
            house.nexus.stop();
            house
        });
        tokens.let_through(1);
        let house = tokio::task::spawn_blocking(move || stopping.join().expect("it stops")).await.expect("a thread");
        assert!(
            house.nexus.holds("renew", "access_token", &access(2)) && house.nexus.holds("renew", "refresh_token", &refresh(2))
        );
    });
}

/// The two tokens of the entry.
fn pair(house: &House) -> [String; 2] {
    let entry = house.nexus.entry("renew");
    ["access_token", "refresh_token"].map(|name| entry.fields.field(name).expect("a token").expose().clone())
}

/// Kills between the endpoint's answer and a moment later, or at any moment of a renewal if `early`; what is left is the entry of before or
/// of after, and works, or says that a person must act. Never a loop.
async fn killed(rounds: u32, seed: u32, early: bool) -> (u32, u32) {
    let mut house = House::spawned(Plan::default()).await;
    let (mut working, mut attention) = (0, 0);
    for round in 0..rounds {
        house.tokens.expire();
        let mut answered = house.tokens.answered();
        answered.mark_unchanged();
        let mut session = house.caller().http1(API).await;
        let asking = tokio::spawn(async move { session.begin(request(Method::GET, "/a", empty())).await });
        let before = pair(&house);
        if !early {
            answered.changed().await.expect("the endpoint lives");
        }
        // Mostly at once, sometimes so late that the disk has been reached.
        let moment = u64::from((round * 7 + seed) % 40);
        spin(Duration::from_micros(moment * moment * 40));
        house.nexus.kill().await;
        drop(asking.await);
        let after = pair(&house);
        assert_eq!(before[0] == after[0], before[1] == after[1], "half of a renewal: round {round}");
        house.nexus.respawn().await;
        let before = house.tokens.uses();
        let mut session = house.caller().http1(API).await;
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(session.get("/b").await.status);
        }
        let entry = house.nexus.entry("renew").status;
        assert!(house.tokens.uses() <= before + 1, "a loop: {} uses after round {round}", house.tokens.uses() - before);
        match entry {
            Status::Active => {
                assert_eq!(statuses, [200; 4], "round {round}");
                working += 1;
            }
            Status::Attention => {
                assert_eq!(statuses, [403; 4], "round {round}");
                attention += 1;
                house.connect_anew();
                assert_eq!(session.get("/c").await.status, 200, "round {round}");
            }
            other => panic!("nobody set it to {}: round {round}", other.as_str()),
        }
    }
    house.no_mistakes();
    (working, attention)
}

/// Lets time pass that is shorter than a timer's tick.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn i9_kill_9_between_answer_and_disk_ends_in_a_working_connection_or_in_attention() {
    const ROUNDS: u32 = 50;
    run_within(Duration::from_secs(300), async {
        let (one, two, early) = tokio::join!(killed(ROUNDS, 0, false), killed(ROUNDS, 20, false), killed(ROUNDS / 2, 3, true));
        let (working, attention) = (one.0 + two.0 + early.0, one.1 + two.1 + early.1);
        println!("{working} connections worked, {attention} needed attention");
        assert_eq!(working + attention, 2 * ROUNDS + ROUNDS / 2);
    });
}
