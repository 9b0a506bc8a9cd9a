//! What happens now, as who watches is told: joined, chosen, without a gap, and no longer than they may.

use std::time::{Duration, Instant};

use http::Method;
use nexus::app::GatewayKeyKind::Admin;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpStream;

use crate::harness::{Authority, Builder, Caller, Gateway, Nexus, Offers, Upstream, answer, empty, request, run};

const HOST: &str = "api.smoke.test";

/// A service, a proxy beside a gateway, a program of the agent `ci`, and an administrator.
async fn scene() -> (Upstream, Nexus, Caller, Gateway) {
    let ca = Authority::new();
    let service = Upstream::serve(&ca, &[HOST], Offers::Both, |mut call| async move {
        drop(call.read().await);
        answer(200, "fine")
    })
    .await;
    let rules = "[[rule]]\nname = \"no deletes\"\nmethods = \"DELETE\"\naction = \"deny\"\n[[rule]]\nname = \"all\"\naction = \"allow\"";
    let builder = Builder::new(&ca).resolve(HOST, service.address).gateway().config(rules);
    let (builder, token) = builder.agent("ci", |_agent| {});
    let (builder, admin) = builder.key("root", Admin, |_key| ());
    let nexus = builder.start();
    let (caller, admin) = (Caller::new(&nexus).agent("ci", &token), nexus.gateway().key(&admin));
    (service, nexus, caller, admin)
}

async fn get(caller: &Caller, path: &str) {
    assert_eq!(caller.get(&format!("https://{HOST}{path}")).await.status, 200, "{path}");
}

/// Events as they come.
pub(crate) struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    /// What is told of `query`, once it is begun.
    pub(crate) async fn of(gateway: &Gateway, query: &str) -> Self {
        let mut lines = BufReader::new(gateway.open(&format!("/api/events{query}")).await).lines();
        assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some("HTTP/1.1 200 OK"));
        let mut events = Self(lines);
        let (name, _, hello) = events.next().await.expect("a beginning");
        assert_eq!((name.as_str(), &hello["most"]), ("hello", &json!(200)));
        events
    }

    /// The next one: its name, its id, its data; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Option<u64>, Value)> {
        let (mut name, mut id) = (String::new(), None);
        while let Some(line) = self.0.next_line().await.expect("a line") {
            match line.split_once(": ") {
                Some(("event", event)) => event.clone_into(&mut name),
                Some(("id", number)) => id = number.parse().ok(),
                Some(("data", data)) => return Some((name, id, serde_json::from_str(data).expect("JSON"))),
                _ => {}
            }
        }
        None
    }

    /// The next one called `wanted`; `rate` is passed over where something else is wanted.
    pub(crate) async fn one(&mut self, wanted: &str) -> (Option<u64>, Value) {
        loop {
            let (name, id, data) = self.next().await.expect("no end");
            if name == wanted {
                return (id, data);
            }
            assert_eq!(name, "rate", "{data}");
        }
    }

    /// The next request that has ended.
    pub(crate) async fn ended(&mut self) -> (u64, Value) {
        loop {
            let (id, data) = self.one("request").await;
            if data["event"] != "open" {
                return (id.expect("an id"), data);
            }
        }
    }
}

#[test]
fn a_request_is_told_when_it_begins_and_whole_when_it_has_ended() {
    run(async {
        let (_service, _nexus, caller, admin) = scene().await;
        let mut all = Events::of(&admin.signed_in("auditor").await, "").await;
        let mut refused = Events::of(&admin, "?verdict=refuse&agent=ci&host=*.smoke.test&min_status=400&text=No%20DEL").await;
        get(&caller, "/one?page=2").await;
        let (_, began) = all.one("request").await;
        assert_eq!((&began["event"], &began["agent"], &began["path"]), (&json!("open"), &json!("ci"), &json!("/one?page=")));
        let (id, ended) = all.ended().await;
        assert_eq!((&ended["id"], &ended["status"], &ended["rule"]), (&began["id"], &json!(200), &json!("all")), "{ended}");
        assert_eq!((&ended["began"], &ended["seq"]), (&began["time"], &json!(id)), "{ended}");
        assert!(ended["source"].is_string() && ended["duration_us"].is_u64() && ended.get("prev").is_none(), "{ended}");
        let (_, rate) = all.one("rate").await;
        assert_eq!((&rate["matching"], &rate["told"], &rate["kept_one_of"]), (&json!(1), &json!(1), &json!(1)), "{rate}");
        let mut session = caller.http1(HOST).await;
        let delete = request(Method::DELETE, "/one", empty());
        assert_eq!(session.send(delete).await.status, 403);
        for events in [&mut all, &mut refused] {
            let (_, refusal) = events.ended().await;
            assert_eq!((&refusal["event"], &refusal["rule"]), (&json!("refuse"), &json!("no deletes")), "{refusal}");
        }
    });
}

