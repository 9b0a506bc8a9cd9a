//! The audit log, searched, handed over and verified by whoever may read it.

use nexus::app::GatewayKeyKind::Admin;
use serde_json::{Value, json};

use crate::harness::{Authority, Builder, Gateway, Nexus, eventually, run};

/// A gateway whose own events fill its log, and an administrator of it.
async fn scene() -> (Nexus, Gateway) {
    let (builder, admin) = Builder::new(&Authority::new()).gateway().key("root", Admin, |_key| ());
    let nexus = builder.start();
    let admin = nexus.gateway().key(&admin);
    for _ in 0..7 {
        admin.ask("POST", "/api/sessions", Some(&json!({ "name": "alice", "role": "auditor" }))).await;
    }
    let invited = |lines: &[Value]| lines.iter().filter(|line| line["event"] == "page_invited").count();
    crate::harness::eventually("seven lines", || (invited(&nexus.audit()) == 7).then_some(())).await;
    (nexus, admin)
}

async fn found(gateway: &Gateway, query: &str) -> Value {
    let said = gateway.get(&format!("/api/audit/search?{query}")).await;
    assert_eq!(said.status, 200, "{query}: {said:?}");
    said.json()
}

fn seqs(found: &Value) -> Vec<u64> {
    found["records"].as_array().expect("a list").iter().map(|record| record["seq"].as_u64().expect("a number")).collect()
}

#[test]
fn pages_follow_each_other_while_lines_come() {
    run(async {
        let (nexus, admin) = scene().await;
        let auditor = admin.signed_in("auditor").await;
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = found(&auditor, &format!("text=PAGE_invited&limit=3{cursor}")).await;
            all.extend(seqs(&page));
            // What is written meanwhile is on no later page.
            admin.ask("POST", "/api/sessions", Some(&json!({ "name": "bob", "role": "auditor" }))).await;
            let Some(next) = page["cursor"].as_str() else { break };
            assert_eq!(page["more"], true);
            cursor = format!("&cursor={next}");
        }
        assert!(all.len() >= 7 && all.is_sorted_by(|one, other| one > other), "{all:?}");
        nexus.audit_line(|line| line["name"] == "bob").await;
        let oldest = found(&auditor, "text=page_invited&order=oldest&limit=1000&from=1d").await;
        assert!(seqs(&oldest).is_sorted() && seqs(&oldest).len() > all.len(), "{oldest}");
        assert_eq!(oldest["records"][0]["name"], "alice");
        assert_eq!(found(&auditor, "agent=nobody&user=alice&status=5xx&verdict=refuse").await["records"], json!([]));
        assert_eq!(found(&auditor, "agent=&text=&until=2020-01-01T00:00:00Z").await["more"], false);
    });
}

#[test]
fn what_is_asked_wrongly_is_told() {
    run(async {
        let (_nexus, admin) = scene().await;
        let long = "x".repeat(256);
        for query in [
            "limit=0",
            "limit=1001",
            "cursor=1",
            "status=4x",
            "from=yesterday",
            "verdict=maybe",
            "order=up",
            &format!("text={long}"),
        ] {
            let said = admin.get(&format!("/api/audit/search?{query}")).await;
            assert_eq!((said.status, said.code().as_str()), (400, "malformed"), "{query}");
        }
        assert_eq!(admin.get("/api/audit/export").await.status, 400, "as what?");
    });
}

#[test]
fn a_file_is_what_the_search_finds_and_stands_in_the_log() {
    run(async {
        let (nexus, admin) = scene().await;
        let auditor = admin.signed_in("auditor").await;
        let csv = auditor.get("/api/audit/export?format=csv&text=page_invited").await;
        assert_eq!(csv.field("content-disposition"), Some("attachment; filename=\"audit.csv\""), "{csv:?}");
        assert!(csv.body.contains("\r\ntime,event,id,") && csv.body.matches(",page_invited,").count() >= 7, "{csv:?}");
        // In the chunks of an answer whose length nobody knows when it begins.
        let lines = auditor.get("/api/audit/export?format=jsonl&text=page_invited&limit=2").await.body;
        let lines: Vec<Value> =
            lines.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect();
        assert!(lines.len() == 2 && lines.iter().all(|line| line["event"] == "page_invited"), "{lines:?}");
        assert!(auditor.get("/api/audit/export?format=ocsf&agent=nobody").await.body.starts_with("0\r\n"), "whole, and empty");
        let line = nexus.audit_line(|line| line["event"] == "audit_exported").await;
        assert_eq!((&line["by"], &line["file"]), (&"auditor-1".into(), &"audit.csv".into()));
    });
}

