//! How a credential goes on a request: the one place where a secret becomes a header, a parameter or a cookie.

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::body::{BodyError, Pointer};
use super::rule::{Field, Provider, Slot};
use super::signer::Signer;
use super::template::Template;
use crate::model::{Credential, Secret};

/// The fields of one connection, by name.
pub type Fields<'a> = &'a dyn Fn(&str) -> Option<&'a Secret<String>>;

/// A derived value is a short word such as `us21`; more would be a piece of the secret it comes from.
const MAX_DERIVED: usize = 16;

/// One way to place a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// `Authorization: Bearer VALUE` (RFC 6750 §2.1).
    Bearer(Template),
    /// `Authorization: Basic base64(USERNAME:PASSWORD)` in UTF-8 (RFC 7617 §2); either half may be empty.
    Basic {
        /// Before the colon.
        username: Template,
        /// After it.
        password: Template,
    },
    /// `NAME: VALUE`.
    Header {
        /// The header field.
        name: HeaderName,
        /// All of its value.
        value: Template,
    },
    /// `?NAME=VALUE`, percent-encoded. Query parameters get into logs: for services that know no header.
    Query {
        /// The parameter.
        name: String,
        /// Its value before encoding.
        value: Template,
    },
    /// `Cookie: NAME=VALUE`.
    Cookie {
        /// The cookie.
        name: String,
        /// Its value.
        value: Template,
    },
    /// A whole segment of the path, percent-encoded: Telegram's `/botTOKEN/getMe`.
    Path {
        /// Counted from 1.
        segment: u8,
        /// All of the segment before encoding.
        value: Template,
    },
    /// A string in a JSON body, which must be there.
    Json {
        /// The member.
        place: Pointer,
        /// Its value.
        value: Template,
    },
    /// A field of a form in the body.
    Form {
        /// The field.
        name: String,
        /// Its value before encoding.
        value: Template,
    },
    /// A signature over the request.
    Sign(Signer),
}

/// Why a credential cannot go on a request. Names the field, never its value.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// CR, LF, NUL and their kind would end the header (RFC 9110 §5.5).
    #[error("{field} holds a line end or another control character; register it again without it")]
    Control {
        /// The field.
        field: String,
    },
    /// A header or cookie takes visible ASCII.
    #[error("{field} holds a character that {place} cannot carry; register it again as the service shows it")]
    Character {
        /// The field.
        field: String,
        /// The header, parameter or cookie.
        place: String,
    },
    /// RFC 7617 §2: the first colon ends the user name.
    #[error("the user name holds a colon, which basic authentication cannot carry")]
    Colon,
    /// Too short a path, or one that services read in several ways.
    #[error("the path has no segment that the credential could take the place of")]
    Segment,
    /// The request can't be signed.
    #[error("{0}")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A body that takes no credential.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The request target with the credential is no valid one, or too long.
    #[error("the request target has no room for the credential")]
    Target(#[source] http::Error),
}

impl InjectError {
    pub(super) fn sign(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Sign(Box::new(cause))
    }
}

/// Whether the connection has the field, and something in it.
pub(super) fn present(fields: Fields<'_>, name: &str) -> bool {
    fields(name).is_some_and(|value| !value.expose().is_empty())
}

/// The field as one lower-case DNS label (RFC 1123 §2.1); `None` when it is missing, `Some(None)` when it is no label.
pub(super) fn label(fields: Fields<'_>, name: &str) -> Option<Option<String>> {
    let text = fields(name)?.expose();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let valid = text.len() <= 63 && !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(plain);
    if text.is_empty() { None } else { Some(valid.then(|| text.to_ascii_lowercase())) }
}

/// The text of a field that is no secret by what it is.
pub(super) fn said<'a>(fields: Fields<'a>, name: &str) -> Option<&'a str> {
    fields(name).map(|value| value.expose().as_str())
}

