//! A program that shows no key and runs as the gateway's own user, as every program does that `nexus run` starts: it adds what is not there,
//! and neither moves nor replaces what is.

use nexus::app::GatewayKeyKind::{Admin, App};
use serde_json::{Value, json};

use crate::harness::{Authority, Builder, Gateway, Nexus, run};

/// A service that people run themselves, by a key, and one whose accounts consent.
const SHOP: &str = r#"
name = "shop"
title = "Shop"
slots = ["authorization"]
[[field]]
name = "host"
prompt = "host"
secret = false
[[field]]
name = "realm"
prompt = "realm"
secret = false
[[field]]
name = "api_key"
prompt = "key"
[oauth2]
token_url = "https://login.shop.example/{realm}/token"
[[inject]]
hosts = ["{host}"]
strategy = { bearer = "{api_key|access_token}" }
"#;

const KEY: &str = "shop-key-0123456789abcdef";

/// One at its vendor's.
const WIDE: &str = r#"
name = "wide"
title = "Wide"
slots = ["authorization"]
[oauth2]
token_url = "https://login.wide.example/token"
[[inject]]
hosts = ["one.wide.example"]
strategy = { bearer = "{access_token}" }
"#;

struct House {
    nexus: Nexus,
    keyless: Gateway,
    app: Gateway,
    admin: Gateway,
}

impl House {
    fn new() -> Self {
        Self::with("")
    }

    fn with(config: &str) -> Self {
        let builder = Builder::new(&Authority::new()).gateway().config(config).provider("shop", SHOP).provider("wide", WIDE);
        let of_alice = [("host", "shop.alice.example"), ("realm", "one"), ("api_key", KEY), ("refresh_token", "rt-0123456789")];
        let builder = builder.register("shop:alice", &of_alice).register("stripe", &[("api_key", KEY)]);
        let (builder, admin) = builder.key("root", Admin, |_key| ());
        let (builder, app) = builder.key("crew", App, |_key| ());
        let nexus = builder.start();
        let keyless = nexus.gateway();
        Self { admin: keyless.key(&admin), app: keyless.key(&app), keyless, nexus }
    }

    /// Where the credential of alice is, and for which hosts.
    fn is_as_before(&self) -> bool {
        let entry = self.nexus.entry("shop:alice");
        entry.hosts == ["shop.alice.example"]
            && entry.token_urls == ["https://login.shop.example/{realm}/token"]
            && [("api_key", KEY), ("realm", "one")].iter().all(|(name, value)| self.nexus.holds("shop:alice", name, value))
            && self.nexus.holds("stripe", "api_key", KEY)
    }
}

async fn store(who: &Gateway, connection: &str, fields: Value, (replace, merge): (bool, bool)) -> (u16, String, String) {
    let typed = json!({ "connection": connection, "fields": fields, "replace": replace, "merge": merge });
    let said = who.ask("POST", "/api/connections", Some(&typed)).await;
    let code = if said.status == 201 { String::new() } else { said.code() };
    (said.status, code, said.body)
}

#[test]
fn i2_a_merge_carries_no_stored_secret_to_another_host_whoever_asks() {
    run(async {
        let house = House::new();
        for fields in [
            json!({ "host": "evil.example" }),
            json!({ "host": "evil.example", "access_token": "at-0123456789abcdef" }),
            json!({ "realm": "evil" }),
            json!({ "realm": "evil", "refresh_token": "rt-evil-0123456789" }),
        ] {
            let (status, code, said) = store(&house.admin, "shop:alice", fields.clone(), (true, true)).await;
            assert_eq!((status, code.as_str()), (409, "moved"), "{fields}: {said}");
            assert!(said.contains("register all of its fields anew") && !said.contains(KEY), "{said}");
            let (status, code, said) = store(&house.keyless, "shop:alice", fields.clone(), (true, true)).await;
            assert_eq!((status, code.as_str()), (403, "not_admin"), "{fields}: {said}");
            assert!(house.is_as_before(), "{fields}");
        }
        // As a log-in does: the rest stays where it was sealed for.
        let token = json!({ "access_token": "at-0123456789abcdef", "host": "shop.alice.example" });
        assert_eq!(store(&house.admin, "shop:alice", token, (true, true)).await.0, 201);
        assert!(house.is_as_before() && house.nexus.holds("shop:alice", "access_token", "at-0123456789abcdef"));
        // All of it anew goes wherever it says; nothing is left then.
        let anew = json!({ "host": "shop.other.example", "realm": "two", "api_key": "other-0123456789abcdef" });
        assert_eq!(store(&house.admin, "shop:alice", anew, (true, false)).await.0, 201);
        let entry = house.nexus.entry("shop:alice");
        assert!(entry.hosts == ["shop.other.example"] && entry.fields.field("refresh_token").is_none());
    });
}

