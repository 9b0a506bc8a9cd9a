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

/// What can be judged of `authority` before a parent is asked for it; what is refused is told to the operator.
pub(super) fn permit_for_parent(settings: &Settings, own: &[SocketAddr], authority: &Authority) -> Result<(), Error> {
    let permitted = permit_known(&settings.allow_private, own, authority);
    if let Err(Error::Forbidden { reason, .. }) = &permitted {
        tracing::warn!(host = %authority.host, reason, "a parent proxy is not asked for an address");
    }
    permitted
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
        permit_known(self.allow_private, self.own, authority)
    }
}

/// Judges what is known of `authority` without a look-up: an address, and names that mean this machine. For a parent that looks names up,
/// it is all that can be judged; one on this machine would reach what only we may.
///
/// # Errors
/// [`Error::Forbidden`] and [`Error::Loop`].
pub(super) fn permit_known(allow_private: &[IpNet], own: &[SocketAddr], authority: &Authority) -> Result<(), Error> {
    let one = |address| match is_own(own, SocketAddr::new(address, authority.port)) {
        true => Err(Error::Loop { authority: authority.clone() }),
        false => judge(allow_private, authority, address),
    };
    match &authority.host {
        Host::Ip(address) => one(*address),
        // Whichever of the two it is, one that may be dialled is enough not to say no; but never one of our own.
        Host::Name(name) if is_this_machine(name) => match one(Ipv4Addr::LOCALHOST.into()) {
            Err(Error::Forbidden { .. }) => one(Ipv6Addr::LOCALHOST.into()),
            judged => judged,
        },
        Host::Name(_) => Ok(()),
    }
}

/// Names of loopback (RFC 6761 §6.3, and what Unix systems list beside it) and the name of this machine.
fn is_this_machine(name: &str) -> bool {
    const NAMES: [&str; 4] = ["localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"];
    let own_name = || rustix::system::uname().nodename().to_str().is_ok_and(|own| name.eq_ignore_ascii_case(own));
    NAMES.contains(&name) || name.ends_with(".localhost") || own_name()
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

    #[test]
    fn i5_names_of_this_machine_are_known_without_a_look_up() {
        let own = ["127.0.0.1:8091".parse().expect("address")];
        let machine = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
        for name in ["localhost", "a.b.localhost", "localhost.localdomain", "ip6-localhost", &machine] {
            let authority = |port: u16| format!("{name}:{port}").parse::<Authority>().expect("an authority");
            let judged = |ranges: &[IpNet], port| permit_known(ranges, &own, &authority(port));
            assert!(matches!(judged(&[], 443), Err(Error::Forbidden { .. })), "{name}");
            for allowed in ["127.0.0.0/8", "::1/128"] {
                let ranges = [allowed.parse().expect("a range")];
                assert!(judged(&ranges, 443).is_ok(), "{name} {allowed}");
                assert!(matches!(judged(&ranges, 8091), Err(Error::Loop { .. })), "{name} {allowed}");
            }
        }
        for other in ["localhost.example.com:443", "mylocalhost:443", "example.com:443"] {
            assert!(permit_known(&[], &own, &other.parse().expect("an authority")).is_ok(), "{other}");
        }
    }
}
