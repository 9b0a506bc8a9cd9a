//! The page's sign-in, by the bytes that a browser and others would send: what makes a session, and what doesn't.

use http::StatusCode;
use nexus::app::GatewayKeyKind::Admin;
use serde_json::{Value, json};

use crate::harness::{Authority, Builder, Gateway, Nexus, run};

/// A gateway, and an administrator of it.
fn scene() -> (Nexus, Gateway) {
    let (builder, admin) = Builder::new(&Authority::new()).gateway().key("root", Admin, |_key| ());
    let nexus = builder.start();
    let admin = nexus.gateway().key(&admin);
    (nexus, admin)
}

fn field<'a>(caller: &'a Gateway, name: &str) -> &'a str {
    caller.field(name).expect("a field")
}

#[test]
fn t150_only_both_halves_shown_by_our_own_page_are_a_session() {
    run(async {
        let (nexus, admin) = scene();
        let gateway = nexus.gateway();
        let person = admin.signed_in("auditor").await;
        let (cookie, page) = (field(&person, "Cookie"), field(&person, "Nexus-Page"));
        let both = || gateway.with("Cookie", cookie).with("Nexus-Page", page);
        let own = format!("http://{}", gateway.address);
        assert_eq!(both().get("/api/session").await.json()["role"], "auditor");
        assert_eq!(both().with("Origin", &own).with("Sec-Fetch-Site", "same-origin").get("/api/session").await.status, 200);
        let other = admin.signed_in("operator").await;
        let strange = [
            ("no cookie", gateway.with("Nexus-Page", page)),
            ("another's cookie", gateway.with("Cookie", field(&other, "Cookie")).with("Nexus-Page", page)),
            (
                "swapped",
                gateway.with("Cookie", &format!("nexus={page}")).with("Nexus-Page", cookie.trim_start_matches("nexus=")),
            ),
            ("empty", gateway.with("Cookie", "nexus=").with("Nexus-Page", "")),
        ];
        for (what, caller) in strange {
            let said = caller.get("/api/session").await;
            assert_eq!((said.status, said.code().as_str()), (401, "signed_out"), "{what}");
        }
        // The cookie alone is what other ports of this host are sent as well.
        let said = gateway.with("Cookie", cookie).with("Origin", &own).get("/api/session").await;
        assert_eq!((said.status, said.code().as_str()), (403, "browser"));
        for (name, value) in [
            ("Origin", "http://127.0.0.1:1"),
            ("Origin", "null"),
            ("Sec-Fetch-Site", "same-site"),
            ("Sec-Fetch-Site", "cross-site"),
        ] {
            let said = both().with(name, value).get("/api/session").await;
            assert_eq!((said.status, said.code().as_str()), (403, "browser"), "{name}: {value}");
        }
        // One that another port planted beside ours doesn't sign anybody out.
        let planted = gateway.with("Cookie", &format!("{}a=b; {cookie}", "nexus=x; ".repeat(50))).with("Nexus-Page", page);
        assert_eq!(planted.get("/api/session").await.status, 200);
        assert_eq!(both().key("nxk_1").get("/api/session").await.code(), "malformed");
    });
}

#[test]
fn a_link_works_once_and_what_is_none_is_counted() {
    run(async {
        let (nexus, admin) = scene();
        let wanted = json!({ "name": "alice", "role": "approver" });
        let invited = admin.ask("POST", "/api/sessions", Some(&wanted)).await;
        assert_eq!(invited.status, 201, "{invited:?}");
        let url = invited.json()["url"].as_str().expect("a link").to_owned();
        let link = url.split_once("/sign-in#").expect("behind the sign").1.to_owned();
        let gateway = nexus.gateway();
        let follow = |link: &str| json!({ "link": link });
        let from_elsewhere =
            gateway.with("Origin", "http://evil.example").ask("POST", "/api/session", Some(&follow(&link))).await;
        assert_eq!((from_elsewhere.status, from_elsewhere.code().as_str()), (403, "browser"), "and it is not used up");
        assert_eq!(gateway.ask("POST", "/api/session", Some(&follow(&link))).await.status, 200);
        for _ in 0..30 {
            assert_eq!(gateway.ask("POST", "/api/session", Some(&follow(&link))).await.status, 404);
        }
        assert_eq!(gateway.ask("POST", "/api/session", Some(&follow(&link))).await.code(), "wrong_keys");
        let person = admin.signed_in("auditor").await;
        assert_eq!(person.get("/api/session").await.status, 200, "a right one works whatever was tried");
        assert_eq!(person.get("/k/nxk_1/api/session").await.code(), "malformed");
        for wrong in [json!({ "name": "a b", "role": "approver" }), json!({ "name": "", "role": "auditor" })] {
            assert_eq!(admin.ask("POST", "/api/sessions", Some(&wrong)).await.code(), "name", "{wrong}");
        }
        let line = nexus.audit_line(|line| line["event"] == "page_signed_in").await;
        assert_eq!((&line["name"], &line["role"]), (&Value::from("alice"), &Value::from("approver")));
    });
}

#[test]
fn who_signs_out_or_is_signed_out_is_nobody() {
    run(async {
        let (_nexus, admin) = scene();
        let person = admin.signed_in("operator").await;
        assert_eq!(person.get("/api/whoami").await.json()["kind"], "operator");
        assert_eq!(person.ask("DELETE", "/api/session", None).await.status, StatusCode::NO_CONTENT.as_u16());
        assert_eq!(person.get("/api/whoami").await.code(), "signed_out");
        let (one, two) = (admin.signed_in("auditor").await, admin.signed_in("operator").await);
        assert_eq!(two.ask("DELETE", "/api/sessions", None).await.json(), json!({ "ended": 2 }));
        for person in [one, two] {
            assert_eq!(person.get("/api/session").await.code(), "signed_out");
        }
    });
}

#[test]
fn the_pages_files_hold_no_door_for_another_page() {
    run(async {
        let (nexus, _admin) = scene();
        let gateway = nexus.gateway();
        for path in ["/", "/approvals", "/sign-in", "/page/app.js", "/page/app.css", "/page/views/approvals.js"] {
            let said = gateway.with("Sec-Fetch-Site", "cross-site").get(path).await;
            assert_eq!(said.status, 200, "{path}");
            let policy = said.field("content-security-policy").expect("a policy");
            assert!(
                policy.contains("default-src 'self'")
                    && policy.contains("frame-ancestors 'none'")
                    && !policy.contains("unsafe"),
                "{policy}"
            );
            for name in ["content-type", "cache-control", "etag", "vary"] {
                let fields = said.head.lines().filter(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
                assert_eq!(fields.count(), 1, "{path}: {name} once: {said:?}");
            }
            let tag = said.field("etag").expect("a tag").to_owned();
            assert_eq!(gateway.with("If-None-Match", &tag).get(path).await.status, 304, "{path}");
        }
        for path in ["/page/../Cargo.toml", "/page/", "/page/app.rs", "/page/views"] {
            assert_eq!(gateway.get(path).await.status, 404, "{path}");
        }
        assert_eq!(gateway.ask("POST", "/", None).await.status, 405);
        let coded = gateway.with("Accept-Encoding", "gzip").get("/page/app.js").await;
        assert_eq!(coded.field("content-encoding"), Some("gzip"));
        let kinds = coded.head.lines().filter(|line| line.to_ascii_lowercase().starts_with("content-type:"));
        assert_eq!(kinds.collect::<Vec<_>>(), ["content-type: text/javascript; charset=utf-8"]);
    });
}
