//! From the configuration to the `Settings` that each room is handed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::config::{self, Config};
use super::home::Home;
use super::parts::{BuildError, Planes};
use super::webhook::Webhook;
use crate::agent::{Bounds, Registry};
use crate::approval;
use crate::attention;
use crate::audit;
use crate::broker;
use crate::decide;
use crate::gateway::{self, ReturnUrl};
use crate::head;
use crate::model::{Authority, Host, Scheme, Secret};
use crate::proxy;
use crate::upstream::{self, Override, Parent};

pub(super) fn decide(config: &Config, agents: &Registry) -> decide::Settings {
    let allow = config.policy.default != Some(config::Verdict::Deny);
    decide::Settings {
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
        log_ins: match config.proxy.log_ins {
            config::LogIns::Capture => decide::LogIns::Capture,
            config::LogIns::Pass => decide::LogIns::Pass,
            config::LogIns::Refuse => decide::LogIns::Refuse,
        },
        mints: match config.proxy.mints {
            config::Mints::Refuse => decide::Mints::Refuse,
            config::Mints::Capture => decide::Mints::Capture,
        },
        on_canary: match config.policy.on_canary {
            config::OnCanary::Alarm => decide::OnCanary::Alarm,
            config::OnCanary::Refuse => decide::OnCanary::Refuse,
            config::OnCanary::Freeze => decide::OnCanary::Freeze,
        },
    }
}

