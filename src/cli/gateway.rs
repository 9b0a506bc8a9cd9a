//! Whether a gateway is named, and whether it answers. Credentials go to the local vault either way in this version.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use nexus::app::{ReturnUrl, dotenv_value};
use nexus::model::Authority;

use super::context::Context;
use super::terminal::Terminal;

const PATIENCE: Duration = Duration::from_secs(2);

/// `NEXUS_GATEWAY_URL` of the environment or of `$NEXUS_HOME/.env`.
pub(super) fn url(context: &Context) -> Option<String> {
    let given = Context::variable("NEXUS_GATEWAY_URL").filter(|url| !url.is_empty());
    given.or_else(|| dotenv_value(&context.home, "NEXUS_GATEWAY_URL").ok().flatten().map(|url| url.expose().clone()))
}

/// `NEXUS_RETURN_URL` of the environment or of `$NEXUS_HOME/.env`: where people go after a consent if the app says nothing.
pub(super) fn return_url(context: &Context) -> anyhow::Result<Option<String>> {
    let given = Context::variable("NEXUS_RETURN_URL").filter(|url| !url.is_empty());
    let url = match given {
        Some(url) => Some(url),
        None => dotenv_value(&context.home, "NEXUS_RETURN_URL")?.map(|url| url.expose().clone()).filter(|url| !url.is_empty()),
    };
    let why = |error| format!("NEXUS_RETURN_URL can't be used: {error}");
    url.map(|url| ReturnUrl::parse(&url).map(|_| url).map_err(|error| anyhow::anyhow!(why(error)))).transpose()
}

/// The host and port of `http[s]://host[:port][/…]`.
pub(super) fn authority(url: &str) -> Option<Authority> {
    let (rest, port) = match url.split_once("://")? {
        ("http", rest) => (rest, 80),
        ("https", rest) => (rest, 443),
        _ => return None,
    };
    Authority::parse(rest.split(['/', '?', '#']).next()?, Some(port)).ok()
}

/// Says where a credential goes when a gateway was asked for.
pub(super) fn warn_if_away(context: &Context, terminal: &Terminal) {
    let Some(url) = url(context) else { return };
    let Some(authority) = authority(&url) else {
        return terminal.warn("NEXUS_GATEWAY_URL is not an http:// or https:// URL; the local vault is used");
    };
    if answers(&authority) {
        terminal.warn(&format!(
            "this version keeps credentials in the local vault; the gateway at {authority} does not learn of this one"
        ));
    } else {
        terminal.warn(&format!("the gateway at {authority} does not answer; the local vault is used"));
    }
}

fn answers(authority: &Authority) -> bool {
    let host = authority.host.to_string();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (host, authority.port).to_socket_addrs().into_iter().flatten();
    addresses.take(4).any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_a_host_and_a_port() {
        let text = |url: &str| authority(url).map(|authority| authority.to_string());
        assert_eq!(text("http://127.0.0.1:8090/x").as_deref(), Some("127.0.0.1:8090"));
        assert_eq!(text("https://gw.example").as_deref(), Some("gw.example:443"));
        for url in ["gw.example", "ftp://x", "https://u:p@x", ""] {
            assert_eq!(text(url), None, "{url}");
        }
    }

    #[test]
    fn nobody_there_is_away() {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(!answers(&authority(&format!("http://{gone}")).unwrap()));
    }
}
