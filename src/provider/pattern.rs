//! Patterns of hosts: exact names, and names with one tenant label.

use std::fmt;
use std::str::FromStr;

use psl::Psl as _;

use super::below::Below;
use super::strategy::{self, Fields};
use crate::model::{Host, HostError, is_field_name};

/// Names below which customers choose one label each and the vendor answers for all of them, although lists of public suffixes name them:
/// nobody but the vendor sees what is sent there.
const ANSWERED_BY_THE_VENDOR: [&str; 6] = [
    "blob.core.windows.net",
    "file.core.windows.net",
    "myshopify.com",
    "queue.core.windows.net",
    "supabase.co",
    "table.core.windows.net",
];

/// One entry of `hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `api.github.com`.
    Exact(Host),
    /// `{site}.atlassian.net`: exactly one label, chosen by the customer and bound at registration.
    Tenant {
        /// Text before the tenant, often empty.
        before: String,
        /// The field that names the tenant.
        field: String,
        /// Text after the tenant, beginning within its label or with a dot.
        after: String,
    },
    /// `{host}`: a service that customers run themselves, at a name of their own that is bound at registration.
    Own {
        /// The field that names the host.
        field: String,
    },
    /// `*.amazonaws.com`, `*.s3.*.amazonaws.com`: any name below, for credentials that never go on a request and sign for one host.
    Below(Below),
}

/// Why a pattern in a provider file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not a host name at all.
    #[error("{0}; write the name alone, without https://, port or path")]
    Host(#[from] HostError),
    /// `*.example.com`.
    #[error(
        "a host cannot hold * here; name each host, or write {{field}} for the one label that the customer chooses (*.example.com is for \
         credentials that sign for one host)"
    )]
    Wildcard,
    /// A certificate names names; an address has no owner that we could check.
    #[error("a credential goes to a name, never to an address")]
    Address,
    /// Names that Nexus itself answers.
    #[error("this host is served by nexus itself")]
    Ours,
    /// More than one, or unbalanced braces.
    #[error("a host can hold one {{field}}, written in lower-case letters, digits and _")]
    Braces,
    /// `{x}.com`, `{x}.co.uk`, `{x}.github.io`: strangers can register names there.
    #[error("anyone can register a name under {0}: what follows {{field}} must belong to one owner")]
    PublicSuffix(String),
    /// Path patterns.
    #[error("a path begins with /")]
    NoSlash,
    /// Path patterns.
    #[error("a path pattern is plain: letters, digits and -._~!$&'()+,:=@, without escapes, spaces, ; ? # or braces")]
    PathCharacter,
    /// `/**/x`.
    #[error("** can only be the last segment")]
    RestNotLast,
    /// `/*a`.
    #[error("* stands for a whole segment or for the end of one, as in bot*")]
    PartOfSegment,
    /// `/a/../b`.
    #[error("a path pattern holds no . or .. segments")]
    Dots,
    /// `/a//b`.
    #[error("a path pattern holds no empty segments")]
    EmptySegment,
}

/// Why a tenant cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Anything but letters, digits and inner hyphens. The value is not shown: it may be a secret in the wrong field.
    #[error(
        "{field} is not one label of a host name (letters, digits, inner hyphens); of https://acme{after} it would be `acme`"
    )]
    NotALabel {
        /// The field.
        field: String,
        /// What follows it in the host name.
        after: String,
    },
    /// An address, or a name that Nexus itself answers.
    #[error("{field} is not the name of a host: write it alone, as in ci.example.com, without https://, port or path")]
    NotAName {
        /// The field.
        field: String,
    },
    /// Name too long, or not one that IDNA allows.
    #[error("{field} does not make a valid host name")]
    NotAHost {
        /// The field.
        field: String,
        /// What the host parser says.
        #[source]
        cause: HostError,
    },
}