pub(super) fn proxy(config: &Config) -> proxy::Settings {
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
        pending_log_ins: limits.pending_log_ins,
        log_in_wait: Duration::from_secs(limits.pending_log_in_hours.saturating_mul(60 * 60)),
        scrub_bodies: config.guard.mode == config::GuardMode::Scrub,
        scrub_for_agent: config.guard.scope == config::GuardScope::Agent,
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

/// Who callers are without a token.
pub(super) fn callers(config: &Config) -> proxy::CallerRules {
    let proxy = &config.proxy;
    proxy::CallerRules {
        peers: proxy.peer.iter().map(peer_rule).collect(),
        certificates: proxy.client_certificate.iter().map(certificate_rule).collect(),
        certificate_required: proxy.client_ca.is_some() && proxy.client_auth == config::ClientAuth::Required,
    }
}

fn certificate_rule(row: &config::CertificateRow) -> proxy::CertificateRule {
    proxy::CertificateRule { san: row.san.clone(), cn: row.cn.clone(), agent: row.agent.clone() }
}

fn peer_rule(row: &config::PeerRow) -> proxy::PeerRule {
    proxy::PeerRule { uid: row.uid, cgroup: row.cgroup.clone(), agent: row.agent.clone() }
}

/// Every name and address under which a caller may reach the proxy's own TLS.
fn names(config: &Config) -> Vec<Host> {
    let proxy = &config.proxy;
    let everywhere = ["localhost", "nexus.internal", "127.0.0.1", "::1"].into_iter();
    let listens = proxy.listen.iter().chain(proxy.agent_listen.values()).map(|address| address.ip().to_canonical());
    let listens = listens.filter(|address| !address.is_unspecified()).map(Host::from);
    everywhere.chain(proxy.names.iter().map(String::as_str)).filter_map(config::parse_name).chain(listens).collect()
}

/// For a gateway that listens on `address`, with TLS or without.
pub(super) fn gateway(
    home: &Home,
    config: &Config,
    (address, tls): (SocketAddr, bool),
) -> Result<gateway::Settings, BuildError> {
    let own = config.gateway.listen.ip().to_canonical();
    let listens = (!own.is_unspecified()).then(|| Host::from(own));
    let refuse = |why: String| BuildError::Config { key: "gateway.return_urls", why };
    let parsed = |url: &String| ReturnUrl::parse(url).map_err(|why| refuse(format!("{url:?} can't be used: {why}")));
    Ok(gateway::Settings {
        listen: address.ip().to_canonical(),
        url: config.gateway.url.clone().unwrap_or_else(|| own_url(config, address, tls)).trim_end_matches('/').to_owned(),
        return_urls: config.gateway.return_urls.iter().map(parsed).collect::<Result<_, _>>()?,
        audit: home.audit(),
        renew_ahead: Duration::from_secs(config.renewal.ahead_secs),
        token_timeout: Duration::from_secs(config.renewal.timeout_secs),
        names: config.gateway.names.iter().filter_map(|name| config::parse_name(name)).chain(listens).collect(),
        drain: Duration::from_secs(config.limits.drain_secs),
        keyless: config.gateway.keyless == config::Keyless::Register,
        wrong_keys_per_minute: config.gateway.wrong_keys_per_minute,
        head_timeout: Duration::from_secs(config.limits.head_timeout_secs),
        handshake_timeout: Duration::from_secs(config.limits.handshake_timeout_secs),
        answer_timeout: Duration::from_secs(60),
        sessions: gateway::Lasting {
            idle: Duration::from_secs(config.gateway.session_idle_secs),
            all: Duration::from_secs(config.gateway.session_secs),
        },
        connections: config.gateway.connections,
        address_connections: config.gateway.address_connections,
    })
}

/// Where a browser on this machine reaches it, or one elsewhere by the first of its names.
fn own_url(config: &Config, address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { Scheme::Https } else { Scheme::Http };
    let own = address.ip().to_canonical();
    let named = || config.gateway.names.iter().find_map(|name| config::parse_name(name));
    let host = match own {
        own if own.is_loopback() => Host::from(own),
        own if own.is_unspecified() => named().unwrap_or_else(|| Host::from(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        own => named().unwrap_or_else(|| Host::from(own)),
    };
    let authority = Authority { host, port: address.port() };
    format!("{}://{}", scheme.as_str(), authority.as_written(scheme))
}

/// Leases are known to the proxy of this process alone.
pub(super) fn leases(config: &Config, planes: Planes) -> Bounds {
    let (limits, here) = (&config.limits, planes != Planes::Gateway);
    let all = if here { limits.leases } else { 0 };
    Bounds { agent: limits.agent_leases, all, time: Duration::from_secs(limits.lease_secs) }
}

pub(super) fn attention(config: &Config) -> attention::Settings {
    let ours = &config.attention;
    attention::Settings {
        hold: ours.hold.duration(),
        hold_limit: ours.hold_limit,
        agent_hold_limit: ours.agent_hold_limit,
        tells: ours.webhook.is_some(),
    }
}

pub(super) fn approvals(config: &Config) -> approval::Settings {
    let ours = &config.approvals;
    approval::Settings { hold_limit: ours.hold_limit, agent_hold_limit: ours.agent_hold_limit }
}

/// Where notices go and what they are signed with; `None` where nobody takes them.
pub(super) fn webhook(home: &Home, config: &Config) -> Result<Option<Webhook>, BuildError> {
    let ours = &config.attention;
    let Some(url) = &ours.webhook else { return Ok(None) };
    let refuse = |why: &str| {
        let why = format!("{why}; `(umask 077; (printf whsec_; openssl rand -base64 32) > webhook.secret)` makes one");
        BuildError::Config { key: "attention.webhook_secret_file", why }
    };
    let file = ours.webhook_secret_file.as_ref().ok_or_else(|| refuse("must name the file that the webhook is signed with"))?;
    let text = super::home::read_text(&home.path().join(file), 4096)?.map(Secret::new);
    let text = text.ok_or_else(|| refuse("there is no such file"))?;
    let key = attention::Key::parse(&text).ok_or_else(|| refuse("must hold whsec_ and 24 to 64 bytes in base64"))?;
    Ok(Some(Webhook { url: url.clone(), key: Arc::new(key) }))
}

pub(super) fn broker(config: &Config) -> broker::Settings {
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

/// Without the key that signs heads.
pub(super) fn audit(home: &Home, config: &Config) -> audit::Settings {
    let audit = &config.audit;
    audit::Settings {
        on_failure: match audit.on_failure {
            config::OnFailure::Refuse => audit::OnFailure::Refuse,
            config::OnFailure::Warn => audit::OnFailure::Warn,
        },
        fsync: match audit.fsync {
            config::Fsync::Never => audit::Fsync::Never,
            config::Fsync::Interval => audit::Fsync::Interval,
            config::Fsync::Always => audit::Fsync::Always,
        },
        sync_every: Duration::from_secs(audit.fsync_secs),
        head_key: None,
        head_every: Duration::from_secs(audit.head_secs),
        segment_bytes: audit.segment.as_u64(),
        segment_age: Duration::from_hours(audit.segment_hours),
        pack: audit.compress,
        index: audit.index,
        keep_segments: (audit.keep_segments > 0).then_some(audit.keep_segments),
        keep_bytes: Some(audit.keep_size.as_u64()).filter(|&bytes| bytes > 0),
        keep_age: (audit.keep_days > 0).then(|| Duration::from_hours(24 * audit.keep_days)),
        spool_bytes: audit.spool.as_u64(),
        spool_file_bytes: audit.spool_file.as_u64(),
        stranger_lines: audit.stranger_lines_per_minute,
        max_line: usize::try_from(audit.line.as_u64()).unwrap_or(usize::MAX),
        linger: Duration::from_millis(audit.linger_millis),
        poll: Duration::from_millis(audit.poll_millis),
        folder: home.audit(),
    }
}

pub(super) fn upstream(home: &Home, config: &Config) -> Result<upstream::Settings, BuildError> {
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
        assert_eq!(format!("{:?}", broker(&config)), format!("{:?}", broker::Settings::default()));
        assert_eq!(format!("{:?}", audit(&home, &config)), format!("{:?}", audit::Settings::shipped(home.audit())));
        assert_eq!(format!("{:?}", proxy(&config).head), format!("{:?}", head::Limits::default()));
    }
}
