//! Tokens that are signed here: assertions for token endpoints (RFC 7523 §2), and those that services take as they are.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::request::Unready;
use crate::model::Secret;
use crate::sign::jwt::{self, Algorithm, Encoding, Key};

/// How far `iat` lies back: services refuse a token from the future, and clocks differ.
const BACKDATED: Duration = Duration::from_secs(60);

/// How the field that holds the key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// A private key in PEM.
    Pem(Algorithm),
    /// A shared secret for HS256.
    Shared(Encoding),
    /// `ID:HEX`, as Ghost shows its keys: the id becomes `kid`.
    IdAndHex,
}

/// What is signed and how, besides the times.
#[derive(Debug)]
pub(crate) struct Assertion<'a> {
    /// The key.
    pub(crate) key: &'a Secret<String>,
    /// How it is written.
    pub(crate) form: KeyForm,
    /// `kid`.
    pub(crate) key_id: Option<&'a Secret<String>>,
    /// The PEM of a certificate, whose digest becomes `x5t#S256` (RFC 7515 §4.1.8).
    pub(crate) certificate: Option<&'a Secret<String>>,
    /// All but `iat` and `exp`.
    pub(crate) claims: Vec<(&'a str, Secret<String>)>,
}

/// When a token is made, and how long it lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// The time of day.
    pub(crate) now: SystemTime,
    /// From `iat` to `exp`, which is what services limit. `iat` lies a minute back.
    pub(crate) span: Duration,
}

impl Life {
    fn left(self) -> Duration {
        self.span.saturating_sub(BACKDATED)
    }

    /// When the token ends.
    pub(crate) fn end(self) -> Option<SystemTime> {
        self.now.checked_add(self.left())
    }
}

/// The signed token.
///
/// # Errors
/// A key that is none of its form, a clock that is far off.
pub(crate) fn sign(assertion: &Assertion<'_>, life: Life) -> Result<Secret<String>, Unready> {
    let mut header = Map::new();
    let key = match assertion.form {
        KeyForm::Pem(algorithm) => Key::from_pem(algorithm, assertion.key)?,
        KeyForm::Shared(encoding) => Key::from_secret(assertion.key, encoding)?,
        KeyForm::IdAndHex => {
            let (id, key) = Key::from_pair(assertion.key, Encoding::Hex)?;
            header.insert("kid".to_owned(), id.into());
            key
        }
    };
    if let Some(id) = assertion.key_id {
        header.insert("kid".to_owned(), id.expose().as_str().into());
    }
    if let Some(certificate) = assertion.certificate {
        header.insert("x5t#S256".to_owned(), jwt::thumbprint(certificate.expose())?.into());
    }
    let claim = |(name, value): &(&str, Secret<String>)| ((*name).to_owned(), Value::from(value.expose().as_str()));
    let mut claims: Map<String, Value> = assertion.claims.iter().map(claim).collect();
    jwt::stamp(&mut claims, life.now, BACKDATED, life.left())?;
    Ok(jwt::sign(&key, &header, &claims)?)
}

/// A value for `jti` that no other token has (RFC 7519 §4.1.7): 128 random bits in hexadecimal.
///
/// # Errors
/// When the machine has no random numbers.
pub(crate) fn random_id() -> Result<Secret<String>, Unready> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(format!("{:032x}", u128::from_be_bytes(bytes))))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn read(token: &Secret<String>) -> (Value, Value) {
        let part = |number: usize| {
            let part = token.expose().split('.').nth(number).expect("a part");
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
        };
        (part(0), part(1))
    }

    const LIFE: Life = Life { now: UNIX_EPOCH, span: Duration::from_secs(300) };

    #[test]
    fn the_id_of_a_ghost_key_becomes_kid_and_the_span_is_counted_from_iat() {
        let key = secret("6489f1a2b3c4d5e6f7a8b9c0:00112233445566778899aabbccddeeff");
        let assertion = Assertion {
            key: &key,
            form: KeyForm::IdAndHex,
            key_id: None,
            certificate: None,
            claims: vec![("aud", secret("/admin/"))],
        };
        let life = Life { now: UNIX_EPOCH + Duration::from_secs(1_800_000_000), ..LIFE };
        let token = sign(&assertion, life).expect("a token");
        let (header, claims) = read(&token);
        assert_eq!(header, serde_json::json!({ "alg": "HS256", "typ": "JWT", "kid": "6489f1a2b3c4d5e6f7a8b9c0" }));
        assert_eq!(claims, serde_json::json!({ "aud": "/admin/", "iat": 1_799_999_940, "exp": 1_800_000_240 }));
        assert_eq!(life.end(), Some(UNIX_EPOCH + Duration::from_secs(1_800_000_240)));
        assert!(!format!("{assertion:?}").contains("0011"));
    }

    #[test]
    fn what_is_no_key_of_its_form_is_told() {
        let key = secret("no key");
        for form in [KeyForm::Pem(Algorithm::Rs256), KeyForm::Pem(Algorithm::Es256), KeyForm::IdAndHex] {
            let assertion = Assertion { key: &key, form, key_id: None, certificate: None, claims: Vec::new() };
            let error = sign(&assertion, LIFE).expect_err("no key");
            assert!(matches!(error, Unready::Unsigned(_)), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("no key of"), "{error}");
        }
    }

    #[test]
    fn ids_differ() {
        let ids = [random_id().expect("an id"), random_id().expect("an id")];
        assert!(ids.iter().all(|id| id.expose().len() == 32) && !ids[0].same(&ids[1]));
    }
}
