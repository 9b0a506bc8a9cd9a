//! Methods that a body puts in the place of the request's, for services that read it so: forms (Rails, Laravel, Symfony), and JSON (Laravel,
//! whose input is the JSON where the type says so, and what `method-override` of Express is shown to do).

use std::borrow::Cow;

use super::parts::in_parts;
use crate::model::{Charset, Methods};

/// What a request's `Content-Type` says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Urlencoded,
    Multipart,
    Json,
    /// Services read it as either, or as none.
    Unclear,
}

fn form(kind: Option<&[u8]>, ambiguous: bool) -> Option<Form> {
    let Some(kind) = kind.filter(|_| !ambiguous) else { return Some(Form::Unclear) };
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is_clean = essence.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/-+.".contains(byte));
    match (holds(kind, b"urlencoded"), holds(kind, b"multipart"), is_json(kind)) {
        (false, false, false) => essence.is_empty().then_some(Form::Unclear),
        (false, false, true) if !essence.is_empty() => Some(Form::Json),
        (true, false, false) if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") => Some(Form::Urlencoded),
        // Rack takes the other kinds for forms as well.
        (false, true, false) if is_clean && holds(essence.get(..10).unwrap_or_default(), b"multipart/") => {
            Some(Form::Multipart)
        }
        // PHP cuts the type at a blank or a comma, and others look for letters anywhere; Rack reads a body without a type as a form.
        _ => Some(Form::Unclear),
    }
}

fn holds(kind: &[u8], word: &[u8]) -> bool {
    kind.windows(word.len()).any(|letters| letters.eq_ignore_ascii_case(word))
}

/// As Laravel asks: by letters anywhere in it.
fn is_json(kind: &[u8]) -> bool {
    let is_behind = |at: usize| kind.get(at + 1..at + 5).is_some_and(|word| word.eq_ignore_ascii_case(b"json"));
    memchr::memchr2_iter(b'/', b'+', kind).any(is_behind)
}

/// Whether the bytes of a body are the letters that ASCII has them for, to whoever reads it as its head says.
fn is_legible(kind: Option<&[u8]>, ambiguous: bool) -> bool {
    // `None`: it is said in two fields.
    kind.map_or(!ambiguous, |kind| Charset::of(kind) != Charset::Doubtful)
}

/// Whether services may read another method in the body of a POST of this type.
pub(super) fn may_name_method(kind: Option<&[u8]>, ambiguous: bool) -> bool {
    form(kind, ambiguous).is_some()
}

/// Whether a body of this type that begins so says nothing: gRPC and Connect say JSON of messages that each begin with a byte of their own,
/// and answer before the last one has come.
pub(super) fn says_nothing(kind: Option<&[u8]>, ambiguous: bool, first: &[u8]) -> bool {
    let begins = first.iter().find(|byte| !byte.is_ascii_whitespace());
    // A mark of the byte order may stand before it.
    form(kind, ambiguous) == Some(Form::Json)
        && begins.is_some_and(|byte| !matches!(byte, b'{' | b'[' | 0xef))
        && is_legible(kind, ambiguous)
}

/// What a body of this type may say that is coded. JSON is coded often, and read for a method by hardly anybody who also decodes it.
pub(super) fn in_coded(kind: Option<&[u8]>, ambiguous: bool) -> Methods {
    match form(kind, ambiguous) {
        None => Methods::default(),
        Some(Form::Json) if is_legible(kind, ambiguous) => Methods::default(),
        Some(_) => Methods::ANY,
    }
}

/// What a body of this type says.
pub(super) fn in_body(kind: Option<&[u8]>, ambiguous: bool, body: &[u8]) -> Methods {
    let Some(form) = form(kind, ambiguous) else { return Methods::default() };
    match form {
        _ if body.is_empty() => Methods::default(),
        // In other letters it may say anything.
        _ if !is_legible(kind, ambiguous) => Methods::ANY,
        Form::Urlencoded => Methods::of_pairs(body),
        Form::Multipart => in_parts(body),
        Form::Json => in_json(body),
        Form::Unclear => Methods::of_pairs(body).and(in_parts(body)).and(in_json(body)),
    }
}

/// The one name that is read in JSON.
const MEMBER: &str = "_method";

