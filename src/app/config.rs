//! `nexus.toml`: every key optional, unknown keys refused with line and column, overridden by `NEXUS__SECTION__KEY`.

mod bounds;
mod shipped;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use bytesize::ByteSize;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::Host;
use crate::wording::{Mistake, in_words, section};

/// How many names the certificate of the proxy port may have besides its own.
const NAMES: usize = 100;

/// Why the configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, an unknown key or a wrong type. The text tells the place but never shows what stands there: a password may.
    #[error("{file} is not valid at line {line}, column {column}: {what}")]
    Syntax {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// An override that does not fit.
    #[error("{variable} is not valid: {what}")]
    Override {
        /// The environment variable.
        variable: String,
        /// What is wrong.
        what: String,
    },
    /// Two keys that contradict each other, or a value out of its range.
    #[error("{key}: {why}")]
    Value {
        /// `section.key`.
        key: &'static str,
        /// What is wrong and what would be right.
        why: String,
    },
}

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
    /// Bounds.
    #[serde(deserialize_with = "section")]
    pub limits: Limits,
    /// The log.
    #[serde(deserialize_with = "section")]
    pub audit: Audit,
    /// The certificate authority.
    #[serde(deserialize_with = "section")]
    pub ca: Ca,
    /// The control plane's address.
    #[serde(deserialize_with = "section")]
    pub gateway: Gateway,
}

/// `[proxy]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Where callers connect.
    pub listen: Vec<SocketAddr>,
    /// More listeners, each bound to one agent, for clients that can't send credentials (Java).
    pub agent_listen: BTreeMap<String, SocketAddr>,
    /// Whether every user of this machine may use those on loopback; by default only the user that runs the proxy may.
    pub agent_listen_any_user: bool,
    /// Hosts no provider names: `tunnel`, `intercept` or `refuse`.
    pub unmatched: Unmatched,
    /// A provider's host without a credential: `pass` or `refuse`; by default `pass` without agents, `refuse` with them.
    pub unregistered: Option<Unregistered>,
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

/// `[audit]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// What happens to requests when the log can't be written.
    pub on_failure: OnFailure,
    /// `rotate` or `always`.
    pub fsync: Fsync,
    /// A segment is closed at this size.
    pub segment: ByteSize,
    /// What waits for the chain may grow to this size.
    pub spool: ByteSize,
    /// A spool file is followed by a new one at this size.
    pub spool_file: ByteSize,
    /// How many segments are kept; 0 = all.
    pub keep_segments: u32,
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
    /// When a segment is closed.
    Rotate,
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

/// `[gateway]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// Where the control plane will listen, on loopback. Nothing listens there yet; callers of the proxy are kept away from it.
    pub listen: SocketAddr,
}

impl Config {
    /// Parses `text`, lays `overrides` (`NEXUS__SECTION__KEY` and value) over it, and checks what belongs together.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn parse(file: &str, text: &str, overrides: &[(String, String)]) -> Result<Self, Error> {
        let syntax = |cause: toml::de::Error| {
            let Mistake { line, column, what } = Mistake::new(text, &cause);
            Error::Syntax { file: file.to_owned(), line, column, what }
        };
        let mut config: Self = toml::from_str(text).map_err(syntax)?;
        let mut table: toml::Table = toml::from_str(text).map_err(syntax)?;
        for (variable, value) in overrides {
            lay_over(&mut table, variable, value)?;
            let again = table.clone().try_into();
            config = again.map_err(|cause: toml::de::Error| Error::Override {
                variable: variable.clone(),
                what: in_words(cause.message()),
            })?;
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |key, why: &str| Err(Error::Value { key, why: why.to_owned() });
        if self.proxy.listen.is_empty() && self.proxy.agent_listen.is_empty() {
            return refuse("proxy.listen", "name at least one address");
        }
        if let Some(name) = self.proxy.names.iter().find(|name| parse_name(name).is_none()) {
            return refuse("proxy.names", &format!("{name:?} is not a host name or address: no scheme, no port, no `*`"));
        }
        if self.proxy.names.len() > NAMES {
            return refuse("proxy.names", &format!("at most {NAMES}, since one certificate holds them all"));
        }
        if self.proxy.connect_ports.contains(&0) {
            return refuse("proxy.connect_ports", "0 is not a port");
        }
        if let Some(text) = self.upstream.proxy_except.iter().find(|text| parse_exception(text).is_none()) {
            let hint = text.strip_prefix('*').filter(|rest| parse_exception(rest).is_some());
            let hint = hint.map(|rest| format!("; for all names below it write {rest:?}")).unwrap_or_default();
            return refuse("upstream.proxy_except", &format!("{text:?} is not a name, an address or a .suffix{hint}"));
        }
        bounds::check(self)?;
        let beyond =
            self.proxy.listen.iter().chain(self.proxy.agent_listen.values()).any(|address| !address.ip().is_loopback());
        if beyond && self.policy.default.is_none() {
            return refuse("policy.default", "must be written (allow or deny) when proxy.listen is not loopback");
        }
        if !self.gateway.listen.ip().is_loopback() {
            return refuse("gateway.listen", "must be an address of loopback, such as 127.0.0.1:8090");
        }
        Ok(())
    }

