//! A gateway that ends in the middle of a consent: the question is there afterwards, or its answer is, and never half of one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{Authority, Builder, Gateway, Nexus, Offers, Upstream, answer, eventually, run_within};

const PROVIDER: &str = r#"
name = "acme"
slots = ["authorization"]
[oauth2]
authorize_url = "https://login.acme.example/authorize"
token_url = "https://login.acme.example/token"
[[inject]]
hosts = ["api.acme.example"]
strategy = { bearer = "{access_token}" }
"#;

struct House {
    nexus: Nexus,
    service: Upstream,
    /// How many codes the token endpoint may still answer.
    gate: Arc<Semaphore>,
}

impl House {
    async fn new() -> Self {
        let ca = Authority::new();
        let gate = Arc::new(Semaphore::new(0));
        let open = Arc::clone(&gate);
        let service = Upstream::serve(&ca, &["login.acme.example"], Offers::Http1, move |mut call| {
            let open = Arc::clone(&open);
            async move {
                let body = call.read().await.expect("a body");
                open.acquire().await.expect("a gate").forget();
                let body = String::from_utf8_lossy(&body).into_owned();
                let code = body.split('&').find_map(|pair| pair.strip_prefix("code=")).expect("a code").to_owned();
                if code == "refused" {
                    return answer(400, json!({ "error": "invalid_grant" }).to_string());
                }
                let tokens = json!({ "access_token": format!("at-{code}"), "refresh_token": format!("rt-{code}"), "token_type": "Bearer" });
                let mut response = answer(200, tokens.to_string());
                response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
                response
            }
        })
        .await;
        let builder = Builder::new(&ca).gateway().provider("acme", PROVIDER).resolve("login.acme.example", service.address);
        // The port is another one after each start.
        let builder = builder.config("[gateway]\nurl = \"http://localhost:8090\"");
        let nexus = builder.register("acme", &[("client_id", "app"), ("client_secret", "s3cr3t-of-app-01")]).spawn().await;
        Self { nexus, service, gate }
    }

    fn gateway(&self) -> Gateway {
        self.nexus.gateway()
    }

    async fn ask(&self, user: &str) -> Value {
        let wish = json!({ "user_id": user, "provider_name": "acme" });
        let said = self.gateway().ask("POST", "/v1/request-connection", Some(&wish)).await;
        assert_eq!(said.status, 200, "{said:?}");
        said.json()
    }

    async fn status(&self, begun: &Value) -> String {
        let said = self.gateway().get(&format!("/v1/check-connection/{}", text(begun, "connection_id"))).await;
        said.json()["status"].as_str().unwrap_or("none").to_owned()
    }

    /// A browser that comes back with `code`, and may be cut off.
    fn comes_back(&self, begun: &Value, code: &str) -> tokio::task::JoinHandle<u16> {
        let (gateway, path) = (self.gateway(), format!("/oauth/callback?code={code}&state={}", text(begun, "state")));
        tokio::spawn(async move { gateway.get(&path).await.status })
    }

