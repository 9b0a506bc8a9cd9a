//! The rules as who watches sees them: as they are live, with what the log says of them, and what it would have needed.

use http::Method;
use nexus::app::GatewayKeyKind::Admin;
use serde_json::{Value, json};

use crate::harness::{Authority, Builder, Caller, Gateway, Nexus, Offers, Upstream, answer, empty, request, run};

const HOST: &str = "api.smoke.test";
const RULES: &str = "
[[rule]]
name = \"no deletes\"
methods = \"DELETE\"
action = \"deny\"
[[rule]]
name = \"watched\"
paths = \"/admin/**\"
action = \"deny\"
mode = \"report\"
[[rule]]
agents = [\"ci\", \"ci-*\"]
paths = \"/repos/{owner}/**\"
parts = { owner = [\"acme\"] }
when = { days = \"mon-sun\", zone = \"UTC\" }
action = \"limit\"
rate = \"100/s\"
[[rule]]
name = \"idle\"
hosts = \"*.example.net\"
action = \"deny\"
";

async fn scene() -> (Upstream, Nexus, Caller, Gateway) {
    let ca = Authority::new();
    let service = Upstream::serve(&ca, &[HOST], Offers::Both, |mut call| async move {
        drop(call.read().await);
        answer(200, "fine")
    })
    .await;
    let builder = Builder::new(&ca).resolve(HOST, service.address).gateway().config(RULES);
    let (builder, token) = builder.agent("ci", |_agent| {});
    let (builder, admin) = builder.key("root", Admin, |_key| ());
    let nexus = builder.start();
    let (caller, admin) = (Caller::new(&nexus).agent("ci", &token), nexus.gateway().key(&admin));
    (service, nexus, caller, admin)
}

fn named<'a>(policy: &'a Value, name: &str) -> &'a Value {
    let rules = policy["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["name"] == name).unwrap_or_else(|| panic!("{name}: {policy}"))
}

#[test]
fn rules_are_told_with_what_they_did() {
    run(async {
        let (_service, nexus, caller, admin) = scene().await;
        assert_eq!(caller.get(&format!("https://{HOST}/repos/acme/x")).await.status, 200);
        assert_eq!(caller.get(&format!("https://{HOST}/admin/x")).await.status, 200);
        let mut session = caller.http1(HOST).await;
        assert_eq!(session.send(request(Method::DELETE, "/x", empty())).await.status, 403);
        nexus.closed("/admin/x").await;
        nexus.audit_line(|line| line["event"] == "refuse").await;
        let policy = admin.signed_in("auditor").await.get("/api/policy?since=1h").await.json();
        assert_eq!((&policy["default"], &policy["mistake"], &policy["whole"]), (&json!("allow"), &Value::Null, &json!(true)));
        assert!(policy["file"].as_str().is_some_and(|file| file.ends_with("nexus.toml")), "{policy}");
        let deletes = named(&policy, "no deletes");
        assert_eq!((&deletes["refused"], &deletes["let_on"], &deletes["mode"]), (&json!(1), &json!(0), &json!("enforce")));
        assert!(deletes["last"].is_string() && deletes["line"].as_u64() > Some(1), "{deletes}");
        let watched = named(&policy, "watched");
        assert_eq!((&watched["would_refuse"], &watched["refused"], &watched["mode"]), (&json!(1), &json!(0), &json!("report")));
        assert_eq!((&named(&policy, "idle")["last"], &named(&policy, "idle")["action"]), (&Value::Null, &json!("deny")));
        let limit = policy["rules"][2].clone();
        assert_eq!((&limit["let_on"], &limit["action"]), (&json!(1), &json!("limit")), "{limit}");
        // What is shown is a rule, the same one.
        let text: String = policy["rules"].as_array().expect("rules").iter().filter_map(|rule| rule["text"].as_str()).collect();
        assert!(text.starts_with("[[rule]]\nname = \"no deletes\"\nmethods = \"DELETE\"\naction = \"deny\"\n"), "{text}");
        assert_eq!(nexus::policy::read("shown", &text).expect("rules"), nexus::policy::read("written", RULES).expect("rules"));
        let github = policy["presets"].as_array().expect("presets").iter().find(|one| one["provider"] == "github");
        assert_eq!(github.expect("it ships")["presets"], json!(["read_only", "no_delete"]));
    });
}

#[test]
fn what_the_log_would_have_needed_is_suggested() {
    run(async {
        let (_service, nexus, caller, admin) = scene().await;
        assert_eq!(caller.get(&format!("https://{HOST}/repos/acme/17")).await.status, 200);
        nexus.closed("/repos/acme/17").await;
        let found = admin.get("/api/policy/suggestion?since=1h&agent=ci").await.json();
        assert_eq!((&found["requests"], &found["kinds"], &found["dropped"]), (&json!(1), &json!(1), &json!(false)), "{found}");
        let rule = "[[rule]]\nagents = \"ci\"\nhosts = \"api.smoke.test\"\nmethods = \"GET\"\npaths = \"/repos/acme/*\"\naction = \"allow\"\n";
        assert_eq!(found["rules"], json!([rule]), "{found}");
        assert_eq!(found["text"].as_str().map(str::trim), Some(rule.trim()), "as the command writes it");
        for empty in ["would_refuse", "no_rule_can_say", "newly_let_on"] {
            assert_eq!(found[empty], json!([]), "{found}");
        }
        let none = admin.get("/api/policy/suggestion?since=1h&agent=other").await.json();
        assert_eq!((&none["requests"], &none["rules"]), (&json!(0), &json!([])));
        for wrong in ["policy?since=yesterday", "policy/suggestion?agent=a%20b", "policy?other=1"] {
            assert_eq!(admin.get(&format!("/api/{wrong}")).await.code(), "malformed", "{wrong}");
        }
    });
}

#[test]
fn a_request_is_explained_as_of_now() {
    run(async {
        let (_service, _nexus, _caller, admin) = scene().await;
        let explain = async |query: &str| admin.get(&format!("/api/explain?{query}")).await;
        let refused = explain("method=delete&url=https://api.smoke.test/x&agent=ci").await.json();
        assert_eq!(
            (&refused["outcome"], &refused["policy"]["rule"]["name"]),
            (&json!("refuse"), &json!("no deletes")),
            "{refused}"
        );
        let fine = explain("url=https://api.smoke.test/x").await.json();
        assert_eq!((&fine["outcome"], &fine["method"]), (&json!("pass"), &json!("GET")), "{fine}");
        assert_eq!(explain("url=https://a.test/&agent=nobody").await.status, 404);
        assert_eq!(explain("url=ftp%3A//x").await.code(), "request");
        assert_eq!(explain("url=https://a.test/&method=G%20T").await.code(), "request");
        assert_eq!(explain(&format!("url=https://a.test/{}", "x".repeat(5_000))).await.code(), "request");
    });
}
