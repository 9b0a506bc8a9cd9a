//! `[oauth2]`.

use std::time::Duration;

use http::Uri;

use super::Error;
use super::inject::word;
use super::source::Value;
use crate::model::Authority;
use crate::provider::rule::{ClientAuthentication, OAuth2, TokenBody};

const KEYS: &[&str] = &[
    "authorize_url",
    "token_url",
    "refresh_url",
    "device_url",
    "scopes",
    "scope_separator",
    "client_authentication",
    "default_lifetime_secs",
    "authorize_params",
    "token_body",
    "pkce",
];

/// Parameters of the authorization request that are Nexus's own (RFC 6749 §4.1.1, RFC 7636 §4.3).
const OWN_PARAMS: [&str; 8] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
];

pub(super) fn read(value: Value<'_>) -> Result<OAuth2, Error> {
    let table = value.table(KEYS)?;
    let address = |key| table.get(key).map(|value| url(&value)).transpose();
    let mut oauth2 = OAuth2::new(&url(&table.need("token_url")?)?);
    oauth2.authorize_url = address("authorize_url")?;
    oauth2.refresh_url = address("refresh_url")?;
    oauth2.device_url = address("device_url")?;
    if let Some(scopes) = table.get("scopes") {
        oauth2.scopes = scopes.list(scope)?;
    }
    if let Some(separator) = table.get("scope_separator") {
        oauth2.scope_separator = word(&separator, &[(" ", " "), (",", ",")])?.to_owned();
    }
    if let Some(method) = table.get("client_authentication") {
        let words = [ClientAuthentication::Basic, ClientAuthentication::Post, ClientAuthentication::None];
        let words = words.map(|method| (method.word(), method));
        oauth2.client_authentication = word(&method, &words)?;
    }
    if let Some(seconds) = table.get("default_lifetime_secs") {
        oauth2.default_lifetime = Some(Duration::from_secs(seconds.number::<u32>("a number of seconds")?.into()));
    }
    if let Some(params) = table.get("authorize_params") {
        oauth2.authorize_params = authorize_params(&params)?;
    }
    if let Some(pkce) = table.get("pkce") {
        oauth2.pkce = pkce.boolean()?;
    }
    if let Some(body) = table.get("token_body") {
        oauth2.token_body = word(&body, &[("form", TokenBody::Form), ("json", TokenBody::Json)])?;
    }
    Ok(oauth2)
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