/// The field as anybody may read it: a label of one of `hosts`, which are those that the connection was sealed for. A file may call
/// something no secret today that was one at registration; a label of these hosts never was one.
pub(super) fn open_label(fields: Fields<'_>, hosts: &[String], name: &str) -> Option<String> {
    let label = label(fields, name).flatten()?;
    let shows = |host: &String| host.split(['.', ':']).any(|part| part == label);
    hosts.iter().any(shows).then_some(label)
}

impl Provider {
    /// Fills in the fields that nobody gave and that can be read off another one.
    pub fn derive_fields(&self, credential: &mut Credential) {
        for Field { name, derived, .. } in &self.fields {
            let Some(derived) = derived else { continue };
            if credential.field(name).is_some() {
                continue;
            }
            let tail = credential.field(&derived.from).and_then(|from| from.expose().rsplit_once(derived.after_last.as_str()));
            if let Some((_before, tail)) = tail.filter(|(_before, tail)| (1..=MAX_DERIVED).contains(&tail.len())) {
                let value = Secret::new(tail.to_owned());
                credential.set(name, value);
            }
        }
    }
}

/// As a person would write it, with the names of fields and never their values.
impl std::fmt::Display for Placement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bearer(value) => write!(formatter, "Authorization: Bearer {value}"),
            Self::Basic { username, password } => write!(formatter, "Authorization: Basic {username}:{password}"),
            Self::Header { name, value } => write!(formatter, "{name}: {value}"),
            Self::Query { name, value } => write!(formatter, "?{name}={value}"),
            Self::Cookie { name, value } => write!(formatter, "Cookie: {name}={value}"),
            Self::Path { segment, value } => write!(formatter, "path segment {segment}: {value}"),
            Self::Json { place, value } => write!(formatter, "JSON body {place}: {value}"),
            Self::Form { name, value } => write!(formatter, "form body {name}={value}"),
            Self::Sign(signer) => signer.fmt(formatter),
        }
    }
}

impl Placement {
    /// The word of its strategy in a provider file.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::Query { .. } => "query",
            Self::Cookie { .. } => "cookie",
            Self::Path { .. } => "path",
            Self::Json { .. } => "json",
            Self::Form { .. } => "form",
            Self::Sign(signer) => signer.word(),
        }
    }

    /// The slots it writes to.
    pub fn slots(&self) -> Vec<Slot> {
        match self {
            Self::Bearer(_) | Self::Basic { .. } => vec![Slot::Header(AUTHORIZATION)],
            Self::Header { name, .. } => vec![Slot::Header(name.clone())],
            Self::Query { name, .. } => vec![Slot::Query(name.clone())],
            Self::Cookie { name, .. } => vec![Slot::Cookie(name.clone())],
            Self::Path { segment, .. } => vec![Slot::Path(*segment)],
            Self::Json { place, .. } => vec![Slot::Json(place.clone())],
            Self::Form { name, .. } => vec![Slot::Form(name.clone())],
            Self::Sign(signer) => signer.slots(),
        }
    }

    /// Its templates, in the order of its text.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let (first, second, signer) = match self {
            Self::Bearer(value)
            | Self::Header { value, .. }
            | Self::Query { value, .. }
            | Self::Cookie { value, .. }
            | Self::Path { value, .. }
            | Self::Json { value, .. }
            | Self::Form { value, .. } => (Some(value), None, None),
            Self::Basic { username, password } => (Some(username), Some(password), None),
            Self::Sign(signer) => (None, None, Some(signer)),
        };
        first.into_iter().chain(second).chain(signer.into_iter().flat_map(Signer::templates))
    }

    pub(super) fn is_filled_by(&self, has: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Sign(signer) => signer.is_filled_by(has),
            _ => self.templates().all(|template| template.is_filled_by(has)),
        }
    }
}

#[cfg(test)]
#[path = "strategy_tests.rs"]
mod tests;
