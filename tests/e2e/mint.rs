//! Programs that make new credentials with the stored one: refused, or where the operator says so kept here as a connection that waits for
//! approval, while the program holds a placeholder.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use nexus::model::ConnectionId;
use nexus::vault::Status;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::{
    Authority, Body, Builder, Caller, Nexus, Offers, Program, Reply, Upstream, answer, channel, empty, full, run,
};

const API: &str = "api.sendgrid.com";
const KEYS: &str = "https://api.sendgrid.com/v3/api_keys";
const OWN: &str = "SG.own-key-of-the-operator-0123456789";
const NEW: &str = "SG.their-new-key.0123456789abcdefghijklmnop";
const CAPTURE: &str = "[proxy]\nmints = \"capture\"";
const MANY: usize = 1000;
const JSON: &str = "application/json";

struct Says {
    status: u16,
    kind: &'static str,
    encoding: Option<&'static str>,
    body: Bytes,
}

/// The API, which makes keys at `/v3/api_keys`.
struct Scene {
    ca: Authority,
    api: Upstream,
    says: Arc<Mutex<Says>>,
    /// Answers that the API may give.
    answers: Arc<Semaphore>,
}

impl Scene {
    async fn new() -> Self {
        let ca = Authority::new();
        let says = Says { status: 201, kind: JSON, encoding: None, body: made().to_string().into() };
        let says = Arc::new(Mutex::new(says));
        let script = Arc::clone(&says);
        let answers = Arc::new(Semaphore::new(MANY));
        let gate = Arc::clone(&answers);
        let api = Upstream::serve(
            &ca,
            &[API, "api.acme.test", "auth.acme.test", "git.example.com"],
            Offers::Both,
            move |mut call| {
                let (script, gate) = (Arc::clone(&script), Arc::clone(&gate));
                async move {
                    drop(call.read().await);
                    gate.acquire().await.expect("open").forget();
                    let path = call.parts.uri.path().to_owned();
                    if path == "/token" {
                        let mut granted = answer(200, r#"{"access_token":"renewed-token-0123456789","token_type":"bearer"}"#);
                        granted.headers_mut().insert("content-type", HeaderValue::from_static(JSON));
                        return granted;
                    }
                    if call.seen.bearer() == Some("dead-token-0123456789") {
                        return answer(401, "dead");
                    }
                    if !path.contains("keys") && !path.contains("tokens") {
                        return answer(200, "served");
                    }
                    let says = script.lock().expect("a lock");
                    let mut response = answer(says.status, says.body.clone());
                    let headers = response.headers_mut();
                    headers.insert("content-type", HeaderValue::from_static(says.kind));
                    headers.insert("x-new-key", HeaderValue::from_static(NEW));
                    says.encoding
                        .into_iter()
                        .for_each(|coding| drop(headers.insert("content-encoding", HeaderValue::from_static(coding))));
                    response
                }
            },
        );
        Self { api: api.await, says, answers, ca }
    }

    fn builder(&self) -> Builder {
        let names = [API, "api.acme.test", "auth.acme.test", "git.example.com"];
        names.iter().fold(Builder::new(&self.ca), |builder, name| builder.resolve(name, self.api.address))
    }

    fn says(&self, status: u16, kind: &'static str, body: impl Into<Bytes>) {
        *self.says.lock().expect("a lock") = Says { status, kind, encoding: None, body: body.into() };
    }

    /// The API answers no more until it is let.
    fn hold(&self) {
        self.answers.forget_permits(MANY);
    }

    fn bearer(&self) -> Option<String> {
        self.api.seen().last().and_then(|seen| seen.bearer().map(str::to_owned))
    }
}

fn made() -> Value {
    json!({ "api_key": NEW, "api_key_id": "aBcDeFgHiJkLmNoPqRsTuV", "name": "Mine", "scopes": ["mail.send"] })
}

fn post(url: &str) -> Request<Body> {
    let request =
        Request::builder().method(Method::POST).uri(url).header("content-type", JSON).header("accept-encoding", "gzip");
    request.body(full(r#"{"name":"Mine"}"#)).expect("a request")
}

fn tail(nexus: &Nexus, agent: &str, connection: &str) -> String {
    nexus.placeholder(agent, connection)
}

fn refusal(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.refusal())
}

fn document(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("{reply:?}"))
}

fn connections(nexus: &Nexus) -> Vec<String> {
    nexus.store().list().expect("a vault").iter().map(ToString::to_string).collect()
}

fn approve(nexus: &Nexus, connection: &str) {
    let id: ConnectionId = connection.parse().expect("a handle");
    let approved = nexus.store().approve(&id, SystemTime::now(), |_entry| true).expect("a vault");
    assert_eq!(approved, Some(Ok(())));
}

async fn call_with(caller: &Caller, token: &str) -> Reply {
    let request = Request::builder().uri(format!("https://{API}/v3/scopes")).header("authorization", format!("Bearer {token}"));
    caller.send(request.body(empty()).expect("a request")).await
}

#[test]
fn i2_what_makes_credentials_is_refused_unless_the_operator_says_otherwise() {
    run(async {
        let scene = Scene::new().await;
        let refusing = scene.builder().register("sendgrid", &[("api_key", OWN)]).start();
        assert_eq!(refusal(&Caller::new(&refusing).send(post(KEYS)).await), (403, Some("policy")));
        // And what no file describes is, whatever the operator says; so is one that nobody has a connection for, and every odd spelling.
        let nexus = scene.builder().config(CAPTURE).register("sendgrid", &[("api_key", OWN)]).start();
        let caller = Caller::new(&nexus);
        for url in [
            "https://api.sendgrid.com/v3/subusers",
            "https://api.sendgrid.com/v3/x/../api_keys",
            "https://api.sendgrid.com/V3/api_keys",
            "https://api.sendgrid.com/v3/api%5fkeys/",
        ] {
            assert_eq!(refusal(&caller.send(post(url)).await), (403, Some("policy")), "{url}");
        }
        let mut odd = post(KEYS);
        *odd.method_mut() = Method::from_bytes(b"Post").expect("a method");
        assert_eq!(refusal(&caller.send(odd).await), (403, Some("policy")));
        let without = scene.builder().config(&format!("{CAPTURE}\nunregistered = \"pass\"")).start();
        let mut own = post(KEYS);
        own.headers_mut().insert("authorization", HeaderValue::from_static("Bearer SG.their-own"));
        assert_eq!(refusal(&Caller::new(&without).send(own).await), (403, Some("policy")));
        assert_eq!((scene.api.count(), connections(&nexus), connections(&without)), (0, vec!["sendgrid".to_owned()], vec![]));
    });
}

#[test]
fn i1_a_new_credential_stays_here_and_serves_its_agent_once_approved() {
    run(async {
        let scene = Scene::new().await;
        let (builder, ci) = scene.builder().config(CAPTURE).register("sendgrid", &[("api_key", OWN)]).agent("ci", |_| ());
        let (builder, other) = builder.agent("other", |_| ());
        let nexus = builder.start();
        let (ci, other) = (Caller::new(&nexus).agent("ci", &ci), Caller::new(&nexus).agent("other", &other));
        for (turn, over) in ["http1", "http2"].into_iter().enumerate() {
            let reply = match over {
                "http1" => ci.http1(API).await.send(post(KEYS)).await,
                _ => ci.http2(API).await.send(post(KEYS)).await,
            };
            let seen = scene.api.seen().pop().expect("a request");
            assert_eq!((seen.bearer(), seen.header("accept-encoding")), (Some(OWN), Some("identity")));
            assert_eq!(seen.body.as_deref(), Some(&br#"{"name":"Mine"}"#[..]));
            let connection = format!("sendgrid:ci.{}", turn + 1);
            let own = format!("SG.{}", tail(&nexus, "ci", &connection));
            let wanted =
                json!({ "api_key": own, "api_key_id": "aBcDeFgHiJkLmNoPqRsTuV", "name": "Mine", "scopes": ["mail.send"] });
            assert_eq!((reply.status, document(&reply)), (201, wanted));
            assert!(!format!("{:?}", reply.headers).contains("their-new-key"), "{reply:?}");
            let entry = nexus.entry(&connection);
            assert_eq!((entry.status, entry.captured.as_ref().map(|one| one.agent.as_str())), (Status::Pending, Some("ci")));
            assert!(nexus.holds(&connection, "api_key", NEW) && nexus.holds("sendgrid", "api_key", OWN));
            assert!(entry.hosts.contains(&API.to_owned()), "{entry:?}");
        }
        let token = format!("SG.{}", tail(&nexus, "ci", "sendgrid:ci.1"));
        assert_eq!(refusal(&call_with(&ci, &token).await), (403, Some("auth_required")));
        assert_eq!(refusal(&call_with(&other, &token).await), (403, Some("policy")));
        approve(&nexus, "sendgrid:ci.1");
        assert_eq!((call_with(&ci, &token).await.status, scene.bearer().as_deref()), (200, Some(NEW)));
        assert_eq!(refusal(&call_with(&other, &token).await), (403, Some("policy")));
        // Everybody's default is what it was.
        assert_eq!((ci.get(&format!("https://{API}/v3/scopes")).await.status, scene.bearer().as_deref()), (200, Some(OWN)));
        // Both were made; workers have a spool each, and either's line may come first.
        let line = nexus.audit_line(|line| line["path"] == "/v3/api_keys" && line["made"] == "sendgrid:ci.1").await;
        assert!(line["notes"].to_string().contains("captured"), "{line}");
        assert_eq!(line["connection"], "sendgrid", "{line}");
        let made_with = |name: &str| nexus.entry(name).captured.as_ref().and_then(|one| one.made_with.clone());
        assert_eq!(made_with("sendgrid:ci.1").as_ref().map(ConnectionId::as_str), Some("sendgrid"));
        assert!(!nexus.audit().iter().any(|line| line.to_string().contains("their-new-key")));
    });
}

#[test]
fn i1_an_answer_that_can_t_be_taken_apart_is_kept_back() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().config(CAPTURE).register("sendgrid", &[("api_key", OWN)]).start();
        let caller = Caller::new(&nexus);
        let twice = json!({ "api_key": NEW, "name": NEW });
        let odd: [(&str, Bytes); 6] = [
            (JSON, format!("{{\"api_key\":\"{NEW}\"").into()),
            (JSON, format!("[{{\"api_key\":\"{NEW}\"}}]").into()),
            (JSON, format!("{{\"key\":\"{NEW}\"}}").into()),
            ("text/html", made().to_string().into()),
            (JSON, twice.to_string().into()),
            (JSON, format!("{{\"api_key\":\"{NEW}\",\"x\":\"{}\"}}", "a ".repeat(200_000)).into()),
        ];
        for (kind, body) in odd {
            scene.says(200, kind, body.clone());
            let reply = caller.send(post(KEYS)).await;
            assert_eq!(refusal(&reply), (502, Some("upstream")), "{kind} {body:?}");
            assert!(!reply.text().contains("their-new-key"));
        }
        scene.says.lock().expect("a lock").encoding = Some("gzip");
        assert_eq!(refusal(&caller.send(post(KEYS)).await), (502, Some("upstream")));
        assert_eq!(connections(&nexus), ["sendgrid"]);
        assert!(nexus.notes("/v3/api_keys").await.contains(&"not_captured".to_owned()));
        for (status, body) in [(400, r#"{"errors":[{"message":"no name"}]}"#), (403, "no"), (204, "")] {
            scene.says(status, JSON, body);
            let reply = caller.send(post(KEYS)).await;
            assert_eq!((reply.status, reply.text(), reply.refusal()), (status, body, None), "{reply:?}");
            assert!(status != 204 || !format!("{:?}", reply.headers).contains("their-new-key"), "{reply:?}");
        }
        assert_eq!(connections(&nexus), ["sendgrid"]);
    });
}

#[test]
fn i7_an_agent_has_only_so_many_that_wait() {
    run(async {
        let scene = Scene::new().await;
        let config = format!("{CAPTURE}\n[limits]\npending_log_ins = 1");
        let nexus = scene.builder().config(&config).register("sendgrid", &[("api_key", OWN)]).start();
        let caller = Caller::new(&nexus);
        assert_eq!(caller.send(post(KEYS)).await.status, 201);
        assert_eq!(refusal(&caller.send(post(KEYS)).await), (429, Some("limit")));
        assert_eq!(scene.api.count(), 1, "nothing is made that nobody could keep");
        approve(&nexus, "sendgrid:local.1");
        assert_eq!(caller.send(post(KEYS)).await.status, 201);
    });
}

#[test]
fn a_caller_that_hangs_up_loses_no_key() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().config(CAPTURE).register("sendgrid", &[("api_key", OWN)]).start();
        scene.hold();
        for (turn, over) in ["http1", "http2"].into_iter().enumerate() {
            let caller = Caller::new(&nexus);
            let mut session = if over == "http1" { caller.http1(API).await } else { caller.http2(API).await };
            let leaving = tokio::spawn(async move { session.begin(post(KEYS)).await });
            scene.api.until(|seen| seen.len() == turn + 1).await;
            leaving.abort();
            drop(leaving.await);
            scene.answers.add_permits(1);
            let made = format!("sendgrid:local.{}", turn + 1);
            let line = nexus.audit_line(|line| line["event"] == "close" && line["made"] == made.as_str()).await;
            assert!(line["notes"].to_string().contains("caller_left"), "{over}: {line}");
            assert!(nexus.holds(&made, "api_key", NEW), "{over}");
        }
        let opened = nexus.audit().iter().filter(|line| line["event"] == "open").count();
        let ended = nexus.audit().iter().filter(|line| line["event"] == "close" || line["event"] == "refuse").count();
        assert_eq!((opened, ended), (2, 2), "each request has one record");
    });
}

