//! The Nexus contract: a connection is asked for, a person consents at the service, and the program has a handle. Who may see it.

use http::Method;
use nexus::app::GatewayKeyKind::{Admin, App, Node};
use serde_json::{Value, json};

use crate::harness::{Authority, Builder, Caller, Gateway, Nexus, Offers, Said, Upstream, answer, empty, request, run};

const PROVIDER: &str = r#"
name = "acme"
title = "Acme"
slots = ["authorization"]
[oauth2]
authorize_url = "https://login.acme.example/authorize"
token_url = "https://login.acme.example/token"
issuer = "https://login.acme.example"
scopes = ["read"]
[[inject]]
hosts = ["api.acme.example"]
strategy = { bearer = "{access_token}" }
[placeholder]
ACME_TOKEN = "acme_"
"#;

/// What the service gives for a code, by the code: `good-NAME`, and for every refresh token.
fn reply(body: &str) -> (u16, String) {
    if body.contains("grant_type=refresh_token") {
        return (
            200,
            json!({ "access_token": "at-renewed-0123456789", "token_type": "Bearer", "expires_in": 3600 }).to_string(),
        );
    }
    let code = body.split('&').find_map(|pair| pair.strip_prefix("code=")).unwrap_or_default();
    match code.strip_prefix("good-") {
        Some(name) if body.contains("code_verifier=") => {
            let tokens = json!({ "access_token": format!("at-{name}-0123456789"), "refresh_token": format!("rt-{name}"),
                "token_type": "Bearer", "expires_in": 3600 });
            (200, tokens.to_string())
        }
        _ => (400, json!({ "error": "invalid_grant" }).to_string()),
    }
}

struct House {
    nexus: Nexus,
    service: Upstream,
    app: Gateway,
    admin: Gateway,
    node: Gateway,
    of_alice: Gateway,
}