impl HostPattern {
    /// Whether `host` is this host, or could be one of its tenants.
    pub fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Exact(own) => own == host,
            Self::Tenant { .. } => self.tenant_of(host).is_some(),
            Self::Below(below) => host.name().is_some_and(|name| below.matches(name)),
            // Only a connection knows.
            Self::Own { .. } => false,
        }
    }

    /// The tenant that `host` names, if it could be one of its tenants'.
    pub(super) fn tenant_of<'h>(&self, host: &'h Host) -> Option<&'h str> {
        let Self::Tenant { before, after, .. } = self else { return None };
        let tenant = host.name()?.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
        (!tenant.is_empty() && !tenant.contains('.')).then_some(tenant)
    }

    /// Where patterns of several providers match one host, the greatest wins.
    pub fn specificity(&self) -> usize {
        match self {
            Self::Exact(_) => usize::MAX,
            Self::Tenant { .. } | Self::Own { .. } => usize::MAX - 1,
            Self::Below(below) => below.spelled(),
        }
    }

    /// Whether a host that was sealed as `text` is `host`.
    pub(super) fn sealed_as(text: &str, host: &Host) -> bool {
        // Sealed as it is written in full, so the same text is the same host; another text may be another spelling of it.
        let below = |name: &str| text.starts_with('*') && text.parse::<Below>().is_ok_and(|below| below.matches(name));
        host.name().is_some_and(|name| name == text || below(name)) || text.parse().is_ok_and(|sealed: Host| sealed == *host)
    }

    /// The host that this pattern means for one connection; `None` where the connection names no tenant, and where it means many.
    ///
    /// # Errors
    /// A tenant that is not a single DNS label.
    pub fn bind(&self, fields: Fields<'_>) -> Result<Option<Host>, BindError> {
        let (before, field, after) = match self {
            Self::Exact(host) => return Ok(Some(host.clone())),
            Self::Below(_) => return Ok(None),
            Self::Own { field } => return own_host(fields, field),
            Self::Tenant { before, field, after } => (before, field, after),
        };
        let Some(label) = strategy::label(fields, field) else { return Ok(None) };
        let label = label.ok_or_else(|| BindError::NotALabel { field: field.clone(), after: after.clone() })?;
        let host: Host =
            format!("{before}{label}{after}").parse().map_err(|cause| BindError::NotAHost { field: field.clone(), cause })?;
        Ok(Some(host))
    }

    /// Whether it stands for a server that its user runs.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own { .. })
    }

    /// The field that names the tenant, if there is one.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Exact(_) | Self::Below(_) => None,
            Self::Tenant { field, .. } | Self::Own { field } => Some(field),
        }
    }

    /// Whether some host matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            // Whose name it is, is known at registration.
            (Self::Own { .. }, _) | (_, Self::Own { .. }) => return false,
            // Between one of these and a pattern of another kind, the more specific decides.
            (Self::Below(_), _) | (_, Self::Below(_)) => return self == other,
            (Self::Exact(one), Self::Exact(two)) => return one == two,
            (Self::Exact(host), tenant) | (tenant, Self::Exact(host)) => return tenant.tenant_of(host).is_some(),
            _ => {}
        }
        let (one, two) = (self.to_string(), other.to_string());
        let fits = |(one, two): (&str, &str)| match (tenant_label(one), tenant_label(two)) {
            (None, None) => one == two,
            (None, Some((before, after))) => {
                one.len() > before.len() + after.len() && one.starts_with(before) && one.ends_with(after)
            }
            (Some((before, after)), None) => {
                two.len() > before.len() + after.len() && two.starts_with(before) && two.ends_with(after)
            }
            (Some((b1, a1)), Some((b2, a2))) => {
                (b1.starts_with(b2) || b2.starts_with(b1)) && (a1.ends_with(a2) || a2.ends_with(a1))
            }
        };
        one.split('.').count() == two.split('.').count() && one.split('.').zip(two.split('.')).all(fits)
    }
}

/// The host that a field spells out in full.
fn own_host(fields: Fields<'_>, field: &str) -> Result<Option<Host>, BindError> {
    let Some(text) = fields(field).map(|value| value.expose()).filter(|text| !text.is_empty()) else { return Ok(None) };
    let not_a_host = |cause| BindError::NotAHost { field: field.to_owned(), cause };
    match text.parse::<HostPattern>() {
        Ok(HostPattern::Exact(host)) => Ok(Some(host)),
        Ok(_) | Err(PatternError::Braces | PatternError::Wildcard | PatternError::PublicSuffix(_)) => {
            Err(BindError::NotAName { field: field.to_owned() })
        }
        Err(PatternError::Host(cause)) => Err(not_a_host(cause)),
        Err(_) => Err(BindError::NotAName { field: field.to_owned() }),
    }
}

/// `a-{x}-b` -> (`a-`, `-b`).
fn tenant_label(label: &str) -> Option<(&str, &str)> {
    let (before, rest) = label.split_once('{')?;
    rest.split_once('}').map(|(_field, after)| (before, after))
}

impl FromStr for HostPattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.contains('*') {
            return text.parse().map(Self::Below);
        }
        if text.contains(['{', '}']) {
            return parse_tenant(text);
        }
        match text.parse()? {
            Host::Ip(_) => Err(PatternError::Address),
            Host::Name(name) if &*name == "nexus.internal" || name.ends_with(".nexus.internal") => Err(PatternError::Ours),
            host @ Host::Name(_) => Ok(Self::Exact(host)),
        }
    }
}

fn parse_tenant(text: &str) -> Result<HostPattern, PatternError> {
    let (before, rest) = text.split_once('{').ok_or(PatternError::Braces)?;
    let (field, after) = rest.split_once('}').ok_or(PatternError::Braces)?;
    if before.is_empty() && after.is_empty() && is_field_name(field) {
        return Ok(HostPattern::Own { field: field.to_owned() });
    }
    if !is_field_name(field) || before.contains('}') || after.contains(['{', '}']) {
        return Err(PatternError::Braces);
    }
    // Any tenant stands for the others: the rest of the name must be well formed around it.
    let Host::Name(whole) = format!("{before}x{after}").parse()? else { return Err(PatternError::Address) };
    let (before, after) = (before.to_ascii_lowercase(), after.to_ascii_lowercase());
    let after = after.strip_suffix('.').unwrap_or(&after);
    let owner = after.split_once('.').map_or("", |(_label, owner)| owner);
    if owner.is_empty() || (psl::List.domain(owner.as_bytes()).is_none() && !ANSWERED_BY_THE_VENDOR.contains(&owner)) {
        let suffix = if owner.is_empty() { whole.into_string() } else { owner.to_owned() };
        return Err(PatternError::PublicSuffix(suffix));
    }
    Ok(HostPattern::Tenant { before, field: field.to_owned(), after: after.to_owned() })
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(formatter),
            Self::Tenant { before, field, after } => write!(formatter, "{before}{{{field}}}{after}"),
            Self::Below(below) => below.fmt(formatter),
            Self::Own { field } => write!(formatter, "{{{field}}}"),
        }
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
