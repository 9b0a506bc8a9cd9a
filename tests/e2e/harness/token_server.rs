//! `TokenServer`: an https token endpoint with one grant (RFC 6749 §6). It checks how the client authenticates, counts its uses,
//! rotates refresh tokens, and revokes the whole grant when a spent one returns (RFC 9700 §4.14.2). The test can make it answer
//! oddly, hang, or wait, and asks it which access tokens are valid.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use tokio::sync::{Semaphore, watch};

use super::authority::Authority;
use super::body::Body;
use super::upstream::{Call, Offers, Upstream, answer};

pub(crate) const CLIENT_ID: &str = "the client:id";
pub(crate) const CLIENT_SECRET: &str = "s3cret with space & sign";

/// How the client must authenticate (RFC 6749 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authentication {
    Basic,
    Post,
    None,
}

impl Authentication {
    /// As provider files write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::None => "none",
        }
    }
}

/// One answer that is not tokens.
#[derive(Debug)]
pub(crate) enum Odd {
    /// This status and body.
    Status(u16, &'static str),
    /// This status and `Retry-After`.
    RetryAfter(u16, u64),
    /// No answer, ever.
    Hang,
}

struct Grant {
    access: HashSet<String>,
    /// `None` once revoked.
    refresh: Option<String>,
    spent: HashSet<String>,
    issued: usize,
    rotates: bool,
    life: Option<u64>,
    odd: VecDeque<Odd>,
    mistakes: Vec<String>,
}

struct State {
    authentication: Authentication,
    grant: Mutex<Grant>,
    uses: AtomicUsize,
    gate: Semaphore,
    answered: watch::Sender<usize>,
    swapped: watch::Sender<bool>,
}

/// The endpoint, and the authority on which access tokens are valid. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TokenServer {
    state: Arc<State>,
    upstream: Arc<Upstream>,
}

impl TokenServer {
    /// Serves `https://NAME/token`. The first tokens are `access(1)` and `refresh(1)`.
    pub(crate) async fn start(ca: &Authority, name: &str, authentication: Authentication) -> Self {
        let grant = Grant {
            access: HashSet::from([access(1)]),
            refresh: Some(refresh(1)),
            spent: HashSet::new(),
            issued: 1,
            rotates: true,
            life: Some(3600),
            odd: VecDeque::new(),
            mistakes: Vec::new(),
        };
        let state = Arc::new(State {
            authentication,
            grant: Mutex::new(grant),
            uses: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            answered: watch::Sender::new(0),
            swapped: watch::Sender::new(false),
        });
        let shared = Arc::clone(&state);
        let handler = move |call| {
            let state = Arc::clone(&shared);
            async move { state.serve(call).await }
        };
        let upstream = Arc::new(Upstream::serve(ca, &[name], Offers::Http1, handler).await);
        Self { state, upstream }
    }

    /// The service behind it.
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Calls that came so far.
    pub(crate) fn uses(&self) -> usize {
        self.state.uses.load(Ordering::SeqCst)
    }

    /// Calls that were answered so far.
    pub(crate) fn answered(&self) -> watch::Receiver<usize> {
        self.state.answered.subscribe()
    }

    /// Waits until `count` calls have come.
    pub(crate) async fn until_used(&self, count: usize) {
        self.upstream.until(|seen| seen.len() >= count).await;
    }

    /// Whether this access token is valid now.
    pub(crate) fn accepts(&self, token: Option<&str>) -> bool {
        token.is_some_and(|token| self.grant(|grant| grant.access.contains(token)))
    }

    /// All access tokens so far are dead; the refresh token is not.
    pub(crate) fn expire(&self) {
        self.grant(|grant| grant.access.clear());
    }

    /// Whether a spent refresh token came and took the grant with it.
    pub(crate) fn is_revoked(&self) -> bool {
        self.grant(|grant| grant.refresh.is_none())
    }

    /// A person connects the account again: new tokens, which are returned.
    pub(crate) fn connect_anew(&self) -> (String, String) {
        self.grant(|grant| {
            grant.issued += 1;
            let tokens = (access(grant.issued), refresh(grant.issued));
            (grant.access, grant.refresh) = (HashSet::from([tokens.0.clone()]), Some(tokens.1.clone()));
            tokens
        })
    }

    /// Says that the test has changed what it was about to change.
    pub(crate) fn swapped(&self) {
        self.state.swapped.send_replace(true);
    }

    /// Waits for [`TokenServer::swapped`].
    pub(crate) async fn until_swapped(&self) {
        self.state.swapped.subscribe().wait_for(|swapped| *swapped).await.expect("the server lives");
    }

    /// The next call is answered so.
    pub(crate) fn next(&self, odd: Odd) {
        self.grant(|grant| grant.odd.push_back(odd));
    }

