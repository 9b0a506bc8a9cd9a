//! Percent-encoding and the parameters of a query.

use std::borrow::Cow;

use http::HeaderValue;
use http::uri::{InvalidUri, PathAndQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// All but what RFC 3986 §2.3 calls unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes all but unreserved characters (RFC 3986 §2.1).
pub(super) fn escape(bytes: &[u8]) -> String {
    percent_encode(bytes, ESCAPED).to_string()
}

/// Decodes percent-encoding; a `%` without two digits stays as it is.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    percent_decode(text).collect()
}

/// Decodes as `application/x-www-form-urlencoded` has it: `+` is a space too.
pub(super) fn unescape_form(text: &[u8]) -> Vec<u8> {
    if !text.contains(&b'+') {
        return unescape(text);
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    unescape(&spaced)
}

/// Names and values as written, without the pieces that are empty; a piece without `=` is a name with an empty value.
pub(super) fn parameters(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty()).map(split_piece)
}

fn split_piece(piece: &[u8]) -> (&[u8], &[u8]) {
    let at = piece.iter().position(|&byte| byte == b'=');
    at.and_then(|at| Some((piece.get(..at)?, piece.get(at + 1..)?))).unwrap_or((piece, &[]))
}

/// A target whose parameters can be replaced, all others staying byte for byte as they are.
pub(super) struct Query<'a> {
    path: &'a str,
    pieces: Vec<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    pub(super) fn of(target: &'a PathAndQuery) -> Self {
        let pieces = target.query().filter(|query| !query.is_empty()).map(|query| query.split('&').map(Cow::Borrowed));
        Self { path: target.path(), pieces: pieces.into_iter().flatten().collect() }
    }

    /// Puts `value`, encoded already, in the place of the first parameter called `name`, or at the end; further ones go.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let mut piece = Some(Cow::Owned(format!("{}={value}", escape(name.as_bytes()))));
        self.pieces = std::mem::take(&mut self.pieces)
            .into_iter()
            .filter_map(|other| if is_called(&other, name) { piece.take() } else { Some(other) })
            .collect();
        self.pieces.extend(piece);
    }

    /// Takes every parameter called `name` away.
    pub(super) fn remove(&mut self, name: &str) {
        self.pieces.retain(|piece| !is_called(piece, name));
    }

    /// Path and query as they will be sent.
    pub(super) fn text(&self) -> String {
        let question_mark = if self.pieces.is_empty() { "" } else { "?" };
        format!("{}{question_mark}{}", self.path, self.pieces.join("&"))
    }

    pub(super) fn target(&self) -> Result<PathAndQuery, InvalidUri> {
        self.text().try_into()
    }
}

fn is_called(piece: &str, name: &str) -> bool {
    unescape_form(split_piece(piece.as_bytes()).0) == name.as_bytes()
}

/// A header value that no log shows.
pub(super) fn sensitive(value: &[u8]) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_bytes(value)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(escape("aZ09-._~ +/é".as_bytes()), "aZ09-._~%20%2B%2F%C3%A9");
        assert_eq!(unescape_form(b"a+b%2B%zz"), b"a b+%zz");
        assert_eq!(unescape(b"a+b%20"), b"a+b ");
    }

    #[test]
    fn a_parameter_is_replaced_where_it_stands_and_others_stay_as_written() {
        let target: PathAndQuery = "/p?b=%7e&a=1&&A=2&%61=3&c".parse().expect("a target");
        let mut query = Query::of(&target);
        query.set("a", "x%20y");
        query.set("d", "");
        assert_eq!(query.text(), "/p?b=%7e&a=x%20y&&A=2&c&d=");
        query.remove("c");
        query.remove("b");
        assert_eq!(query.text(), "/p?a=x%20y&&A=2&d=");
    }

    #[test]
    fn a_target_without_parameters_has_no_question_mark() {
        for text in ["/p", "/p?", "/p?a=1"] {
            let target: PathAndQuery = text.parse().expect("a target");
            let mut query = Query::of(&target);
            query.remove("a");
            assert_eq!(query.text(), "/p");
        }
    }
}
