//! `HostTerm`: one host, or all below a name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Host;

/// The text is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a host such as `api.example.com`, or `*.example.com` for all below it; no scheme, port or path")]
pub struct HostTermError;

/// `api.example.com`, or `*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostTerm {
    /// This one.
    One(Host),
    /// Every name below this one, however deep, not itself.
    Below(Box<str>),
}

impl TryFrom<String> for HostTerm {
    type Error = HostTermError;
    fn try_from(text: String) -> Result<Self, HostTermError> {
        let host = |text: &str| text.parse::<Host>().map_err(|_no_host| HostTermError);
        match text.strip_prefix("*.") {
            Some(ending) => host(ending)?.name().map(|name| Self::Below(name.into())).ok_or(HostTermError),
            None => host(&text).map(Self::One),
        }
    }
}

impl From<HostTerm> for String {
    fn from(term: HostTerm) -> Self {
        term.to_string()
    }
}

impl FromStr for HostTerm {
    type Err = HostTermError;
    fn from_str(text: &str) -> Result<Self, HostTermError> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for HostTerm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(host) => host.fmt(formatter),
            Self::Below(ending) => write!(formatter, "*.{ending}"),
        }
    }
}

impl HostTerm {
    /// Whether every host that `other` speaks of is one of these.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::One(host)) => self.is(host),
            (Self::One(_), Self::Below(_)) => false,
            (Self::Below(own), Self::Below(ending)) => {
                ending.strip_suffix(&**own).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
        }
    }

    /// Whether `host` is it, or one of them.
    pub fn is(&self, host: &Host) -> bool {
        match self {
            Self::One(own) => own == host,
            Self::Below(ending) => {
                let before = host.name().and_then(|name| name.strip_suffix(&**ending));
                before.is_some_and(|before| before.len() > 1 && before.ends_with('.'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_a_host_or_a_family_of_them() {
        let host = |text: &str| HostTerm::try_from(text.to_owned());
        let at = |name: &str| name.parse::<Host>().expect("a host");
        assert!(host("API.Example.com").is_ok_and(|term| term.is(&at("api.example.com"))));
        let below = host("*.example.com").expect("a family");
        assert!(below.is(&at("a.example.com")) && below.is(&at("a.b.example.com")));
        for other in ["example.com", "aexample.com", "example.com.evil.test", "10.0.0.1"] {
            assert!(!below.is(&at(other)), "{other}");
        }
        let covers = |one: &str, other: &str| host(one).expect("a term").covers(&host(other).expect("a term"));
        assert!(covers("*.a.test", "*.a.test") && covers("*.a.test", "*.b.a.test") && covers("*.a.test", "b.a.test"));
        assert!(!covers("*.a.test", "a.test") && !covers("*.b.a.test", "*.a.test") && !covers("*.a.test", "*.ba.test"));
        assert!(!covers("a.test", "*.a.test") && covers("a.test", "a.test"));
        for bad in ["https://a.test", "a.test:443", "a.test/x", "*", "a.*.test", "*.10.0.0.1", ""] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
