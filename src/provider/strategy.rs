//! How a credential goes on a request: the one place where a secret becomes a header, a parameter or a cookie.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::rule::{Field, Provider, Slot};
use super::slot::{strip_cookie, with_query, without_parameter};
use super::template::{Piece, Template};
use crate::model::{Credential, Secret};

/// The fields of one connection, by name.
pub type Fields<'a> = &'a dyn Fn(&str) -> Option<&'a Secret<String>>;

/// All but the unreserved letters (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
    /// The request target with the credential is no valid one, or too long.
    #[error("the request target has no room for the credential")]
    Target(#[source] http::Error),
}

/// A credential made ready for the wire, once per credential and rule.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Set after stripping; values are marked sensitive and wiped when the last copy goes.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Query parameters to set, percent-encoded.
    pub query: Vec<(String, Secret<String>)>,
    /// Cookies to set.
    pub cookies: Vec<(String, Secret<String>)>,
    secrets: Vec<Secret<String>>,
}

/// Makes a credential ready; `None` when it lacks a field that one of the placements needs.
///
/// # Errors
/// A field that is there, but cannot go on the wire.
pub fn prepare(placements: &[Placement], fields: Fields<'_>) -> Result<Option<Prepared>, InjectError> {
    let mut prepared = Prepared::default();
    for placement in placements {
        if !prepared.add(placement, fields)? {
            return Ok(None);
        }
    }
    Ok(Some(prepared))
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
        }
    }

    /// The slot it writes to.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Bearer(_) | Self::Basic { .. } => Slot::Header(AUTHORIZATION),
            Self::Header { name, .. } => Slot::Header(name.clone()),
            Self::Query { name, .. } => Slot::Query(name.clone()),
            Self::Cookie { name, .. } => Slot::Cookie(name.clone()),
        }
    }

    /// Its templates, in the order of its text.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let (first, second) = match self {
            Self::Bearer(value) | Self::Header { value, .. } | Self::Query { value, .. } | Self::Cookie { value, .. } => {
                (value, None)
            }
            Self::Basic { username, password } => (username, Some(password)),
        };
        std::iter::once(first).chain(second)
    }

    pub(super) fn is_filled_by(&self, has: &dyn Fn(&str) -> bool) -> bool {
        self.templates().all(|template| template.is_filled_by(has))
    }
}

/// A filled template; it remembers which field gave each part, to blame it by name.
struct Filled {
    text: Zeroizing<String>,
    fields: Vec<String>,
}

impl Filled {
    fn check(&self, place: &str, allowed: impl Fn(u8) -> bool) -> Result<(), InjectError> {
        let edges = self.text.trim_ascii().len() == self.text.len();
        if edges && self.text.bytes().all(allowed) {
            return Ok(());
        }
        Err(InjectError::Character { field: self.fields.join(" or "), place: place.to_owned() })
    }
}

