use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use hyper::ext::Protocol;

use super::*;
use crate::head::{Limits, check_h2_request, check_trailers};

fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut builder = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a request").into_parts().0
}

fn checked(fields: &[(&str, &str)]) -> Result<(), Malformed> {
    check_h2_request(&request("GET", "https://a.example/b?c", fields), &Limits::default())
}

#[test]
fn sound_requests_are_taken() {
    assert_eq!(checked(&[("te", "trailers"), ("content-length", "5"), ("host", "A.example:443"), ("x", "")]), Ok(()));
    assert_eq!(check_h2_request(&request("OPTIONS", "https://a.example/", &[]), &Limits::default()), Ok(()));
}

#[test]
fn t23_a_host_that_disagrees_is_refused() {
    assert_eq!(checked(&[("host", "b.example")]), Err(Malformed::Host));
    assert_eq!(checked(&[("host", "a.example:8443")]), Err(Malformed::Host));
    assert_eq!(checked(&[("host", "a.example"), ("host", "a.example")]), Err(Malformed::HostCount));
    assert_eq!(
        check_h2_request(&request("GET", "/b", &[("host", "a.example")]), &Limits::default()),
        Err(Malformed::PseudoField)
    );
    assert_eq!(check_h2_request(&request("GET", "https://u@a.example/", &[]), &Limits::default()), Err(Malformed::PseudoField));
}

#[test]
fn t69_bytes_that_http1_can_not_carry_are_refused() {
    for value in [&b"\xc3\xa9"[..], b"a\x01"] {
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        let mut parts = request("GET", "https://a.example/", &[]);
        parts.headers.insert("x", value.clone());
        assert_eq!(check_h2_request(&parts, &Limits::default()), Err(Malformed::Field), "{value:?}");
    }
    for bad in [&b"a\r\nb"[..], b"a\0", b"a\nb"] {
        assert!(HeaderValue::from_bytes(bad).is_err(), "the engine's own type refuses {}", bad.escape_ascii());
    }
    assert!(HeaderName::from_bytes(b"a:b").is_err() && HeaderName::from_bytes(b"a b").is_err());
    assert_eq!(check_h2_request(&request("GET", "http://a.example/", &[]), &Limits::default()), Err(Malformed::PseudoField));
    assert_eq!(check_h2_request(&request("GET", "https://a.example/\u{e9}", &[]), &Limits::default()), Err(Malformed::Target));
    assert_eq!(check_h2_request(&request("GET", "*", &[]), &Limits::default()), Err(Malformed::PseudoField));
}

#[test]
fn t70_connection_specific_fields_are_refused() {
    for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings"] {
        assert_eq!(checked(&[(name, "x")]), Err(Malformed::ConnectionSpecific), "{name}");
    }
    assert_eq!(checked(&[("te", "gzip")]), Err(Malformed::ConnectionSpecific));
    assert_eq!(checked(&[("te", "trailers, gzip")]), Err(Malformed::ConnectionSpecific));
}

#[test]
fn t70_lengths_and_expectations_are_checked_as_on_http1() {
    for value in ["+5", "0x5", "", "5,5", "99999999999999999999"] {
        assert_eq!(checked(&[("content-length", value)]), Err(Malformed::ContentLength), "{value}");
    }
    assert_eq!(checked(&[("content-length", "5"), ("content-length", "5")]), Err(Malformed::ContentLengthRepeated));
    assert_eq!(checked(&[("expect", "x")]), Err(Malformed::Expect));
    assert_eq!(
        checked(&[("proxy-authorization", "a"), ("proxy-authorization", "a")]),
        Err(Malformed::ProxyAuthorizationRepeated)
    );
    let many: Vec<_> = (0..101).map(|_| ("x", "y")).collect();
    assert_eq!(checked(&many), Err(Malformed::TooManyFields));
}

#[test]
fn t71_a_connect_is_taken_only_in_its_extended_form() {
    assert_eq!(check_h2_request(&request("CONNECT", "a.example:443", &[]), &Limits::default()), Err(Malformed::Method));
    let mut extended = request("CONNECT", "https://a.example/chat", &[]);
    assert_eq!(check_h2_request(&extended, &Limits::default()), Err(Malformed::Method));
    extended.extensions.insert(Protocol::from_static("websocket"));
    assert_eq!(check_h2_request(&extended, &Limits::default()), Ok(()));
    let mut plain = request("GET", "https://a.example/chat", &[]);
    plain.extensions.insert(Protocol::from_static("websocket"));
    assert_eq!(check_h2_request(&plain, &Limits::default()), Err(Malformed::Method));
}

#[test]
fn t61_trailers_over_http2_keep_the_same_rules() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    assert_eq!(check_trailers(&trailers), Ok(()));
    trailers.insert("authorization", HeaderValue::from_static("x"));
    assert_eq!(check_trailers(&trailers), Err(Malformed::Trailer));
}

#[test]
fn i7_the_bounds_of_a_head_hold_for_http2_too() {
    let limits = Limits { fields: 4, head: 200, target: 50, ..Limits::default() };
    let checked = |path: &str, fields: &[(&str, &str)]| {
        check_h2_request(&request("GET", &format!("https://a.example{path}"), fields), &limits)
    };
    let long = "a".repeat(200);
    assert_eq!(checked(&format!("/{}", &long[..49]), &[]), Ok(()));
    assert_eq!(checked(&format!("/{}", &long[..50]), &[]), Err(Malformed::TargetTooLong));
    assert_eq!(checked("/", &[("x", "1"); 4]), Ok(()));
    assert_eq!(checked("/", &[("x", "1"); 5]), Err(Malformed::TooManyFields));
    // `GET / HTTP/1.1`, `host: a.example`, `x: ...` and an empty line, each with its CR LF.
    assert_eq!(checked("/", &[("x", &long[..200 - 16 - 17 - 5 - 2])]), Ok(()));
    assert_eq!(checked("/", &[("x", &long[..200 - 16 - 17 - 5 - 1])]), Err(Malformed::HeadTooLarge));
}
