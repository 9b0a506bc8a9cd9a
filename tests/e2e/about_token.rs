//! Programs that end a token, or ask what one is good for, with a placeholder: Nexus answers as the vendor would, nothing leaves, and the
//! stored credential stays. With a token of their own they are served as without Nexus.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use nexus::model::ConnectionId;
use serde_json::{Value, json};

use crate::grpc::{program, python};
use crate::harness::{Authority, Body, Builder, Caller, Nexus, Offers, Program, Reply, Upstream, answer, empty, full, run};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const GOOGLE: &str = "https://oauth2.googleapis.com/revoke";
const TOKEN: &str = "own-token-of-the-operator-0123456789";
const HOSTS: [&str; 14] = [
    "oauth2.googleapis.com",
    "accounts.google.com",
    "www.googleapis.com",
    "zoom.us",
    "slack.com",
    "api.github.com",
    "github.com",
    "gitlab.com",
    "login.salesforce.com",
    "acme.my.salesforce.com",
    "api.notion.com",
    "www.reddit.com",
    "connect.squareup.com",
    "acme.okta.com",
];

/// All of the vendors at once, which say what they got.
struct Scene {
    ca: Authority,
    vendors: Upstream,
}

impl Scene {
    async fn new() -> Self {
        let ca = Authority::new();
        let vendors = Upstream::serve(&ca, &HOSTS, Offers::Both, |mut call| async move {
            let body = call.read().await.unwrap_or_default();
            if call.parts.uri.path().ends_with("/access_token") {
                let granted =
                    json!({ "access_token": "gho_their_token_0123456789abcdef", "token_type": "bearer", "scope": "repo gist" });
                let mut granted = answer(200, granted.to_string());
                granted.headers_mut().insert("content-type", JSON.parse().expect("a value"));
                return granted;
            }
            answer(200, body)
        });
        Self { vendors: vendors.await, ca }
    }

    fn builder(&self) -> Builder {
        HOSTS.iter().fold(Builder::new(&self.ca), |builder, name| builder.resolve(name, self.vendors.address))
    }

    fn nothing_left(&self) {
        assert_eq!(self.vendors.count(), 0, "{:?}", self.vendors.seen());
    }
}

fn request(method: &Method, url: &str, (kind, body): (&str, String)) -> Request<Body> {
    let request = Request::builder().method(method).uri(url);
    let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
    let body = if body.is_empty() { empty() } else { full(body) };
    request.body(body).expect("a request")
}

fn post(url: &str, body: impl Into<String>) -> Request<Body> {
    request(&Method::POST, url, (FORM, body.into()))
}

fn with_basic(mut request: Request<Body>, secret: &str) -> Request<Body> {
    let value = format!("Basic {}", STANDARD.encode(format!("their-client:{secret}")));
    request.headers_mut().insert("authorization", value.parse().expect("a value"));
    request
}

fn tail(nexus: &Nexus, agent: &str, connection: &str) -> String {
    nexus.placeholder(agent, connection)
}

fn refusal(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.refusal())
}

fn document(reply: &Reply) -> Value {
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    let about = (reply.status, header("content-type"), header("cache-control"));
    assert_eq!(about, (200, Some(JSON), Some("no-store")), "{reply:?}");
    serde_json::from_slice(&reply.body).expect("JSON")
}

