//! What nobody gets around, and what bounds it: floods, hanging up, two answers at once, stopping, being killed.

use super::*;

#[test]
fn no_program_answers_itself() {
    run(async {
        let scene = scene_with(RULE, |builder| {
            let (builder, _) = builder.key("crew", GatewayKeyKind::App, |_key| {});
            builder
        })
        .await;
        let held = scene.post("/x", "{}");
        let (id, _) = scene.question().await;
        let app = scene.nexus.add_key("program", GatewayKeyKind::App);
        scene.nexus.reload();
        let gateway = scene.nexus.gateway();
        let allow = json!({ "decision": "allow" });
        // A program of the gateway's own user needs no key elsewhere. Here it does: it may be the one that asks.
        for (who, status) in [(gateway.clone(), 403), (gateway.key(&app), 403), (gateway.nobody(), 401)] {
            for (method, path, body) in [
                ("GET", "/api/approvals".to_owned(), None),
                ("GET", format!("/api/approvals/{id}"), None),
                ("POST", format!("/api/approvals/{id}"), Some(&allow)),
                ("DELETE", format!("/api/approvals/grants/{id}"), None),
            ] {
                assert_eq!(who.ask(method, &path, body).await.status, status, "{method} {path}");
            }
        }
        // A page in the person's browser neither.
        let page = scene.person.with("Origin", "https://evil.test").with("Sec-Fetch-Site", "cross-site");
        assert_eq!(page.ask("POST", &format!("/api/approvals/{id}"), Some(&allow)).await.status, 403);
        let other = scene.person.with("Host", "evil.test");
        assert_eq!(other.ask("POST", &format!("/api/approvals/{id}"), Some(&allow)).await.status, 421);
        assert_eq!((scene.service.count(), held.is_finished()), (0, false));
        scene.answer(&id, json!({ "decision": "deny" })).await;
        assert_eq!(held.await.expect("an answer").status, 403);
    });
}

#[test]
fn two_answers_at_once_are_one() {
    run(async {
        let scene = scene(RULE).await;
        let mut ids = Vec::new();
        for round in 0..10 {
            let path = format!("/{round}");
            let held = scene.post(&path, "{}");
            let (id, _) = scene.question().await;
            let answers = ["allow", "deny"].repeat(4).into_iter().map(|decision| {
                let (person, path) = (scene.person.clone(), format!("/api/approvals/{id}"));
                tokio::spawn(async move { (decision, person.ask("POST", &path, Some(&json!({ "decision": decision }))).await) })
            });
            let mut counted = Vec::new();
            for answer in answers.collect::<Vec<_>>() {
                let (decision, said) = answer.await.expect("an answer");
                match said.status {
                    200 => counted.push(decision),
                    status => assert_eq!((status, said.code().as_str()), (409, "settled"), "{said:?}"),
                }
            }
            let status = held.await.expect("an answer").status;
            assert_eq!(counted.len(), 1, "{counted:?}");
            assert_eq!(status, if counted == ["allow"] { 200 } else { 403 });
            ids.push(id);
        }
        let of = |line: &Value, id: &str| line["event"] == "approval" && line["approval_id"] == id;
        for id in &ids {
            scene.nexus.audit_line(|line| of(line, id)).await;
        }
        let lines = scene.nexus.audit();
        let told = |id: &String| lines.iter().filter(|line| of(line, id)).count();
        assert!(ids.iter().all(|id| told(id) == 1), "what did not count is not on record as an answer");
    });
}

#[test]
fn i7_one_agents_flood_leaves_room_for_others() {
    run(async {
        let mut token = String::new();
        let limits = "[approvals]\nhold_limit = 8\nagent_hold_limit = 3\n";
        let scene = scene_with(RULE, |builder| {
            let (builder, other) =
                builder.config(limits).agent("quiet", |agent| agent.user = Some("alice".parse().expect("a name")));
            token = other;
            builder
        })
        .await;
        let session = scene.caller.http2(HOST).await;
        let flood: Vec<_> = (0..50)
            .map(|number| {
                let mut session = session.share();
                tokio::spawn(async move { session.send(post(&format!("/flood/{number}"), "{}")).await })
            })
            .collect();
        let held = scene.waiting(3).await;
        let quiet = Caller::new(&scene.nexus).agent("quiet", &token);
        let quiet = tokio::spawn(async move { quiet.send(post("/quiet", "{}")).await });
        let all = scene.waiting(4).await;
        let id = all.iter().find(|item| item["agent"] == "quiet").expect("it waits")["id"].as_str().expect("an id").to_owned();
        scene.answer(&id, json!({ "decision": "allow" })).await;
        assert_eq!(quiet.await.expect("an answer").status, 200);
        for item in held {
            scene.answer(item["id"].as_str().expect("an id"), json!({ "decision": "deny" })).await;
        }
        let mut counts = std::collections::BTreeMap::new();
        for reply in flood {
            let reply = reply.await.expect("an answer");
            *counts.entry((reply.status, reply.refusal().map(str::to_owned))).or_insert(0) += 1;
        }
        let expected = [((403, Some("policy".to_owned())), 3), ((429, Some("limit".to_owned())), 47)];
        assert_eq!(counts, expected.into());
    });
}

