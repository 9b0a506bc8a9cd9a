//! A person answers: by the command line, by the API, once, for a time, for a pattern; or says no.

use super::*;

#[test]
fn a_person_sees_what_curl_wants_to_send_and_lets_it_go_on() {
    run(async {
        let scene = scene(RULE).await;
        let userinfo = format!("ci:{}", scene.token);
        let body = r#"{"amount": 12.5, "note": "for \u001b[31mall", "card_token": "tok_visa_1234"}"#;
        let curl = Program::new(&scene.nexus, "curl", Some(&userinfo)).args(&[
            "-sS",
            "--fail-with-body",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
            "https://api.acme.test/orders?customer=alice@example.com",
        ]);
        let curl = tokio::spawn(curl.run());
        let (id, item) = scene.question().await;
        assert_eq!(scene.service.count(), 0, "nothing has left");
        for (member, value) in [
            ("status", "waiting"),
            ("agent", "ci"),
            ("user", "alice"),
            ("rule", "ask first"),
            ("summary", "Writes to the shop"),
            ("method", "POST"),
            ("host", HOST),
            ("path", "/orders?customer="),
            ("provider", "Acme"),
            ("title", "ci (for alice): POST api.acme.test/orders?customer= (Acme)"),
        ] {
            assert_eq!(item[member], value, "{item}");
        }
        assert_eq!(item["methods_beside"], json!([]), "{item}");
        let preview = item["body"]["preview"].as_str().expect("a preview");
        assert_eq!(preview, r#"{"amount": 12.5, "note": "for \u001b[31mall", "card_token": "***"}"#);
        assert_eq!((&item["body"]["size"], &item["body"]["cut"]), (&body.len().into(), &false.into()));

        let (good, listed, _) = command(&scene.nexus, &["approvals"]).await;
        assert!(good && listed.contains(&id) && listed.contains("waiting"), "{listed}");
        let (_, shown, _) = command(&scene.nexus, &["approvals", "show", &id]).await;
        assert!(shown.contains("| {\"amount\": 12.5") && shown.contains("Writes to the shop"), "{shown}");
        let (_, status, _) = command(&scene.nexus, &["status", "--json"]).await;
        let status: Value = serde_json::from_str(&status).expect("JSON");
        assert_eq!(status["approvals"], json!({ "waiting": 1, "grants": 0 }));
        assert_eq!(scene.service.connections(), 0, "nor is a connection held for it");

        let (good, said, talk) = command(&scene.nexus, &["approve", &id]).await;
        assert!(good && said.starts_with("allowed ci (for alice): POST"), "{said}{talk}");
        assert_eq!(curl.await.expect("an end").ok(), "seen");
        let seen = scene.service.seen().pop().expect("a request");
        assert_eq!((seen.bearer(), seen.body.as_deref()), (Some(KEY), Some(body.as_bytes())));
        assert_eq!(scene.service.count(), 1);

        let opened = scene.nexus.audit_line(|line| line["event"] == "open" && line["path"] == "/orders?customer=").await;
        assert_eq!((&opened["approval"], &opened["approval_id"]), (&"once".into(), &id.as_str().into()), "{opened}");
        assert_eq!((&opened["approved_by"], &opened["rule"]), (&"command line".into(), &"ask first".into()));
        let at = opened["approved_at"].as_str().expect("a time");
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
        let told = scene.nexus.audit_line(|line| line["event"] == "approval").await;
        assert_eq!(
            (&told["answer"], &told["answered_by"], &told["agent"]),
            (&"once".into(), &"command line".into(), &"ci".into())
        );
        assert!(told["time"].as_str() <= opened["time"].as_str(), "the answer is on record before what it lets on");
        let (_, again, said) = command(&scene.nexus, &["approve", &id, "--deny"]).await;
        assert!(said.contains("allowed already by command line"), "{again}{said}");
        let numbers = scene.person.get("/metrics").await.body;
        for line in ["approvals_total{outcome=\"asked\"} 1", "approvals_total{outcome=\"allowed\"} 1", "approvals_waiting 0"] {
            assert!(numbers.contains(&format!("nexus_{line}")), "{line}: {numbers}");
        }
    });
}

#[test]
fn a_person_sees_the_account_the_fields_and_a_form_as_the_service_reads_it() {
    run(async {
        let scene = scene(RULE).await;
        let mut request = post("/charges", "amount=%31%30&_method=delete&card%5Fpin=4711&text=a%20b");
        for (name, value) in [
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", "Bearer callers-own-key"),
            ("x-session", "0123hunter2"),
            ("stripe-account", "acct_1032D82eZvKYlo2C"),
            ("x-http-method-override", "DELETE"),
            ("user-agent", "curl"),
            ("accept", "*/*"),
        ] {
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let held = scene.send(request);
        let (id, item) = scene.question().await;
        assert_eq!((&item["connection"], &item["more_fields"]), (&"acme:alice".into(), &0.into()), "{item}");
        // What is taken off is not shown: the caller's credential, and a method beside the method.
        let fields = json!([
            { "name": "stripe-account", "value": "acct_1032D82eZvKYlo2C" },
            { "name": "x-session", "value": "***" },
        ]);
        assert_eq!(item["fields"], fields, "{item}");
        let text = "amount = 10\n_method = delete\ncard_pin = ***\ntext = a b";
        assert_eq!((&item["body"]["preview"], &item["body"]["decoded"]), (&text.into(), &true.into()), "{item}");
        let (_, shown, _) = command(&scene.nexus, &["approvals", "show", &id]).await;
        assert_eq!(item["methods_beside"], json!(["DELETE"]), "{item}");
        assert!(item["title"].as_str().is_some_and(|title| title.contains("POST (read as DELETE")), "{item}");
        for part in
            ["DELETE where a parameter", "acme:alice", "| stripe-account: acct_1032D82eZvKYlo2C", "form", "| _method = delete"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        scene.answer(&id, json!({ "decision": "allow" })).await;
        assert_eq!(held.await.expect("an answer").status, 200);
        let seen = scene.service.seen().pop().expect("a request");
        assert_eq!(seen.headers.get("x-session").map(http::HeaderValue::as_bytes), Some(&b"0123hunter2"[..]));
        assert!(!seen.headers.contains_key("x-http-method-override"));
    });
}

#[test]
fn who_hangs_up_is_told_apart_from_who_does_not_come_back() {
    run(async {
        let scene = scene(RULE).await;
        let held = scene.post("/gone", "{}");
        let (id, _) = scene.question().await;
        let page = async || document(&scene.caller.get(&format!("https://nexus.internal/approvals/{id}")).await);
        let waits = page().await;
        assert!(waits["detail"].as_str().is_some_and(|text| text.contains("by itself")), "{waits}");
        assert!(waits["expires_at"].is_string() && waits["allowed_until"].is_null(), "{waits}");
        held.abort();
        scene.waiting(0).await;
        let left = page().await;
        assert_eq!((&left["status"], &left["expires_at"]), (&"left".into(), &Value::Null), "{left}");
        assert!(left["detail"].as_str().is_some_and(|text| text.contains("hung up")), "{left}");
        let (good, _, talk) = command(&scene.nexus, &["approve", &id]).await;
        assert!(!good && talk.contains("has hung up"), "{talk}");
    });
}

#[test]
fn a_no_and_a_silence_are_refusals_that_say_so() {
    run(async {
        let scene = scene(&format!(
            "{}\n{}",
            RULE.replace("[\"POST\", \"DELETE\"]", "\"DELETE\"").replace("50s", "1s"),
            RULE.replace("ask first", "other")
        ))
        .await;
        let denied = scene.post("/denied", "{}");
        let (id, _) = scene.question().await;
        let (good, said, _) = command(&scene.nexus, &["approve", &id, "--deny"]).await;
        assert!(good && said.starts_with("denied "), "{said}");
        let reply = denied.await.expect("an answer");
        assert_eq!((reply.status, reply.refusal(), &document(&reply)["rule"]), (403, Some("policy"), &"other".into()));
        assert!(document(&reply)["detail"].as_str().is_some_and(|text| text.contains("Do not send it again")), "{reply:?}");
        assert_eq!(scene.nexus.notes("/denied").await, ["held", "approval_denied"]);
        let began = Instant::now();
        let late = scene.send(request(Method::DELETE, &format!("https://{HOST}/late"), crate::harness::empty()));
        let reply = late.await.expect("an answer");
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert_eq!(refused(&scene, "/late", &reply).await, "approval_timed_out");
        assert!(document(&reply)["detail"].as_str().is_some_and(|text| text.contains("nexus approvals")), "{reply:?}");
        assert_eq!(reply.headers.get("x-should-retry").map(http::HeaderValue::as_bytes), Some(&b"false"[..]));
        assert_eq!(scene.service.count(), 0);
    });
}

#[test]
fn a_yes_for_an_hour_is_for_that_place_and_can_be_taken_back() {
    run(async {
        let scene = scene(RULE).await;
        let first = scene.post("/items/7?x=1", "{}");
        let (id, _) = scene.question().await;
        let (good, _, talk) = command(&scene.nexus, &["approve", &id, "--for", "1h"]).await;
        assert!(good, "{talk}");
        assert_eq!(first.await.expect("an answer").status, 200);
        let shown = scene.person.get(&format!("/api/approvals/{id}")).await.json();
        let grant = scene.person.get("/api/approvals").await.json()["grants"][0].clone();
        assert_eq!((&shown["allowed_until"], &grant["connection"]), (&grant["until"], &"acme:alice".into()), "{shown}");
        let (_, listed, _) = command(&scene.nexus, &["approvals"]).await;
        let until = grant["until"].as_str().expect("a time");
        assert_eq!(listed.matches(until).count(), 2, "beside the question and the grant: {listed}");
        let mut session = scene.caller.http2(HOST).await;
        assert_eq!(session.send(post("/items/7?x=2", "other")).await.status, 200, "nobody is asked");
        let opened = scene.nexus.audit_line(|line| line["event"] == "open" && line["approval"] == "grant").await;
        assert_eq!((&opened["approval_id"], &opened["approved_by"]), (&id.as_str().into(), &"command line".into()));
        let grant = scene.person.get("/api/approvals").await.json()["grants"][0].clone();
        assert_eq!(
            (&grant["id"], &grant["path"], &grant["uses"]),
            (&id.as_str().into(), &"/items/7".into(), &1.into()),
            "{grant}"
        );

        let other = scene.post("/items/8", "{}");
        let (second, _) = scene.question().await;
        scene.answer(&second, json!({ "decision": "deny" })).await;
        assert_eq!(other.await.expect("an answer").status, 403);

        let (good, _, talk) = command(&scene.nexus, &["approvals", "revoke", &id]).await;
        assert!(good, "{talk}");
        let (good, _, _) = command(&scene.nexus, &["approvals", "revoke", &id]).await;
        assert!(!good, "once is enough");
        let shown = scene.person.get(&format!("/api/approvals/{id}")).await.json();
        assert_eq!(shown["allowed_until"], Value::Null, "{shown}");
        let again = scene.post("/items/7?x=1", "{}");
        scene.answer(&scene.question().await.0, json!({ "decision": "deny" })).await;
        assert_eq!(again.await.expect("an answer").status, 403);
        scene.nexus.audit_line(|line| line["event"] == "approval_revoked" && line["approval_id"] == id.as_str()).await;
    });
}

#[test]
fn a_yes_to_a_pattern_fits_the_request_and_lets_on_what_fits() {
    run(async {
        let scene = scene(RULE).await;
        let first = scene.post("/repos/acme/a/issues", "{}");
        let (id, _) = scene.question().await;
        for (body, status) in [
            (json!({ "decision": "allow", "pattern": "/repos/other/*/issues" }), 400),
            (json!({ "decision": "allow", "pattern": "repos" }), 400),
            (json!({ "decision": "allow", "for_secs": 86401 }), 400),
            (json!({ "decision": "allow", "for_secs": 0 }), 400),
            (json!({ "decision": "deny", "for_secs": 60 }), 400),
            (json!({ "decision": "perhaps" }), 400),
            (json!({ "decision": "allow", "forever": true }), 400),
            (json!([]), 400),
        ] {
            let said = scene.person.ask("POST", &format!("/api/approvals/{id}"), Some(&body)).await;
            assert_eq!(said.status, status, "{body} {said:?}");
        }
        assert_eq!(scene.service.count(), 0, "none of it was an answer");
        let (good, _, talk) = command(&scene.nexus, &["approve", &id, "--pattern", "/repos/acme/*/issues"]).await;
        assert!(good, "{talk}");
        assert_eq!(first.await.expect("an answer").status, 200);
        assert_eq!(scene.post("/repos/acme/b/issues?x=1", "{}").await.expect("an answer").status, 200);
        let outside = scene.post("/repos/acme/b/issues/1", "{}");
        scene.answer(&scene.question().await.0, json!({ "decision": "deny" })).await;
        assert_eq!(outside.await.expect("an answer").status, 403);
    });
}

#[test]
fn i2_a_rule_that_refuses_is_not_asked_about_and_one_that_comes_meanwhile_holds() {
    run(async {
        let deny = "[[rule]]\nname = \"never\"\nhosts = \"api.acme.test\"\npaths = \"/never/**\"\naction = \"deny\"\n";
        let scene = scene(&format!("{deny}{RULE}")).await;
        let reply = scene.post("/never/x", "{}").await.expect("an answer");
        assert_eq!((reply.status, &document(&reply)["rule"]), (403, &"never".into()));
        scene.waiting(0).await;

        let held = scene.post("/x", "{}");
        let (id, _) = scene.question().await;
        let file = scene.nexus.home().config_file();
        let text = std::fs::read_to_string(&file).expect("a file");
        let stricter = text.replace("/never/**", "/**");
        assert_ne!(text, stricter);
        nexus::disk::write_atomic(&file, stricter.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        scene.nexus.reload();
        scene.answer(&id, json!({ "decision": "allow" })).await;
        let reply = held.await.expect("an answer");
        assert_eq!((reply.status, &document(&reply)["rule"], scene.service.count()), (403, &"never".into(), 0), "{reply:?}");
    });
}

#[test]
fn a_rule_that_only_reports_holds_nothing_and_says_whom_it_would() {
    run(async {
        let scene = scene(&format!("{RULE}mode = \"report\"\n")).await;
        assert_eq!(scene.post("/watched", "{}").await.expect("an answer").status, 200);
        scene.waiting(0).await;
        let line = scene.nexus.audit_line(|line| line["event"] == "open" && line["path"] == "/watched").await;
        assert_eq!((&line["would_hold"], &line["approval"]), (&"ask first".into(), &Value::Null), "{line}");
    });
}

#[test]
fn explain_and_the_trial_of_rules_say_that_a_person_is_asked() {
    run(async {
        let scene = scene(RULE).await;
        let url = "https://api.acme.test/x";
        let (_, said, talk) = command(&scene.nexus, &["explain", "POST", url, "--agent", "ci", "--json"]).await;
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {talk}"));
        assert_eq!(
            (&said["outcome"], &said["policy"]["approvals"][0]["name"]),
            (&"inject".into(), &"ask first".into()),
            "{said}"
        );
        assert!(said["why"].as_str().is_some_and(|why| why.starts_with("it waits for a person's yes")), "{said}");
        let table = scene.nexus.home().path().join("table.toml");
        let text = format!(
            "[[request]]\nmethod = \"POST\"\nurl = \"{url}\"\nexpect = \"approve\"\nrule = \"ask first\"\n[[request]]\nurl = \"{url}\"\nexpect = \"allow\"\n"
        );
        std::fs::write(&table, text).expect("a file");
        let (good, said, talk) = command(&scene.nexus, &["policy", "test", table.to_str().expect("a path")]).await;
        assert!(good, "{said}{talk}");
    });
}

#[test]
fn who_watches_is_shown_each_question_as_it_comes() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    run(async {
        let scene = scene(RULE).await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
        command
            .args(["approvals", "--watch", "--json"])
            .env("NEXUS_HOME", scene.nexus.home().path())
            .env("NEXUS_SECRET", SECRET);
        let mut watching = command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().expect("the binary");
        let mut lines = BufReader::new(watching.stdout.take().expect("its output")).lines();
        let mut held = Vec::new();
        for path in ["/first", "/second"] {
            held.push(scene.post(path, "{}"));
            let line = lines.next_line().await.expect("text").expect("a line");
            let item: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!((&item["path"], &item["status"]), (&path.into(), &"waiting".into()), "{item}");
        }
        held.iter().for_each(JoinHandle::abort);
    });
}

#[test]
fn i2_where_two_rules_may_speak_of_it_both_are_asked_about() {
    run(async {
        let strict = "[[rule]]\nname = \"admin\"\nhosts = \"api.acme.test\"\npaths = \"/admin\"\naction = \"approve\"\n";
        let scene = scene(&format!("{strict}{RULE}")).await;
        for (second, status) in [("allow", 200), ("deny", 403)] {
            // Some services read it as /admin.
            let held = scene.post("/Admin", "{}");
            let (id, item) = scene.question().await;
            assert_eq!(item["rule"], "admin", "{item}");
            scene.answer(&id, json!({ "decision": "allow" })).await;
            // The same request, and a question of its own.
            let deadline = Instant::now() + Duration::from_secs(20);
            let item = loop {
                let item = scene.waiting(1).await.remove(0);
                if item["rule"] == "ask first" {
                    break item;
                }
                assert!(Instant::now() < deadline, "{item}");
            };
            assert_eq!((item["id"].as_str(), held.is_finished()), (Some(id.as_str()), false));
            scene.answer(&id, json!({ "decision": second })).await;
            assert_eq!(held.await.expect("an answer").status, status);
        }
        assert_eq!(scene.service.count(), 1);
    });
}

#[test]
fn a_yes_lasts_while_the_request_waits_for_its_credential() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let builder =
            Builder::new(&ca).provider("acme", crate::attack::ACME).resolve(HOST, service.address).config(RULE).gateway();
        let builder = builder.config("[proxy]\nunregistered = \"refuse\"\n[attention]\nhold = \"50s\"\n");
        let (builder, admin) = builder.key("boss", GatewayKeyKind::Admin, |_key| {});
        let nexus = builder.start();
        let (person, caller) = (nexus.gateway().key(&admin), Caller::new(&nexus));
        let scene = Scene { service, nexus, person, caller, token: String::new() };
        let held = scene.post("/x", "{}");
        let (id, _) = scene.question().await;
        scene.answer(&id, json!({ "decision": "allow" })).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while scene.person.get("/api/attention").await.json()["held"] != 1 {
            assert!(Instant::now() < deadline, "it waits for the credential");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        scene.nexus.register("acme", &[("api_key", KEY)], None);
        assert_eq!(held.await.expect("an answer").status, 200);
        let numbers = scene.person.get("/metrics").await.body;
        assert!(numbers.contains("nexus_approvals_total{outcome=\"asked\"} 1"), "it was asked about once: {numbers}");
    });
}

#[test]
fn a_yes_as_a_rule_is_text_that_lets_on_that_request_and_nothing_else() {
    run(async {
        let scene = scene(RULE).await;
        let held = scene.post("/v1/orders/17?token=1", "{}");
        let (id, _) = scene.question().await;
        let rule = async |query: &str| scene.person.get(&format!("/api/approvals/{id}/rule{query}")).await;
        let own = rule("").await.json();
        let file = own["file"].as_str().expect("a file");
        assert!(file.ends_with("nexus.toml") && own["line"].as_u64() > Some(1) && own["before"] == "ask first", "{own}");
        assert_eq!((&own["paths"], &own["wider"]), (&json!("/v1/orders/17"), &json!(false)));
        let wider = rule("?pattern=/v1/orders/*").await.json();
        assert_eq!((&wider["paths"], &wider["wider"]), (&json!("/v1/orders/*"), &json!(true)));
        assert_eq!(
            (rule("?pattern=/other").await.code(), rule("?pattern=x").await.code()),
            ("unsaid".into(), "malformed".into())
        );
        let text = own["text"].as_str().expect("a rule");
        for line in [
            "agents = \"ci\"",
            "provider = \"acme\"",
            "ports = 443",
            "methods = \"POST\"",
            "paths = \"/v1/orders/17\"",
            "action = \"allow\"",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert!(!text.contains("token") && !text.contains("DELETE"), "{text}");
        // It stands before the rule that asks, in a proxy that begins with it.
        let written = format!("{text}{RULE}");
        scene.answer(&id, json!({ "decision": "deny" })).await;
        assert_eq!((held.await.expect("an answer").status, rule("").await.code()), (403, "settled".into()));
        let after = super::scene(&written).await;
        assert_eq!(after.caller.send(post("/v1/orders/17?token=2", "{}")).await.status, 200);
        let other = after.post("/v1/orders/18", "{}");
        after.waiting(1).await;
        other.abort();
    });
}