#[test]
fn i2_a_merge_takes_no_part_in_a_file_that_widened_and_mixes_no_two_accounts() {
    run(async {
        let house = House::new();
        let client = [("client_id", "one"), ("client_secret", "s"), ("subject", "1")];
        let tokens = [("access_token", "at-0123456789"), ("refresh_token", "rt-of-one-0123456789")];
        house.nexus.register("wide:bob", &[&client[..], &tokens[..]].concat(), None);
        house.nexus.write_provider("wide", &WIDE.replace("[\"one.", "[\"two.wide.example\", \"one."));
        while !house.admin.get("/v1/providers/wide").await.body.contains("two.wide.example") {
            tokio::task::yield_now().await;
        }
        let more = json!({ "access_token": "at-of-bob-0123456789" });
        assert_eq!(store(&house.admin, "wide:bob", more, (true, true)).await.0, 201);
        assert_eq!(house.nexus.entry("wide:bob").hosts, ["one.wide.example"], "a person has not trusted the file");
        let other = json!({ "access_token": "at-of-two-0123456789", "subject": "2" });
        assert_eq!(store(&house.admin, "wide:bob", other, (true, true)).await.0, 201);
        assert!(house.nexus.entry("wide:bob").fields.field("refresh_token").is_none(), "it would renew another's");
    });
}

#[test]
fn who_shows_no_key_adds_a_connection_and_replaces_none() {
    run(async {
        let house = House::new();
        for (replace, merge) in [(true, false), (true, true), (false, false), (false, true)] {
            for (connection, fields) in [
                ("stripe", json!({ "api_key": "planted-0123456789abcdef" })),
                ("shop:alice", json!({ "host": "shop.alice.example", "api_key": "planted-0123456789abcdef" })),
            ] {
                let (status, code, said) = store(&house.keyless, connection, fields, (replace, merge)).await;
                let wanted = if replace { (403, "not_admin") } else { (409, "exists") };
                assert_eq!((status, code.as_str()), wanted, "{connection} {said}");
                assert!(said.contains("admin key"), "{said}");
                assert!(!replace || said.contains("nexus gateway key add") && said.contains("nexus register"), "{said}");
                assert!(house.is_as_before());
            }
        }
        let fields = json!({ "api_key": "new-one-0123456789abcdef" });
        assert_eq!(store(&house.keyless, "stripe:carol", fields.clone(), (false, false)).await.0, 201);
        assert_eq!(store(&house.keyless, "stripe:dan", fields, (true, true)).await.0, 201, "nothing is there to replace");
    });
}

/// What `who` asks of a person, as it is answered.
async fn ask(who: &Gateway, wish: Value) -> crate::harness::Said {
    who.ask("POST", "/v1/request-connection", Some(&wish)).await
}