impl House {
    async fn new() -> Self {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["login.acme.example", "api.acme.example"], Offers::Both, |mut call| async move {
            if call.seen.path == "/v1/strict" && !call.seen.bearer().is_some_and(|token| token.starts_with("at-renewed")) {
                return answer(401, "");
            }
            if call.seen.path != "/token" {
                return answer(200, call.seen.bearer().unwrap_or_default().to_owned());
            }
            let body = call.read().await.expect("a body");
            let (status, text) = reply(&String::from_utf8_lossy(&body));
            let mut response = answer(status, text);
            response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
            response
        })
        .await;
        let builder = Builder::new(&ca).gateway().provider("acme", PROVIDER);
        let builder = builder.config("[gateway]\nreturn_urls = [\"http://localhost:8000/oauth/callback\"]");
        let builder = builder.resolve("login.acme.example", service.address).resolve("api.acme.example", service.address);
        let (builder, app) = builder.key("crew", App, |_key| ());
        let (builder, admin) = builder.key("root", Admin, |_key| ());
        let (builder, node) = builder.key("edge", Node, |_key| ());
        let (builder, alice) = builder.key("hers", App, |key| key.user = Some("alice".parse().expect("a name")));
        let nexus = builder.register("acme", &[("client_id", "app"), ("client_secret", "s3cr3t-of-app-01")]).start();
        let gateway = nexus.gateway();
        let [app, admin, node, of_alice] = [app, admin, node, alice].map(|key| gateway.key(&key));
        Self { nexus, service, app, admin, node, of_alice }
    }

    /// Asks for `user`'s account.
    async fn ask(&self, who: &Gateway, user: &str) -> Value {
        let said = self.try_asking(who, user).await;
        assert_eq!(said.status, 200, "{said:?}");
        said.json()
    }

    async fn try_asking(&self, who: &Gateway, user: &str) -> Said {
        let back = "http://localhost:8000/oauth/callback";
        let wish = json!({ "user_id": user, "provider_name": "acme", "scopes": ["read"], "return_url": back });
        who.ask("POST", "/v1/request-connection", Some(&wish)).await
    }

    /// As the service sends a browser back.
    async fn comes_back(&self, query: &str) -> Said {
        let browser = self.nexus.gateway().with("Sec-Fetch-Site", "cross-site").with("Sec-Fetch-Mode", "navigate");
        browser.get(&format!("/oauth/callback?{query}")).await
    }

    async fn status(&self, who: &Gateway, id: &Value) -> Value {
        let said = who.get(&format!("/v1/check-connection/{}", id.as_str().expect("a handle"))).await;
        if said.status == 200 { said.json()["status"].clone() } else { said.code().into() }
    }

    /// The same in the app's eyes, with all that is told.
    async fn stands(&self, begun: &Value) -> Value {
        self.app.get(&format!("/v1/check-connection/{}", text(begun, "connection_id"))).await.json()
    }

    /// The credential that the service sees where a program sends this.
    async fn sent_with(&self, shown: &str) -> Option<String> {
        let mut request = request(Method::GET, "https://api.acme.example/v1/me", empty());
        request.headers_mut().insert("authorization", format!("Bearer {shown}").parse().expect("a value"));
        let reply = Caller::new(&self.nexus).send(request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        self.service.seen().last().and_then(|seen| seen.bearer().map(str::to_owned))
    }

    /// Connects `user`'s account, and gives its handle.
    async fn connect(&self, user: &str) -> String {
        let begun = self.ask(&self.app, user).await;
        let said = self.comes_back(&format!("code=good-{user}&state={}", text(&begun, "state"))).await;
        assert_eq!(said.status, 303, "{said:?}");
        text(&begun, "connection_id").to_owned()
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}

#[test]
fn a_person_consents_and_the_program_has_a_handle_and_a_placeholder_that_the_proxy_knows() {
    run(async {
        let house = House::new().await;
        let begun = house.ask(&house.app, "alice").await;
        let url = text(&begun, "authUrl");
        let redirect = format!("http%3A%2F%2F{}%2Foauth%2Fcallback", house.app.address.to_string().replace(':', "%3A"));
        for part in
            ["https://login.acme.example/authorize?", "response_type=code", "client_id=app", "code_challenge_method=S256"]
                .into_iter()
                .chain([format!("redirect_uri={redirect}").as_str(), format!("state={}", text(&begun, "state")).as_str()])
        {
            assert!(url.contains(part), "{part} in {url}");
        }
        assert_eq!((text(&begun, "provider_id"), &begun["scopes"]), ("acme", &json!(["read"])));
        let id = &begun["connection_id"];
        assert_eq!(house.status(&house.app, id).await, "pending");
        let again = house.try_asking(&house.app, "alice").await;
        assert_eq!((again.status, again.code().as_str()), (409, "pending"));
        for name in ["authUrl", "connection_id", "state", "scopes", "provider_id"] {
            assert_eq!(again.json()[name], begun[name], "{name}");
        }
        let token = format!("/v1/token/{}", text(&begun, "connection_id"));
        assert_eq!(house.app.get(&token).await.code(), "pending");
        let said = house.comes_back(&format!("code=good-alice&state={}", text(&begun, "state"))).await;
        let back = format!(
            "http://localhost:8000/oauth/callback?status=success&connection_id={}&provider=acme&state={}",
            text(&begun, "connection_id"),
            text(&begun, "state")
        );
        assert_eq!((said.status, said.field("location")), (303, Some(back.as_str())));
        assert_eq!(house.status(&house.app, id).await, "active");
        assert!(house.nexus.holds("acme:alice", "access_token", "at-alice-0123456789"));
        let given = house.app.get(&token).await.json();
        let placeholder = given["credentials"]["access_token"].as_str().expect("a text").to_owned();
        assert!(placeholder.starts_with("acme_") && placeholder.len() == 41, "{given}");
        assert_eq!(
            (&given["type"], &given["strategy"]["type"], &given["expires_at"]),
            (&json!("oauth2"), &json!("oauth2"), &Value::Null)
        );
        assert_eq!(
            given["strategy"]["config"],
            json!({ "header_name": "Authorization", "value_prefix": "Bearer ", "credential_field": "access_token",
                "base_url": "https://api.acme.example" })
        );
        // The proxy puts the true one in its place, whoever else has an account.
        house.connect("bob").await;
        assert_eq!(house.sent_with(&placeholder).await.as_deref(), Some("at-alice-0123456789"));
    });
}

/// Who asks and for whom, and what comes of it.
#[test]
fn i6_a_key_of_one_person_neither_sees_nor_begins_anything_of_another() {
    run(async {
        let house = House::new().await;
        let (alice, bob) = (house.connect("alice").await, house.connect("bob").await);
        // Python: uuid.uuid5(uuid.NAMESPACE_DNS, "alice"), as JarvisCore sends it.
        let number = "c2ef90b9-02bc-5d53-93cd-92652b6e1b41";
        for handle in [alice.as_str(), "acme:alice", &format!("acme:{number}"), "resolved:acme", "resolved:alice:acme"] {
            let given = house.of_alice.get(&format!("/v1/token/{handle}")).await;
            assert_eq!((given.status, text(&given.json(), "connection")), (200, "acme:alice"), "{handle}");
        }
        let of_bob = [bob.as_str(), "acme:bob", "resolved:bob:acme", "nothing", "b2f4f1de-0000-4000-8000-000000000000", "a/b"];
        let unseen: Vec<Said> = futures_of(&house.of_alice, &of_bob).await;
        for (handle, said) in of_bob.iter().zip(&unseen) {
            assert_eq!((said.status, said.code().as_str()), (404, "not_found"), "{handle}");
        }
        assert!(unseen[..5].iter().all(|said| said.body == unseen[0].body), "nobody learns what exists: {unseen:?}");
        for path in ["/v1/check-connection/", "/v1/refresh/"] {
            let method = if path.contains("refresh") { "POST" } else { "GET" };
            assert_eq!(house.of_alice.ask(method, &format!("{path}{bob}"), None).await.status, 404);
        }
        assert_eq!(house.of_alice.ask("DELETE", "/v1/connections/acme:bob", None).await.status, 404);
        assert_eq!(house.try_asking(&house.of_alice, "bob").await.code(), "other_user");
        assert_eq!(house.try_asking(&house.of_alice, number).await.status, 200, "the same person by number");
        let resolve = |who: Gateway, user: &'static str| async move {
            who.get(&format!("/v1/resolve?workspace_id={user}&provider_name=acme")).await
        };
        assert_eq!(resolve(house.of_alice.clone(), "bob").await.status, 404);
        assert_eq!(text(&resolve(house.app.clone(), number).await.json(), "connection"), "acme:alice");
        assert_eq!(resolve(house.app.clone(), "eve").await.status, 404, "nobody's is not hers");
        // A program that says for whom it acts gets nothing of another.
        let for_alice = house.app.with("X-Nexus-Subject", number);
        assert_eq!(for_alice.get("/v1/token/acme:alice").await.status, 200);
        assert_eq!(for_alice.get("/v1/token/acme:bob").await.code(), "subject");
        // Nor does it ask anybody else, or learn of what others are asked, or end that.
        assert_eq!(house.try_asking(&for_alice, "carol").await.code(), "subject");
        let begun = house.ask(&house.app, "carol").await;
        let carols = text(&begun, "connection_id");
        assert_eq!(for_alice.get(&format!("/v1/check-connection/{carols}")).await.code(), "subject");
        assert_eq!(for_alice.ask("DELETE", &format!("/v1/connections/{carols}?pending=true"), None).await.code(), "subject");
        assert_eq!(house.status(&house.app, &begun["connection_id"]).await, "pending");
        let given = for_alice.ask("POST", "/v1/refresh/resolved:acme", None).await;
        assert_eq!(given.json(), json!({ "status": "active", "refreshed": false }), "a hint spends nothing");
        assert_eq!(house.service.seen().iter().filter(|seen| seen.path == "/token").count(), 2, "the two codes");
    });
}

