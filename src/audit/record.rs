//! `Record`: what the log says of one request or one tunnel, filled step by step as the exchange learns it.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, Method, Version};

use super::id::Id;
use super::mask;
use super::text;
use crate::model::{AgentName, Authority, ConnectionId, Host, ProviderId, Scheme, Target};
use crate::telemetry::Span;

/// How many notes one record holds; more are dropped.
const MAX_NOTES: usize = 16;

/// What is being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request that Nexus reads.
    Request,
    /// A CONNECT whose bytes it doesn't.
    Tunnel,
}

/// The way a caller came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// CONNECT (RFC 9110 §9.3.6), and what is inside its tunnel.
    Connect,
    /// Absolute-form (RFC 9112 §3.2.2).
    Absolute,
    /// `/~TOKEN/host/path`.
    BaseUrl,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Forwarded with a stored credential.
    Inject,
    /// Forwarded without one.
    Pass,
    /// Bytes both ways, unread.
    Tunnel,
    /// A CONNECT that is opened: what is inside is decided by itself.
    Intercept,
    /// Answered by Nexus with what was asked for.
    Answer,
    /// Answered by Nexus.
    Refuse,
}

/// The texts of a record, and how long each may be once escaped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    Agent,
    Method,
    Host,
    Path,
    Provider,
    Connection,
    Strategy,
    Refusal,
    Made,
    Sni,
    Rule,
    Report,
    Lease,
    Process,
    Canary,
    CanaryAgent,
    CanaryConnection,
}

impl Field {
    const COUNT: usize = Self::CanaryConnection as usize + 1;

    fn limit(self) -> usize {
        match self {
            Self::Path => 2048,
            Self::Host | Self::Sni => 255,
            Self::Connection | Self::Made | Self::CanaryConnection => 200,
            Self::Rule => 128,
            Self::Report => 512,
            Self::Agent
            | Self::Lease
            | Self::Process
            | Self::Provider
            | Self::Strategy
            | Self::Refusal
            | Self::Canary
            | Self::CanaryAgent => 64,
            Self::Method => 32,
        }
    }
}

/// Texts escaped when they are set, in one piece of memory, so that both lines of a record just copy them.
#[derive(Debug)]
struct Texts {
    bytes: Vec<u8>,
    places: [Option<(u32, u32)>; Field::COUNT],
    kept: Option<(u32, u32)>,
    limit: usize,
}

impl Texts {
    /// `write` appends the raw bytes; what they escape to replaces what the field held before.
    fn set(&mut self, field: Field, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let limit = field.limit().min(self.limit.saturating_sub(start));
        let raw = self.bytes.get(start..).unwrap_or_default();
        if raw.len() > limit || !text::all_plain(raw) {
            let raw = self.bytes.split_off(start);
            text::escape(&mut self.bytes, &raw, limit);
        }
        self.place(field, start);
    }