/// Of JSON, at whatever depth: the strings of such a name's members.
fn in_json(body: &[u8]) -> Methods {
    // UTF-16 or UTF-32, which Express reads: JSON holds no such byte otherwise.
    if memchr::memchr(0, body).is_some() {
        return Methods::ANY;
    }
    let is_there = |name: &[u8]| memchr::memmem::find(body, name).is_some();
    // Nearly no body has it, or any letter by its number.
    if !is_there(MEMBER.as_bytes()) && !is_there(b"\\u") {
        return Methods::default();
    }
    let (mut found, mut rest, mut named) = (Methods::default(), body, false);
    while let Some(at) = memchr::memchr(b'"', rest) {
        let token = string(rest.get(at..).unwrap_or_default());
        rest = rest.get(at + token.len()..).unwrap_or_default();
        let text = serde_json::from_slice::<Cow<'_, str>>(token).unwrap_or_default();
        if std::mem::take(&mut named) {
            found = found.and(Methods::put(MEMBER.as_bytes(), text.as_bytes()));
        }
        let behind = rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        named = text == MEMBER && behind.is_some_and(|value| value.starts_with(b"\""));
    }
    found
}

/// The string that `text` begins with, quotes and all.
fn string(text: &[u8]) -> &[u8] {
    let mut escaped = false;
    let end = text.iter().enumerate().skip(1).find(|(_, byte)| {
        let ends = **byte == b'"' && !escaped;
        escaped = **byte == b'\\' && !escaped;
        ends
    });
    end.and_then(|(at, _)| text.get(..=at)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &str, body: &str) -> Vec<&'static str> {
        in_body(Some(kind.as_bytes()), false, body.as_bytes()).iter().collect()
    }

    #[test]
    fn a_form_that_names_another_method_is_seen_however_it_is_written() {
        let form = "Application/x-www-form-urlencoded; charset=utf-8";
        for (body, methods) in [
            ("a=1&_method=delete", vec!["DELETE"]),
            ("%5Fmethod=%44ELETE", vec!["DELETE"]),
            ("_method=PUT&_method=GET", vec!["GET", "PUT"]),
            (".method=patch", vec!["PATCH"]),
            ("+_method=DELETE+", vec!["DELETE"]),
            ("payment_method=DELETE&note=method", vec![]),
            ("_method=frobnicate", vec!["_OTHER"]),
            ("", vec![]),
        ] {
            assert_eq!(said(form, body), methods, "{body}");
        }
        assert_eq!(in_body(None, false, b"_method=DELETE").iter().count(), 1, "a body without a type");
        assert_eq!(in_body(Some(b"text/plain"), true, b"_method=DELETE").iter().count(), 1, "of two types");
    }

    #[test]
    fn a_type_that_some_take_for_a_form_is_one() {
        let part = "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n";
        for kind in [
            "application/x-www-form-urlencoded foo",
            "application/x-www-form-urlencoded,foo",
            "application/x-www-form-urlencoded\tx; charset=utf-8",
            "text/plain, application/X-WWW-Form-Urlencoded",
            "text/plain; x=application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded /json",
            " ",
        ] {
            assert_eq!(said(kind, "a=1&_method=DELETE"), ["DELETE"], "{kind}");
            assert_eq!(said(kind, "a=1&note=DELETE"), ["DELETE"; 0], "{kind}");
        }
        for kind in ["multipart/form-data boundary=b", "multipart/form-data, boundary=b", "x Multipart/form-data;boundary=b"] {
            assert_eq!(said(kind, part), ["DELETE"], "{kind}");
        }
        assert_eq!(said("application/x-www-form-urlencoded charset=utf-8", "a"), Methods::ANY.iter().collect::<Vec<_>>());
        for kind in ["text/plain", "application/octet-stream", "application/x-git-receive-pack-request", "image/png"] {
            assert!(!may_name_method(Some(kind.as_bytes()), false), "{kind}");
        }
    }

    #[test]
    fn i2_what_is_in_other_letters_may_name_any_method() {
        let any: Vec<&str> = Methods::ANY.iter().collect();
        let (json, form, parts) = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b");
        for kind in [json, form, parts, "application/vnd.api+json", "text/json", "multipart/mixed; boundary=b"] {
            for charset in [
                "; charset=utf-7",
                "; charset=utf-16be; v=8",
                "; v=8; charset=\"utf-32\"",
                "; Charset = IBM037",
                "; charset=utf-8; charset=utf-16",
                "; charset*=utf-8''utf-16",
                "; charset=\"utf-8",
            ] {
                let kind = format!("{kind}{charset}");
                assert_eq!(said(&kind, "+AF8-method"), any, "{kind}");
                assert_eq!(in_coded(Some(kind.as_bytes()), false), Methods::ANY, "{kind}");
                assert!(!says_nothing(Some(kind.as_bytes()), false, b"\0\0\0\0\x02{}"), "{kind}");
                assert_eq!(said(&kind, ""), ["GET"; 0], "{kind}");
            }
            for charset in ["; charset=utf-8", "; charset=\"UTF-8\"; v=7", "; v=16", "; charset=utf8"] {
                assert_eq!(said(&format!("{kind}{charset}"), "+AF8-method"), ["GET"; 0], "{kind}{charset}");
            }
            for charset in ["us-ascii", "ISO-8859-1"] {
                assert_eq!(said(&format!("{kind}; charset={charset}"), "x"), ["GET"; 0], "{kind} {charset}");
            }
        }
        assert!(says_nothing(Some(b"application/connect+json"), false, b"\0\0\0\0\x02{}"));
        assert!(says_nothing(Some(b"application/grpc+json; charset=utf-8; v=7"), false, b"\0\0\0\0\x02{}"));
        assert_eq!(in_body(None, true, b"x"), Methods::ANY, "two fields, of which either may count");
    }

    /// Each of these would take minutes if every name were looked at to the end of the body.
    #[test]
    fn i7_a_body_that_is_all_names_is_read_in_one_go() {
        for piece in [
            "name=_method;",
            "name=_method\n",
            "name=_method\r\n\r\n",
            "name= ",
            "name=\"",
            "name*0=x ",
            "name==?x?q?",
            "\"_method\":",
            "_method=&",
            "\"\\u005fmethod\":\"\\",
        ] {
            let body = piece.repeat(4 * 1024 * 1024 / piece.len());
            for kind in ["multipart/form-data", "application/x-www-form-urlencoded", "application/json"] {
                said(kind, &body);
            }
        }
        let blank = format!("{}\r\n\r\n{}DELETE", "name=_method;".repeat(160 * 1024), " ".repeat(2 * 1024 * 1024));
        assert_eq!(said("multipart/form-data", &blank), ["DELETE"]);
    }

    #[test]
    fn json_that_names_another_method_is_seen_however_it_is_written() {
        for (body, methods) in [
            (r#"{"_method": "DELETE"}"#, vec!["DELETE"]),
            (r#"{"a": "\"", "_method" : "delete", "_method":"Put"}"#, vec!["DELETE", "PUT"]),
            (r#"{"\u005fmethod": "\u0044ELETE"}"#, vec!["DELETE"]),
            (r#"[{"a": {"_method":"PATCH"}}]"#, vec!["PATCH"]),
            (r#"{"a\\":"","_method":"GET"}"#, vec!["GET"]),
            (r#"{"method": "DELETE", "http_method": "PUT", "a": "_method"}"#, vec![]),
            (r#"{"a": "_method", "b": "DELETE"}"#, vec![]),
            (r#"{"_method": 7, "b": "DELETE"}"#, vec![]),
            (r#"{"_method": "frobnicate"}"#, vec!["_OTHER"]),
            ("{\0\"\0", vec!["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "_OTHER"]),
            (r#"{"_method": "DEL"#, vec![]),
            (r#""_method"#, vec![]),
            (r#"\u"#, vec![]),
            ("", vec![]),
        ] {
            for kind in [
                "application/json",
                "text/JSON; charset=utf-8",
                "application/json; charset=us-ascii",
                "application/vnd.api+json",
            ] {
                assert_eq!(said(kind, body), methods, "{kind} {body}");
            }
        }
        let delete = r#"{"_method": "DELETE"}"#;
        assert_eq!(said("text/plain", delete), ["DELETE"; 0]);
        assert_eq!(said("application/x-www-form-urlencoded; a=/json", delete), ["DELETE"], "Laravel looks anywhere");
    }
}