async fn standing(gateway: &Gateway) -> Value {
    let settled = || async { gateway.get("/api/audit/standing").await.json() };
    let mut stands = settled().await;
    while !stands["checking"].is_null() || stands["checked_at"].is_null() {
        tokio::task::yield_now().await;
        stands = settled().await;
    }
    stands
}

#[test]
fn i8_whether_the_log_holds_is_told_and_what_is_changed_is_named() {
    run(async {
        let (nexus, admin) = scene().await;
        let auditor = admin.signed_in("auditor").await;
        let stands = standing(&auditor).await;
        assert_eq!(stands["state"], "holds", "{stands}");
        let head = stands["proven"]["head"].as_str().expect("a head");
        assert!(head.split_once(':').is_some_and(|(_, hash)| hash.len() == 64) && stands["key"].is_string(), "{stands}");
        assert!(stands["proven"]["unproven"].as_array().is_some_and(|list| !list.is_empty()), "{stands}");
        let segment = nexus.home().audit().join("00000001.jsonl");
        let text = eventually("lines", || std::fs::read_to_string(&segment).ok()).await;
        std::fs::write(&segment, text.replacen("page_invited", "page_1nvited", 1)).expect("written");
        assert_eq!(auditor.ask("POST", "/api/audit/verify", None).await.status, 202);
        let stands = standing(&auditor).await;
        assert_eq!((&stands["state"], &stands["broken"]["segment"]), (&"broken".into(), &1.into()), "{stands}");
        assert!(stands["broken"]["line"].as_u64().is_some_and(|line| line > 1) && stands["proven"].is_null(), "{stands}");
    });
}

#[test]
fn a_query_that_nobody_reads_is_refused_by_its_name() {
    run(async {
        let (_nexus, admin) = scene().await;
        for (path, named) in [
            ("/api/audit/search?agnt=ci", "agnt"),
            ("/api/audit/search?limit=1&statuses=403", "statuses"),
            ("/api/audit/search?format=csv", "format"),
            ("/api/audit/export?format=csv&order=newest", "order"),
            ("/api/audit/export?format=csv&since=1d", "since"),
            ("/api/stats?rnge=24h", "rnge"),
            ("/api/agents?query=ci", "query"),
            ("/api/connections?user=alice", "user"),
            ("/api/catalogue?x", "x"),
            ("/api/events?from=1", "from"),
            ("/api/policy?from=7d", "from"),
            ("/api/policy/suggestion?agents=ci", "agents"),
            ("/api/explain?url=https://a.example&verb=GET", "verb"),
            ("/api/stats?%72nge%3d=1", "rnge="),
        ] {
            let said = admin.get(path).await;
            assert_eq!((said.status, said.code().as_str()), (400, "malformed"), "{path}: {said:?}");
            assert!(said.json()["message"].as_str().is_some_and(|why| why.contains(&format!("`{named}`"))), "{path}: {said:?}");
        }
        for (query, hint) in [
            ("status=9xx", "from 1xx to 5xx"),
            ("status=0xx", "from 1xx to 5xx"),
            ("status=99", "from 1xx to 5xx"),
            ("host=*", "*.example.com"),
            ("host=*.", "*.example.com"),
            ("host=api.*.example", "*.example.com"),
            ("agent=*", "agent is a whole name"),
            ("user=*", "user is a whole name"),
            ("provider=git*", "provider is a whole name"),
        ] {
            let said = admin.get(&format!("/api/audit/search?{query}")).await;
            assert_eq!((said.status, said.code().as_str()), (400, "malformed"), "{query}: {said:?}");
            assert!(said.json()["message"].as_str().is_some_and(|why| why.contains(hint)), "{query}: {said:?}");
        }
        for query in ["status=999", "status=5xx", "status=", "host=*.example.com", "host=", "agent=&user="] {
            assert_eq!(admin.get(&format!("/api/audit/search?{query}")).await.status, 200, "{query}");
        }
        // Clients of the Nexus contract may send more than it says.
        assert_eq!(admin.get("/v1/resolve?provider_name=acme&more=1").await.code(), "not_found");
    });
}
