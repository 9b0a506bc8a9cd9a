//! From files to parts: what every room is handed is made here.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::config::{self, Config};
use super::home::{Home, HomeError};
use super::init::{InitError, open_root, trusted};
use crate::agent::{PlaceholderKey, Registered, Registry};
use crate::audit;
use crate::broker;
use crate::ca::{self, Issuer};
use crate::decide::{self, Rules};
use crate::head;
use crate::model::{Authority, Host, IdError, Secret};
use crate::provider::Catalogue;
use crate::proxy::{self, Listener, Pages};
use crate::seal::{DataKey, Passphrase};
use crate::upstream::{self, Override, Parent};
use crate::vault::{self, Snapshot, Store};

/// What an application is made from.
pub struct Setup {
    /// The home folder, initialised.
    pub home: Home,
    /// The configuration, checked.
    pub config: Config,
    /// What opens the vault.
    pub passphrase: Passphrase,
    /// The passphrase is JarvisCore's guessable fallback.
    pub weak_secret: bool,
    /// Agents besides those of the files, such as the one of `nexus run`.
    pub agents: Vec<Registered>,
}

/// Why an application could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The home folder or its CA.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A file of the home folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The configuration names something that can't be used.
    #[error("{key}: {why}")]
    Config {
        /// `section.key`.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The guessable fallback secret beyond loopback.
    #[error("listening beyond loopback needs a NEXUS_SECRET of its own")]
    WeakSecret,
    /// No agents beyond loopback.
    #[error("listening beyond loopback needs agents: loopback is the only place where the kernel says who calls")]
    NoAgents,
    /// rustls.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    /// The audit log.
    #[error("the audit log could not be opened")]
    Audit(#[from] audit::Error),
    /// The vault.
    #[error("the vault could not be opened")]
    Vault(#[from] vault::Error),
    /// The CA.
    #[error("the certificate authority could not be used")]
    Ca(#[from] ca::Error),
    /// A socket.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A runtime or thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// The one TLS provider.
pub(super) fn crypto() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Draws the first random number for TLS on a thread of its own. It takes some 30 ms of gathering noise, which pass while the vault's
/// key is derived; without it the first caller would wait for them.
pub fn warm_up() {
    let draw = || {
        if crypto().secure_random.fill(&mut [0; 32]).is_err() {
            tracing::error!("the system gives no random numbers for TLS");
        }
    };
    // Without a thread whoever needs the number first draws it.
    drop(std::thread::Builder::new().name("nexus-warm".into()).spawn(draw));
}

pub(super) fn unlock(setup: &Setup) -> Result<DataKey, BuildError> {
    Ok(vault::unlock(&setup.home.vault(), &setup.passphrase)?)
}

pub(super) fn issuer(
    home: &Home,
    key: &DataKey,
    config: &Config,
    crypto: &Arc<CryptoProvider>,
) -> Result<(Issuer, String), BuildError> {
    let root = open_root(home, key)?;
    let settings = ca::Settings { cache_hosts: config.ca.cache_hosts };
    Ok((Issuer::new(&root, Arc::clone(crypto), settings, SystemTime::now())?, root.fingerprint_sha256()))
}

pub(super) fn pages(home: &Home, fingerprint: String) -> Result<Pages, BuildError> {
    let bundle = super::home::read_public_text(&home.bundle())?.unwrap_or_default();
    Ok(Pages { ca: trusted(home)?.concat(), bundle, fingerprint })
}

pub(super) fn placeholder_key(key: &DataKey) -> PlaceholderKey {
    PlaceholderKey::new(key.subkey("placeholders"))
}

/// Tells which providers' connections were registered for a host, as the vault has it now; while it can't be read, as it had it before.
pub(super) fn registered(store: Arc<Store>) -> Arc<decide::Registered> {
    let last: ArcSwap<Snapshot> = ArcSwap::default();
    Arc::new(move |host| {
        if let Ok(now) = store.snapshot() {
            last.store(now);
        }
        last.load().sealed_with(&host.to_string()).to_vec()
    })
}

/// Compiles the catalogue.
pub(super) fn rules(catalogue: &Catalogue, config: &Config, agents: &Registry, registered: Arc<decide::Registered>) -> Rules {
    let allow = config.policy.default != Some(config::Verdict::Deny);
    let settings = decide::Settings {
        unmatched: match config.proxy.unmatched {
            config::Unmatched::Tunnel => decide::Unmatched::Tunnel,
            config::Unmatched::Intercept => decide::Unmatched::Intercept,
            config::Unmatched::Refuse => decide::Unmatched::Refuse,
        },
        unregistered: match config.proxy.unregistered {
            Some(config::Unregistered::Pass) => decide::Unregistered::Pass,
            Some(config::Unregistered::Refuse) => decide::Unregistered::Refuse,
            None if agents.defined() || !allow => decide::Unregistered::Refuse,
            None => decide::Unregistered::Pass,
        },
        connect_ports: config.proxy.connect_ports.clone(),
        allow,
    };
    Rules::compile(catalogue, settings).with_registered(registered)
}

/// The agents of both files and `extra`.
pub(super) fn agents(home: &Home, extra: &[Registered]) -> Result<Registry, HomeError> {
    let (registry, mistakes) = agents_again(home, extra, &Registry::default());
    mistakes.into_iter().next().map_or(Ok(registry), Err)
}

/// As [`agents`], while a proxy runs: of a file that can't be used, or is gone, the agents are those that `previous` knows; what is
/// wrong with it is told.
pub(super) fn agents_again(home: &Home, extra: &[Registered], previous: &Registry) -> (Registry, Vec<HomeError>) {
    let known =
        |ephemeral| previous.rows().iter().filter(move |row| row.ephemeral == ephemeral && !extra.contains(row)).cloned();
    let mut mistakes = Vec::new();
    let lasting = match home.lasting() {
        // Without them callers would need no token.
        Ok(None) if known(false).next().is_some() => Err(HomeError::Vanished(home.agents_file())),
        lasting => lasting.map(Option::unwrap_or_default),
    };
    let mut rows = lasting.unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        known(false).collect()
    });
    let passing = home.passing().unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        known(true).collect()
    });
    let names: HashSet<_> = rows.iter().map(|row| row.name.clone()).collect();
    rows.extend(passing.into_iter().filter(|row| !names.contains(&row.name)));
    rows.extend(extra.iter().cloned());
    // A proxy that was started for agents of its own, such as that of one `nexus run`, has no other callers.
    (Registry::update(previous, &rows).closed(!extra.is_empty()), mistakes)
}