    /// As [`set`](Self::set), for a name of ours: its letters need no look.
    fn set_name(&mut self, field: Field, name: &str) {
        debug_assert!(text::all_plain(name.as_bytes()), "{name:?} is no name");
        let start = self.bytes.len();
        if name.len() > field.limit().min(self.limit.saturating_sub(start)) {
            return self.set(field, |out| out.extend_from_slice(name.as_bytes()));
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.place(field, start);
    }

    fn place(&mut self, field: Field, start: usize) {
        let place = self.since(start);
        self.kept = None;
        if let Some(slot) = self.places.get_mut(field as usize) {
            *slot = place;
        }
    }

    fn since(&self, start: usize) -> Option<(u32, u32)> {
        u32::try_from(start).ok().zip(u32::try_from(self.bytes.len()).ok())
    }

    fn read(&self, field: Field) -> Option<&[u8]> {
        self.at(*self.places.get(field as usize)?)
    }

    fn at(&self, place: Option<(u32, u32)>) -> Option<&[u8]> {
        let (start, end) = place?;
        self.bytes.get(start as usize..end as usize)
    }
}

/// What a person had, or would have had, to say to it. Few requests have one.
#[derive(Debug, Default)]
pub(super) struct Word {
    pub(super) approval: Option<Approval>,
    /// Escaped.
    pub(super) would_hold: Vec<u8>,
    /// How long it waited for a person.
    pub(super) held: Duration,
}

/// A person's yes.
#[derive(Debug, Clone)]
pub(crate) struct Approval {
    /// `once`, or `grant` where it was said before.
    pub(crate) how: &'static str,
    /// The question that was answered.
    pub(crate) id: String,
    /// Who answered it.
    pub(crate) by: String,
    /// When.
    pub(crate) at: SystemTime,
}

/// The account of one request or tunnel. It holds no header value, no query value, no body and no credential.
#[derive(Debug)]
pub(crate) struct Record {
    pub(super) id: Id,
    pub(super) kind: Kind,
    pub(super) began: SystemTime,
    pub(super) started: Instant,
    /// How long it took, once it has ended.
    pub(super) took: Option<Duration>,
    texts: Texts,
    pub(super) door: Option<Door>,
    pub(super) scheme: Option<Scheme>,
    pub(super) port: Option<u16>,
    pub(super) verdict: Option<Verdict>,
    pub(super) source: Option<SocketAddr>,
    pub(super) dialled: Option<SocketAddr>,
    pub(super) http: Option<Version>,
    pub(super) upstream_http: Option<Version>,
    pub(super) status: Option<u16>,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) guard_hits: u32,
    pub(super) notes: Vec<&'static str>,
    /// What it is in a trace.
    pub(super) span: Option<Box<Span>>,
    pub(super) word: Option<Box<Word>>,
}

impl Record {
    /// An empty record; `memory` holds its texts, at most `limit` bytes of them.
    pub(super) fn new(id: Id, kind: Kind, began: SystemTime, mut memory: Vec<u8>, limit: usize) -> Self {
        memory.clear();
        Self {
            id,
            kind,
            began,
            started: Instant::now(),
            took: None,
            texts: Texts { bytes: memory, places: [None; Field::COUNT], kept: None, limit },
            door: None,
            scheme: None,
            port: None,
            verdict: None,
            source: None,
            dialled: None,
            http: None,
            upstream_http: None,
            status: None,
            bytes_up: 0,
            bytes_down: 0,
            guard_hits: 0,
            notes: Vec::new(),
            span: None,
            word: None,
        }
    }

    /// When it came.
    pub(crate) fn began(&self) -> SystemTime {
        self.began
    }

    /// How long it took, or has taken so far.
    pub(super) fn took(&self) -> Duration {
        self.took.unwrap_or_else(|| self.started.elapsed())
    }

    /// The name of the record, which a refusal shows as `request_id`.
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Its service hears that it goes on in the trace that it is in, if it is told of in any.
    pub(crate) fn trace(&self, headers: &mut HeaderMap) {
        if let Some(span) = &self.span {
            span.put_on(headers);
        }
    }

    /// Who asks.
    pub(crate) fn agent(&mut self, agent: &AgentName) {
        self.texts.set_name(Field::Agent, agent.as_str());
    }

    /// By which of the agent's leases.
    pub(crate) fn lease(&mut self, id: &str) {
        self.texts.set_name(Field::Lease, id);
    }

    /// Where the caller's stream comes from.
    pub(crate) fn source(&mut self, address: SocketAddr) {
        self.source = Some(address);
    }

    /// The process that asks, by a Unix socket.
    pub(crate) fn process(&mut self, process: &impl std::fmt::Display) {
        self.set(Field::Process, process.to_string().as_bytes());
    }

    /// How it came in.
    pub(crate) fn door(&mut self, door: Door) {
        self.door = Some(door);
    }

