//! A vault in memory, a token endpoint that revokes the grant when a spent refresh token returns, and a house around them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::broker::{Broker, Error, Listed, Moment, Permit, Ports, Renewal, Seen, Settings, Vault, Whose, Why};
use crate::model::{AgentName, ConnectionId, Credential, ProviderId, Secret};
use crate::oauth::{BoxFuture, Cause, TokenEndpoint, TokenReply, TokenRequest};
use crate::provider::Provider;
use crate::vault::{AuthType, CaptureError, Entry, OwnConnections, PendingBound, Status};

pub(in crate::broker) const MINUTE: Duration = Duration::from_secs(60);
pub(in crate::broker) const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(&'static str);

/// A vault in memory; two brokers with one of these are two processes with one file.
#[derive(Default)]
pub(super) struct FakeVault {
    entries: Mutex<(u64, BTreeMap<ConnectionId, Arc<Entry>>)>,
    locked: Mutex<HashSet<ConnectionId>>,
    /// What the next look shows: one that another thread took and that comes late.
    pub(super) late: Mutex<Option<Seen>>,
    /// Whether writes fail.
    pub(super) broken: AtomicBool,
    /// Writes that went through.
    pub(super) writes: AtomicUsize,
    /// Each write waits for one word, when set.
    pub(super) gate: Mutex<Option<mpsc::Receiver<()>>>,
}

impl FakeVault {
    /// Writes as a person or another process would.
    pub(super) fn put(&self, id: &ConnectionId, entry: Entry) {
        let mut entries = self.entries.lock().expect("a lock");
        entries.0 += 1;
        entries.1.insert(id.clone(), Arc::new(entry));
    }

    pub(super) fn remove(&self, id: &ConnectionId) {
        let mut entries = self.entries.lock().expect("a lock");
        entries.0 += 1;
        entries.1.remove(id);
    }

    pub(super) fn get(&self, id: &ConnectionId) -> Arc<Entry> {
        Arc::clone(self.entries.lock().expect("a lock").1.get(id).expect("an entry"))
    }

    /// Changes an entry as another process would.
    pub(super) fn edit(&self, id: &ConnectionId, change: impl FnOnce(&mut Entry)) {
        let mut entry = copy(&self.get(id));
        change(&mut entry);
        self.put(id, entry);
    }

    /// What a look shows now.
    pub(super) fn look(&self, id: &ConnectionId) -> Seen {
        let entries = self.entries.lock().expect("a lock");
        Seen { version: entries.0, entry: entries.1.get(id).cloned() }
    }

    fn check(&self) -> Result<(), Cause> {
        if self.broken.load(Ordering::SeqCst) { Err(Arc::new(Broken("the disk is full"))) } else { Ok(()) }
    }
}

fn copy(entry: &Entry) -> Entry {
    let mut fields = Credential::default();
    for name in entry.fields.names() {
        fields.set(name, entry.fields.field(name).expect("a field").duplicate());
    }
    let mut copy = Entry::new(entry.provider.clone(), entry.auth_type.clone(), fields);
    (copy.registered_at, copy.expires_at, copy.status) = (entry.registered_at, entry.expires_at, entry.status);
    (copy.hosts, copy.sealed) = (entry.hosts.clone(), entry.sealed);
    copy.token_urls.clone_from(&entry.token_urls);
    copy
}

struct Held(Arc<FakeVault>, ConnectionId);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.locked.lock().expect("a lock").remove(&self.1);
    }
}

/// What was in the vault.
#[derive(Debug)]
struct Frozen(BTreeMap<ConnectionId, Arc<Entry>>);

impl Moment for Frozen {
    fn connections(&self, provider: &ProviderId) -> Arc<[ConnectionId]> {
        self.0.keys().filter(|id| id.provider() == provider).cloned().collect()
    }

    fn own(&self, _provider: &ProviderId) -> OwnConnections {
        OwnConnections::default()
    }

    fn waiting(&self, _agent: &AgentName, _now: SystemTime) -> usize {
        0
    }

    fn entry(&self, id: &ConnectionId) -> Option<&Arc<Entry>> {
        self.0.get(id)
    }
}

/// The vault as one process sees it.
struct Window(Arc<FakeVault>);

impl Vault for Window {
    fn entry(&self, id: &ConnectionId) -> Result<Seen, Cause> {
        if let Some(late) = self.0.late.lock().expect("a lock").take() {
            return Ok(late);
        }
        Ok(self.0.look(id))
    }