#[test]
fn i6_a_question_is_ended_by_the_key_that_asked_it_or_by_an_administrator() {
    run(async {
        let house = House::new().await;
        let begun = house.ask(&house.app, "alice").await;
        let path = format!("/v1/connections/{}", text(&begun, "connection_id"));
        for other in [house.of_alice.clone(), house.nexus.gateway()] {
            assert_eq!(other.ask("DELETE", &path, None).await.code(), "not_found");
            assert_eq!(house.status(&other, &begun["connection_id"]).await, "pending");
        }
        assert_eq!(house.app.ask("DELETE", &path, None).await.status, 200);
        assert_eq!(house.status(&house.app, &begun["connection_id"]).await, "failed");
        let begun = house.ask(&house.app, "alice").await;
        let path = format!("/v1/connections/{}", text(&begun, "connection_id"));
        assert_eq!(house.admin.ask("DELETE", &path, None).await.status, 200);
    });
}

#[test]
fn the_default_connection_is_asked_for_by_who_could_register_it_and_a_page_of_the_gateway_may_be_the_last() {
    run(async {
        let house = House::new().await;
        let wish = json!({ "provider_name": "acme", "return_url": "/oauth/callback" });
        for who in [&house.app, &house.node, &house.of_alice] {
            let said = who.ask("POST", "/v1/request-connection", Some(&wish)).await;
            assert_eq!(
                (said.status, said.code().as_str()),
                (400, "malformed"),
                "everybody's is not theirs to change: {said:?}"
            );
        }
        let begun = house.admin.ask("POST", "/v1/request-connection", Some(&wish)).await.json();
        let said = house.comes_back(&format!("code=good-root&state={}", text(&begun, "state"))).await;
        assert!(said.status == 200 && said.body.contains("You can close this page"), "{said:?}");
        assert!(house.nexus.holds("acme", "access_token", "at-root-0123456789"), "beside the app that is there");
        for odd in ["/oauth/callback/", "/oauth/callback?x", "//evil.example/oauth/callback", "oauth/callback"] {
            let wish = json!({ "provider_name": "acme", "user_id": "alice", "return_url": odd });
            assert_eq!(house.admin.ask("POST", "/v1/request-connection", Some(&wish)).await.code(), "return_url", "{odd}");
        }
    });
}

