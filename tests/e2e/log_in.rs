//! Programs that log a person in by themselves: the tokens that the service gives stay with Nexus as a connection that waits for approval,
//! and the program holds placeholders.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use nexus::model::ConnectionId;
use nexus::vault::Status;
use serde_json::{Value, json};

use crate::grpc::{program, python};
use crate::harness::{
    Authority, Body, Builder, Caller, Nexus, Offers, Program, Reply, Upstream, answer, channel, empty, full, run,
};

const AUTH: &str = "github.com";
const API: &str = "api.github.com";
const GOOGLE: &str = "oauth2.googleapis.com";
const CLAUDE: &str = "console.anthropic.com";
const CODEX: &str = "auth.openai.com";
const MICROSOFT: &str = "login.microsoftonline.com";
/// What `gcloud auth login` asks for.
const GCLOUD: &str = "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/appengine.admin https://www.googleapis.com/auth/sqlservice.login https://www.googleapis.com/auth/compute https://www.googleapis.com/auth/accounts.reauth";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const ACCESS: &str = "gho_their_access_token_0123456789abcdef";
const REFRESH: &str = "ghr_their_refresh_token_0123456789abcdef";
const CODE: &str = "grant_type=authorization_code&client_id=their-client&client_secret=their-client-secret&code=their-code&code_verifier=their-verifier";
const LOG_IN: &str = "https://github.com/login/oauth/access_token";

/// What the authorization server says to the next request, and the API behind it.
struct Scene {
    ca: Authority,
    endpoint: Upstream,
    api: Upstream,
    says: std::sync::Arc<std::sync::Mutex<Says>>,
    /// Answers that the authorization server may give.
    answers: std::sync::Arc<tokio::sync::Semaphore>,
}

#[derive(Clone)]
struct Says {
    status: u16,
    kind: &'static str,
    encoding: Option<&'static str>,
    body: Bytes,
}

impl Scene {
    async fn new() -> Self {
        let ca = Authority::new();
        let says = Says { status: 200, kind: JSON, encoding: None, body: Bytes::from(granted().to_string()) };
        let says = std::sync::Arc::new(std::sync::Mutex::new(says));
        let script = std::sync::Arc::clone(&says);
        let answers = std::sync::Arc::new(tokio::sync::Semaphore::new(1000));
        let gate = std::sync::Arc::clone(&answers);
        let endpoint = Upstream::serve(
            &ca,
            &[AUTH, GOOGLE, CLAUDE, CODEX, MICROSOFT, "login.salesforce.com"],
            Offers::Both,
            move |mut call| {
                let (script, gate) = (std::sync::Arc::clone(&script), std::sync::Arc::clone(&gate));
                async move {
                    drop(call.read().await);
                    gate.acquire().await.expect("open").forget();
                    let says = script.lock().expect("a lock").clone();
                    let mut response = answer(says.status, says.body);
                    response.headers_mut().insert("content-type", HeaderValue::from_static(says.kind));
                    response.headers_mut().insert("set-cookie", HeaderValue::from_static("their-session=1"));
                    if let Some(encoding) = says.encoding {
                        response.headers_mut().insert("content-encoding", HeaderValue::from_static(encoding));
                    }
                    response
                }
            },
        );
        let endpoint = endpoint.await;
        let apis = [API, "www.googleapis.com", "sheets.googleapis.com", "api.anthropic.com", "acme.my.salesforce.com"];
        let api = Upstream::serve(&ca, &apis, Offers::Both, |_call| async { answer(200, "served") }).await;
        Self { ca, endpoint, api, says, answers }
    }

    fn builder(&self) -> Builder {
        let builder = Builder::new(&self.ca);
        let endpoints = [AUTH, GOOGLE, CLAUDE, CODEX, MICROSOFT, "login.salesforce.com"];
        let builder = endpoints.iter().fold(builder, |builder, name| builder.resolve(name, self.endpoint.address));
        let apis = [API, "www.googleapis.com", "sheets.googleapis.com", "api.anthropic.com", "acme.my.salesforce.com"];
        apis.iter().fold(builder, |builder, name| builder.resolve(name, self.api.address))
    }

    fn says(&self, status: u16, kind: &'static str, body: impl Into<Bytes>) {
        *self.says.lock().expect("a lock") = Says { status, kind, encoding: None, body: body.into() };
    }

    /// The bearer of the last API request.
    fn bearer(&self) -> Option<String> {
        self.api.seen().last().and_then(|seen| seen.bearer().map(str::to_owned))
    }
}

fn granted() -> Value {
    json!({
        "access_token": ACCESS, "refresh_token": REFRESH, "token_type": "bearer", "expires_in": 28800, "scope": "repo",
        "refresh_token_expires_in": 15_811_200, "secret_of_no_name": "0123456789abcdef0123456789", "user": { "id": 7, "login": "octocat" }
    })
}

fn post(url: &str, kind: &str, body: impl Into<Bytes>) -> Request<Body> {
    Request::builder().method(Method::POST).uri(url).header("content-type", kind).body(full(body)).expect("a request")
}

fn code() -> Request<Body> {
    post(LOG_IN, FORM, CODE)
}

fn tail(nexus: &Nexus, agent: &str, connection: &str) -> String {
    nexus.placeholder(agent, connection)
}