#[test]
fn a_caller_that_hangs_up_takes_its_question_along() {
    run(async {
        let scene = scene(RULE).await;
        for http2 in [false, true] {
            let caller = scene.caller.clone();
            let leaving = tokio::spawn(async move {
                let mut session = if http2 { caller.http2(HOST).await } else { caller.http1(HOST).await };
                session.send(post("/left", "{}")).await
            });
            let (id, _) = scene.question().await;
            leaving.abort();
            scene.waiting(0).await;
            let said = scene.person.ask("POST", &format!("/api/approvals/{id}"), Some(&json!({ "decision": "allow" }))).await;
            assert_eq!((said.status, &said.json()["approval_status"]), (409, &"left".into()), "{said:?}");
            assert_eq!(scene.service.count(), 0, "HTTP/2: {http2}");
        }
        let numbers = scene.person.get("/metrics").await.body;
        assert!(numbers.contains("nexus_approvals_total{outcome=\"left\"} 2"), "{numbers}");
    });
}

#[test]
fn what_waits_when_the_proxy_stops_is_refused_and_what_it_was_killed_with_is_forgotten() {
    run(async {
        let mut scene = scene(RULE).await;
        let held = scene.post("/stopped", "{}");
        scene.question().await;
        let nexus = scene.nexus;
        let stopping = tokio::task::spawn_blocking(move || {
            let mut nexus = nexus;
            nexus.stop();
            nexus
        });
        let reply = held.await.expect("an answer");
        assert_eq!((reply.status, reply.refusal()), (503, Some("draining")), "{reply:?}");
        scene.nexus = stopping.await.expect("it stops");
        assert_eq!((scene.nexus.closed("/stopped").await["event"].as_str(), scene.service.count()), (Some("refuse"), 0));
    });
}

#[test]
fn a_yes_does_not_outlive_a_kill() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let (builder, admin) = home(&ca, &service).config(RULE).gateway().key("boss", GatewayKeyKind::Admin, |_key| {});
        let nexus = builder.spawn().await;
        let (person, caller) = (nexus.gateway().key(&admin), Caller::new(&nexus));
        let mut scene = Scene { service, nexus, person, caller, token: String::new() };
        let first = scene.post("/x", "{}");
        let (id, _) = scene.question().await;
        scene.answer(&id, json!({ "decision": "allow", "for_secs": 3600 })).await;
        assert_eq!(first.await.expect("an answer").status, 200);
        let caller = scene.caller.clone();
        let held = tokio::spawn(async move { caller.http1(HOST).await.try_send(post("/killed", "{}")).await.is_err() });
        scene.question().await;
        scene.nexus.kill().await;
        assert!(held.await.expect("an end"), "its caller is told by the end of its stream");
        scene.nexus.respawn().await;
        let (person, caller) = (scene.nexus.gateway().key(&admin), Caller::new(&scene.nexus));
        (scene.person, scene.caller) = (person, caller);
        scene.waiting(0).await;
        let again = scene.post("/x", "{}");
        let (second, _) = scene.question().await;
        assert_eq!((second == id, scene.service.count()), (false, 1), "what was let on before is asked about anew");
        scene.answer(&second, json!({ "decision": "deny" })).await;
        assert_eq!(again.await.expect("an answer").status, 403);
    });
}

#[test]
fn where_no_gateway_is_up_nobody_waits_for_a_person() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let nexus = home(&ca, &service).config(RULE).start();
        let began = Instant::now();
        let reply = Caller::new(&nexus).send(post("/x", "{}")).await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        assert!(began.elapsed() < Duration::from_secs(20) && reply.text().contains("no gateway"), "{reply:?}");
        assert_eq!(nexus.notes("/x").await, ["approval_impossible"]);
    });
}

#[test]
fn a_body_that_has_not_come_is_not_waited_for_long_and_goes_on_whole() {
    run(async {
        let scene = scene(RULE).await;
        let (mut sender, body) = channel();
        let mut waits = request(Method::POST, &format!("https://{HOST}/slow"), body);
        waits.headers_mut().insert("content-type", "text/plain".parse().expect("a value"));
        let held = scene.send(waits);
        sender.send_data("the beginning, ".into()).await.expect("a frame");
        let (id, item) = scene.question().await;
        assert_eq!((&item["body"]["preview"], &item["body"]["cut"]), (&"the beginning, ".into(), &true.into()), "{item}");
        scene.answer(&id, json!({ "decision": "allow" })).await;
        sender.send_data("the end".into()).await.expect("a frame");
        drop(sender);
        assert_eq!(held.await.expect("an answer").status, 200);
        assert_eq!(scene.service.seen().pop().and_then(|seen| seen.body).as_deref(), Some(&b"the beginning, the end"[..]));

        let mut expects = post("/expects", "{}");
        expects.headers_mut().insert("expect", "100-continue".parse().expect("a value"));
        let held = scene.send(expects);
        let (id, item) = scene.question().await;
        assert_eq!(item["body"]["note"], "it comes only once the request may go on", "{item}");
        scene.answer(&id, json!({ "decision": "deny" })).await;
        assert_eq!(held.await.expect("an answer").status, 403);
    });
}

