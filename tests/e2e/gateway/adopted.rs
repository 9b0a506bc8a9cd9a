//! A service that nobody knew: a profile says where it is, its provider file is written, and the proxy injects at once. And what is refused.

use std::os::unix::fs::PermissionsExt as _;

use http::Method;
use nexus::app::GatewayKeyKind::{Admin, App, Node};
use serde_json::{Value, json};

use crate::harness::{Authority, Builder, Caller, Gateway, Nexus, Offers, Said, Upstream, answer, empty, request, run};

const SECRET: &str = "s3cr3t-of-app-0123456789";

/// A gateway that knows no Acme, the service that is to be known, an administrator and an app.
struct House {
    nexus: Nexus,
    service: Upstream,
    admin: Gateway,
    app: Gateway,
    owner: Gateway,
}

impl House {
    async fn new() -> Self {
        Self::with("").await
    }

    async fn with(config: &str) -> Self {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["login.acme.example", "api.acme.example"], Offers::Both, |mut call| async move {
            if call.seen.path != "/token" {
                return answer(200, "fine".to_owned());
            }
            call.read().await.expect("a body");
            let tokens = json!({ "access_token": "at-0123456789abcdef", "refresh_token": "rt-0123456789abcdef",
                "token_type": "Bearer", "expires_in": 3600 });
            let mut response = answer(200, tokens.to_string());
            response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
            response
        })
        .await;
        let builder = Builder::new(&ca).gateway().config(config);
        let builder = builder.resolve("login.acme.example", service.address).resolve("api.acme.example", service.address);
        let (builder, admin) = builder.key("root", Admin, |_key| ());
        let (builder, app) = builder.key("crew", App, |_key| ());
        let nexus = builder.start();
        let owner = nexus.gateway();
        Self { service, admin: owner.key(&admin), app: owner.key(&app), owner, nexus }
    }

    /// The names of the provider files.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.nexus.home().providers()).expect("the folder");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
    }

    /// What the service sees of a request that carries nothing.
    async fn sent(&self, path: &str) -> crate::harness::Seen {
        let request = request(Method::GET, &format!("https://api.acme.example{path}"), empty());
        let reply = Caller::new(&self.nexus).send(request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        self.service.seen().pop().expect("a request")
    }
}

async fn post(who: &Gateway, profile: &Value) -> Said {
    who.ask("POST", "/v1/providers", Some(&json!({ "profile": profile }))).await
}

/// `base` with other members; null takes one away.
fn but(base: &Value, changes: Value) -> Value {
    let mut profile = base.clone();
    let Value::Object(changes) = changes else { panic!("no members: {changes}") };
    for (name, value) in changes {
        match value {
            Value::Null => drop(profile.as_object_mut().expect("members").remove(&name)),
            value => profile[name.as_str()] = value,
        }
    }
    profile
}

/// As JarvisCore sends it.
fn acme() -> Value {
    json!({ "name": "acme", "auth_type": "oauth2", "client_id": "app", "client_secret": SECRET, "scopes": ["read", "write"],
        "auth_url": "https://login.acme.example/authorize", "token_url": "https://login.acme.example/token",
        "api_base_url": "https://api.acme.example/v1", "user_info_endpoint": "https://api.acme.example/v1/me",
        "description": "Acme", "category": "development", "params": { "access_type": "offline" } })
}

/// A key, which is typed elsewhere.
fn by_key() -> Value {
    let schema = json!({ "type": "object", "properties": { "api_key": { "type": "string", "title": "Acme's key" } }, "required": ["api_key"] });
    json!({ "name": "acme", "auth_type": "api_key", "api_base_url": "https://api.acme.example", "params": { "credential_schema": schema } })
}