fn document(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_slice(&reply.body).expect("JSON")
}

fn refusal(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.refusal())
}

async fn call_with(caller: &Caller, token: &str) -> Reply {
    let request = Request::builder().uri(format!("https://{API}/user")).header("authorization", format!("Bearer {token}"));
    caller.send(request.body(empty()).expect("a request")).await
}

fn approve(nexus: &Nexus, connection: &str) {
    let id: ConnectionId = connection.parse().expect("a handle");
    let approved = nexus.store().approve(&id, SystemTime::now(), |_entry| true).expect("a vault");
    assert_eq!(approved, Some(Ok(())));
}

fn connections(nexus: &Nexus) -> Vec<String> {
    nexus.store().list().expect("a vault").iter().map(ToString::to_string).collect()
}

/// Every byte that a caller saw.
fn shown(reply: &Reply) -> String {
    format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body))
}

#[test]
fn i1_a_log_in_goes_on_as_it_was_sent_and_its_tokens_stay() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let basic = format!("Basic {}", STANDARD.encode("their-client:their-client-secret"));
        for (turn, over) in ["http1", "http2"].into_iter().enumerate() {
            let mut request = code();
            request.headers_mut().insert("authorization", basic.parse().expect("a value"));
            request.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip"));
            let reply = match over {
                "http1" => caller.http1(AUTH).await.send(request).await,
                _ => caller.http2(AUTH).await.send(request).await,
            };
            let seen = scene.endpoint.seen().pop().expect("a request");
            assert_eq!((seen.body.as_deref(), seen.header("authorization")), (Some(CODE.as_bytes()), Some(basic.as_str())));
            assert_eq!((seen.header("accept-encoding"), seen.header("content-type")), (Some("identity"), Some(FORM)));
            let connection = format!("github:local.{}", turn + 1);
            let own = tail(&nexus, "local", &connection);
            let wanted = json!({
                "access_token": format!("ghu_{own}"), "refresh_token": format!("ghr_{own}"), "token_type": "bearer", "expires_in": 28800,
                "scope": "repo", "refresh_token_expires_in": 15_811_200, "secret_of_no_name": own, "user": { "id": 7, "login": "octocat" }
            });
            assert_eq!(document(&reply), wanted);
            let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
            assert_eq!(
                (header("content-type"), header("cache-control"), header("set-cookie")),
                (Some(JSON), Some("no-store"), None)
            );
            let entry = nexus.entry(&connection);
            assert_eq!(
                (entry.status, entry.captured.as_ref().map(|captured| captured.agent.as_str())),
                (Status::Pending, Some("local"))
            );
            for (field, value) in [
                ("access_token", ACCESS),
                ("refresh_token", REFRESH),
                ("client_id", "their-client"),
                ("client_secret", "their-client-secret"),
                ("scope", "repo"),
            ] {
                assert!(nexus.holds(&connection, field, value), "{field}");
            }
            assert!(entry.hosts.contains(&API.to_owned()) && entry.token_urls == [LOG_IN], "{entry:?}");
            assert!(entry.expires_at > Some(SystemTime::now() + Duration::from_secs(28_000)));
        }
    });
}

#[test]
fn i6_nobody_uses_it_before_it_is_approved_and_then_its_agent_alone() {
    run(async {
        let scene = Scene::new().await;
        let builder = scene.builder().register("github", &[("access_token", "own-token-of-the-operator")]);
        let (builder, ci) = builder.agent("ci", |_| ());
        let (builder, other) = builder.agent("other", |_| ());
        let (builder, bound) = builder.agent("bound", |agent| agent.user = Some("alice".parse().expect("a name")));
        let nexus = builder.start();
        let caller = |name: &str, token: &str| Caller::new(&nexus).agent(name, token);
        let (ci, other, bound) = (caller("ci", &ci), caller("other", &other), caller("bound", &bound));
        // A connection that is there already does not stop it, and stays what it is.
        let token = document(&ci.send(code()).await)["access_token"].as_str().expect("a token").to_owned();
        assert!(
            nexus.holds("github", "access_token", "own-token-of-the-operator")
                && nexus.holds("github:ci.1", "access_token", ACCESS)
        );
        let named = |connection: &str| {
            let request = Request::builder().uri(format!("https://{API}/user")).header("nexus-connection", connection);
            request.body(empty()).expect("a request")
        };
        for reply in [call_with(&ci, &token).await, ci.send(named("github:ci.1")).await] {
            assert_eq!(refusal(&reply), (403, Some("auth_required")), "{reply:?}");
            let told: Value = serde_json::from_slice(&reply.body).expect("JSON");
            assert_eq!((&told["command"], &told["connection"]), (&json!("nexus approve github:ci.1"), &json!("github:ci.1")));
        }
        let renewal = format!("grant_type=refresh_token&refresh_token=ghr_{}", tail(&nexus, "ci", "github:ci.1"));
        let renewed = ci.send(post(LOG_IN, FORM, renewal.clone())).await;
        assert_eq!(refusal(&renewed), (403, Some("auth_required")), "{renewed:?}");
        for (agent, strangers) in [("other", &other), ("bound", &bound)] {
            for reply in [call_with(strangers, &token).await, strangers.send(named("github:ci.1")).await] {
                assert_eq!(refusal(&reply), (403, Some("policy")), "{agent}: {reply:?}");
            }
            let stolen = strangers.send(post(LOG_IN, FORM, renewal.clone())).await;
            assert_eq!(refusal(&stolen), (403, Some("policy")), "{agent}: {stolen:?}");
        }
        assert_eq!(scene.api.count(), 0);
        let status = async |caller: &Caller| caller.get("http://nexus.internal/connections/github:ci.1").await;
        assert_eq!(document(&status(&ci).await)["status"], "pending");
        assert_eq!(status(&other).await.status, 404);
        // The default of those who act for nobody is what it was.
        for anybody in [&ci, &other] {
            assert_eq!(
                (anybody.get(&format!("https://{API}/user")).await.status, scene.bearer().as_deref()),
                (200, Some("own-token-of-the-operator"))
            );
        }
        approve(&nexus, "github:ci.1");
        for reply in [call_with(&ci, &token).await, ci.send(named("github:ci.1")).await] {
            assert_eq!((reply.status, scene.bearer().as_deref()), (200, Some(ACCESS)), "{reply:?}");
        }
        let renewed = document(&ci.send(post(LOG_IN, FORM, renewal.clone())).await);
        assert_eq!(renewed["access_token"], json!(token));
        for strangers in [&other, &bound] {
            assert_eq!(refusal(&call_with(strangers, &token).await), (403, Some("policy")));
            assert_eq!(refusal(&strangers.send(named("github:ci.1")).await), (403, Some("policy")));
            assert_eq!(refusal(&strangers.send(post(LOG_IN, FORM, renewal.clone())).await), (403, Some("policy")));
        }
        assert_eq!(refusal(&bound.get(&format!("https://{API}/user")).await), (403, Some("auth_required")));
        for anybody in [&ci, &other] {
            assert_eq!(
                (anybody.get(&format!("https://{API}/user")).await.status, scene.bearer().as_deref()),
                (200, Some("own-token-of-the-operator"))
            );
        }
        assert_eq!(scene.endpoint.count(), 1, "nothing but the log-in left");
    });
}

