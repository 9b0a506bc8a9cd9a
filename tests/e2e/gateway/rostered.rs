//! Agents by the gateway: who they are, and what an administrator changes of them, in force at once and in the log.

use http::Method;
use nexus::app::GatewayKeyKind::Admin;
use serde_json::{Value, json};

use crate::attack::{HOST, home, service};
use crate::harness::{Authority, Builder, Caller, Gateway, Nexus, Offers, Upstream, full, request, run};

const URL: &str = "https://api.acme.test/x";

/// A service, a proxy with a gateway before it, and an administrator of that.
async fn scene(change: impl FnOnce(Builder) -> Builder) -> (Upstream, Nexus, Gateway) {
    let ca = Authority::new();
    let service = service(&ca, Offers::Both).await;
    let (builder, admin) = change(home(&ca, &service).gateway()).key("root", Admin, |_key| ());
    let nexus = builder.start();
    let admin = nexus.gateway().key(&admin);
    (service, nexus, admin)
}

async fn minted(admin: &Gateway, wanted: Value) -> Value {
    let said = admin.ask("POST", "/api/agents", Some(&wanted)).await;
    assert_eq!(said.status, 201, "{said:?}");
    said.json()
}

fn names(part: &Value) -> Vec<&str> {
    part["agents"].as_array().expect("a list").iter().filter_map(|agent| agent["name"].as_str()).collect()
}

#[test]
fn i1_a_token_is_answered_once_and_is_good_when_the_answer_comes() {
    run(async {
        let (_service, nexus, admin) = scene(|builder| builder).await;
        assert_eq!(admin.get("/api/agents").await.json(), json!({ "agents": [], "next": null, "total": 0, "open": true }));
        let made = minted(&admin, json!({ "name": "ci", "providers": ["Acme"], "rate": "60/m" })).await;
        let token = made["token"].as_str().expect("a token");
        assert!(token.starts_with("nxa_") && made["first"] == true, "{made}");
        assert_eq!((&made["agent"]["providers"], &made["agent"]["rate"]), (&json!(["acme"]), &json!("60/min")), "{made}");
        for (kind, word) in [
            ("sh", "NEXUS_AGENT_TOKEN="),
            ("docker", "--env-file"),
            ("compose", "environment:"),
            ("kubernetes", "kind: Secret"),
        ] {
            let text = made["lines"][kind].as_str().expect("lines");
            assert!(text.contains(word) && text.contains(token), "{kind}: {text}");
        }
        assert_eq!(Caller::new(&nexus).agent("ci", token).get(URL).await.status, 200);
        assert_eq!(Caller::new(&nexus).tunnel(&format!("{HOST}:443")).await.expect_err("a token is needed now").status, 407);
        let line = nexus.audit_line(|line| line["event"] == "agent_added").await;
        assert_eq!((&line["by"], &line["kind"], &line["agent"]), (&json!("root"), &json!("admin"), &json!("ci")), "{line}");
        let all = admin.get("/api/agents").await.json();
        assert_eq!((names(&all), &all["open"], &all["agents"][0]["state"]), (vec!["ci"], &json!(false), &json!("active")));
        assert!(!all.to_string().contains(token) && !nexus.audit().iter().any(|line| line.to_string().contains(token)));
        let again = admin.ask("POST", "/api/agents", Some(&json!({ "name": "ci" }))).await;
        assert_eq!((again.status, again.code().as_str()), (409, "exists"));
    });
}

#[test]
fn what_is_none_is_refused_with_the_field_that_it_stands_in() {
    run(async {
        let (_service, _nexus, admin) = scene(|builder| builder).await;
        for (wanted, field) in [
            (json!({ "name": "<b>x</b>" }), "name"),
            (json!({ "name": "local" }), "name"),
            (json!({ "name": "a", "user": "a b" }), "user"),
            (json!({ "name": "a", "providers": ["nobody_knows_it"] }), "providers"),
            (json!({ "name": "a", "providers": [] }), "providers"),
            (json!({ "name": "a", "hosts": ["https://x.test/"] }), "hosts"),
            (json!({ "name": "a", "hosts": vec!["x.test"; 257] }), "hosts"),
            (json!({ "name": "a", "rate": "60" }), "rate"),
            (json!({ "name": "a", "expires_at": "soon" }), "expires_at"),
            (json!({ "name": "a", "expires_at": "2001-01-01T00:00:00Z" }), "expires_at"),
        ] {
            let said = admin.ask("POST", "/api/agents", Some(&wanted)).await;
            assert_eq!((said.status, said.code().as_str(), &said.json()["field"]), (422, "agent", &json!(field)), "{wanted}");
        }
        assert_eq!(admin.get("/api/agents").await.json()["total"], 0);
    });
}