#[test]
fn an_unknown_service_is_described_consented_to_and_injected_without_a_restart() {
    run(async {
        let house = House::new().await;
        let said = post(&house.admin, &acme()).await;
        assert_eq!(
            (said.status, said.json()),
            (201, json!({ "id": "acme", "provider_id": "acme", "replaced": false, "added": true }))
        );
        let file = house.nexus.home().providers().join("acme.toml");
        let text = std::fs::read_to_string(&file).expect("the file");
        assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
        assert!(!text.contains(SECRET) && text.contains("whoami = \"GET https://api.acme.example/v1/me\""), "{text}");
        let shown = house.app.get("/v1/providers/acme").await.json();
        assert_eq!((&shown["auth_type"], &shown["hosts"]), (&json!("oauth2"), &json!(["api.acme.example"])));
        // A person consents, and the proxy of the same process puts the token on.
        let wish = json!({ "user_id": "alice", "provider_name": "acme" });
        let begun = house.app.ask("POST", "/v1/request-connection", Some(&wish)).await.json();
        let url = begun["authUrl"].as_str().expect("an address");
        for part in ["https://login.acme.example/authorize?", "client_id=app", "access_type=offline", "scope=read%20write"] {
            assert!(url.replace('+', "%20").contains(part), "{part} in {url}");
        }
        let back = format!("/oauth/callback?code=good&state={}", begun["state"].as_str().expect("a state"));
        assert_eq!(house.owner.with("Sec-Fetch-Mode", "navigate").get(&back).await.status, 303);
        let id = begun["connection_id"].as_str().expect("a handle");
        let given = house.app.get(&format!("/v1/token/{id}")).await.json();
        let placeholder = given["credentials"]["access_token"].as_str().expect("a text");
        let mut request = request(Method::GET, "https://api.acme.example/v1/me", empty());
        request.headers_mut().insert("authorization", format!("Bearer {placeholder}").parse().expect("a value"));
        assert_eq!(Caller::new(&house.nexus).send(request).await.status, 200);
        assert_eq!(
            house.service.seen().pop().and_then(|seen| seen.bearer().map(str::to_owned)).as_deref(),
            Some("at-0123456789abcdef")
        );
        // Known now: what a profile says of its addresses counts no more.
        let moved = but(&acme(), json!({ "api_base_url": "https://evil.example", "client_id": "other" }));
        let said = post(&house.admin, &moved).await;
        assert_eq!((said.status, &said.json()["added"]), (200, &json!(false)));
        assert_eq!(
            (post(&house.owner, &acme()).await.code().as_str(), std::fs::read_to_string(&file).expect("the file")),
            ("registered", text)
        );
        assert_eq!(house.nexus.entry("acme").hosts, ["api.acme.example"]);
    });
}

#[test]
fn what_is_added_is_on_record_and_no_secret_with_it() {
    run(async {
        let house = House::new().await;
        assert_eq!(post(&house.owner, &acme()).await.status, 201);
        let line = house.nexus.audit_line(|line| line["event"] == "gateway_provider_added").await;
        assert_eq!(
            (&line["by"], &line["provider"], &line["hosts"]),
            (&json!("owner"), &json!("acme"), &json!("api.acme.example"))
        );
        assert_eq!(line["token_url"], "https://login.acme.example/token");
        house.nexus.audit_line(|line| line["event"] == "gateway_registered").await;
        assert!(!house.nexus.audit().iter().any(|line| line.to_string().contains(SECRET)), "a secret in the log");
    });
}

#[test]
fn a_key_of_an_unknown_service_is_typed_on_the_page_and_goes_where_the_profile_says() {
    run(async {
        let house = House::new().await;
        for (config, field, value) in [
            (json!({}), "authorization", "Bearer k-0123456789abcdef"),
            (
                json!({ "auth_config": { "header_name": "X-Acme-Key", "value_prefix": "Token " } }),
                "x-acme-key",
                "Token k-0123456789abcdef",
            ),
            (
                json!({ "auth_type": "query_param", "auth_config": { "param_name": "key" } }),
                "",
                "/things?key=k-0123456789abcdef",
            ),
        ] {
            let said = post(&house.owner, &but(&by_key(), config)).await;
            assert_eq!((said.status, said.code().as_str()), (409, "to_be_typed"), "{said:?}");
            let page = said.json()["authUrl"].as_str().expect("an address").to_owned();
            let state = page.split("state=").nth(1).expect("a state");
            let form = house.owner.get(&format!("/v1/capture-credential?state={state}")).await.body;
            assert!(form.contains("sent to api.acme.example and nowhere else") && form.contains("Acme&#39;s key"), "{form}");
            let typed = json!({ "state": state, "credentials": { "api_key": "k-0123456789abcdef" } });
            assert_eq!(house.owner.ask("POST", "/v1/capture-credential", Some(&typed)).await.status, 200);
            let seen = house.sent("/things").await;
            let found =
                seen.headers.get(field).map_or_else(|| seen.path.clone(), |value| value.to_str().expect("text").to_owned());
            assert!(value.starts_with(&found) || found == value, "{found} is not {value}");
            house.nexus.store().delete(&"acme".parse().expect("a name")).expect("gone");
            std::fs::remove_file(house.nexus.home().providers().join("acme.toml")).expect("gone");
            house.nexus.reload();
        }
        let pair = json!({ "auth_type": "basic_auth", "username": "me", "password": "p-0123456789abcdef", "params": null });
        assert_eq!(post(&house.admin, &but(&by_key(), pair)).await.status, 201);
        assert_eq!(house.sent("/things").await.headers["authorization"], "Basic bWU6cC0wMTIzNDU2Nzg5YWJjZGVm");
    });
}

