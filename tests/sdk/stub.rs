//! `Stub`: a vendor's service as far as the table tells. It accepts one credential at a time, in one place, and renews it once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::case::{Answer, Case, Endpoint};
use crate::harness::{Authority, Body, Call, Offers, Upstream, answer, channel};

const CLIENT_ID: &str = "the-client-of-this-test";
/// Comes back with every answer; Nexus must take it away.
const ECHO: &str = "x-credential-of-your-request";

/// What is stored, and what a renewal brings. No caller may see any of it.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    pub(crate) credentials: [String; 2],
    pub(crate) refresh_tokens: [String; 2],
    pub(crate) client_secret: String,
}

impl Secrets {
    pub(crate) fn of(case: &Case) -> Self {
        let name: String = case.file.chars().filter(char::is_ascii_alphanumeric).collect();
        let made = |prefix: &str, what: &str| format!("{prefix}{what}of{name}0123456789abcdefghij");
        let prefix = &case.service.prefix;
        Self {
            credentials: [made(prefix, "First"), made(prefix, "Second")],
            refresh_tokens: [made("rt-", "First"), made("rt-", "Second")],
            client_secret: made("cs-", "Client"),
        }
    }

    /// What `nexus register --stdin` is told.
    pub(crate) fn registration(&self, case: &Case) -> String {
        if case.program.expires.is_some() && case.service.oauth2.is_some() {
            return format!(
                "access_token={}\nrefresh_token={}\nclient_id={CLIENT_ID}\nclient_secret={}\n",
                self.credentials[0], self.refresh_tokens[0], self.client_secret
            );
        }
        case.register(&self.credentials).iter().map(|(name, value)| format!("{name}={value}\n")).collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let all = self.credentials.iter().chain(&self.refresh_tokens).chain([&self.client_secret]);
        all.map(String::as_str)
    }
}

/// What happened so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Account {
    /// What was answered, in order.
    pub(crate) calls: Vec<String>,
    /// Answers that the credential has expired.
    pub(crate) expired: usize,
    /// Tokens that were handed out.
    pub(crate) renewals: usize,
    /// What no honest run has.
    pub(crate) faults: Vec<String>,
}

/// A running service.
pub(crate) struct Stub {
    pub(crate) upstream: Upstream,
    shared: Arc<Shared>,
}

struct Shared {
    case: Case,
    secrets: Secrets,
    repositories: PathBuf,
    account: Mutex<Account>,
}

/// What a request's credential is.
enum Checked {
    Live(String),
    /// The first one, once the table says that it has died.
    Expired,
    Wrong,
}

impl Stub {
    /// Starts the service of `case`; git's repositories are in `repositories`.
    pub(crate) async fn start(ca: &Authority, case: &Case, secrets: &Secrets, repositories: PathBuf) -> Self {
        let shared = Shared { case: case.clone(), secrets: secrets.clone(), repositories, account: Mutex::default() };
        let shared = Arc::new(shared);
        let serving = Arc::clone(&shared);
        let handler = move |call| {
            let shared = Arc::clone(&serving);
            async move { shared.serve(call).await }
        };
        let upstream = Upstream::serve(ca, &case.service.hosts(), Offers::Both, handler).await;
        Self { upstream, shared }
    }

    pub(crate) fn account(&self) -> Account {
        self.shared.account.lock().expect("a lock").clone()
    }
}

