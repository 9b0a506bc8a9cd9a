//! HMAC signatures that data describes: what is signed, with which key, and where the pieces go.
//!
//! Order of work: the query parameters and header fields that do not hold the signature are set first, so that they are signed where
//! the message takes in the query; then the message is signed; then the pieces with the signature are added, in the query at its end.

mod fill;
pub(crate) mod template;

use base64::engine::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use data_encoding::{HEXLOWER, HEXUPPER};
use http::HeaderName;
use zeroize::Zeroizing;

use fill::Filling;
pub(crate) use template::{Hole, Template};

pub(crate) use super::mac::{Encoding, Hash};
use super::text::{Query, escape, sensitive};
pub(crate) use super::time::Timestamp;
use super::{Signed, Unsigned, mac};
use crate::model::Credential;

/// How the signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Lower-case hexadecimal.
    Hex,
    /// Upper-case hexadecimal.
    HexUpper,
    /// Standard base64 with padding (RFC 4648 §4).
    Base64,
    /// URL-safe base64 without padding (RFC 4648 §5).
    Base64Url,
}

impl Output {
    /// Reads `hex`, `HEX`, `base64` or `base64url`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hex" => Self::Hex,
            "HEX" => Self::HexUpper,
            "base64" => Self::Base64,
            "base64url" => Self::Base64Url,
            _ => return None,
        })
    }

    fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => HEXLOWER.encode(bytes),
            Self::HexUpper => HEXUPPER.encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
            Self::Base64Url => URL_SAFE_NO_PAD.encode(bytes),
        }
    }
}

/// Where a piece goes: holes may be fields, `{timestamp}`, `{nonce}` and `{signature}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A header field, instead of the caller's.
    Header(HeaderName, Template),
    /// A query parameter, percent-encoded: instead of the caller's, or at the end where it holds the signature.
    Query(Box<str>, Template),
}

impl Place {
    fn template(&self) -> &Template {
        match self {
            Self::Header(_, template) | Self::Query(_, template) => template,
        }
    }

    /// Whether it holds the signature.
    pub(crate) fn is_last(&self) -> bool {
        self.template().has(&Hole::Signature)
    }
}

/// How one service wants its requests signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheme {
    /// The hash inside.
    pub(crate) hash: Hash,
    /// The key, of text and fields: `{api_secret}`.
    pub(crate) key: Template,
    /// How the key is written down.
    pub(crate) key_encoding: Encoding,
    /// What is signed.
    pub(crate) message: Template,
    /// How the signature is written.
    pub(crate) output: Output,
    /// How `{timestamp}` is written.
    pub(crate) timestamp: Timestamp,
    /// Where the pieces go, in this order.
    pub(crate) places: Vec<Place>,
}