/// What `nexus up` would refuse in `config` and in what it names, before anything is opened, bound or dialled.
///
/// # Errors
/// As [`BuildError`] says.
pub fn check(home: &Home, config: &Config, weak_secret: bool) -> Result<(), BuildError> {
    permit(config, weak_secret, &agents(home, &[])?)?;
    check_named(home, config)
}

/// As [`check`], for what the configuration names alone.
pub(super) fn check_named(home: &Home, config: &Config) -> Result<(), BuildError> {
    listeners(config)?;
    upstream_settings(home, config).map(drop)
}

/// Whether it may listen where `config` says.
pub(super) fn permit(config: &Config, weak_secret: bool, agents: &Registry) -> Result<(), BuildError> {
    match config.beyond_loopback() {
        true if weak_secret => Err(BuildError::WeakSecret),
        true if !agents.defined() => Err(BuildError::NoAgents),
        _ => Ok(()),
    }
}

/// Where it listens, and for whom.
pub(super) fn listeners(config: &Config) -> Result<Vec<(SocketAddr, Listener)>, BuildError> {
    let shared = config.proxy.listen.iter().map(|address| Ok((*address, Listener { agent: None })));
    let bound = config.proxy.agent_listen.iter().map(|(name, address)| {
        let refuse = |error: IdError| BuildError::Config { key: "proxy.agent_listen", why: error.to_string() };
        Ok((*address, Listener { agent: Some(name.parse().map_err(refuse)?) }))
    });
    shared.chain(bound).collect()
}

/// A listener that is bound to nobody answers 407 to everybody. The agent may come later, so this is no error.
pub(super) fn warn_of_strangers(config: &Config, agents: &Registry) {
    for name in
        config.proxy.agent_listen.keys().filter(|name| !agents.agents().any(|known| known.name.as_str() == name.as_str()))
    {
        tracing::warn!("proxy.agent_listen names {name}, which is no agent: it gets 407 until `nexus agent add {name}`");
    }
}

