//! A token request as a caller sends it: which grant, and what for. Nothing else of it is kept.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::model::Charset;

/// RFC 6749 §4 and §6 and its extensions.
#[derive(Default)]
pub(crate) struct Asked {
    /// What buys the token.
    pub(crate) grant: AskedGrant,
    /// RFC 6749 §3.3.
    pub(crate) scope: Option<String>,
    /// The caller's own, which stays what it was (RFC 6749 §6).
    pub(crate) refresh_token: Option<Zeroizing<String>>,
    /// RFC 8628 §3.4.
    pub(crate) device_code: Option<Zeroizing<String>>,
    /// RFC 6749 §2.2.
    pub(crate) client_id: Option<Zeroizing<String>>,
    /// RFC 6749 §2.3.1; public clients show none.
    pub(crate) client_secret: Option<Zeroizing<String>>,
}

/// What a `grant_type` means to us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum AskedGrant {
    /// A refresh token (RFC 6749 §6).
    Renewal,
    /// A password (RFC 6749 §4.3).
    Password,
    /// A client's secret or a signed assertion (RFC 6749 §4.4, RFC 7521 §4): the answer holds none.
    Machine,
    /// A token of another issuer (RFC 8693).
    Exchange,
    /// A person's log-in, and what we don't know.
    #[default]
    Other,
}

/// Why a request is none (RFC 6749 §5.2 `invalid_request`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRequest {
    #[error("what the body is, is said twice, or it is neither a form nor JSON")]
    Type,
    #[error("the body is compressed")]
    Encoded,
    #[error("the body is not what its Content-Type says")]
    Unreadable,
    #[error("grant_type is missing")]
    NoGrant,
    #[error("a parameter is there more than once")]
    Twice,
    #[error("grant_type is one of a program's own, and there is a code of a person's log-in")]
    TwoGrants,
}

const GRANTS: [(&str, AskedGrant); 8] = [
    ("refresh_token", AskedGrant::Renewal),
    ("password", AskedGrant::Password),
    ("client_credentials", AskedGrant::Machine),
    ("account_credentials", AskedGrant::Machine), // Zoom
    ("https://oauth.reddit.com/grants/installed_client", AskedGrant::Machine), // Reddit: a device without a person
    ("urn:ietf:params:oauth:grant-type:jwt-bearer", AskedGrant::Machine),
    ("urn:ietf:params:oauth:grant-type:saml2-bearer", AskedGrant::Machine),
    ("urn:ietf:params:oauth:grant-type:token-exchange", AskedGrant::Exchange),
];

/// The parameters that are read; the others are no business of ours.
#[derive(Default, Deserialize)]
struct Parameters {
    grant_type: Option<Text>,
    scope: Option<Text>,
    refresh_token: Option<Text>,
    /// RFC 6749 §4.1.3. GitHub and Slack take one without a `grant_type`.
    code: Option<Text>,
    device_code: Option<Text>,
    client_id: Option<Text>,
    client_secret: Option<Text>,
}

/// A text; `None` where a JSON text has something else there.
#[derive(Deserialize)]
#[serde(from = "serde_json::Value")]
struct Text(Option<Zeroizing<String>>);

impl From<serde_json::Value> for Text {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::String(text) => Self(Some(Zeroizing::new(text))),
            _ => Self(None),
        }
    }
}

enum Kind {
    Form,
    Json,
    /// Nobody says: what begins with a brace is JSON.
    Untold,
}

