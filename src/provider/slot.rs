//! Slots: every place where a provider takes a credential, and emptying them of what a caller sent.

use std::fmt;
use std::str::FromStr;

use http::header::COOKIE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode;

use super::rule::Slot;

/// Header fields that belong to the connection or the message, never to a credential (RFC 9110 §7.6.1).
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "max-forwards",
    "nexus-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// What may stand between two query parameters: `&`, and `;` for services that still split there.
const QUERY_SEPARATORS: &[u8] = b"&;";

/// What may stand between two cookies: `;` (RFC 6265 §4.2.1), and `,` for services that still split there (RFC 2109 §4.4).
const COOKIE_SEPARATORS: &[u8] = b";,";

/// Why a text names no slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// Not a token (RFC 9110 §5.6.2).
    #[error("{0:?} is not the name of a header field")]
    Header(String),
    /// Hop-by-hop, framing or routing.
    #[error("{0} belongs to the connection or the message and never carries a credential of the service")]
    Reserved(HeaderName),
    /// `query:` or `cookie:` with nothing, or with separators after it.
    #[error("{0:?} is not the name of a query parameter or cookie")]
    Name(String),
    /// `path:0`.
    #[error("{0:?} is no segment of a path; they are counted from 1, in /bot1/getMe the first is bot1")]
    Segment(String),
    /// `foo:bar`.
    #[error("{0:?} is no kind of slot; write a header's name, query:NAME, cookie:NAME, path:NUMBER, json:NAME or form:NAME")]
    Kind(String),
}

/// A header field that a rule may set.
pub(super) fn parse_header_name(text: &str) -> Result<HeaderName, SlotError> {
    let name: HeaderName =
        text.parse().map_err(|_invalid: http::header::InvalidHeaderName| SlotError::Header(text.to_owned()))?;
    if name.as_str().starts_with("proxy-") || RESERVED.contains(&name.as_str()) {
        return Err(SlotError::Reserved(name));
    }
    Ok(name)
}

/// A query parameter or cookie that a rule may set: unreserved letters (RFC 3986 §2.3) and brackets within.
pub(super) fn parse_plain_name(text: &str) -> Result<String, SlotError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'$' | b':');
    if text.is_empty() || !text.bytes().all(plain) {
        return Err(SlotError::Name(text.to_owned()));
    }
    Ok(text.to_owned())
}

impl FromStr for Slot {
    type Err = SlotError;
    fn from_str(text: &str) -> Result<Self, SlotError> {
        match text.split_once(':') {
            None => parse_header_name(text).map(Self::Header),
            Some(("query", name)) => parse_plain_name(name).map(Self::Query),
            Some(("cookie", name)) => parse_plain_name(name).map(Self::Cookie),
            Some(("json", place)) => place.parse().map(Self::Json),
            Some(("form", name)) => parse_plain_name(name).map(Self::Form),
            Some(("path", number)) => {
                let number = number.parse().ok().filter(|number| (1..=16).contains(number));
                number.map(Self::Path).ok_or_else(|| SlotError::Segment(text.to_owned()))
            }
            Some((kind, _name)) => Err(SlotError::Kind(kind.to_owned())),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => formatter.write_str(name.as_str()),
            Self::Query(name) => write!(formatter, "query:{name}"),
            Self::Cookie(name) => write!(formatter, "cookie:{name}"),
            Self::Path(number) => write!(formatter, "path:{number}"),
            Self::Json(place) => write!(formatter, "json:{place}"),
            Self::Form(name) => write!(formatter, "form:{name}"),
        }
    }
}

/// Empties every slot: headers in any number and with `_` for `-`, cookies by name, and query parameters, whose rest is
/// returned if something was taken out (then perhaps empty). All else stays as it was, byte for byte and in order.
///
/// Call it on trailers too, with no query.
pub fn strip(slots: &[Slot], headers: &mut HeaderMap, query: Option<&str>) -> Option<String> {
    for slot in slots {
        match slot {
            Slot::Header(name) => drop(headers.remove(name)),
            Slot::Cookie(name) => strip_cookie(name, headers),
            // A segment is replaced by the rule that takes its path; for bodies see `strip_body`.
            Slot::Query(_) | Slot::Path(_) | Slot::Json(_) | Slot::Form(_) => {}
        }
    }
    strip_underscored(slots, headers);
    let mut names = slots.iter().filter_map(Slot::query_name).peekable();
    names.peek()?;
    let is_slot = |piece: &[u8]| {
        let name = query_name(piece);
        slots.iter().filter_map(Slot::query_name).any(|slot| names_slot(&name, slot))
    };
    let kept = without_pieces(query?.as_bytes(), QUERY_SEPARATORS, is_slot)?;
    Some(String::from_utf8_lossy(&kept).into_owned())
}

/// As [`strip`], on a whole request target; the `?` goes when nothing is left behind it.
///
/// # Errors
/// Never for a target that `http` parsed: a part of it is always one too.
pub fn strip_target(slots: &[Slot], headers: &mut HeaderMap, target: &mut PathAndQuery) -> Result<(), http::Error> {
    let Some(query) = strip(slots, headers, target.query()) else { return Ok(()) };
    *target = with_query(target.path(), &query)?;
    Ok(())
}

