//! `Authority` and `Target`: where a request wants to go, in one normal form.

use std::fmt;
use std::str::FromStr;

use super::host::{Host, HostError};

/// How the service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Cleartext HTTP, default port 80.
    Http,
    /// HTTP over TLS, default port 443.
    Https,
}

impl Scheme {
    /// 80 or 443 (RFC 9110 §4.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// `host:port` (RFC 9110 §7.2), both always known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority {
    /// The normalised host.
    pub host: Host,
    /// 1 to 65535.
    pub port: u16,
}

/// Why a text is not an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The host part.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Not 1 to 5 ASCII digits from 1 to 65535 without a leading zero.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// CONNECT has no default port (RFC 9110 §9.3.6).
    #[error("the port is missing")]
    NoPort,
    /// `user@host` is not an authority we take from anyone (RFC 9110 §4.2.4).
    #[error("user information before the host is not allowed")]
    Userinfo,
}

impl Authority {
    /// Parses `host[:port]`, taking `default` where no port is written.
    ///
    /// # Errors
    /// As [`AuthorityError`] says.
    pub fn parse(text: &str, default: Option<u16>) -> Result<Self, AuthorityError> {
        if text.contains('@') {
            return Err(AuthorityError::Userinfo);
        }
        let (host, port) = split_port(text);
        let port = match port {
            Some(digits) => parse_port(digits)?,
            None => default.ok_or(AuthorityError::NoPort)?,
        };
        Ok(Self { host: host.parse()?, port })
    }
}

impl Authority {
    /// As it stands in a URL or `Host` field of `scheme`: without the default port (RFC 9110 §4.2.3).
    pub fn as_written(&self, scheme: Scheme) -> String {
        if self.port == scheme.default_port() { self.host.to_string() } else { self.to_string() }
    }

    /// Whether `text` is what [`Self::as_written`] gives; false for an address, whatever it is.
    pub fn is_plainly(&self, scheme: Scheme, text: &[u8]) -> bool {
        let Some(after) = self.host.name().and_then(|name| text.strip_prefix(name.as_bytes())) else { return false };
        let port = match after.strip_prefix(b":") {
            Some(digits) => plain_port(digits),
            None => after.is_empty().then(|| scheme.default_port()),
        };
        port == Some(self.port) && (after.is_empty() || self.port != scheme.default_port())
    }
}

/// `a:1` -> (`a`, `1`), `[::1]:1` -> (`[::1]`, `1`); a text with no colon after the host has no port.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let from = text.rfind(']').unwrap_or(0);
    match text.get(from..).and_then(|rest| rest.find(':')) {
        Some(colon) => (text.get(..from + colon).unwrap_or_default(), text.get(from + colon + 1..)),
        None => (text, None),
    }
}

fn parse_port(digits: &str) -> Result<u16, AuthorityError> {
    plain_port(digits.as_bytes()).ok_or(AuthorityError::Port)
}

/// One of 1 to 65,535 without a leading zero.
fn plain_port(digits: &[u8]) -> Option<u16> {
    let plain = (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0");
    if !plain {
        return None;
    }
    u16::try_from(digits.iter().fold(0_u32, |port, digit| port * 10 + u32::from(digit & 15))).ok()
}

impl FromStr for Authority {
    type Err = AuthorityError;
    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        Self::parse(text, None)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// Where one request wants to go: what every rule is matched against, made once per request.
#[derive(Clone, Debug)]
pub struct Target {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The host and port it names, already held against the tunnel's.
    pub authority: Authority,
    /// The method as sent.
    pub method: http::Method,
    /// Path and query as sent, beginning with `/` (or `*` for OPTIONS).
    pub path: http::uri::PathAndQuery,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_plain_decimal() {
        for text in ["a:0443", "a:65979", "a:443:443", "a:", "a:-1", "a:+1", "a:４４３", "a:0", "a", "a: 443", "a:443 "] {
            assert!(text.parse::<Authority>().is_err(), "{text:?}");
        }
        assert_eq!("A.example.:443".parse::<Authority>().map(|a| a.to_string()).as_deref(), Ok("a.example:443"));
        assert_eq!("[::1]:443".parse::<Authority>().map(|a| a.to_string()).as_deref(), Ok("[::1]:443"));
    }

    #[test]
    fn i2_userinfo_is_refused() {
        assert_eq!("api.github.com:443@evil.example:443".parse::<Authority>(), Err(AuthorityError::Userinfo));
    }
}
