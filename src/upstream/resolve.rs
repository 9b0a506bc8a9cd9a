//! From a host to addresses that may be dialled.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::address::{Class, METADATA, canonical, classify};
use super::lookup::Lookups;
use super::{Error, Settings};
use crate::model::{Authority, Host};

/// One entry of `upstream.resolve`: a host, perhaps one port of it, and where it is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Override {
    /// The host as callers name it.
    pub(crate) host: Host,
    /// `None` = every port.
    pub(crate) port: Option<u16>,
    /// Where it is dialled, port included.
    pub(crate) address: SocketAddr,
}

/// Names that cloud platforms answer with credentials.
const METADATA_NAMES: [&str; 6] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
];

/// The addresses of `authority`, each checked; a single forbidden one refuses them all, since an answer that mixes is an attack
/// (threat 90).
pub(super) async fn addresses(
    settings: &Settings,
    lookup: Lookup<'_>,
    own: &[SocketAddr],
    authority: &Authority,
) -> Result<Vec<SocketAddr>, Error> {
    if let Some(address) = overridden(settings, authority) {
        return if is_own(own, address) { Err(Error::Loop { authority: authority.clone() }) } else { Ok(vec![address]) };
    }
    let found = match &authority.host {
        Host::Ip(address) => vec![SocketAddr::new(*address, authority.port)],
        Host::Name(name) => lookup.lookups.find(lookup.agent, name, authority.port).await?,
    };
    for address in &found {
        if is_own(own, *address) {
            return Err(Error::Loop { authority: authority.clone() });
        }
        permit(settings, authority, address.ip())?;
    }
    Ok(found)
}

/// Whether `address` may be dialled for `authority`.
pub(super) fn permit(settings: &Settings, authority: &Authority, address: IpAddr) -> Result<(), Error> {
    let refuse = |reason| {
        tracing::warn!(host = %authority.host, %address, reason, "an address is not dialled");
        Err(Error::Forbidden { host: authority.host.to_string(), address, reason })
    };
    match classify(address) {
        Class::Public => Ok(()),
        Class::Never(reason) => refuse(reason),
        Class::Private(_) if settings.allow_private.iter().any(|range| range.contains(&canonical(address))) => Ok(()),
        Class::Private(reason) => refuse(reason),
    }
}

/// Refuses the metadata names before anybody is asked for their address.
pub(super) fn permit_name(authority: &Authority) -> Result<(), Error> {
    let metadata = authority.host.name().is_some_and(|name| METADATA_NAMES.contains(&name));
    if !metadata {
        return Ok(());
    }
    let address = IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254));
    Err(Error::Forbidden { host: authority.host.to_string(), address, reason: METADATA })
}

fn overridden(settings: &Settings, authority: &Authority) -> Option<SocketAddr> {
    let exact = |entry: &&Override| entry.host == authority.host && entry.port.is_none_or(|port| port == authority.port);
    settings.resolve.iter().find(exact).map(|entry| entry.address)
}

/// One of our own listeners, by any address of this machine that reaches it.
pub(super) fn is_own(own: &[SocketAddr], address: SocketAddr) -> bool {
    let dialled = canonical(address.ip());
    own.iter().any(|ours| {
        let listening = canonical(ours.ip());
        let everywhere = listening.is_unspecified() && (dialled.is_loopback() || dialled.is_unspecified());
        ours.port() == address.port()
            && (listening == dialled || everywhere || (listening.is_loopback() && dialled.is_loopback()))
    })
}

/// A look-up on behalf of an agent.
pub(super) struct Lookup<'a> {
    pub(super) lookups: &'a Lookups,
    pub(super) agent: &'a Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i5_our_own_listeners_are_recognised_by_every_address() {
        let own = ["127.0.0.1:8091".parse().expect("address"), "0.0.0.0:8092".parse().expect("address")];
        for text in ["127.0.0.1:8091", "[::ffff:127.0.0.1]:8091", "127.0.0.2:8091", "127.0.0.1:8092", "0.0.0.0:8092"] {
            assert!(is_own(&own, text.parse().expect("address")), "{text}");
        }
        assert!(!is_own(&own, "127.0.0.1:9000".parse().expect("address")));
    }
}