#[test]
fn who_gives_up_ends_the_question_and_never_the_connection_that_came_of_it() {
    run(async {
        let house = House::new().await;
        for who in [&house.app, &house.node, &house.admin] {
            let begun = house.ask(who, "alice").await;
            let path = format!("/v1/connections/{}?pending=true", text(&begun, "connection_id"));
            assert_eq!(who.ask("DELETE", &path, None).await.status, 200);
            assert_eq!(house.stands(&begun).await["reason"], "withdrawn");
            let begun = house.ask(who, "alice").await;
            house.comes_back(&format!("code=good-alice&state={}", text(&begun, "state"))).await;
            let path = format!("/v1/connections/{}?pending=true", text(&begun, "connection_id"));
            assert_eq!(who.ask("DELETE", &path, None).await.code(), "connected");
            assert_eq!(house.stands(&begun).await, json!({ "status": "active" }));
        }
    });
}

#[test]
fn small_liberties_of_clients_are_taken_as_they_are_meant() {
    run(async {
        let house = House::new().await;
        house.connect("alice").await;
        let twice = house.app.with("X-Nexus-Subject", "alice").with("X-Nexus-Subject", "bob");
        assert_eq!(twice.get("/v1/token/acme:alice").await.code(), "malformed");
        let wish = json!({ "user_id": "bob", "provider_name": "acme", "scopes": null });
        assert_eq!(house.app.ask("POST", "/v1/request-connection", Some(&wish)).await.status, 200);
        let port = house.app.address.port();
        assert_eq!(house.app.get(&format!("http://localhost:{port}/health")).await.status, 200);
        assert_eq!(house.app.get("http://elsewhere.example/health").await.code(), "unknown_host");
        let bobs = "/v1/resolve?workspace_id=alice&provider_name=resolved:bob:acme";
        assert_eq!(house.app.get(bobs).await.code(), "not_found");
        let hers = house.app.get("/v1/resolve?workspace_id=alice&provider_name=resolved:acme").await;
        assert_eq!(hers.json()["connection"], "acme:alice", "{hers:?}");
        let given = house.node.get("/v1/token/acme:alice").await.json();
        assert!(
            text(&given, "expires_at").len() == "2027-01-15T08:00:00+00:00".len(),
            "whole seconds: {}",
            given["expires_at"]
        );
    });
}

