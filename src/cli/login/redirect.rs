//! Where a provider sends the person after consenting (RFC 6749 §3.1.2, RFC 8252 §7.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use crate::cli::context::Hint;

/// The path of our own.
const PATH: &str = "/callback";

/// A redirect URI, letter by letter as it was registered at the service.
#[derive(Debug)]
pub(super) struct Redirect {
    uri: String,
    /// As `Host` must be.
    pub(super) authority: String,
    pub(super) path: String,
    /// Where this command listens for it; nowhere, where it is a page elsewhere.
    pub(super) listens: Vec<IpAddr>,
    pub(super) port: u16,
}

impl Redirect {
    /// `uri`, else our own on `port`.
    pub(super) fn chosen(uri: Option<&str>, port: u16) -> anyhow::Result<Self> {
        match uri {
            None => Ok(Self::own(port)),
            Some(uri) => Self::parse(uri).ok_or_else(|| {
                let message = "a redirect URI is http://127.0.0.1:PORT/PATH, http://localhost:PORT/PATH or https://HOST/PATH, without a query, a port of 0 (for any that is free there is --port 0) or the port that goes without saying";
                Hint::new(message, "nexus login PROVIDER --redirect-uri http://localhost:8093/callback").into()
            }),
        }
    }

    /// `http://127.0.0.1:PORT/callback`.
    pub(super) fn own(port: u16) -> Self {
        let authority = format!("127.0.0.1:{port}");
        let uri = format!("http://{authority}{PATH}");
        Self { uri, authority, path: PATH.to_owned(), listens: vec![Ipv4Addr::LOCALHOST.into()], port }
    }

    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let (host, authority) = (uri.host()?, uri.authority()?.as_str());
        // Written so, a browser asks for the same path again.
        let plain = text.ends_with(uri.path()) && uri.path().starts_with('/') && !text.contains(['?', '#', '@']);
        // A browser leaves out the port that the scheme stands for, and there is no port 0.
        let usual = match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        if uri.port_u16().is_some_and(|port| port == 0 || port == usual) {
            return None;
        }
        let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
        let listens = match (uri.scheme_str()?, host) {
            ("http", "127.0.0.1") => vec![Ipv4Addr::LOCALHOST.into()],
            ("http", "[::1]") => vec![v6],
            ("http", "localhost") => vec![Ipv4Addr::LOCALHOST.into(), v6],
            ("https", _) => Vec::new(),
            _ => return None,
        };
        let port = uri.port_u16().unwrap_or(80);
        let (authority, path) = (authority.to_owned(), uri.path().to_owned());
        plain.then(|| Self { uri: text.to_owned(), authority, path, listens, port })
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_listened_on_and_https_is_pasted() {
        let listens = |text: &str| Redirect::parse(text).map(|redirect| (redirect.listens.len(), redirect.port));
        assert_eq!(listens("http://127.0.0.1:8093/callback"), Some((1, 8093)));
        assert_eq!(listens("http://localhost:3000/"), Some((2, 3000)));
        assert_eq!(listens("http://[::1]:3000/x"), Some((1, 3000)));
        assert_eq!(listens("https://acme.example/done").map(|(places, _)| places), Some(0));
        let own = Redirect::own(8093);
        assert_eq!(Redirect::parse(own.uri()).expect("our own").authority, own.authority);
    }

    #[test]
    fn i2_what_would_lead_elsewhere_or_be_written_otherwise_is_refused() {
        for text in [
            "http://acme.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1@evil.example/callback",
            "http://0.0.0.0:8093/callback",
            "http://127.0.0.1:8093",
            "http://127.0.0.1:0/callback",
            "http://localhost:80/callback",
            "https://acme.example:443/done",
            "http://127.0.0.1:8093/callback?x=1",
            "http://127.0.0.1:8093/callback#x",
            "javascript:alert(1)",
            "/callback",
            "",
        ] {
            assert!(Redirect::parse(text).is_none(), "{text}");
            assert!(Redirect::chosen(Some(text), 1).is_err(), "{text}");
        }
    }
}
