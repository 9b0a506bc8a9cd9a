//! The claims of an ID token that came from the token endpoint itself, over verified TLS (OpenID Connect Core §3.1.3.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::issuer::Issuer;
use super::shown::shown;
use crate::model::{Secret, to_be_sealed};

/// How far two clocks may differ.
const LEEWAY: Duration = Duration::from_secs(5 * 60);

/// What an ID token must say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// Who must have made it.
    pub(crate) issuer: Issuer,
    /// The nonce of the request; `None` where none was sent.
    #[serde(with = "to_be_sealed::if_any")]
    pub(crate) nonce: Option<Secret<String>>,
}

/// Why an ID token is not for us. No text of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service's ID token {0}")]
pub(crate) struct Unacceptable(&'static str);

impl Unacceptable {
    /// It was asked for.
    pub(crate) const MISSING: Self = Self("is missing");
}

/// The members that are looked at.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    exp: f64,
    nonce: Option<String>,
    sub: String,
    email: Option<Value>,
    preferred_username: Option<Value>,
    name: Option<Value>,
}

/// One text or several (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// Who consented, by what the service's ID token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// What the account calls itself, fit to be shown.
    pub(crate) name: String,
    /// SHA-256 of issuer and subject (OpenID Connect Core §2), base64url: the same for the same account for ever, and no other's.
    pub(crate) subject: String,
}

/// Checks `token` and answers whose it is.
///
/// Its signature is not needed: TLS has said already who the token endpoint is (item 6 of that section).
///
/// # Errors
/// As [`Unacceptable`] says: then none of the tokens beside it is to be used.
pub(crate) fn read_id_token(
    token: &Secret<String>,
    expected: &Expected,
    client_id: &Secret<String>,
    now: SystemTime,
) -> Result<Person, Unacceptable> {
    let claims = claims(token.expose()).ok_or(Unacceptable("is not a JSON Web Token with the claims it must have"))?;
    if !expected.issuer.is(&claims.iss) {
        return Err(Unacceptable("was made by another service"));
    }
    let audience = claims.aud.all();
    if !audience.iter().any(|aud| client_id.matches(aud)) {
        return Err(Unacceptable("is for another client"));
    }
    let party = claims.azp.as_deref();
    if party.is_some_and(|azp| !client_id.matches(azp)) || (party.is_none() && audience.len() > 1) {
        return Err(Unacceptable("was given to another client"));
    }
    let end = Duration::try_from_secs_f64(claims.exp).ok().and_then(|end| UNIX_EPOCH.checked_add(end));
    if end.and_then(|end| end.checked_add(LEEWAY)).is_none_or(|end| end < now) {
        return Err(Unacceptable("has ended, or its end is no time; is this machine's clock right?"));
    }
    match (&expected.nonce, &claims.nonce) {
        (Some(sent), Some(nonce)) if sent.matches(nonce) => {}
        (None, _) => {}
        _ => return Err(Unacceptable("is of another log-in (its nonce differs)")),
    }
    let names = [claims.email, claims.preferred_username, claims.name];
    let name = names.iter().flatten().filter_map(Value::as_str).find(|name| !name.is_empty());
    let subject =
        Sha256::new_with_prefix(claims.iss.as_bytes()).chain_update([0]).chain_update(claims.sub.as_bytes()).finalize();
    Ok(Person { name: shown(name.unwrap_or(&claims.sub)), subject: URL_SAFE_NO_PAD.encode(subject) })
}

fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let text = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn token(claims: &Value) -> Secret<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        secret(&format!("{}.{}.c2ln", part(&json!({ "alg": "RS256" })), part(claims)))
    }

    fn good() -> Value {
        json!({
            "iss": "https://server.example.com", "sub": "24400320", "aud": "s6BhdRkqt3", "nonce": "n-0S6_WzA2Mj",
            "exp": 1_311_281_970, "iat": 1_311_280_970,
        })
    }

    fn check(claims: &Value) -> Result<String, Unacceptable> {
        let expected =
            Expected { issuer: Issuer::new(Some("https://server.example.com"), &[]), nonce: Some(secret("n-0S6_WzA2Mj")) };
        let now = UNIX_EPOCH + Duration::from_secs(1_311_281_000);
        read_id_token(&token(claims), &expected, &secret("s6BhdRkqt3"), now).map(|person| person.name)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = good();
        claims[name] = value;
        claims
    }

    #[test]
    fn the_example_of_openid_connect_core_is_accepted() {
        // OpenID Connect Core §2, the example of an ID token's claims.
        assert_eq!(check(&good()).as_deref(), Ok("24400320"));
        assert_eq!(check(&with("email", json!("jane@example.com"))).as_deref(), Ok("jane@example.com"));
        assert_eq!(check(&with("aud", json!(["s6BhdRkqt3"]))).as_deref(), Ok("24400320"));
        // Five minutes of a clock that is ahead.
        assert_eq!(check(&with("exp", json!(1_311_280_701))).as_deref(), Ok("24400320"));
    }

    #[test]
    fn i2_what_was_made_by_or_for_another_or_long_ago_is_refused() {
        let mut both = with("aud", json!(["s6BhdRkqt3", "other"]));
        assert!(check(&both).is_err());
        both["azp"] = json!("s6BhdRkqt3");
        assert!(check(&both).is_ok());
        for (name, value) in [
            ("iss", json!("https://evil.example")),
            ("iss", json!("https://server.example.com/")),
            ("aud", json!("other")),
            ("aud", json!([])),
            ("azp", json!("other")),
            ("exp", json!(1_311_280_699)),
            ("exp", json!(-1)),
            ("exp", json!("soon")),
            ("exp", json!(1e300)),
            ("nonce", json!("another")),
            ("nonce", Value::Null),
            ("sub", Value::Null),
        ] {
            assert!(check(&with(name, value.clone())).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn i7_what_is_no_token_is_refused() {
        let expected = Expected { issuer: Issuer::new(None, &[("", "https://server.example.com/token")]), nonce: None };
        let deep = format!("e30.{}.x", URL_SAFE_NO_PAD.encode("[".repeat(100_000)));
        for text in ["", "a", "a.b", "a.b.c", "e30.e30.e30", "e30.e30.e30.e30", "..", &deep] {
            let read = read_id_token(&secret(text), &expected, &secret("s6BhdRkqt3"), UNIX_EPOCH);
            assert!(read.is_err(), "{text:.40}");
        }
        let now = UNIX_EPOCH + Duration::from_secs(1_311_281_000);
        assert!(
            read_id_token(&token(&good()), &expected, &secret("s6BhdRkqt3"), now).is_ok(),
            "without a nonce none is needed"
        );
    }
}
