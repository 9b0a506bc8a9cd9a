//! `Prepared`: a credential made ready for the wire, and how it goes on a request.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::body::put_in;
use super::rule::Slot;
use super::signer::{Plan, Ready, Rechunk, Signing};
use super::slot::{strip_cookie, with_query, without_parameter};
use super::strategy::{Fields, InjectError, Placement, present};
use super::template::{Piece, Template};
use crate::guard::Needles;
use crate::model::{Secret, Target};
use crate::sign::Signed;

/// All but the unreserved letters (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a segment of a path takes besides (RFC 3986 §3.3 `pchar`): Telegram's tokens hold a colon.
const SEGMENT: &AsciiSet = &ESCAPED.remove(b':').remove(b'@').remove(b'=').remove(b'+').remove(b'$').remove(b'!').remove(b',');

/// `text` with everything escaped but the unreserved letters.
pub(super) fn escaped(text: &str) -> Zeroizing<String> {
    Zeroizing::new(utf8_percent_encode(text, ESCAPED).to_string())
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
    /// Segments of the path to replace, counted from 1, percent-encoded.
    pub segments: Vec<(u8, Secret<String>)>,
    /// Places in the body to fill, with the plain value.
    pub body: Vec<(Slot, Secret<String>)>,
    /// What signs the request when all else is on it.
    signing: Option<Signing>,
    secrets: Vec<Secret<String>>,
    needles: OnceLock<Arc<Needles>>,
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

/// A filled template; it remembers which field gave each part, to blame it by name.
struct Filled {
    text: Zeroizing<String>,
    fields: Vec<String>,
}

impl Filled {
    fn into_secret(mut self) -> Secret<String> {
        Secret::new(std::mem::take(&mut *self.text))
    }

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

    /// The same, compiled, to be searched for in what comes back.
    pub(crate) fn needles(&self) -> &Arc<Needles> {
        self.needles.get_or_init(|| Arc::new(Needles::new(&self.secrets)))
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
        if self.query.is_empty() && self.segments.is_empty() { Ok(target.clone()) } else { self.target_of(target) }
    }

    /// What the caller's own signature says, before the slots are emptied; nothing where none is wanted.
    ///
    /// # Errors
    /// [`InjectError::Sign`] for one that can't be made anew.
    pub(crate) fn plan(&self, headers: &HeaderMap, target: &Target) -> Result<Plan, InjectError> {
        let Some(signing) = &self.signing else { return Ok(Plan::default()) };
        signing.plan(headers, &target.path, &target.authority.as_written(target.scheme))
    }

    /// Whether the whole body of a request with these fields must be at hand.
    pub(crate) fn needs_body(&self, headers: &HeaderMap, plan: &Plan) -> bool {
        !self.body.is_empty() || self.signing.as_ref().is_some_and(|signing| signing.needs_body(headers, plan))
    }

    /// Whether fields that are the same for every request don't hold all of it.
    pub(crate) fn depends_on_the_request(&self) -> bool {
        !self.body.is_empty() || self.signing.is_some()
    }

    /// Signs what is ready otherwise, where a signature is wanted.
    ///
    /// # Errors
    /// [`InjectError::Sign`].
    pub(crate) fn sign(&self, ready: &Ready<'_>, plan: &Plan) -> Result<(Signed, Option<Rechunk>), InjectError> {
        self.signing.as_ref().map_or_else(|| Ok((Signed::default(), None)), |signing| signing.sign(ready, plan))
    }

    /// Takes the challenge of a 401; `true` where the same request should be sent once more with an answer to it.
    pub(crate) fn challenged(&self, headers: &HeaderMap, answered: bool) -> bool {
        self.signing.as_ref().is_some_and(|signing| signing.challenged(headers, answered))
    }

    /// `body`, sent under `headers`, with the credential in it; `None` where none goes there.
    ///
    /// # Errors
    /// [`InjectError::Body`].
    pub fn body(&self, headers: &HeaderMap, body: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, InjectError> {
        let mut filled: Option<Zeroizing<Vec<u8>>> = None;
        for (slot, value) in &self.body {
            let before = filled.as_ref().map_or(body, |filled| filled);
            filled = Some(put_in(slot, value.expose(), headers, before)?);
        }
        Ok(filled)
    }

    /// `path` with its secret segments in place.
    fn path_of(&self, path: &str) -> Result<Zeroizing<String>, InjectError> {
        let mut segments: Vec<&str> = path.split('/').collect();
        for (number, value) in &self.segments {
            *segments.get_mut(usize::from(*number)).ok_or(InjectError::Segment)? = value.expose();
        }
        Ok(Zeroizing::new(segments.join("/")))
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
        with_query(&self.path_of(target.path())?, &query).map_err(InjectError::Target)
    }

    fn add(&mut self, placement: &Placement, fields: Fields<'_>) -> Result<bool, InjectError> {
        match placement {
            Placement::Bearer(value) => self.add_header(&AUTHORIZATION, "Bearer ", value, fields),
            Placement::Basic { username, password } => self.add_basic(username, password, fields),
            Placement::Header { name, value } => self.add_header(name, "", value, fields),
            Placement::Query { name, value } => {
                let Some(encoded) = self.encoded(value, ESCAPED, fields)? else { return Ok(false) };
                self.query.push((name.clone(), encoded));
                Ok(true)
            }
            Placement::Path { segment, value } => {
                let Some(encoded) = self.encoded(value, SEGMENT, fields)? else { return Ok(false) };
                self.segments.push((*segment, encoded));
                Ok(true)
            }
            Placement::Json { place, value } => self.add_body(Slot::Json(place.clone()), value, fields),
            Placement::Form { name, value } => self.add_body(Slot::Form(name.clone()), value, fields),
            Placement::Sign(signer) => {
                let fill = |template: &Template, guarded| Ok(self.fill(template, fields, guarded)?.map(Filled::into_secret));
                self.signing = signer.ready(fields, fill)?;
                Ok(self.signing.is_some())
            }
            Placement::Cookie { name, value } => {
                let Some(filled) = self.fill(value, fields, true)? else { return Ok(false) };
                filled.check(&format!("the cookie {name}"), cookie_octet)?;
                self.cookies.push((name.clone(), filled.into_secret()));
                Ok(true)
            }
        }
    }

    fn add_body(&mut self, slot: Slot, value: &Template, fields: Fields<'_>) -> Result<bool, InjectError> {
        let Some(filled) = self.fill(value, fields, true)? else { return Ok(false) };
        self.body.push((slot, filled.into_secret()));
        Ok(true)
    }

    /// A value as a URL holds it.
    fn encoded(
        &mut self,
        value: &Template,
        set: &'static AsciiSet,
        fields: Fields<'_>,
    ) -> Result<Option<Secret<String>>, InjectError> {
        let Some(filled) = self.fill(value, fields, true)? else { return Ok(None) };
        let encoded = Secret::new(utf8_percent_encode(&filled.text, set).to_string());
        if *encoded.expose() != *filled.text {
            // A service may encode the whole URL once more.
            self.secrets.push(encoded.duplicate());
        }
        Ok(Some(encoded))
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
