//! The query of a request that is signed: its parameters, and those that are the signature.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved letters (RFC 3986 §2.3), which is what `UriEncode` escapes.
pub(super) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parameters of a presigned URL that carry its signature.
const SIGNATURE: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// Each parameter as it is written, with its decoded name; what is not UTF-8 has no name.
fn parameters(target: &PathAndQuery) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let pieces = target.query().unwrap_or_default().split('&');
    pieces.filter(|piece| !piece.is_empty()).map(|piece| {
        let name = piece.split_once('=').map_or(piece, |(name, _value)| name);
        (piece, percent_decode_str(name).decode_utf8().unwrap_or_default())
    })
}

/// The decoded values of the parameter `name`, whose letters' case says nothing.
pub(super) fn values<'a>(target: &'a PathAndQuery, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    parameters(target).filter(move |(_piece, found)| found.eq_ignore_ascii_case(name)).map(|(piece, _name)| {
        let value = piece.split_once('=').map_or("", |(_name, value)| value);
        percent_decode_str(value).decode_utf8().unwrap_or_default()
    })
}

/// The target without a signature of any caller's; all else in its order.
pub(super) fn without_signature(target: &PathAndQuery) -> String {
    let ours = |name: &str| SIGNATURE.iter().any(|known| known.eq_ignore_ascii_case(name));
    let kept: Vec<&str> = parameters(target).filter(|(_piece, name)| !ours(name)).map(|(piece, _name)| piece).collect();
    let mut text = target.path().to_owned();
    if !kept.is_empty() {
        text.push('?');
        text.push_str(&kept.join("&"));
    }
    text
}

/// Adds one parameter to a target.
pub(super) fn append(target: &mut String, name: &str, value: &str) {
    target.push(if target.contains('?') { '&' } else { '?' });
    target.push_str(name);
    target.push('=');
    target.extend(utf8_percent_encode(value, ESCAPED));
}

/// Whether all of the query decodes to UTF-8.
pub(super) fn is_text(query: &str) -> bool {
    percent_decode_str(query).decode_utf8().is_ok()
}

/// How long `text` gets at most once it is percent-encoded.
pub(super) fn encoded_length(text: &str) -> usize {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/') { 1 } else { 3 }).sum()
}