#[test]
fn who_shows_no_key_types_nothing_in_the_place_of_what_works() {
    run(async {
        let house = House::new();
        house.nexus.register("stripe:alice", &[("api_key", KEY)], None);
        let said = ask(&house.keyless, json!({ "user_id": "alice", "provider_name": "stripe" })).await;
        assert_eq!((said.status, said.code().as_str()), (409, "connected"), "{said:?}");
        assert!(said.body.contains("nexus gateway key add"), "{said:?}");
        // Asked for before it was there, and answered after.
        let begun = ask(&house.keyless, json!({ "user_id": "erin", "provider_name": "stripe" })).await.json();
        house.nexus.register("stripe:erin", &[("api_key", KEY)], None);
        let typed = json!({ "state": begun["state"], "credentials": { "api_key": "planted-0123456789abcdef" } });
        assert_eq!(house.keyless.ask("POST", "/v1/capture-credential", Some(&typed)).await.status, 404);
        assert!(house.nexus.holds("stripe:alice", "api_key", KEY) && house.nexus.holds("stripe:erin", "api_key", KEY));
        // What works no more is asked for as before, and a key asks for all.
        let id = "stripe:alice".parse().expect("a name");
        house.nexus.store().update(&id, |entry| entry.status = nexus::vault::Status::Revoked).expect("a write");
        let said = ask(&house.keyless, json!({ "user_id": "alice", "provider_name": "stripe" })).await;
        assert_eq!(said.status, 200, "{said:?}");
        let typed = json!({ "state": said.json()["state"], "credentials": { "api_key": "again-0123456789abcdef" } });
        assert_eq!(house.keyless.ask("POST", "/v1/capture-credential", Some(&typed)).await.status, 200);
        assert!(house.nexus.holds("stripe:alice", "api_key", "again-0123456789abcdef"));
    });
}

/// Types a key into the form of the question `begun`.
async fn fill_in(who: &Gateway, begun: &Value) -> u16 {
    let typed = json!({ "state": begun["state"], "credentials": { "api_key": "planted-0123456789abcdef" } });
    who.ask("POST", "/v1/capture-credential", Some(&typed)).await.status
}

#[test]
fn a_form_replaces_what_works_only_where_an_administrator_asks_for_it() {
    run(async {
        let house = House::new();
        let begun = ask(&house.app, json!({ "user_id": "fay", "provider_name": "stripe" })).await.json();
        for connection in ["stripe:erin", "stripe:fay"] {
            house.nexus.register(connection, &[("api_key", KEY)], None);
        }
        let said = ask(&house.app, json!({ "user_id": "erin", "provider_name": "stripe" })).await;
        assert_eq!((said.status, said.code().as_str()), (409, "connected"), "{said:?}");
        assert!(said.body.contains("--kind admin"), "{said:?}");
        assert_eq!(fill_in(&house.app, &begun).await, 404, "it was asked for before, and is overtaken");
        assert!(house.nexus.holds("stripe:erin", "api_key", KEY) && house.nexus.holds("stripe:fay", "api_key", KEY));
        // An administrator asks for what they like, and so does anybody for what the vault knows to be dead.
        let begun = ask(&house.admin, json!({ "user_id": "erin", "provider_name": "stripe" })).await.json();
        assert_eq!(fill_in(&house.app, &begun).await, 200);
        let fay = "stripe:fay".parse().expect("a name");
        house.nexus.store().update(&fay, |entry| entry.status = nexus::vault::Status::Attention).expect("a write");
        let begun = ask(&house.app, json!({ "user_id": "fay", "provider_name": "stripe" })).await.json();
        assert_eq!(fill_in(&house.app, &begun).await, 200);
    });
}

#[test]
fn what_has_ended_by_our_clock_works_until_its_service_refuses_it() {
    run(async {
        let house = House::new();
        house.nexus.register("stripe:erin", &[("api_key", KEY)], Some(std::time::UNIX_EPOCH));
        for who in [&house.keyless, &house.app] {
            let said = ask(who, json!({ "user_id": "erin", "provider_name": "stripe" })).await;
            assert_eq!((said.status, said.code().as_str()), (409, "connected"), "{said:?}");
        }
        // An app of one person is no credential, and a form would put it away.
        let begun = ask(&house.keyless, json!({ "user_id": "gil", "provider_name": "shop" })).await.json();
        house.nexus.register("shop:gil", &[("client_id", "app"), ("realm", "one")], None);
        let gil = "shop:gil".parse().expect("a name");
        house.nexus.store().update(&gil, |entry| entry.app = true).expect("a write");
        let fields = json!({ "host": "shop.alice.example", "realm": "one", "api_key": "planted-0123456789abcdef" });
        let typed = json!({ "state": begun["state"], "credentials": fields });
        assert_eq!(house.keyless.ask("POST", "/v1/capture-credential", Some(&typed)).await.status, 404);
        assert!(house.nexus.holds("shop:gil", "client_id", "app"));
    });
}