/// What a profile may not say, and the word for it.
fn hostile() -> Vec<(Value, u16, &'static str)> {
    let many: serde_json::Map<String, Value> = (0..17).map(|number| (format!("f{number}"), json!({}))).collect();
    let schema =
        |properties: Value| json!({ "auth_type": "api_key", "params": { "credential_schema": { "properties": properties } } });
    let mut rows: Vec<(Value, u16, &'static str)> = Vec::new();
    for name in ["../x", "a/b", "", ".acme", "acme\n", "ac me", &"a".repeat(65)] {
        rows.push((json!({ "name": name }), 422, "provider"));
    }
    for host in ["api.github.com", "github.com", "oauth2.googleapis.com", "our.atlassian.net", "b.s3.eu-west-1.amazonaws.com"] {
        rows.push((json!({ "hosts": [host] }), 409, "host_taken"));
    }
    for host in [
        "127.0.0.1",
        "localhost",
        "a.localhost",
        "metadata.google.internal",
        "10.0.0.1",
        "[::1]",
        "nexus.internal",
        "*.acme.example",
        "{host}",
        "a b",
        "",
    ] {
        rows.push((json!({ "hosts": [host] }), 422, "provider"));
    }
    for url in [
        "http://a.example/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://169.254.169.254/x",
        "https://me@a.example/x",
        "https://{x}.example/x",
        "//a.example",
        "x",
    ] {
        for member in ["token_url", "auth_url", "api_base_url", "user_info_endpoint"] {
            rows.push((json!({ member: url }), 422, "provider"));
        }
    }
    rows.extend([
        (json!({ "token_url": "https://api.github.com/user" }), 409, "host_taken"),
        (json!({ "api_base_url": null, "user_info_endpoint": null }), 422, "provider"),
        (json!({ "token_url": null }), 422, "provider"),
        (json!({ "user_info_endpoint": "https://evil.example/me" }), 422, "provider"),
        (json!({ "api_base_url": "https://api.acme.example:8443" }), 422, "provider"),
        (json!({ "auth_type": "magic" }), 422, "provider"),
        (json!({ "client_id": "" }), 422, "credential"),
        (json!({ "scopes": ["a\"b"] }), 400, "malformed"),
        (json!({ "params": { "redirect_uri": "https://evil.example" } }), 422, "provider"),
        (json!({ "hosts": (0..21).map(|number| format!("h{number}.acme.example")).collect::<Vec<_>>() }), 422, "provider"),
        (schema(Value::Object(many)), 422, "provider"),
        (schema(json!({ "api_key": { "title": "x".repeat(201) } })), 422, "provider"),
        (schema(json!({ "client_secret": {} })), 422, "provider"),
        (schema(json!({ "a": {}, "b": {} })), 422, "provider"),
        (json!({ "auth_type": "api_key", "params": null, "auth_config": { "header_name": "Host" } }), 422, "provider"),
        (
            json!({ "auth_type": "api_key", "params": null, "auth_config": { "value_prefix": "{client_secret}" } }),
            422,
            "provider",
        ),
        (json!({ "auth_type": "api_key", "params": { "x": "y".repeat(70_000) } }), 413, "too_large"),
        (
            json!({ "auth_type": "api_key", "client_id": null, "client_secret": null, "api_key": "a\nb", "params": null }),
            422,
            "credential",
        ),
    ]);
    rows
}

#[test]
fn i2_i5_what_would_take_from_others_or_lead_inside_is_refused_and_nothing_is_written() {
    run(async {
        let house = House::new().await;
        for (changes, status, code) in hostile() {
            let said = post(&house.admin, &but(&acme(), changes.clone())).await;
            assert_eq!((said.status, said.code().as_str()), (status, code), "{changes}: {said:?}");
            assert!(!said.body.contains(SECRET), "{said:?}");
        }
        assert_eq!(house.files(), Vec::<String>::new());
        assert_eq!(house.app.get("/v1/providers/acme").await.status, 404);
        assert!(house.nexus.store().snapshot().expect("a vault").is_empty());
        // What has a file is that file's, whatever a profile says of it.
        let github = but(&acme(), json!({ "name": "GitHub" }));
        assert_eq!(post(&house.admin, &github).await.json()["added"], false);
        assert_eq!(house.nexus.entry("github").token_urls, ["https://github.com/login/oauth/access_token"]);
        assert!(!house.nexus.audit().iter().any(|line| line["event"] == "gateway_provider_added"));
    });
}

#[test]
fn who_may_not_add_a_service_learns_no_more_than_of_any_other_name() {
    run(async {
        let builder = Builder::new(&Authority::new()).gateway();
        let (builder, app) = builder.key("crew", App, |_key| ());
        let (builder, node) = builder.key("edge", Node, |_key| ());
        let only_github = |key: &mut nexus::app::GatewayKey| key.providers = Some(vec!["github".parse().expect("a name")]);
        let (builder, few) = builder.key("few", App, only_github);
        let nexus = builder.start();
        let nobody_knows = nexus.gateway().key(&app).get("/v1/providers/nobody-knows").await.body;
        for key in [app, node, few] {
            for name in ["acme", "../x"] {
                let said = post(&nexus.gateway().key(&key), &but(&acme(), json!({ "name": name }))).await;
                assert_eq!((said.status, &said.body), (404, &nobody_knows), "{name}");
            }
        }
    });
}

#[test]
fn where_egress_is_closed_a_new_service_is_an_administrators() {
    run(async {
        for config in ["[proxy]\nunmatched = \"refuse\"", "[policy]\ndefault = \"deny\""] {
            let house = House::with(config).await;
            assert_eq!(post(&house.owner, &acme()).await.code(), "not_admin", "{config}");
            assert_eq!(house.files(), Vec::<String>::new());
            assert_eq!(post(&house.admin, &acme()).await.status, 201, "{config}");
        }
    });
}

#[test]
fn i2_credentials_of_that_name_that_are_there_go_nowhere_new() {
    run(async {
        let house = House::new().await;
        assert_eq!(post(&house.admin, &acme()).await.status, 201);
        std::fs::remove_file(house.nexus.home().providers().join("acme.toml")).expect("gone");
        house.nexus.reload();
        for who in [&house.admin, &house.owner] {
            assert_eq!(
                post(who, &but(&acme(), json!({ "api_base_url": "https://evil.example", "user_info_endpoint": null })))
                    .await
                    .code(),
                "has_connections"
            );
        }
        let other = but(&acme(), json!({ "name": "other", "user_info_endpoint": null }));
        assert_eq!(post(&house.admin, &other).await.code(), "host_taken", "a host that credentials are sealed for");
        assert_eq!(house.files(), Vec::<String>::new());
    });
}

#[test]
fn i9_a_file_that_is_not_understood_stays_as_it_is() {
    run(async {
        let house = House::new().await;
        house.nexus.write_provider("Acme", "name = \"acm");
        house.nexus.reload();
        assert_eq!(post(&house.admin, &acme()).await.code(), "file_exists");
        assert_eq!(
            (house.files(), house.nexus.write_provider("Acme", "")),
            (vec!["Acme.toml".to_owned()], "name = \"acm".to_owned())
        );
    });
}

#[test]
fn i9_where_the_vault_can_not_be_written_no_file_stays() {
    run(async {
        let house = House::new().await;
        let vault = house.nexus.home().vault().file;
        let lock = nexus::disk::neighbour(&vault, "lock").expect("a name");
        drop(std::fs::remove_file(&lock));
        std::fs::create_dir(&lock).expect("in its place");
        let said = post(&house.admin, &acme()).await;
        assert_eq!((said.status, said.code().as_str()), (503, "vault"), "{said:?}");
        assert_eq!(house.files(), Vec::<String>::new());
        assert_eq!(house.app.get("/v1/providers/acme").await.status, 404, "nor is it known");
        std::fs::remove_dir(&lock).expect("gone");
        assert_eq!(post(&house.admin, &acme()).await.status, 201);
    });
}

#[test]
fn i9_of_programs_that_describe_the_same_at_once_one_does() {
    run(async {
        let house = House::new().await;
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (owner, profile) = (house.owner.clone(), but(&acme(), json!({ "client_id": format!("id-{number}") })));
            asked.spawn(async move { post(&owner, &profile).await.status });
        }
        let mut statuses = asked.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
        assert_eq!(house.files(), ["acme.toml"]);
    });
}