#[test]
fn i6_a_pending_one_registers_nothing_and_one_that_is_approved_serves_its_agent_alone() {
    run(async {
        let scene = Scene::new().await;
        let (builder, ci) = scene.builder().config("[proxy]\nunregistered = \"pass\"").agent("ci", |_| ());
        let (builder, other) = builder.agent("other", |_| ());
        let nexus = builder.start();
        let (ci, other) = (Caller::new(&nexus).agent("ci", &ci), Caller::new(&nexus).agent("other", &other));
        let token = document(&ci.send(code()).await)["access_token"].as_str().expect("a token").to_owned();
        for approved in [false, true] {
            if approved {
                approve(&nexus, "github:ci.1");
            }
            // Without a connection of everybody's, a caller's own key goes on as before.
            for anybody in [&ci, &other] {
                let reply = call_with(anybody, "a-key-of-the-callers-own").await;
                assert_eq!(
                    (reply.status, scene.bearer().as_deref()),
                    (200, Some("a-key-of-the-callers-own")),
                    "{approved}: {reply:?}"
                );
            }
            let before = scene.api.count();
            let reply = call_with(&other, &token).await;
            assert_eq!((refusal(&reply), scene.api.count()), ((403, Some("policy")), before), "{reply:?}");
        }
        assert_eq!((call_with(&ci, &token).await.status, scene.bearer().as_deref()), (200, Some(ACCESS)));
        nexus.store().delete(&"github:ci.1".parse().expect("a handle")).expect("a vault");
        scene.says(200, JSON, granted().to_string());
        let again = document(&ci.send(code()).await);
        assert_eq!(nexus.entry("github:ci.1").status, Status::Pending, "the same number");
        approve(&nexus, "github:ci.1");
        let new = again["access_token"].as_str().expect("a token");
        assert_eq!(call_with(&ci, new).await.status, 200);
        // The placeholder of the one that was removed means nothing any more: it goes on as a key of the caller's own would.
        assert_ne!(new, token);
        assert_eq!((call_with(&ci, &token).await.status, scene.bearer()), (200, Some(token)));
    });
}

#[test]
fn errors_and_people_who_have_not_decided_yet_pass_as_they_came() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let device = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d&client_id=c";
        for (status, kind, body) in [
            (200, FORM, "error=authorization_pending&error_description=The+authorization+request+is+still+pending."),
            (200, JSON, r#"{"error":"slow_down","interval":10}"#),
            (400, JSON, r#"{"error":"invalid_grant","error_description":"0123456789abcdef0123456789abcdef"}"#),
            (401, "text/html", "<h1>no</h1>"),
            (500, JSON, "{}"),
            (503, JSON, r#"{"message":"0123456789abcdef0123456789abcdef"}"#),
            (403, "text/html", "<p>no access_token for you</p>"),
        ] {
            scene.says(status, kind, body);
            let reply = caller.send(post(LOG_IN, FORM, device)).await;
            let said = reply.headers.get("content-type").and_then(|value| value.to_str().ok());
            assert_eq!((reply.status, said, reply.text()), (status, Some(kind), body), "{reply:?}");
        }
        assert_eq!(connections(&nexus), [""; 0]);
        // GitHub answers a form to who asks for nothing else.
        scene.says(200, FORM, format!("access_token={ACCESS}&scope=repo%2Cgist&token_type=bearer"));
        let pending = caller.send(post(LOG_IN, FORM, device)).await;
        assert!(pending.status == 200 && pending.text().starts_with("error=authorization_pending&"), "{pending:?}");
        approve(&nexus, "github:local.1");
        let reply = caller.send(post(LOG_IN, FORM, device)).await;
        let token = format!("access%5Ftoken=ghu%5F{}", tail(&nexus, "local", "github:local.1"));
        assert!(reply.status == 200 && reply.text().split('&').any(|pair| pair == token), "{reply:?}");
        assert!(nexus.holds("github:local.1", "access_token", ACCESS) && !shown(&reply).contains("their"));
    });
}

