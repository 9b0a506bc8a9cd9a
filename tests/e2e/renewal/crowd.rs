//! Many callers at once: one renewal serves all, and no caller can burn refresh tokens.

use std::time::Duration;

use tokio::task::JoinSet;

use super::house::{API, House, Plan};
use crate::harness::{Caller, Offers, access, run, run_within};

const CROWD: usize = 1000;

/// `CROWD` requests at once, in tunnels of 50; the statuses.
async fn crowd(caller: &Caller, path: &'static str) -> Vec<u16> {
    let mut tasks = JoinSet::new();
    for _ in 0..CROWD / 50 {
        let session = caller.http2(API).await;
        for _ in 0..50 {
            let mut session = session.share();
            tasks.spawn(async move { session.get(path).await.status });
        }
    }
    tasks.join_all().await
}

#[test]
fn a_thousand_requests_that_all_met_401_use_the_endpoint_once() {
    run_within(Duration::from_secs(120), async {
        for offers in [Offers::Http1, Offers::Http2] {
            let house = House::with(Plan { offers, ..Plan::default() }).await;
            house.tokens.expire();
            // The endpoint answers when every request has been sent with the dead token.
            house.tokens.hold();
            let release = async {
                house.service.until(|seen| seen.len() == CROWD).await;
                house.tokens.let_through(1);
            };
            let caller = house.caller();
            let (statuses, ()) = tokio::join!(crowd(&caller, "/crowd"), release);
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), CROWD, "{statuses:?}");
            assert_eq!((house.tokens.uses(), house.service.count()), (1, 2 * CROWD));
            house.no_mistakes();
        }
    });
}

#[test]
fn a_thousand_requests_in_any_order_use_the_endpoint_once() {
    run_within(Duration::from_secs(120), async {
        let house = House::new().await;
        house.tokens.expire();
        let statuses = crowd(&house.caller(), "/crowd").await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), CROWD, "{statuses:?}");
        assert_eq!(house.tokens.uses(), 1);
        assert!(!house.tokens.is_revoked() && house.nexus.holds("renew", "access_token", &access(2)));
    });
}

#[test]
fn twenty_requests_to_a_path_that_always_says_401_use_the_endpoint_at_most_once() {
    run(async {
        let house = House::new().await;
        let mut session = house.caller().http1(API).await;
        for number in 0..20 {
            assert_eq!(session.get(&format!("/always-401/{number}")).await.status, 401);
        }
        assert!(house.tokens.uses() <= 1, "{}", house.tokens.uses());
        assert_eq!(house.nexus.notes("/always-401/19").await, ["not_ours"]);
        // Elsewhere the connection works as ever.
        assert_eq!(session.get("/good").await.status, 200);
        for _ in 0..20 {
            assert_eq!(session.get("/always-401").await.status, 401);
            assert_eq!(session.get("/good").await.status, 200);
        }
        assert!(house.tokens.uses() <= 5, "the bucket bounds what a hostile path costs: {}", house.tokens.uses());
    });
}

#[test]
fn twenty_requests_at_once_to_such_a_path_do_not_either() {
    run(async {
        let house = House::new().await;
        let session = house.caller().http2(API).await;
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let mut session = session.share();
            tasks.spawn(async move { session.get("/always-401").await.status });
        }
        assert_eq!(tasks.join_all().await, vec![401; 20]);
        assert!(house.tokens.uses() <= 1, "{}", house.tokens.uses());
    });
}

#[test]
fn two_processes_in_one_home_spend_a_refresh_token_once() {
    run(async {
        let house = House::new().await;
        let second = house.nexus.join().await;
        house.tokens.expire();
        house.tokens.hold();
        let release = async {
            house.service.until(|seen| seen.len() == 20).await;
            house.tokens.let_through(1);
        };
        let both = async {
            let mut tasks = JoinSet::new();
            for caller in [house.caller(), Caller::new(&second)] {
                let session = caller.http2(API).await;
                for _ in 0..10 {
                    let mut session = session.share();
                    tasks.spawn(async move { session.get("/both").await.status });
                }
            }
            tasks.join_all().await
        };
        let (statuses, ()) = tokio::join!(both, release);
        assert_eq!(statuses, vec![200; 20]);
        assert_eq!(house.tokens.uses(), 1);
        assert!(!house.tokens.is_revoked());
    });
}