async fn futures_of(who: &Gateway, handles: &[&str]) -> Vec<Said> {
    let mut all = Vec::new();
    for handle in handles {
        all.push(who.get(&format!("/v1/token/{handle}")).await);
    }
    all
}

#[test]
fn i11_a_credential_goes_to_a_node_and_to_nobody_else() {
    run(async {
        let house = House::new().await;
        let id = house.connect("alice").await;
        for path in [format!("/v1/token/{id}"), "/v1/resolve?workspace_id=alice&provider_name=acme".to_owned()] {
            for who in [&house.app, &house.admin, &house.of_alice, &house.nexus.gateway()] {
                let said = who.get(&path).await;
                assert!(said.status == 200 && said.json()["placeholder"] == true, "{said:?}");
                assert!(!["at-alice", "rt-alice", "s3cr3t"].iter().any(|secret| said.body.contains(secret)), "{said:?}");
            }
            let said = house.node.get(&path).await;
            assert_eq!(said.json()["credentials"], json!({ "access_token": "at-alice-0123456789" }), "no refresh token");
            assert!(text(&said.json(), "expires_at").ends_with("+00:00"), "{said:?}");
        }
        let line = house.nexus.audit_line(|line| line["event"] == "gateway_credential").await;
        assert_eq!((&line["by"], &line["connection"]), (&json!("edge"), &json!("acme:alice")));
    });
}

#[test]
fn t_denied_and_abandoned_consents_are_pending_no_more() {
    run(async {
        let house = House::new().await;
        let begun = house.ask(&house.app, "alice").await;
        let said = house.comes_back(&format!("error=access_denied&state={}", text(&begun, "state"))).await;
        let back = said.field("location").expect("back to the program");
        assert!(said.status == 303 && back.contains("status=error") && back.contains("error=access_denied"), "{said:?}");
        assert_eq!(house.stands(&begun).await, json!({ "status": "failed", "reason": "access_denied" }));
        let second = house.ask(&house.app, "alice").await;
        assert_ne!(second["state"], begun["state"], "a new question");
        let dropped = house.app.ask("DELETE", &format!("/v1/connections/{}", text(&second, "connection_id")), None).await;
        assert_eq!((dropped.status, house.status(&house.app, &second["connection_id"]).await), (200, json!("failed")));
        assert_eq!(house.stands(&second).await["reason"], "withdrawn");
        let late = house.comes_back(&format!("code=good-alice&state={}", text(&second, "state"))).await;
        assert_eq!(late.status, 404, "{late:?}");
        // Asking otherwise ends the question before.
        let third = house.ask(&house.app, "alice").await;
        let wish = json!({ "user_id": "alice", "provider_name": "acme", "scopes": ["write"] });
        let fourth = house.app.ask("POST", "/v1/request-connection", Some(&wish)).await.json();
        assert!(text(&fourth, "authUrl").contains("scope=write"), "{fourth}");
        assert_eq!(house.stands(&third).await, json!({ "status": "failed", "reason": "withdrawn" }));
        assert_eq!(house.nexus.store().list().expect("a vault").len(), 1, "nothing was stored");
    });
}

