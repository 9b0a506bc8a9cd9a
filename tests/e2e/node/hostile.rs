//! Who gets at the stream, what is on it, and whom a node believes.

use nexus::app::{GatewayKeyKind, Home, Node};
use tokio::io::AsyncWriteExt as _;

use super::house::{House, next, noted, until};
use crate::harness::{Authority, CLIENT_SECRET, Gateway, access, refresh, run};

#[test]
fn i11_only_a_nodes_key_gets_credentials_and_never_what_only_renewals_need() {
    run(async {
        let house = House::new(None).await;
        let (head, mut lines) = house.stream(&house.key).await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("no-store"), "{head}");
        let mut text = String::new();
        loop {
            let line = next(&mut lines).await;
            text.push_str(&line.to_string());
            if line.get("synced").is_some() {
                break;
            }
        }
        assert!(text.contains(&access(1)), "{text}");
        for secret in [refresh(1).as_str(), CLIENT_SECRET, "client_secret", "refresh_token", "token_urls"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        for (kind, name) in [(GatewayKeyKind::App, "app"), (GatewayKeyKind::Admin, "admin")] {
            let key = house.another_key(name, kind);
            let refused = loop {
                let (head, _lines) = house.stream(&key).await;
                // The gateway reads its keys again in a moment.
                if !head.starts_with("HTTP/1.1 401") {
                    break head;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            };
            assert!(refused.starts_with("HTTP/1.1 403"), "{kind:?}: {refused}");
        }
        let (head, _lines) = house.stream("nxk_wrong").await;
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    });
}

#[test]
fn i11_a_nodes_key_that_is_bound_to_providers_gets_theirs_and_the_others_are_as_if_not_there() {
    run(async {
        let mut key = String::new();
        let file = "name = \"other\"\ntitle = \"Other\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"other.test\"]\nstrategy = { bearer = \"{api_key}\" }\n";
        let house = House::with(None, |_ca, builder| {
            let of_other = |key: &mut nexus::app::GatewayKey| key.providers = Some(vec!["other".parse().expect("a name")]);
            let (builder, bound) = builder.key("bound", GatewayKeyKind::Node, of_other);
            key = bound;
            builder.provider("other", file).register("other", &[("api_key", "key-of-other-0123456789")])
        })
        .await;
        let (head, mut lines) = house.stream(&key).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut text = String::new();
        while !text.contains("synced") {
            text.push_str(&next(&mut lines).await.to_string());
        }
        assert!(text.contains("key-of-other-0123456789") && !text.contains("renew\",") && !text.contains(&access(1)), "{text}");
        let gateway = Gateway::at(house.address).key(&key);
        let listed = gateway.get("/api/connections").await.json();
        assert_eq!(listed["connections"].as_array().expect("a list").len(), 1, "{listed}");
        for path in ["/api/connections/renew", "/v1/token/renew", "/v1/providers/renew"] {
            assert_eq!(gateway.get(path).await.status, 404, "{path}");
        }
        let ask = serde_json::json!({ "id": "renew", "version": "x", "refused": true });
        assert_eq!(gateway.ask("POST", "/v1/node/renew", Some(&ask)).await.status, 404);
        assert_eq!(house.tokens.uses(), 0);
        let node = house.node_home().start_as_node(&[("NEXUS_GATEWAY_URL", &house.url()), ("NEXUS_GATEWAY_KEY", &key)]);
        let note = noted(&node, |note| note["connected"] == true).await;
        assert_eq!((note["connections"].as_u64(), &note["served"]), (Some(1), &serde_json::json!(["other"])), "{note}");
    });
}

#[test]
fn a_revoked_key_ends_the_stream_and_the_copies_whatever_the_grace() {
    run(async {
        let house = House::new(None).await;
        // What this machine has beside it says nothing of what the gateway has.
        let home = house.node_home().register("renew:own", &[("access_token", &access(1))]);
        let node = house.start(home.config("[gateway]\ngrace_secs = 3600"));
        assert_eq!(until(&node, |_any| true).await.status, 200);
        house.gateway.home().change_gateway_keys(Vec::clear).expect("written");
        let note = noted(&node, |note| note["connected"] == false && note["why"].to_string().contains("401")).await;
        assert!(note["why"].to_string().contains("no key"), "{note}");
        let refused = until(&node, |reply| reply.status != 200).await;
        assert_eq!(refused.refusal(), Some("gateway"));
        assert!(refused.text().contains("still takes this proxy's key"), "{}", refused.text());
    });
}

#[test]
fn a_key_that_is_replaced_in_its_file_is_taken_without_a_restart() {
    run(async {
        let house = House::new(None).await;
        let home = house.node_home();
        let file = home.home().path().join("node-key");
        let put = |key: &str| nexus::disk::write_atomic(&file, key.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        put(&house.key);
        let path = file.to_str().expect("a path").to_owned();
        let node = home.start_as_node(&[("NEXUS_GATEWAY_URL", &house.url()), ("NEXUS_GATEWAY_KEY_FILE", &path)]);
        assert_eq!(until(&node, |_any| true).await.status, 200);
        house.gateway.home().change_gateway_keys(Vec::clear).expect("written");
        assert_eq!(until(&node, |reply| reply.status != 200).await.refusal(), Some("gateway"));
        put(&house.another_key("again", GatewayKeyKind::Node));
        assert_eq!(until(&node, |reply| reply.status == 200).await.status, 200);
    });
}

#[test]
fn a_node_with_another_kind_of_key_says_so_and_serves_nothing() {
    run(async {
        let house = House::with(None, |_ca, builder| builder).await;
        let app = house.another_key("app", GatewayKeyKind::App);
        let node = house.node_home().start_as_node(&[("NEXUS_GATEWAY_URL", &house.url()), ("NEXUS_GATEWAY_KEY", &app)]);
        let note = noted(&node, |note| note["why"].to_string().contains("403")).await;
        assert!(note["why"].to_string().contains("node keys"), "{note}");
        assert_eq!(until(&node, |_any| true).await.refusal(), Some("gateway"));
    });
}

/// A gateway with TLS; its certificate is for `names`.
async fn with_tls(names: &[&str]) -> House {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    House::with(None, move |ca, builder| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (certificate, key) = ca.leaf_pem(&names);
        let file = |name: &str, text: &str| {
            let path = builder.home().path().join(name);
            nexus::disk::write_atomic(&path, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        };
        file("gateway.pem", &certificate);
        file("gateway.key", &key);
        builder.config("[gateway]\ntls_cert = \"gateway.pem\"\ntls_key = \"gateway.key\"")
    })
    .await
}

#[test]
fn i4_the_gateways_certificate_is_verified_against_the_authority_that_was_pinned() {
    run(async {
        let house = with_tls(&["127.0.0.1"]).await;
        let url = format!("https://{}", house.address);
        let variables = [("NEXUS_GATEWAY_URL", url.as_str()), ("NEXUS_GATEWAY_KEY", house.key.as_str())];
        let pinned = |home: crate::harness::Builder, ca: &Authority| {
            nexus::disk::write_atomic(&home.home().gateway_ca(), ca.pem().as_bytes(), nexus::disk::PRIVATE).expect("a file");
            home
        };
        let right = pinned(house.node_home(), &house.ca).start_as_node(&variables);
        assert_eq!(until(&right, |_any| true).await.status, 200);
        // Whom everything else trusts signed it, but somebody else was pinned.
        let wrong = pinned(house.node_home(), &Authority::new()).start_as_node(&variables);
        let note = noted(&wrong, |note| note["connected"] == false).await;
        assert!(note["why"].to_string().contains("TLS"), "{note}");
        assert_eq!(until(&wrong, |_any| true).await.refusal(), Some("gateway"));
    });
}

#[test]
fn i4_a_certificate_of_another_host_is_not_the_gateways() {
    run(async {
        let house = with_tls(&["gateway.example"]).await;
        let url = format!("https://{}", house.address);
        let node = house.node_home().start_as_node(&[("NEXUS_GATEWAY_URL", &url), ("NEXUS_GATEWAY_KEY", &house.key)]);
        let note = noted(&node, |note| note["connected"] == false).await;
        assert!(note["why"].to_string().contains("TLS"), "{note}");
        assert_eq!(until(&node, |_any| true).await.refusal(), Some("gateway"));
        assert_eq!(house.service.count(), 0);
    });
}

#[test]
fn i1_nothing_that_a_node_writes_holds_a_credential() {
    run(async {
        let house = House::new(None).await;
        let node = house.node();
        assert_eq!(until(&node, |_any| true).await.status, 200);
        noted(&node, |note| note["served"][0] == "renew").await;
        let mut folders = vec![node.home().path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
                assert!(!text.contains(&access(1)) && !text.contains(&house.key), "{}", path.display());
            }
        }
    });
}

#[test]
fn i5_callers_do_not_reach_the_gateway_through_a_node() {
    run(async {
        let house = House::new(None).await;
        let node = house.start(house.node_home().config("[upstream]\nallow_private = [\"127.0.0.0/8\"]"));
        assert_eq!(until(&node, |_any| true).await.status, 200);
        for host in [house.address.to_string(), format!("localhost:{}", house.address.port())] {
            let mut caller = crate::harness::Caller::new(&node).tcp().await;
            let request = format!("GET http://{host}/health HTTP/1.1\r\nHost: {host}\r\n\r\n");
            caller.write_all(request.as_bytes()).await.expect("sent");
            let head = crate::harness::read_head(&mut caller).await;
            assert!(head.starts_with("HTTP/1.1 508"), "{host}: {head}");
        }
    });
}

#[test]
fn the_key_goes_nowhere_in_clear_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::new(folder.path());
    let find = |url: &str| {
        let url = url.to_owned();
        Node::find(&home, &move |name| match name {
            "NEXUS_GATEWAY_URL" => Some(url.clone()),
            "NEXUS_GATEWAY_KEY" => Some("nxk_1".to_owned()),
            _ => None,
        })
    };
    assert!(find("http://gateway.example:8090").is_err());
    assert!(find("https://gateway.example:8090").is_ok_and(|node| node.is_some()));
}