/// A provider, what is registered, where its tokens are ended (`TOKEN` stands for the placeholder), and the answer.
type Vendor = (
    &'static str,
    &'static [(&'static str, &'static str)],
    (Method, &'static str, &'static str, &'static str),
    (u16, &'static str),
);

fn vendors() -> Vec<Vendor> {
    let (post, get) = (Method::POST, Method::GET);
    let token: &[(&str, &str)] = &[("access_token", TOKEN)];
    vec![
        ("google_drive", token, (post.clone(), GOOGLE, FORM, "token=ya29.TOKEN"), (200, "{}")),
        ("google_drive", token, (post.clone(), "https://oauth2.googleapis.com/revoke?token=ya29.TOKEN", FORM, ""), (200, "{}")),
        ("google_drive", token, (get.clone(), "https://oauth2.googleapis.com/revoke?token=ya29.TOKEN", "", ""), (200, "{}")),
        ("google_drive", token, (get.clone(), "https://accounts.google.com/o/oauth2/revoke?token=TOKEN", "", ""), (200, "{}")),
        ("zoom", token, (post.clone(), "https://zoom.us/oauth/revoke", FORM, "token=TOKEN"), (200, r#"{"status":"success"}"#)),
        ("slack", token, (get, "https://slack.com/api/auth.revoke", "bearer", ""), (200, r#"{"ok":true,"revoked":true}"#)),
        (
            "slack",
            token,
            (post.clone(), "https://slack.com/api/auth.revoke", FORM, "token=TOKEN"),
            (200, r#"{"ok":true,"revoked":true}"#),
        ),
        (
            "reddit",
            token,
            (post.clone(), "https://www.reddit.com/api/v1/revoke_token", FORM, "token=TOKEN&token_type_hint=access_token"),
            (200, ""),
        ),
        (
            "gitlab",
            token,
            (post.clone(), "https://gitlab.com/oauth/revoke", JSON, r#"{"client_id":"c","token":"TOKEN"}"#),
            (200, "{}"),
        ),
        (
            "square",
            token,
            (post.clone(), "https://connect.squareup.com/oauth2/revoke", JSON, r#"{"access_token":"TOKEN"}"#),
            (200, r#"{"success":true}"#),
        ),
        (
            "salesforce",
            &[("access_token", TOKEN), ("instance", "acme")],
            (post.clone(), "https://acme.my.salesforce.com/services/oauth2/revoke", FORM, "token=TOKEN"),
            (200, ""),
        ),
        (
            "okta",
            &[("access_token", TOKEN), ("domain", "acme")],
            (post, "https://acme.okta.com/oauth2/default/v1/revoke", FORM, "token=TOKEN"),
            (200, ""),
        ),
        (
            "github",
            token,
            (Method::DELETE, "https://api.github.com/applications/Iv1.abc/token", JSON, r#"{"access_token":"ghp_TOKEN"}"#),
            (204, ""),
        ),
    ]
}

#[test]
fn t45_a_placeholder_is_ended_as_the_vendor_would_and_the_credential_stays() {
    run(async {
        let scene = Scene::new().await;
        for (provider, fields, (method, url, kind, body), (status, wanted)) in vendors() {
            let nexus = scene.builder().register(provider, fields).start();
            let own = tail(&nexus, "local", provider);
            let send = || {
                let mut request = request(&method, &url.replace("TOKEN", &own), (kind, body.replace("TOKEN", &own)));
                if kind == "bearer" {
                    request.headers_mut().remove("content-type");
                    request.headers_mut().insert("authorization", format!("Bearer xoxb-{own}").parse().expect("a value"));
                }
                request
            };
            let caller = Caller::new(&nexus);
            let host = url.split('/').nth(2).expect("a host").to_owned();
            for reply in [caller.http1(&host).await.send(send()).await, caller.http2(&host).await.send(send()).await] {
                assert_eq!((reply.status, reply.text()), (status, wanted), "{provider} {url}: {reply:?}");
                assert_eq!(reply.headers.contains_key("content-type"), !wanted.is_empty(), "{reply:?}");
            }
            assert!(nexus.holds(provider, "access_token", TOKEN));
            scene.nothing_left();
        }
    });
}

#[test]
fn t45_a_token_that_is_not_ours_goes_on_and_no_placeholder_with_it() {
    run(async {
        let scene = Scene::new().await;
        let builder = scene.builder().register("google_drive", &[("access_token", TOKEN)]);
        let nexus = builder.register("zoom", &[("access_token", TOKEN)]).start();
        let caller = Caller::new(&nexus);
        let own = tail(&nexus, "local", "zoom");
        let theirs = with_basic(post("https://zoom.us/oauth/revoke", "token=their-own"), "their-secret");
        let reply = caller.send(theirs).await;
        let seen = scene.vendors.seen().pop().expect("a request");
        assert_eq!((reply.status, reply.text(), seen.body.as_deref()), (200, "token=their-own", Some(&b"token=their-own"[..])));
        assert!(seen.header("authorization").is_some_and(|value| value.starts_with("Basic ")), "{seen:?}");
        assert_eq!(caller.get(&format!("{GOOGLE}?token=their-own")).await.status, 200);
        assert_eq!(caller.get("https://zoom.us/signin?token=their-own").await.status, 200);
        assert_eq!(scene.vendors.count(), 3);
        // Nobody would know which of the two is meant, and a client's secret is no token.
        for request in [
            post("https://zoom.us/oauth/revoke", format!("token=their-own&refresh_token={own}")),
            with_basic(post("https://zoom.us/oauth/revoke", "token=their-own"), &own),
            with_basic(post("https://zoom.us/oauth/revoke", ""), &own),
        ] {
            assert_eq!(refusal(&caller.send(request).await), (403, Some("policy")));
        }
        // What is refused as a rule still is.
        let strangers = request(&Method::GET, "https://slack.com/api/auth.revoke", ("", String::new()));
        assert_eq!(refusal(&caller.send(strangers).await), (403, Some("policy")));
        assert_eq!(scene.vendors.count(), 3);
    });
}

#[test]
fn i6_only_its_agent_ends_a_placeholder_or_hears_of_it() {
    run(async {
        let scene = Scene::new().await;
        let (builder, ci) = scene.builder().register("gitlab", &[("access_token", TOKEN)]).agent("ci", |_| ());
        let (builder, other) = builder.agent("other", |_| ());
        let (builder, shut) = builder.agent("shut", |agent| agent.providers = Some(vec!["zoom".parse().expect("a name")]));
        let nexus = builder.start();
        let own = tail(&nexus, "ci", "gitlab");
        let ask = |path: &str| post(&format!("https://gitlab.com/oauth/{path}"), format!("token={own}"));
        let ci = Caller::new(&nexus).agent("ci", &ci);
        assert_eq!(
            (ci.send(ask("revoke")).await.status, document(&ci.send(ask("introspect")).await)["active"].clone()),
            (200, json!(true))
        );
        for (name, token) in [("other", &other), ("shut", &shut)] {
            for path in ["revoke", "introspect"] {
                let reply = Caller::new(&nexus).agent(name, token).send(ask(path)).await;
                assert_eq!(refusal(&reply), (403, Some("policy")), "{name} {path}: {reply:?}");
            }
        }
        scene.nothing_left();
    });
}

#[test]
fn an_introspection_says_what_is_known_of_the_connection() {
    run(async {
        let scene = Scene::new().await;
        let builder = scene.builder().register("notion", &[("access_token", TOKEN), ("scope", "read write")]);
        let nexus = builder.start();
        let caller = Caller::new(&nexus);
        let ask = |token: &str| {
            let request = request(
                &Method::POST,
                "https://api.notion.com/v1/oauth/introspect",
                (JSON, json!({ "token": token }).to_string()),
            );
            with_basic(request, "their-secret")
        };
        let mut told = document(&caller.send(ask(&format!("ntn_{}", tail(&nexus, "local", "notion")))).await);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
        let end = told["exp"].take().as_u64().expect("a time");
        assert!((now + 3500..=now + 3601).contains(&end), "{end}");
        let wanted = json!({
            "active": true, "scope": "read write", "client_id": "their-client", "token_type": "Bearer", "exp": null, "sub": "placeholder"
        });
        assert_eq!(told, wanted);
        // The connection is gone, its placeholder is not.
        let own = tail(&nexus, "local", "notion");
        nexus.store().delete(&"notion".parse().expect("a handle")).expect("a vault");
        assert_eq!(document(&caller.send(ask(&own)).await), json!({ "active": false }));
        let ended =
            request(&Method::POST, "https://api.notion.com/v1/oauth/revoke", (JSON, json!({ "token": own }).to_string()));
        assert_eq!(caller.send(ended).await.text(), "{}");
        scene.nothing_left();
    });
}

#[test]
fn i6_a_log_in_of_the_agents_own_is_not_ended_by_it_either() {
    run(async {
        let scene = Scene::new().await;
        let (builder, ci) = scene.builder().agent("ci", |_| ());
        let (builder, other) = builder.agent("other", |_| ());
        let nexus = builder.start();
        let (ci, other) = (Caller::new(&nexus).agent("ci", &ci), Caller::new(&nexus).agent("other", &other));
        let code = "grant_type=authorization_code&client_id=c&client_secret=s&code=their-code";
        let granted = document(&ci.send(post("https://github.com/login/oauth/access_token", code)).await);
        let token = granted["access_token"].as_str().expect("a token").to_owned();
        let before = scene.vendors.count();
        let end = || {
            let body = json!({ "access_token": token }).to_string();
            request(&Method::DELETE, "https://api.github.com/applications/Iv1.abc/token", (JSON, body))
        };
        let id: ConnectionId = "github:ci.1".parse().expect("a handle");
        for approved in [false, true] {
            if approved {
                let done = nexus.store().approve(&id, SystemTime::now(), |_entry| true).expect("a vault");
                assert_eq!(done, Some(Ok(())));
            }
            assert_eq!(ci.send(end()).await.status, 204, "{approved}");
            assert_eq!(refusal(&other.send(end()).await), (403, Some("policy")), "{approved}");
            assert!(nexus.store().get(&id).expect("a vault").is_some(), "{approved}: a person removes it");
        }
        assert_eq!(scene.vendors.count(), before);
    });
}

#[test]
fn i7_what_is_long_or_odd_at_such_a_place_ends_well() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().register("google_drive", &[("access_token", TOKEN)]).start();
        let caller = Caller::new(&nexus);
        let own = tail(&nexus, "local", "google_drive");
        let long = format!("x={}", "a".repeat(70 * 1024));
        assert_eq!(caller.send(post(GOOGLE, long.clone())).await.text(), long, "it would have passed");
        for odd in ["{\"token\":", "token", "\u{0}"] {
            assert_eq!(caller.send(post(GOOGLE, odd)).await.text(), odd);
        }
        for hidden in [format!("token={own}&{long}"), format!("{{\"token\":\"{own}\""), format!("x={own}")] {
            assert_eq!(refusal(&caller.send(post(GOOGLE, hidden)).await), (403, Some("policy")));
        }
    });
}

#[test]
fn the_log_explain_and_show_tell_of_it() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().register("google_drive", &[("access_token", TOKEN)]).start();
        let own = tail(&nexus, "local", "google_drive");
        assert_eq!(Caller::new(&nexus).send(post(GOOGLE, format!("token={own}"))).await.status, 200);
        let record = nexus.audit_line(|line| line["verdict"] == "answer").await;
        assert_eq!((&record["provider"], &record["connection"]), (&json!("google_drive"), &json!("google_drive")), "{record}");
        assert_eq!(nexus.notes("/revoke").await, ["revocation"]);
        assert!(!nexus.audit().iter().any(|line| line.to_string().contains(&own)));
        let command = |arguments: &[&str]| {
            let home = nexus.home().path().to_str().expect("a path");
            let program = Program::new(&nexus, env!("CARGO_BIN_EXE_nexus"), None);
            program.env("NEXUS_HOME", home).env("NEXUS_SECRET", crate::harness::SECRET).args(arguments)
        };
        let told = command(&["explain", "POST", GOOGLE]).run().await.ok();
        assert!(told.contains("ends a token here that is a placeholder") && told.contains("nothing leaves"), "{told}");
        let shown = command(&["providers", "show", "notion"]).run().await.ok();
        assert!(shown.contains("POST https://api.notion.com/v1/oauth/introspect"), "{shown}");
    });
}

#[test]
fn a_librarys_revoke_is_content() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().register("google_drive", &[("access_token", TOKEN)]).start();
        let mut command = tokio::process::Command::new(python());
        command.arg(program("revoke.py")).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HTTPS_PROXY", format!("http://{}", nexus.address)).env("REQUESTS_CA_BUNDLE", nexus.bundle_file());
        command.env("TOKEN", format!("ya29.{}", tail(&nexus, "local", "google_drive"))).kill_on_drop(true);
        let done =
            tokio::time::timeout(Duration::from_secs(60), command.output()).await.expect("in time").expect("the program");
        assert_eq!(String::from_utf8_lossy(&done.stdout), "200 {}\n200 {}\n", "{done:?}");
        scene.nothing_left();
    });
}
