//! Requests to token endpoints (RFC 6749 §4.4, §4.5 and §6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

use crate::model::Secret;
use crate::sign::jwt;

/// How the client shows who it is at the token endpoint (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// HTTP Basic with form-encoded id and secret.
    Basic,
    /// `client_id` and `client_secret` in the form.
    Post,
    /// A public client: `client_id` only.
    None,
}

/// How the parameters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `application/x-www-form-urlencoded` (RFC 6749 appendix B).
    Form,
    /// A JSON object with the same members, for the few services that want it.
    Json,
}

/// The client that asks.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    /// How the service wants to be asked.
    pub(crate) encoding: Encoding,
    /// How it authenticates.
    pub(crate) authentication: Authentication,
    /// `client_id`; a connection registered with bare tokens has none.
    pub(crate) id: Option<&'a Secret<String>>,
    /// `client_secret`; public clients have none.
    pub(crate) secret: Option<&'a Secret<String>>,
}

/// A request for a token endpoint, ready to be sent over verified TLS.
#[derive(Debug)]
pub(crate) struct TokenRequest {
    /// POST, or GET where a service wants that.
    pub(crate) method: Method,
    /// Where to: always https.
    pub(crate) url: String,
    /// What to send besides `Host` and `Content-Length`; secret values are marked sensitive.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    body: Secret<Zeroizing<Vec<u8>>>,
}

impl TokenRequest {
    /// The body for the wire, empty in a GET; wiped when the last reference goes.
    pub(crate) fn body(&self) -> Bytes {
        Bytes::from_owner(self.body.expose().clone())
    }
}

/// Why no request can be made from what we have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unready {
    /// Refresh tokens go over TLS only (RFC 6749 §3.2).
    #[error("the token endpoint is not an https address")]
    NotHttps,
    /// A `{` without its `}`.
    #[error("the token endpoint's address has an unclosed brace")]
    Template,
    /// `{site}` in the address and no such field in the connection.
    #[error("the token endpoint's address needs the field {name}")]
    MissingField {
        /// The field.
        name: String,
    },
    /// A field that would change which host or path is meant.
    #[error("the field {name} does not fit into the token endpoint's address")]
    UnfitField {
        /// The field.
        name: String,
    },
    /// Cannot happen with base64, yet is no reason to stop.
    #[error("the client id and secret do not fit into a header field")]
    Header(#[from] http::header::InvalidHeaderValue),
    /// The connection lost a field that its grant needs.
    #[error("the connection lacks a field that its grant needs; register it again")]
    Incomplete,
    /// A downloaded key file that is none.
    #[error("the service account's key file {0}; store it as it was downloaded")]
    KeyFile(&'static str),
    /// A key file that would have its assertion sent elsewhere.
    #[error("the service account's key file names another token endpoint than {expected}; a key made anew names that one")]
    ForeignEndpoint {
        /// The one that the provider's file names.
        expected: String,
    },
    /// No assertion or token can be signed.
    #[error("no token can be signed with what the connection holds")]
    Unsigned(#[from] jwt::Error),
    /// No request to AWS can be signed.
    #[error("no request for the role can be signed")]
    Aws(#[from] crate::sign::aws::Error),
    /// No random numbers.
    #[error("this machine has no random numbers to give")]
    Random(#[from] getrandom::Error),
}

/// The address of a token endpoint, its `{field}` holes filled from the connection's fields.
///
/// A hole before the first slash takes one DNS label, a later one one path segment.
///
/// # Errors
/// As [`Unready`] says; never with a field's value.
pub(crate) fn endpoint<'a>(template: &str, field: &dyn Fn(&str) -> Option<&'a Secret<String>>) -> Result<String, Unready> {
    let mut rest = template.strip_prefix("https://").ok_or(Unready::NotHttps)?;
    let mut filled = String::new();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(Unready::Template)?;
        let value = field(name).ok_or_else(|| Unready::MissingField { name: name.to_owned() })?.expose();
        filled.push_str(before);
        if !fits(value, filled.contains('/')) {
            return Err(Unready::UnfitField { name: name.to_owned() });
        }
        filled.push_str(value);
        rest = after;
    }
    Ok(format!("https://{filled}{rest}"))
}

fn fits(value: &str, in_path: bool) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || (in_path && matches!(byte, b'.' | b'_'));
    let edges = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63 && edges(bytes.first()) && edges(bytes.last()) && bytes.iter().copied().all(allowed)
}

/// Builds the request that spends `refresh_token` at `url`.
///
/// No `scope` is sent: the scope stays what the person granted (RFC 6749 §6).
///
/// # Errors
/// When `url` is not https.
pub(crate) fn refresh(url: String, client: &Client<'_>, refresh_token: &Secret<String>) -> Result<TokenRequest, Unready> {
    let pairs = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose().as_str())];
    post(url, client, pairs)
}

