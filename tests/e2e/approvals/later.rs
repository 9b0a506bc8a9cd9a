//! Programs that don't wait (RFC 7240 `respond-async`): they come back, and send the very same request again.

use super::*;

fn later(path: &str, body: &str) -> Request<Body> {
    let mut request = post(path, body);
    request.headers_mut().insert("prefer", "handling=strict, Respond-Async; x=1".parse().expect("a value"));
    request
}

#[test]
fn who_does_not_wait_gets_an_address_and_the_same_request_goes_on_once() {
    run(async {
        let scene = scene(RULE).await;
        let reply = scene.caller.send(later("/orders?x=1", "{\"n\":1}")).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
        let (id, item) = scene.question().await;
        assert_eq!((header("preference-applied"), header("nexus-approval")), (Some("respond-async"), Some(id.as_str())));
        assert_eq!(header("location"), Some(format!("http://nexus.internal/approvals/{id}").as_str()));
        assert_eq!((&item["respond_async"], &document(&reply)["status"]), (&true.into(), &"waiting".into()));
        let status = async || {
            let reply = scene.caller.get(&format!("https://nexus.internal/approvals/{id}")).await;
            document(&reply)["status"].as_str().expect("a word").to_owned()
        };
        assert_eq!(status().await, "waiting");
        assert_eq!(
            scene.caller.send(later("/orders?x=1", "{\"n\":1}")).await.headers["nexus-approval"],
            id.as_str(),
            "one question"
        );
        scene.waiting(1).await;

        scene.answer(&id, json!({ "decision": "allow" })).await;
        assert_eq!(status().await, "allowed");
        let told = document(&scene.caller.get(&format!("https://nexus.internal/approvals/{id}")).await);
        assert!(told["allowed_until"].is_string() && told["expires_at"].is_null(), "{told}");
        for (path, body) in [("/orders?x=2", "{\"n\":1}"), ("/orders?x=1", "{\"n\":2}"), ("/orders", "{\"n\":1}")] {
            let reply = scene.caller.send(later(path, body)).await;
            assert_eq!(reply.status, 202, "another request is another question: {reply:?}");
        }
        for (name, value) in [("stripe-account", "acct_2"), ("x-amz-target", "Delete"), ("destination", "/y")] {
            let mut request = later("/orders?x=1", "{\"n\":1}");
            request.headers_mut().insert(name, value.parse().expect("a value"));
            assert_eq!(scene.caller.send(request).await.status, 202, "{name} may change what it does");
        }
        assert_eq!(scene.service.count(), 0);
        // With or without the preference.
        assert_eq!(scene.caller.send(post("/orders?x=1", "{\"n\":1}")).await.status, 200);
        let seen = scene.service.seen().pop().expect("a request");
        assert_eq!((seen.path.as_str(), seen.body.as_deref()), ("/orders?x=1", Some(&b"{\"n\":1}"[..])));
        assert_eq!(status().await, "used");
        assert_eq!(scene.caller.send(later("/orders?x=1", "{\"n\":1}")).await.status, 202, "once");
        assert_eq!(scene.service.count(), 1);
        let asked = scene.nexus.audit_line(|line| line["event"] == "close" && line["status"] == 202).await;
        assert_eq!((&asked["verdict"], &asked["notes"]), (&"answer".into(), &json!(["approval_asked"])), "{asked}");
        let opened = scene.nexus.audit_line(|line| line["event"] == "open" && line["approval"] == "once").await;
        assert_eq!((&opened["approval_id"], &opened["approved_by"]), (&id.as_str().into(), &"boss".into()));
    });
}

#[test]
fn i6_another_agent_neither_sees_the_question_nor_collects_the_answer() {
    run(async {
        let mut token = String::new();
        let scene = scene_with(RULE, |builder| {
            let (builder, other) = builder.agent("other", |agent| agent.user = Some("alice".parse().expect("a name")));
            token = other;
            builder
        })
        .await;
        let other = Caller::new(&scene.nexus).agent("other", &token);
        assert_eq!(scene.caller.send(later("/x", "{}")).await.status, 202);
        let (id, _) = scene.question().await;
        scene.answer(&id, json!({ "decision": "allow" })).await;
        assert_eq!(other.get(&format!("https://nexus.internal/approvals/{id}")).await.status, 404);
        assert_eq!(other.send(later("/x", "{}")).await.status, 202, "it asks for itself");
        assert_eq!(scene.service.count(), 0);
        for id in ["", "x", "%00", "../ca.pem"] {
            assert_eq!(scene.caller.get(&format!("https://nexus.internal/approvals/{id}")).await.status, 404, "{id}");
        }
    });
}

#[test]
fn a_no_is_told_and_what_is_too_large_to_be_known_again_waits_instead() {
    run(async {
        let scene = scene_with(RULE, |builder| builder.config("[limits]\ncontent = \"2KiB\"")).await;
        assert_eq!(scene.caller.send(later("/x", "{}")).await.status, 202);
        let (id, _) = scene.question().await;
        scene.answer(&id, json!({ "decision": "deny" })).await;
        let reply = scene.caller.get(&format!("https://nexus.internal/approvals/{id}")).await;
        assert_eq!(document(&reply)["status"], "denied");
        let (mut sender, body) = channel();
        let mut large = later("/large", "");
        *large.body_mut() = body;
        let held = scene.send(large);
        sender.send_data("x".repeat(5000).into()).await.expect("a frame");
        drop(sender);
        let (id, item) = scene.question().await;
        assert_eq!((&item["respond_async"], &item["body"]["sha256"]), (&false.into(), &Value::Null), "{item}");
        scene.answer(&id, json!({ "decision": "allow" })).await;
        assert_eq!(held.await.expect("an answer").status, 200);
        assert_eq!(
            scene.service.seen().pop().and_then(|seen| seen.body).map(|body| body.len()),
            Some(5000),
            "all of it went on"
        );
    });
}
