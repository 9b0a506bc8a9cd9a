//! How the parameters of a token request are written.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

/// How the parameters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `application/x-www-form-urlencoded` (RFC 6749 appendix B).
    Form,
    /// A JSON object with the same members, for the few services that want it.
    Json,
}

/// A name and its value.
pub(super) type Pair<'a> = (&'a str, &'a str);

/// `application/x-www-form-urlencoded` (RFC 6749 appendix B). Sized beforehand: growing would leave copies behind.
pub(super) fn form(pairs: &[Pair<'_>]) -> Zeroizing<Vec<u8>> {
    let size = pairs.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push(b'&');
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        encode(value, &mut text);
    }
    text
}

/// The same as text, for the query of an address that no secret of ours stands in.
pub(crate) fn form_encoded(pairs: &[Pair<'_>]) -> String {
    String::from_utf8_lossy(&form(pairs)).into_owned()
}

pub(super) fn json(pairs: &[Pair<'_>]) -> Zeroizing<Vec<u8>> {
    let size = pairs.iter().map(|(name, value)| name.len() + 6 * value.len() + 6).sum::<usize>() + 2;
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    text.push(b'{');
    for (name, value) in pairs {
        if text.len() > 1 {
            text.push(b',');
        }
        text.extend_from_slice(format!("\"{name}\":\"").as_bytes());
        value.chars().for_each(|letter| escape(letter, &mut text));
        text.push(b'"');
    }
    text.push(b'}');
    text
}

/// RFC 8259 §7, all but printable ASCII as `\u`: at most six bytes for each byte.
fn escape(letter: char, into: &mut Vec<u8>) {
    if (letter.is_ascii_graphic() || letter == ' ') && !matches!(letter, '"' | '\\') {
        into.push(letter as u8);
        return;
    }
    for unit in letter.encode_utf16(&mut [0; 2]) {
        into.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    }
}

const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

pub(super) fn encode(text: &str, into: &mut Vec<u8>) {
    for piece in percent_encode(text.as_bytes(), KEPT) {
        into.extend_from_slice(if piece == "%20" { b"+" } else { piece.as_bytes() });
    }
}