#[test]
fn t118_a_state_works_once_and_a_code_only_with_its_own() {
    run(async {
        let house = House::new().await;
        let begun = house.ask(&house.app, "alice").await;
        let state = text(&begun, "state");
        for (query, why) in [
            ("code=good-eve".to_owned(), "no state"),
            ("code=good-eve&state=".to_owned(), "an empty one"),
            ("code=good-eve&state=guessed".to_owned(), "a guessed one"),
            (format!("code=good-eve&state={state}x"), "a longer one"),
            (format!("code=good-eve&state=x&state={state}"), "two"),
            (format!("code=good-eve&code=good-alice&state={state}"), "two codes"),
            (format!("state={state}"), "neither a code nor an error"),
            (format!("state={state}&code="), "an empty code"),
        ] {
            let said = house.comes_back(&query).await;
            assert!(said.status == 404 && said.body.contains("You can close this page"), "{why}: {said:?}");
        }
        // What looks at a link before the person comes.
        let link = format!("/oauth/callback?code=good-alice&state={state}");
        let said = house.nexus.gateway().ask("HEAD", &link, None).await;
        assert_eq!((said.status, said.body.as_str(), house.service.seen().len()), (200, "", 0), "{said:?}");
        assert_eq!(house.status(&house.app, &begun["connection_id"]).await, "pending", "nobody can end it from outside");
        // RFC 9207: the answer of another service.
        let mixed = format!("code=good-alice&state={state}&iss=https%3A%2F%2Flogin.evil.example");
        let said = house.comes_back(&mixed).await;
        assert!(said.field("location").is_some_and(|back| back.contains("status=error")), "{said:?}");
        assert_eq!(house.service.seen().len(), 0, "the code went nowhere");
        let begun = house.ask(&house.app, "alice").await;
        let right = format!("code=good-alice&state={}&iss=https%3A%2F%2Flogin.acme.example", text(&begun, "state"));
        assert_eq!(house.comes_back(&right).await.status, 303);
        assert_eq!(house.comes_back(&right).await.status, 404, "a second time");
        assert_eq!(house.status(&house.app, &begun["connection_id"]).await, "active");
        assert_eq!(house.service.seen().len(), 1);
        // A code that the service does not take for this verifier.
        let begun = house.ask(&house.app, "bob").await;
        let stolen = house.comes_back(&format!("code=of-another-session&state={}", text(&begun, "state"))).await;
        assert!(stolen.field("location").is_some_and(|back| back.contains("error=connection_failed")), "{stolen:?}");
        assert_eq!(house.status(&house.app, &begun["connection_id"]).await, "failed");
    });
}

#[test]
fn t_open_redirect_a_browser_is_sent_to_no_place_that_is_not_on_the_list() {
    run(async {
        let house = House::new().await;
        for back in [
            "https://evil.example/oauth/callback",
            "http://localhost:8000/oauth/callback/../../x",
            "http://localhost:8000@evil.example/oauth/callback",
            "http://localhost:8000\\@evil.example/oauth/callback",
            "http://localhost:8000/oauth/callback#x",
            "http://localhost:80/oauth/callback",
            "http://127.0.0.1:8000/oauth/callback",
            "//localhost:8000/oauth/callback",
            "javascript:alert(1)",
            "http://localhost:8000/oauth/callback?connection_id=x",
        ] {
            let wish = json!({ "user_id": "alice", "provider_name": "acme", "return_url": back });
            let said = house.app.ask("POST", "/v1/request-connection", Some(&wish)).await;
            assert_eq!((said.status, said.code().as_str()), (403, "return_url"), "{back}");
        }
    });
}

#[test]
fn a_second_consent_to_a_connection_is_no_renewal_and_its_401_is_renewed() {
    run(async {
        let house = House::new().await;
        house.connect("alice").await;
        let caller = Caller::new(&house.nexus);
        let get = async |path: &str| {
            let mut request = request(Method::GET, &format!("https://api.acme.example{path}"), empty());
            request.headers_mut().insert("nexus-connection", "acme:alice".parse().expect("a value"));
            caller.send(request).await.status
        };
        assert_eq!(get("/v1/me").await, 200);
        for code in ["second", "third"] {
            let before = house.nexus.entry("acme:alice").registered_at;
            let begun = house.ask(&house.app, "alice").await;
            assert_eq!(house.comes_back(&format!("code=good-{code}&state={}", text(&begun, "state"))).await.status, 303);
            assert!(house.nexus.holds("acme:alice", "access_token", &format!("at-{code}-0123456789")));
            assert!(house.nexus.entry("acme:alice").registered_at > before);
            assert_eq!(get("/v1/strict").await, 200);
            assert!(house.nexus.holds("acme:alice", "access_token", "at-renewed-0123456789"));
        }
    });
}