/// As `gh auth login` does it: a program that asks the API who it is as soon as it has a token would throw away one that nobody approved.
#[test]
fn i6_a_program_with_a_device_code_goes_on_asking_until_a_person_approves() {
    run(async {
        let scene = Scene::new().await;
        let (builder, other) = scene.builder().agent("other", |_| ());
        let (builder, ci) = builder.agent("ci", |_| ());
        let nexus = builder.start();
        let (ci, other) = (Caller::new(&nexus).agent("ci", &ci), Caller::new(&nexus).agent("other", &other));
        let device = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d&client_id=c";
        let ask = || post(LOG_IN, FORM, device);
        let error = |reply: &Reply| {
            let said: Value = serde_json::from_slice(&reply.body).expect("JSON");
            (reply.status, said["error"].as_str().map(str::to_owned))
        };
        let told = |word: &str| (200, Some(word.to_owned()));
        for _again in 0..3 {
            let reply = ci.send(ask()).await;
            assert_eq!(error(&reply), told("authorization_pending"));
            assert!(!shown(&reply).contains("gho_") && !shown(&reply).contains("ghu_"), "{reply:?}");
        }
        assert_eq!((scene.endpoint.count(), connections(&nexus).len()), (1, 1), "the code was spent once");
        approve(&nexus, "github:ci.1");
        // The same code of another program is that program's own to try.
        scene.says(400, JSON, r#"{"error":"bad_verification_code"}"#);
        assert_eq!(error(&other.send(ask()).await), (400, Some("bad_verification_code".to_owned())));
        let token = document(&ci.send(ask()).await)["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(token, format!("ghu_{}", tail(&nexus, "ci", "github:ci.1")));
        assert_eq!(call_with(&ci, &token).await.status, 200);
        assert_eq!(scene.bearer().as_deref(), Some(ACCESS));
        let again = document(&ci.send(ask()).await);
        assert_eq!(
            (again["access_token"].as_str(), scene.endpoint.count()),
            (Some(&*token), 2),
            "its stream may have broken off"
        );
        nexus.store().delete(&"github:ci.1".parse().expect("a handle")).expect("deleted");
        assert_eq!(error(&ci.send(ask()).await), told("access_denied"));
    });
}

#[test]
fn i1_an_answer_that_can_t_be_taken_is_kept_back_and_the_log_says_so() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let mut odd: Vec<(&'static str, Option<&'static str>, Bytes)> = vec![
            (JSON, None, format!("{{\"access_token\":\"{ACCESS}\"").into()),
            (JSON, None, format!("[{{\"access_token\":\"{ACCESS}\"}}]").into()),
            ("text/html", None, format!("<p>{ACCESS}</p>").into()),
            (JSON, Some("gzip"), granted().to_string().into()),
            (JSON, None, json!({ "error": "x", "access_token": ACCESS }).to_string().into()),
            (JSON, None, json!({ "access_token": ACCESS, "scope": ACCESS }).to_string().into()),
            (JSON, None, json!({ "only_of_another_name": ACCESS }).to_string().into()),
        ];
        odd.push((JSON, None, json!({ "access_token": ACCESS, "padding": "x ".repeat(140_000) }).to_string().into()));
        for (kind, encoding, body) in odd {
            *scene.says.lock().expect("a lock") = Says { status: 200, kind, encoding, body };
            let reply = caller.send(code()).await;
            assert_eq!(refusal(&reply), (502, Some("upstream")), "{reply:?}");
            assert!(!shown(&reply).contains("their") && reply.text().contains("Log in again"), "{reply:?}");
        }
        assert_eq!(connections(&nexus), [""; 0]);
        let notes = nexus.notes("/login/oauth/access_token").await;
        assert_eq!(notes, ["not_captured"]);
    });
}

#[test]
fn i1_no_status_and_no_alphabet_lets_a_token_through() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let wide: Vec<u8> = granted().to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
        let number = json!({ "access_token": 7, "other": ACCESS }).to_string();
        let failed = json!({ "error": "x", "refresh_token": REFRESH }).to_string();
        let odd: [(u16, Bytes); 6] = [
            (400, granted().to_string().into()),
            (302, granted().to_string().into()),
            (500, failed.into()),
            (200, wide.into()),
            (200, number.into()),
            (200, format!("scope=repo;access_token={ACCESS}").into()),
        ];
        for (status, body) in odd {
            for request in [CODE, "code=a&code=b"] {
                scene.says(status, JSON, body.clone());
                let reply = caller.send(post(LOG_IN, FORM, request)).await;
                assert_eq!(refusal(&reply), (502, Some("upstream")), "{status} {request}: {reply:?}");
                assert!(!shown(&reply).contains("their"), "{reply:?}");
            }
        }
        assert_eq!(connections(&nexus), [""; 0]);
    });
}