    fn connections(&self, provider: &ProviderId) -> Result<Listed, Cause> {
        let entries = self.0.entries.lock().expect("a lock");
        let ids = entries.1.keys().filter(|id| id.provider() == provider).cloned().collect();
        Ok(Listed { version: entries.0, ids, own: OwnConnections::default(), moment: Arc::new(Frozen(entries.1.clone())) })
    }

    fn update(&self, id: &ConnectionId, change: &mut dyn FnMut(&mut Entry)) -> Result<Seen, Cause> {
        if let Some(gate) = self.0.gate.lock().expect("a lock").as_ref() {
            gate.recv().expect("a word");
        }
        self.0.check()?;
        let old = self.0.entries.lock().expect("a lock").1.get(id).cloned();
        if let Some(old) = old {
            let mut entry = copy(&old);
            change(&mut entry);
            self.0.put(id, entry);
            self.0.writes.fetch_add(1, Ordering::SeqCst);
        }
        self.entry(id)
    }

    fn capture(&self, _entry: Entry, _now: SystemTime, bound: PendingBound) -> Result<ConnectionId, CaptureError> {
        Err(CaptureError::TooMany(bound.0))
    }

    fn lock(&self, id: &ConnectionId, wait: Duration) -> Result<Box<dyn Send>, Cause> {
        let start = std::time::Instant::now();
        while !self.0.locked.lock().expect("a lock").insert(id.clone()) {
            if start.elapsed() > wait {
                return Err(Arc::new(Broken("locked by another process")));
            }
            std::thread::yield_now();
        }
        Ok(Box::new(Held(Arc::clone(&self.0), id.clone())))
    }
}

