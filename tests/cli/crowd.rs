//! Many requests at once over a grant of a certified authorization server: one refresh serves all, and one that is revoked makes no storm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use nexus::vault::Status;
use tokio::task::JoinSet;

use crate::consented::{edit, entry, log_in, with_app};
use crate::harness::{Caller, run_within};
use crate::oidc::Oidc;
use crate::world::{Up, World};

const API: &str = "api.acme.example";
const CROWD: usize = 1000;

/// Alice's account, a proxy that is up, and a token of hers for it.
fn scene() -> (World, Oidc, Up, Caller) {
    let (world, oidc) = with_app();
    log_in(&world, &oidc.browser(&world, "alice"), "alice", &[]).1.ok();
    let added = world.nexus(&["agent", "add", "a", "--user", "alice", "--json"]).json();
    let up = world.up();
    let proxy = up.address.parse().expect("an address");
    let caller = Caller::trusting(proxy, &world.home("ca.pem")).agent("a", added["token"].as_str().expect("a token"));
    (world, oidc, up, caller)
}

#[test]
fn a_thousand_requests_over_an_expired_connection_make_one_refresh_and_all_succeed() {
    let (world, oidc, _up, caller) = scene();
    for known_to_be_dead in [true, false] {
        oidc.expire(&world);
        if known_to_be_dead {
            edit(&world, "acme:alice", |entry| entry.expires_at = Some(SystemTime::now() - Duration::from_secs(60)));
        }
        let before = oidc.refreshes(&world);
        run_within(Duration::from_secs(120), async {
            let mut tasks = JoinSet::new();
            for _ in 0..CROWD / 50 {
                let session = caller.http2(API).await;
                for _ in 0..50 {
                    let mut session = session.share();
                    tasks.spawn(async move { session.get("/v1/me").await });
                }
            }
            let replies = tasks.join_all().await;
            let failed: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
            assert!(failed.is_empty() && replies.len() == CROWD, "{} failed: {:?}", failed.len(), failed.first());
        });
        assert_eq!(oidc.refreshes(&world) - before, 1, "known to be dead: {known_to_be_dead}");
        assert_eq!(entry(&world, "acme:alice").expect("an entry").status, Status::Active);
    }
}

/// Twenty callers that ask until each was refused twenty times; `worked` counts what succeeded before.
async fn restless(caller: &Caller, worked: &Arc<AtomicUsize>) -> JoinSet<Vec<(u16, Option<String>)>> {
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let mut session = caller.http1(API).await;
        let worked = Arc::clone(worked);
        tasks.spawn(async move {
            let mut refused = Vec::new();
            // Each goes on for a while after the end of the grant.
            while refused.len() < 20 {
                let reply = session.get("/v1/me").await;
                if reply.status == 200 {
                    worked.fetch_add(1, Ordering::Relaxed);
                } else {
                    refused.push((reply.status, reply.refusal().map(str::to_owned)));
                }
            }
            refused
        });
    }
    tasks
}

#[test]
fn a_grant_that_is_revoked_under_load_needs_a_person_and_makes_no_storm() {
    let (world, oidc, _up, caller) = scene();
    let before = oidc.refreshes(&world);
    run_within(Duration::from_secs(120), async {
        let worked = Arc::new(AtomicUsize::new(0));
        let tasks = restless(&caller, &worked).await;
        let revoke = tokio::task::spawn_blocking(move || {
            while worked.load(Ordering::Relaxed) < 40 {
                std::thread::yield_now();
            }
            oidc.revoke(&world);
            (world, oidc)
        });
        let (world, oidc) = revoke.await.expect("revoked");
        let refused = tasks.join_all().await.concat();
        let odd = refused.iter().find(|(status, refusal)| match status {
            401 => refusal.is_some(),
            403 => refusal.as_deref() != Some("auth_required"),
            _ => true,
        });
        assert!(odd.is_none() && refused.len() == 20 * 20, "{odd:?}");
        assert_eq!(entry(&world, "acme:alice").expect("an entry").status, Status::Attention);
        let asked = oidc.refreshes(&world) - before;
        assert_eq!(asked, 1, "the verdict of one refresh is everybody's");
        // Nor does a later request ask again, or another process.
        for _ in 0..5 {
            let mut session = caller.http1(API).await;
            assert!([401, 403].contains(&session.get("/v1/me").await.status));
        }
        let told = world.nexus(&["run", "--user", "alice", "--", "curl", "-sS", "https://api.acme.example/v1/me"]).out;
        assert!(told.contains("nexus login acme --user alice"), "{told}");
        assert_eq!(oidc.refreshes(&world) - before, 1);
    });
}
