//! The webhook is told of questions, and may answer: signed, once, in time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::mpsc;

use super::*;
use crate::harness::{Said, answer as answered};

const HOOKS: &str = "hooks.alerts.test";
const SIGNING: &[u8; 32] = b"thirty-two bytes that sign hooks";

/// A scene whose webhook passes on what it was told.
async fn hooked() -> (Scene, mpsc::UnboundedReceiver<Value>, Upstream) {
    let ca = Authority::new();
    let (pass, taken) = mpsc::unbounded_channel();
    let hooks = Upstream::serve(&ca, &[HOOKS], Offers::Both, move |mut call| {
        let pass = pass.clone();
        async move {
            let body = call.read().await.expect("a body");
            drop(pass.send(serde_json::from_slice(&body).expect("JSON")));
            answered(200, "")
        }
    })
    .await;
    let service = service(&ca, Offers::Both).await;
    let builder = home(&ca, &service).config(RULE).gateway().resolve(HOOKS, hooks.address);
    let text = format!("whsec_{}\n", STANDARD.encode(SIGNING));
    let file = builder.home().path().join("webhook.secret");
    nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
    let builder = builder
        .config(&format!("[attention]\nwebhook = \"https://{HOOKS}/\"\nwebhook_secret_file = \"webhook.secret\"\n[gateway]\nwrong_keys_per_minute = 20\n"));
    let (builder, admin) = builder.key("boss", GatewayKeyKind::Admin, |_key| {});
    let nexus = builder.start();
    let (person, caller) = (nexus.gateway().key(&admin), Caller::new(&nexus));
    (Scene { service, nexus, person, caller, token: String::new() }, taken, hooks)
}

async fn next(taken: &mut mpsc::UnboundedReceiver<Value>, kind: &str) -> Value {
    let notice = taken.recv().await.expect("a notice");
    assert_eq!(notice["type"], kind, "{notice}");
    notice["data"].clone()
}

/// A reply as the receiver of the notice would send it, `off` seconds from now, signed with `key`.
async fn reply(scene: &Scene, id: &str, body: &Value, (key, off): (&[u8], i64)) -> Said {
    let (message, at, text) = ("msg_reply", (jiff::Timestamp::now().as_second() + off).to_string(), body.to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    mac.update(format!("{message}.{at}.{text}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let hook = scene.nexus.gateway().nobody().with("webhook-id", message).with("webhook-timestamp", &at);
    hook.with("webhook-signature", &signature).ask("POST", &format!("/api/approvals/{id}/reply"), Some(body)).await
}

#[test]
fn a_signed_reply_answers_once_and_nothing_else_does() {
    run(async {
        let (scene, mut taken, _hooks) = hooked().await;
        let held = scene.post("/x", "{\"password\": \"hunter2\"}");
        let notice = next(&mut taken, "approval.asked").await;
        let (id, token) = (notice["id"].as_str().expect("an id"), notice["reply_token"].as_str().expect("a word"));
        assert!(
            notice["reply_url"].as_str().is_some_and(|url| url.ends_with(&format!("/api/approvals/{id}/reply"))),
            "{notice}"
        );
        assert_eq!(notice["body"]["preview"], "{\"password\": \"***\"}");
        let right = json!({ "token": token, "decision": "allow" });
        let wrong = json!({ "token": "x".repeat(43), "decision": "allow" });
        for (said, status, code) in [
            (reply(&scene, id, &right, (b"another key that signs no hooks!", 0)).await, 403, "not_signed"),
            (reply(&scene, id, &right, (SIGNING, -400)).await, 403, "not_signed"),
            (reply(&scene, id, &right, (SIGNING, 400)).await, 403, "not_signed"),
            (reply(&scene, id, &wrong, (SIGNING, 0)).await, 404, "not_found"),
            (reply(&scene, "01ARZ3NDEKTSV4RRFFQ69G5FAV", &right, (SIGNING, 0)).await, 404, "not_found"),
            (reply(&scene, id, &json!({ "decision": "allow" }), (SIGNING, 0)).await, 400, "malformed"),
            (reply(&scene, id, &notice, (SIGNING, 0)).await, 400, "malformed"),
            (scene.nexus.gateway().ask("POST", &format!("/api/approvals/{id}/reply"), Some(&right)).await, 403, "not_signed"),
        ] {
            assert_eq!((said.status, said.code().as_str()), (status, code), "{said:?}");
        }
        assert_eq!((scene.service.count(), held.is_finished()), (0, false));
        let said = reply(&scene, id, &right, (SIGNING, 0)).await;
        assert_eq!((said.status, &said.json()["by"]), (200, &"webhook".into()), "{said:?}");
        assert_eq!(held.await.expect("an answer").status, 200);
        assert_eq!(next(&mut taken, "approval.settled").await["status"], "allowed");
        for body in [&right, &json!({ "token": token, "decision": "deny" })] {
            let again = reply(&scene, id, body, (SIGNING, 0)).await;
            assert_eq!((again.status, again.code().as_str()), (409, "settled"), "{again:?}");
        }
        assert_eq!(scene.service.count(), 1);
        let opened = scene.nexus.audit_line(|line| line["event"] == "open" && line["approval"] == "once").await;
        assert_eq!(opened["approved_by"], "webhook");
        // Its word is good for the one question only.
        let other = scene.post("/y", "{}");
        let second = next(&mut taken, "approval.asked").await;
        let second = second["id"].as_str().expect("an id");
        assert_eq!(reply(&scene, second, &right, (SIGNING, 0)).await.status, 404);
        scene.answer(second, json!({ "decision": "deny" })).await;
        assert_eq!(other.await.expect("an answer").status, 403);
    });
}

#[test]
fn t134_who_cannot_sign_may_not_try_for_ever() {
    run(async {
        let (scene, mut taken, _hooks) = hooked().await;
        let held = scene.post("/x", "{}");
        let notice = next(&mut taken, "approval.asked").await;
        let id = notice["id"].as_str().expect("an id");
        let body = json!({ "token": notice["reply_token"], "decision": "allow" });
        let mut statuses = Vec::new();
        for _ in 0..25 {
            statuses.push(reply(&scene, id, &body, (b"another key that signs no hooks!", 0)).await.status);
        }
        assert_eq!((statuses[0], statuses[24]), (403, 429), "{statuses:?}");
        held.abort();
    });
}
