//! What a value may be besides its type, and which go together.

use std::net::IpAddr;
use std::time::Duration;

use super::{ClientAuth, Config, Error, Gateway, PeerRow, Proxy, bounds};
use crate::gateway::ReturnUrl;
use crate::listener::LONGEST;
use crate::model::{Authority, Host};

/// No client waits longer for an answer.
const LONGEST_HOLD: Duration = Duration::from_secs(60 * 60);
/// How many names the certificate of the proxy port may have besides its own.
const NAMES: usize = 100;

/// Refuses the first value that can't be used, or not beside another.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    let refuse = |key, why: &str| Err(Error::Value { key, why: why.to_owned() });
    if config.proxy.listen.is_empty() && config.proxy.agent_listen.is_empty() {
        return refuse("proxy.listen", "name at least one address");
    }
    if let Some(name) = config.proxy.names.iter().find(|name| parse_name(name).is_none()) {
        return refuse("proxy.names", &format!("{name:?} is not a host name or address: no scheme, no port, no `*`"));
    }
    unix(&config.proxy)?;
    certificates(&config.proxy)?;
    if config.proxy.names.len() > NAMES {
        return refuse("proxy.names", &format!("at most {NAMES}, since one certificate holds them all"));
    }
    if config.proxy.connect_ports.contains(&0) {
        return refuse("proxy.connect_ports", "0 is not a port");
    }
    if let Some(text) = config.upstream.proxy_except.iter().find(|text| parse_exception(text).is_none()) {
        let hint = text.strip_prefix('*').filter(|rest| parse_exception(rest).is_some());
        let hint = hint.map(|rest| format!("; for all names below it write {rest:?}")).unwrap_or_default();
        return refuse("upstream.proxy_except", &format!("{text:?} is not a name, an address or a .suffix{hint}"));
    }
    if config.attention.hold.duration() > LONGEST_HOLD {
        return refuse("attention.hold", "must be from 0s to 1h");
    }
    if let Some(url) = &config.attention.webhook
        && webhook(url).is_none()
    {
        return refuse("attention.webhook", "must be an https address without user, password and fragment");
    }
    bounds::check(config)?;
    if config.beyond_loopback() && config.policy.default.is_none() {
        return refuse("policy.default", "must be written (allow or deny) when proxy.listen is not loopback");
    }
    gateway(&config.gateway)
}

fn unix(proxy: &Proxy) -> Result<(), Error> {
    let refuse = |key, why: &str| Err(Error::Value { key, why: why.to_owned() });
    if proxy.unix_listen.iter().any(|path| path.as_os_str().is_empty() || path.as_os_str().len() > LONGEST) {
        return refuse("proxy.unix_listen", &format!("a path of a socket has from 1 to {LONGEST} bytes"));
    }
    let wide = |row: &PeerRow| row.uid.is_none() && row.cgroup.is_none();
    if proxy.peer.iter().any(wide) {
        return refuse("proxy.peer", "name a uid, a cgroup or both: else every process would be this agent");
    }
    let cgroups = || proxy.peer.iter().filter_map(|row| row.cgroup.as_deref());
    if cgroups().any(|path| !path.starts_with('/') || path.strip_suffix('*').unwrap_or(path).contains('*')) {
        return refuse("proxy.peer", "a cgroup begins with `/`, and a `*` stands at its end only");
    }
    if cfg!(not(target_os = "linux")) && cgroups().next().is_some() {
        return refuse("proxy.peer", "this system has no cgroups");
    }
    Ok(())
}

fn certificates(proxy: &Proxy) -> Result<(), Error> {
    let refuse = |key, why: &str| Err(Error::Value { key, why: why.to_owned() });
    if proxy.client_ca.is_none() && !proxy.client_certificate.is_empty() {
        return refuse("proxy.client_ca", "must name the file of the authorities whose certificates are taken");
    }
    if proxy.client_ca.is_none() && proxy.client_auth == ClientAuth::Required {
        return refuse("proxy.client_ca", "must name the file of the authorities whose certificates are required");
    }
    if proxy.client_certificate.iter().any(|row| row.san.is_some() == row.cn.is_some()) {
        return refuse("proxy.client_certificate", "name a san or a cn, one of them");
    }
    Ok(())
}

fn gateway(gateway: &Gateway) -> Result<(), Error> {
    let refuse = |key, why: &str| Err(Error::Value { key, why: why.to_owned() });
    if let Some(name) = gateway.names.iter().find(|name| parse_name(name).is_none()) {
        return refuse("gateway.names", &format!("{name:?} is not a host name or address: no scheme, no port, no `*`"));
    }
    if gateway.names.len() > NAMES {
        return refuse("gateway.names", &format!("at most {NAMES}"));
    }
    let unreadable = |url: &&String| ReturnUrl::parse(url).is_err();
    if let Some(url) = gateway.return_urls.iter().find(unreadable) {
        return refuse(
            "gateway.return_urls",
            &format!("{url:?} is not an http:// or https:// address without user and fragment"),
        );
    }
    if gateway.url.as_ref().is_some_and(|url| ReturnUrl::parse(url).is_err() || url.contains('?')) {
        return refuse("gateway.url", "is not an http:// or https:// address without user, query and fragment");
    }
    let plain = gateway.tls_cert.is_none() && !gateway.plain_http;
    if plain && !gateway.listen.ip().is_loopback() {
        let way =
            "is beyond loopback: set gateway.tls_cert and gateway.tls_key, or plain_http = true where the way is safe without";
        return refuse("gateway.listen", way);
    }
    Ok(())
}

/// The URL of a webhook.
fn webhook(text: &str) -> Option<()> {
    let uri: http::Uri = text.parse().ok()?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https"))?;
    let plain = !text.contains(['#', '@', '\\']) && !text.contains(char::is_whitespace);
    Authority::parse(authority.as_str(), Some(443)).ok().filter(|_| plain).map(drop)
}

/// A name of `proxy.names`: an IPv6 address may stand without its brackets.
pub(in crate::app) fn parse_name(text: &str) -> Option<Host> {
    text.parse().ok().map(|address: IpAddr| Host::from(address)).or_else(|| text.parse().ok())
}

/// An entry of `upstream.proxy_except` as hosts are written: a name, an address, or `.suffix`.
pub(in crate::app) fn parse_exception(text: &str) -> Option<String> {
    match text.strip_prefix('.') {
        Some(suffix) => suffix.parse::<Host>().ok()?.name().map(|name| format!(".{name}")),
        None => parse_name(text).map(|host| host.to_string()),
    }
}
