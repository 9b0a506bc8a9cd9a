//! `Issuer`: which authorization server an answer must come from (RFC 9207, OpenID Connect Core §3.1.3.7).

use psl::Psl as _;
use serde::{Deserialize, Serialize};

/// The authorization server of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Issuer {
    /// Its identifier (RFC 8414 §2), compared letter by letter (RFC 9207 §2.4).
    Named(String),
    /// Where no identifier is known: whoever owns the endpoints.
    Owner {
        /// The domains that they were registered under.
        domains: Vec<String>,
        /// Hosts that are one tenant's of many, each with what all of them end with: another's is another server.
        tenants: Vec<(String, String)>,
    },
}

impl Issuer {
    /// The one called `identifier`, else whoever owns the hosts of `urls`: an endpoint as a provider's file writes it, and with its
    /// holes filled.
    pub(crate) fn new(identifier: Option<&str>, urls: &[(&str, &str)]) -> Self {
        if let Some(identifier) = identifier {
            return Self::Named(identifier.to_owned());
        }
        let tenant = |(template, url): &(&str, &str)| Some((host(url)?, tenants_end(template)?));
        Self::Owner {
            domains: urls.iter().filter_map(|(_, url)| owner(url)).collect(),
            tenants: urls.iter().filter_map(tenant).collect(),
        }
    }

    /// Whether `iss` is it. Google writes its own without the scheme, too ("Validating an ID token").
    pub(crate) fn is(&self, iss: &str) -> bool {
        match self {
            Self::Named(identifier) => identifier == iss,
            Self::Owner { domains, tenants } => {
                let Some(host) = host(iss) else { return false };
                let another = |(own, end): &(String, String)| host.ends_with(end.as_str()) && host != *own;
                owner(iss).is_some_and(|owner| domains.contains(&owner)) && !tenants.iter().any(another)
            }
        }
    }
}

/// What the hosts of all tenants end with, where the host of `template` begins with one: `.acme.example` of `https://{site}.acme.example/`.
fn tenants_end(template: &str) -> Option<String> {
    let host = template.strip_prefix("https://")?.split(['/', '?']).next()?;
    let (_tenant, end) = host.strip_prefix('{')?.split_once('}')?;
    (!end.is_empty()).then(|| end.to_ascii_lowercase())
}

/// The name of the host of `url`, in lower case.
fn host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.contains(['@', '\\']))?.to_ascii_lowercase();
    host.split(':').next().map(str::to_owned)
}

/// The domain that the host of `url` was registered under, in lower case.
fn owner(url: &str) -> Option<String> {
    let name = host(url)?;
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
        let issuer = Issuer::new(
            None,
            &[("", "https://accounts.google.com/o/oauth2/v2/auth"), ("", "https://oauth2.googleapis.com/token")],
        );
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

    #[test]
    fn i6_another_tenant_of_the_same_vendor_is_another_server() {
        let template = "https://{domain}.okta.com/oauth2/v1/authorize";
        let issuer = Issuer::new(None, &[(template, "https://acme.okta.com/oauth2/v1/authorize")]);
        for own in ["https://acme.okta.com", "https://ACME.okta.com/oauth2/default", "https://acme.okta.com:443"] {
            assert!(issuer.is(own), "{own}");
        }
        for other in
            ["https://evil.okta.com", "https://acme.okta.com.evil.example", "https://x.acme.okta.com", "https://okta.example"]
        {
            assert!(!issuer.is(other), "{other}");
        }
        // What is the vendor's own may answer for all of its tenants.
        let template = "https://{account_id}.app.netsuite.com/app/login/oauth2/authorize.nl";
        let issuer = Issuer::new(None, &[(template, "https://123.app.netsuite.com/app/login/oauth2/authorize.nl")]);
        assert!(issuer.is("https://system.netsuite.com") && !issuer.is("https://124.app.netsuite.com"));
    }
}
