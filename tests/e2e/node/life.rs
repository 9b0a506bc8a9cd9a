//! Copies live as the gateway's connections do: one renewal for all nodes, rotation and revocation at once.

use std::time::{Duration, Instant, SystemTime};

use http::Method;
use nexus::app::GatewayKeyKind;
use tokio::task::JoinSet;

use super::house::{House, next, next_word, noted, until};
use crate::harness::{Caller, Gateway, Nexus, Odd, access, empty, refresh, request, run, run_within};
use crate::renewal::house::API;

const CROWD: usize = 1000;

/// `CROWD` requests at once through all `nodes`, in tunnels of 50; the statuses.
async fn crowd(nodes: &[Nexus]) -> Vec<u16> {
    let mut tasks = JoinSet::new();
    for (number, _) in (0..CROWD / 50).enumerate() {
        let session = Caller::new(&nodes[number % nodes.len()]).http2(API).await;
        for _ in 0..50 {
            let mut session = session.share();
            tasks.spawn(async move { session.get("/crowd").await.status });
        }
    }
    tasks.join_all().await
}

async fn nodes(house: &House) -> [Nexus; 3] {
    let nodes = [house.node(), house.node(), house.node()];
    for node in &nodes {
        noted(node, |note| note["connected"] == true).await;
    }
    nodes
}

#[test]
fn a_thousand_requests_over_an_expired_connection_at_three_nodes_are_one_renewal() {
    run_within(Duration::from_secs(120), async {
        let house = House::new(Some(SystemTime::now() - Duration::from_secs(60))).await;
        house.tokens.expire();
        let nodes = nodes(&house).await;
        let statuses = crowd(&nodes).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), CROWD, "{statuses:?}");
        assert_eq!(house.tokens.uses(), 1);
        assert_eq!(house.tokens.mistakes(), Vec::<String>::new());
        assert!(
            house.gateway.holds("renew", "access_token", &access(2))
                && house.gateway.holds("renew", "refresh_token", &refresh(2))
        );
    });
}

#[test]
fn a_thousand_requests_that_met_401_at_three_nodes_are_one_renewal() {
    run_within(Duration::from_secs(120), async {
        let house = House::new(None).await;
        let nodes = nodes(&house).await;
        assert_eq!(until(&nodes[0], |_any| true).await.status, 200);
        house.tokens.expire();
        let statuses = crowd(&nodes).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), CROWD, "{statuses:?}");
        assert_eq!(house.tokens.uses(), 1);
        assert!(!house.tokens.is_revoked());
    });
}

#[test]
fn a_renewal_that_the_endpoint_puts_off_is_not_asked_for_by_every_request() {
    run(async {
        let house = House::new(None).await;
        let node = house.node();
        assert_eq!(until(&node, |_any| true).await.status, 200);
        house.tokens.expire();
        house.tokens.next(Odd::RetryAfter(429, 30));
        for _ in 0..20 {
            assert_eq!(Caller::new(&node).get(&House::at("/busy")).await.status, 401);
        }
        assert_eq!(house.tokens.uses(), 1);
    });
}

#[test]
fn what_is_revoked_or_registered_anew_is_so_at_every_node_within_a_second() {
    run(async {
        let house = House::new(None).await;
        let nodes = nodes(&house).await;
        let (_head, mut lines) = house.stream(&house.key).await;
        while next(&mut lines).await.get("synced").is_none() {}

        let (access, refresh) = house.tokens.connect_anew();
        let began = Instant::now();
        house.register("renew", &access, &refresh);
        let put = next_word(&mut lines).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(put["put"]["entry"]["access_token"], access.as_str());
        for node in &nodes {
            until(node, |reply| reply.status == 200).await;
        }

        let began = Instant::now();
        assert!(house.gateway.store().delete(&"renew".parse().expect("a name")).expect("a vault"));
        let gone = next_word(&mut lines).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(gone["gone"]["id"], "renew");
        for node in &nodes {
            let refused = until(node, |reply| reply.status == 403).await;
            assert_eq!(refused.refusal(), Some("auth_required"));
        }
        assert_eq!(house.tokens.uses(), 0);
    });
}