#[test]
fn a_nexus_that_stops_waits_for_a_key_that_nobody_waits_for() {
    run(async {
        let scene = Scene::new().await;
        let mut nexus = scene.builder().config(CAPTURE).register("sendgrid", &[("api_key", OWN)]).start();
        scene.hold();
        let mut session = Caller::new(&nexus).http1(API).await;
        let leaving = tokio::spawn(async move { session.begin(post(KEYS)).await });
        scene.api.until(|seen| seen.len() == 1).await;
        leaving.abort();
        drop(leaving.await);
        let stopping = std::thread::spawn(move || {
            nexus.stop();
            nexus
        });
        scene.answers.add_permits(1);
        let nexus = tokio::task::spawn_blocking(move || stopping.join().expect("it stops")).await.expect("a thread");
        assert!(nexus.holds("sendgrid:local.1", "api_key", NEW));
    });
}

#[test]
fn where_others_took_the_last_place_meanwhile_the_operator_is_told_to_end_it() {
    run(async {
        let scene = Scene::new().await;
        let config = format!("{CAPTURE}\n[limits]\npending_log_ins = 1");
        let nexus = scene.builder().config(&config).register("sendgrid", &[("api_key", OWN)]).start();
        scene.hold();
        let mut session = Caller::new(&nexus).http1(API).await;
        let making = tokio::spawn(async move { session.send(post(KEYS)).await });
        scene.api.until(|seen| seen.len() == 1).await;
        // Another process of the same home.
        let (agent, now) = ("local".parse().expect("a name"), SystemTime::now());
        let mut entry =
            nexus::vault::Entry::new("sendgrid".parse().expect("a name"), nexus::vault::AuthType::ApiKey, Default::default());
        let until = Some(now + std::time::Duration::from_secs(3600));
        entry.captured = Some(nexus::vault::Captured { agent, user: None, until, since: Some(now), made_with: None });
        nexus.store().capture(entry, now, nexus::vault::PendingBound(1)).expect("captured");
        scene.answers.add_permits(1);
        let reply = making.await.expect("an answer");
        assert_eq!(refusal(&reply), (503, Some("vault")), "{reply:?}");
        assert!(reply.text().contains("should end it there") && reply.text().contains("nexus list"), "{reply:?}");
        assert_eq!(connections(&nexus), ["sendgrid", "sendgrid:local.1"]);
    });
}