/// Reads a request with this body. Some programs write parameters into the query (Zoom's do), so both count.
///
/// # Errors
/// As [`InvalidRequest`] says.
pub(crate) fn read_request(query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Result<Asked, InvalidRequest> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Err(InvalidRequest::Encoded);
    }
    let json = match kind(headers)? {
        _ if body.is_empty() => false,
        Kind::Form => false,
        Kind::Json => true,
        Kind::Untold => body.trim_ascii_start().starts_with(b"{"),
    };
    let mut parameters = form(query.unwrap_or_default(), Parameters::default())?;
    if json {
        add_json(body, &mut parameters)?;
    } else {
        parameters = form(std::str::from_utf8(body).map_err(|_binary| InvalidRequest::Unreadable)?, parameters)?;
    }
    let text = |text: Option<Text>| text.and_then(|text| text.0).filter(|text| !text.is_empty());
    let grant = match (text(parameters.grant_type), text(parameters.code)) {
        (Some(said), _) => GRANTS.iter().find(|(word, _)| *word == *said).map_or(AskedGrant::Other, |(_, grant)| *grant),
        (None, Some(_)) => AskedGrant::Other,
        (None, None) => return Err(InvalidRequest::NoGrant),
    };
    // GitHub and Slack take a code whatever the grant is called.
    if grant != AskedGrant::Other && (query.is_some_and(form_has_code) || has_code(json, body)) {
        return Err(InvalidRequest::TwoGrants);
    }
    let scope = text(parameters.scope).map(|scope| scope.to_string());
    let refresh_token = text(parameters.refresh_token);
    let device_code = text(parameters.device_code);
    let shown = (text(parameters.client_id), text(parameters.client_secret));
    let (client_id, client_secret) = if shown.1.is_some() { shown } else { by_basic(headers).unwrap_or(shown) };
    Ok(Asked { grant, scope, refresh_token, device_code, client_id, client_secret })
}

/// Adds what a JSON object says.
fn add_json(body: &[u8], parameters: &mut Parameters) -> Result<(), InvalidRequest> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(InvalidRequest::Unreadable);
    }
    let said: Parameters = serde_json::from_slice(body).map_err(|error| match error.to_string() {
        text if text.starts_with("duplicate field") => InvalidRequest::Twice,
        _ => InvalidRequest::Unreadable,
    })?;
    put(&mut parameters.grant_type, said.grant_type)?;
    put(&mut parameters.scope, said.scope)?;
    put(&mut parameters.refresh_token, said.refresh_token)?;
    put(&mut parameters.code, said.code)?;
    put(&mut parameters.device_code, said.device_code)?;
    put(&mut parameters.client_id, said.client_id)?;
    put(&mut parameters.client_secret, said.client_secret)
}

/// Whether a body has a code.
fn has_code(json: bool, body: &[u8]) -> bool {
    if json {
        let members = serde_json::from_slice::<HashMap<String, IgnoredAny>>(body).unwrap_or_default();
        return members.keys().any(|name| is_code(name));
    }
    std::str::from_utf8(body).is_ok_and(form_has_code)
}

/// Some split forms at `;` too.
fn form_has_code(written: &str) -> bool {
    written.split(['&', ';']).any(|pair| is_code(&decoded(pair.split('=').next().unwrap_or_default())))
}

/// `code`, `device_code` and the like, as the most lenient reader names them: `code[]` and ` Code` too.
fn is_code(name: &str) -> bool {
    let name = name.split('[').next().unwrap_or_default();
    name.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control()).to_ascii_lowercase().ends_with("code")
}

/// A request to end a token (RFC 7009 §2.1), or for word of one (RFC 7662 §2.1).
#[derive(Default)]
pub(crate) struct AskedAbout {
    /// The tokens that it names, by whichever parameter.
    pub(crate) tokens: Vec<Zeroizing<String>>,
    /// RFC 6749 §2.2.
    pub(crate) client_id: Option<String>,
}

/// The standard's word first; GitHub, Miro and Square have others.
const ABOUT: [&str; 3] = ["token", "access_token", "refresh_token"];