/// Builds the request of an extension or client credentials grant: `grant_type`, then `params`, then the client.
///
/// # Errors
/// When `url` is not https.
pub(crate) fn grant(
    url: String,
    client: &Client<'_>,
    grant_type: &str,
    params: &[(&str, &Secret<String>)],
) -> Result<TokenRequest, Unready> {
    let given = params.iter().map(|(name, value)| (*name, value.expose().as_str()));
    post(url, client, std::iter::once(("grant_type", grant_type)).chain(given).collect())
}

/// As [`grant`], by GET with the parameters in the query, which therefore hold no secret: the client shows itself by HTTP Basic.
///
/// # Errors
/// When `url` is not https, or the client has no id and secret.
pub(crate) fn grant_by_get(
    url: &str,
    client: &Client<'_>,
    grant_type: &str,
    params: &[(&str, &Secret<String>)],
) -> Result<TokenRequest, Unready> {
    let (Some(id), Some(secret)) = (client.id, client.secret) else { return Err(Unready::Incomplete) };
    let given = params.iter().map(|(name, value)| (*name, value.expose().as_str()));
    let pairs: Vec<Pair<'_>> = std::iter::once(("grant_type", grant_type)).chain(given).collect();
    let query = form(&pairs);
    let url = format!("{url}?{}", String::from_utf8_lossy(&query));
    let mut headers = usual_headers();
    headers.push((AUTHORIZATION, basic(id, secret)?));
    raw(Method::GET, url, headers, Zeroizing::default())
}

/// Builds a POST without a body that shows `token` as Bearer.
///
/// # Errors
/// When `url` is not https.
pub(crate) fn bearing(url: String, token: &Secret<String>) -> Result<TokenRequest, Unready> {
    let mut value = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {}", token.expose())))?;
    value.set_sensitive(true);
    let mut headers = usual_headers();
    headers.push((AUTHORIZATION, value));
    raw(Method::POST, url, headers, Zeroizing::default())
}

fn post<'a>(url: String, client: &Client<'a>, mut pairs: Vec<Pair<'a>>) -> Result<TokenRequest, Unready> {
    let content_type = match client.encoding {
        Encoding::Form => "application/x-www-form-urlencoded",
        Encoding::Json => "application/json",
    };
    let mut headers = usual_headers();
    headers.push((CONTENT_TYPE, HeaderValue::from_static(content_type)));
    match (client.authentication, client.id, client.secret) {
        (Authentication::Basic, Some(id), Some(secret)) => headers.push((AUTHORIZATION, basic(id, secret)?)),
        (Authentication::Post, id, secret) => {
            pairs.extend(id.map(|id| ("client_id", id.expose().as_str())));
            pairs.extend(secret.map(|secret| ("client_secret", secret.expose().as_str())));
        }
        (Authentication::Basic | Authentication::None, id, _) => {
            pairs.extend(id.map(|id| ("client_id", id.expose().as_str())));
        }
    }
    let body = match client.encoding {
        Encoding::Form => form(&pairs),
        Encoding::Json => json(&pairs),
    };
    raw(Method::POST, url, headers, body)
}

pub(super) fn usual_headers() -> Vec<(HeaderName, HeaderValue)> {
    vec![
        (ACCEPT, HeaderValue::from_static("application/json")),
        (USER_AGENT, HeaderValue::from_static(concat!("nexus/", env!("CARGO_PKG_VERSION")))),
    ]
}

pub(super) fn raw(
    method: Method,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Zeroizing<Vec<u8>>,
) -> Result<TokenRequest, Unready> {
    if !url.starts_with("https://") {
        return Err(Unready::NotHttps);
    }
    Ok(TokenRequest { method, url, headers, body: Secret::new(body) })
}

type Pair<'a> = (&'a str, &'a str);

/// RFC 6749 §2.3.1: both halves are form-encoded first, so that a colon in the id stays in the id.
fn basic(id: &Secret<String>, secret: &Secret<String>) -> Result<HeaderValue, Unready> {
    let mut pair = Zeroizing::new(Vec::with_capacity(3 * (id.expose().len() + secret.expose().len()) + 1));
    encode(id.expose(), &mut pair);
    pair.push(b':');
    encode(secret.expose(), &mut pair);
    let value = Zeroizing::new(format!("Basic {}", Zeroizing::new(STANDARD.encode(pair.as_slice())).as_str()));
    let mut value = HeaderValue::from_str(&value)?;
    value.set_sensitive(true);
    Ok(value)
}

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

