//! A credential inside a request body: a member of a JSON text (RFC 8259) or a field of a form, taken out and put in. All other values stay
//! as they were written.

use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::rule::Slot;
use super::slot::{SlotError, parse_plain_name, without_parameter};
use crate::model::{Charset, Members};

/// Members within members within members: deeper is no place of a credential.
const MAX_DEPTH: usize = 8;

/// Why a body can't be looked into, or takes no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It says it is JSON, or looks like it.
    #[error("the body is not valid JSON")]
    NotJson,
    /// `Content-Type` (RFC 9110 §8.3).
    #[error("what the body is, is said twice or in a charset other than UTF-8; say it once")]
    Type,
    /// `Content-Encoding` (RFC 9110 §8.4).
    #[error("the body is compressed, so nothing can be taken out of it or put into it; send it as it is")]
    Encoded,
    /// Neither JSON nor a form, or nothing at all.
    #[error("this service takes its credential inside a JSON or form body, which the request does not have")]
    NoPlace,
}

/// A place in a JSON text: names of members and places in arrays, from the outside in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<Box<str>>);

impl FromStr for Pointer {
    type Err = SlotError;

    /// `api_key`, or as a JSON pointer (RFC 6901) `/params/args/2`.
    fn from_str(text: &str) -> Result<Self, SlotError> {
        let Some(inside) = text.strip_prefix('/') else {
            return Ok(Self(vec![parse_plain_name(text)?.into()]));
        };
        let names: Vec<Box<str>> =
            inside.split('/').map(|name| parse_plain_name(name).map(Into::into)).collect::<Result<_, _>>()?;
        if names.len() > MAX_DEPTH { Err(SlotError::Name(text.to_owned())) } else { Ok(Self(names)) }
    }
}

impl Pointer {
    /// The names on the way, the last one that of the member; of an item its number.
    pub fn names(&self) -> &[Box<str>] {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => formatter.write_str(only),
            names => names.iter().try_for_each(|name| write!(formatter, "/{name}")),
        }
    }
}

/// What a body is, as far as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Form,
    /// Some services read JSON or a form whatever the head says.
    Untold,
    /// Files, streams, other formats: no credential in a place that we know.
    Other,
    /// It says so in more than one way, or in letters that we don't read.
    Doubtful,
}

fn kind(headers: &HeaderMap) -> Kind {
    let mut said = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = said.next() else { return Kind::Untold };
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let read = Charset::of(value.as_bytes()) != Charset::Doubtful;
    let doubtful = said.next().is_some() || essence.contains(',');
    let kind = match essence {
        _ if doubtful => Kind::Doubtful,
        "application/x-www-form-urlencoded" => Kind::Form,
        "" | "text/plain" => Kind::Untold,
        essence if essence == "application/json" || essence == "text/json" || essence.ends_with("+json") => Kind::Json,
        _ => Kind::Other,
    };
    if !read && matches!(kind, Kind::Form | Kind::Json) { Kind::Doubtful } else { kind }
}

/// Whether a body behind `headers` could be a form to some service.
pub(super) fn may_be_form(headers: &HeaderMap) -> bool {
    matches!(kind(headers), Kind::Form | Kind::Untold | Kind::Doubtful)
}

/// Whether a body behind `headers` must be at hand to empty `slots`.
pub fn slots_in_body(slots: &[Slot], headers: &HeaderMap) -> bool {
    let within = |slot: &Slot| match slot {
        Slot::Json(_) => matches!(kind(headers), Kind::Json | Kind::Untold | Kind::Doubtful),
        Slot::Form(_) => matches!(kind(headers), Kind::Form | Kind::Untold | Kind::Doubtful),
        Slot::Header(_) | Slot::Query(_) | Slot::Cookie(_) | Slot::Path(_) => false,
    };
    slots.iter().any(within)
}