    /// Where the request wants to go.
    pub(crate) fn target(&mut self, target: &Target) {
        self.request(target.scheme, &target.method, &target.authority, target.path.as_str());
    }

    /// The same by its parts.
    pub(crate) fn request(&mut self, scheme: Scheme, method: &Method, authority: &Authority, path: &str) {
        self.texts.kept = None;
        self.scheme = Some(scheme);
        self.set(Field::Method, method.as_str().as_bytes());
        self.authority(authority);
        self.texts.set(Field::Path, |out| mask::without_values(out, path.as_bytes()));
    }

    /// Where a tunnel wants to go.
    pub(crate) fn authority(&mut self, authority: &Authority) {
        self.texts.kept = None;
        self.port = Some(authority.port);
        match &authority.host {
            Host::Name(name) => self.set(Field::Host, name.as_bytes()),
            address @ Host::Ip(_) => self.set(Field::Host, address.to_string().as_bytes()),
        }
    }

    /// The method as sent.
    pub(crate) fn method(&mut self, method: &[u8]) {
        self.set(Field::Method, method);
    }

    /// A request target that couldn't be parsed, as sent, whatever its form; secrets that the forms may hold are masked.
    pub(crate) fn unparsed(&mut self, target: &[u8]) {
        self.texts.set(Field::Path, |out| mask::unchecked(out, target));
    }

    /// Hides the path, where a rule says that it is a secret.
    pub(crate) fn secret_path(&mut self) {
        self.set(Field::Path, b"/***");
    }

    /// Masks one segment of the path, counted from 1.
    pub(crate) fn secret_segment(&mut self, number: usize, target: &Target) {
        let masked = |(at, segment)| if at == number { "***" } else { segment };
        let path = target.path.path().split('/').enumerate().map(masked).collect::<Vec<_>>().join("/");
        let query = target.path.query().map(|query| format!("?{query}")).unwrap_or_default();
        self.texts.set(Field::Path, |out| mask::without_values(out, format!("{path}{query}").as_bytes()));
    }

    /// The service.
    pub(crate) fn provider(&mut self, provider: &ProviderId) {
        self.texts.set_name(Field::Provider, provider.as_str());
    }

    /// The account.
    pub(crate) fn connection(&mut self, connection: &ConnectionId) {
        self.texts.set_name(Field::Connection, connection.as_str());
    }

    /// The rule of the policy that decided.
    pub(crate) fn rule(&mut self, name: &str) {
        self.set(Field::Rule, name.as_bytes());
    }

    /// A rule of the policy that would have refused it if it were enforced.
    pub(crate) fn report(&mut self, name: &str) {
        let before = self.texts.read(Field::Report).map(|before| [before, b", "].concat()).unwrap_or_default();
        self.set(Field::Report, &[&before, name.as_bytes()].concat());
    }

    /// A person let it go on.
    pub(crate) fn approved(&mut self, approval: Approval) {
        self.word.get_or_insert_default().approval = Some(approval);
    }

    /// It waited so long for a person, which says nothing of a service or of us.
    pub(crate) fn waited(&mut self, held: Duration) {
        self.word.get_or_insert_default().held += held;
    }

    /// A rule of the policy that would have held it for a person's word if it were enforced.
    pub(crate) fn would_hold(&mut self, name: &str) {
        let names = &mut self.word.get_or_insert_default().would_hold;
        let before = if names.is_empty() { "" } else { ", " };
        let room = Field::Report.limit().saturating_sub(names.len());
        text::escape(names, format!("{before}{name}").as_bytes(), room);
    }

    /// The path as it is shown: escaped, the query without its values, and secrets in it masked.
    pub(crate) fn shown_path(&self) -> String {
        String::from_utf8_lossy(self.text(Field::Path).unwrap_or_default()).into_owned()
    }

    /// The connection that was made with it, out of the answer.
    pub(crate) fn made(&mut self, connection: &ConnectionId) {
        self.texts.set_name(Field::Made, connection.as_str());
    }

