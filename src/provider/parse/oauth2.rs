//! `[oauth2]`.

use std::time::Duration;

use http::Uri;

use super::Error;
use super::inject::word;
use super::source::{Table, Value};
use crate::model::Authority;
use crate::provider::grant::holes;
use crate::provider::oauth2::{ClientAuthentication, OAuth2, TokenBody};
use crate::provider::pattern::HostPattern;
use crate::provider::rule::Field;

const KEYS: &[&str] = &[
    "authorize_url",
    "token_url",
    "refresh_url",
    "device_url",
    "revocation_url",
    "issuer",
    "scopes",
    "scope_separator",
    "client_authentication",
    "default_lifetime_secs",
    "authorize_params",
    "token_body",
    "pkce",
    "rotates",
];

/// Parameters of the authorization request that are Nexus's own (RFC 6749 §4.1.1, RFC 7636 §4.3,
/// OpenID Connect Core §3.1.2.1).
const OWN_PARAMS: [&str; 9] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

pub(super) fn read(value: Value<'_>, fields: &[Field]) -> Result<OAuth2, Error> {
    let table = value.table(KEYS)?;
    let address = |key| table.get(key).map(|value| template_url(&value, fields)).transpose();
    let mut oauth2 = OAuth2::new(&template_url(&table.need("token_url")?, fields)?);
    oauth2.authorize_url = address("authorize_url")?;
    oauth2.refresh_url = address("refresh_url")?;
    oauth2.device_url = address("device_url")?;
    oauth2.revocation_url = address("revocation_url")?;
    if let Some(value) = table.get("revocation_url")
        && oauth2.revocation_url.as_deref().map(host) != Some(host(&oauth2.token_url))
    {
        return Err(value.refuse("tokens go to no other host than that of `token_url`"));
    }
    oauth2.issuer = table.get("issuer").map(|value| url(&value)).transpose()?;
    if let Some(scopes) = scopes(&table)? {
        oauth2.scopes = scopes;
    }
    if let Some(separator) = scope_separator(&table)? {
        oauth2.scope_separator = separator;
    }
    if let Some(method) = table.get("client_authentication") {
        let words = [ClientAuthentication::Basic, ClientAuthentication::Post, ClientAuthentication::None];
        let words = words.map(|method| (method.word(), method));
        oauth2.client_authentication = word(&method, &words)?;
    }
    oauth2.default_lifetime = default_lifetime(&table)?;
    if let Some(params) = table.get("authorize_params") {
        oauth2.authorize_params = authorize_params(&params)?;
    }
    if let Some(pkce) = table.get("pkce") {
        oauth2.pkce = pkce.boolean()?;
    }
    if let Some(rotates) = table.get("rotates") {
        oauth2.rotates = rotates.boolean()?;
    }
    if let Some(body) = token_body(&table)? {
        oauth2.token_body = body;
    }
    Ok(oauth2)
}

/// The host of an https URL, braces and port included.
fn host(url: &str) -> &str {
    url.strip_prefix("https://").unwrap_or(url).split(['/', '?', '#']).next().unwrap_or_default()
}

pub(super) fn scopes(table: &Table<'_>) -> Result<Option<Vec<String>>, Error> {
    table.get("scopes").map(|scopes| scopes.list(scope)).transpose()
}

pub(super) fn scope_separator(table: &Table<'_>) -> Result<Option<String>, Error> {
    let separator = table.get("scope_separator").map(|value| word(&value, &[(" ", " "), (",", ",")])).transpose()?;
    Ok(separator.map(str::to_owned))
}

pub(super) fn default_lifetime(table: &Table<'_>) -> Result<Option<Duration>, Error> {
    let seconds = table.get("default_lifetime_secs").map(|value| value.number::<u32>("a number of seconds")).transpose()?;
    Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
}

pub(super) fn token_body(table: &Table<'_>) -> Result<Option<TokenBody>, Error> {
    table.get("token_body").map(|body| word(&body, &[("form", TokenBody::Form), ("json", TokenBody::Json)])).transpose()
}

/// As [`url`], with holes for what differs by connection: one label of the host, whole or part of it, and in the path.
pub(super) fn template_url(value: &Value<'_>, fields: &[Field]) -> Result<String, Error> {
    let text = value.text()?;
    if !text.value.contains(['{', '}']) {
        return url(value);
    }
    let rest = text.value.strip_prefix("https://").ok_or_else(|| text.refuse("must begin with https://"))?;
    let known = |name: &str| fields.iter().any(|field| field.name == name && !field.file);
    if let Some(name) = holes(rest).find(|name| !known(name)) {
        return Err(text.refuse(format!("{{{name}}} is no field that a [[field]] declares")));
    }
    let plain = holes(rest).fold(rest.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), "x"));
    let sample: Uri = format!("https://{plain}").parse().map_err(|error| text.refuse(format!("not a URL: {error}")))?;
    let port = sample.authority().is_none_or(|authority| authority.as_str().contains(['@', ':']));
    if plain.contains(['{', '}']) || port {
        return Err(text.refuse("a URL with {field} holds no port, no user information and no other braces"));
    }
    // A host with a hole must be one that a credential may be bound to: what follows the label belongs to one owner.
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.parse::<HostPattern>().map_err(|error| text.refuse(error.to_string()))?;
    Ok(text.value.to_owned())
}

/// An absolute https URL of a host name, without user information or fragment.
pub(super) fn url(value: &Value<'_>) -> Result<String, Error> {
    let text = value.text()?;
    let uri: Uri = text.value.parse().map_err(|error: http::uri::InvalidUri| text.refuse(format!("not a URL: {error}")))?;
    if uri.scheme_str() != Some("https") {
        return Err(text.refuse("must begin with https://"));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    Authority::parse(authority, Some(443)).map_err(|error| text.refuse(error.to_string()))?;
    Ok(text.value.to_owned())
}

/// RFC 6749 §3.3 `scope-token`.
fn scope(value: Value<'_>) -> Result<String, Error> {
    let text = value.text()?;
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
    if text.value.is_empty() || !text.value.bytes().all(plain) {
        return Err(text.refuse("not a scope: visible ASCII without spaces, quotes and backslashes, one scope per entry"));
    }
    Ok(text.value.to_owned())
}

fn authorize_params(value: &Value<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut params = Vec::new();
    for (key, value) in value.entries()? {
        if OWN_PARAMS.contains(&key.value) {
            return Err(key.refuse(format!("{} is nexus's own to set", key.value)));
        }
        params.push((key.value.to_owned(), value.plain()?));
    }
    Ok(params)
}
