//! Keys and passwords that a person types: the form, which works once, and what a program may register itself.

use nexus::app::GatewayKeyKind::{Admin, App};
use serde_json::{Value, json};

use crate::harness::{Authority, Builder, Gateway, Nexus, Said, run};

/// A gateway without any connection, an app's key and an administrator's.
fn house() -> (Nexus, Gateway, Gateway) {
    let (builder, app) = Builder::new(&Authority::new()).gateway().key("crew", App, |_key| ());
    let (builder, admin) = builder.key("root", Admin, |_key| ());
    let nexus = builder.start();
    let gateway = nexus.gateway();
    (nexus, gateway.key(&app), gateway.key(&admin))
}

/// A form for `provider`, of alice.
async fn asked(app: &Gateway, provider: &str) -> Value {
    let wish = json!({ "user_id": "alice", "provider_name": provider });
    let said = app.ask("POST", "/v1/request-connection", Some(&wish)).await;
    assert_eq!(said.status, 200, "{said:?}");
    said.json()
}

/// What a browser shows of the form, and what it sends from there.
struct Browser(Gateway);

impl Browser {
    fn new(nexus: &Nexus) -> Self {
        Self(nexus.gateway().with("Sec-Fetch-Site", "none").with("Sec-Fetch-Mode", "navigate"))
    }

    async fn open(&self, begun: &Value) -> Said {
        let url = begun["authUrl"].as_str().expect("an address");
        let (_, path) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).expect("a path");
        self.0.get(&format!("/{path}")).await
    }

    async fn submit(&self, fields: &str, from: &str) -> Said {
        let address = self.0.address;
        let (length, kind) = (fields.len(), "application/x-www-form-urlencoded");
        let head = format!(
            "POST /v1/capture-credential HTTP/1.1\r\nHost: {address}\r\nOrigin: {from}\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{fields}"
        );
        self.0.send(head.as_bytes()).await
    }

    async fn submit_here(&self, fields: &str) -> Said {
        self.submit(fields, &format!("http://{}", self.0.address)).await
    }
}

#[test]
fn a_person_types_a_key_once_and_the_program_never_sees_it() {
    run(async {
        let (nexus, app, _admin) = house();
        let begun = asked(&app, "stripe").await;
        let (state, id) = (begun["state"].as_str().expect("a state"), begun["connection_id"].as_str().expect("a handle"));
        let browser = Browser::new(&nexus);
        let form = browser.open(&begun).await;
        assert_eq!(form.status, 200, "{form:?}");
        for part in
            ["Connect Stripe", "type=\"password\"", "<label for=", "name=\"viewport\"", "light dark", "for alice", state]
        {
            assert!(form.body.contains(part), "{part}: {form:?}");
        }
        assert!(
            form.field("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")),
            "{form:?}"
        );
        assert!(!form.body.contains("<script") && form.field("cache-control") == Some("no-store"), "{form:?}");
        let schema = app.get(&format!("/v1/capture-schema?state={state}")).await.json();
        let name = schema["required"][0].as_str().expect("a field").to_owned();
        assert_eq!((&schema["type"], &schema["properties"][&name]["format"]), (&json!("object"), &json!("password")));
        // Nobody else's page can fill it in, nor can a wrong one end it.
        let fields = format!("state={state}&f-{name}=sk_live_0123456789abcdef");
        assert_eq!(browser.submit(&fields, "https://evil.example").await.code(), "browser");
        assert_eq!(browser.submit_here(&format!("state=x{state}&f-{name}=sk_live_1")).await.status, 404);
        let wrong = browser.submit_here(&format!("state={state}&f-{name}=a%0Ab")).await;
        assert!(wrong.status == 422 && wrong.body.contains("line end") && wrong.body.contains("role=\"alert\""), "{wrong:?}");
        let odd = browser.submit_here(&format!("state={state}&f-other=x")).await;
        assert!(odd.status == 422 && odd.body.contains("no field other"), "{odd:?}");
        let done = browser.submit_here(&fields).await;
        assert!(done.status == 200 && done.body.contains("You can close this page"), "{done:?}");
        assert!(!done.body.contains("sk_live") && done.body.contains("status=success"), "{done:?}");
        assert_eq!(app.get(&format!("/v1/check-connection/{id}")).await.json(), json!({ "status": "active" }));
        assert!(nexus.holds("stripe:alice", &name, "sk_live_0123456789abcdef"));
        let given = app.get(&format!("/v1/token/{id}")).await;
        assert_eq!((&given.json()["type"], given.body.contains("sk_live_0123")), (&json!("api_key"), false));
        assert_eq!(given.json()["strategy"]["config"]["header_name"], "Authorization", "{given:?}");
        // Once.
        for (said, code) in [(browser.open(&begun).await, 404), (browser.submit_here(&fields).await, 404)] {
            assert!(said.status == code && said.body.contains("used already"), "{said:?}");
        }
        assert_eq!(app.get(&format!("/v1/capture-schema?state={state}")).await.code(), "not_found");
    });
}