#[test]
fn nobody_types_anything_in_the_place_of_an_agents_own_log_in() {
    run(async {
        let house = House::new();
        let begun = ask(&house.admin, json!({ "user_id": "erin", "provider_name": "stripe" })).await.json();
        house.nexus.register("stripe:erin", &[("api_key", KEY)], None);
        let erin = "stripe:erin".parse().expect("a name");
        let of_ci = nexus::vault::Captured {
            agent: "ci".parse().expect("a name"),
            user: None,
            until: None,
            since: None,
            made_with: None,
        };
        house.nexus.store().update(&erin, |entry| entry.captured = Some(of_ci.clone())).expect("a write");
        assert_eq!(fill_in(&house.admin, &begun).await, 404);
        for who in [&house.admin, &house.app, &house.keyless] {
            let said = ask(who, json!({ "user_id": "erin", "provider_name": "stripe" })).await;
            assert_eq!((said.status, said.code().as_str()), (409, "of_an_agent"), "{said:?}");
        }
        assert!(house.nexus.holds("stripe:erin", "api_key", KEY));
    });
}

#[test]
fn who_shows_no_key_takes_nothing_out_and_changes_no_limits() {
    run(async {
        let house = House::new();
        for (method, path, body) in [
            ("DELETE", "/v1/connections/stripe", None),
            ("DELETE", "/v1/connections/shop:alice?keep=true", None),
            ("POST", "/api/connections/stripe/test", None),
            ("POST", "/api/agents", Some(json!({ "name": "me" }))),
            ("PATCH", "/api/agents/ci", Some(json!({ "rate": null }))),
            ("DELETE", "/api/agents/ci", None),
            ("PUT", "/api/agents/ci/frozen", None),
            ("DELETE", "/api/agents/ci/frozen", None),
            ("POST", "/api/agents/ci/leases", Some(json!({ "seconds": 60 }))),
            ("POST", "/api/sessions", Some(json!({ "name": "me", "role": "operator" }))),
            ("DELETE", "/api/sessions", None),
            ("POST", "/api/device-log-ins", Some(json!({ "connection": "github" }))),
        ] {
            let said = house.keyless.ask(method, path, body.as_ref()).await;
            assert_eq!(said.status, 403, "{method} {path}: {said:?}");
        }
        assert!(house.is_as_before());
        let given = house.keyless.get("/v1/token/shop:alice").await;
        assert!(given.status == 200 && !given.body.contains(KEY), "{given:?}");
    });
}

/// What `who` does to have `fields` stored as the connection of `user` at `provider`, by both ways.
async fn both_ways(who: &Gateway, (provider, user): (&str, &str), fields: &Value) -> Vec<(u16, String, String)> {
    // A form that was not taken waits on, and is given again.
    let by_form = ask(who, json!({ "user_id": user, "provider_name": provider })).await;
    let typed = json!({ "state": by_form.json()["state"], "credentials": fields });
    let said = who.ask("POST", "/v1/capture-credential", Some(&typed)).await;
    let code = if said.status == 200 { String::new() } else { said.code() };
    let stored = store(who, &format!("{provider}:{user}"), fields.clone(), (false, false)).await;
    vec![(said.status, code, said.body), stored]
}

#[test]
fn i2_a_server_of_ones_own_is_an_administrators_to_name_and_one_that_is_anothers_above_all() {
    run(async {
        let house = House::new();
        let fields = |host: &str| json!({ "host": host, "api_key": "planted-0123456789abcdef" });
        // The second one's host is sealed for a credential, the third's is named by a file, the first nobody knows.
        for (host, code) in
            [("new.corp.example", "not_admin"), ("shop.alice.example", "host_taken"), ("one.wide.example", "host_taken")]
        {
            let said = both_ways(&house.keyless, ("mattermost", "eve"), &fields(host)).await;
            assert_eq!((said[0].0, said[0].1.as_str()), (422, "credential"), "{host}: {said:?}");
            assert_eq!(said[1].1, code, "{host}: {said:?}");
            assert!(said.iter().all(|said| said.2.contains("an administrator registers it")), "{host}: {said:?}");
            let said = both_ways(&house.app, ("mattermost", "eve"), &fields(host)).await;
            assert_eq!((said[0].0, said[1].0), (422, 403), "{host}: {said:?}");
        }
        // Where its administrator put it, others have accounts of their own.
        assert_eq!(store(&house.admin, "mattermost", fields("git.corp.example"), (false, false)).await.0, 201);
        assert_eq!(store(&house.keyless, "mattermost:eve", fields("git.corp.example"), (false, false)).await.0, 201);
    });
}

