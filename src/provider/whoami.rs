//! `whoami`: harmless requests that tell whether a credential lives, and whose it is.

use std::fmt;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::pattern::HostPattern;
use super::rule::{InjectRule, Provider};
use super::strategy::{self, Fields, Placement};
use super::template::Template;

/// What a path or a query carries as it is (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Ids and e-mail addresses are shorter.
const MAX_FIELD: usize = 128;

/// `GET https://{site}.atlassian.net/rest/api/3/myself`: reads, changes nothing, costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhoAmI {
    /// GET, HEAD, or POST where the service knows nothing else.
    pub method: Method,
    /// One of the provider's hosts, tenants unbound.
    pub host: HostPattern,
    /// The port of the rule that takes it.
    pub port: u16,
    /// Path and query, with `{field}`s that are no secret.
    pub path: Template,
    /// What a POST says; without it a POST has an empty body.
    pub body: Option<FixedBody>,
}

/// What a POST says, for every connection the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FixedBody {
    /// `json = '{"query":"{ viewer { id } }"}'`.
    Json(String),
    /// `form = "output=json"`.
    Form(String),
}

impl FixedBody {
    /// Its `Content-Type`.
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Form(_) => "application/x-www-form-urlencoded",
        }
    }

    /// Its octets.
    pub fn text(&self) -> &str {
        match self {
            Self::Json(text) | Self::Form(text) => text,
        }
    }
}

impl WhoAmI {
    /// Its URL, with fields in braces.
    pub fn url(&self) -> String {
        self.at(&self.host, &self.path)
    }

    /// Its URL for a connection with these fields; `None` where they lack one, or one has no place in a URL.
    pub fn bound_url(&self, fields: Fields<'_>) -> Option<String> {
        let host = self.host.bind(fields).ok()??;
        Some(self.at(&host, &self.path.fill(&|name| escaped(strategy::said(fields, name)?))?))
    }

    /// Its path where every field is `x`, without the query.
    pub(super) fn sample_path(&self) -> String {
        let mut sample = self.path.fill(&|_field| Some("x".to_owned())).unwrap_or_default();
        sample.truncate(sample.find('?').unwrap_or(sample.len()));
        sample
    }

    /// Whether `rule` speaks of it.
    pub(super) fn is_for(&self, rule: &InjectRule) -> bool {
        rule.port == self.port && rule.hosts.contains(&self.host) && rule.path_specificity(&self.sample_path()).is_some()
    }

    fn at(&self, host: &dyn fmt::Display, path: &dyn fmt::Display) -> String {
        let Self { port, .. } = self;
        if *port == 443 { format!("https://{host}{path}") } else { format!("https://{host}:{port}{path}") }
    }
}

/// `value` within a path or a query; `None` where a service could read more than one segment in it.
fn escaped(value: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~@+".contains(&b);
    let fits = (1..=MAX_FIELD).contains(&value.len()) && value.bytes().all(plain) && !matches!(value, "." | "..");
    fits.then(|| utf8_percent_encode(value, ESCAPED).to_string())
}

/// As a person would say it.
impl fmt::Display for WhoAmI {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.url())?;
        self.body.iter().try_for_each(|body| write!(formatter, " with {}", body.text()))
    }
}

impl Provider {
    /// Those of its `whoami` that a connection with these fields can send, in the file's order: where a credential is good in one region, or
    /// there are several kinds, it lives if one of them succeeds.
    pub fn whoami_of<'a>(&'a self, fields: Fields<'a>) -> impl Iterator<Item = &'a WhoAmI> {
        let own = self.is_for_own_server(fields);
        let renews = self.renewal(fields).is_some();
        self.whoami.iter().filter(move |one| {
            let mut rules = self.inject.iter().filter(|rule| one.is_for(rule));
            let carried = rules.any(|rule| rule.accepts(fields) || (renews && places_a_token(rule)));
            carried && (!own || one.host.is_own()) && one.bound_url(fields).is_some()
        })
    }
}

/// Whether a token that is still to be fetched goes on by this rule.
fn places_a_token(rule: &InjectRule) -> bool {
    let mut templates = rule.placements.iter().flat_map(Placement::templates);
    templates.any(|template| template.fields().any(|name| name == "access_token"))
}

#[cfg(test)]
#[path = "whoami_tests.rs"]
mod tests;
