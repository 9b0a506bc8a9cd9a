//! Connections and the catalogue as lists that can be long; a connection tried by the gateway.

use nexus::app::GatewayKeyKind::{Admin, Node};
use serde_json::{Value, json};

use crate::attack::{ACME, HOST, KEY};
use crate::harness::{Authority, Builder, Call, Gateway, Nexus, Offers, Upstream, answer, run};

fn names<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    list.as_array().expect("a list").iter().filter_map(|one| one[member].as_str()).collect()
}

#[test]
fn connections_are_listed_whole_for_scripts_and_in_parts_for_who_asks_for_them() {
    run(async {
        let builder = Builder::new(&Authority::new()).gateway();
        let builder = ["slack", "github:bob", "github:alice"]
            .into_iter()
            .fold(builder, |builder, id| builder.register(id, &[("access_token", "gho_0123456789abcdef")]));
        let (builder, edge) = builder.key("edge", Node, |key| key.providers = Some(vec!["slack".parse().expect("a name")]));
        let nexus = builder.start();
        let get = async |query: &str| nexus.gateway().get(&format!("/api/connections{query}")).await.json();
        let whole = get("").await;
        assert_eq!(names(&whole["connections"], "connection"), ["github:alice", "github:bob", "slack"]);
        assert_eq!((&whole["next"], &whole["total"]), (&Value::Null, &json!(3)));
        let first = get("?limit=1").await;
        assert_eq!(
            (names(&first["connections"], "connection"), &first["next"]),
            (vec!["github:alice"], &json!("github:alice"))
        );
        let next = get("?limit=1&cursor=github%3Aalice").await;
        assert_eq!(names(&next["connections"], "connection"), ["github:bob"]);
        let found = get("?q=ACTIVE%20slack.com").await;
        assert_eq!(names(&found["connections"], "connection"), ["slack"], "{found}");
        // Nobody counts what is not theirs to see.
        let theirs = nexus.gateway().key(&edge).get("/api/connections?limit=10").await.json();
        assert_eq!((names(&theirs["connections"], "connection"), &theirs["total"]), (vec!["slack"], &json!(1)));
    });
}

#[test]
fn the_catalogue_says_what_is_entered_and_where_it_goes() {
    run(async {
        let nexus =
            Builder::new(&Authority::new()).gateway().provider("acme", ACME).register("acme", &[("api_key", KEY)]).start();
        let get = async |path: &str| nexus.gateway().get(path).await.json();
        let all = get("/api/catalogue").await;
        assert!(all["total"].as_u64().is_some_and(|total| total > 240) && all["next"].is_null(), "{}", all["total"]);
        let found = get("/api/catalogue?q=api.acme.test").await;
        assert_eq!((names(&found["providers"], "id"), &found["providers"][0]["connections"]), (vec!["acme"], &json!(1)));
        let part = get("/api/catalogue?limit=3").await;
        assert_eq!((part["providers"].as_array().map(Vec::len), &part["next"]), (Some(3), &part["providers"][2]["id"]));
        let jira = get("/api/catalogue/jira").await;
        let fields = jira["ways"].as_array().expect("ways").iter().flat_map(|way| way.as_array().expect("fields"));
        let site = fields.clone().find(|field| field["name"] == "site").expect("a tenant");
        assert!(site["pattern"].is_string() && site["secret"] == false && site["part_of"] == "{site}.atlassian.net", "{site}");
        let github = get("/api/catalogue/github").await;
        assert!(github["log_in"]["redirect_uri"].as_str().is_some_and(|uri| uri.ends_with("/oauth/callback")), "{github}");
        assert_eq!(
            (&github["log_in"]["app"], &github["presets"]),
            (&json!(false), &json!(["read_only", "no_delete"])),
            "{github}"
        );
        assert_eq!(nexus.gateway().get("/api/catalogue/x%20y").await.status, 404);
    });
}

/// A service that knows its key, before a proxy with a gateway.
async fn tried(status: u16) -> (Upstream, Nexus, Gateway) {
    let ca = Authority::new();
    let service = Upstream::serve(&ca, &[HOST], Offers::Both, move |mut call: Call| async move {
        drop(call.read().await);
        answer(status, "{\"login\": \"octocat\"}")
    })
    .await;
    let provider = format!("whoami = \"GET https://api.acme.test/me\"\n{}", ACME.trim_start());
    let builder = Builder::new(&ca).provider("acme", &provider).register("acme:alice", &[("api_key", KEY)]);
    let (builder, admin) = builder.resolve(HOST, service.address).gateway().key("root", Admin, |_key| ());
    let nexus = builder.start();
    let admin = nexus.gateway().key(&admin);
    (service, nexus, admin)
}

#[test]
fn a_connection_is_tried_by_one_request_that_goes_as_a_programs() {
    run(async {
        let (service, nexus, admin) = tried(200).await;
        let said = admin.ask("POST", "/api/connections/acme:alice/test", None).await.json();
        assert_eq!(
            (&said["works"], &said["status"], &said["account"]),
            (&json!(true), &json!(200), &json!("octocat")),
            "{said}"
        );
        assert_eq!((&said["request"], service.count()), (&json!("GET https://api.acme.test/me"), 1));
        let seen = service.seen().pop().expect("a request");
        assert_eq!(seen.headers.get("authorization").and_then(|value| value.to_str().ok()), Some(&*format!("Bearer {KEY}")));
        let line = nexus.closed("/me").await;
        assert!(
            line["agent"].as_str().is_some_and(|agent| agent.starts_with("test-")) && line["connection"] == "acme:alice",
            "{line}"
        );
        // Its agent has gone, and nobody needs a token for its sake.
        let agents = admin.get("/api/agents").await.json();
        assert_eq!((&agents["total"], &agents["open"]), (&json!(0), &json!(true)), "{agents}");
        assert_eq!(admin.ask("POST", "/api/connections/acme:bob/test", None).await.status, 404);
    });
}

#[test]
fn a_connection_that_does_not_do_is_told_with_what_mends_it() {
    run(async {
        let (_service, _nexus, admin) = tried(401).await;
        let said = admin.ask("POST", "/api/connections/acme:alice/test", None).await;
        assert_eq!(said.status, 200, "{said:?}");
        let said = said.json();
        assert_eq!((&said["works"], &said["status"], &said["account"]), (&json!(false), &json!(401), &Value::Null), "{said}");
        assert!(said["command"].as_str().is_some_and(|command| command.contains("acme --user alice")), "{said}");
    });
}