#[test]
fn a_program_with_a_form_of_its_own_sends_json() {
    run(async {
        let (nexus, app, _admin) = house();
        let begun = asked(&app, "stripe").await;
        let name = app.get(&format!("/v1/capture-schema?state={}", begun["state"].as_str().expect("a state"))).await.json();
        let name = name["required"][0].as_str().expect("a field").to_owned();
        let typed = |value: &str| json!({ "state": begun["state"], "credentials": { name.as_str(): value } });
        let anyone = nexus.gateway();
        assert_eq!(anyone.ask("POST", "/v1/capture-credential", Some(&typed("a\nb"))).await.code(), "credential");
        let said = anyone.ask("POST", "/v1/capture-credential", Some(&typed("sk_live_0123456789abcdef"))).await;
        assert_eq!(said.json(), json!({ "status": "active", "connection_id": begun["connection_id"] }));
        assert_eq!(anyone.ask("POST", "/v1/capture-credential", Some(&typed("sk_live_2"))).await.code(), "not_found");
        assert!(nexus.holds("stripe:alice", &name, "sk_live_0123456789abcdef"));
    });
}

const PAIR: &str = r#"
name = "pair"
title = "Pair"
slots = ["authorization"]
[[inject]]
hosts = ["api.pair.example"]
strategy = { basic = { username = "{username}", password = "{password}" } }
"#;

const BY_QUERY: &str = r#"
name = "maps"
title = "Maps"
slots = ["query:key"]
[[inject]]
hosts = ["api.maps.example"]
strategy = { query = { name = "key", value = "{api_key}" } }
"#;

#[test]
fn a_pair_is_typed_as_a_pair_and_told_as_one() {
    run(async {
        let (builder, app) = Builder::new(&Authority::new()).gateway().provider("pair", PAIR).key("crew", App, |_key| ());
        let nexus = builder.start();
        let app = nexus.gateway().key(&app);
        let begun = asked(&app, "pair").await;
        let schema = app.get(&format!("/v1/capture-schema?state={}", begun["state"].as_str().expect("a state"))).await.json();
        assert_eq!(schema["required"], json!(["username", "password"]), "{schema}");
        assert_eq!(schema["properties"]["password"]["format"], "password");
        assert!(schema["properties"]["username"]["format"].is_null(), "it is shown: {schema}");
        let browser = Browser::new(&nexus);
        let form = browser.open(&begun).await;
        assert!(form.body.contains("name=\"f-username\"") && form.body.contains("name=\"f-password\""), "{form:?}");
        let state = begun["state"].as_str().expect("a state");
        let half = browser.submit_here(&format!("state={state}&f-username=alice")).await;
        assert_eq!(half.status, 422, "{half:?}");
        // What a password ends with is its own.
        let whole = browser.submit_here(&format!("state={state}&f-username=alice&f-password=pass+word%3A%2B+")).await;
        assert_eq!(whole.status, 200, "{whole:?}");
        assert!(nexus.holds("pair:alice", "username", "alice") && nexus.holds("pair:alice", "password", "pass word:+ "));
        assert_eq!(nexus.entry("pair:alice").auth_type.as_str(), "basic_auth");
        let given = app.get(&format!("/v1/token/{}", begun["connection_id"].as_str().expect("a handle"))).await;
        let told = given.json();
        assert_eq!((&told["type"], &told["strategy"]["type"]), (&json!("basic_auth"), &json!("basic_auth")), "{told}");
        let names: Vec<&String> = told["credentials"].as_object().expect("fields").keys().collect();
        assert_eq!(names, ["password", "username"]);
        assert!(told["credentials"].as_object().expect("fields").values().all(Value::is_string));
        assert!(!given.body.contains("pass word") && !given.body.contains("\"alice\""), "{given:?}");
    });
}