fn visible(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

/// RFC 6265 §4.1.1 `cookie-octet`.
fn cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

impl Prepared {
    /// The secret values that are on the wire now, as the response guard must know them: raw fields, the Basic blob, and a
    /// query value as it is encoded.
    pub fn secrets(&self) -> &[Secret<String>] {
        &self.secrets
    }

    /// Puts the credential on a request whose slots were stripped: headers replace, parameters and cookies too.
    ///
    /// # Errors
    /// A target that grows beyond what `http` takes (64 KiB).
    pub fn apply(&self, headers: &mut HeaderMap, target: &mut PathAndQuery) -> Result<(), InjectError> {
        *target = self.target(target)?;
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.cookies {
            strip_cookie(name, headers);
            let earlier = headers.get(COOKIE).map(|earlier| earlier.as_bytes().to_vec());
            let mut field = Zeroizing::new(earlier.filter(|earlier| !earlier.is_empty()).unwrap_or_default());
            if !field.is_empty() {
                field.extend_from_slice(b"; ");
            }
            field.extend_from_slice(format!("{name}=").as_bytes());
            field.extend_from_slice(value.expose().as_bytes());
            append_cookies(headers, field)?;
        }
        Ok(())
    }

    /// The fields that [`apply`](Self::apply) makes of `base` with `required` added where they are absent, without a copy of the map;
    /// `None` where cookies are to be joined.
    pub fn overlay<'a>(
        &'a self,
        base: &'a HeaderMap,
        required: &'a [(HeaderName, HeaderValue)],
    ) -> Option<impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>> {
        let replaced = |name: &HeaderName| self.headers.iter().any(|(own, _)| own == name);
        let kept = base.iter().filter(move |(name, _)| !replaced(name));
        let added = required.iter().filter(move |(name, _)| !base.contains_key(name) && !replaced(name));
        let fields = |(name, value): &'a (HeaderName, HeaderValue)| (name, value);
        self.cookies.is_empty().then(|| kept.chain(added.map(fields)).chain(self.headers.iter().map(fields)))
    }

    /// The target that [`apply`](Self::apply) makes.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn target(&self, target: &PathAndQuery) -> Result<PathAndQuery, InjectError> {
        if self.query.is_empty() { Ok(target.clone()) } else { self.target_of(target) }
    }

    fn target_of(&self, target: &PathAndQuery) -> Result<PathAndQuery, InjectError> {
        let mut query = Zeroizing::new(target.query().unwrap_or_default().to_owned());
        for (name, value) in &self.query {
            if let Some(rest) = without_parameter(&query, name) {
                query = Zeroizing::new(rest);
            }
            if !query.is_empty() {
                query.push('&');
            }
            query.extend([name.as_str(), "=", value.expose()]);
        }
        with_query(target.path(), &query).map_err(InjectError::Target)
    }

    fn add(&mut self, placement: &Placement, fields: Fields<'_>) -> Result<bool, InjectError> {
        match placement {
            Placement::Bearer(value) => self.add_header(&AUTHORIZATION, "Bearer ", value, fields),
            Placement::Basic { username, password } => self.add_basic(username, password, fields),
            Placement::Header { name, value } => self.add_header(name, "", value, fields),
            Placement::Query { name, value } => {
                let Some(filled) = self.fill(value, fields, true)? else { return Ok(false) };
                let encoded = Secret::new(utf8_percent_encode(&filled.text, ESCAPED).to_string());
                if *encoded.expose() != *filled.text {
                    // A service may encode the whole URL once more.
                    self.secrets.push(encoded.duplicate());
                }
                self.query.push((name.clone(), encoded));
                Ok(true)
            }
            Placement::Cookie { name, value } => {
                let Some(mut filled) = self.fill(value, fields, true)? else { return Ok(false) };
                filled.check(&format!("the cookie {name}"), cookie_octet)?;
                self.cookies.push((name.clone(), Secret::new(std::mem::take(&mut *filled.text))));
                Ok(true)
            }
        }
    }

    fn add_header(&mut self, name: &HeaderName, word: &str, value: &Template, fields: Fields<'_>) -> Result<bool, InjectError> {
        let Some(filled) = self.fill(value, fields, true)? else { return Ok(false) };
        filled.check(&format!("the header {name}"), visible)?;
        let text = Zeroizing::new([word, &filled.text].concat().into_bytes());
        let value = sensitive(text).map_err(|_invalid| InjectError::Character {
            field: filled.fields.join(" or "),
            place: format!("the header {name}"),
        })?;
        self.headers.push((name.clone(), value));
        Ok(true)
    }

    fn add_basic(&mut self, username: &Template, password: &Template, fields: Fields<'_>) -> Result<bool, InjectError> {
        // A user name beside a password is known to many and may stand in honest answers, so it is not guarded.
        let alone = password.fields().next().is_none();
        let Some(user) = self.fill(username, fields, alone)? else { return Ok(false) };
        let Some(pass) = self.fill(password, fields, true)? else { return Ok(false) };
        if user.text.contains(':') {
            return Err(InjectError::Colon);
        }
        let pair = Zeroizing::new([user.text.as_str(), ":", pass.text.as_str()].concat());
        let blob = Secret::new(STANDARD.encode(pair.as_bytes()));
        let text = Zeroizing::new(["Basic ", blob.expose()].concat().into_bytes());
        let value = sensitive(text).map_err(|_invalid| InjectError::Control { field: "password".to_owned() })?;
        self.headers.push((AUTHORIZATION, value));
        self.secrets.push(blob);
        Ok(true)
    }

    /// Fills the holes and notes the secrets that went in; `None` when the connection has nothing for a hole.
    fn fill(&mut self, template: &Template, fields: Fields<'_>, guarded: bool) -> Result<Option<Filled>, InjectError> {
        let mut filled = Filled { text: Zeroizing::new(String::new()), fields: Vec::new() };
        for piece in &template.0 {
            let names = match piece {
                Piece::Text(text) => {
                    filled.text = Zeroizing::new([filled.text.as_str(), text].concat());
                    continue;
                }
                Piece::Field(names) => names,
            };
            let Some(name) = names.iter().find(|name| present(fields, name)) else { return Ok(None) };
            let Some(value) = fields(name) else { return Ok(None) };
            if value.expose().chars().any(char::is_control) {
                return Err(InjectError::Control { field: name.to_string() });
            }
            filled.text = Zeroizing::new([filled.text.as_str(), value.expose()].concat());
            filled.fields.push(name.to_string());
            if guarded {
                self.secrets.push(value.duplicate());
            }
        }
        Ok(Some(filled))
    }
}

/// A header value that prints as `Sensitive` and whose bytes are wiped when the last copy is dropped.
fn sensitive(text: Zeroizing<Vec<u8>>) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))?;
    value.set_sensitive(true);
    Ok(value)
}

/// One `Cookie` field instead of the first one (RFC 6265 §5.4 wants one); later ones, as h2 allows, stay.
fn append_cookies(headers: &mut HeaderMap, field: Zeroizing<Vec<u8>>) -> Result<(), InjectError> {
    let value = sensitive(field).map_err(|invalid| InjectError::Target(invalid.into()))?;
    let later: Vec<HeaderValue> = headers.get_all(COOKIE).iter().skip(1).cloned().collect();
    headers.insert(COOKIE, value);
    for value in later {
        headers.append(COOKIE, value);
    }
    Ok(())
}

#[cfg(test)]
#[path = "strategy_tests.rs"]
mod tests;