#[test]
fn a_connection_is_taken_out_by_an_administrator() {
    run(async {
        let house = House::new().await;
        let id = house.connect("alice").await;
        let path = format!("/v1/connections/{id}");
        assert_eq!(house.app.ask("DELETE", &path, None).await.code(), "not_admin");
        assert_eq!(house.node.ask("DELETE", &path, None).await.code(), "not_admin");
        let said = house.admin.ask("DELETE", &path, None).await;
        assert_eq!(said.json(), json!({ "removed": "acme:alice", "revoked": false }));
        assert_eq!(house.app.get(&format!("/v1/check-connection/{id}")).await.status, 404);
        assert!(house.nexus.store().get(&"acme:alice".parse().expect("a name")).expect("a vault").is_none());
        house.nexus.audit_line(|line| line["event"] == "gateway_removed").await;
        let events = house.admin.get("/audit?limit=20").await.json();
        let told = |event: &str| events["events"].as_array().expect("lines").iter().any(|line| line["event"] == event);
        assert!(told("gateway_asked") && told("gateway_consented"), "{events}");
        assert_eq!(house.app.get("/audit").await.code(), "key_kind");
    });
}

#[test]
fn without_an_app_it_says_where_one_is_made() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().start();
        let wish = json!({ "user_id": "alice", "provider_name": "github" });
        let said = nexus.gateway().ask("POST", "/v1/request-connection", Some(&wish)).await;
        assert_eq!((said.status, said.code().as_str()), (409, "no_client"));
        assert!(
            said.body.contains("nexus register github --app --client-id") && said.body.contains("/oauth/callback"),
            "{said:?}"
        );
        for (wish, code) in [
            (json!({ "provider_name": "github" }), "no_client"),
            (json!({ "user_id": "alice" }), "malformed"),
            (json!({ "user_id": "a b", "provider_name": "github" }), "malformed"),
            (json!({ "user_id": "alice", "provider_name": "no-such" }), "unknown_provider"),
            (json!({ "user_id": "alice", "provider_name": "../etc" }), "unknown_provider"),
        ] {
            assert_eq!(nexus.gateway().ask("POST", "/v1/request-connection", Some(&wish)).await.code(), code, "{wish}");
        }
    });
}

#[test]
fn i6_an_apps_key_acts_as_the_agent_of_its_name() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["api.acme.example"], Offers::Both, |_call| async { answer(200, "yes") }).await;
        let builder = Builder::new(&ca).gateway().provider("acme", PROVIDER).resolve("api.acme.example", service.address);
        let builder = builder.register("acme:alice", &[("access_token", "at-alice-0123456789")]);
        let builder = builder.register("acme:bob", &[("access_token", "at-bob-0123456789")]);
        let (builder, crew) = builder.agent("crew", |_agent| ());
        let (builder, other) = builder.agent("other", |_agent| ());
        let (builder, key) = builder.key("crew", App, |_key| ());
        let nexus = builder.start();
        let given = nexus.gateway().key(&key).get("/v1/token/acme:bob").await.json();
        let placeholder = text(&given["credentials"], "access_token").to_owned();
        let sent = |name: &'static str, token: String| {
            let mut request = request(Method::GET, "https://api.acme.example/v1/me", empty());
            request.headers_mut().insert("authorization", format!("Bearer {placeholder}").parse().expect("a value"));
            let caller = Caller::new(&nexus).agent(name, &token);
            async move { caller.send(request).await.status }
        };
        assert_eq!(sent("crew", crew).await, 200);
        assert_eq!(
            service.seen().last().and_then(|seen| seen.bearer().map(str::to_owned)).as_deref(),
            Some("at-bob-0123456789")
        );
        assert_eq!(sent("other", other).await, 403, "another agent's");
    });
}