#[test]
fn i1_a_request_that_nobody_can_read_gets_no_token_either() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let multipart = "--x\r\ncontent-disposition: form-data; name=\"grant_type\"\r\n\r\nauthorization_code\r\n--x--\r\n";
        let odd = || {
            let (mut sender, body) = channel();
            sender.try_send(http_body::Frame::data(Bytes::from(format!("{CODE}&pad={}", "x".repeat(70_000))))).expect("room");
            let long =
                Request::builder().method(Method::POST).uri(LOG_IN).header("content-type", FORM).body(body).expect("a request");
            [
                post(LOG_IN, "multipart/form-data; boundary=x", multipart),
                post(LOG_IN, FORM, "code=a&code=b"),
                post(LOG_IN, JSON, r#"{"code":"a","code":"b"}"#),
                long,
            ]
        };
        for request in odd() {
            let reply = caller.send(request).await;
            assert!(document(&reply)["access_token"].as_str().is_some_and(|token| token.starts_with("ghu_")), "{reply:?}");
            assert!(!shown(&reply).contains("their"), "{reply:?}");
        }
        assert_eq!(connections(&nexus).len(), 4);
        // What it gets without a token is as it came.
        for (kind, body) in [("text/plain", "of no interest"), (JSON, r#"{"nothing":"0123456789abcdef0123456789"}"#)] {
            scene.says(200, kind, body);
            for request in odd() {
                let reply = caller.send(request).await;
                assert_eq!((reply.status, reply.text()), (200, body));
            }
        }
        scene.says(200, JSON, granted().to_string());
        let refusing = scene.builder().config("[proxy]\nlog_ins = \"refuse\"").start();
        for request in odd().into_iter().chain([code()]) {
            let reply = Caller::new(&refusing).send(request).await;
            assert_eq!(refusal(&reply), (403, Some("policy")), "{reply:?}");
        }
        assert_eq!(connections(&refusing), [""; 0]);
    });
}

#[test]
fn i1_no_other_method_or_spelling_gets_past() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let get = Request::builder().uri(format!("{LOG_IN}?{CODE}")).body(empty()).expect("a request");
        let put = Request::builder().method(Method::PUT).uri(LOG_IN).body(full(CODE)).expect("a request");
        let odd = ["//login/oauth/access_token", "/login//oauth/access_token", "/x/..%2flogin/oauth/access_token"];
        let odd = odd.map(|path| post(&format!("https://{AUTH}{path}"), FORM, CODE));
        for request in [get, put].into_iter().chain(odd) {
            let said = format!("{request:?}");
            let reply = caller.send(request).await;
            let captured = reply.status == 200 && reply.text().contains("ghu_");
            assert!(captured || refusal(&reply) == (403, Some("policy")), "{said}: {reply:?}");
            assert!(!shown(&reply).contains("their"), "{said}: {reply:?}");
        }
        let passing = scene.builder().config("[proxy]\nlog_ins = \"pass\"").start();
        let get = Request::builder().uri(LOG_IN).body(empty()).expect("a request");
        assert_eq!(Caller::new(&passing).send(get).await.status, 200);
    });
}

#[test]
fn i1_an_endpoint_that_is_open_is_no_way_past_either() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let with = |method: &str, url: String| {
            let request = Request::builder().method(method).uri(url).header("content-type", FORM);
            request.body(full(CODE)).expect("a request")
        };
        let hosts = [
            (CLAUDE, "/v1/oauth", "/token"),
            ("www.googleapis.com", "/oauth2/v4", "/token"),
            (AUTH, "/login/oauth", "/access_token"),
        ];
        for (host, folder, name) in hosts {
            let plain = format!("https://{host}{folder}{name}");
            let mut odd: Vec<_> = ["GET", "PUT", "PATCH"].map(|method| with(method, format!("{plain}?{CODE}"))).into();
            for path in [
                format!("/{folder}{name}"),
                format!("{folder}/{name}"),
                format!("{folder}{name}//"),
                format!("{folder}{}", name.to_uppercase()),
                format!("{folder}{name};x"),
                format!("{folder}{name}.json"),
                format!("{folder}{name}%20"),
                format!("{folder}{name}%2e"),
                format!("{folder}/%{:x}{}", name.as_bytes()[1], &name[2..]),
            ] {
                odd.push(with("POST", format!("https://{host}{path}")));
            }
            for request in odd {
                let said = format!("{} {}", request.method(), request.uri());
                let reply = caller.send(request).await;
                assert_eq!(refusal(&reply), (403, Some("policy")), "{said}: {reply:?}");
            }
        }
        assert_eq!((scene.endpoint.count(), scene.api.count()), (0, 0), "nothing left");
        // What is at the same host and is no log-in goes on.
        assert_eq!(caller.get(&format!("https://{CLAUDE}/v1/oauth/tokens")).await.status, 200);
    });
}