#[test]
fn a_key_of_the_query_is_told_with_the_parameter_that_it_goes_in() {
    run(async {
        let builder = Builder::new(&Authority::new()).gateway().provider("maps", BY_QUERY);
        let (builder, app) =
            builder.register("maps:alice", &[("api_key", "maps-0123456789abcdef")]).key("crew", App, |_key| ());
        let nexus = builder.start();
        let given = nexus.gateway().key(&app).get("/v1/token/maps:alice").await;
        let config = json!({ "param_name": "key", "credential_field": "api_key", "base_url": "https://api.maps.example" });
        assert_eq!((&given.json()["type"], &given.json()["strategy"]["config"]), (&json!("api_key"), &config), "{given:?}");
        assert!(given.json()["credentials"]["api_key"].is_string() && !given.body.contains("maps-0123"), "{given:?}");
        let resolved = nexus.gateway().key(&app).get("/v1/resolve?workspace_id=alice&provider_name=maps").await;
        assert_eq!(resolved.json()["strategy"]["config"], config, "{resolved:?}");
    });
}

#[test]
fn who_cancels_has_stored_nothing() {
    run(async {
        let (nexus, app, _admin) = house();
        let begun = asked(&app, "stripe").await;
        let state = begun["state"].as_str().expect("a state");
        let said = Browser::new(&nexus).submit_here(&format!("state={state}&cancel=1")).await;
        assert!(said.status == 200 && said.body.contains("Nothing was stored"), "{said:?}");
        let id = begun["connection_id"].as_str().expect("a handle");
        let stands = app.get(&format!("/v1/check-connection/{id}")).await.json();
        assert_eq!(stands, json!({ "status": "failed", "reason": "access_denied" }));
    });
}

#[test]
fn an_app_is_registered_by_administrators_and_by_our_own_user_and_replaced_by_the_former() {
    run(async {
        let (nexus, app, admin) = house();
        let owner = nexus.gateway();
        let profile = |id: &str| {
            json!({ "profile": { "name": "github", "auth_type": "oauth2", "client_id": id, "client_secret": "ghs-0123456789",
                "scopes": ["repo", "gist repo"], "auth_url": "https://evil.example/authorize", "token_url": "https://evil.example/token" } })
        };
        let register =
            |who: Gateway, id: &'static str| async move { who.ask("POST", "/v1/providers", Some(&profile(id))).await };
        assert_eq!(register(app.clone(), "one").await.code(), "not_registrar");
        let said = register(owner.clone(), "one").await;
        assert_eq!((said.status, &said.json()["id"], &said.json()["replaced"]), (201, &json!("github"), &json!(false)));
        for who in [app.clone(), owner.clone()] {
            assert_eq!(
                (register(who.clone(), "two").await.status, register(who, "two").await.code()),
                (409, "registered".into())
            );
        }
        assert!(nexus.holds("github", "client_id", "one"));
        assert_eq!(register(admin.clone(), "two").await.status, 200);
        assert!(nexus.holds("github", "client_id", "two"));
        // Where its addresses are is not for a program to say.
        let begun = asked(&app, "github").await;
        assert!(
            begun["authUrl"].as_str().is_some_and(|url| url.starts_with("https://github.com/login/oauth/authorize?")),
            "{begun}"
        );
        // What people are asked for is, where the one who asks names nothing.
        assert!(
            begun["authUrl"].as_str().is_some_and(|url| url.contains("scope=repo%20gist&") || url.contains("scope=repo+gist&")),
            "{begun}"
        );
        let odd = json!({ "profile": { "name": "github", "client_id": "x", "scopes": ["a\"b"] } });
        assert_eq!(owner.ask("POST", "/v1/providers", Some(&odd)).await.status, 409, "registered already, whatever it says");
        assert_eq!(admin.ask("POST", "/v1/providers", Some(&odd)).await.code(), "malformed");
        let entry = nexus.entry("github");
        assert_eq!(entry.wanted_scopes(), ["repo", "gist"]);
        assert_eq!(entry.token_urls, ["https://github.com/login/oauth/access_token"]);
    });
}