fn json(pairs: &[Pair<'_>]) -> Zeroizing<Vec<u8>> {
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

fn encode(text: &str, into: &mut Vec<u8>) {
    for piece in percent_encode(text.as_bytes(), KEPT) {
        into.extend_from_slice(if piece == "%20" { b"+" } else { piece.as_bytes() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://auth.example/token";

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn built(authentication: Authentication, id: Option<&str>, password: Option<&str>) -> (Option<String>, String) {
        let (id, password) = (id.map(secret), password.map(secret));
        let client = Client { encoding: Encoding::Form, authentication, id: id.as_ref(), secret: password.as_ref() };
        let request = refresh(URL.to_owned(), &client, &secret("r/1+2 3")).expect("a request");
        let header = request.headers.iter().find(|(name, _)| name == AUTHORIZATION);
        let header = header.map(|(_, value)| value.to_str().expect("text").to_owned());
        (header, String::from_utf8(request.body().to_vec()).expect("text"))
    }

    #[test]
    fn basic_form_encodes_id_and_secret_before_base64() {
        let (header, body) = built(Authentication::Basic, Some("a:b"), Some("p %é"));
        assert_eq!(header.as_deref(), Some(format!("Basic {}", STANDARD.encode("a%3Ab:p+%25%C3%A9")).as_str()));
        assert_eq!(body, "grant_type=refresh_token&refresh_token=r%2F1%2B2+3");
    }

    #[test]
    fn post_puts_id_and_secret_into_the_form() {
        let (header, body) = built(Authentication::Post, Some("id"), Some("a&b"));
        assert_eq!(header, None);
        assert_eq!(body, "grant_type=refresh_token&refresh_token=r%2F1%2B2+3&client_id=id&client_secret=a%26b");
    }

    #[test]
    fn a_public_client_names_itself_and_sends_no_secret() {
        for authentication in [Authentication::None, Authentication::Basic] {
            let given = if authentication == Authentication::None { Some("never sent") } else { None };
            let (header, body) = built(authentication, Some("id"), given);
            assert_eq!(header, None);
            assert_eq!(body, "grant_type=refresh_token&refresh_token=r%2F1%2B2+3&client_id=id");
        }
    }

    #[test]
    fn a_connection_of_bare_tokens_sends_only_the_token() {
        assert_eq!(built(Authentication::Post, None, None).1, "grant_type=refresh_token&refresh_token=r%2F1%2B2+3");
    }

    #[test]
    fn a_service_that_wants_json_gets_json() {
        let odd = "a\"\\\n\u{7f}é😀 z";
        let (id, password) = (secret("id"), secret(odd));
        let client =
            Client { encoding: Encoding::Json, authentication: Authentication::Post, id: Some(&id), secret: Some(&password) };
        let request = refresh(URL.to_owned(), &client, &secret("r/1")).expect("a request");
        let sent: serde_json::Value = serde_json::from_slice(&request.body()).expect("json");
        let meant = serde_json::json!({ "grant_type": "refresh_token", "refresh_token": "r/1", "client_id": "id", "client_secret": odd });
        assert_eq!(sent, meant);
        assert!(request.headers.contains(&(CONTENT_TYPE, HeaderValue::from_static("application/json"))));
    }

    #[test]
    fn json_is_asked_for() {
        let client = Client { encoding: Encoding::Form, authentication: Authentication::None, id: None, secret: None };
        let request = refresh(URL.to_owned(), &client, &secret("r")).expect("a request");
        assert!(request.headers.contains(&(ACCEPT, HeaderValue::from_static("application/json"))));
    }

    #[test]
    fn i1_debug_shows_neither_token_nor_secret() {
        let (id, password) = (secret("the-id"), secret("the-secret"));
        for authentication in [Authentication::Basic, Authentication::Post] {
            let client = Client { encoding: Encoding::Form, authentication, id: Some(&id), secret: Some(&password) };
            let request = refresh(URL.to_owned(), &client, &secret("the-token")).expect("a request");
            let shown = format!("{client:?} {request:?}");
            let encoded = STANDARD.encode("the-id:the-secret");
            assert!(!["the-id", "the-secret", "the-token", &encoded].iter().any(|text| shown.contains(text)), "{shown}");
        }
    }

    #[test]
    fn i4_refresh_tokens_never_leave_without_tls() {
        let client = Client { encoding: Encoding::Form, authentication: Authentication::None, id: None, secret: None };
        for url in ["http://auth.example/token", "auth.example", "", "HTTPS//x"] {
            assert!(matches!(refresh(url.to_owned(), &client, &secret("r")), Err(Unready::NotHttps)), "{url}");
            assert!(matches!(endpoint(url, &|_| None), Err(Unready::NotHttps)), "{url}");
        }
    }

    #[test]
    fn a_grant_has_its_parameters_before_the_client() {
        let (id, password, audience) = (secret("id"), secret("a&b"), secret("https://api.example/"));
        let client =
            Client { encoding: Encoding::Form, authentication: Authentication::Post, id: Some(&id), secret: Some(&password) };
        let request = grant(URL.to_owned(), &client, "client_credentials", &[("audience", &audience)]).expect("a request");
        assert_eq!(request.method, Method::POST);
        assert_eq!(
            request.body(),
            "grant_type=client_credentials&audience=https%3A%2F%2Fapi.example%2F&client_id=id&client_secret=a%26b"
        );
    }

    #[test]
    fn i1_a_get_shows_the_client_in_a_header_and_nothing_of_it_in_the_query() {
        let (id, password, realm) = (secret("the-id"), secret("the-secret"), secret("a b"));
        for authentication in [Authentication::Basic, Authentication::Post, Authentication::None] {
            let client = Client { encoding: Encoding::Form, authentication, id: Some(&id), secret: Some(&password) };
            let request = grant_by_get(URL, &client, "client_credentials", &[("realm", &realm)]).expect("a request");
            assert_eq!(request.url, "https://auth.example/token?grant_type=client_credentials&realm=a+b");
            assert_eq!((request.method.clone(), request.body()), (Method::GET, Bytes::new()));
            let (_, value) = request.headers.iter().find(|(name, _)| name == AUTHORIZATION).expect("a header");
            assert_eq!(value.to_str().expect("text"), format!("Basic {}", STANDARD.encode("the-id:the-secret")));
            assert!(value.is_sensitive());
            assert!(!request.headers.iter().any(|(name, _)| name == CONTENT_TYPE));
        }
        let client = Client { encoding: Encoding::Form, authentication: Authentication::Basic, id: Some(&id), secret: None };
        assert!(matches!(grant_by_get(URL, &client, "client_credentials", &[]), Err(Unready::Incomplete)));
    }

    #[test]
    fn i4_no_grant_leaves_without_tls() {
        let (id, password) = (secret("id"), secret("password"));
        let client =
            Client { encoding: Encoding::Form, authentication: Authentication::Basic, id: Some(&id), secret: Some(&password) };
        let url = "http://auth.example/token";
        assert!(matches!(grant(url.to_owned(), &client, "x", &[]), Err(Unready::NotHttps)));
        assert!(matches!(grant_by_get(url, &client, "x", &[]), Err(Unready::NotHttps)));
        assert!(matches!(bearing(url.to_owned(), &id), Err(Unready::NotHttps)));
    }

    #[test]
    fn i1_a_bearer_of_a_signed_token_does_not_print_it() {
        let request = bearing(URL.to_owned(), &secret("eyJ.a.b")).expect("a request");
        assert_eq!((request.method.clone(), request.body()), (Method::POST, Bytes::new()));
        assert!(!format!("{request:?}").contains("eyJ.a.b"));
        let (_, value) = request.headers.iter().find(|(name, _)| name == AUTHORIZATION).expect("a header");
        assert_eq!(value.to_str().expect("text"), "Bearer eyJ.a.b");
    }

    #[test]
    fn holes_take_one_label_of_the_host_or_one_segment_of_the_path() {
        let (site, tenant) = (secret("acme-1"), secret("contoso.example"));
        let field = |name: &str| match name {
            "site" => Some(&site),
            "tenant" => Some(&tenant),
            _ => None,
        };
        let url = endpoint("https://{site}.auth.example/{tenant}/token", &field).expect("an address");
        assert_eq!(url, "https://acme-1.auth.example/contoso.example/token");
        assert!(matches!(endpoint("https://{tenant}.auth.example/", &field), Err(Unready::UnfitField { .. })));
        assert!(matches!(endpoint("https://{other}.auth.example/", &field), Err(Unready::MissingField { .. })));
        assert!(matches!(endpoint("https://{site", &field), Err(Unready::Template)));
    }

    #[test]
    fn i2_a_field_cannot_move_the_token_endpoint_elsewhere() {
        for value in ["evil.example/", "evil.example#", "a@evil", "a:1", "", "-a", "a b", "..", "a\r\nb", "%2e", "é"] {
            let value = secret(value);
            for template in ["https://{site}.auth.example/token", "https://auth.example/{site}/token"] {
                let filled = endpoint(template, &|_| Some(&value));
                assert!(matches!(filled, Err(Unready::UnfitField { .. })), "{template} {}", value.expose());
            }
        }
    }
}