    /// How the credential goes on: `bearer`, `header`, ….
    pub(crate) fn strategy(&mut self, strategy: &'static str) {
        self.texts.set_name(Field::Strategy, strategy);
    }

    /// A placeholder was seen in `place`, where it does not belong; whose it is and what for, where that is known.
    pub(crate) fn canary(&mut self, place: &'static str, whose: Option<&AgentName>, connection: Option<&ConnectionId>) {
        self.note("canary");
        self.texts.set_name(Field::Canary, place);
        whose.into_iter().for_each(|agent| self.texts.set_name(Field::CanaryAgent, agent.as_str()));
        connection.into_iter().for_each(|connection| self.texts.set_name(Field::CanaryConnection, connection.as_str()));
    }

    /// Whether it was refused, and holds such a placeholder.
    pub(crate) fn is_refused_canary(&self) -> bool {
        self.verdict == Some(Verdict::Refuse) && self.texts.read(Field::Canary).is_some()
    }

    /// What was decided.
    pub(crate) fn verdict(&mut self, verdict: Verdict) {
        self.texts.kept = None;
        self.verdict = Some(verdict);
    }

    /// Why Nexus answered itself: the refusal's kind and status.
    pub(crate) fn refusal(&mut self, kind: &'static str, status: u16) {
        self.verdict(Verdict::Refuse);
        self.status = Some(status);
        self.texts.set_name(Field::Refusal, kind);
    }

    /// The address that was checked and dialled.
    pub(crate) fn dialled(&mut self, address: SocketAddr) {
        self.dialled = Some(address);
    }

    /// The server name of the caller's handshake, as sent.
    pub(crate) fn sni(&mut self, name: &[u8]) {
        self.set(Field::Sni, name);
    }

    /// The HTTP version on the caller's side.
    pub(crate) fn http(&mut self, version: Version) {
        self.http = Some(version);
    }

    /// The HTTP version on the service's side.
    pub(crate) fn upstream_http(&mut self, version: Version) {
        self.upstream_http = Some(version);
    }

    /// What the caller was answered.
    pub(crate) fn status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Counts body or tunnel bytes towards the service.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.bytes_up = self.bytes_up.saturating_add(bytes);
    }

    /// Counts body or tunnel bytes towards the caller.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.bytes_down = self.bytes_down.saturating_add(bytes);
    }

    /// A step worth telling, as a fixed word: `renewed`, `replayed`, `renewal_failed`, `caller_left`.
    pub(crate) fn note(&mut self, word: &'static str) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(word);
        }
    }

    /// Counts secrets that the guard kept from the caller.
    pub(crate) fn guard_hits(&mut self, hits: u32) {
        self.guard_hits = self.guard_hits.saturating_add(hits);
    }

    /// Remembers the part of its first line that its last one repeats, until a setter changes what that says.
    pub(super) fn keep(&mut self, both: &[u8]) {
        let start = self.texts.bytes.len();
        self.texts.bytes.extend_from_slice(both);
        // It is no text: what is set after it has the room that it would have had.
        self.texts.limit = self.texts.limit.saturating_add(both.len());
        self.texts.kept = self.texts.since(start);
    }

    /// What [`keep`](Self::keep) was given, while that holds.
    pub(super) fn kept(&self) -> Option<&[u8]> {
        self.texts.at(self.texts.kept)
    }

    /// The escaped text of `field`, if it was set.
    pub(super) fn text(&self, field: Field) -> Option<&[u8]> {
        self.texts.read(field)
    }

    /// Gives back the memory of a record that isn't needed any more.
    pub(super) fn take_memory(&mut self) -> Vec<u8> {
        (self.texts.places, self.texts.kept) = ([None; Field::COUNT], None);
        std::mem::take(&mut self.texts.bytes)
    }

    fn set(&mut self, field: Field, value: &[u8]) {
        self.texts.set(field, |out| out.extend_from_slice(value));
    }
}