#[test]
fn i1_it_is_made_with_a_renewed_credential_which_its_answer_does_not_show() {
    run(async {
        let scene = Scene::new().await;
        let file = r#"
name = "acme"
slots = ["authorization"]
[oauth2]
token_url = "https://auth.acme.test/token"
[[field]]
name = "team"
prompt = "Team"
secret = false
[[inject]]
hosts = ["api.acme.test"]
strategy = { bearer = "{api_key|access_token}" }
mints = ["* /keys/**", { at = "POST /keys", capture = { api_key = "/data/0/value" }, shows = ["/data/0/key_id"] }]
"#;
        let fields = [
            ("access_token", "dead-token-0123456789"),
            ("refresh_token", "r"),
            ("client_id", "c"),
            ("client_secret", "s"),
            ("team", "blue"),
        ];
        let nexus = scene.builder().config(CAPTURE).provider("acme", file).register("acme", &fields).start();
        let echo = json!({ "data": [{ "value": NEW, "key_id": "k-1", "name": "renewed-token-0123456789" }] });
        scene.says(200, JSON, echo.to_string());
        let kept = Caller::new(&nexus).send(post("https://api.acme.test/keys")).await;
        assert_eq!((refusal(&kept), connections(&nexus)), ((502, Some("upstream")), vec!["acme".to_owned()]), "{kept:?}");
        scene.says(200, JSON, json!({ "data": [{ "value": NEW, "key_id": "k-1", "name": "Mine" }] }).to_string());
        let reply = Caller::new(&nexus).send(post("https://api.acme.test/keys")).await;
        let own = tail(&nexus, "local", "acme:local.1");
        assert_eq!((reply.status, &document(&reply)["data"][0]["value"]), (200, &json!(own)), "{reply:?}");
        assert_eq!(document(&reply)["data"][0]["key_id"], "k-1");
        assert_eq!(scene.bearer().as_deref(), Some("renewed-token-0123456789"));
        assert!(nexus.holds("acme:local.1", "api_key", NEW) && nexus.holds("acme:local.1", "team", "blue"));
        assert!(nexus.entry("acme:local.1").fields.field("refresh_token").is_none());
        assert_eq!(refusal(&Caller::new(&nexus).send(post("https://api.acme.test/keys/7")).await), (403, Some("policy")));
    });
}