/// One answer that is not the usual one.
pub(super) enum Oddity {
    Status(u16, &'static str),
    RetryAfter(u16, &'static str),
    Unreachable,
    Hang,
}

/// A token endpoint with one grant. A spent refresh token revokes it, as RFC 9700 §4.14.2 advises.
pub(super) struct FakeEndpoint {
    /// Calls that reached it.
    pub(super) calls: AtomicUsize,
    /// Calls that are on their way or reached it.
    pub(super) sent: AtomicUsize,
    /// Access tokens it gave.
    issued: AtomicUsize,
    /// Seconds an access token lives; `None` is not said.
    pub(super) life: Mutex<Option<i64>>,
    /// Whether each refresh gives a new refresh token.
    pub(super) rotates: AtomicBool,
    /// What it answers next instead of tokens.
    pub(super) oddities: Mutex<VecDeque<Oddity>>,
    /// Calls that it lets through.
    pub(super) gate: Semaphore,
    /// The number in the refresh token it takes; `None` = the grant is revoked.
    grant: Mutex<Option<usize>>,
    /// Answers instead, where tokens are not bought with a refresh token.
    pub(super) vendor: Mutex<Option<Vendor>>,
}

/// What a token endpoint says to a request, the tokens so far counted.
pub(super) type Vendor = Box<dyn Fn(&TokenRequest, usize) -> TokenReply + Send>;

impl FakeEndpoint {
    pub(super) fn new() -> Self {
        Self {
            calls: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            issued: AtomicUsize::new(1),
            life: Mutex::new(Some(3600)),
            rotates: AtomicBool::new(true),
            oddities: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            grant: Mutex::new(Some(1)),
            vendor: Mutex::default(),
        }
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(super) fn next(&self, oddity: Oddity) {
        self.oddities.lock().expect("a lock").push_back(oddity);
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.grant.lock().expect("a lock").is_none()
    }

    fn answer(&self, request: &TokenRequest) -> TokenReply {
        if let Some(vendor) = self.vendor.lock().expect("a lock").as_ref() {
            return vendor(request, self.issued.fetch_add(1, Ordering::SeqCst) + 1);
        }
        let body = request.body();
        let form = std::str::from_utf8(&body).expect("text");
        let mut grant = self.grant.lock().expect("a lock");
        if grant.is_none_or(|number| !form.contains(&format!("refresh_token=refresh-{number}&"))) {
            *grant = None;
            return reply(400, r#"{"error":"invalid_grant"}"#);
        }
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let mut body = serde_json::json!({ "access_token": format!("access-{number}"), "token_type": "Bearer" });
        if self.rotates.load(Ordering::SeqCst) {
            *grant = grant.map(|number| number + 1);
            body["refresh_token"] = format!("refresh-{}", grant.expect("a grant")).into();
        }
        if let Some(life) = *self.life.lock().expect("a lock") {
            body["expires_in"] = life.into();
        }
        reply(200, &body.to_string())
    }
}

pub(super) fn reply(status: u16, body: &str) -> TokenReply {
    TokenReply {
        status: StatusCode::from_u16(status).expect("a status"),
        content_type: Some(HeaderValue::from_static("application/json")),
        retry_after: None,
        date: None,
        body: Secret::new(body.as_bytes().to_vec()),
    }
}

/// The way to it.
pub(super) struct Line(pub(super) Arc<FakeEndpoint>);

impl TokenEndpoint for Line {
    fn send(&self, request: TokenRequest) -> BoxFuture<'_, Result<TokenReply, Cause>> {
        Box::pin(async move {
            let vendor = self.0.vendor.lock().expect("a lock").is_some();
            assert!(vendor || request.url == "https://auth.example/token");
            self.0.sent.fetch_add(1, Ordering::SeqCst);
            self.0.gate.acquire().await.expect("open").forget();
            self.0.calls.fetch_add(1, Ordering::SeqCst);
            let odd = self.0.oddities.lock().expect("a lock").pop_front();
            match odd {
                None => Ok(self.0.answer(&request)),
                Some(Oddity::Status(status, body)) => Ok(reply(status, body)),
                Some(Oddity::RetryAfter(status, after)) => {
                    Ok(TokenReply { retry_after: Some(HeaderValue::from_static(after)), ..reply(status, "") })
                }
                Some(Oddity::Unreachable) => Err(Arc::new(Broken("no route")) as Cause),
                Some(Oddity::Hang) => std::future::pending().await,
            }
        })
    }
}

/// One broker and all it needs.
pub(super) struct House {
    pub(super) broker: Arc<Broker>,
    pub(super) vault: Arc<FakeVault>,
    pub(super) endpoint: Arc<FakeEndpoint>,
    pub(super) provider: Arc<Provider>,
    pub(super) id: ConnectionId,
    epoch: Instant,
}

impl House {
    /// A connection `acme` that was registered with `access-1` and `refresh-1`, which dies after `life`.
    pub(super) fn new(life: Option<Duration>) -> Self {
        Self::with(Settings::default(), life)
    }

    pub(super) fn with(settings: Settings, life: Option<Duration>) -> Self {
        let (vault, endpoint) = (Arc::new(FakeVault::default()), Arc::new(FakeEndpoint::new()));
        let id: ConnectionId = "acme".parse().expect("a name");
        let epoch = Instant::now();
        vault.put(&id, registered(&[("access_token", "access-1"), ("refresh_token", "refresh-1")]));
        vault.edit(&id, |entry| entry.expires_at = life.map(|life| time(epoch) + life));
        let broker = broker(&vault, &endpoint, settings, epoch);
        Self { broker, vault, endpoint, provider: provider(), id, epoch }
    }

    /// A connection `acme` with these fields and no others, at a provider with these grants.
    pub(super) fn making(
        provider: &str,
        fields: &[(&str, &str)],
        vendor: impl Fn(&TokenRequest, usize) -> TokenReply + Send + 'static,
    ) -> Self {
        let mut house = Self::new(None);
        house.provider = Arc::new(crate::provider::parse("acme.toml", provider).expect("a provider"));
        *house.endpoint.vendor.lock().expect("a lock") = Some(Box::new(vendor));
        house.put(fields);
        house
    }

    /// A person registers `acme` with these fields and no others.
    pub(super) fn put(&self, fields: &[(&str, &str)]) {
        let mut credential = Credential::default();
        fields.iter().for_each(|(name, value)| credential.set(name, Secret::new((*value).to_owned())));
        let mut entry = Entry::new("acme".parse().expect("a name"), AuthType::OAuth2, credential);
        entry.registered_at = Some(self.time());
        self.vault.put(&self.id, entry);
    }

    /// What another process does while it renews; it ends when the guard goes.
    pub(super) fn lock(&self) -> Box<dyn Send> {
        Window(Arc::clone(&self.vault)).lock(&self.id, Duration::ZERO).expect("the lock")
    }

    /// The wall clock.
    pub(super) fn time(&self) -> SystemTime {
        time(self.epoch)
    }

    /// A second process with the same vault; also what is left after a restart.
    pub(super) fn another(&self) -> Self {
        let (vault, endpoint) = (Arc::clone(&self.vault), Arc::clone(&self.endpoint));
        let broker = broker(&vault, &endpoint, Settings::default(), self.epoch);
        Self { broker, vault, endpoint, provider: Arc::clone(&self.provider), id: self.id.clone(), epoch: self.epoch }
    }

    pub(super) async fn authorize(&self) -> Result<Permit, Error> {
        self.broker.authorize(&self.id, &self.provider, &[0], Whose::default()).await
    }

    pub(super) async fn permit(&self) -> Permit {
        self.authorize().await.expect("a permit")
    }

    /// One request to a place that answers 401 to every credential: does what the data plane does, and tells what came of it.
    pub(super) async fn always_401(&self) -> Renewal {
        let permit = self.permit().await;
        permit.renew(Instant::now()).await
    }

    /// One request to a place that takes `access-N` with the highest N the endpoint gave.
    pub(super) async fn request(&self) -> String {
        let permit = self.permit().await;
        permit.succeeded(Instant::now());
        token(&permit)
    }

    /// A person registers `access-N` and `refresh-N` and the service knows them.
    pub(super) fn register_anew(&self, number: usize) {
        let (access, refresh) = (format!("access-{number}"), format!("refresh-{number}"));
        let mut entry = registered(&[("access_token", &access), ("refresh_token", &refresh)]);
        entry.registered_at = Some(UNIX_EPOCH + Duration::from_secs(number as u64));
        *self.endpoint.grant.lock().expect("a lock") = Some(number);
        self.vault.put(&self.id, entry);
    }
}

fn broker(vault: &Arc<FakeVault>, endpoint: &Arc<FakeEndpoint>, settings: Settings, epoch: Instant) -> Arc<Broker> {
    let ports = Ports {
        vault: Arc::new(Window(Arc::clone(vault))),
        endpoint: Arc::new(Line(Arc::clone(endpoint))),
        clock: Arc::new(move || time(epoch)),
        runtime: tokio::runtime::Handle::current(),
    };
    Broker::new(ports, settings)
}

fn time(epoch: Instant) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000) + epoch.elapsed()
}

pub(in crate::broker) fn registered(fields: &[(&str, &str)]) -> Entry {
    let mut credential = Credential::default();
    for (name, value) in fields.iter().chain(&[("client_id", "the-client-id"), ("client_secret", "the-client-secret")]) {
        credential.set(name, Secret::new((*value).to_owned()));
    }
    let mut entry = Entry::new("acme".parse().expect("a name"), AuthType::OAuth2, credential);
    entry.registered_at = Some(UNIX_EPOCH);
    entry
}

pub(in crate::broker) fn provider() -> Arc<Provider> {
    let text = r#"
        name = "acme"
        title = "Acme"
        category = "tests"
        slots = ["authorization"]
        [oauth2]
        token_url = "https://auth.example/token"
        client_authentication = "client_secret_post"
        [[inject]]
        hosts = ["api.example.com"]
        strategy = { bearer = "{access_token}" }
        [[inject]]
        hosts = ["key.example.com"]
        strategy = { bearer = "{api_key}" }
    "#;
    Arc::new(crate::provider::parse("acme.toml", text).expect("a provider"))
}

/// The token on the request.
pub(super) fn token(permit: &Permit) -> String {
    let (_, value) = permit.prepared().headers.first().expect("a header");
    value.to_str().expect("text").strip_prefix("Bearer ").expect("a bearer token").to_owned()
}

/// The fresh permit's token.
pub(super) fn fresh(renewal: &Renewal) -> String {
    match renewal {
        Renewal::Fresh(permit) => token(permit),
        Renewal::Keep(why) | Renewal::Doubtful(why) => panic!("kept: {why}"),
        Renewal::Dead(error) => panic!("dead: {error}"),
    }
}

/// Why a 401 stood.
pub(super) fn kept(renewal: &Renewal) -> &'static str {
    match renewal {
        Renewal::Fresh(permit) => panic!("renewed: {permit:?}"),
        Renewal::Keep(why) | Renewal::Doubtful(why) => why.word(),
        Renewal::Dead(_) => "attention",
    }
}

/// Why an expired credential was not renewed.
pub(super) fn waiting(answer: Result<Permit, Error>) -> Why {
    match answer {
        Err(Error::Renewal { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

pub(super) fn has(entry: &Entry, name: &str, value: &str) -> bool {
    entry.fields.field(name).is_some_and(|field| field.matches(value))
}

pub(super) fn is_in_attention(house: &House) -> bool {
    house.vault.get(&house.id).status == Status::Attention
}

/// Begins `count` tasks at once that each do `work` in `house`.
pub(super) fn at_once<T, F>(count: usize, house: &Arc<House>, work: impl Fn(Arc<House>) -> F) -> Vec<JoinHandle<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    (0..count).map(|_| tokio::spawn(work(Arc::clone(house)))).collect()
}

/// Lets other tasks run until `condition` holds.
pub(super) async fn until(condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited too long");
        tokio::task::yield_now().await;
    }
}