#[test]
fn an_administrator_is_told_whose_server_it_is_already() {
    run(async {
        let house = House::new();
        let fields = json!({ "host": "shop.alice.example", "api_key": "another-0123456789abcdef" });
        let (status, _, said) = store(&house.admin, "mattermost", fields, (false, false)).await;
        assert!(status == 201 && said.contains("nexus remove shop:alice"), "{said}");
        let elsewhere = json!({ "host": "git.corp.example", "api_key": "another-0123456789abcdef" });
        let (status, _, said) = store(&house.admin, "mattermost:bob", elsewhere, (false, false)).await;
        assert!(status == 201 && !said.contains("warnings"), "{said}");
    });
}

#[test]
fn i2_where_egress_is_closed_a_server_of_ones_own_is_an_administrators_to_name() {
    run(async {
        for config in ["[proxy]\nunmatched = \"refuse\"", "[policy]\ndefault = \"deny\""] {
            let house = House::with(config);
            let fields = json!({ "host": "evil.example", "realm": "one", "api_key": "planted-0123456789abcdef" });
            let (status, code, said) = store(&house.keyless, "shop:eve", fields.clone(), (false, false)).await;
            assert_eq!((status, code.as_str()), (403, "not_admin"), "{config}: {said}");
            for who in [&house.keyless, &house.app] {
                let begun = ask(who, json!({ "user_id": "eve", "provider_name": "shop" })).await.json();
                let typed = json!({ "state": begun["state"], "credentials": fields });
                let said = who.ask("POST", "/v1/capture-credential", Some(&typed)).await;
                assert_eq!((said.status, said.code().as_str()), (422, "credential"), "{said:?}");
                assert!(said.body.contains("an administrator registers it"), "{said:?}");
            }
            // What is named already leads nowhere new, nor does a service that a file names.
            let known = json!({ "host": "shop.alice.example", "realm": "one", "api_key": "another-0123456789abcdef" });
            assert_eq!(store(&house.keyless, "shop:carol", known, (false, false)).await.0, 201, "{config}");
            let key = json!({ "api_key": "new-one-0123456789abcdef" });
            assert_eq!(store(&house.keyless, "stripe:carol", key, (false, false)).await.0, 201, "{config}");
            assert_eq!(store(&house.admin, "shop:eve", fields, (false, false)).await.0, 201, "{config}");
        }
    });
}

#[test]
fn who_shows_no_key_is_nobody_where_keys_are_asked_for() {
    run(async {
        let house = House::with("[gateway]\nkeyless = \"refuse\"");
        let key = json!({ "api_key": "planted-0123456789abcdef" });
        let (status, code, said) = store(&house.keyless, "stripe:carol", key.clone(), (false, false)).await;
        assert_eq!((status, code.as_str()), (401, "no_key"), "{said}");
        let body = json!({ "user_id": "eve", "provider_name": "stripe" });
        for (method, path, body) in [
            ("POST", "/v1/request-connection", Some(&body)),
            ("POST", "/v1/providers", Some(&json!({ "profile": { "name": "openai", "api_key": KEY } }))),
            ("GET", "/v1/token/stripe", None),
            ("GET", "/api/status", None),
        ] {
            let said = house.keyless.ask(method, path, body).await;
            assert_eq!(said.status, 401, "{method} {path}: {said:?}");
        }
        assert_eq!(house.keyless.get("/health").await.status, 200);
        assert_eq!(ask(&house.app, body).await.status, 200);
        assert_eq!(store(&house.admin, "stripe:carol", key, (false, false)).await.0, 201);
    });
}
