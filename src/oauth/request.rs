//! Requests to token endpoints (RFC 6749 §4.4, §4.5 and §6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use zeroize::Zeroizing;

use super::encoding::{Encoding, Pair, encode, form, json};
use crate::model::{Host, Secret};
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
/// A hole before the first slash takes one DNS label, or a whole host name where it stands for one; a later one takes one path segment.
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
        let whole = filled.is_empty() && (after.is_empty() || after.starts_with(['/', '?']));
        let fitting = if whole { is_host_name(value) } else { fits(value, filled.contains('/')) };
        if !fitting {
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

/// A server that its user runs. No single label: such a name means something else on every network.
fn is_host_name(value: &str) -> bool {
    let host = value.parse::<Host>();
    let name = host.as_ref().ok().and_then(Host::name);
    name.is_some_and(|name| name.contains('.') && name == value.to_ascii_lowercase())
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

/// A POST of `pairs` and whatever the client shows.
pub(super) fn post<'a>(url: String, client: &Client<'a>, mut pairs: Vec<Pair<'a>>) -> Result<TokenRequest, Unready> {
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

#[cfg(test)]
mod tests;
