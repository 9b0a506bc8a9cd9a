//! What the rules are said to have done is what the log has of them: as many requests as a search by the rule finds, each once.

use http::{Method, Request};
use nexus::app::GatewayKeyKind::Admin;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Body, Gateway, Reply, empty, full, request, run};
use crate::renewal::house::{House, Plan};

const CONFIG: &str = "
[gateway]
enabled = true
[upstream.resolve]
\"down.test\" = \"127.0.0.1:1\"
[[rule]]
name = \"ask\"
methods = \"POST\"
action = \"approve\"
timeout = \"50s\"
[[rule]]
name = \"none\"
methods = \"DELETE\"
action = \"deny\"
[[rule]]
name = \"shadow\"
paths = \"/admin/**\"
action = \"deny\"
mode = \"report\"
[[rule]]
name = \"rest\"
action = \"allow\"
[[rule]]
name = \"idle\"
action = \"deny\"
";

fn asked(method: Method, path: &str, fields: &[(&'static str, &str)]) -> Request<Body> {
    let body = if method == Method::POST { full("{}".to_owned()) } else { empty() };
    let mut request = request(method, &House::url(path), body);
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    request
}

/// A request that waits for a person, and its number on the list.
async fn held(house: &House, admin: &Gateway, path: &str) -> (JoinHandle<Reply>, String) {
    let (caller, request) = (house.caller(), asked(Method::POST, path, &[]));
    let sent = tokio::spawn(async move { caller.send(request).await });
    loop {
        let all = admin.get("/api/approvals").await.json();
        let mut items = all["items"].as_array().expect("a list").iter();
        if let Some(item) = items.find(|item| item["path"] == path && item["status"] == "waiting") {
            return (sent, item["id"].as_str().expect("an id").to_owned());
        }
        tokio::task::yield_now().await;
    }
}

async fn answered(house: &House, admin: &Gateway, (path, decision): (&str, &str)) -> u16 {
    let (sent, id) = held(house, admin, path).await;
    let said = admin.ask("POST", &format!("/api/approvals/{id}"), Some(&json!({ "decision": decision }))).await;
    assert_eq!(said.status, 200, "{said:?}");
    sent.await.expect("an answer").status
}

/// Forwards, a second send, a miss, refusals of every kind, and words of persons.
async fn traffic(house: &House, admin: &Gateway) -> JoinHandle<Reply> {
    let get = async |path: &str| house.caller().get(&House::url(path)).await.status;
    assert_eq!((get("/one").await, get("/admin/x").await), (200, 200));
    house.tokens.expire();
    assert_eq!((get("/again").await, get("/status/404").await), (200, 404));
    assert_eq!(house.caller().get("http://down.test/x").await.status, 502);
    let other = asked(Method::GET, "/other", &[("nexus-connection", "renew:nobody")]);
    assert_eq!(house.caller().send(other).await.status, 403);
    assert_eq!(house.caller().send(asked(Method::DELETE, "/one", &[])).await.status, 403);
    assert_eq!((answered(house, admin, ("/yes", "allow")).await, answered(house, admin, ("/no", "deny")).await), (200, 403));
    assert_eq!(house.caller().send(asked(Method::POST, "/later", &[("prefer", "respond-async")])).await.status, 202);
    let (left, _) = held(house, admin, "/left").await;
    left.abort();
    house.nexus.closed("/left").await;
    for path in ["/one", "/admin/x", "/again", "/status/404", "/x", "/other", "/yes", "/no", "/later"] {
        house.nexus.closed(path).await;
    }
    held(house, admin, "/waits").await.0
}

#[test]
fn a_rule_is_said_to_have_done_what_a_search_finds_of_it() {
    run(async {
        let house = House::with(Plan { config: CONFIG, ..Plan::default() }).await;
        let key = house.nexus.add_key("root", Admin);
        house.nexus.reload();
        let admin = house.nexus.gateway().key(&key);
        let waits = traffic(&house, &admin).await;
        assert_eq!(house.nexus.notes("/again").await, ["renewed", "replayed"]);
        let policy = admin.get("/api/policy?since=1h").await.json();
        let names = ["let_on", "refused", "otherwise", "waiting", "would_refuse"];
        for (name, counts) in [
            ("ask", [1, 1, 2, 2, 0]),
            ("none", [0, 1, 0, 0, 0]),
            ("shadow", [0, 0, 0, 0, 1]),
            ("rest", [5, 0, 1, 0, 0]),
            ("idle", [0; 5]),
        ] {
            let rules = policy["rules"].as_array().expect("rules");
            let rule = rules.iter().find(|rule| rule["name"] == name).unwrap_or_else(|| panic!("{name}: {policy}"));
            assert_eq!(names.map(|count| rule[count].as_u64().unwrap_or(99)), counts, "{name}: {rule}");
            let found = admin.get(&format!("/api/audit/search?from=1h&limit=1000&rule={name}")).await.json();
            let records = found["records"].as_array().expect("records");
            assert_eq!(records.len() as u64, counts[..3].iter().sum::<u64>(), "{name}: {found}");
            assert!(records.iter().all(|record| record["rule"] == name && record["id"].is_string()), "{found}");
        }
        let refused = admin.get("/api/audit/search?from=1h&rule=rest&verdict=refuse").await.json();
        let mut kinds: Vec<&Value> =
            refused["records"].as_array().expect("records").iter().map(|one| &one["refusal"]).collect();
        kinds.sort_by_key(|kind| kind.to_string());
        assert_eq!(kinds, ["auth_required", "upstream"], "what else refused it");
        let refused = admin.get("/api/audit/search?from=1h&limit=1000&verdict=refuse").await.json();
        let there = refused["records"].as_array().expect("records").iter().filter(|one| one["host"] != "down.test");
        let owners: Vec<_> = there.map(|one| (&one["provider"], &one["path"])).collect();
        assert!(owners.len() == 3 && owners.iter().all(|(provider, _)| **provider == "renew"), "whose they were: {owners:?}");
        let lines = admin.get("/api/audit/export?from=1h&rule=none&format=jsonl").await.body;
        let records = lines.lines().filter(|line| line.starts_with('{')).count();
        assert_eq!((records, lines.contains("\"rule\":\"none\"")), (1, true), "{lines}");
        waits.abort();
    });
}