#[test]
fn i6_a_question_is_ended_by_who_asked_it_or_by_an_administrator() {
    run(async {
        let house = House::new().await;
        for (who, status) in [(&house.of_alice, 404), (&house.nexus.gateway(), 404), (&house.app, 200), (&house.admin, 200)] {
            let begun = house.ask(&house.app, "alice").await;
            let said = who.ask("DELETE", &format!("/v1/connections/{}", text(&begun, "connection_id")), None).await;
            assert_eq!(said.status, status, "{said:?}");
            let stands = if status == 200 { "failed" } else { "pending" };
            assert_eq!(house.status(&house.app, &begun["connection_id"]).await, stands);
            house.admin.ask("DELETE", &format!("/v1/connections/{}", text(&begun, "connection_id")), None).await;
        }
    });
}

/// Python: `uuid.uuid5(uuid.NAMESPACE_DNS, "alice")`.
#[test]
fn a_person_who_is_asked_by_name_and_by_number_has_one_connection() {
    run(async {
        let number = "c2ef90b9-02bc-5d53-93cd-92652b6e1b41";
        for [first, second] in [["alice", number], [number, "alice"]] {
            let house = House::new().await;
            let (one, other) = (house.ask(&house.app, first).await, house.ask(&house.admin, second).await);
            for begun in [&one, &other] {
                let said = house.comes_back(&format!("code=good-alice&state={}", text(begun, "state"))).await;
                assert_eq!(said.status, 303, "{said:?}");
            }
            let all = house.nexus.store().list().expect("a vault");
            assert_eq!(all.len(), 2, "the app, and one of hers: {all:?}");
            for begun in [&one, &other] {
                assert_eq!(house.status(&house.app, &begun["connection_id"]).await, "active");
            }
        }
    });
}

#[test]
fn i7_scopes_are_bounded_and_what_a_service_could_know() {
    run(async {
        let house = House::new().await;
        let ask = |scopes: Vec<String>| {
            let wish = json!({ "user_id": "alice", "provider_name": "acme", "scopes": scopes });
            let app = house.app.clone();
            async move { app.ask("POST", "/v1/request-connection", Some(&wish)).await }
        };
        let many = |count, length| vec!["x".repeat(length); count];
        for fine in [many(1, 256), many(100, 256), many(100, 1), vec!["https://acme.example/a.read user:email a b".to_owned()]]
        {
            let said = ask(fine).await;
            assert_eq!(said.status, 200, "{said:?}");
        }
        for odd in ["a\"b", "a\\b", "a\nb", "a\u{7f}", "\u{e4}"].map(|scope| vec![scope.to_owned()]) {
            let said = ask(odd.clone()).await;
            assert_eq!((said.status, said.code().as_str()), (400, "malformed"), "{odd:?}");
        }
        for long in [many(1, 257), many(101, 1)] {
            assert_eq!(ask(long).await.status, 400);
        }
    });
}

#[test]
fn a_log_in_that_nobody_showed_a_key_for_replaces_no_account_that_works() {
    run(async {
        let house = House::new().await;
        let keyless = house.nexus.gateway();
        let begun = house.ask(&keyless, "bob").await;
        let handle = house.connect("bob").await;
        assert!(house.nexus.holds("acme:bob", "access_token", "at-bob-0123456789"));
        let said = house.comes_back(&format!("code=good-eve&state={}", text(&begun, "state"))).await;
        assert!(said.field("location").is_some_and(|back| back.contains("connection_failed")), "{said:?}");
        let wish = json!({ "user_id": "bob", "provider_name": "acme" });
        let said = keyless.ask("POST", "/v1/request-connection", Some(&wish)).await;
        assert_eq!((said.status, said.code().as_str()), (409, "connected"), "{said:?}");
        assert!(house.nexus.holds("acme:bob", "access_token", "at-bob-0123456789"), "{handle}");
        assert!(house.nexus.holds("acme:bob", "refresh_token", "rt-bob"));
    });
}