/// A file of the user's own that stands before a provider that ships: its credential stops there, which somebody may not mean.
pub(super) fn warn_of_takeovers(catalogue: &Catalogue) {
    for takeover in catalogue.takeovers() {
        tracing::warn!("{takeover}");
    }
}

pub(super) fn proxy_settings(config: &Config) -> proxy::Settings {
    let limits = &config.limits;
    proxy::Settings {
        replay_memory: usize::try_from(config.replay.memory.as_u64()).unwrap_or(usize::MAX),
        content: usize::try_from(config.limits.content.as_u64()).unwrap_or(usize::MAX),
        expect_timeout: Duration::from_millis(config.replay.expect_timeout_millis),
        head_timeout: Duration::from_secs(limits.head_timeout_secs),
        handshake_timeout: Duration::from_secs(limits.handshake_timeout_secs),
        keep_alive: Duration::from_secs(limits.keep_alive_secs),
        idle_timeout: Duration::from_secs(config.upstream.idle_timeout_secs),
        http2_streams: limits.http2_streams,
        agent_connections: limits.agent_connections,
        agent_requests: limits.agent_requests,
        head: head::Limits {
            fields: limits.head_fields,
            head: u32::try_from(limits.head_size.as_u64()).unwrap_or(u32::MAX),
            target: u32::try_from(limits.target_size.as_u64()).unwrap_or(u32::MAX),
            ..head::Limits::default()
        },
        wrong_tokens_per_minute: limits.wrong_tokens_per_minute,
        agent_listen_any_user: config.proxy.agent_listen_any_user,
        names: names(config),
    }
}

/// Every name and address under which a caller may reach the proxy's own TLS.
fn names(config: &Config) -> Vec<Host> {
    let proxy = &config.proxy;
    let everywhere = ["localhost", "nexus.internal", "127.0.0.1", "::1"].into_iter();
    let listens = proxy.listen.iter().chain(proxy.agent_listen.values()).map(|address| address.ip().to_canonical());
    let listens = listens.filter(|address| !address.is_unspecified()).map(Host::from);
    everywhere.chain(proxy.names.iter().map(String::as_str)).filter_map(config::parse_name).chain(listens).collect()
}

pub(super) fn broker_settings(config: &Config) -> broker::Settings {
    let renewal = &config.renewal;
    broker::Settings {
        renew_ahead: Duration::from_secs(renewal.ahead_secs),
        ahead_wait: Duration::from_secs(renewal.ahead_wait_secs),
        renewal_wait: Duration::from_secs(renewal.wait_secs),
        call_deadline: Duration::from_secs(renewal.timeout_secs),
        lock_wait: Duration::from_secs(renewal.lock_wait_secs),
        waiters: renewal.waiters,
        trial: Duration::from_secs(renewal.trial_secs),
        trial_limit: Duration::from_secs(renewal.trial_limit_secs),
        burst: renewal.burst,
        refill: Duration::from_secs(renewal.refill_secs),
        pause: Duration::from_secs(renewal.pause_secs),
        pause_limit: Duration::from_secs(renewal.pause_limit_secs),
        connections: renewal.connections,
    }
}

pub(super) fn audit_settings(home: &Home, config: &Config) -> audit::Settings {
    audit::Settings {
        on_failure: match config.audit.on_failure {
            config::OnFailure::Refuse => audit::OnFailure::Refuse,
            config::OnFailure::Warn => audit::OnFailure::Warn,
        },
        fsync: match config.audit.fsync {
            config::Fsync::Rotate => audit::Fsync::Rotate,
            config::Fsync::Always => audit::Fsync::Always,
        },
        segment_bytes: config.audit.segment.as_u64(),
        spool_bytes: config.audit.spool.as_u64(),
        spool_file_bytes: config.audit.spool_file.as_u64(),
        keep_segments: (config.audit.keep_segments > 0).then_some(config.audit.keep_segments),
        stranger_lines: config.audit.stranger_lines_per_minute,
        max_line: usize::try_from(config.audit.line.as_u64()).unwrap_or(usize::MAX),
        linger: Duration::from_millis(config.audit.linger_millis),
        poll: Duration::from_millis(config.audit.poll_millis),
        folder: home.audit(),
    }
}

