//! Which gateway, and how long its copies outlive its silence.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::model::{Authority, AuthorityError, Host, Scheme};

/// What a node is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where the gateway is.
    pub(crate) url: Url,
    /// How long copies are used after the gateway was heard last.
    pub(crate) grace: Duration,
    /// How long the gateway may take to answer a question, a renewal included.
    pub(crate) answer: Duration,
    /// Where the names of the connections that it has served are kept, and how the link stands.
    pub(crate) file: PathBuf,
}

/// The address of a gateway: `https://host[:port]`, or `http://` on loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
}

/// Why a text is not the address of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither `http://` nor `https://`.
    #[error("it must begin with https://, or with http:// on this machine")]
    Scheme,
    /// A key would travel readable.
    #[error("http:// is for a gateway on this machine only; write https://, since the key and every credential travel there")]
    Cleartext,
    /// More than a place.
    #[error("it is https://HOST:PORT and nothing behind; the key is given by NEXUS_GATEWAY_KEY")]
    Path,
    /// The host or its port.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = match text.trim().split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            _ => return Err(UrlError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(UrlError::Path);
        }
        let authority = Authority::parse(rest, Some(scheme.default_port()))?;
        if scheme == Scheme::Http && !is_loopback(&authority.host) {
            return Err(UrlError::Cleartext);
        }
        Ok(Self { scheme, authority })
    }
}

impl Url {
    /// Its addresses, if it is on loopback.
    pub(super) fn loopback(&self) -> Vec<SocketAddr> {
        let port = self.authority.port;
        match &self.authority.host {
            host if !is_loopback(host) => Vec::new(),
            Host::Ip(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(_) => vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()],
        }
    }
}

/// The address is looked at once more when it is dialled: a name may lead anywhere.
fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Ip(IpAddr::V4(address)) => address.is_loopback(),
        Host::Ip(IpAddr::V6(address)) => address.is_loopback(),
        Host::Name(name) => &**name == "localhost",
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme.as_str(), self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_reached_over_tls_unless_it_is_on_this_machine() {
        for (text, read) in [
            ("https://gw.example", "https://gw.example:443"),
            ("https://10.0.0.7:8090/", "https://10.0.0.7:8090"),
            ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
            ("http://localhost:8090", "http://localhost:8090"),
            ("http://[::1]:8090", "http://[::1]:8090"),
        ] {
            assert_eq!(text.parse::<Url>().map(|url| url.to_string()), Ok(read.to_owned()), "{text}");
        }
        for (text, why) in [
            ("http://gw.example:8090", UrlError::Cleartext),
            ("http://localhost.gw.example", UrlError::Cleartext),
            ("http://10.0.0.7:8090", UrlError::Cleartext),
            ("gw.example:8090", UrlError::Scheme),
            ("https://gw.example/k/KEY", UrlError::Path),
            ("https://gw.example?x", UrlError::Path),
            ("https://key@gw.example", UrlError::Authority(AuthorityError::Userinfo)),
        ] {
            assert_eq!(text.parse::<Url>(), Err(why), "{text}");
        }
    }
}