    /// Seconds that access tokens live by the answers; `None` is not said.
    pub(crate) fn life(&self, life: Option<u64>) {
        self.grant(|grant| grant.life = life);
    }

    /// Whether each renewal gives a new refresh token and spends the old one.
    pub(crate) fn rotates(&self, rotates: bool) {
        self.grant(|grant| grant.rotates = rotates);
    }

    /// From now on calls wait until [`TokenServer::let_through`].
    pub(crate) fn hold(&self) {
        self.state.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets `count` held calls go on.
    pub(crate) fn let_through(&self, count: usize) {
        self.state.gate.add_permits(count);
    }

    /// What callers did wrong: none in a test that passes.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        self.grant(|grant| grant.mistakes.clone())
    }

    fn grant<T>(&self, look: impl FnOnce(&mut Grant) -> T) -> T {
        look(&mut self.state.grant.lock().expect("a lock"))
    }
}

/// Access token number `number`.
pub(crate) fn access(number: usize) -> String {
    format!("access-token-{number:06}-abcdefghijklm")
}

/// Refresh token number `number`.
pub(crate) fn refresh(number: usize) -> String {
    format!("refresh-token-{number:06}-abcdefghijkl")
}

impl State {
    async fn serve(&self, mut call: Call) -> Response<Body> {
        let Ok(body) = call.read().await else { return answer(400, "") };
        self.uses.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.expect("open").forget();
        let odd = self.grant.lock().expect("a lock").odd.pop_front();
        let response = match odd {
            None => self.tokens(&call, &body),
            Some(Odd::Status(status, body)) => json(status, body.to_owned()),
            Some(Odd::RetryAfter(status, seconds)) => {
                let mut response = json(status, String::new());
                response.headers_mut().insert("retry-after", seconds.into());
                response
            }
            Some(Odd::Hang) => std::future::pending().await,
        };
        self.answered.send_modify(|count| *count += 1);
        response
    }

    fn tokens(&self, call: &Call, body: &[u8]) -> Response<Body> {
        let form = parse_form(body);
        let mut grant = self.grant.lock().expect("a lock");
        if let Some(mistake) = self.mistake(call, &form) {
            grant.mistakes.push(mistake);
            return json(401, r#"{"error":"invalid_client"}"#.to_owned());
        }
        let shown = form.get("refresh_token").cloned().unwrap_or_default();
        if grant.refresh.as_ref() != Some(&shown) {
            if grant.spent.contains(&shown) {
                grant.refresh = None;
                grant.access.clear();
            }
            return json(400, r#"{"error":"invalid_grant"}"#.to_owned());
        }
        grant.issued += 1;
        let token = access(grant.issued);
        grant.access.insert(token.clone());
        let mut reply = serde_json::json!({ "access_token": token, "token_type": "Bearer" });
        if grant.rotates {
            grant.spent.insert(shown);
            grant.refresh = Some(refresh(grant.issued));
            reply["refresh_token"] = refresh(grant.issued).into();
        }
        if let Some(life) = grant.life {
            reply["expires_in"] = life.into();
        }
        json(200, reply.to_string())
    }

    /// What is wrong with the request, apart from the token.
    fn mistake(&self, call: &Call, form: &BTreeMap<String, String>) -> Option<String> {
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(CLIENT_ID), encode(CLIENT_SECRET))));
        let field = |name: &str| form.get(name).map(String::as_str);
        let credentials = (call.seen.header("authorization"), field("client_id"), field("client_secret"));
        let expected = match self.authentication {
            Authentication::Basic => (Some(basic.as_str()), None, None),
            Authentication::Post => (None, Some(CLIENT_ID), Some(CLIENT_SECRET)),
            Authentication::None => (None, Some(CLIENT_ID), None),
        };
        let checks = [
            (call.seen.method == "POST" && call.seen.path == "/token", "not POST /token"),
            (call.seen.header("content-type") == Some("application/x-www-form-urlencoded"), "not a form"),
            (field("grant_type") == Some("refresh_token"), "not the refresh grant"),
            (credentials == expected, "the client did not authenticate as it should"),
        ];
        checks.iter().find(|(right, _)| !right).map(|(_, mistake)| format!("{mistake}: {:?} {form:?}", call.seen))
    }
}

fn json(status: u16, body: String) -> Response<Body> {
    let mut response = answer(status, body);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response.headers_mut().insert("cache-control", http::HeaderValue::from_static("no-store"));
    response
}

fn parse_form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body).replace('+', " ");
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// `application/x-www-form-urlencoded`, as RFC 6749 §2.3.1 wants it inside Basic.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*-._".contains(&byte);
    let encoded = text.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}