    /// Whether any listener can be reached from other machines.
    pub fn beyond_loopback(&self) -> bool {
        self.proxy.listen.iter().chain(self.proxy.agent_listen.values()).any(|address| !address.ip().is_loopback())
    }
}

/// A name of `proxy.names`: an IPv6 address may stand without its brackets.
pub(super) fn parse_name(text: &str) -> Option<Host> {
    text.parse().ok().map(|address: IpAddr| Host::from(address)).or_else(|| text.parse().ok())
}

/// An entry of `upstream.proxy_except` as hosts are written: a name, an address, or `.suffix`.
pub(super) fn parse_exception(text: &str) -> Option<String> {
    match text.strip_prefix('.') {
        Some(suffix) => suffix.parse::<Host>().ok()?.name().map(|name| format!(".{name}")),
        None => parse_name(text).map(|host| host.to_string()),
    }
}

/// `NEXUS__PROXY__LISTEN=["0.0.0.0:1"]` -> `proxy.listen`; a value that is not TOML is taken as text.
fn lay_over(table: &mut toml::Table, variable: &str, value: &str) -> Result<(), Error> {
    let unknown = || Error::Value { key: "NEXUS__SECTION__KEY", why: format!("{variable} does not name a section and a key") };
    let path = variable.strip_prefix("NEXUS__").ok_or_else(unknown)?.to_ascii_lowercase();
    let (section, key) = path.split_once("__").ok_or_else(unknown)?;
    let parsed: Result<toml::Table, _> = toml::from_str(&format!("value = {value}"));
    let value =
        parsed.ok().and_then(|mut parsed| parsed.remove("value")).unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    section.as_table_mut().ok_or_else(unknown)?.insert(key.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        let config = Config::parse("nexus.toml", "", &[]).expect("valid");
        assert_eq!(config.proxy.listen, ["127.0.0.1:8091".parse().expect("address")]);
        assert_eq!(config.replay.memory, ByteSize::mib(1));
    }

    #[test]
    fn unknown_keys_are_errors_with_line_and_column() {
        let error =
            Config::parse("nexus.toml", "[proxy]\nlisten = [\"127.0.0.1:1\"]\nlissten = 1\n", &[]).expect_err("unknown");
        let text = error.to_string();
        assert!(text.contains("line 3, column 1") && text.contains("lissten"), "{text}");
    }

    #[test]
    fn a_mistake_is_told_without_the_names_of_types_and_without_its_value() {
        let told = |text: &str| Config::parse("nexus.toml", text, &[]).expect_err(text).to_string();
        for (text, words) in [
            ("[proxy]\nworkers = \"hunter2\"", "line 2, column 11: found the text \"…\", expected a whole number from 0 up"),
            ("[proxy]\nlisten = \"127.0.0.1:1\"", "found the text \"…\", expected a list [ … ]"),
            ("[proxy]\nlisten = [\"localhost\"]", "not an address; write it as \"127.0.0.1:8091\""),
            ("[proxy]\nlisten = [1]", "found the number `1`, expected an address such as \"127.0.0.1:8091\""),
            ("proxy = 3", "found the number `3`, expected a table [ … ] of its own"),
            ("[proxy]\nunmatched = \"tunel\"", "unknown word `tunel`, expected one of `tunnel`, `intercept`, `refuse`"),
            ("[replay]\nmemory = \"1 potato\"", "found the text \"…\", expected a size such as \"64KiB\""),
            ("[replay]\nmemory = true", "found true, expected a size such as \"64KiB\""),
            ("[limits]\nconnections = -1", "found the number `-1`, expected a whole number from 0 up"),
            (
                "[limits]\nconnections = 99999999999999999999",
                "found the number `99999999999999999999`, which is out of every range",
            ),
            ("[limits]\ndrain_secs = 1.5", "found the number `1.5`, expected a whole number from 0 up"),
            ("[upstream]\nresolve = [\"a\"]", "found a list, expected a table { … }"),
            ("[upstream]\nallow_private = [\"10.0.0.0/99\"]", "write it as \"10.0.0.0/8\""),
            ("[audit]\non_failure = 1", "expected"),
            ("[limits]\nnope = 1", "unknown key `nope`"),
            ("[replay]\nmemory = -1", "found the number `-1`, expected a size such as \"64KiB\""),
            ("[proxy]\nconnect_ports = [70000]", "found the number `70000`, expected a whole number from 0 to 65535"),
            ("[proxy]\nconnect_ports = [-1]", "expected a whole number from 0 to 65535"),
            ("[limits]\nhttp2_streams = 5000000000", "expected a whole number from 0 to 4294967295"),
            ("[[proxy]]", "found a list, expected a table [ … ] of its own"),
            ("proxy = [1]", "found a list, expected a table [ … ] of its own"),
            ("[proxy.listen]", "found a table, expected a list [ … ]"),
            ("[[proxy.connect_ports]]", "found a table, expected a whole number from 0 to 65535"),
            ("[upstream]\nproxy = 3", "found the number `3`, expected a text in quotes"),
            ("[upstream]\nproxy_auth_file = 3", "found the number `3`, expected a path in quotes"),
            ("[upstream]\nallow_private = [3]", "found the number `3`, expected a range of addresses such as \"10.0.0.0/8\""),
        ] {
            assert!(told(text).contains(words), "{}", told(text));
            let types = ["usize", "u64", "struct", "sequence", "variant", "i128", "overflow", "map", "hunter2"];
            assert!(!types.iter().any(|name| told(text).contains(name)), "{}", told(text));
        }
    }

    #[test]
    fn a_variable_overrides_a_key() {
        let set = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let config = Config::parse("nexus.toml", "[proxy]\nunmatched = \"tunnel\"", &set("NEXUS__PROXY__UNMATCHED", "refuse"))
            .expect("valid");
        assert_eq!(config.proxy.unmatched, Unmatched::Refuse);
        let config = Config::parse("nexus.toml", "", &set("NEXUS__PROXY__LISTEN", "[\"127.0.0.1:7\"]")).expect("valid");
        assert_eq!(config.proxy.listen, ["127.0.0.1:7".parse().expect("address")]);
        let error = Config::parse("nexus.toml", "", &set("NEXUS__PROXY__NOPE", "1")).expect_err("unknown");
        assert!(error.to_string().contains("NEXUS__PROXY__NOPE"), "{error}");
    }

    #[test]
    fn hosts_past_the_parent_are_names_or_suffixes() {
        let said = |entry: &str| {
            Config::parse("nexus.toml", &format!("[upstream]\nproxy_except = [\"ok.test\", \"{entry}\"]\n"), &[])
                .map_or_else(|error| error.to_string(), |_taken| String::new())
        };
        for entry in ["a.test", ".a.test", "A.Test.", "10.0.0.1", "::1", "[::1]"] {
            assert_eq!(said(entry), "", "{entry}");
        }
        assert_eq!(parse_exception(".Corp.Example.").as_deref(), Some(".corp.example"));
        assert!(
            said("*.x.test")
                .ends_with("\"*.x.test\" is not a name, an address or a .suffix; for all names below it write \".x.test\"")
        );
        for entry in ["*", "a b", "", ".", ".10.0.0.1", "10.0.0.0/8", "http://a.test", "a.test:443"] {
            assert!(
                said(entry).contains("upstream.proxy_except") && said(entry).ends_with("a .suffix"),
                "{entry}: {}",
                said(entry)
            );
        }
    }

    #[test]
    fn the_control_plane_is_kept_on_loopback() {
        for address in ["0.0.0.0:8090", "10.0.0.5:8090", "[::]:8090"] {
            let error = Config::parse("nexus.toml", &format!("[gateway]\nlisten = \"{address}\"\n"), &[]).expect_err("refused");
            assert!(matches!(error, Error::Value { key: "gateway.listen", .. }), "{error}");
        }
        assert!(Config::parse("nexus.toml", "[gateway]\nlisten = \"[::1]:1\"\n", &[]).is_ok());
    }

    #[test]
    fn beyond_loopback_the_default_policy_must_be_written() {
        let text = "[proxy]\nlisten = [\"0.0.0.0:8091\"]\n";
        assert!(matches!(Config::parse("nexus.toml", text, &[]), Err(Error::Value { key: "policy.default", .. })));
        let text = format!("{text}[policy]\ndefault = \"deny\"\n");
        assert!(Config::parse("nexus.toml", &text, &[]).is_ok());
    }
}
