//! `ReturnUrl`: where a person's browser may be sent when a consent is over. Compared after parsing, and then exactly.

use crate::model::{Authority, Scheme};
use crate::oauth::{form_decoded, form_encoded};

/// Longer ones are refused, in bytes.
const LIMIT: usize = 2048;

/// What we add to an address, so that an app can't be told something else by the same name.
const OURS: [&str; 6] = ["status", "connection_id", "provider", "state", "error", "error_description"];

/// Why an address is none that a browser may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReturnUrlError {
    /// Not `http://` or `https://`.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// Characters that readers of addresses differ about.
    #[error("it holds a blank, a control character, a backslash, or a letter that an address has to encode")]
    Characters,
    /// `user:password@`, `#…`.
    #[error("it has a user, a password or a fragment")]
    Parts,
    /// No host, or a port that is none.
    #[error("its host and port are not valid")]
    Authority,
    /// `/../`.
    #[error("its path has parts of dots")]
    Path,
    /// A parameter by a name of ours.
    #[error("its query has a parameter that the gateway adds itself")]
    Query,
    /// Longer than any.
    #[error("it is too long")]
    Long,
}

/// An address as it was written, and what of it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnUrl {
    text: String,
    scheme: Scheme,
    authority: Authority,
    path: String,
}

impl ReturnUrl {
    /// Reads an address; what two readers could take for two places is none.
    ///
    /// # Errors
    /// As [`ReturnUrlError`] says.
    pub fn parse(text: &str) -> Result<Self, ReturnUrlError> {
        use ReturnUrlError as Error;
        if text.len() > LIMIT {
            return Err(Error::Long);
        }
        let odd = |byte: u8| {
            !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
        };
        if text.bytes().any(odd) {
            return Err(Error::Characters);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            _ => return Err(Error::Scheme),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') || rest.contains('#') {
            return Err(Error::Parts);
        }
        let authority = Authority::parse(authority, Some(scheme.default_port())).map_err(|_malformed| Error::Authority)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let dots = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if path.split('/').any(dots) {
            return Err(Error::Path);
        }
        let name = |pair: &str| form_decoded(pair.split('=').next().unwrap_or_default()).into_owned();
        if query.split('&').any(|pair| OURS.contains(&name(pair).as_str())) {
            return Err(Error::Query);
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { text: text.to_owned(), scheme, authority, path: path.to_owned() })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it leads to the same place as `allowed`: scheme, host, port and path. Its query is the app's own.
    pub fn is_at(&self, allowed: &Self) -> bool {
        self.scheme == allowed.scheme && self.authority == allowed.authority && self.path == allowed.path
    }

    /// With `pairs` behind its query.
    pub(super) fn with(&self, pairs: &[(&str, &str)]) -> String {
        let join = if self.text.contains('?') { '&' } else { '?' };
        format!("{}{join}{}", self.text, form_encoded(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of which some reader of addresses takes for that place, or a browser for another.
    const ELSEWHERE: [&str; 30] = [
        "http://app.example/oauth/done",
        "HTTPS://app.example/oauth/done",
        "//app.example/oauth/done",
        "https:/app.example/oauth/done",
        "https://app.example:8443/oauth/done",
        "https://app.example/oauth/done/",
        "https://app.example/oauth/Done",
        "https://app.example/oauth//done",
        "https://app.example/oauth/x/../done",
        "https://app.example/oauth/%2e%2e/oauth/done",
        "https://app.example/oauth/%64one",
        "https://app.example/",
        "https://app.example",
        "https://app.example.evil.example/oauth/done",
        "https://app.example@evil.example/oauth/done",
        "https://evil.example/@app.example/oauth/done",
        "https://evil.example\\@app.example/oauth/done",
        "https://evil.example#@app.example/oauth/done",
        "https://app.example/oauth/done#x",
        "https://evil.example?https://app.example/oauth/done",
        "https://app.example%2eevil.example/oauth/done",
        "https://app.example:443:80/oauth/done",
        "https://app.example:/oauth/done x",
        "https://app.example/oauth/done\r\nSet-Cookie: x=1",
        "https://app.example\u{3002}evil.example/oauth/done",
        "javascript://app.example/oauth/done",
        "data:text/html,x",
        "https://app.example/oauth/done?status=success",
        "https://app.example/oauth/done?%73tate=x",
        "",
    ];

    #[test]
    fn t_open_redirect_only_the_very_place_that_is_allowed_is_one() {
        let allowed = ReturnUrl::parse("https://app.example/oauth/done").expect("an address");
        let leads = |text: &str| ReturnUrl::parse(text).is_ok_and(|url| url.is_at(&allowed));
        for same in [
            "https://app.example/oauth/done",
            "https://app.example:443/oauth/done",
            "https://APP.example/oauth/done?tab=2",
            "https://app.example./oauth/done",
        ] {
            assert!(leads(same), "{same}");
        }
        for other in ELSEWHERE {
            assert!(!leads(other), "{other}");
        }
    }

    #[test]
    fn what_we_add_is_encoded_and_stands_behind_the_apps_own() {
        let url = |text: &str| ReturnUrl::parse(text).expect("an address");
        let pairs = [("status", "error"), ("error", "a&b=c d")];
        assert_eq!(url("http://localhost:8000/x").with(&pairs), "http://localhost:8000/x?status=error&error=a%26b%3Dc+d");
        assert_eq!(url("http://localhost:8000/x?a=1").with(&pairs[..1]), "http://localhost:8000/x?a=1&status=error");
    }
}