#[test]
fn i1_a_code_that_calls_itself_a_programs_grant_gets_no_token() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let ebcdic = "application/x-www-form-urlencoded; charset=ibm037";
        for (url, kind, body) in [
            (LOG_IN, FORM, "grant_type=client_credentials&client_id=c&client_secret=s&code=C"),
            (LOG_IN, FORM, "grant_type=refresh_token&refresh_token=r&device_code=C"),
            (LOG_IN, FORM, "grant_type=client_credentials&x=1;code=C"),
            (LOG_IN, ebcdic, "grant_type=client_credentials&%83%96%84%85=C"),
            (&format!("{LOG_IN}?grant_type=client_credentials"), JSON, r#"{"code":"C"}"#),
        ] {
            let reply = caller.send(post(url, kind, body)).await;
            assert!(document(&reply)["access_token"].as_str().is_some_and(|token| token.starts_with("ghu_")), "{reply:?}");
            assert!(!shown(&reply).contains("their"), "{body}: {reply:?}");
        }
        assert_eq!(connections(&nexus).len(), 5);
    });
}

#[test]
fn i1_a_placeholder_in_a_log_in_is_refused() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().register("github", &[("access_token", "own-token-of-the-operator")]).start();
        let own = tail(&nexus, "local", "github");
        let reply = Caller::new(&nexus).send(post(LOG_IN, FORM, format!("{CODE}&x=ghp_{own}"))).await;
        assert_eq!((refusal(&reply), scene.endpoint.count()), ((403, Some("policy")), 0), "{reply:?}");
    });
}

#[test]
fn i7_so_many_wait_and_no_more_and_a_code_is_not_spent_for_nothing() {
    run(async {
        let scene = Scene::new().await;
        let (builder, ci) = scene.builder().config("[limits]\npending_log_ins = 2").agent("ci", |_| ());
        let (builder, other) = builder.agent("other", |_| ());
        let nexus = builder.start();
        let (ci, other) = (Caller::new(&nexus).agent("ci", &ci), Caller::new(&nexus).agent("other", &other));
        for _ in 0..2 {
            assert_eq!(ci.send(code()).await.status, 200);
        }
        let reply = ci.send(code()).await;
        assert_eq!((refusal(&reply), scene.endpoint.count()), ((429, Some("limit")), 2), "{reply:?}");
        assert!(reply.text().contains("nexus approve"), "{reply:?}");
        assert_eq!(other.send(code()).await.status, 200, "each agent has its own bound");
        approve(&nexus, "github:ci.1");
        assert_eq!(ci.send(code()).await.status, 200);
        assert_eq!(connections(&nexus), ["github:ci.1", "github:ci.2", "github:ci.3", "github:other.1"]);
    });
}

#[test]
fn a_caller_that_hangs_up_while_its_code_is_redeemed_has_logged_in() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        scene.answers.forget_permits(1000);
        let mut session = Caller::new(&nexus).http1(AUTH).await;
        let leaving = tokio::spawn(async move { session.begin(code()).await });
        scene.endpoint.until(|seen| seen.len() == 1).await;
        leaving.abort();
        drop(leaving.await);
        scene.answers.add_permits(1);
        let line = nexus.closed("/login/oauth/access_token").await;
        assert_eq!(line["connection"], "github:local.1", "{line}");
        assert!(nexus.holds("github:local.1", "access_token", ACCESS));
    });
}

#[test]
fn i9_where_it_can_t_be_stored_the_token_goes_nowhere() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        // Nobody can take a lock that is a folder: no write succeeds.
        let vault = nexus.home().vault().file;
        let lock = vault.with_file_name(".nexus.enc.lock");
        drop(std::fs::remove_file(&lock));
        std::fs::create_dir(&lock).expect("a folder");
        let reply = Caller::new(&nexus).send(code()).await;
        assert_eq!(refusal(&reply), (503, Some("vault")), "{reply:?}");
        assert!(!shown(&reply).contains("their") && reply.text().contains("nexus status"), "{reply:?}");
        assert_eq!(nexus.notes("/login/oauth/access_token").await, ["not_stored"]);
        assert!(!vault.exists(), "nothing was written");
    });
}

#[test]
fn i1_i8_the_log_names_it_before_it_leaves_and_its_connection_after_and_no_secret() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let reply = Caller::new(&nexus).send(code()).await;
        assert_eq!(reply.status, 200);
        let closed = nexus.closed("/login/oauth/access_token").await;
        let opened = nexus.audit_line(|line| line["event"] == "open" && line["path"] == "/login/oauth/access_token").await;
        assert_eq!((&opened["verdict"], &opened["provider"]), (&json!("pass"), &json!("github")), "{opened}");
        assert_eq!((&closed["notes"], &closed["connection"]), (&json!(["captured"]), &json!("github:local.1")), "{closed}");
        assert_eq!((&closed["status"], &closed["bytes_up"]), (&json!(200), &json!(CODE.len())), "{closed}");
        let log = nexus.audit().iter().map(Value::to_string).collect::<String>();
        assert!(!log.contains("their") && !log.contains("ghu_"), "{log}");
        let vault = std::fs::read(nexus.home().vault().file).expect("a vault");
        assert!(!String::from_utf8_lossy(&vault).contains("their"));
    });
}