    /// Waits until nothing is asked of the gateway but this.
    async fn quiet(&self) {
        for _ in 0..2_000 {
            let text = self.gateway().get("/metrics").await.body;
            if text.lines().any(|line| line == "nexus_gateway_requests_under_way 1") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the browser is still there");
    }

    async fn killed(&mut self) {
        self.nexus.kill().await;
        self.nexus.respawn().await;
    }
}

/// A moment, which is not waited for but given to chance.
fn spin(moment: Duration) {
    let end = std::time::Instant::now() + moment;
    while std::time::Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}

#[test]
fn i9_a_question_survives_a_kill_and_is_answered_once() {
    run_within(Duration::from_secs(90), async {
        let mut house = House::new().await;
        let begun = house.ask("alice").await;
        house.killed().await;
        assert_eq!(house.status(&begun).await, "pending");
        house.gate.add_permits(1);
        assert_eq!(house.comes_back(&begun, "one").await.expect("an answer"), 303);
        assert_eq!(house.status(&begun).await, "active");
        house.killed().await;
        assert_eq!(house.status(&begun).await, "active", "its handle stands in the vault");
        assert_eq!(house.comes_back(&begun, "two").await.expect("an answer"), 404);
        assert_eq!(house.service.count(), 1);
        let file = std::fs::read_to_string(house.nexus.home().gateway_pending()).expect("a file");
        assert!(!file.contains("acme") && !file.contains(text(&begun, "state")), "it is sealed");
    });
}

#[test]
fn i9_killed_while_the_service_is_asked_nothing_is_stored_and_the_code_is_not_sent_again() {
    run_within(Duration::from_secs(90), async {
        let mut house = House::new().await;
        let begun = house.ask("alice").await;
        let browser = house.comes_back(&begun, "one");
        house.service.until(|seen| seen.len() == 1).await;
        assert_eq!(house.status(&begun).await, "pending");
        house.killed().await;
        drop(browser.await);
        assert_eq!(house.status(&begun).await, "failed", "its code may be spent");
        house.gate.add_permits(5);
        assert_eq!(house.comes_back(&begun, "one").await.expect("an answer"), 404);
        assert_eq!(house.service.count(), 1);
        assert!(house.nexus.store().get(&"acme:alice".parse().expect("a name")).expect("a vault").is_none());
    });
}

#[test]
fn i9_killed_at_any_moment_a_connection_is_there_with_its_handle_or_not_at_all() {
    run_within(Duration::from_secs(120), async {
        let mut house = House::new().await;
        house.gate.add_permits(1_000);
        let mut ends = Vec::new();
        for round in 0..8_u32 {
            let user = format!("user{round}");
            let begun = house.ask(&user).await;
            let browser = house.comes_back(&begun, &user);
            let sent = usize::try_from(round).expect("a number") + 1;
            house.service.until(|seen| seen.len() == sent).await;
            spin(Duration::from_micros(u64::from(round * round) * 400));
            house.killed().await;
            drop(browser.await);
            let stored = house.nexus.store().get(&format!("acme:{user}").parse().expect("a name")).expect("a vault");
            let status = house.status(&begun).await;
            match stored {
                Some(entry) => {
                    let held = |name: &str| entry.fields.field(name).map(|value| value.expose().clone());
                    assert_eq!(
                        (held("access_token"), held("refresh_token")),
                        (Some(format!("at-{user}")), Some(format!("rt-{user}")))
                    );
                    assert_eq!(status, "active");
                }
                None => assert_eq!(status, "failed"),
            }
            ends.push(status);
        }
        assert_eq!(ends.len(), 8);
    });
}

#[test]
fn i9_killed_while_a_key_is_stored_it_is_there_or_not_and_its_form_is_not_used_twice() {
    run_within(Duration::from_secs(120), async {
        let mut house = House::new().await;
        for round in 0..6_u32 {
            let user = format!("user{round}");
            let wish = json!({ "user_id": user, "provider_name": "stripe" });
            let begun = house.gateway().ask("POST", "/v1/request-connection", Some(&wish)).await.json();
            let state = text(&begun, "state");
            let schema = house.gateway().get(&format!("/v1/capture-schema?state={state}")).await.json();
            let name = schema["required"][0].as_str().expect("a field").to_owned();
            let typed = json!({ "state": state, "credentials": { name.as_str(): format!("sk_{user}") } });
            let (gateway, sent) = (house.gateway(), typed.clone());
            let sending = tokio::spawn(async move { gateway.ask("POST", "/v1/capture-credential", Some(&sent)).await.status });
            spin(Duration::from_micros(u64::from(round) * 3_000));
            house.killed().await;
            drop(sending.await);
            let id = format!("stripe:{user}").parse().expect("a name");
            let stored = house.nexus.store().get(&id).expect("a vault");
            let again = house.gateway().ask("POST", "/v1/capture-credential", Some(&typed)).await.status;
            match (house.status(&begun).await.as_str(), stored) {
                ("active", Some(entry)) => {
                    assert_eq!(entry.fields.field(&name).map(|value| value.expose().clone()), Some(format!("sk_{user}")));
                    assert_eq!(again, 404, "once");
                }
                // It had not begun, and was typed again.
                ("active", None) => assert_eq!(again, 200),
                ("failed", None) => assert_eq!(again, 404),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn i9_killed_while_a_credential_is_registered_it_is_the_old_one_or_the_new_one() {
    run_within(Duration::from_secs(120), async {
        let mut house = House::new().await;
        let value = |round: u32| format!("sk_live_{round}_0123456789abcdef");
        let typed = |round: u32| json!({ "connection": "stripe", "fields": { "api_key": value(round) }, "replace": true });
        let by_hand = |house: &House| house.gateway().key(&house.nexus.local_gateway().key.expose().clone());
        assert_eq!(by_hand(&house).ask("POST", "/api/connections", Some(&typed(0))).await.status, 201);
        let mut kept = 0;
        for round in 1..6_u32 {
            let (admin, body) = (by_hand(&house), typed(round));
            let sending = tokio::spawn(async move { admin.ask("POST", "/api/connections", Some(&body)).await.status });
            spin(Duration::from_micros(u64::from(round) * 3_000));
            house.killed().await;
            let answered = sending.await.unwrap_or_default() == 201;
            // Nobody reads it but the vault itself: a file that is half written would be an error here.
            let entry = house.nexus.store().get(&"stripe".parse().expect("a name")).expect("a vault").expect("an entry");
            let is = |round: u32| entry.fields.field("api_key").is_some_and(|key| key.matches(&value(round)));
            assert!(is(kept) && !answered || is(round), "{round}: what was told to be stored is stored");
            assert_eq!((entry.hosts.is_empty(), entry.is_sealed()), (false, true));
            kept = if is(round) { round } else { kept };
            let told = by_hand(&house).get("/api/connections/stripe").await;
            assert_eq!((told.status, &told.json()["status"]), (200, &json!("active")), "{told:?}");
        }
    });
}

#[test]
fn a_browser_that_leaves_loses_nothing() {
    run_within(Duration::from_secs(60), async {
        let house = House::new().await;
        let begun = house.ask("alice").await;
        let browser = house.comes_back(&begun, "one");
        house.service.until(|seen| seen.len() == 1).await;
        browser.abort();
        house.gate.add_permits(1);
        let store = house.nexus.store();
        let there = || store.get(&"acme:alice".parse().expect("a name")).expect("a vault").map(drop);
        eventually("the connection", there).await;
        assert_eq!(house.status(&begun).await, "active");
    });
}

#[test]
fn a_browser_that_leaves_before_it_goes_wrong_leaves_no_question_behind() {
    run_within(Duration::from_secs(60), async {
        let house = House::new().await;
        let begun = house.ask("alice").await;
        let browser = house.comes_back(&begun, "refused");
        house.service.until(|seen| seen.len() == 1).await;
        browser.abort();
        house.quiet().await;
        assert_eq!(house.status(&begun).await, "pending");
        house.gate.add_permits(1);
        for _ in 0..2_000 {
            if house.status(&begun).await == "failed" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it is {}", house.status(&begun).await);
    });
}