pub(super) fn upstream_settings(home: &Home, config: &Config) -> Result<upstream::Settings, BuildError> {
    let upstream = &config.upstream;
    let mut extra_roots = Vec::new();
    for file in &upstream.extra_roots {
        extra_roots.extend(certificates(&home.path().join(file))?);
    }
    Ok(upstream::Settings {
        extra_roots,
        allow_private: upstream.allow_private.clone(),
        resolve: overrides(upstream)?,
        parent: parent(home, upstream)?,
        connect_timeout: Duration::from_secs(upstream.connect_timeout_secs),
        handshake_timeout: Duration::from_secs(upstream.handshake_timeout_secs),
        head_timeout: Duration::from_secs(upstream.head_timeout_secs),
        upload_grace: Duration::from_secs(config.limits.upload_grace_secs),
        upload_rate: config.limits.upload_rate.as_u64(),
        agent_lookups: config.limits.agent_lookups,
        unknown_names_per_minute: config.limits.unknown_names_per_minute,
        pool_idle_timeout: Duration::from_secs(upstream.pool_idle_timeout_secs),
        pool_idle_per_host: upstream.pool_idle_per_host,
        http2: upstream.http2,
    })
}

pub(super) fn overrides(upstream: &config::Upstream) -> Result<Vec<Override>, BuildError> {
    upstream.resolve.iter().map(|(name, address)| parse_override(name, *address)).collect()
}

fn certificates(file: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let refuse = |why: String| BuildError::Config { key: "upstream.extra_roots", why };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
        .map_err(|error| refuse(format!("cannot read {}: {error}", file.display())))?
        .collect();
    let found = found.map_err(|error| refuse(format!("{} is not PEM: {error}", file.display())))?;
    if found.is_empty() { Err(refuse(format!("{} holds no certificate", file.display()))) } else { Ok(found) }
}

fn parse_override(name: &str, address: std::net::SocketAddr) -> Result<Override, BuildError> {
    let refuse = |why: String| BuildError::Config { key: "upstream.resolve", why };
    if let Ok(authority) = name.parse::<Authority>() {
        return Ok(Override { host: authority.host, port: Some(authority.port), address });
    }
    let host = name.parse().map_err(|error| refuse(format!("{name:?} is not a host or host:port: {error}")))?;
    Ok(Override { host, port: None, address })
}

/// `http://[user:password@]host[:port]`; the password may come from a file instead.
fn parent(home: &Home, upstream: &config::Upstream) -> Result<Option<Parent>, BuildError> {
    use base64::Engine as _;
    let Some(url) = &upstream.proxy else { return Ok(None) };
    let refuse = |why: &str| BuildError::Config { key: "upstream.proxy", why: why.to_owned() };
    let rest = url.strip_prefix("http://").ok_or_else(|| refuse("must begin with http://"))?.trim_end_matches('/');
    let (userinfo, rest) = rest.rsplit_once('@').map_or((None, rest), |(userinfo, rest)| (Some(userinfo), rest));
    let authority = Authority::parse(rest, Some(80)).map_err(|error| refuse(&error.to_string()))?;
    let decoded = userinfo.map(|text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned());
    let credentials =
        match &upstream.proxy_auth_file {
            Some(file) => {
                let text = super::home::read_text(&home.path().join(file), 4096)?;
                Some(text.ok_or_else(|| BuildError::Config {
                    key: "upstream.proxy_auth_file",
                    why: "there is no such file".into(),
                })?)
            }
            None => decoded,
        };
    let except = upstream.proxy_except.iter().filter_map(|text| config::parse_exception(text)).collect();
    let authorization = credentials.map(Secret::new).map(|text| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text.expose().trim_end());
        let mut value =
            HeaderValue::from_str(&format!("Basic {encoded}")).map_err(|_invalid| refuse("the password cannot be sent"))?;
        value.set_sensitive(true);
        Ok::<_, BuildError>(value)
    });
    Ok(Some(Parent { authority, authorization: authorization.transpose()?, except }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configuration_is_what_each_room_ships() {
        let (home, config) = (Home::new("/h"), Config::default());
        assert_eq!(format!("{:?}", broker_settings(&config)), format!("{:?}", broker::Settings::default()));
        assert_eq!(format!("{:?}", audit_settings(&home, &config)), format!("{:?}", audit::Settings::shipped(home.audit())));
        assert_eq!(format!("{:?}", proxy_settings(&config).head), format!("{:?}", head::Limits::default()));
    }
}