#[test]
fn a_client_that_keeps_the_key_to_itself_is_told_where_to_type_it() {
    run(async {
        let (nexus, _app, _admin) = house();
        let schema = json!({ "type": "object", "required": ["api_key"], "properties": { "api_key": { "type": "string" } } });
        let profile =
            json!({ "profile": { "name": "stripe", "auth_type": "api_key", "params": { "credential_schema": schema } } });
        let said = nexus.gateway().ask("POST", "/v1/providers", Some(&profile)).await;
        assert_eq!((said.status, said.code().as_str()), (409, "to_be_typed"));
        let page = said.json()["authUrl"].as_str().expect("an address").to_owned();
        assert!(said.json()["message"].as_str().is_some_and(|message| message.contains(&page)), "{said:?}");
        let form = Browser::new(&nexus).open(&said.json()).await;
        let name = form.body.split("name=\"f-").nth(1).and_then(|rest| rest.split('"').next()).expect("a field").to_owned();
        let state = page.split("state=").nth(1).expect("a state");
        let done = Browser::new(&nexus).submit_here(&format!("state={state}&f-{name}=sk_live_0123456789abcdef")).await;
        assert_eq!(done.status, 200, "{done:?}");
        assert!(nexus.holds("stripe", &name, "sk_live_0123456789abcdef"), "for everybody");
    });
}

#[test]
fn i9_of_programs_that_register_the_same_at_once_one_does_and_the_log_knows_of_one() {
    run(async {
        let (nexus, app, admin) = house();
        let body = |id: &str| json!({ "profile": { "name": "github", "client_id": id, "client_secret": "ghs-0123456789" } });
        assert_eq!(app.ask("POST", "/v1/providers", Some(&body("none"))).await.code(), "not_registrar");
        assert_eq!(admin.ask("POST", "/v1/providers", Some(&json!({ "profile": { "name": "none" } }))).await.status, 404);
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (owner, body) = (nexus.gateway(), body(&format!("id-{number}")));
            asked.spawn(async move { owner.ask("POST", "/v1/providers", Some(&body)).await.status });
        }
        let mut statuses = asked.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
        let line = nexus.audit_line(|line| line["event"] == "gateway_registered").await;
        assert_eq!((&line["connection"], &line["by"]), (&json!("github"), &json!("owner")), "{line}");
        let refused = |line: &Value| line["event"] == "gateway_registered" && line["by"] != "owner";
        assert!(!nexus.audit().iter().any(refused), "what was refused was not done");
    });
}

