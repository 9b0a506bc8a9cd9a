//! What a caller put into the slots, so that a placeholder among it can be recognised before all of it is stripped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::COOKIE;

use super::rule::Slot;
use super::slot::{decode_form, query_name};
use crate::model::Secret;

/// More values than this are no honest request; the rest is not looked at.
const MAX_VALUES: usize = 32;

/// Every value that stands in a slot: header values whole and without their scheme word, both halves of Basic
/// (RFC 7617 §2), query values decoded, cookies. The caller's own secrets may be among them.
pub fn presented(slots: &[Slot], headers: &HeaderMap, query: Option<&str>) -> Vec<Secret<String>> {
    let mut values = Vec::new();
    for slot in slots {
        match slot {
            Slot::Header(name) => headers.get_all(name).iter().for_each(|value| credentials(value.as_bytes(), &mut values)),
            Slot::Query(name) => parameters(name, query.unwrap_or_default(), &mut values),
            Slot::Cookie(name) => headers.get_all(COOKIE).iter().for_each(|value| cookies(name, value.as_bytes(), &mut values)),
        }
    }
    values.truncate(MAX_VALUES);
    values
}

fn keep(bytes: &[u8], values: &mut Vec<Secret<String>>) {
    let bytes = bytes.trim_ascii();
    if let (false, true, Ok(text)) = (bytes.is_empty(), values.len() < MAX_VALUES, std::str::from_utf8(bytes)) {
        values.push(Secret::new(text.to_owned()));
    }
}

fn credentials(value: &[u8], values: &mut Vec<Secret<String>>) {
    keep(value, values);
    let mut parts = value.trim_ascii().splitn(2, |b| *b == b' ');
    let (Some(scheme), Some(rest)) = (parts.next(), parts.next()) else { return };
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return keep(rest, values);
    }
    let Ok(pair) = STANDARD.decode(rest.trim_ascii()).map(zeroize::Zeroizing::new) else { return };
    pair.splitn(2, |b| *b == b':').for_each(|half| keep(half, values));
}

fn parameters(name: &str, query: &str, values: &mut Vec<Secret<String>>) {
    for piece in query.as_bytes().split(|b| matches!(b, b'&' | b';')).filter(|piece| query_name(piece) == name.as_bytes()) {
        let value = piece.splitn(2, |b| *b == b'=').nth(1).unwrap_or_default();
        keep(&zeroize::Zeroizing::new(decode_form(value)), values);
    }
}

fn cookies(name: &str, field: &[u8], values: &mut Vec<Secret<String>>) {
    for piece in field.split(|b| *b == b';') {
        let mut halves = piece.trim_ascii().splitn(2, |b| *b == b'=');
        if halves.next() == Some(name.as_bytes()) {
            keep(halves.next().unwrap_or_default(), values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(slots: &[&str], lines: &[(&'static str, &'static str)], query: Option<&str>) -> Vec<String> {
        let slots: Vec<Slot> = slots.iter().map(|slot| slot.parse().expect("a slot")).collect();
        let headers =
            lines.iter().map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        presented(&slots, &headers.collect(), query).iter().map(|value| value.expose().clone()).collect()
    }

    #[test]
    fn values_are_found_in_every_kind_of_slot() {
        assert_eq!(texts(&["authorization"], &[("authorization", "Bearer abc")], None), ["Bearer abc", "abc"]);
        assert_eq!(texts(&["authorization"], &[("authorization", "basic dTpwOnE=")], None), ["basic dTpwOnE=", "u", "p:q"]);
        assert_eq!(texts(&["x-api-key"], &[("x-api-key", "k"), ("x-api-key", "l"), ("accept", "m")], None), ["k", "l"]);
        assert_eq!(texts(&["query:key"], &[], Some("a=b&%6bey=x%2Fy&keys=z;key=w")), ["x/y", "w"]);
        assert_eq!(texts(&["cookie:s"], &[("cookie", "a=1; s=x; ss=y")], None), ["x"]);
    }

    #[test]
    fn nonsense_and_floods_are_bounded() {
        assert_eq!(texts(&["authorization"], &[("authorization", "Basic !!!")], None), ["Basic !!!"]);
        assert_eq!(texts(&["query:key"], &[], Some(&"key=1&".repeat(1000))).len(), MAX_VALUES);
    }
}
