//! Who may ask for what: every operation of the document, asked by every kind of caller.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus::app::GatewayKeyKind::{Admin, App, Node};
use serde_json::Value;

use crate::harness::{Authority, Builder, Gateway, run};

/// Method, path with something in its holes, and the callers it is for; none for everybody.
fn operations(document: &Value) -> Vec<(String, String, Option<Vec<String>>)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let path: String =
            path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().expect("methods") {
            let kinds = operation["security"][0]["key"].as_array();
            let kinds = kinds.map(|kinds| kinds.iter().map(|kind| kind.as_str().expect("a kind").to_owned()).collect());
            // One without an end is asked for its beginning.
            let endless = operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == "stream"));
            let path = if endless { format!("{path}?once=true") } else { path.clone() };
            found.push((method.to_uppercase(), path, kinds));
        }
    }
    found
}

#[test]
fn i11_every_operation_is_for_the_callers_that_its_document_names_and_for_no_other() {
    run(async {
        let builder = Builder::new(&Authority::new()).gateway().config("[gateway]\nwrong_keys_per_minute = 10000");
        let (builder, app) = builder.key("crew", App, |_key| ());
        let (builder, node) = builder.key("edge", Node, |_key| ());
        let (builder, admin) = builder.key("root", Admin, |_key| ());
        let (builder, over) = builder.key("over", Admin, |key| key.expires = Some(std::time::UNIX_EPOCH));
        let nexus = builder.start();
        let gateway = nexus.gateway();
        let callers = [
            ("app", gateway.key(&app)),
            ("node", gateway.key(&node)),
            ("admin", gateway.key(&admin)),
            ("admin", gateway.key(&nexus.local_gateway().key.expose().clone())),
            ("owner", gateway.clone()),
            ("operator", gateway.key(&admin)),
            ("approver", gateway.key(&admin)),
            ("auditor", gateway.key(&admin)),
            ("nobody", gateway.nobody()),
            ("nobody", gateway.key("nxk_00000000000000000000000000000000")),
            ("nobody", gateway.key(&over)),
        ];
        let all = operations(&gateway.get("/api/openapi.json").await.json());
        assert!(all.len() > 4, "{all:?}");
        for (method, path, kinds) in all {
            for (kind, caller) in &callers {
                // Signed in anew for each: some of what is asked signs out.
                let at_the_page = ["operator", "approver", "auditor"].contains(kind);
                let said = if at_the_page { caller.signed_in(kind).await } else { caller.clone() };
                let said = said.ask(&method, &path, None).await;
                // What a person's browser meets is a page.
                let page = said.field("content-type").is_some_and(|kind| kind.starts_with("text/html"));
                let code = if said.status >= 400 && !page { said.code() } else { String::new() };
                let place = format!("{method} {path} as {kind}: {said:?}");
                assert!(said.status < 500, "{place}");
                match &kinds {
                    None => assert!(said.status != 401 && code != "key_kind", "{place}"),
                    Some(kinds) if kinds.iter().any(|one| one == kind) => {
                        assert!(said.status != 401 && code != "key_kind", "{place}");
                    }
                    Some(_) if *kind == "nobody" => assert_eq!((said.status, code.as_str()), (401, "no_key"), "{place}"),
                    Some(_) => assert_eq!((said.status, code.as_str()), (403, "key_kind"), "{place}"),
                }
            }
        }
    });
}

async fn name(gateway: &Gateway) -> String {
    let said = gateway.get("/api/whoami").await;
    if said.status == 200 { said.json()["name"].as_str().expect("a name").to_owned() } else { said.code() }
}

#[test]
fn a_key_is_shown_in_a_field_or_an_apps_in_the_path() {
    run(async {
        let (builder, app) = Builder::new(&Authority::new()).gateway().key("crew", App, |_key| ());
        let (builder, admin) = builder.key("root", Admin, |_key| ());
        let nexus = builder.start();
        let gateway = nexus.gateway();
        let basic = |pair: &str| gateway.with("Authorization", &format!("Basic {}", STANDARD.encode(pair)));
        let bearer = |key: &str| gateway.with("Authorization", &format!("Bearer {key}"));
        for shown in [gateway.key(&app), bearer(&app), basic(&format!("x:{app}")), basic(&format!("{app}:")), basic(&app)] {
            assert_eq!(name(&shown).await, "crew", "{shown:?}");
        }
        assert_eq!(gateway.get(&format!("/k/{app}/api/whoami")).await.json()["name"], "crew");
        let of = |key: &str| format!("/k/{key}/api/whoami");
        assert_eq!(gateway.get(&of(&admin)).await.code(), "key_place", "an address is written down in many places");
        // A wrong key is never taken for none, which would make this program the gateway's own user.
        for wrong in
            [gateway.key("x"), gateway.key(""), bearer("x"), basic("x:y"), basic(""), gateway.with("Authorization", "x")]
        {
            assert_eq!(name(&wrong).await, "no_key", "{wrong:?}");
        }
        assert_eq!(gateway.get(&of("x")).await.code(), "no_key");
        assert_eq!(gateway.get("/k//api/whoami").await.code(), "no_key");
        assert_eq!(name(&gateway.key(&app).key(&app)).await, "malformed", "twice");
        assert_eq!(name(&gateway.key(&admin).with("Authorization", "Bearer x")).await, "root", "the field for it counts");
        assert_eq!(name(&gateway).await, "owner");
        // What stands in the path counts before what a client always sends.
        assert_eq!(gateway.key("x").get(&of(&app)).await.json()["name"], "crew");
        assert_eq!(gateway.key(&app).get(&of(&app)).await.json()["name"], "crew", "the same twice");
        // Of two keys none is meant.
        for beside in [gateway.key(&admin), bearer(&admin), basic(&format!("{admin}:"))] {
            assert_eq!(beside.get(&of(&app)).await.code(), "malformed", "{beside:?}");
        }
    });
}

#[test]
fn an_apps_key_tells_whom_it_is_bound_to() {
    run(async {
        let (builder, key) = Builder::new(&Authority::new()).gateway().key("crew", App, |key| {
            key.user = Some("alice".parse().expect("a name"));
            key.providers = Some(vec!["github".parse().expect("a name")]);
        });
        let nexus = builder.start();
        let said = nexus.gateway().key(&key).get("/api/whoami").await.json();
        assert_eq!(said, serde_json::json!({ "name": "crew", "kind": "app", "user": "alice", "providers": ["github"] }));
    });
}

#[test]
fn t155_a_refusal_and_its_reason_stand_in_the_log() {
    run(async {
        let (builder, app) = Builder::new(&Authority::new()).gateway().key("crew", App, |_key| ());
        let nexus = builder.start();
        let gateway = nexus.gateway();
        assert_eq!(gateway.key(&app).get("/metrics").await.status, 403);
        let line = nexus.audit_line(|line| line["event"] == "gateway_refused").await;
        assert_eq!((&line["by"], &line["refusal"], &line["path"]), (&"crew".into(), &"key_kind".into(), &"/metrics".into()));
        for _ in 0..100 {
            gateway.nobody().get("/metrics").await;
        }
        let told = |lines: &[Value]| lines.iter().filter(|line| line["event"] == "gateway_refused").count();
        crate::harness::eventually("the lines of a minute", || (told(&nexus.audit()) == 60).then_some(())).await;
        assert!(gateway.get("/metrics").await.body.contains("nexus_gateway_problems_total{code=\"no_key\"} 100"));
        assert_eq!(told(&nexus.audit()), 60, "nobody fills the disk with refusals");
    });
}