/// Reads such a request: query, and form or JSON, whatever it calls itself. What can't be read names nothing.
pub(crate) fn read_about(query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> AskedAbout {
    let mut asked = AskedAbout::default();
    let mut take = |name: &str, value: &str| match name {
        _ if value.is_empty() => {}
        "client_id" => asked.client_id = Some(value.to_owned()),
        name if ABOUT.contains(&name) => asked.tokens.push(Zeroizing::new(value.to_owned())),
        _ => {}
    };
    let json = body.trim_ascii_start().starts_with(b"{");
    let form = if json { None } else { std::str::from_utf8(body).ok() };
    for pair in query.into_iter().chain(form).flat_map(|written| written.split('&')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        take(&decoded(name), &Zeroizing::new(decoded(value).into_owned()));
    }
    if json && let Ok(mut said) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) {
        for (name, value) in &said {
            take(name, value.as_str().unwrap_or_default());
        }
        said.values_mut().for_each(super::granted::wipe);
    }
    if asked.client_id.is_none() {
        asked.client_id = by_basic(headers).and_then(|(id, _secret)| id).map(|id| id.to_string());
    }
    asked
}

/// Id and secret.
type Client = (Option<Zeroizing<String>>, Option<Zeroizing<String>>);

/// Both form-encoded in `Basic` (RFC 6749 §2.3.1).
fn by_basic(headers: &HeaderMap) -> Option<Client> {
    let (scheme, rest) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
    let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    let text = |text: &str| Some(Zeroizing::new(decoded(text).into_owned())).filter(|text| !text.is_empty());
    Some((text(id), text(secret)))
}

fn kind(headers: &HeaderMap) -> Result<Kind, InvalidRequest> {
    let mut said = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = said.next() else { return Ok(Kind::Untold) };
    if said.next().is_some() {
        return Err(InvalidRequest::Type);
    }
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    // In another alphabet (EBCDIC) the same bytes are other parameters.
    if Charset::of(value.as_bytes()) == Charset::Doubtful {
        return Err(InvalidRequest::Type);
    }
    match text.split(';').next().unwrap_or_default().trim() {
        "application/x-www-form-urlencoded" => Ok(Kind::Form),
        "application/json" => Ok(Kind::Json),
        "" | "text/plain" => Ok(Kind::Untold),
        _ => Err(InvalidRequest::Type),
    }
}

/// Adds what a form (or a query, which is written alike) says.
fn form(written: &str, mut parameters: Parameters) -> Result<Parameters, InvalidRequest> {
    let pairs = written.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let text = |value: &str| Text(Some(Zeroizing::new(decoded(value).into_owned())));
    for (name, value) in pairs {
        match &*decoded(name) {
            "grant_type" => put(&mut parameters.grant_type, Some(text(value)))?,
            "scope" => put(&mut parameters.scope, Some(text(value)))?,
            "refresh_token" => put(&mut parameters.refresh_token, Some(text(value)))?,
            "code" => put(&mut parameters.code, Some(text(value)))?,
            "device_code" => put(&mut parameters.device_code, Some(text(value)))?,
            "client_id" => put(&mut parameters.client_id, Some(text(value)))?,
            "client_secret" => put(&mut parameters.client_secret, Some(text(value)))?,
            _ => {}
        }
    }
    Ok(parameters)
}

/// RFC 6749 §3.2: none is there more than once.
fn put<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), InvalidRequest> {
    match (&place, &value) {
        (Some(_), Some(_)) => return Err(InvalidRequest::Twice),
        (None, Some(_)) => *place = value,
        (_, None) => {}
    }
    Ok(())
}