#[test]
fn a_form_for_everybody_is_over_once_somebody_registered_that() {
    run(async {
        let (nexus, app, admin) = house();
        let empty = json!({ "profile": { "name": "stripe", "params": { "credential_schema": {} } } });
        let (apps, owners) = (app.ask("POST", "/v1/providers", Some(&empty)).await, nexus.gateway());
        let owners = owners.ask("POST", "/v1/providers", Some(&empty)).await;
        let full = json!({ "profile": { "name": "stripe", "api_key": "sk_live_of_the_administrator" } });
        assert_eq!(admin.ask("POST", "/v1/providers", Some(&full)).await.status, 201);
        let browser = Browser::new(&nexus);
        let typed = |said: &Said| {
            let page = said.json()["authUrl"].as_str().expect("an address").to_owned();
            format!("state={}&f-api_key=sk_live_0123456789abcdef", page.split("state=").nth(1).expect("a state"))
        };
        for said in [apps, owners] {
            assert_eq!((said.status, said.code().as_str()), (409, "to_be_typed"));
            let late = browser.submit_here(&typed(&said)).await;
            assert!(late.status == 404 && browser.open(&said.json()).await.status == 404, "{late:?}");
        }
        assert!(nexus.holds("stripe", "api_key", "sk_live_of_the_administrator"));
        // An administrator means to replace it.
        let said = admin.ask("POST", "/v1/providers", Some(&empty)).await;
        assert_eq!(browser.submit_here(&typed(&said)).await.status, 200);
        assert!(nexus.holds("stripe", "api_key", "sk_live_0123456789abcdef"));
    });
}

#[test]
fn the_services_are_grouped_and_a_list_for_jarviscores_command_line() {
    run(async {
        let builder = Builder::new(&Authority::new()).gateway();
        let (builder, few) = builder.key("few", App, |key| key.providers = Some(vec!["github".parse().expect("a name")]));
        let nexus = builder.start();
        let gateway = nexus.gateway();
        let grouped = gateway.get("/v1/providers").await.json();
        assert_eq!(grouped["oauth2"]["github"]["api_base_url"], "https://api.github.com", "{grouped}");
        assert_eq!(grouped["oauth2"]["github"]["scopes"][0], "repo");
        assert!(grouped["api_key"]["stripe"].is_object() && grouped["basic_auth"].is_object(), "{grouped}");
        assert_eq!(gateway.get("/v1/providers/metadata").await.json(), grouped);
        let urllib = gateway.with("User-Agent", "Python-urllib/3.13");
        let list = || async { urllib.get("/v1/providers").await.json() };
        assert_eq!(list().await, json!([]));
        nexus.register("github:alice", &[("access_token", "gho_alice")], None);
        nexus.register("github:bob", &[("access_token", "gho_bob")], None);
        assert_eq!(list().await, json!([{ "name": "github", "auth_type": "oauth2" }]), "what is registered");
        let seen = gateway.key(&few).get("/v1/providers").await.json();
        assert!(seen["oauth2"]["github"].is_object() && seen.as_object().map(|groups| groups.len()) == Some(1), "{seen}");
        let shown = gateway.get("/v1/providers/GitHub").await.json();
        assert_eq!(
            (&shown["id"], &shown["auth_type"], &shown["registered"]),
            (&json!("github"), &json!("oauth2"), &json!(false))
        );
        assert_eq!(gateway.key(&few).get("/v1/providers/stripe").await.code(), "unknown_provider");
    });
}

#[test]
fn i6_a_key_that_is_called_as_our_own_user_is_in_logs_is_another() {
    run(async {
        let (builder, named) = Builder::new(&Authority::new()).gateway().key("owner", App, |_key| ());
        let nexus = builder.start();
        let (owner, named) = (nexus.gateway(), nexus.gateway().key(&named));
        let begun = asked(&owner, "stripe").await;
        let path = format!("/v1/connections/{}", begun["connection_id"].as_str().expect("a handle"));
        assert_eq!(named.ask("DELETE", &path, None).await.code(), "not_found");
        assert_ne!(asked(&named, "stripe").await["state"], begun["state"], "each has a form of its own");
        assert_eq!(owner.ask("DELETE", &path, None).await.status, 200);
    });
}
