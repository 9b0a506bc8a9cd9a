//! `nexus.toml`: every key optional, unknown keys refused with line and column, overridden by `NEXUS__SECTION__KEY`.

mod bounds;
mod check;
mod peer;
mod read;
mod shipped;
mod time;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytesize::ByteSize;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(super) use self::check::{parse_exception, parse_name};
pub use self::peer::{CertificateRow, ClientAuth, Mode, PeerRow};
pub use self::read::Error;
pub use self::time::Time;
use crate::policy;
use crate::wording::section;

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The callers' side.
    #[serde(deserialize_with = "section")]
    pub proxy: Proxy,
    /// The services' side.
    #[serde(deserialize_with = "section")]
    pub upstream: Upstream,
    /// Requests that are sent twice.
    #[serde(deserialize_with = "section")]
    pub replay: Replay,
    /// Renewal of tokens.
    #[serde(deserialize_with = "section")]
    pub renewal: Renewal,
    /// What is allowed where no rule matches.
    #[serde(deserialize_with = "section")]
    pub policy: Policy,
    /// Secrets in what services answer.
    #[serde(deserialize_with = "section")]
    pub guard: Guard,
    /// Bounds.
    #[serde(deserialize_with = "section")]
    pub limits: Limits,
    /// The log.
    #[serde(deserialize_with = "section")]
    pub audit: Audit,
    /// The certificate authority.
    #[serde(deserialize_with = "section")]
    pub ca: Ca,
    /// The control plane.
    #[serde(deserialize_with = "section")]
    pub gateway: Gateway,
    /// Refusals that need a person.
    #[serde(deserialize_with = "section")]
    pub attention: Attention,
    /// What is told to a collector.
    #[serde(deserialize_with = "section")]
    pub telemetry: Telemetry,
    /// Requests that a rule holds for a person's word.
    #[serde(deserialize_with = "section")]
    pub approvals: Approvals,
    /// Who may do what: the first that fits decides.
    pub rule: Vec<policy::Row>,
}

/// `[proxy]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Where callers connect.
    pub listen: Vec<SocketAddr>,
    /// More listeners, each bound to one agent, for clients that can't send credentials (Java).
    pub agent_listen: BTreeMap<String, SocketAddr>,
    /// Unix sockets where callers of this machine connect, known by the kernel's word; relative to the home folder.
    pub unix_listen: Vec<PathBuf>,
    /// Who of this machine may connect there, as the mode of the file.
    pub unix_mode: Mode,
    /// Which agent a process is that comes by a Unix socket and shows no token: the first that fits.
    pub peer: Vec<PeerRow>,
    /// PEM file of the authorities whose certificates callers may show the proxy's TLS; relative to the home folder.
    pub client_ca: Option<PathBuf>,
    /// PEM file of the certificates that they took back.
    pub client_crl: Option<PathBuf>,
    /// Whether callers may show a certificate or must: `optional` or `required`.
    pub client_auth: ClientAuth,
    /// Which agent a caller is that shows a certificate: the first that fits.
    pub client_certificate: Vec<CertificateRow>,
    /// Whether every user of this machine may use those on loopback; by default only the user that runs the proxy may.
    pub agent_listen_any_user: bool,
    /// Hosts no provider names: `tunnel`, `intercept` or `refuse`.
    pub unmatched: Unmatched,
    /// A provider's host without a credential: `pass` or `refuse`; by default `pass` without agents, `refuse` with them.
    pub unregistered: Option<Unregistered>,
    /// What becomes of a program's own log-in at a provider's token endpoint: `capture`, `pass` or `refuse`.
    pub log_ins: LogIns,
    /// What becomes of a program's request for a new credential whose answer the provider's file describes: `refuse` or `capture`.
    pub mints: Mints,
    /// More names and addresses under which callers reach the proxy's own TLS.
    pub names: Vec<String>,
    /// Ports besides 80 and 443 that CONNECT may name.
    pub connect_ports: Vec<u16>,
    /// Worker threads; 0 = one per core.
    pub workers: usize,
}

/// `proxy.unmatched`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// Bytes pass untouched.
    Tunnel,
    /// TLS is ended and begun anew.
    Intercept,
    /// No way out.
    Refuse,
}

/// `proxy.unregistered`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Unregistered {
    /// What the caller sent goes on.
    Pass,
    /// `auth_required`.
    Refuse,
}

/// `proxy.log_ins`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum LogIns {
    /// Its token becomes a connection that waits for approval; the program gets a placeholder.
    Capture,
    /// It is a request like others.
    Pass,
    /// No way out.
    Refuse,
}

/// `proxy.mints`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Mints {
    /// No way out.
    Refuse,
    /// It becomes a connection that waits for approval; the program gets a placeholder.
    Capture,
}