#[test]
fn a_key_for_a_server_of_ones_own_is_for_that_one() {
    run(async {
        let scene = Scene::new().await;
        let fields = [("api_key", "glpat-own-0123456789abcdef"), ("host", "git.example.com")];
        let nexus = scene.builder().config(CAPTURE).register("gitlab", &fields).start();
        scene.says(201, JSON, json!({ "id": 7, "name": "Mine", "token": "glpat-their-new-0123456789" }).to_string());
        let reply = Caller::new(&nexus).send(post("https://git.example.com/api/v4/user/personal_access_tokens")).await;
        assert_eq!(document(&reply)["token"], format!("glpat-{}", tail(&nexus, "local", "gitlab:local.1")));
        assert_eq!(nexus.entry("gitlab:local.1").hosts, ["git.example.com"]);
    });
}

#[test]
fn explain_and_show_tell_of_it() {
    run(async {
        let scene = Scene::new().await;
        for (config, wanted) in [("", "with proxy.mints = \"capture\""), (CAPTURE, "waits for `nexus approve`")] {
            let nexus = scene.builder().config(config).register("sendgrid", &[("api_key", OWN)]).start();
            let command = |arguments: &[&str]| {
                let home = nexus.home().path().to_str().expect("a path");
                let program = Program::new(&nexus, env!("CARGO_BIN_EXE_nexus"), None);
                program.env("NEXUS_HOME", home).env("NEXUS_SECRET", crate::harness::SECRET).args(arguments)
            };
            let told = command(&["explain", "POST", KEYS]).run().await.ok();
            assert!(told.contains(wanted), "{told}");
            let shown = command(&["providers", "show", "sendgrid"]).run().await.ok();
            assert!(shown.contains("POST /v3/api_keys: api_key"), "{shown}");
        }
    });
}

