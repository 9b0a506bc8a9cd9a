//! OAuth 1.0a (RFC 5849): HMAC signatures in the `Authorization` header, with or without a token.
//!
//! PLAINTEXT (§3.4.4) is not offered: it sends the secrets themselves.

use base64::engine::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, InvalidHeaderValue};
use zeroize::Zeroizing;

use super::mac::{Hash, hmac};
use super::text::{escape, parameters, sensitive, unescape_form};
use super::time::Timestamp;
use super::{Signed, Unsigned};
use crate::model::{Scheme, Secret};

/// How the base string is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// RFC 5849 §3.4.2.
    HmacSha1,
    /// The same with SHA-256, as NetSuite and others have it.
    HmacSha256,
}

impl Method {
    /// The value of `oauth_signature_method`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }

    /// Reads the value of `oauth_signature_method`.
    ///
    /// # Errors
    /// [`Error::Plaintext`] and [`Error::Method`].
    pub(crate) fn named(name: &str) -> Result<Self, Error> {
        match name {
            "HMAC-SHA1" => Ok(Self::HmacSha1),
            "HMAC-SHA256" => Ok(Self::HmacSha256),
            "PLAINTEXT" => Err(Error::Plaintext),
            _ => Err(Error::Method),
        }
    }

    fn hash(self) -> Hash {
        match self {
            Self::HmacSha1 => Hash::Sha1,
            Self::HmacSha256 => Hash::Sha256,
        }
    }
}

/// Whose request it is.
pub(crate) struct Client<'a> {
    /// The client's identifier, `oauth_consumer_key`.
    pub(crate) consumer_key: &'a Secret<String>,
    /// The client's shared secret.
    pub(crate) consumer_secret: &'a Secret<String>,
    /// The token and its shared secret; `None` for a request of the client's own (two-legged).
    pub(crate) token: Option<(&'a Secret<String>, &'a Secret<String>)>,
    /// How to sign.
    pub(crate) method: Method,
    /// `realm`, which is not signed (§3.5.1); NetSuite wants its account there.
    pub(crate) realm: Option<&'a str>,
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// `PLAINTEXT`.
    #[error("PLAINTEXT sends the secrets themselves: use HMAC-SHA1 or HMAC-SHA256")]
    Plaintext,
    /// A method that there is not.
    #[error("the signature method is neither HMAC-SHA1 nor HMAC-SHA256")]
    Method,
    /// A form that was not read.
    #[error("the signature covers the form in the body, which is not at hand: it is too large to keep")]
    NoBody,
    /// The caller signs too.
    #[error("the request carries {0} in its query or form already: send it without a signature of its own")]
    Signed(&'static str),
    /// A line end in what goes into a header field.
    #[error("{0} is empty or has a line end or another control character: register it without")]
    Control(&'static str),
    /// A nonce that would not do.
    #[error("the nonce is empty")]
    Nonce,
    /// A clock before 1970.
    #[error("the clock is out of the range that a timestamp can show")]
    Clock,
    /// What was made is no header value.
    #[error("the Authorization field would hold characters that no header field can carry")]
    Header(#[source] InvalidHeaderValue),
}

/// Whether the body is signed: it is a form (§3.4.1.3.1).
pub(crate) fn needs_body(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// Signs `request`, which goes out by `scheme`; `nonce` is new for each request of the same second.
///
/// # Errors
/// As [`Error`] says; none quotes a secret.
pub(crate) fn sign(client: &Client<'_>, scheme: Scheme, request: &Unsigned<'_>, nonce: &str) -> Result<Signed, Error> {
    client.check()?;
    if nonce.is_empty() {
        return Err(Error::Nonce);
    }
    let timestamp = Timestamp::Unix.format(request.time).ok_or(Error::Clock)?;
    let mut protocol = vec![
        ("oauth_consumer_key", client.consumer_key.expose().as_str()),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", client.method.as_str()),
        ("oauth_timestamp", timestamp.as_str()),
        ("oauth_version", "1.0"),
    ];
    protocol.extend(client.token.map(|(token, _)| ("oauth_token", token.expose().as_str())));
    let base = base_string(scheme, request, &protocol)?;
    let signature = client.signature(&base);
    protocol.push(("oauth_signature", &signature));
    let value = Zeroizing::new(authorization(client.realm, &protocol));
    let value = sensitive(value.as_bytes()).map_err(Error::Header)?;
    Ok(Signed { headers: vec![(AUTHORIZATION, value)], target: None })
}

impl Client<'_> {
    fn check(&self) -> Result<(), Error> {
        let unfit = |value: &Secret<String>| value.expose().is_empty() || value.has_control();
        let (token, token_secret) = self.token.unzip();
        let named = [
            ("the consumer key", Some(self.consumer_key)),
            ("the consumer secret", Some(self.consumer_secret)),
            ("the token", token),
            ("the token secret", token_secret),
        ];
        match named.into_iter().find(|(_, value)| value.is_some_and(unfit)) {
            Some((name, _)) => Err(Error::Control(name)),
            None if self.realm.is_some_and(|realm| realm.contains(char::is_control)) => Err(Error::Control("the realm")),
            None => Ok(()),
        }
    }

    /// §3.4.2: the key is both secrets, the second one empty without a token.
    fn signature(&self, base: &str) -> Zeroizing<String> {
        let escaped = |secret: &Secret<String>| Zeroizing::new(escape(secret.expose().as_bytes()));
        let token_secret = self.token.map(|(_, secret)| escaped(secret)).unwrap_or_default();
        let key = Zeroizing::new(format!("{}&{}", *escaped(self.consumer_secret), *token_secret));
        Zeroizing::new(STANDARD.encode(hmac(self.method.hash(), key.as_bytes(), base.as_bytes())))
    }
}

/// §3.5.1. The realm is a quoted-string of its own, the rest is percent-encoded.
fn authorization(realm: Option<&str>, protocol: &[(&str, &str)]) -> String {
    let realm = realm.map(|realm| format!("realm=\"{}\"", realm.replace('\\', "\\\\").replace('"', "\\\"")));
    let others = protocol.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value.as_bytes())));
    format!("OAuth {}", realm.into_iter().chain(others).collect::<Vec<_>>().join(", "))
}

