//! Methods that a body puts in the place of the request's, for services that read it so: forms (Rails, Laravel, Symfony), and JSON (Laravel,
//! whose input is the JSON where the type says so, and what `method-override` of Express is shown to do).

use std::borrow::Cow;

use crate::model::Methods;

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
    let json = is_json(kind);
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let form = match () {
        () if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") => Some(Form::Urlencoded),
        // Rack takes the other kinds for forms as well.
        () if essence.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/")) => Some(Form::Multipart),
        // Rack reads a body without a type as a form.
        () if essence.is_empty() => Some(Form::Unclear),
        () => return json.then_some(Form::Json),
    };
    if json { Some(Form::Unclear) } else { form }
}

/// As Laravel asks: by letters anywhere in it.
fn is_json(kind: &[u8]) -> bool {
    let is_behind = |at: usize| kind.get(at + 1..at + 5).is_some_and(|word| word.eq_ignore_ascii_case(b"json"));
    memchr::memchr2_iter(b'/', b'+', kind).any(is_behind)
}

/// Whether services may read another method in the body of a POST of this type.
pub(super) fn may_name_method(kind: Option<&[u8]>, ambiguous: bool) -> bool {
    form(kind, ambiguous).is_some()
}

/// What a body of this type may say that is coded. JSON is coded often, and read for a method by hardly anybody who also decodes it.
pub(super) fn in_coded(kind: Option<&[u8]>, ambiguous: bool) -> Methods {
    match form(kind, ambiguous) {
        None | Some(Form::Json) => Methods::default(),
        Some(Form::Urlencoded | Form::Multipart | Form::Unclear) => Methods::ANY,
    }
}

/// What a body of this type says.
pub(super) fn in_body(kind: Option<&[u8]>, ambiguous: bool, body: &[u8]) -> Methods {
    match form(kind, ambiguous) {
        None => Methods::default(),
        Some(Form::Urlencoded) => Methods::of_pairs(body),
        Some(Form::Multipart) => in_parts(body),
        Some(Form::Json) => in_json(body),
        Some(Form::Unclear) => Methods::of_pairs(body).and(in_parts(body)).and(in_json(body)),
    }
}

/// The one name that is read in JSON.
const MEMBER: &str = "_method";

/// Of JSON, at whatever depth: the strings of such a name's members.
fn in_json(body: &[u8]) -> Methods {
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
            found = found.and(Methods::named(text.as_bytes()));
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

/// Of a multipart body (RFC 7578), whatever its boundary is: what stands behind the head of each part of such a name.
fn in_parts(body: &[u8]) -> Methods {
    let names = memchr::memmem::find_iter(body, b"=").filter(|at| {
        let before = body.get(..*at).unwrap_or_default().trim_ascii_end();
        let Some((rest, word)) = before.split_last_chunk::<4>() else { return false };
        // And not the end of `filename`.
        word.eq_ignore_ascii_case(b"name") && !rest.last().is_some_and(u8::is_ascii_alphanumeric)
    });
    names.fold(Methods::default(), |found, at| {
        // A field's value may go on in the next line (RFC 5322 section 2.2.3).
        let rest = body.get(at + 1..).unwrap_or_default().trim_ascii_start();
        let line = rest.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let name = match line.split_first() {
            Some((quote @ (b'"' | b'\''), inside)) => inside.split(|byte| byte == quote).next(),
            _ => line.split(|byte| matches!(byte, b';' | b' ')).next(),
        };
        // Within quotes `\` stands before any letter (RFC 9110 section 5.6.4).
        let name: Vec<u8> = name.unwrap_or_default().iter().filter(|byte| **byte != b'\\').copied().collect();
        if !Methods::are_named_by(&name) {
            return found;
        }
        let lines = rest.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        found.and(lines.skip_while(|line| !line.is_empty()).nth(1).map(Methods::named).unwrap_or_default())
    })
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
            ("_method=frobnicate", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(said(form, body), methods, "{body}");
        }
        let part = |name: &str| {
            format!("--b\r\nContent-Disposition: form-data; {name}\r\nContent-Type: text/plain\r\n\r\ndelete\r\n--b--\r\n")
        };
        for name in [
            "name=\"_method\"",
            "name=_method",
            "NAME = \"_Method\"; x=y",
            "name='_method'",
            "name=\r\n \"_method\"",
            "name=\"_met\\hod\"",
            "name=\"_method\0x\"",
        ] {
            assert_eq!(said("multipart/form-data; boundary=b", &part(name)), ["DELETE"], "{name}");
        }
        assert_eq!(said("multipart/form-data; boundary=b", &part("name=\"file\"; filename=\"_method\"")), ["DELETE"; 0]);
        assert_eq!(said("Multipart/Mixed; boundary=b", &part("name=_method")), ["DELETE"]);
        assert_eq!(in_body(None, false, b"_method=DELETE").iter().count(), 1, "a body without a type");
        assert_eq!(in_body(Some(b"text/plain"), true, b"_method=DELETE").iter().count(), 1, "of two types");
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
            (r#"{"_method": "frobnicate"}"#, vec![]),
            (r#"{"_method": "DEL"#, vec![]),
            (r#""_method"#, vec![]),
            (r#"\u"#, vec![]),
            ("", vec![]),
        ] {
            for kind in ["application/json", "text/JSON; charset=utf-8", "application/vnd.api+json"] {
                assert_eq!(said(kind, body), methods, "{kind} {body}");
            }
        }
        let delete = r#"{"_method": "DELETE"}"#;
        assert_eq!(said("text/plain", delete), ["DELETE"; 0]);
        assert_eq!(said("application/x-www-form-urlencoded; a=/json", delete), ["DELETE"], "Laravel looks anywhere");
    }
}
