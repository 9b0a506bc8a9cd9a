//! Which addresses may be dialled: never metadata or ourselves, private ones only where allowed (I5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a metadata service is not reached.
pub(crate) const METADATA: &str = "a cloud metadata service";

/// What kind of address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Globally reachable unicast.
    Public,
    /// Reachable only from inside; dialled where `upstream.allow_private` names it.
    Private(&'static str),
    /// Never dialled, whatever is allowed.
    Never(&'static str),
}

/// Classifies `address` after unwrapping every IPv6 form that carries an IPv4 address.
pub(super) fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => classify_v4(v4),
            None => classify_v6(v6),
        },
    }
}

/// The address as rules are written: an IPv4 address in an IPv6 coat without the coat.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded_v4(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// IPv4-mapped (RFC 4291 §2.5.5.2), -compatible (§2.5.5.1) and NAT64 `64:ff9b::/96` (RFC 6052 §2.1).
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let low = || {
        let [g0, g1] = g.to_be_bytes();
        let [h0, h1] = h.to_be_bytes();
        Ipv4Addr::new(g0, g1, h0, h1)
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(low()),
        [0, 0, 0, 0, 0, 0] if g != 0 || h > 1 => Some(low()),
        _ => None,
    }
}

/// The IPv4 address at the end of a 6to4 (RFC 3056 §2), Teredo (RFC 4380 §4) or local NAT64 (RFC 8215) tunnel: these stay private
/// whatever they lead to, and forbidden where they lead to something forbidden.
fn tunnelled_v4([a, b, c, _, _, _, g, h]: [u16; 8]) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match [a, b] {
        [0x2002, _] => Some(join(b, c)),
        [0x2001, 0] => Some(join(!g, !h)),
        [0x64, 0xff9b] => Some(join(g, h)),
        _ => None,
    }
}

fn classify_v4(v4: Ipv4Addr) -> Class {
    match v4.octets() {
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [169, 254, 0, 23]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [168, 63, 129, 16] => Class::Never(METADATA),
        [0, ..] => Class::Never("the unspecified network 0.0.0.0/8"),
        [224..=239, ..] => Class::Never("a multicast address"),
        [255, 255, 255, 255] => Class::Never("the broadcast address"),
        [127, ..] => Class::Private("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private("a private address (RFC 1918)"),
        [100, 64..=127, ..] => Class::Private("a carrier-grade NAT address (RFC 6598)"),
        [169, 254, ..] => Class::Private("a link-local address"),
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] | [192, 88, 99, _] => {
            Class::Private("an address reserved for tests or protocols")
        }
        [240..=255, ..] => Class::Private("a reserved address"),
        _ => Class::Public,
    }
}

fn classify_v6(v6: Ipv6Addr) -> Class {
    match v6.segments() {
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23]
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe] => Class::Never(METADATA),
        segments if tunnelled_v4(segments).is_some_and(|v4| matches!(classify_v4(v4), Class::Never(_))) => {
            Class::Never("a tunnel to an address that is never dialled")
        }
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Never("the unspecified address"),
        [0xff00..=0xffff, ..] => Class::Never("a multicast address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Private("a loopback address"),
        [0xfc00..=0xfdff, ..] => Class::Private("a unique local address (RFC 4193)"),
        [0xfe80..=0xfeff, ..] => Class::Private("a link-local address"),
        [0x64, 0xff9b, ..] => Class::Private("a local NAT64 address"),
        [0x2002, ..] => Class::Private("a 6to4 address"),
        [0x2001, 0, ..] => Class::Private("a Teredo address"),
        [0x2001, 0xdb8, ..] | [0x100, 0, 0, 0, ..] => Class::Private("an address reserved for tests or protocols"),
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Private("not a global unicast address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        classify(text.parse().expect("an address"))
    }

    #[test]
    fn i5_every_coat_of_loopback_is_seen_through() {
        for text in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"] {
            assert!(matches!(class(text), Class::Private("a loopback address")), "{text}");
        }
    }

    #[test]
    fn i5_metadata_is_never_dialled() {
        for text in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "169.254.170.2",
            "fd00:ec2::254",
            "2002:a9fe:a9fe::1",
            "64:ff9b:1::a9fe:a9fe",
            "2001:0:1::5601:5601",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "::",
            "224.0.0.1",
        ] {
            assert!(matches!(class(text), Class::Never(_)), "{text}");
        }
    }

    #[test]
    fn i5_private_ranges_are_private() {
        for text in [
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "169.254.1.1",
            "198.18.0.1",
            "240.0.0.1",
            "fc00::1",
            "fe80::1",
            "2002:7f00:1::",
            "2001:0:1::f5fe:fefd",
            "64:ff9b:1::7f00:1",
            "::ffff:10.0.0.1",
            "4000::1",
        ] {
            assert!(matches!(class(text), Class::Private(_)), "{text}");
        }
    }

    #[test]
    fn the_public_internet_is_public() {
        for text in ["1.1.1.1", "140.82.121.6", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert_eq!(class(text), Class::Public, "{text}");
        }
    }
}