/// §3.4.1.1: method, URI and parameters.
fn base_string(scheme: Scheme, request: &Unsigned<'_>, protocol: &[(&'static str, &str)]) -> Result<Zeroizing<String>, Error> {
    // §3.4.1.2: the host in lower case, without a default port, which `Host` does not show anyway.
    let uri = format!("{}://{}{}", scheme.as_str(), request.host.to_ascii_lowercase(), request.target.path());
    let parameters = normalized(request, protocol)?;
    let method = escape(request.method.as_str().as_bytes());
    Ok(Zeroizing::new(format!("{method}&{}&{}", escape(uri.as_bytes()), escape(parameters.as_bytes()))))
}

/// §3.4.1.3: the parameters of query, protocol and form, encoded, then sorted.
fn normalized(request: &Unsigned<'_>, protocol: &[(&'static str, &str)]) -> Result<Zeroizing<String>, Error> {
    let form = match (needs_body(request.headers), request.body) {
        (true, None) => return Err(Error::NoBody),
        (true, Some(form)) => form,
        (false, _) => &[],
    };
    let query = request.target.query().unwrap_or_default().as_bytes();
    let mut pairs: Vec<(String, String)> =
        protocol.iter().map(|(name, value)| ((*name).to_owned(), escape(value.as_bytes()))).collect();
    for (name, value) in parameters(query).chain(parameters(form)) {
        let name = unescape_form(name);
        let ours = protocol.iter().map(|(ours, _)| *ours).chain(["oauth_signature"]);
        if let Some(ours) = ours.into_iter().find(|ours| ours.as_bytes() == name) {
            return Err(Error::Signed(ours));
        }
        pairs.push((escape(&name), escape(&unescape_form(value))));
    }
    pairs.sort();
    let pieces: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(Zeroizing::new(pieces.join("&")))
}

#[cfg(test)]
mod tests;