impl Shared {
    async fn serve(&self, mut call: Call) -> Response<Body> {
        let body = call.read().await.expect("a request body");
        let host = call.seen.authority.clone().unwrap_or_default();
        let at = format!("{host}{}", call.parts.uri.path());
        if let Some(endpoint) = self.case.service.oauth2.as_ref().filter(|endpoint| endpoint.at == at) {
            return self.renew(endpoint, &call.parts.headers, &body);
        }
        let name = format!("{} {at}", call.parts.method);
        let text = format!("{}\n{}", call.parts.uri.query().unwrap_or_default(), String::from_utf8_lossy(&body));
        let found = self.case.service.find(&name, &text);
        let Some((pattern, wanted)) = found else {
            self.fault(format!("the service has no answer for {name} with {text:.300}"));
            return json(404, r#"{"message":"no such thing"}"#);
        };
        let credential = match self.check(&host, pattern, &call.parts.headers) {
            Checked::Live(credential) => credential,
            Checked::Expired => return self.case.service.expired.as_ref().map_or_else(unauthorized, give),
            Checked::Wrong => return unauthorized(),
        };
        if !wanted.incidental {
            self.account(|account| account.calls.push(pattern.clone()));
        }
        let mut response = if wanted.git { self.git(&call, body).await } else { give(wanted) };
        response.headers_mut().insert(ECHO, HeaderValue::from_str(&credential).expect("a value"));
        response
    }

    /// Looks for the live credential, in its place and alone.
    fn check(&self, host: &str, pattern: &str, headers: &HeaderMap) -> Checked {
        let mut account = self.account.lock().expect("a lock");
        let dies = account.expired == 0 && self.case.program.expires.as_deref() == Some(pattern);
        let [first, second] = &self.secrets.credentials;
        let (live, dead) = if account.renewals > 0 { (second, Some(first)) } else { (first, dies.then_some(first)) };
        let (name, value) = self.case.service.expected(host, live);
        let there: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        if dead.is_some_and(|dead| there == [self.case.service.expected(host, dead).1.as_str()]) {
            account.expired += 1;
            Checked::Expired
        } else if there == [value.as_str()] {
            Checked::Live(live.clone())
        } else {
            account.faults.push(format!("{pattern}: {name} was {there:?}, not {value:?} alone"));
            Checked::Wrong
        }
    }

    /// The refresh grant (RFC 6749 §6).
    fn renew(&self, endpoint: &Endpoint, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
        let Secrets { credentials, refresh_tokens, client_secret } = &self.secrets;
        let mut wanted = BTreeMap::from([("grant_type", "refresh_token"), ("refresh_token", refresh_tokens[0].as_str())]);
        let mut authorization = None;
        if endpoint.basic {
            authorization = Some(format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{client_secret}"))));
        } else {
            wanted.extend([("client_id", CLIENT_ID), ("client_secret", client_secret)]);
        }
        let got: BTreeMap<String, String> = match endpoint.json {
            true => serde_json::from_slice(body).unwrap_or_default(),
            false => form(body),
        };
        let said = headers.get("authorization").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let same =
            got.len() == wanted.len() && wanted.iter().all(|(name, value)| got.get(*name).is_some_and(|got| got == value));
        if !same || said != authorization {
            self.fault(format!("the token endpoint was sent {got:?} by {said:?}"));
            return json(400, r#"{"error":"invalid_request"}"#);
        }
        self.account(|account| account.renewals += 1);
        let mut reply =
            serde_json::json!({ "ok": true, "access_token": credentials[1], "token_type": "bearer", "expires_in": 3600 });
        if endpoint.rotates {
            reply["refresh_token"] = refresh_tokens[1].clone().into();
        }
        json(200, &reply.to_string())
    }

    /// git's smart protocol by its own CGI program (git-http-backend(1)).
    async fn git(&self, call: &Call, body: Bytes) -> Response<Body> {
        let header = |name: &str| call.seen.header(name).unwrap_or_default();
        let mut command = Command::new("git");
        command.arg("http-backend").env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        command.env("GIT_PROJECT_ROOT", &self.repositories).env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_USER", "octo");
        for (name, value) in [
            ("REQUEST_METHOD", call.parts.method.as_str()),
            ("PATH_INFO", call.parts.uri.path()),
            ("QUERY_STRING", call.parts.uri.query().unwrap_or_default()),
            ("CONTENT_TYPE", header("content-type")),
            ("CONTENT_LENGTH", &body.len().to_string()),
            ("HTTP_CONTENT_ENCODING", header("content-encoding")),
            ("GIT_PROTOCOL", header("git-protocol")),
        ] {
            command.env(name, value);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("git");
        let mut input = child.stdin.take().expect("its input");
        let writing = tokio::spawn(async move { input.write_all(&body).await });
        let output = child.wait_with_output().await.expect("git's answer").stdout;
        writing.await.expect("a task").expect("git read it all");
        let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let mut response = answer(200, output[end + 4..].to_vec());
        for (name, value) in String::from_utf8_lossy(&output[..end]).lines().filter_map(|line| line.split_once(": ")) {
            match name {
                "Status" => *response.status_mut() = value[..3].parse().expect("a status"),
                _ => put(&mut response, name, value),
            }
        }
        response
    }

    fn fault(&self, fault: String) {
        self.account(|account| account.faults.push(fault));
    }

    fn account(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.account.lock().expect("a lock"));
    }
}

fn unauthorized() -> Response<Body> {
    let mut response = json(401, r#"{"message":"Bad credentials"}"#);
    put(&mut response, "www-authenticate", "Basic realm=\"stub\"");
    response
}

fn give(wanted: &Answer) -> Response<Body> {
    let mut response = if wanted.events { events(&wanted.body) } else { answer(wanted.status, wanted.body.clone()) };
    *response.status_mut() = wanted.status.try_into().expect("a status");
    let kind = if wanted.events { "text/event-stream" } else { "application/json" };
    if !wanted.body.is_empty() {
        put(&mut response, "content-type", kind);
    }
    wanted.headers.iter().for_each(|(name, value)| put(&mut response, name, value));
    response
}

/// Each event is a chunk of its own.
fn events(text: &str) -> Response<Body> {
    let (mut sender, body) = channel();
    let events: Vec<Bytes> = text.trim().split("\n\n").map(|event| format!("{event}\n\n").into()).collect();
    tokio::spawn(async move {
        for event in events {
            // A program may leave once it has what it wants.
            let Ok(()) = sender.send_data(event).await else { return };
        }
    });
    Response::new(body)
}

fn json(status: u16, body: &str) -> Response<Body> {
    let mut response = answer(status, body.to_owned());
    put(&mut response, "content-type", "application/json");
    response
}

fn put(response: &mut Response<Body>, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
    response.headers_mut().insert(name, HeaderValue::from_str(value).expect("a value"));
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body).replace('+', " ");
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}
