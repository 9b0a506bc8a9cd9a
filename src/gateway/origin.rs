//! Where a request comes from, and what it says of where it goes.

use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::{HeaderMap, Uri};

use super::problem::Problem;
use super::settings::Settings;
use crate::model::{Authority, Host};

/// The connection that a request came on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// Ours.
    pub(crate) local: SocketAddr,
    /// It is TLS.
    pub(crate) tls: bool,
}

/// The name by which the caller means us, which is one of ours: a page whose own name was pointed at this machine meanwhile shows that
/// name here (DNS rebinding, threat 149).
///
/// # Errors
/// 400 without exactly one `Host` (RFC 9112 §3.2), 421 for a name that isn't ours.
pub(super) fn meant(settings: &Settings, origin: &Origin, uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Problem::malformed("a request names its host once, in a field Host"));
    };
    let default = if origin.tls { 443 } else { 80 };
    let parse = |text: &str| Authority::parse(text, Some(default)).ok();
    let authority = host.to_str().ok().and_then(parse);
    let mut authority = authority.ok_or_else(|| Problem::malformed("the field Host is not host or host:port"))?;
    if let Some(target) = uri.authority() {
        // RFC 9112 §3.2.2: what a target in absolute form names counts. Both are to be ours.
        let named =
            parse(target.as_str()).ok_or_else(|| Problem::malformed("the target's authority is not host or host:port"))?;
        let host = std::mem::replace(&mut authority, named);
        if !is_ours(settings, origin, &host.host) {
            return Err(Problem::misdirected(&host.host));
        }
    }
    if !is_ours(settings, origin, &authority.host) {
        return Err(Problem::misdirected(&authority.host));
    }
    Ok(authority)
}

fn is_ours(settings: &Settings, origin: &Origin, host: &Host) -> bool {
    match host {
        Host::Name(name) if &**name == "localhost" => true,
        Host::Ip(address) if *address == origin.local.ip().to_canonical() => true,
        // Who came by a port of a container, or by a tunnel, says what they typed.
        Host::Ip(address) if address.is_loopback() && listens_on(settings.listen, *address) => true,
        host => settings.names.contains(host),
    }
}

/// Whether `address` is among those that a socket on `listen` hears. One on `[::]` may hear IPv4 too.
fn listens_on(listen: IpAddr, address: IpAddr) -> bool {
    listen == address || listen.is_unspecified() && (listen.is_ipv6() || address.is_ipv4())
}

/// Whether a web page made the browser send it (Fetch §2.2.5 and the Fetch Metadata Request Headers). Node's own `fetch` sends a
/// `Sec-Fetch-Mode`, and nothing else of these.
pub(super) fn by_a_page(headers: &HeaderMap) -> bool {
    let telling = |name: &str| name == "origin" || name.starts_with("sec-fetch-") && name != "sec-fetch-mode";
    headers.keys().any(|name| telling(name.as_str()))
}

/// Whether it comes from this machine and from nobody behind: a proxy in front of us, of our own user too, names another host or says for
/// whom it asks (RFC 7239, RFC 9110 §7.6.3).
pub(super) fn is_direct(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|text| Authority::parse(text, Some(80)).ok());
    let here = host.is_some_and(|authority| match authority.host {
        Host::Name(name) => &*name == "localhost",
        Host::Ip(address) => address.is_loopback(),
    });
    let passed_on = |name: &str| matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-");
    here && !headers.keys().any(|name| passed_on(name.as_str()))
}

/// Whether anything in it may come from a browser.
pub(super) fn by_a_browser(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name == "origin" || name.as_str().starts_with("sec-fetch-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t149_loopback_is_known_where_it_is_listened_to() {
        let heard = |listen: &str| {
            let listen: IpAddr = listen.parse().expect("an address");
            let each = ["127.0.0.1", "127.0.0.2", "::1"].map(|text| text.parse().expect("an address"));
            each.map(|address| listens_on(listen, address))
        };
        assert_eq!(heard("127.0.0.1"), [true, false, false]);
        assert_eq!(heard("127.0.0.2"), [false, true, false]);
        assert_eq!(heard("::1"), [false, false, true]);
        assert_eq!(heard("0.0.0.0"), [true, true, false]);
        assert_eq!(heard("::"), [true; 3]);
        assert_eq!(heard("10.0.0.5"), [false; 3]);
    }
}