/// In KiB, of a process.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn i7_a_thousand_that_wait_take_bounded_memory_and_no_connection() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let limits = "[approvals]\nhold_limit = 1000\nagent_hold_limit = 1000\n[limits]\nagent_requests = 5000\nagent_connections = 5000\n";
        let (builder, admin) =
            home(&ca, &service).config(RULE).config(limits).gateway().key("boss", GatewayKeyKind::Admin, |_key| {});
        let nexus = builder.spawn().await;
        let (person, caller) = (nexus.gateway().key(&admin), Caller::new(&nexus));
        let scene = Scene { service, nexus, person, caller, token: String::new() };
        let (before, pid) = (resident(scene.nexus.pid()), scene.nexus.pid());
        let body = format!("\"{}\"", "\\u001b ".repeat(2000));
        let mut held = Vec::new();
        for _ in 0..12 {
            let session = scene.caller.http2(HOST).await;
            for number in 0..90 {
                let (mut session, body) = (session.share(), body.clone());
                held.push(tokio::spawn(async move { session.send(post(&format!("/{number}"), &body)).await.status }));
            }
        }
        let all = scene.waiting(1000).await;
        // On a busy machine the beginning of some may not come in time.
        let shown: Vec<usize> = all.iter().filter_map(|item| item["body"]["preview"].as_str()).map(str::len).collect();
        assert!(shown.len() > 100 && shown.iter().all(|length| *length <= 2048), "{} of a thousand are shown", shown.len());
        let took = resident(pid).saturating_sub(before);
        assert!(took < 120 * 1024, "{took} KiB for a thousand bodies of {} bytes", body.len());
        // Those that each worker has at hand for whoever comes first.
        assert!(scene.service.count() == 0 && scene.service.connections() <= 2, "{}", scene.service.connections());
        let refused = eventually("what is too much", || {
            let done: Vec<usize> = held.iter().enumerate().filter(|(_, one)| one.is_finished()).map(|(at, _)| at).collect();
            (done.len() == 80).then_some(done)
        })
        .await;
        for at in refused.into_iter().rev() {
            assert_eq!(held.remove(at).await.expect("an answer"), 429);
        }
        held.iter().for_each(JoinHandle::abort);
        scene.waiting(0).await;
    });
}

#[test]
fn i6_an_agent_that_is_revoked_waits_for_no_answer() {
    run(async {
        let scene = scene(RULE).await;
        let caller = scene.caller.clone();
        let held = tokio::spawn(async move { caller.http1(HOST).await.try_send(post("/x", "{}")).await });
        let (id, _) = scene.question().await;
        let (good, _, talk) = command(&scene.nexus, &["agent", "revoke", "ci"]).await;
        assert!(good, "{talk}");
        scene.waiting(0).await;
        let late = scene.person.ask("POST", &format!("/api/approvals/{id}"), Some(&json!({ "decision": "allow" }))).await;
        assert_eq!(late.status, 409, "{late:?}");
        let left = held.await.expect("an end").is_err();
        let line = scene.nexus.closed("/x").await;
        // Whether the 407 was out before the stream ended or not, the log has the reason.
        assert!(if left { line["notes"].to_string().contains("agent_revoked") } else { line["status"] == 407 }, "{line}");
        assert_eq!(scene.service.count(), 0);
    });
}

#[test]
fn i6_an_agent_that_is_frozen_waits_for_no_answer_and_is_told_so() {
    run(async {
        let scene = scene(RULE).await;
        let caller = scene.caller.clone();
        let held = tokio::spawn(async move { caller.http1(HOST).await.try_send(post("/x", "{}")).await });
        scene.question().await;
        let (good, _, talk) = command(&scene.nexus, &["agent", "freeze", "ci"]).await;
        assert!(good, "{talk}");
        scene.waiting(0).await;
        let told = |reply: &Reply| (reply.status, reply.refusal().map(str::to_owned));
        assert!(held.await.expect("an end").map_or(true, |reply| told(&reply) == (403, Some("frozen".to_owned()))));
        assert_eq!(scene.service.count(), 0);
    });
}

#[test]
fn a_handshake_of_another_protocol_is_asked_about_without_a_body() {
    run(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let scene = scene(&RULE.replace("[\"POST\", \"DELETE\"]", "\"GET\"")).await;
        let mut stream = scene.caller.tls(HOST, &["http/1.1"]).await;
        let head = format!(
            "GET /socket HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("a write");
        let (id, item) = scene.question().await;
        assert_eq!(item["body"]["note"], "it becomes another protocol", "{item}");
        assert_eq!(scene.service.count(), 0);
        scene.answer(&id, json!({ "decision": "allow" })).await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.expect("an answer");
        assert_eq!((&first, scene.service.count()), (b"HTTP/1.1 200", 1));
    });
}