/// `body` without what a caller put into `slots`; `None` where nothing was there.
///
/// # Errors
/// A body that can't be looked into: what is in doubt is not passed on.
pub fn strip_body(slots: &[Slot], headers: &HeaderMap, body: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, BodyError> {
    if body.is_empty() || !slots_in_body(slots, headers) {
        return Ok(None);
    }
    let text = readable(headers, body)?;
    let json = reads_as_json(headers, body);
    let mut emptied: Option<Zeroizing<Vec<u8>>> = None;
    for slot in slots {
        let text = match &emptied {
            Some(emptied) => std::str::from_utf8(emptied).map_err(|_cut| BodyError::NotJson)?,
            None => text,
        };
        let without = match slot {
            Slot::Json(pointer) if json => rewrite(text, &pointer.0, None)?,
            Slot::Form(name) if !json => without_parameter(text, name).map(|rest| Zeroizing::new(rest.into_bytes())),
            _ => None,
        };
        emptied = without.or(emptied);
    }
    Ok(emptied)
}

/// Puts `value` into `body` where `slot` says, in place of whatever was there.
///
/// # Errors
/// A body without such a place.
pub(super) fn put_in(slot: &Slot, value: &str, headers: &HeaderMap, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let text = readable(headers, body)?;
    let json = reads_as_json(headers, body);
    match slot {
        Slot::Json(pointer) if json && !body.is_empty() => {
            let quoted = Zeroizing::new(serde_json::to_string(value).map_err(|_never| BodyError::NotJson)?);
            rewrite(text, &pointer.0, Some(&quoted))?.ok_or(BodyError::NoPlace)
        }
        Slot::Form(name) if matches!(kind(headers), Kind::Form) => {
            let rest = Zeroizing::new(without_parameter(text, name).unwrap_or_else(|| text.to_owned()));
            let encoded = super::prepared::escaped(value);
            let between = if rest.is_empty() { "" } else { "&" };
            Ok(Zeroizing::new([rest.as_str(), between, name, "=", &encoded].concat().into_bytes()))
        }
        _ => Err(BodyError::NoPlace),
    }
}

fn readable<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<&'b str, BodyError> {
    let plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Err(BodyError::Encoded);
    }
    let text = std::str::from_utf8(body).map_err(|_bytes| BodyError::NotJson)?;
    let other_letters = text.starts_with('\u{feff}') || text.starts_with('\0') || text.get(1..2) == Some("\0");
    match kind(headers) {
        Kind::Doubtful => Err(BodyError::Type),
        Kind::Untold if other_letters => Err(BodyError::Type),
        _ => Ok(text),
    }
}

fn reads_as_json(headers: &HeaderMap, body: &[u8]) -> bool {
    match kind(headers) {
        Kind::Json => true,
        // What only begins like it may be a form's field to whoever expects one.
        Kind::Untold => {
            matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) && serde_json::from_slice::<&RawValue>(body).is_ok()
        }
        Kind::Form | Kind::Other | Kind::Doubtful => false,
    }
}

/// An object or an array, one level deep.
enum Node<'a> {
    Object(Vec<(String, &'a RawValue)>),
    Array(Vec<&'a RawValue>),
    Leaf,
}

fn node(text: &str) -> Result<Node<'_>, BodyError> {
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'{') => serde_json::from_str(text).map(|Members(members)| Node::Object(members)),
        Some(b'[') => serde_json::from_str(text).map(Node::Array),
        _ => serde_json::from_str(text).map(|_value: &RawValue| Node::Leaf),
    }
    .map_err(|_malformed| BodyError::NotJson)
}

/// Many services read names without regard to letter case.
fn same(one: &str, two: &str) -> bool {
    // The Kelvin sign and the long s are k and s to whoever folds all of Unicode.
    let folded = |text: &str| text.replace('\u{212a}', "k").replace('\u{17f}', "s");
    one.eq_ignore_ascii_case(two) || (!one.is_ascii() && folded(one).eq_ignore_ascii_case(two))
}

/// `text` with `value` (JSON) at `path`, or with nothing there; `None` where nothing changes.
fn rewrite(text: &str, path: &[Box<str>], value: Option<&str>) -> Result<Option<Zeroizing<Vec<u8>>>, BodyError> {
    let Some((name, inner)) = path.split_first() else { return Ok(None) };
    let mut out = Json::new(text.len() + value.map_or(0, str::len) + name.len());
    let changed = match node(text)? {
        Node::Leaf => false,
        Node::Object(members) => out.object(members, (name, inner), value)?,
        Node::Array(items) => out.array(items, (name, inner), value)?,
    };
    match (changed, value) {
        (true, _) => Ok(Some(out.0)),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(BodyError::NoPlace),
    }
}

/// JSON being written, with all the room that it will need: what moves to a larger place leaves a copy behind.
struct Json(Zeroizing<Vec<u8>>);

