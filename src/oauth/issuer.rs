//! `Issuer`: which authorization server an answer must come from (RFC 9207, OpenID Connect Core §3.1.3.7).

use psl::Psl as _;

/// The authorization server of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// Its identifier (RFC 8414 §2), compared letter by letter (RFC 9207 §2.4).
    Named(String),
    /// Where no identifier is known: whoever owns one of these domain names.
    Owner(Vec<String>),
}

impl Issuer {
    /// The one called `identifier`, else whoever owns the hosts of `urls`.
    pub(crate) fn new(identifier: Option<&str>, urls: &[&str]) -> Self {
        match identifier {
            Some(identifier) => Self::Named(identifier.to_owned()),
            None => Self::Owner(urls.iter().filter_map(|url| owner(url)).collect()),
        }
    }

    /// Whether `iss` is it. Google writes its own without the scheme, too ("Validating an ID token").
    pub(crate) fn is(&self, iss: &str) -> bool {
        match self {
            Self::Named(identifier) => identifier == iss,
            Self::Owner(owners) => owner(iss).is_some_and(|owner| owners.contains(&owner)),
        }
    }
}

/// The domain that the host of `url` was registered under, in lower case.
fn owner(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.contains(['@', '\\']))?.to_ascii_lowercase();
    let name = host.split(':').next()?;
    Some(String::from_utf8_lossy(psl::List.domain(name.as_bytes())?.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_issuer_is_compared_letter_by_letter() {
        let issuer = Issuer::new(Some("https://login.acme.example/a"), &[]);
        assert!(issuer.is("https://login.acme.example/a"));
        for other in ["https://login.acme.example/a/", "https://LOGIN.acme.example/a", "https://login.acme.example", ""] {
            assert!(!issuer.is(other), "{other}");
        }
    }

    #[test]
    fn without_a_name_the_owner_of_the_endpoints_must_be_the_same() {
        let issuer =
            Issuer::new(None, &["https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token"]);
        for own in ["https://accounts.google.com", "accounts.google.com", "https://Accounts.Google.com/x"] {
            assert!(issuer.is(own), "{own}");
        }
        for other in [
            "https://accounts.google.com.evil.example",
            "https://evil.example/accounts.google.com",
            "https://accounts.google.com@evil.example",
            "https://evil.example\\@accounts.google.com",
            "http://accounts.google.com",
            "https://evil.example?x=.google.com",
            "https://com",
            "",
        ] {
            assert!(!issuer.is(other), "{other}");
        }
    }
}