/// `[upstream]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// PEM files trusted besides the system's roots; relative to the home folder.
    pub extra_roots: Vec<PathBuf>,
    /// Private ranges that may be dialled.
    pub allow_private: Vec<IpNet>,
    /// `host` or `host:port` = `address:port`, like `curl --resolve`.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// A parent proxy, `http://host:port`.
    pub proxy: Option<String>,
    /// A file with `user:password` for the parent proxy.
    pub proxy_auth_file: Option<PathBuf>,
    /// Hosts that go past the parent proxy: names or `.suffix`.
    pub proxy_except: Vec<String>,
    /// Whether `h2` is offered to services.
    pub http2: bool,
    /// Look-up, TCP and the parent together.
    pub connect_timeout_secs: u64,
    /// The TLS handshake.
    pub handshake_timeout_secs: u64,
    /// From the request's last byte to the response's head.
    pub head_timeout_secs: u64,
    /// Silence in a response body or tunnel.
    pub idle_timeout_secs: u64,
    /// How long an unused connection is kept.
    pub pool_idle_timeout_secs: u64,
    /// How many unused connections one worker keeps for one host.
    pub pool_idle_per_host: usize,
}

/// `[replay]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replay {
    /// A request body kept for the second send.
    pub memory: ByteSize,
    /// How long a larger body waits for `100 Continue`.
    pub expect_timeout_millis: u64,
}

/// `[renewal]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Renewal {
    /// How long before its end a token is renewed.
    pub ahead_secs: u64,
    /// How long a token endpoint may take.
    pub timeout_secs: u64,
    /// How long a request waits for a renewal while the old token still lives.
    pub ahead_wait_secs: u64,
    /// How long a request waits for a renewal that it cannot do without.
    pub wait_secs: u64,
    /// How long to wait for another process that renews the same connection.
    pub lock_wait_secs: u64,
    /// Requests that may wait for renewals of one connection at a time.
    pub waiters: usize,
    /// How long a 401 on a just renewed token that has not worked anywhere is held to be about the request; doubles.
    pub trial_secs: u64,
    /// The most that `trial_secs` doubles to.
    pub trial_limit_secs: u64,
    /// Renewals that one connection may make in a row.
    pub burst: u32,
    /// How long until it may make one more.
    pub refill_secs: u64,
    /// The pause after a failed renewal; doubles with each failure in a row.
    pub pause_secs: u64,
    /// The most that `pause_secs` doubles to.
    pub pause_limit_secs: u64,
    /// Connections held in memory; beyond it those that the vault no longer has are dropped.
    pub connections: usize,
}

/// `[policy]`.
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Where no rule matches: `allow` or `deny`. Must be written when listening beyond loopback.
    pub default: Option<Verdict>,
    /// Where a placeholder is seen that does not belong there: `alarm`, `refuse` or `freeze`.
    pub on_canary: OnCanary,
}

/// `[telemetry]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The collector's base URL, for OTLP over HTTP; spans go to `/v1/traces` below it.
    pub otlp: Option<String>,
    /// A file with fields for it, `NAME: VALUE` in each line; relative to the home folder.
    pub otlp_headers_file: Option<PathBuf>,
    /// Of the traces that begin here, how many are told; a caller's own word holds for its own.
    pub sample: f64,
}

/// `policy.on_canary`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnCanary {
    /// Told of.
    #[default]
    Alarm,
    /// Refused as well.
    Refuse,
    /// And the agent gets nothing more.
    Freeze,
}

/// `policy.default`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Goes on.
    Allow,
    /// Refused.
    Deny,
}

/// `[limits]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections of all callers.
    pub connections: usize,
    /// Connections of one agent.
    pub agent_connections: usize,
    /// Requests of one agent that are under way.
    pub agent_requests: usize,
    /// Name look-ups of one agent at once.
    pub agent_lookups: usize,
    /// Log-ins of one agent that may wait for approval at a time.
    pub pending_log_ins: usize,
    /// How long a log-in waits for approval before it is dropped.
    pub pending_log_in_hours: u64,
    /// Leases there may be at a time; 0 = none.
    pub leases: usize,
    /// Of those, the ones of one agent.
    pub agent_leases: usize,
    /// The longest that a lease lasts.
    pub lease_secs: u64,
    /// Names without an address that one agent may ask for in a minute before it has to wait.
    pub unknown_names_per_minute: u32,
    /// Streams of one HTTP/2 connection.
    pub http2_streams: u32,
    /// A request head must be whole after this.
    pub head_timeout_secs: u64,
    /// The caller's TLS handshake.
    pub handshake_timeout_secs: u64,
    /// A caller's connection without a request.
    pub keep_alive_secs: u64,
    /// A request body that a credential may stand in is whole in memory, up to this size.
    pub content: ByteSize,
    /// How long a request body may be slow before it is held to `upload_rate`.
    pub upload_grace_secs: u64,
    /// Bytes a second that a request body must bring on average, as long as nothing was answered.
    pub upload_rate: ByteSize,
    /// How long requests may go on after SIGTERM.
    pub drain_secs: u64,
    /// Bytes of one request head.
    pub head_size: ByteSize,
    /// Fields of one request head.
    pub head_fields: u16,
    /// Bytes of one request target.
    pub target_size: ByteSize,
    /// Wrong tokens that one address may show in a minute before it has to wait.
    pub wrong_tokens_per_minute: u32,
}