#[test]
fn the_scopes_say_which_service_of_a_vendor_it_is_for_and_the_answer_what_tenant() {
    run(async {
        let scene = Scene::new().await;
        let keys = "name = \"keys\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.keys.test\"]\n\
            strategy = { bearer = \"{api_key}\" }\n[[token_response]]\nat = [\"POST https://github.com/keys/token\"]\naccess_token = \"k\"\n";
        let nexus = scene.builder().provider("keys", keys).start();
        let caller = Caller::new(&nexus);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let identity = format!(
            "{}.{}.c2lnbmF0dXJl-of-theirs",
            part(&json!({ "alg": "RS256" })),
            part(&json!({ "sub": "1", "aud": "c", "exp": 1 }))
        );
        for (scope, provider) in [
            ("https://www.googleapis.com/auth/spreadsheets openid", "google_sheets"),
            ("https://www.googleapis.com/auth/drive.readonly", "google_drive"),
            (GCLOUD, "gcp"),
        ] {
            let body = json!({ "access_token": "ya29.their-token-0123456789", "id_token": identity, "expires_in": 3599, "scope": scope, "token_type": "Bearer" });
            scene.says(200, JSON, body.to_string());
            let shown = document(&caller.send(post(&format!("https://{GOOGLE}/token"), FORM, CODE)).await);
            let own = tail(&nexus, "local", &format!("{provider}:local.1"));
            assert_eq!(shown["access_token"], json!(format!("ya29.{own}")), "{shown}");
            let token = shown["id_token"].as_str().expect("a token");
            let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64url");
            assert_eq!(serde_json::from_slice::<Value>(&claims).expect("JSON"), json!({ "sub": "1", "aud": "c", "exp": 1 }));
            assert!(token.contains(&own) && !token.contains("theirs"), "{token}");
        }
        let body = json!({ "access_token": "00D!their-token-0123456789", "instance_url": "https://acme.my.salesforce.com", "token_type": "Bearer" });
        scene.says(200, JSON, body.to_string());
        let url = "https://login.salesforce.com/services/oauth2/token";
        let shown =
            document(&caller.send(post(url, FORM, "grant_type=password&username=u&password=their-password&client_id=c")).await);
        assert_eq!(shown["instance_url"], "https://acme.my.salesforce.com", "{shown}");
        let entry = nexus.entry("salesforce:local.1");
        assert!(
            entry.hosts.contains(&"acme.my.salesforce.com".to_owned()) && entry.fields.field("password").is_none(),
            "{entry:?}"
        );
        let body = json!({ "access_token": "sk-ant-oat01-their-token", "refresh_token": "sk-ant-ort01-their-token", "expires_in": 28800,
            "account": { "uuid": "9a1f2c3d-0000-4444-8888-aaaabbbbcccc", "email_address": "a@b.example" } });
        scene.says(200, JSON, body.to_string());
        let claude = caller
            .send(post(&format!("https://{CLAUDE}/v1/oauth/token"), JSON, r#"{"grant_type":"authorization_code","code":"c"}"#))
            .await;
        let own = tail(&nexus, "local", "anthropic:local.1");
        assert_eq!(document(&claude)["access_token"], json!(format!("sk-ant-oat01-{own}")), "{claude:?}");
        assert_eq!(document(&claude)["account"]["uuid"], "9a1f2c3d-0000-4444-8888-aaaabbbbcccc");
        for (number, scope) in [(1, "User.Read openid profile offline_access"), (2, "https://graph.microsoft.com/Mail.Read")] {
            scene.says(200, JSON, json!({ "access_token": "their-token-0123456789", "scope": scope }).to_string());
            let url = format!("https://{MICROSOFT}/common/oauth2/v2.0/token");
            assert_eq!(caller.send(post(&url, FORM, CODE)).await.status, 200);
            assert!(nexus.entry(&format!("msgraph:local.{number}")).hosts == ["graph.microsoft.com"], "{scope}");
        }
        let codex = caller.send(post(&format!("https://{CODEX}/oauth/token"), FORM, CODE)).await;
        let (own, token) = (tail(&nexus, "local", "openai:local.1"), document(&codex)["access_token"].clone());
        assert!(token.as_str().is_some_and(|token| token.starts_with("eyJ") && token.contains(&own)), "{codex:?}");
        assert_eq!(nexus.entry("openai:local.1").hosts, ["chatgpt.com"]);
        // Nothing could be done with that one.
        let before = scene.endpoint.count();
        let keys = caller.send(post(&format!("https://{AUTH}/keys/token"), FORM, CODE)).await;
        assert_eq!((refusal(&keys), scene.endpoint.count()), ((403, Some("policy")), before), "{keys:?}");
    });
}

#[test]
fn a_log_in_of_one_command_is_there_for_the_next_command_of_the_same_person() {
    run(async {
        let scene = Scene::new().await;
        let command = |builder: Builder, name: &'static str, user: Option<&'static str>| {
            builder.agent(name, move |agent| {
                (agent.ephemeral, agent.user) = (true, user.map(|user| user.parse().expect("a name")));
            })
        };
        let (builder, first) = command(scene.builder(), "run-1", None);
        let (builder, second) = command(builder, "run-2", None);
        let (builder, alices) = command(builder, "run-3", Some("alice"));
        let nexus = builder.start();
        let caller = |name: &str, token: &str| Caller::new(&nexus).agent(name, token);
        let token = document(&caller("run-1", &first).send(code()).await)["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(connections(&nexus), ["github:local.1"]);
        approve(&nexus, "github:local.1");
        for caller in [caller("run-1", &first), caller("run-2", &second), Caller::new(&nexus)] {
            let reply = call_with(&caller, &token).await;
            assert_eq!((reply.status, scene.bearer().as_deref()), (200, Some(ACCESS)), "{reply:?}");
        }
        let foreign = call_with(&caller("run-3", &alices), &token).await;
        assert_eq!(refusal(&foreign), (403, Some("policy")), "it acts for another person: {foreign:?}");
    });
}

#[test]
fn another_process_approves_and_the_next_request_goes() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        let caller = Caller::new(&nexus);
        let token = document(&caller.send(code()).await)["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(refusal(&call_with(&caller, &token).await), (403, Some("auth_required")));
        let nexus_command = |arguments: &[&str]| {
            let home = nexus.home().path().to_str().expect("a path");
            Program::new(&nexus, env!("CARGO_BIN_EXE_nexus"), None)
                .env("NEXUS_HOME", home)
                .env("NEXUS_SECRET", crate::harness::SECRET)
                .args(arguments)
        };
        let listed = nexus_command(&["list", "--json"]).run().await.ok();
        let row = serde_json::from_str::<Value>(&listed).expect("JSON")["connections"][0].clone();
        assert_eq!(
            (&row["connection"], &row["status"], &row["agent"]),
            (&json!("github:local.1"), &json!("pending"), &json!("local")),
            "{row}"
        );
        assert!(row["pending_until"].is_string() && !listed.contains("their_"), "{listed}");
        let told = nexus_command(&["list"]).run().await;
        assert!(told.stderr.contains("nexus approve github:local.1") && told.stderr.contains("local obtained it"), "{told:?}");
        let shown = nexus_command(&["show", "github:local.1"]).run().await.ok();
        assert!(shown.contains("pending") && shown.contains("Obtained by") && !shown.contains("their_"), "{shown}");
        let status = nexus_command(&["status"]).run().await;
        assert!(status.stdout.contains("nexus approve"), "{status:?}");
        let environment = nexus_command(&["env", "--format", "json"]).run().await.ok();
        assert!(!environment.contains("GITHUB_TOKEN"), "{environment}");
        let explained = nexus_command(&["explain", "POST", LOG_IN]).run().await.ok();
        assert!(explained.contains("captured") && explained.contains("nexus approve"), "{explained}");
        let done = nexus_command(&["approve", "github:local.1"]).run().await.ok();
        assert!(done.contains("approved github:local.1 of local") && done.contains(API), "{done}");
        assert_eq!((call_with(&caller, &token).await.status, scene.bearer().as_deref()), (200, Some(ACCESS)));
        let again = nexus_command(&["approve", "github:local.1"]).run().await;
        assert!(again.code == Some(1) && again.stderr.contains("does not wait for approval"), "{again:?}");
        assert_eq!(nexus_command(&["remove", "github:local.1"]).run().await.code, Some(0));
        drop(call_with(&caller, &token).await);
        assert_ne!(scene.bearer().as_deref(), Some(ACCESS), "its placeholder means nothing any more");
    });
}

#[test]
fn what_nobody_approves_in_time_goes() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        assert_eq!(Caller::new(&nexus).send(code()).await.status, 200);
        let until = nexus.entry("github:local.1").captured.as_ref().and_then(|captured| captured.until).expect("an end");
        let left = until.duration_since(SystemTime::now()).expect("a future");
        assert!((23 * 3600..=24 * 3600).contains(&left.as_secs()), "{left:?}");
        assert_eq!(nexus.store().remove_lapsed(until).expect("a vault"), 1);
        assert_eq!(connections(&nexus), [""; 0]);
    });
}