/// `path?query`, or `path` alone where the query is empty.
pub(super) fn with_query(path: &str, query: &str) -> Result<PathAndQuery, http::Error> {
    let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    Ok(PathAndQuery::try_from(text)?)
}

/// `query` without the parameters called `name`, if it had any.
pub(super) fn without_parameter(query: &str, name: &str) -> Option<String> {
    let kept = without_pieces(query.as_bytes(), QUERY_SEPARATORS, |piece| names_slot(&query_name(piece), name))?;
    Some(String::from_utf8_lossy(&kept).into_owned())
}

/// Whether two field names are one to CGI's heirs, who read `X_Api_Key` as `X-Api-Key` (RFC 3875 §4.1.18).
pub(crate) fn same_field(one: &str, two: &str) -> bool {
    one.len() == two.len() && one.bytes().map(dashed).eq(two.bytes().map(dashed))
}

fn strip_underscored(slots: &[Slot], headers: &mut HeaderMap) {
    if !headers.keys().any(|name| name.as_str().contains('_')) {
        return;
    }
    let is_slot = |name: &HeaderName| {
        slots.iter().any(|slot| matches!(slot, Slot::Header(own) if same_field(own.as_str(), name.as_str())))
    };
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_slot(name)).cloned().collect();
    for name in &names {
        headers.remove(name);
    }
}

fn dashed(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte }
}

/// Takes one cookie out of every `Cookie` field; a field with nothing left goes.
pub(super) fn strip_cookie(name: &str, headers: &mut HeaderMap) {
    let is_slot = |piece: &[u8]| {
        let piece = piece.split(|b| *b == b'=').next().unwrap_or_default();
        piece.trim_ascii() == name.as_bytes()
    };
    let Some(first) = headers.get(COOKIE) else { return };
    let untouched = |value: &HeaderValue| without_pieces(value.as_bytes(), COOKIE_SEPARATORS, is_slot).is_none();
    if untouched(first) && headers.get_all(COOKIE).iter().all(untouched) {
        return;
    }
    let fields: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for field in fields {
        let kept = without_pieces(field.as_bytes(), COOKIE_SEPARATORS, is_slot).unwrap_or_else(|| field.as_bytes().to_vec());
        // A part of a valid value is one too, so nothing but an empty field is left out here.
        if let (false, Ok(value)) = (kept.trim_ascii().is_empty(), HeaderValue::from_bytes(kept.trim_ascii_start())) {
            headers.append(COOKIE, value);
        }
    }
}

/// The name of a query parameter as services read it: escapes decoded, `+` a space.
pub(super) fn query_name(piece: &[u8]) -> Vec<u8> {
    let name = piece.split(|b| *b == b'=').next().unwrap_or_default();
    decode_form(name)
}

/// Decodes `application/x-www-form-urlencoded`.
pub(super) fn decode_form(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).collect()
}

/// Whether a decoded parameter name means `slot` to some service: many are blind to letter case, PHP and Rails read `key[]` as `key`, PHP
/// reads `api.key`, `api key` and `api[key` as `api_key`, and some trim what stands around a name.
fn names_slot(name: &[u8], slot: &str) -> bool {
    let whole = name.split(|b| *b == 0).next().unwrap_or_default();
    let name = whole.split(|b| *b == b'[').next().unwrap_or_default();
    let folded = |b: &u8| if matches!(b, b'.' | b' ' | b'[') { b'_' } else { b.to_ascii_lowercase() };
    let same = |name: &[u8]| {
        let name = name.trim_ascii();
        let name = name.strip_suffix(b".").unwrap_or(name);
        name.iter().map(folded).eq(slot.as_bytes().iter().map(folded))
    };
    same(name) || same(whole)
}

/// `text` without the pieces that `taken` names, each with one separator of its own; `None` if there are none.
fn without_pieces(text: &[u8], separators: &[u8], taken: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    if !text.split(|b| separators.contains(b)).any(&taken) {
        return None;
    }
    let mut kept: Vec<u8> = Vec::with_capacity(text.len());
    let mut first = true;
    for piece in text.split_inclusive(|b| separators.contains(b)) {
        let (inside, separator) = match piece.split_last() {
            Some((last, inside)) if separators.contains(last) => (inside, Some(*last)),
            _ => (piece, None),
        };
        if taken(inside) {
            continue;
        }
        first = false;
        kept.extend_from_slice(inside);
        kept.extend(separator);
    }
    let last_was_taken = text.rsplit(|b| separators.contains(b)).next().is_some_and(&taken);
    if last_was_taken && !first {
        kept.pop();
    }
    Some(kept)
}

impl Slot {
    fn query_name(&self) -> Option<&str> {
        match self {
            Self::Query(name) => Some(name),
            Self::Header(_) | Self::Cookie(_) | Self::Path(_) | Self::Json(_) | Self::Form(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
