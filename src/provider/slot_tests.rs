//! Tests of `slot`: what is stripped, in which spellings, and what stays.

use http::HeaderMap;
use proptest::prelude::*;

use super::*;

fn slots() -> Vec<Slot> {
    ["authorization", "x-api-key", "query:access_token", "query:key", "cookie:session"]
        .into_iter()
        .map(|text| text.parse().expect("a slot"))
        .collect()
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn query_after(query: &str) -> String {
    strip(&slots(), &mut HeaderMap::new(), Some(query)).unwrap_or_else(|| query.to_owned())
}

#[test]
fn slots_print_as_they_are_written() {
    for slot in slots() {
        assert_eq!(slot.to_string().parse::<Slot>(), Ok(slot));
    }
    assert_eq!("Authorization".parse::<Slot>().map(|slot| slot.to_string()).as_deref(), Ok("authorization"));
}

#[test]
fn reserved_and_malformed_slots_are_refused() {
    for text in [
        "host",
        "Connection",
        "content-length",
        "transfer-encoding",
        "proxy-authorization",
        "te",
        "upgrade",
        "a b",
        "",
        "query:",
        "cookie:a;b",
        "query:a&b",
        "body:x",
        "é",
    ] {
        assert!(text.parse::<Slot>().is_err(), "{text}");
    }
}

#[test]
fn i3_headers_go_in_any_number_and_spelling() {
    let mut map = HeaderMap::new();
    for (name, value) in [
        ("authorization", "a"),
        ("authorization", "b"),
        ("x-api-key", "c"),
        ("x_api_key", "d"),
        ("x-api_key", "e"),
        ("x_other", "f"),
    ] {
        map.append(name, HeaderValue::from_static(value));
    }
    assert_eq!(strip(&slots(), &mut map, None), None);
    assert_eq!(map, headers(&[("x_other", "f")]));
}

#[test]
fn i3_query_parameters_go_in_every_spelling_and_the_rest_stays() {
    for (before, after) in [
        ("access_token=s", ""),
        ("a=1&access_token=s&b=2", "a=1&b=2"),
        ("%61ccess_token=s&a=%20+x", "a=%20+x"),
        ("a=1&access%5Ftoken=s", "a=1"),
        ("a=1;key=s", "a=1"),
        ("a=1;key=s&b=2", "a=1;b=2"),
        ("key&key=&key=s&a", "a"),
        ("key[]=s&a=1", "a=1"),
        ("+key=s&a=1&key%00x=s", "a=1"),
        ("Key=s&ACCESS_TOKEN=s&%4bEY=s&keys=y&monkey=z", "keys=y&monkey=z"),
        ("access.token=s&access%20token=s&access+token=s&access[token=s&access.token[]=s&accesstoken=x", "accesstoken=x"),
        ("key.=s&key.[]=s&.key=x&a.key=y", ".key=x&a.key=y"),
        ("q=key&q=access_token", "q=key&q=access_token"),
        ("&&a=1&&key=s&&", "&&a=1&&&"),
    ] {
        assert_eq!(query_after(before), after, "{before}");
    }
}

#[test]
fn i3_cookies_go_by_name_and_the_rest_stays() {
    for (before, after) in [
        ("a=1; session=s; b=2", Some("a=1; b=2")),
        ("session=s; a=1", Some("a=1")),
        ("session=s", None),
        ("a=1;session=s", Some("a=1")),
        ("a=1,session=s", Some("a=1")),
        ("sessions=1; a=session", Some("sessions=1; a=session")),
        ("a=\"x; session=s\"", Some("a=\"x")),
    ] {
        let mut map = headers(&[("cookie", before), ("accept", "x")]);
        strip(&slots(), &mut map, None);
        assert_eq!(map.get("cookie").map(|value| value.to_str().expect("text")), after, "{before}");
        assert!(map.contains_key("accept"));
    }
    let mut map = headers(&[("cookie", "a=1"), ("cookie", "session=s"), ("cookie", "b=2")]);
    strip(&slots(), &mut map, None);
    assert_eq!(map.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[test]
fn a_target_loses_its_question_mark_with_its_last_parameter() {
    let mut target = PathAndQuery::from_static("/v1/x?key=s");
    strip_target(&slots(), &mut HeaderMap::new(), &mut target).expect("a target");
    assert_eq!(target.as_str(), "/v1/x");
    let mut target = PathAndQuery::from_static("/v1/x?a=%2F&&b");
    strip_target(&slots(), &mut HeaderMap::new(), &mut target).expect("a target");
    assert_eq!(target.as_str(), "/v1/x?a=%2F&&b");
}

/// `key` with some letters escaped, in either case of hex.
fn spelled(name: &'static str) -> impl Strategy<Value = String> {
    proptest::collection::vec(0..3_u8, name.len()).prop_map(move |how| {
        let letter = |(byte, how): (u8, u8)| match how {
            0 => char::from(byte).to_string(),
            1 => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        };
        name.bytes().zip(how).map(letter).collect()
    })
}

fn piece() -> impl Strategy<Value = (String, bool)> {
    prop_oneof![
        (spelled("access_token"), "(=SECRET[0-9]{0,3})?").prop_map(|(name, value)| (name + &value, true)),
        (spelled("key"), "=SECRET[=%a]{0,3}").prop_map(|(name, value)| (name + &value, true)),
        "[a-j]{1,4}(=[a-z%+/]{0,6})?".prop_map(|text| (text, false)),
    ]
}

proptest! {
    #[test]
    fn i3_no_slot_survives_and_nothing_else_changes(pieces in proptest::collection::vec((piece(), "[&;]"), 0..8)) {
        let joined: String = pieces.iter().map(|((text, _slot), separator)| format!("{text}{separator}")).collect();
        let query = joined.strip_suffix(['&', ';']).unwrap_or(&joined);
        let after = query_after(query);
        prop_assert!(!after.contains("SECRET"));
        let kept: Vec<&str> = after.split(['&', ';']).filter(|piece| !piece.is_empty()).collect();
        let expected: Vec<&str> = pieces.iter().filter(|((_, slot), _)| !slot).map(|((text, _), _)| text.as_str()).collect();
        prop_assert_eq!(kept, expected);
        prop_assert_eq!(query_after(&after), after, "stripping twice changes nothing");
    }

    #[test]
    fn i3_no_cookie_survives_and_no_bytes_panic(value in proptest::collection::vec(any::<u8>(), 0..40), at in 0..3_usize) {
        let mut bytes = value;
        let end = bytes.len();
        bytes.splice(end.min(at)..end.min(at), *b"; session=SECRET;");
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let mut map = HeaderMap::new();
        map.append("cookie", value);
        strip(&slots(), &mut map, None);
        let left = map.get("cookie").map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        prop_assert!(!left.windows(6).any(|window| window == b"SECRET"));
    }

    #[test]
    fn i3_any_query_text_is_safe(query in "[a-z=&;%+\\[\\]0-9]{0,40}") {
        let after = query_after(&query);
        prop_assert!(!after.split(['&', ';']).any(|piece| names_slot(&query_name(piece.as_bytes()), "key")));
    }
}
