//! What a request was refused for is a matter for a person: it is on a list, a webhook is told, the request may wait, and the caller's next
//! one works as soon as the person has acted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use serde_json::Value;
use sha2::Sha256;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::attack::{ACME, HOST, KEY, service};
use crate::harness::{
    Authority, Builder, Call, Caller, Nexus, Offers, Reply, SECRET, Upstream, answer, channel, empty, eventually, request, run,
};

const HOOKS: &str = "hooks.alerts.test";
const SIGNING: &[u8; 32] = b"thirty-two bytes that sign hooks";

/// A receiver of webhooks that checks every signature, answers with the first words of `script`, then 200, and passes on what it took.
pub(crate) struct Hooks {
    upstream: Upstream,
    taken: mpsc::UnboundedReceiver<Value>,
    /// `webhook-id` of each try.
    tries: Arc<Mutex<Vec<String>>>,
}

impl Hooks {
    pub(crate) async fn new(ca: &Authority, script: &'static [u16]) -> Self {
        let (pass, taken) = mpsc::unbounded_channel();
        let (tries, number) = (Arc::new(Mutex::new(Vec::new())), AtomicUsize::new(0));
        let (seen, number) = (Arc::clone(&tries), Arc::new(number));
        let upstream = Upstream::serve(ca, &[HOOKS], Offers::Both, move |mut call| {
            let (pass, seen, number) = (pass.clone(), Arc::clone(&seen), Arc::clone(&number));
            async move {
                let body = call.read().await.expect("a body");
                let header = |name| call.seen.header(name).expect("a field").to_owned();
                seen.lock().expect("a lock").push(header("webhook-id"));
                let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING).expect("a key");
                mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
                mac.update(&body);
                assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
                let age = header("webhook-timestamp").parse::<i64>().expect("seconds") - jiff::Timestamp::now().as_second();
                assert!(age.abs() < 60, "{age}");
                let status = script.get(number.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(200);
                if status == 200 {
                    pass.send(serde_json::from_slice(&body).expect("JSON")).expect("the test listens");
                }
                answer(status, "")
            }
        })
        .await;
        Self { upstream, taken, tries }
    }

    /// What comes next, whatever it is.
    pub(crate) async fn any(&mut self) -> Value {
        self.taken.recv().await.expect("a notice")
    }

    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        let notice = self.any().await;
        assert_eq!(notice["type"], kind, "{notice}");
        notice["data"].clone()
    }
}

/// A home without the credential, whose webhook is `hooks`.
fn home(ca: &Authority, service: &Upstream, hooks: &Hooks) -> Builder {
    told_to(Builder::new(ca).provider("acme", ACME).resolve(HOST, service.address), hooks)
}

/// The webhook of `builder` is `hooks`.
pub(crate) fn told_to(builder: Builder, hooks: &Hooks) -> Builder {
    let builder = builder.resolve(HOOKS, hooks.upstream.address);
    let file = builder.home().path().join("webhook.secret");
    let text = format!("whsec_{}\n", STANDARD.encode(SIGNING));
    nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
    builder.config(&format!("[attention]\nwebhook = \"https://{HOOKS}/nexus\"\nwebhook_secret_file = \"webhook.secret\"\n"))
}