/// Why a scheme can't work for any request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// Not a field.
    #[error("the key may hold text and {{field}}s only")]
    Key,
    /// The signature can't sign itself.
    #[error("what is signed can't hold {{signature}}")]
    Message,
    /// Nowhere for the signature to go.
    #[error("no header or query parameter holds {{signature}}, so it would not be sent")]
    Unsent,
    /// Parts of the request do not go there.
    #[error("{0} may hold text, {{field}}s, {{timestamp}}, {{nonce}} and {{signature}} only, and no line end")]
    Place(Box<str>),
    /// A name twice.
    #[error("{0} is set twice")]
    Twice(Box<str>),
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A hole without a value.
    #[error("the signature needs {{{0}}}, which there is not: register the connection with it")]
    Unfilled(Box<str>),
    /// The message takes in the body.
    #[error("the signature covers the body, which is not at hand: it is too large to keep, or not sent with the request")]
    NoBody,
    /// A line end or the like, which would make two lines of one.
    #[error("{{{0}}} has a line end or another control character: register it without")]
    Control(Box<str>),
    /// The key is not what the scheme says.
    #[error("the key of the signature is empty or not {0}")]
    Key(&'static str),
    /// A clock before 1970.
    #[error("the clock is out of the range that a timestamp can show")]
    Clock,
    /// What was made is no target.
    #[error("the request and its signature make no valid target together")]
    Target(#[source] http::uri::InvalidUri),
    /// What was made is no header value.
    #[error("the field {0} would hold characters that no header field can carry")]
    Header(HeaderName, #[source] http::header::InvalidHeaderValue),
}

impl Scheme {
    /// Whether this can work for some request: for whoever reads it from a file.
    ///
    /// # Errors
    /// As [`Unusable`] says.
    pub(crate) fn check(&self) -> Result<(), Unusable> {
        if !self.key.holes().all(|hole| matches!(hole, Hole::Field(_))) {
            return Err(Unusable::Key);
        }
        if self.message.has(&Hole::Signature) {
            return Err(Unusable::Message);
        }
        if !self.places.iter().any(Place::is_last) {
            return Err(Unusable::Unsent);
        }
        let names: Vec<(bool, &str)> = self.places.iter().map(name).collect();
        for (at, place) in self.places.iter().enumerate() {
            let (kind, name) = name(place);
            let fits = |hole: &Hole| matches!(hole, Hole::Field(_) | Hole::Timestamp | Hole::Nonce | Hole::Signature);
            if name.is_empty() || !place.template().holes().all(fits) || place.template().has_line_end() {
                return Err(Unusable::Place(name.into()));
            }
            if names.iter().skip(at + 1).any(|other| *other == (kind, name)) {
                return Err(Unusable::Twice(name.into()));
            }
        }
        Ok(())
    }

    /// Whether the body must be at hand.
    pub(crate) fn needs_body(&self) -> bool {
        self.message.has(&Hole::Body) || self.message.has(&Hole::BodySha256Hex)
    }

    /// The fields of a credential that it needs; one may come twice.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        let templates = [&self.key, &self.message].into_iter();
        templates.chain(self.places.iter().map(Place::template)).flat_map(Template::fields)
    }

    /// Signs `request`; `nonce` is what `{nonce}` holds, new for each request.
    ///
    /// # Errors
    /// As [`Error`] says; none quotes a field's value.
    pub(crate) fn sign(&self, credential: &Credential, request: &Unsigned<'_>, nonce: &str) -> Result<Signed, Error> {
        let timestamp = self.timestamp.format(request.time).ok_or(Error::Clock)?;
        let mut filling = Filling { credential, nonce, timestamp: &timestamp, signature: None, request: None };
        let mut query = Query::of(request.target);
        let mut signed = Signed::default();
        for place in &self.places {
            if let (Place::Query(name, _), true) = (place, place.is_last()) {
                query.remove(name);
            }
        }
        for place in self.places.iter().filter(|place| !place.is_last()) {
            put(place, &filling, &mut query, &mut signed)?;
        }
        let sets_query = self.places.iter().any(|place| matches!(place, Place::Query(..)));
        let sent = if sets_query { query.text() } else { request.target.as_str().to_owned() };
        let message = Filling { request: Some((request, &sent)), ..filling }.fill(&self.message)?;
        let key = self.key_bytes(&filling)?;
        let signature = Zeroizing::new(self.output.write(&mac::hmac(self.hash, &key, &message)));
        filling.signature = Some(&signature);
        for place in self.places.iter().filter(|place| place.is_last()) {
            put(place, &filling, &mut query, &mut signed)?;
        }
        if sets_query {
            signed.target = Some(query.target().map_err(Error::Target)?);
        }
        Ok(signed)
    }

    fn key_bytes(&self, filling: &Filling<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let written = filling.fill(&self.key)?;
        let text = str::from_utf8(&written).ok();
        let key = text.and_then(|text| self.key_encoding.decode(text)).filter(|key| !key.is_empty());
        key.ok_or(Error::Key(self.key_encoding.as_str()))
    }
}

/// Whether it is a header, and its name.
fn name(place: &Place) -> (bool, &str) {
    match place {
        Place::Header(name, _) => (true, name.as_str()),
        Place::Query(name, _) => (false, name),
    }
}

fn put(place: &Place, filling: &Filling<'_>, query: &mut Query<'_>, signed: &mut Signed) -> Result<(), Error> {
    let value = filling.fill(place.template())?;
    match place {
        Place::Query(name, _) => query.set(name, &escape(&value)),
        Place::Header(name, _) => {
            let value = sensitive(&value).map_err(|invalid| Error::Header(name.clone(), invalid))?;
            signed.headers.push((name.clone(), value));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