#[test]
fn a_program_that_waits_for_the_person_gets_what_it_can_work_with() {
    run(async {
        use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
        let scene = Scene::new().await;
        let nexus = scene.builder().start();
        scene.says(200, JSON, r#"{"error":"authorization_pending"}"#);
        let mut command = tokio::process::Command::new(python());
        let proxy = format!("http://{}", nexus.address);
        command.arg(program("log_in.py")).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HTTPS_PROXY", &proxy).env("REQUESTS_CA_BUNDLE", nexus.bundle_file()).kill_on_drop(true);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut running = command.spawn().expect("the program");
        let (mut ask, mut told) =
            (running.stdin.take().expect("stdin"), BufReader::new(running.stdout.take().expect("stdout")).lines());
        scene.endpoint.until(|seen| seen.len() >= 2).await;
        scene.says(200, JSON, granted().to_string());
        while connections(&nexus).is_empty() {
            tokio::task::yield_now().await;
        }
        approve(&nexus, "github:local.1");
        ask.write_all(b"\n").await.expect("asked");
        assert_eq!(told.next_line().await.expect("a line").as_deref(), Some("200 None"));
        drop(ask);
        let own = tail(&nexus, "local", "github:local.1");
        let last = told.next_line().await.expect("a line");
        assert_eq!(last, Some(format!("ghu_{own} ghr_{own} repo 28800")));
        assert_eq!(scene.bearer().as_deref(), Some(ACCESS));
    });
}
