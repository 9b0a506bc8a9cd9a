//! `Host`: a host name or address, parsed once at the edge.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A host in its one normal form: a lower-case A-label name without a trailing dot, or an IP address.
///
/// Two spellings of the same host are equal after parsing, so rules, pools and certificates can key on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name (RFC 1123 §2.1 and RFC 5890 A-labels), at most 253 bytes, labels at most 63.
    Name(Box<str>),
    /// An IPv4 or IPv6 literal (RFC 3986 §3.2.2); IPv4-mapped IPv6 is kept as written.
    Ip(IpAddr),
}

/// Why a text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("the host is empty")]
    Empty,
    /// A byte that no host may hold (RFC 3986 §3.2.2), or an empty or overlong label.
    #[error("the host is not a DNS name or IP address")]
    Malformed,
    /// All-numeric last label that is not a plain dotted quad: `127.1`, `0x7f.1`, `2130706433`.
    #[error("the host is an unusual spelling of an IP address; write it as four decimal numbers")]
    UnusualAddress,
    /// Not ASCII: names on the wire are A-labels.
    #[error("the host is not ASCII; write it in its xn-- form")]
    NotAscii,
}

impl Host {
    /// The host as a name, unless it is an address.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Ip(_) => None,
        }
    }

    /// Parses an IPv6 literal's inside, a dotted quad or a name, ASCII only. Brackets are the caller's to take off.
    fn parse_unbracketed(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if !text.is_ascii() {
            return Err(HostError::NotAscii);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(IpAddr::V4(address)));
        }
        let name = text.to_ascii_lowercase();
        check_name(&name)?;
        check_idna(&name)?;
        Ok(Self::Name(name.into_boxed_str()))
    }
}

/// RFC 1123 §2.1: letters, digits and hyphens; `_` is tolerated because real services use it.
fn check_name(name: &str) -> Result<(), HostError> {
    if name.is_empty() || name.len() > 253 {
        return Err(HostError::Malformed);
    }
    let well_formed = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    if !name.split('.').all(well_formed) {
        return Err(HostError::Malformed);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostError::UnusualAddress);
    }
    Ok(())
}

/// An `xn--` label must be one that IDNA (UTS 46) maps to itself, so that no two spellings mean one host.
fn check_idna(name: &str) -> Result<(), HostError> {
    if !name.split('.').any(|label| label.starts_with("xn--")) {
        return Ok(());
    }
    let (unicode, result) = idna::domain_to_unicode(name);
    let canonical = result.is_ok() && idna::domain_to_ascii(&unicode).is_ok_and(|ascii| ascii == name);
    if canonical { Ok(()) } else { Err(HostError::Malformed) }
}

impl FromStr for Host {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, HostError> {
        let Some(inside) = text.strip_prefix('[') else { return Self::parse_unbracketed(text) };
        let inside = inside.strip_suffix(']').ok_or(HostError::Malformed)?;
        let address: Ipv6Addr = inside.parse().map_err(|_bad: std::net::AddrParseError| HostError::Malformed)?;
        Ok(Self::Ip(IpAddr::V6(address)))
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Ip(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Ip(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, HostError> {
        text.parse::<Host>().map(|host| host.to_string())
    }

    #[test]
    fn spellings_of_one_host_are_equal() {
        for text in ["api.github.com", "API.GitHub.com", "api.github.com."] {
            assert_eq!(parse(text).as_deref(), Ok("api.github.com"), "{text}");
        }
        assert_eq!(parse("[0:0::1]").as_deref(), Ok("[::1]"));
    }

    #[test]
    fn i2_lookalikes_and_foreign_bytes_are_refused() {
        for text in [
            "",
            ".",
            "a..b",
            "api.github.com..",
            "a b",
            "a%2eb",
            "a/b",
            "a\\b",
            "a#b",
            "a?b",
            "a@b",
            "a:1",
            "ａpi.github.com",
            "api。github.com",
            "-a.com",
            "a-.com",
            "[::1",
            "::1",
            "[fe80::1%eth0]",
            "[v1.x]",
            "a\tb",
            "a\0b",
            "xn--a",
            "*",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn i5_unusual_spellings_of_addresses_are_refused() {
        for text in ["127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.0.0.1.1", "1.2.3.4.", "256.1.1.1"] {
            let parsed = parse(text);
            assert!(parsed.is_err() || text == "1.2.3.4.", "{text:?} {parsed:?}");
        }
    }

    #[test]
    fn international_names_are_taken_as_a_labels() {
        assert_eq!(parse("xn--bcher-kva.example").as_deref(), Ok("xn--bcher-kva.example"));
    }
}