/// As a person does it, in another process.
async fn type_in(nexus: &Nexus, arguments: &[&str], line: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    command.args(arguments).env("NEXUS_HOME", nexus.home().path()).env("NEXUS_SECRET", SECRET);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("the binary");
    child.stdin.take().expect("its input").write_all(format!("{line}\n").as_bytes()).await.expect("a write");
    let done = child.wait_with_output().await.expect("an end");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

async fn register(nexus: &Nexus) {
    type_in(nexus, &["register", "acme", "--stdin"], &format!("api_key={KEY}")).await;
}

/// The document of a refusal.
pub(crate) fn told(reply: &Reply) -> Value {
    assert_eq!((reply.status, reply.refusal()), (403, Some("auth_required")), "{reply:?}");
    serde_json::from_slice(&reply.body).expect("JSON")
}

/// What its `status_url` says to `caller`.
async fn polled(caller: &Caller, refusal: &Value) -> Reply {
    let url = refusal["status_url"].as_str().expect("an address").replace("http://", "https://");
    caller.get(&url).await
}

pub(crate) async fn status(caller: &Caller, refusal: &Value) -> String {
    let reply = polled(caller, refusal).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let item: Value = serde_json::from_slice(&reply.body).expect("JSON");
    item["status"].as_str().expect("a word").to_owned()
}

fn get(caller: &Caller, path: &'static str) -> JoinHandle<Reply> {
    let caller = caller.clone();
    tokio::spawn(async move { caller.get(&format!("https://{HOST}{path}")).await })
}

#[test]
fn a_refusal_is_on_the_list_until_a_person_has_registered_and_then_the_same_caller_is_served() {
    run(async {
        let ca = Authority::new();
        let (service, mut hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
        let (builder, token) = home(&ca, &service, &hooks).agent("ci", |_agent| {});
        let nexus = builder.start();
        let caller = Caller::new(&nexus).agent("ci", &token);
        let mut session = caller.http1(HOST).await;
        let first = told(&session.get("/first").await);
        for (member, value) in [
            ("category", "auth_required"),
            ("urgency", "blocking"),
            ("title", "Acme needs a credential"),
            ("reason", "not_registered"),
            ("connection", "acme"),
            ("command", "nexus register acme"),
        ] {
            assert_eq!(first[member], value, "{first}");
        }
        assert!(first["content"].as_str().is_some_and(|text| text.contains("`nexus register acme`")), "{first}");
        assert_eq!(
            first["status_url"],
            format!("http://nexus.internal/attention/{}", first["request_id"].as_str().expect("an id"))
        );
        let second = told(&session.get("/second").await);
        assert_eq!(second["status_url"], first["status_url"], "one need, one item");
        assert_eq!(status(&caller, &first).await, "open");
        let opened = hooks.next("attention.opened").await;
        assert_eq!((&opened["id"], &opened["agent"], &opened["count"]), (&first["request_id"], &"ci".into(), &1.into()));

        register(&nexus).await;
        assert_eq!(session.get("/third").await.status, 200);
        assert_eq!(status(&caller, &first).await, "resolved");
        let resolved = hooks.next("attention.resolved").await;
        assert_eq!((&resolved["id"], &resolved["count"]), (&first["request_id"], &2.into()));
        assert!(service.seen().iter().all(|seen| seen.bearer() == Some(KEY)) && service.count() == 1);
        let line = nexus.closed("/first").await;
        assert_eq!((&line["event"], &line["id"]), (&"refuse".into(), &first["request_id"]), "{line}");
    });
}

#[test]
fn the_status_is_there_in_plain_http_as_the_refusal_says() {
    run(async {
        let ca = Authority::new();
        let (service, hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
        let nexus = home(&ca, &service, &hooks).config("[proxy]\nunregistered = \"refuse\"").start();
        let caller = Caller::new(&nexus);
        let refusal = told(&caller.get("https://api.acme.test/x").await);
        let url = refusal["status_url"].as_str().expect("an address");
        let curl = crate::harness::Program::new(&nexus, "curl", None).args(&["-sS", "--fail", url]).run().await.ok();
        assert!(curl.contains("\"status\":\"open\""), "{curl}");
    });
}

#[test]
fn a_connection_that_was_revoked_says_so_until_it_is_registered_again() {
    run(async {
        let ca = Authority::new();
        let (service, mut hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
        let nexus = home(&ca, &service, &hooks).register("acme", &[("api_key", KEY)]).start();
        let id = "acme".parse().expect("a handle");
        nexus.store().update(&id, |entry| entry.status = nexus::vault::Status::Revoked).expect("a write");
        let caller = Caller::new(&nexus);
        let refusal = told(&caller.get("https://api.acme.test/x").await);
        assert_eq!((&refusal["reason"], service.count()), (&"revoked".into(), 0), "{refusal}");
        assert_eq!(hooks.next("attention.opened").await["id"], refusal["request_id"]);
        nexus.register("acme", &[("api_key", KEY)], None);
        assert_eq!(caller.get("https://api.acme.test/x").await.status, 200);
        assert_eq!(hooks.next("attention.resolved").await["id"], refusal["request_id"]);
    });
}

#[test]
fn a_key_that_lacks_what_the_service_needs_is_met_by_another_registration() {
    run(async {
        let ca = Authority::new();
        let (service, mut hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
        let nexus = home(&ca, &service, &hooks).register("acme", &[("other", "not-what-is-placed-0123")]).start();
        let caller = Caller::new(&nexus);
        let refusal = told(&caller.get("https://api.acme.test/x").await);
        assert_eq!(refusal["reason"], "unfit", "{refusal}");
        hooks.next("attention.opened").await;
        assert_eq!(status(&caller, &refusal).await, "open");
        nexus.register("acme", &[("api_key", KEY)], None);
        assert_eq!(hooks.next("attention.resolved").await["id"], refusal["request_id"]);
        assert_eq!(caller.get("https://api.acme.test/x").await.status, 200);
    });
}

/// Takes no credential but `KEY`.
async fn picky(ca: &Authority) -> Upstream {
    let judge =
        |call: Call| async move { answer(if call.seen.bearer() == Some(KEY) { 200 } else { 401 }, "the service's own words") };
    Upstream::serve(ca, &[HOST], Offers::Both, judge).await
}

#[test]
fn a_key_that_the_service_refuses_is_told_to_a_person_while_the_answer_is_the_callers() {
    run(async {
        let ca = Authority::new();
        let (service, mut hooks) = (picky(&ca).await, Hooks::new(&ca, &[]).await);
        let nexus = home(&ca, &service, &hooks).register("acme", &[("api_key", "a-key-that-somebody-revoked")]).start();
        let caller = Caller::new(&nexus);
        for path in ["/first", "/second"] {
            let reply = caller.get(&format!("https://{HOST}{path}")).await;
            assert_eq!((reply.status, reply.refusal(), reply.text()), (401, None, "the service's own words"));
        }
        let opened = hooks.next("attention.opened").await;
        for (member, value) in [
            ("urgency", "advisory"),
            ("reason", "refused"),
            ("title", "Acme refuses its credential"),
            ("connection", "acme"),
            ("command", "nexus register acme"),
        ] {
            assert_eq!(opened[member], value, "{opened}");
        }
        let line = nexus.closed("/first").await;
        assert_eq!((&line["id"], &line["status"]), (&opened["id"], &401.into()), "{line}");
        let item = serde_json::json!({ "status_url": format!("http://nexus.internal/attention/{}", opened["id"].as_str().expect("an id")) });
        assert_eq!(status(&caller, &item).await, "open");
        nexus.register("acme", &[("api_key", KEY)], None);
        assert_eq!(hooks.next("attention.resolved").await["count"], 2);
        assert_eq!(caller.get("https://api.acme.test/third").await.status, 200);
    });
}

#[test]
fn a_key_that_works_again_needs_nobody() {
    run(async {
        let ca = Authority::new();
        let open = Arc::new(AtomicUsize::new(401));
        let now = Arc::clone(&open);
        let service = Upstream::serve(&ca, &[HOST], Offers::Both, move |_call| {
            let status = u16::try_from(now.load(Ordering::SeqCst)).expect("a status");
            async move { answer(status, "") }
        })
        .await;
        let mut hooks = Hooks::new(&ca, &[]).await;
        let nexus = home(&ca, &service, &hooks).register("acme", &[("api_key", KEY)]).start();
        let caller = Caller::new(&nexus);
        assert_eq!(caller.get("https://api.acme.test/x").await.status, 401);
        hooks.next("attention.opened").await;
        open.store(200, Ordering::SeqCst);
        assert_eq!(caller.get("https://api.acme.test/x").await.status, 200);
        hooks.next("attention.resolved").await;
    });
}

#[test]
fn a_token_past_its_end_that_the_service_refuses_is_dead() {
    run(async {
        let ca = Authority::new();
        let (service, mut hooks) = (picky(&ca).await, Hooks::new(&ca, &[]).await);
        let nexus = home(&ca, &service, &hooks).register("acme", &[("api_key", "a-token-that-has-ended")]).start();
        let id = "acme".parse().expect("a handle");
        nexus.store().update(&id, |entry| entry.expires_at = Some(std::time::SystemTime::UNIX_EPOCH)).expect("a write");
        let caller = Caller::new(&nexus);
        let first = told(&caller.get("https://api.acme.test/x").await);
        assert_eq!((&first["reason"], &first["urgency"]), (&"attention".into(), &"blocking".into()), "{first}");
        let next = told(&caller.get("https://api.acme.test/x").await);
        assert_eq!((&next["status_url"], service.count()), (&first["status_url"], 1), "nothing goes with it any more");
        assert_eq!(hooks.next("attention.opened").await["id"], first["request_id"]);
        assert_eq!(status(&caller, &first).await, "open", "the vault alone would call it active");
        nexus.register("acme", &[("api_key", KEY)], None);
        assert_eq!(hooks.next("attention.resolved").await["id"], first["request_id"]);
        assert_eq!(caller.get("https://api.acme.test/x").await.status, 200);
    });
}

#[test]
fn what_the_request_names_is_what_is_to_be_registered() {
    run(async {
        let ca = Authority::new();
        let (service, hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
        let builder = home(&ca, &service, &hooks);
        let (builder, token) = builder.agent("ci", |agent| agent.user = Some("alice".parse().expect("a name")));
        let nexus = builder.start();
        let caller = Caller::new(&nexus).agent("ci", &token);
        for (named, command) in [(None, "nexus register acme --user alice"), (Some("acme"), "nexus register acme")] {
            let mut asked = request(Method::GET, "https://api.acme.test/x", empty());
            if let Some(named) = named {
                asked.headers_mut().insert("nexus-connection", named.parse().expect("a value"));
            }
            let refusal = told(&caller.send(asked).await);
            assert_eq!(refusal["command"], command, "{refusal}");
        }
    });
}

#[test]
fn a_restart_leaves_the_list_and_what_was_done_meanwhile_settles_it() {
    run(async {
        let ca = Authority::new();
        let (service, mut hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
        let mut nexus = home(&ca, &service, &hooks).config("[proxy]\nunregistered = \"refuse\"").spawn().await;
        let refusal = told(&Caller::new(&nexus).get("https://api.acme.test/x").await);
        let id = refusal["request_id"].as_str().expect("an id").to_owned();
        hooks.next("attention.opened").await;
        let file = nexus.home().attention_file();
        eventually("a file", || std::fs::read_to_string(&file).ok().filter(|text| text.contains(&id))).await;
        nexus.kill().await;
        nexus.respawn().await;
        assert_eq!(status(&Caller::new(&nexus), &refusal).await, "open");
        nexus.kill().await;
        nexus.register("acme", &[("api_key", KEY)], None);
        nexus.respawn().await;
        assert_eq!(hooks.next("attention.resolved").await["id"], id.as_str(), "and nobody was called once more");
        assert_eq!(status(&Caller::new(&nexus), &refusal).await, "resolved");
    });
}

mod list {
    use super::*;

    #[test]
    fn i6_an_item_is_for_the_agent_that_was_refused_alone() {
        run(async {
            let ca = Authority::new();
            let (service, hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
            let (builder, alice) = home(&ca, &service, &hooks).agent("alice", |_agent| {});
            let (builder, bob) = builder.agent("bob", |_agent| {});
            let nexus = builder.start();
            let (alice, bob) = (Caller::new(&nexus).agent("alice", &alice), Caller::new(&nexus).agent("bob", &bob));
            let hers = told(&alice.get("https://api.acme.test/x").await);
            let his = told(&bob.get("https://api.acme.test/x").await);
            assert_ne!(hers["status_url"], his["status_url"]);
            for (caller, refusal, expected) in
                [(&alice, &hers, 200), (&bob, &his, 200), (&alice, &his, 404), (&bob, &hers, 404)]
            {
                assert_eq!(polled(caller, refusal).await.status, expected);
            }
            for id in ["", "x", "../ca.pem", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "%00"] {
                assert_eq!(alice.get(&format!("https://nexus.internal/attention/{id}")).await.status, 404, "{id}");
            }
            let refused = Caller::new(&nexus).tunnel("nexus.internal:443").await;
            if let Ok(stream) = refused {
                let mut inside =
                    Caller::new(&nexus).handshake(stream, "nexus.internal", &["http/1.1"]).await.expect("a handshake");
                let path = hers["status_url"].as_str().and_then(|url| url.split_once("internal")).expect("a path").1;
                let asked = format!("GET {path} HTTP/1.1\r\nHost: nexus.internal\r\n\r\n");
                inside.write_all(asked.as_bytes()).await.expect("a write");
                assert!(crate::harness::read_head(&mut inside).await.starts_with("HTTP/1.1 407 "), "nobody in particular");
            }
        });
    }

    #[test]
    fn i7_whoever_asks_for_everything_pushes_out_nobody_elses() {
        run(async {
            let ca = Authority::new();
            let (service, hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
            let (builder, quiet) =
                home(&ca, &service, &hooks).register("acme:somebody", &[("api_key", KEY)]).agent("quiet", |agent| {
                    agent.user = Some("quiet".parse().expect("a name"));
                });
            let (builder, greedy) = builder.agent("greedy", |_agent| {});
            let nexus = builder.start();
            let quiet = Caller::new(&nexus).agent("quiet", &quiet);
            let hers = told(&quiet.get("https://api.acme.test/x").await);
            let greedy = Caller::new(&nexus).agent("greedy", &greedy);
            let mut session = greedy.http2(HOST).await;
            let mut refusals = Vec::new();
            for number in 0..300 {
                let mut asked = request(Method::GET, "/x", empty());
                asked.headers_mut().insert("nexus-connection", format!("acme:u{number}").parse().expect("a value"));
                refusals.push(told(&session.send(asked).await));
            }
            assert_eq!(status(&quiet, &hers).await, "open");
            let mut kept = 0;
            for refusal in &refusals {
                kept += usize::from(polled(&greedy, refusal).await.status == 200);
            }
            assert_eq!(kept, 64);
        });
    }

    #[test]
    fn i1_nothing_of_the_request_but_its_connection_is_shown() {
        run(async {
            let ca = Authority::new();
            let (service, mut hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
            let nexus = home(&ca, &service, &hooks).config("[proxy]\nunregistered = \"refuse\"").start();
            let caller = Caller::new(&nexus);
            let url = "https://api.acme.test/%5B31m/%3Cscript%3E?token=OF-THE-CALLER&q=%22%7D";
            let mut asked = request(Method::GET, url, empty());
            let fields = [("authorization", "Bearer OF-THE-CALLER"), ("x-api-key", "OF-THE-CALLER"), ("user-agent", "<b>\"}")];
            for (name, value) in fields {
                asked.headers_mut().insert(name, value.parse().expect("a value"));
            }
            let reply = caller.send(asked).await;
            let notice = hooks.next("attention.opened").await.to_string();
            for text in [reply.text(), &notice, polled(&caller, &told(&reply)).await.text()] {
                for word in ["OF-THE-CALLER", "script", "31m", "<b>", KEY] {
                    assert!(!text.contains(word), "{word}: {text}");
                }
            }
            for odd in ["acme:<script>", "acme:a b", "acme:\"", "acme:"] {
                let mut asked = request(Method::GET, "https://api.acme.test/x", empty());
                let value = http::HeaderValue::from_bytes(odd.as_bytes()).expect("a value");
                asked.headers_mut().insert("nexus-connection", value);
                let reply = caller.send(asked).await;
                assert_eq!((reply.status, reply.text().contains(odd)), (403, false), "{odd} {reply:?}");
            }
            let reply = caller.get("https://api.acme.test/%1b%5b31m").await;
            assert_eq!(reply.refusal(), Some("policy"), "what has two readings is refused before anybody is asked: {reply:?}");
        });
    }
}

mod webhook {
    use super::*;

    #[test]
    fn a_receiver_that_fails_is_asked_again_with_the_same_message() {
        run(async {
            let ca = Authority::new();
            let (service, mut hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[500, 302]).await);
            let nexus = home(&ca, &service, &hooks).config("[proxy]\nunregistered = \"refuse\"").start();
            told(&Caller::new(&nexus).get("https://api.acme.test/x").await);
            hooks.next("attention.opened").await;
            let tries = hooks.tries.lock().expect("a lock").clone();
            assert_eq!((tries.len(), &tries[0], &tries[1]), (3, &tries[1], &tries[2]));
        });
    }

    #[test]
    fn a_placeholder_in_a_wrong_place_is_told_at_once_and_once() {
        run(async {
            let ca = Authority::new();
            let (service, mut hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
            let nexus = home(&ca, &service, &hooks).register("acme", &[("api_key", KEY)]).start();
            let mut session = Caller::new(&nexus).http1(HOST).await;
            let placeholder = nexus.placeholder("local", "acme");
            for path in ["/first", "/again"] {
                assert_eq!(session.get(&format!("{path}?x={placeholder}")).await.status, 200);
            }
            assert_eq!(session.get(&format!("/{placeholder}")).await.status, 200);
            let (query, path) = (hooks.next("canary.seen").await, hooks.next("canary.seen").await);
            assert_eq!((query["place"].as_str(), path["place"].as_str()), (Some("query"), Some("path")));
            let line = nexus.audit_line(|line| line["id"] == query["request_id"]).await;
            assert!(line["path"].as_str().is_some_and(|path| path.starts_with("/first")), "{line}");
            for (name, value) in
                [("agent", "local"), ("owner", "local"), ("connection", "acme"), ("host", HOST), ("action", "alarm")]
            {
                assert_eq!(query[name], value, "{query}");
            }
            assert!(!query.to_string().contains(&placeholder));
        });
    }

    #[test]
    fn without_a_key_of_its_own_nothing_starts() {
        let ca = Authority::new();
        for (text, word) in
            [(None, "there is no such file"), (Some("whsec_c2hvcnQ="), "24 to 64 bytes"), (Some("word"), "whsec_")]
        {
            let builder =
                Builder::new(&ca).config(&format!("[attention]\nwebhook = \"https://{HOOKS}/\"\nwebhook_secret_file = \"k\""));
            if let Some(text) = text {
                nexus::disk::write_atomic(&builder.home().path().join("k"), text.as_bytes(), nexus::disk::PRIVATE)
                    .expect("a file");
            }
            builder.write_config();
            let config = builder.home().config(&[]).expect("a configuration");
            let said = nexus::app::check(builder.home(), &config, false).expect_err("refused").to_string();
            assert!(said.starts_with("attention.webhook_secret_file: ") && said.contains(word), "{said}");
            assert!(text.is_none_or(|text| !said.contains(text)), "{said}");
        }
    }
}

mod told {
    use nexus::app::GatewayKeyKind;

    use super::*;

    /// What a command of this machine says, as JSON.
    async fn command(nexus: &Nexus, arguments: &[&str]) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
        command.args(arguments).arg("--json").env("NEXUS_HOME", nexus.home().path()).env("NEXUS_SECRET", SECRET);
        let output = command.kill_on_drop(true).output().await.expect("the binary");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    #[test]
    fn the_operator_sees_it_at_the_gateway_and_on_the_command_line_until_it_is_done() {
        run(async {
            let ca = Authority::new();
            let (service, hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
            let (builder, token) = home(&ca, &service, &hooks).gateway().agent("ci", |_agent| {});
            let (builder, admin) = builder.key("boss", GatewayKeyKind::Admin, |_key| {});
            let nexus = builder.start();
            nexus.home().announce_gateway(&nexus.local_gateway()).expect("a file");
            let admin = nexus.gateway().key(&admin);
            let nothing = admin.get("/api/attention").await.json();
            assert_eq!((&nothing["items"], &nothing["held"]), (&serde_json::json!([]), &0.into()));
            assert_eq!(command(&nexus, &["status"]).await["attention"]["open"], serde_json::json!([]));

            let caller = Caller::new(&nexus).agent("ci", &token);
            let refusal = told(&caller.get("https://api.acme.test/x").await);
            let id = refusal["request_id"].as_str().expect("an id");
            let item = admin.get("/api/attention").await.json()["items"][0].clone();
            for (member, value) in [
                ("id", id),
                ("status", "open"),
                ("category", "auth_required"),
                ("urgency", "blocking"),
                ("agent", "ci"),
                ("connection", "acme"),
                ("provider", "acme"),
                ("command", "nexus register acme"),
            ] {
                assert_eq!(item[member], value, "{item}");
            }
            let status = command(&nexus, &["status"]).await;
            assert_eq!((&status["attention"]["open"][0], &status["ok"]), (&item, &true.into()));
            assert_eq!(command(&nexus, &["attention"]).await["items"][0], item);

            register(&nexus).await;
            assert_eq!(admin.get(&format!("/api/attention/{id}")).await.json()["status"], "resolved");
            assert_eq!(command(&nexus, &["status"]).await["attention"]["open"], serde_json::json!([]));
            assert_eq!(caller.get("https://api.acme.test/x").await.status, 200);
        });
    }

    #[test]
    fn i6_an_app_sees_what_is_about_its_persons_connections() {
        run(async {
            let ca = Authority::new();
            let (service, hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
            let user = |name: &str| Some(name.parse().expect("a name"));
            let (builder, alice) = home(&ca, &service, &hooks).gateway().agent("alice", |agent| agent.user = user("alice"));
            let (builder, bob) = builder.agent("bob", |agent| agent.user = user("bob"));
            let (builder, app) = builder.key("app", GatewayKeyKind::App, |key| key.user = user("alice"));
            let nexus = builder.start();
            let mut ids = Vec::new();
            for (name, token) in [("alice", &alice), ("bob", &bob)] {
                let refusal = told(&Caller::new(&nexus).agent(name, token).get("https://api.acme.test/x").await);
                assert_eq!(refusal["command"], format!("nexus register acme --user {name}"));
                ids.push(refusal["request_id"].as_str().expect("an id").to_owned());
            }
            let app = nexus.gateway().key(&app);
            let list = app.get("/api/attention").await.json();
            assert_eq!(
                (list["items"].as_array().map(Vec::len), &list["items"][0]["user"]),
                (Some(1), &"alice".into()),
                "{list}"
            );
            assert_eq!(list["webhook"], Value::Null, "{list}");
            assert_eq!(app.get(&format!("/api/attention/{}", ids[0])).await.status, 200);
            for id in [&ids[1], "01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
                let said = app.get(&format!("/api/attention/{id}")).await;
                assert_eq!((said.status, said.body.contains("bob")), (404, false), "{said:?}");
            }
            for path in ["/api/attention", "/api/attention/x"] {
                assert_eq!(nexus.gateway().nobody().get(path).await.status, 401, "{path}");
            }
        });
    }

    #[test]
    fn i5_a_webhook_leads_to_no_private_address_and_the_status_says_so() {
        run(async {
            let ca = Authority::new();
            let (service, hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
            let port = hooks.upstream.address.port();
            let builder = home(&ca, &service, &hooks).gateway().config("[proxy]\nunregistered = \"refuse\"");
            let nexus = builder.config(&format!("[attention]\nwebhook = \"https://127.0.0.1:{port}/x\"")).start();
            nexus.home().announce_gateway(&nexus.local_gateway()).expect("a file");
            told(&Caller::new(&nexus).get("https://api.acme.test/x").await);
            let fares = async {
                loop {
                    let webhook = nexus.gateway().get("/api/attention").await.json()["webhook"].clone();
                    if webhook["error"].is_string() {
                        return webhook;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let webhook = fares.await;
            assert!(webhook["error"].as_str().is_some_and(|text| text.contains("127.0.0.1")), "{webhook}");
            assert_eq!((&webhook["delivered"], hooks.upstream.connections()), (&0.into(), 0));
            let status = command(&nexus, &["status"]).await;
            assert_eq!(
                (&status["ok"], &status["attention"]["webhook"]["error"]),
                (&false.into(), &webhook["error"]),
                "{status}"
            );
        });
    }
}

mod hold {
    use super::*;

    /// A held request: a caller, what becomes of its request, and the Nexus that holds it.
    async fn scene(ca: &Authority, more: &str) -> (Upstream, Hooks, Nexus) {
        let (service, hooks) = (service(ca, Offers::Both).await, Hooks::new(ca, &[]).await);
        let nexus = home(ca, &service, &hooks).config("[proxy]\nunregistered = \"refuse\"\n[attention]\nhold = \"50s\"");
        let nexus = nexus.config(&format!("[attention]\n{more}\n")).start();
        (service, hooks, nexus)
    }

    #[test]
    fn a_request_waits_for_the_person_and_goes_on_at_once() {
        run(async {
            let ca = Authority::new();
            for kind in ["express", "engine", "http2"] {
                let (service, mut hooks, nexus) = scene(&ca, "").await;
                let caller = Caller::new(&nexus);
                let (mut sender, body) = channel();
                let waiting = tokio::spawn(async move {
                    let asked = request(Method::POST, "/held", if kind == "express" { empty() } else { body });
                    let mut session = if kind == "http2" { caller.http2(HOST).await } else { caller.http1(HOST).await };
                    session.send(asked).await
                });
                hooks.next("attention.opened").await;
                assert_eq!((service.count(), waiting.is_finished()), (0, false), "{kind}");
                register(&nexus).await;
                let registered = Instant::now();
                if kind != "express" {
                    sender.send_data("what came late".into()).await.expect("a frame");
                }
                drop(sender);
                let reply = waiting.await.expect("an answer");
                assert_eq!(reply.status, 200, "{kind}: {reply:?}");
                assert!(registered.elapsed() < Duration::from_secs(10), "{kind}: {:?}", registered.elapsed());
                let seen = service.seen().pop().expect("a request");
                let body = seen.body.clone().expect("a body");
                assert_eq!(
                    (seen.bearer(), &body[..]),
                    (Some(KEY), if kind == "express" { &b""[..] } else { b"what came late" })
                );
                assert_eq!(nexus.notes("/held").await, ["held"]);
                hooks.next("attention.resolved").await;
            }
        });
    }

    #[test]
    fn it_begins_with_the_configuration_that_is_written() {
        run(async {
            let ca = Authority::new();
            let (_service, mut hooks, nexus) = scene(&ca, "hold = \"0s\"").await;
            let (caller, file) = (Caller::new(&nexus), nexus.home().config_file());
            let written = std::fs::read_to_string(&file).expect("the file");
            let longer = written.replace("hold = \"0s\"", "hold = \"50s\"");
            assert_ne!(written, longer);
            nexus::disk::write_atomic(&file, longer.as_bytes(), nexus::disk::PRIVATE).expect("a file");
            nexus.reload();
            let held = get(&caller, "/held");
            hooks.next("attention.opened").await;
            register(&nexus).await;
            // Refused at once, it would not have been there any more.
            assert_eq!(held.await.expect("an answer").status, 200);
        });
    }

    #[test]
    fn a_request_whose_time_is_up_is_refused_and_on_record_as_that() {
        run(async {
            let ca = Authority::new();
            let (service, mut hooks, nexus) = scene(&ca, "hold = \"200ms\"").await;
            let caller = Caller::new(&nexus);
            let began = Instant::now();
            let refusal = told(&caller.get("https://api.acme.test/late").await);
            assert!(began.elapsed() >= Duration::from_millis(200));
            let opened = hooks.next("attention.opened").await;
            assert_eq!((&opened["id"], &opened["count"]), (&refusal["request_id"], &1.into()), "a person knew of it before");
            let line = nexus.closed("/late").await;
            assert_eq!((&line["event"], &line["notes"]), (&"refuse".into(), &serde_json::json!(["held"])), "{line}");
            assert_eq!((service.count(), status(&caller, &refusal).await.as_str()), (0, "open"));
        });
    }

    #[test]
    fn i7_no_more_requests_are_held_than_may_be() {
        run(async {
            let ca = Authority::new();
            for limit in ["hold_limit = 1", "agent_hold_limit = 1"] {
                let (_service, mut hooks, nexus) = scene(&ca, limit).await;
                let caller = Caller::new(&nexus);
                let held = get(&caller, "/held");
                hooks.next("attention.opened").await;
                told(&caller.get("https://api.acme.test/too-many").await);
                assert!(!held.is_finished(), "{limit}");
                register(&nexus).await;
                assert_eq!(held.await.expect("an answer").status, 200, "{limit}");
            }
        });
    }

    #[test]
    fn i7_a_caller_that_leaves_frees_its_place() {
        run(async {
            let ca = Authority::new();
            for http2 in [false, true] {
                let (_service, mut hooks, nexus) = scene(&ca, "agent_hold_limit = 1").await;
                let caller = Caller::new(&nexus);
                let leaving = caller.clone();
                let leaving = tokio::spawn(async move {
                    let mut session = if http2 { leaving.http2(HOST).await } else { leaving.http1(HOST).await };
                    session.get("/left").await
                });
                hooks.next("attention.opened").await;
                leaving.abort();
                assert_eq!(nexus.closed("/left").await["notes"], serde_json::json!(["held", "abandoned"]), "HTTP/2: {http2}");
                let (mut one, mut other) = (get(&caller, "/one"), get(&caller, "/other"));
                let (refused, held) = tokio::select! {
                    reply = &mut one => (reply, other),
                    reply = &mut other => (reply, one),
                };
                told(&refused.expect("an answer"));
                assert!(!held.is_finished());
                register(&nexus).await;
                assert_eq!(held.await.expect("an answer").status, 200);
            }
        });
    }

    #[test]
    fn a_proxy_that_stops_lets_nobody_wait() {
        run(async {
            let ca = Authority::new();
            let (service, mut hooks, mut nexus) = scene(&ca, "").await;
            let held = get(&Caller::new(&nexus), "/held");
            hooks.next("attention.opened").await;
            let began = Instant::now();
            let stopping = tokio::task::spawn_blocking(move || {
                nexus.stop();
                nexus
            });
            let reply = held.await.expect("an answer");
            assert_eq!((reply.status, reply.refusal()), (503, Some("draining")), "{reply:?}");
            let nexus = stopping.await.expect("it stops");
            assert!(began.elapsed() < Duration::from_secs(20) && service.count() == 0);
            let line = nexus.closed("/held").await;
            assert_eq!(line["event"], "refuse", "{line}");
        });
    }

    #[test]
    fn i6_an_agent_that_is_revoked_waits_for_nothing() {
        run(async {
            let ca = Authority::new();
            let (service, mut hooks) = (service(&ca, Offers::Both).await, Hooks::new(&ca, &[]).await);
            let (builder, token) = home(&ca, &service, &hooks).config("[attention]\nhold = \"50s\"").agent("ci", |_agent| {});
            let (builder, _other) = builder.agent("other", |_agent| {});
            let nexus = builder.start();
            let caller = Caller::new(&nexus).agent("ci", &token);
            let mut session = caller.http1(HOST).await;
            let held = tokio::spawn(async move { session.try_send(request(Method::GET, "/held", empty())).await });
            hooks.next("attention.opened").await;
            assert!(nexus.home().revoke(&"ci".parse().expect("a name")).expect("revoked"));
            nexus.reload();
            // Its stream may be ended before the answer is out.
            if let Ok(reply) = held.await.expect("an end") {
                assert_eq!(reply.status, 407, "{reply:?}");
            }
            register(&nexus).await;
            assert_eq!(nexus.closed("/held").await["event"], "refuse");
            assert_eq!(service.count(), 0);
        });
    }

    #[test]
    fn i2_what_is_decided_is_decided_anew_when_the_wait_is_over() {
        run(async {
            let ca = Authority::new();
            let (service, mut hooks, nexus) = scene(&ca, "").await;
            let held = get(&Caller::new(&nexus), "/held");
            hooks.next("attention.opened").await;
            // The rule that it was held for is gone, and the credential that comes is sealed with another host.
            nexus.write_provider("acme", &ACME.replace("[\"api.acme.test\"]", "[\"evil.test\"]"));
            nexus.reload();
            nexus.register("acme", &[("api_key", KEY)], None);
            let reply = held.await.expect("an answer");
            assert!(service.seen().iter().all(|seen| seen.bearer().is_none()), "{reply:?}");
            assert!(!reply.text().contains(KEY));
        });
    }
}