#[test]
fn i1_a_body_that_puts_another_method_in_place_mints_by_that_one() {
    run(async {
        let scene = Scene::new().await;
        let file = "name = \"acme\"\ntitle = \"Acme\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.acme.test\"]\n\
                    strategy = { bearer = \"{api_key}\" }\nmints = [\"PUT /keys/*\"]\n";
        let nexus = scene.builder().provider("acme", file).register("acme", &[("api_key", OWN)]).start();
        let ask = async |kind: &str, text: &'static str, streams: bool, path: &str| {
            let body = if streams {
                let (mut sender, body) = channel();
                tokio::spawn(async move { sender.send_data(Bytes::from_static(text.as_bytes())).await });
                body
            } else {
                full(text)
            };
            let request = Request::builder().method(Method::POST).uri(format!("https://api.acme.test{path}"));
            Caller::new(&nexus).send(request.header("content-type", kind).body(body).expect("a request")).await
        };
        let form = "application/x-www-form-urlencoded";
        for streams in [false, true] {
            for (kind, text) in [(form, "a=1&_method=put"), (JSON, r#"{"a": 1, "_method": "PUT"}"#)] {
                let reply = ask(kind, text, streams, "/keys/7").await;
                assert_eq!(refusal(&reply), (403, Some("policy")), "{text} {streams}: {reply:?}");
            }
        }
        assert_eq!(scene.api.count(), 0, "none of it left");
        for (kind, text, path) in
            [(form, "a=1", "/keys/7"), (JSON, r#"{"_method": "DELETE"}"#, "/keys/7"), (JSON, r#"{"_method": "PUT"}"#, "/x")]
        {
            let reply = ask(kind, text, true, path).await;
            assert_eq!(
                (reply.status, scene.bearer().as_deref()),
                (if path == "/x" { 200 } else { 201 }, Some(OWN)),
                "{text}: {reply:?}"
            );
            assert_eq!(scene.api.seen().pop().expect("a request").body.as_deref(), Some(text.as_bytes()));
        }
    });
}
