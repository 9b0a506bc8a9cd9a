//! From a host to addresses that may be dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

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
    if let Some(address) = overridden(&settings.resolve, authority) {
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

/// Whether `address` may be dialled for `authority`; one that may not be is told to the operator.
pub(super) fn permit(settings: &Settings, authority: &Authority, address: IpAddr) -> Result<(), Error> {
    let permitted = judge(&settings.allow_private, authority, address);
    if let Err(Error::Forbidden { reason, .. }) = &permitted {
        tracing::warn!(host = %authority.host, %address, reason, "an address is not dialled");
    }
    permitted
}

fn judge(allow_private: &[IpNet], authority: &Authority, address: IpAddr) -> Result<(), Error> {
    let refuse = |reason| Err(Error::Forbidden { host: authority.host.to_string(), address, reason });
    match classify(address) {
        Class::Public => Ok(()),
        Class::Never(reason) => refuse(reason),
        Class::Private(_) if allow_private.iter().any(|range| range.contains(&canonical(address))) => Ok(()),
        Class::Private(reason) => refuse(reason),
    }
}

/// What is known of an address before it is looked up, for those who ask without dialling.
#[derive(Debug)]
pub(crate) struct Policy<'a> {
    /// Private ranges that may be dialled.
    pub(crate) allow_private: &'a [IpNet],
    /// Names that are dialled elsewhere.
    pub(crate) resolve: &'a [Override],
    /// Our own listeners.
    pub(crate) own: &'a [SocketAddr],
    /// A parent looks names up, not we.
    pub(crate) parent: bool,
}

impl Policy<'_> {
    /// Whether `authority` may be dialled: an address is judged as when it is dialled, a name only if everybody knows where it leads.
    ///
    /// # Errors
    /// [`Error::Forbidden`] and [`Error::Loop`], as the dial would give them.
    pub(crate) fn permit(&self, authority: &Authority) -> Result<(), Error> {
        permit_name(authority)?;
        let looped =
            |address| if is_own(self.own, address) { Err(Error::Loop { authority: authority.clone() }) } else { Ok(()) };
        if let Some(address) = overridden(self.resolve, authority) {
            return looped(address);
        }
        match &authority.host {
            Host::Ip(address) => {
                looped(SocketAddr::new(*address, authority.port))?;
                judge(self.allow_private, authority, *address)
            }
            // RFC 6761 §6.3. Whichever of the two it is, one that may be dialled is enough not to say no.
            Host::Name(name) if !self.parent && (**name == *"localhost" || name.ends_with(".localhost")) => {
                let loopback = |address| judge(self.allow_private, authority, address);
                loopback(Ipv4Addr::LOCALHOST.into()).or_else(|_| loopback(Ipv6Addr::LOCALHOST.into()))
            }
            Host::Name(_) => Ok(()),
        }
    }
}

/// Refuses the metadata names before anybody is asked for their address.
pub(super) fn permit_name(authority: &Authority) -> Result<(), Error> {
    let metadata = authority.host.name().is_some_and(|name| METADATA_NAMES.contains(&name));
    if !metadata {
        return Ok(());
    }
    let address = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
    Err(Error::Forbidden { host: authority.host.to_string(), address, reason: METADATA })
}

fn overridden(resolve: &[Override], authority: &Authority) -> Option<SocketAddr> {
    let exact = |entry: &&Override| entry.host == authority.host && entry.port.is_none_or(|port| port == authority.port);
    resolve.iter().find(exact).map(|entry| entry.address)
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