#[test]
fn only_what_the_gateway_never_served_comes_from_this_machine() {
    run(async {
        let house = House::new(None).await;
        let home = house.node_home().register("renew", &[("access_token", "a token of this machine")]);
        let home = home.register("renew:own", &[("access_token", &access(1))]);
        let node = house.start(home);
        let caller = Caller::new(&node);
        assert_eq!(caller.get(&House::at("/default")).await.status, 200, "the gateway's goes before");
        let mut named = crate::harness::request(http::Method::GET, &House::at("/own"), crate::harness::empty());
        named.headers_mut().insert("nexus-connection", "renew:own".parse().expect("a name"));
        assert_eq!(caller.send(named).await.status, 200, "its own beside it");
        assert!(house.gateway.store().delete(&"renew".parse().expect("a name")).expect("a vault"));
        until(&node, |reply| reply.refusal() == Some("auth_required")).await;
        let note = noted(&node, |note| note["served"][0] == "renew").await;

        // Another process of that home remembers it, and its gateway has never heard of it.
        let home = house.node_home().register("renew", &[("access_token", &access(1))]);
        nexus::disk::write_atomic(&home.home().node_file(), note.to_string().as_bytes(), nexus::disk::PRIVATE).expect("a file");
        let again = house.start(home);
        let refused = until(&again, |_any| true).await;
        assert_eq!((refused.status, refused.refusal()), (403, Some("auth_required")));
    });
}

#[test]
fn the_gateway_hears_when_a_node_used_a_connection() {
    run(async {
        let house = House::new(None).await;
        let mut node = house.node();
        assert_eq!(until(&node, |_any| true).await.status, 200);
        assert!(!house.gateway.home().path().join("used.json").exists());
        // It tells now and then, and once more before it ends.
        tokio::task::spawn_blocking(move || node.stop()).await.expect("a stop");
        let used = std::fs::read_to_string(house.gateway.home().path().join("used.json")).expect("a file");
        assert!(used.contains("\"renew\""), "{used}");
    });
}

/// What the service saw of a request through `node` that holds `placeholder`, and what was answered.
async fn sent(house: &House, caller: &Caller, placeholder: &str) -> (u16, Option<String>) {
    let mut request = request(Method::GET, &House::at("/me"), empty());
    request.headers_mut().insert("authorization", format!("Bearer {placeholder}").parse().expect("a value"));
    let before = house.service.count();
    let status = caller.send(request).await.status;
    let seen = house.service.seen();
    let last = seen.get(before..).and_then(<[_]>::last).and_then(|seen| seen.bearer().map(str::to_owned));
    (status, last)
}

#[test]
fn i6_a_placeholder_that_the_gateway_gave_an_app_means_its_connection_at_every_node() {
    run(async {
        let mut key = String::new();
        let house = House::with(None, |_ca, builder| {
            let (builder, of_crew) = builder.key("crew", GatewayKeyKind::App, |_key| ());
            key = of_crew;
            let builder = builder.register("renew:alice", &[("access_token", "at-alice-0123456789")]);
            builder.register("renew:bob", &[("access_token", "at-bob-0123456789")])
        })
        .await;
        let given = Gateway::at(house.address).key(&key).get("/v1/token/renew:alice").await.json();
        let of_alice = given["credentials"]["access_token"].as_str().expect("a text").to_owned();
        assert!(given["placeholder"] == true && !of_alice.contains("at-alice"), "{given}");

        let (alone, agents) = (house.node(), house.node_home());
        let (agents, crew) = agents.agent("crew", |_agent| ());
        let (agents, other) = agents.agent("other", |_agent| ());
        let agents = house.start(agents);
        let (elsewhere, bobs) = house.node_home().agent("bobs", |agent| agent.user = Some("bob".parse().expect("a name")));
        let (elsewhere, anybody) = elsewhere.agent("anybody", |_agent| ());
        let elsewhere = house.start(elsewhere);
        for node in [&alone, &agents, &elsewhere] {
            noted(node, |note| note["connected"] == true).await;
        }
        let alices = Some("at-alice-0123456789".to_owned());
        assert_eq!(sent(&house, &Caller::new(&alone), &of_alice).await.1, alices);
        assert_eq!(
            sent(&house, &Caller::new(&agents).agent("crew", &crew), &of_alice).await.1,
            alices,
            "the agent of its name"
        );
        assert_eq!(sent(&house, &Caller::new(&agents).agent("other", &other), &of_alice).await, (403, None), "another's");
        assert_eq!(sent(&house, &Caller::new(&elsewhere).agent("anybody", &anybody), &of_alice).await.1, alices);
        assert_eq!(sent(&house, &Caller::new(&elsewhere).agent("bobs", &bobs), &of_alice).await, (403, None), "not his");
    });
}