#[test]
fn i6_limits_are_changed_and_taken_away_without_another_token() {
    run(async {
        let (_service, nexus, admin) = scene(|builder| builder).await;
        let made = minted(&admin, json!({ "name": "ci", "rate": "60/min" })).await;
        let caller = Caller::new(&nexus).agent("ci", made["token"].as_str().expect("a token"));
        assert_eq!(caller.get(URL).await.status, 200);
        let change = async |limits: Value| admin.ask("PATCH", "/api/agents/ci", Some(&limits)).await;
        let changed = change(json!({ "hosts": ["other.test"] })).await.json();
        assert_eq!((&changed["hosts"], &changed["rate"]), (&json!(["other.test"]), &json!("60/min")), "{changed}");
        assert_eq!(caller.get(URL).await.status, 403, "its host is none of them");
        let changed = change(json!({ "hosts": null, "rate": null })).await.json();
        assert_eq!((&changed["hosts"], &changed["rate"]), (&Value::Null, &Value::Null), "{changed}");
        assert_eq!(caller.get(URL).await.status, 200);
        assert_eq!(change(json!({})).await.json(), changed, "nothing is to change");
        let told = async |rate: &str| {
            nexus
                .audit_line(|line| {
                    line["event"] == "agent_limited" && line["limits"].as_str().is_some_and(|all| all.contains(rate))
                })
                .await
        };
        let line = told("rate=60/min").await;
        assert_eq!(line["limits"], "user=- providers=all hosts=other.test rate=60/min expires=never", "{line}");
        assert_eq!(told("rate=any").await["by"], "root");
        assert_eq!(change(json!({ "name": "other" })).await.status, 400);
        assert_eq!(change(json!({ "rate": "x" })).await.code(), "agent");
        assert_eq!(admin.ask("PATCH", "/api/agents/cd", Some(&json!({}))).await.status, 404);
    });
}

#[test]
fn i9_who_is_frozen_or_revoked_has_nothing_open_any_more() {
    run(async {
        let (_service, nexus, admin) = scene(|builder| builder).await;
        let made = minted(&admin, json!({ "name": "ci" })).await;
        minted(&admin, json!({ "name": "other" })).await;
        let caller = Caller::new(&nexus).agent("ci", made["token"].as_str().expect("a token"));
        let mut open = caller.http1(HOST).await;
        assert_eq!(open.get("/before").await.status, 200);
        assert_eq!(admin.ask("PUT", "/api/agents/ci/frozen", None).await.status, 204);
        let reply = open.try_send(request(Method::GET, URL, full(""))).await;
        assert!(reply.is_err() || reply.is_ok_and(|reply| reply.refusal() == Some("frozen")), "an open stream too");
        let shown = admin.get("/api/agents/ci").await.json();
        assert_eq!(
            (&shown["state"], &shown["frozen_why"]),
            (&json!("frozen"), &json!("root froze it by the gateway")),
            "{shown}"
        );
        assert_eq!(caller.get(URL).await.status, 403);
        assert_eq!(admin.ask("PUT", "/api/agents/ci/frozen", None).await.status, 204, "it is so already");
        assert_eq!(admin.ask("DELETE", "/api/agents/ci/frozen", None).await.status, 204);
        assert_eq!(caller.get(URL).await.status, 200);
        let mut open = caller.http1(HOST).await;
        assert_eq!(open.get("/before").await.status, 200);
        assert_eq!(admin.ask("DELETE", "/api/agents/ci", None).await.status, 204);
        let reply = open.try_send(request(Method::GET, URL, full(""))).await;
        assert!(reply.is_err() || reply.is_ok_and(|reply| reply.status != 200), "an open stream too");
        assert_eq!(caller.tunnel(&format!("{HOST}:443")).await.expect_err("407").status, 407);
        assert_eq!(admin.ask("DELETE", "/api/agents/ci", None).await.status, 404);
        nexus.audit_line(|line| line["event"] == "agent_revoked").await;
        let events: Vec<Value> =
            nexus.audit().into_iter().filter(|line| line["agent"] == "ci" && line["by"] == "root").collect();
        let told = |event: &str| events.iter().filter(|line| line["event"] == event).count();
        assert_eq!(["agent_frozen", "agent_thawed", "agent_revoked"].map(told), [2, 1, 1], "{events:?}");
    });
}

#[test]
fn agents_are_listed_in_parts_and_by_what_they_may_use() {
    run(async {
        let (_service, _nexus, admin) = scene(|builder| {
            let builder = builder.register("acme:alice", &[("api_key", "acme-key-of-alice-0123456789abcdef")]);
            let (builder, _) = builder.agent("c", |row| row.user = Some("alice".parse().expect("a name")));
            let (builder, _) = builder.agent("a", |row| row.user = Some("bob".parse().expect("a name")));
            let (builder, _) = builder.agent("b", |row| row.providers = Some(vec!["github".parse().expect("a name")]));
            builder.agent("d", |_row| {}).0
        })
        .await;
        let part = async |query: &str| admin.get(&format!("/api/agents?{query}")).await.json();
        let first = part("limit=2").await;
        assert_eq!((names(&first), &first["next"], &first["total"]), (vec!["a", "b"], &json!("b"), &json!(4)));
        let rest = part("limit=2&cursor=b").await;
        assert_eq!((names(&rest), &rest["next"]), (vec!["c", "d"], &Value::Null));
        assert_eq!(names(&part("q=ALICE").await), ["c"]);
        assert_eq!(names(&part("q=github%20b").await), ["b"]);
        assert_eq!(names(&part("connection=acme").await), ["a", "c", "d"]);
        assert_eq!(names(&part("connection=acme%3Aalice").await), ["c", "d"]);
        for wrong in ["limit=0", "limit=1001", "limit=x", "connection=a%20b", &format!("q={}", "x".repeat(201))] {
            assert_eq!(admin.get(&format!("/api/agents?{wrong}")).await.status, 400, "{wrong}");
        }
    });
}