/// What stands in a form or a query as `text` (URL Standard §5.1).
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let plain = percent_decode_str(&spaced).decode_utf8_lossy().into_owned();
    if plain == text { Cow::Borrowed(text) } else { Cow::Owned(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn read(kind: &str, query: Option<&str>, body: &str) -> Result<Asked, InvalidRequest> {
        let mut headers = HeaderMap::new();
        for kind in kind.split('|').filter(|kind| !kind.is_empty()) {
            headers.append(CONTENT_TYPE, kind.parse().expect("a value"));
        }
        read_request(query, &headers, body.as_bytes())
    }

    fn grant(kind: &str, query: Option<&str>, body: &str) -> Result<AskedGrant, InvalidRequest> {
        read(kind, query, body).map(|asked| asked.grant)
    }

    #[test]
    fn a_grant_is_read_from_form_json_and_query() {
        use AskedGrant::{Exchange, Machine, Other, Password, Renewal};
        let jwt = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=x";
        assert_eq!(grant(FORM, None, jwt), Ok(Machine));
        assert_eq!(grant("Application/X-WWW-form-urlencoded; charset=UTF-8", None, "grant%5ftype=password"), Ok(Password));
        assert_eq!(grant("", None, "a=b&grant_type=authorization_code&code=c"), Ok(Other));
        assert_eq!(grant("", None, " {\"grant_type\":\"refresh_token\"}"), Ok(Renewal));
        assert_eq!(grant(FORM, None, "client_id=a&client_secret=b&code=c"), Ok(Other));
        let exchange = r#"{"grant_type":"urn:ietf:params:oauth:grant-type:token-exchange","x":{"grant_type":1}}"#;
        assert_eq!(grant("application/json", None, exchange), Ok(Exchange));
        assert_eq!(grant("", Some("grant_type=account_credentials&account_id=1"), ""), Ok(Machine));
        assert_eq!(grant("application/json", Some("grant_type=client_credentials"), ""), Ok(Machine));
        let device = "grant_type=https%3A%2F%2Foauth.reddit.com%2Fgrants%2Finstalled_client&device_id=d";
        assert_eq!(grant(FORM, None, device), Ok(Machine));
        let scoped = read(FORM, None, "scope=a+b%20c&grant_type=client_credentials").expect("a request");
        assert_eq!(scoped.scope.as_deref(), Some("a b c"));
        let listed = read("application/json", None, r#"{"scope":["a"],"refresh_token":"r/1","grant_type":"refresh_token"}"#);
        let listed = listed.expect("a request");
        assert_eq!((listed.scope, listed.refresh_token.as_deref().map(String::as_str)), (None, Some("r/1")));
    }

    #[test]
    fn the_client_is_read_from_where_it_shows_itself() {
        let client = |headers: &HeaderMap, body: &str| {
            let asked =
                read_request(None, headers, format!("grant_type=authorization_code&{body}").as_bytes()).expect("a request");
            (asked.client_id.map(|id| id.to_string()), asked.client_secret.map(|secret| secret.to_string()))
        };
        let pair = |id: &str, secret: &str| (Some(id.to_owned()), Some(secret.to_owned()));
        assert_eq!(client(&HeaderMap::new(), "client_id=a%20b&client_secret=s%2B"), pair("a b", "s+"));
        assert_eq!(client(&HeaderMap::new(), "client_id=public"), (Some("public".to_owned()), None));
        // `a b:s+`, each half as a form writes it (RFC 6749 appendix B).
        let basic = format!("bASIC {}", STANDARD.encode("a+b:s%2B"));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(basic).expect("a value"))]);
        assert_eq!(client(&headers, ""), pair("a b", "s+"));
        assert_eq!(client(&headers, "client_id=c&client_secret=d"), pair("c", "d"));
        let bearer = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
        assert_eq!(client(&bearer, ""), (None, None));
    }

    #[test]
    fn a_token_that_is_asked_about_is_read_from_query_form_and_json() {
        let read = |query: Option<&str>, body: &str| {
            let asked = read_about(query, &HeaderMap::new(), body.as_bytes());
            (asked.tokens.iter().map(|token| token.to_string()).collect::<Vec<_>>(), asked.client_id)
        };
        let owned = |tokens: &[&str], client: Option<&str>| {
            (tokens.iter().map(|token| (*token).to_owned()).collect::<Vec<_>>(), client.map(str::to_owned))
        };
        assert_eq!(read(Some("token=a%2Fb"), ""), owned(&["a/b"], None));
        assert_eq!(read(None, "token=a+b&token_type_hint=refresh_token&client_id=c"), owned(&["a b"], Some("c")));
        assert_eq!(read(Some("x=1"), r#" {"access_token":"a","client_id":"c","token":7}"#), owned(&["a"], Some("c")));
        assert_eq!(read(Some("token=a"), "token=b"), owned(&["a", "b"], None));
        for odd in ["", "{", "[\"token\"]", "token=", "token"] {
            assert_eq!(read(None, odd), owned(&[], None), "{odd}");
        }
        let basic = format!("Basic {}", STANDARD.encode("a+b:s"));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(basic).expect("a value"))]);
        assert_eq!(read_about(None, &headers, b"token=t").client_id.as_deref(), Some("a b"));
    }

    #[test]
    fn what_is_in_doubt_is_no_request() {
        use InvalidRequest::{NoGrant, Twice, Type, Unreadable};
        for (kind, query, body, wrong) in [
            (FORM, None, "", NoGrant),
            (FORM, None, "grant_type=&a=b", NoGrant),
            (FORM, None, r#"{"grant_type":"password"}"#, NoGrant),
            (FORM, None, "grant_type=password&grant_type=client_credentials", Twice),
            (FORM, None, "grant_type=password&grant%5Ftype=password", Twice),
            (FORM, Some("grant_type=password"), "grant_type=password", Twice),
            ("application/json", None, r#"{"grant_type":"password","grant_type":"password"}"#, Twice),
            ("application/json", None, "grant_type=password", Unreadable),
            ("application/json", None, r#"["grant_type"]"#, Unreadable),
            ("application/json", None, r#"["password", null, null, null]"#, Unreadable),
            ("application/json", None, r#"{"grant_type":7}"#, NoGrant),
            ("multipart/form-data; boundary=x", None, "grant_type=password", Type),
            ("application/json|application/x-www-form-urlencoded", None, "grant_type=password", Type),
        ] {
            assert_eq!(grant(kind, query, body), Err(wrong), "{kind} {query:?} {body}");
        }
        let compressed = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let wrong = |headers: &HeaderMap, body: &[u8]| read_request(None, headers, body).err();
        assert_eq!(wrong(&compressed, b"grant_type=password"), Some(InvalidRequest::Encoded));
        assert_eq!(wrong(&HeaderMap::new(), &[0xff, b'=']), Some(Unreadable));
    }

    #[test]
    fn i1_a_code_makes_no_programs_grant_whatever_it_is_called() {
        for (kind, query, body) in [
            (FORM, None, "grant_type=client_credentials&client_id=c&code=C"),
            (FORM, None, "grant_type=refresh_token&refresh_token=r&device%5fcode=C"),
            (FORM, None, "grant_type=password&x=1;code=C"),
            (FORM, None, "grant_type=client_credentials&+Code[]=C"),
            (FORM, Some("code=C"), "grant_type=client_credentials"),
            ("application/json", Some("grant_type=client_credentials"), r#"{"code":"C"}"#),
            ("application/json", None, r#"{"grant_type":"client_credentials","device_code":["C"]}"#),
        ] {
            assert_eq!(grant(kind, query, body), Err(InvalidRequest::TwoGrants), "{kind} {query:?} {body}");
        }
        let verified = "grant_type=refresh_token&refresh_token=r&code_verifier=v&scope=code";
        assert_eq!(grant(FORM, None, verified), Ok(AskedGrant::Renewal));
        let alphabet = |charset: &str| format!("application/x-www-form-urlencoded; charset={charset}");
        for charset in ["ibm037", "\"utf-7\"", "utf-16"] {
            assert_eq!(grant(&alphabet(charset), None, "grant_type=refresh_token"), Err(InvalidRequest::Type), "{charset}");
        }
        for charset in ["UTF-8", "\"utf-8\"", "iso-8859-1"] {
            assert_eq!(grant(&alphabet(charset), None, "grant_type=refresh_token"), Ok(AskedGrant::Renewal), "{charset}");
        }
    }
}