/// The name or number of a child, and the rest of the way.
type Step<'p> = (&'p str, &'p [Box<str>]);

impl Json {
    fn new(room: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(room + 64)))
    }

    fn object(
        &mut self,
        members: Vec<(String, &RawValue)>,
        (name, inner): Step<'_>,
        value: Option<&str>,
    ) -> Result<bool, BodyError> {
        let mut changed = false;
        let mut put = value.filter(|_| inner.is_empty());
        self.0.push(b'{');
        for (own, raw) in members {
            if !same(&own, name) {
                self.member(&own, raw.get().as_bytes())?;
                continue;
            }
            let child = if inner.is_empty() { None } else { rewrite(raw.get(), inner, value)? };
            changed |= child.is_some() || inner.is_empty();
            match (child, inner.is_empty()) {
                (Some(child), _) => self.member(&own, &child)?,
                (None, false) => self.member(&own, raw.get().as_bytes())?,
                (None, true) => put.take().map_or(Ok(()), |value| self.member(name, value.as_bytes()))?,
            }
        }
        if let Some(value) = put {
            self.member(name, value.as_bytes())?;
            changed = true;
        }
        self.0.push(b'}');
        Ok(changed)
    }

    fn array(&mut self, items: Vec<&RawValue>, (name, inner): Step<'_>, value: Option<&str>) -> Result<bool, BodyError> {
        let wanted: Option<usize> = name.parse().ok();
        let mut changed = false;
        self.0.push(b'[');
        for (at, raw) in items.into_iter().enumerate() {
            let child = match (wanted == Some(at), inner.is_empty()) {
                (false, _) => None,
                (true, true) => Some(Zeroizing::new(value.unwrap_or("null").as_bytes().to_vec())),
                (true, false) => rewrite(raw.get(), inner, value)?,
            };
            changed |= child.is_some();
            self.comma();
            self.0.extend_from_slice(child.as_ref().map_or(raw.get().as_bytes(), |child| child));
        }
        self.0.push(b']');
        Ok(changed)
    }

    fn member(&mut self, name: &str, value: &[u8]) -> Result<(), BodyError> {
        self.comma();
        serde_json::to_writer(&mut *self.0, name).map_err(|_never| BodyError::NotJson)?;
        self.0.push(b':');
        self.0.extend_from_slice(value);
        Ok(())
    }

    fn comma(&mut self) {
        if !matches!(self.0.last(), Some(b'{' | b'[')) {
            self.0.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const JSON: &str = "application/json; charset=utf-8";
    const FORM: &str = "application/x-www-form-urlencoded";

    fn headers(kind: &'static str) -> HeaderMap {
        [(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect()
    }

    fn slots(texts: &[&str]) -> Vec<Slot> {
        texts.iter().map(|text| text.parse().expect("a slot")).collect()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    fn stripped(slot: &str, kind: &'static str, body: &str) -> Option<String> {
        strip_body(&slots(&[slot]), &headers(kind), body.as_bytes()).expect("readable").map(|bytes| text(&bytes))
    }

    fn put(slot: &str, kind: &'static str, body: &str) -> Result<String, BodyError> {
        put_in(&slot.parse().expect("a slot"), "s\"é&", &headers(kind), body.as_bytes()).map(|bytes| text(&bytes))
    }

    #[test]
    fn i2_a_member_goes_under_every_spelling_and_the_rest_stays_as_it_was_written() {
        let body = r#" {"n": 1.50000000000000000001, "api_key":"theirs","api_\u212aey":1, "a":{"api_key":1} ,"Api_Key":[2], "api_\u006bey":3} "#;
        assert_eq!(stripped("json:api_key", JSON, body).as_deref(), Some(r#"{"n":1.50000000000000000001,"a":{"api_key":1}}"#));
        assert_eq!(stripped("json:api_key", JSON, r#"{"api":{"key":1}}"#), None);
        assert_eq!(stripped("json:api_key", JSON, r#"[{"api_key":1}]"#), None);
        assert_eq!(stripped("json:api_key", "text/plain", r#" {"api_key":1}"#).as_deref(), Some("{}"));
        assert_eq!(stripped("json:api_key", FORM, "{\"api_key\":1}"), None);
    }

    #[test]
    fn a_place_deeper_down_is_found_by_a_pointer() {
        let body = r#"{"method":"call","params":{"args":["db",7,"theirs",{}]}}"#;
        assert_eq!(
            stripped("json:/params/args/2", JSON, body).as_deref(),
            Some(r#"{"method":"call","params":{"args":["db",7,null,{}]}}"#)
        );
        let put_in = put("json:/params/args/2", JSON, body).expect("a place");
        assert_eq!(put_in, r#"{"method":"call","params":{"args":["db",7,"s\"é&",{}]}}"#);
        for body in [r#"{"params":{"args":["db"]}}"#, r#"{"params":7}"#, "{}", "7"] {
            assert_eq!(put("json:/params/args/2", JSON, body), Err(BodyError::NoPlace), "{body}");
        }
    }

    #[test]
    fn a_member_is_replaced_in_its_place_or_added_at_the_end_once() {
        let replaced = put("json:key", JSON, r#"{"a":1,"KEY":"x","b":2,"key":"y"}"#).expect("a place");
        assert_eq!(replaced, r#"{"a":1,"key":"s\"é&","b":2}"#);
        assert_eq!(put("json:key", JSON, "{}").as_deref(), Ok(r#"{"key":"s\"é&"}"#));
        assert_eq!(put("json:key", JSON, r#"{"a":1}"#).as_deref(), Ok(r#"{"a":1,"key":"s\"é&"}"#));
    }

    #[test]
    fn a_form_field_goes_and_comes_as_a_query_parameter_does() {
        assert_eq!(stripped("form:token", FORM, "a=1&token=theirs&TOKEN[]=x&b=%20+").as_deref(), Some("a=1&b=%20+"));
        assert_eq!(put("form:token", FORM, "a=1&token=x").as_deref(), Ok("a=1&token=s%22%C3%A9%26"));
        assert_eq!(put("form:token", FORM, "").as_deref(), Ok("token=s%22%C3%A9%26"));
        assert_eq!(put("form:token", JSON, "{}"), Err(BodyError::NoPlace));
    }

    #[test]
    fn i2_what_cannot_be_looked_into_is_refused_and_files_are_left_alone() {
        let slots = slots(&["json:key", "form:key"]);
        let strip = |headers: &HeaderMap, body: &[u8]| strip_body(&slots, headers, body).map(|_| ());
        for body in [&b"{"[..], b"{\"a\":1}x", b"\xef\xbb\xbf{}", b"\xff", b"{'key':1}"] {
            assert_eq!(strip(&headers(JSON), body), Err(BodyError::NotJson), "{body:?}");
        }
        let mut compressed = headers(JSON);
        compressed.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(strip(&compressed, b"\x1f\x8b"), Err(BodyError::Encoded));
        assert_eq!(strip(&headers("multipart/form-data; boundary=x"), b"\xff{"), Ok(()));
        let mut twice = headers("text/plain");
        twice.append(CONTENT_TYPE, HeaderValue::from_static(JSON));
        for doubtful in [
            twice,
            headers("application/json, text/plain"),
            headers("application/json; charset=utf-16"),
            headers("application/json; charset = utf-16; v=8"),
            headers("application/vnd.api+json; charset=utf-7"),
            headers("application/x-www-form-urlencoded;charset=ibm037"),
        ] {
            assert_eq!(strip(&doubtful, b"{}"), Err(BodyError::Type), "{doubtful:?}");
        }
        assert_eq!(strip(&HeaderMap::new(), b"\xef\xbb\xbf{}"), Err(BodyError::Type));
        // A form to whoever expects one, whatever it begins with.
        let form = strip_body(&slots, &HeaderMap::new(), b"{&key=theirs&a=1").expect("readable").map(|bytes| text(&bytes));
        assert_eq!(form.as_deref(), Some("{&a=1"));
        assert!(!slots_in_body(&slots, &headers("application/octet-stream")));
        assert!(slots_in_body(&slots, &HeaderMap::new()) && slots_in_body(&slots, &headers("application/vnd.api+json")));
    }

    #[test]
    fn i7_depth_is_bounded() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let changed = strip_body(&slots(&["json:/0/0"]), &headers(JSON), deep.as_bytes()).expect("readable");
        assert_eq!(changed.map(|bytes| text(&bytes)).as_deref(), Some("[[null]]"));
        assert!("json:/a/b/c/d/e/f/g/h/i".parse::<Slot>().is_err());
    }
}