#[test]
fn who_comes_back_misses_nothing() {
    run(async {
        let (_service, _nexus, caller, admin) = scene().await;
        let mut events = Events::of(&admin, "").await;
        get(&caller, "/one").await;
        let (id, _) = events.ended().await;
        drop(events);
        get(&caller, "/two").await;
        get(&caller, "/three").await;
        let again = admin.with("Last-Event-ID", &id.to_string());
        let mut events = Events::of(&again, "").await;
        // Each worker writes its own lines, so the order is theirs.
        let told = [events.ended().await.1, events.ended().await.1].map(|one| one["path"].clone());
        assert!(told.contains(&json!("/two")) && told.contains(&json!("/three")), "{told:?}");
        let mut since = Events::of(&admin, &format!("?since={id}&text=three")).await;
        assert_eq!(since.ended().await.1["path"], "/three");
        let mut earlier = Events::of(&admin, "?earlier=100&text=one").await;
        assert_eq!((earlier.one("request").await.1["event"].clone(), earlier.ended().await.0), (json!("open"), id));
        for wrong in [
            "?earlier=1001",
            "?min_status=99",
            "?min_status=x",
            "?other=1",
            "?host=*",
            "?host=a*.b",
            "?agent=*",
            &format!("?text={}", "x".repeat(201)),
        ] {
            assert_eq!(admin.get(&format!("/api/events{wrong}")).await.code(), "malformed", "{wrong}");
        }
    });
}

#[test]
fn nobody_is_told_longer_than_they_may() {
    run(async {
        let (_service, mut nexus, _caller, admin) = scene().await;
        assert_eq!(nexus.gateway().nobody().get("/api/events").await.status, 401);
        let person = admin.signed_in("auditor").await;
        let mut events = Events::of(&person, "").await;
        assert_eq!(person.ask("DELETE", "/api/session", None).await.status, 204);
        assert_eq!(events.one("end").await.1, json!({ "why": "signed_out" }));
        assert!(events.next().await.is_none(), "and no more");
        let mut events = Events::of(&admin, "").await;
        let begun = Instant::now();
        tokio::task::spawn_blocking(move || nexus.stop()).await.expect("it stops");
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody who watches holds it up");
        assert_eq!(events.one("end").await.1, json!({ "why": "stopping" }));
        assert!(events.next().await.is_none());
    });
}

#[test]
fn i7_so_many_watch_and_no_more() {
    run(async {
        let (_service, _nexus, _caller, admin) = scene().await;
        let mut all = Vec::new();
        let watchers = [admin.clone(), admin.signed_in("auditor").await, admin.signed_in("auditor").await];
        for watcher in &watchers {
            for _ in 0..8 {
                all.push(Events::of(watcher, "").await);
            }
            let refused = watcher.get("/api/events").await;
            assert_eq!((refused.status, refused.code().as_str()), (429, "watchers"), "a share of its own: {refused:?}");
            assert!(refused.field("retry-after").is_some(), "{refused:?}");
        }
        let last = admin.signed_in("operator").await;
        for _ in 0..8 {
            all.push(Events::of(&last, "").await);
        }
        let late = admin.signed_in("approver").await;
        let refused = late.get("/api/events").await;
        assert_eq!((refused.status, refused.code().as_str()), (503, "watchers"));
        drop(all.pop());
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let mut lines = BufReader::new(late.open("/api/events").await).lines();
            let line = lines.next_line().await.expect("a line");
            if line.as_deref() == Some("HTTP/1.1 200 OK") {
                break;
            }
            assert!(Instant::now() < deadline, "{line:?}");
        }
    });
}
