//! Methods that a form puts in the place of the request's, for services that read it so (Rails, Laravel, Symfony).

use crate::model::Methods;

/// What a request's `Content-Type` says of forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Urlencoded,
    Multipart,
    /// Services read it as either, or as none.
    Unclear,
}

fn form(kind: Option<&[u8]>, ambiguous: bool) -> Option<Form> {
    let Some(kind) = kind.filter(|_| !ambiguous) else { return Some(Form::Unclear) };
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match () {
        () if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") => Some(Form::Urlencoded),
        // Rack takes the other kinds for forms as well.
        () if essence.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/")) => Some(Form::Multipart),
        // Rack reads a body without a type as a form.
        () if essence.is_empty() => Some(Form::Unclear),
        () => None,
    }
}

/// Whether services may read a form in the body of a POST of this type, and by it another method.
pub(crate) fn may_be_form(kind: Option<&[u8]>, ambiguous: bool) -> bool {
    form(kind, ambiguous).is_some()
}

/// What a form of this type says.
pub(crate) fn in_form(kind: Option<&[u8]>, ambiguous: bool, body: &[u8]) -> Methods {
    match form(kind, ambiguous) {
        None => Methods::default(),
        Some(Form::Urlencoded) => Methods::of_pairs(body),
        Some(Form::Multipart) => in_parts(body),
        Some(Form::Unclear) => Methods::of_pairs(body).and(in_parts(body)),
    }
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
        in_form(Some(kind.as_bytes()), false, body.as_bytes()).iter().collect()
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
        assert_eq!(said("application/json", "{\"_method\": \"DELETE\"}"), ["DELETE"; 0]);
        assert_eq!(in_form(None, false, b"_method=DELETE").iter().count(), 1, "a body without a type");
        assert_eq!(in_form(Some(b"text/plain"), true, b"_method=DELETE").iter().count(), 1, "of two types");
    }
}