/// `[guard]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// What becomes of an injected credential in the body of an answer: `scrub` or `off`.
    pub mode: GuardMode,
    /// Which credentials are looked for: `request`, its own, or `agent`, all that requests of its agent went out with.
    pub scope: GuardScope,
}

/// `guard.scope`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GuardScope {
    /// That of the request which is answered.
    Request,
    /// Those of all requests of the agent, in whatever it is answered.
    Agent,
}

/// `guard.mode`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GuardMode {
    /// A placeholder stands in its place.
    Scrub,
    /// It passes.
    Off,
}

/// `[audit]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// What happens to requests when the log can't be written.
    pub on_failure: OnFailure,
    /// `never`, `interval` or `always`.
    pub fsync: Fsync,
    /// How old a line may get before it is on the disk, with `fsync = "interval"`.
    pub fsync_secs: u64,
    /// How often a head is signed while there is something new.
    pub head_secs: u64,
    /// A segment is closed at this size.
    pub segment: ByteSize,
    /// A segment in which something happened is closed at this age.
    pub segment_hours: u64,
    /// Closed segments are packed (Zstandard).
    pub compress: bool,
    /// The index of `nexus audit search` is kept up to date; else each search brings it up to date first.
    pub index: bool,
    /// What waits for the chain may grow to this size.
    pub spool: ByteSize,
    /// A spool file is followed by a new one at this size.
    pub spool_file: ByteSize,
    /// How many segments are kept; 0 = all.
    pub keep_segments: u32,
    /// How many bytes of closed segments are kept; 0 = all.
    pub keep_size: ByteSize,
    /// How many days closed segments are kept; 0 = for ever.
    pub keep_days: u64,
    /// Refusals of callers without an agent that are a line each, of one address in a minute.
    pub stranger_lines_per_minute: u32,
    /// What the network says is cut to this size in a line.
    pub line: ByteSize,
    /// How long a closing line may wait for company.
    pub linger_millis: u64,
    /// How often the chaining thread looks while there is something to do.
    pub poll_millis: u64,
}

/// `audit.on_failure`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They are refused (503 `audit`).
    Refuse,
    /// They go on, with a warning.
    Warn,
}

/// `audit.fsync`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// When the system likes.
    Never,
    /// Every `fsync_secs`, and when a segment is closed.
    Interval,
    /// After every batch of opening lines: survives a power cut.
    Always,
}

/// `[ca]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ca {
    /// Leaf certificates that are kept.
    pub cache_hosts: usize,
    /// How long both roots are trusted after `nexus ca rotate`.
    pub overlap_days: u32,
}

/// `gateway.keyless`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Keyless {
    /// As apps, and they add providers and connections that are not there.
    Register,
    /// As everybody else who shows none.
    Refuse,
}

/// `[gateway]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Whether `nexus up` starts it.
    pub enabled: bool,
    /// Where it listens. Callers of the proxy are kept away from there.
    pub listen: SocketAddr,
    /// More names and addresses under which it is known; a request that names another is refused.
    pub names: Vec<String>,
    /// Where people's browsers reach it, where that isn't its address: services send people back to `/oauth/callback` there.
    pub url: Option<String>,
    /// Where an app may have people sent back to after they consented; the first is the one where none is named.
    pub return_urls: Vec<String>,
    /// PEM file of the certificate and those that lead to its root; relative to the home folder. With `tls_key` it speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key, for its owner alone.
    pub tls_key: Option<PathBuf>,
    /// Whether it may listen beyond loopback without TLS: keys and credentials can be read on the way then.
    pub plain_http: bool,
    /// What programs of its own user on this machine are that show no key: `register` or `refuse`.
    pub keyless: Keyless,
    /// Connections at a time.
    pub connections: usize,
    /// Of those, the ones of one address.
    pub address_connections: usize,
    /// Wrong keys that one address may show in a minute before it has to wait.
    pub wrong_keys_per_minute: u32,
    /// How long somebody stays signed in at the page who does nothing there.
    pub session_idle_secs: u64,
    /// And in any case.
    pub session_secs: u64,
    /// How long a proxy that takes its connections from a gateway uses its copies after it heard from it last.
    pub grace_secs: u64,
}

/// `[attention]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attention {
    /// How long a request without a credential waits for a person; zero = it is refused at once.
    pub hold: Time,
    /// Requests that wait so at one time.
    pub hold_limit: usize,
    /// Of those, the ones of one agent.
    pub agent_hold_limit: usize,
    /// Where what needs a person is told of: https only.
    pub webhook: Option<String>,
    /// A file with what that is signed with, `whsec_` and base64; relative to the home folder.
    pub webhook_secret_file: Option<PathBuf>,
}

/// `[approvals]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// Requests that wait for a person's word at one time.
    pub hold_limit: usize,
    /// Of those, the ones of one agent.
    pub agent_hold_limit: usize,
}

impl Config {
    /// Whether any listener can be reached from other machines.
    pub fn beyond_loopback(&self) -> bool {
        self.proxy.listen.iter().chain(self.proxy.agent_listen.values()).any(|address| !address.ip().is_loopback())
    }
}

#[cfg(test)]
mod tests;
