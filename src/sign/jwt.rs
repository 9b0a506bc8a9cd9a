//! Signed JSON Web Tokens (RFC 7519) in the compact form of RFC 7515 §7.1, for services that want a new one every hour or request.
//!
//! The caller gives the header and the claims; only `alg` comes from the key. RS256 and HS256 give the same token for the same
//! input, ES256 a different one each time (RFC 7518 §3.4).

use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256};
use base64::engine::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub(crate) use super::mac::Encoding;
use super::mac::{Hash, hmac};
use crate::model::Secret;

/// How a token is signed (RFC 7518 §3.1); `none` is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// HMAC with SHA-256.
    Hs256,
}

impl Algorithm {
    /// The value of `alg`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
        }
    }
}

/// Why a key or a token could not be made. No variant quotes the key: a parser's message may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// RS256 and ES256 take a key pair.
    #[error("HS256 takes a shared secret, RS256 and ES256 take a private key in PEM: the key given is the other kind")]
    Kind,
    /// `ENCRYPTED PRIVATE KEY` or a `Proc-Type` line.
    #[error("the private key is encrypted: store it without a passphrase (openssl pkey -in KEY.pem -out PLAIN.pem)")]
    Encrypted,
    /// No section that holds a private key.
    #[error("the private key is not PEM: store the whole text from -----BEGIN to -----END, line ends included")]
    NotPem,
    /// Another key type, too short, or damaged.
    #[error("the private key is not a usable RSA key of 2048 to 8192 bits, which RS256 needs")]
    NotRsa,
    /// Another curve, another key type, or damaged.
    #[error("the private key is not a usable key on the curve P-256, which ES256 needs")]
    NotP256,
    /// An empty secret signs nothing.
    #[error("the secret that signs tokens is empty")]
    Empty,
    /// Not in the encoding that was said.
    #[error("the secret that signs tokens is not {0}")]
    NotEncoded(&'static str),
    /// `ID:SECRET` without its colon, or an empty half.
    #[error("the key is not of the form ID:SECRET")]
    NotAPair,
    /// A certificate that can't be read.
    #[error("the certificate is not PEM: store the whole text from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----")]
    NotACertificate,
    /// The header wants another algorithm than the key's.
    #[error("the header's alg is not {0}, which is what the key signs with: leave it out")]
    Alg(&'static str),
    /// A clock before 1970, or a lifetime beyond what a number of seconds can say.
    #[error("the clock is out of the range that a token can carry")]
    Clock,
    /// Out of memory or the like.
    #[error("the cryptographic library could not sign the token")]
    Signing,
}

/// A key that signs tokens, read and checked; wiped when dropped.
pub(crate) struct Key(Kind);

enum Kind {
    Rs256(Box<RsaKeyPair>),
    Es256(Box<EcdsaKeyPair>),
    Hs256(Zeroizing<Vec<u8>>),
}

impl Key {
    /// Reads a private key for RS256 (PKCS#1 or PKCS#8) or ES256 (SEC1 or PKCS#8) from PEM (RFC 7468).
    ///
    /// A PEM whose line ends were written as `\n`, as environment variables have it, is understood.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub(crate) fn from_pem(algorithm: Algorithm, pem: &Secret<String>) -> Result<Self, Error> {
        let der = Zeroizing::new(read_pem(pem.expose())?);
        match algorithm {
            Algorithm::Rs256 => rsa(&der).map(|pair| Self(Kind::Rs256(Box::new(pair)))),
            Algorithm::Es256 => p256(&der).map(|pair| Self(Kind::Es256(Box::new(pair)))),
            Algorithm::Hs256 => Err(Error::Kind),
        }
    }

    /// A shared secret for HS256.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::NotEncoded`], and [`Error::Kind`] for a private key in PEM, which is no shared secret.
    pub(crate) fn from_secret(secret: &Secret<String>, encoding: Encoding) -> Result<Self, Error> {
        Self::from_text(secret.expose(), encoding)
    }

    /// A shared secret for HS256 stored as `ID:SECRET` (Ghost's Admin API key has `id:hex`); gives the id, for `kid`, beside it.
    ///
    /// # Errors
    /// [`Error::NotAPair`] and those of [`Self::from_secret`].
    pub(crate) fn from_pair(pair: &Secret<String>, encoding: Encoding) -> Result<(String, Self), Error> {
        let (id, secret) = pair.expose().split_once(':').ok_or(Error::NotAPair)?;
        if id.is_empty() || secret.is_empty() {
            return Err(Error::NotAPair);
        }
        Ok((id.to_owned(), Self::from_text(secret, encoding)?))
    }

    fn from_text(secret: &str, encoding: Encoding) -> Result<Self, Error> {
        if secret.is_empty() {
            return Err(Error::Empty);
        }
        if secret.trim_start().starts_with("-----BEGIN ") {
            return Err(Error::Kind);
        }
        encoding.decode(secret).map(|bytes| Self(Kind::Hs256(bytes))).ok_or(Error::NotEncoded(encoding.as_str()))
    }

    /// What it signs with.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Rs256(_) => Algorithm::Rs256,
            Kind::Es256(_) => Algorithm::Es256,
            Kind::Hs256(_) => Algorithm::Hs256,
        }
    }
}

fn read_pem(text: &str) -> Result<PrivateKeyDer<'static>, Error> {
    let unfolded = Zeroizing::new(if text.contains('\n') { String::new() } else { text.replace("\\n", "\n") });
    let text = if unfolded.is_empty() { text } else { unfolded.as_str() };
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type:") {
        return Err(Error::Encrypted);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_quotes: rustls_pki_types::pem::Error| Error::NotPem)
}

fn rsa(der: &PrivateKeyDer<'_>) -> Result<RsaKeyPair, Error> {
    let pair = match der {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err(Error::NotRsa),
    };
    pair.map_err(|_says_less: aws_lc_rs::error::KeyRejected| Error::NotRsa)
}

fn p256(der: &PrivateKeyDer<'_>) -> Result<EcdsaKeyPair, Error> {
    let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = match der {
        PrivateKeyDer::Sec1(key) => EcdsaKeyPair::from_private_key_der(curve, key.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(key) => EcdsaKeyPair::from_pkcs8(curve, key.secret_pkcs8_der()),
        _ => return Err(Error::NotP256),
    };
    pair.map_err(|_says_less: aws_lc_rs::error::KeyRejected| Error::NotP256)
}

/// The signed token: `header.claims.signature`, each part base64url without padding.
///
/// `alg` is written by this function, `typ: JWT` too unless the header has a `typ`; members keep their order.
///
/// # Errors
/// [`Error::Alg`] for a header with another `alg`, [`Error::Signing`].
pub(crate) fn sign(key: &Key, header: &Map<String, Value>, claims: &Map<String, Value>) -> Result<Secret<String>, Error> {
    let algorithm = key.algorithm().as_str();
    if header.get("alg").is_some_and(|given| given != algorithm) {
        return Err(Error::Alg(algorithm));
    }
    let mut full = Map::from_iter([("alg".to_owned(), Value::from(algorithm))]);
    if !header.contains_key("typ") {
        full.insert("typ".to_owned(), "JWT".into());
    }
    full.extend(header.iter().map(|(name, value)| (name.clone(), value.clone())));
    compact(key, &Value::Object(full).to_string(), &Value::Object(claims.clone()).to_string())
}

/// Appends the signature to the two parts (RFC 7515 §5.1).
fn compact(key: &Key, header: &str, claims: &str) -> Result<Secret<String>, Error> {
    // Room for the longest signature (RSA with 8192 bits), so that no half-made copy is left behind by growing.
    let mut token = String::with_capacity(2 + (header.len() + claims.len() + 1024) * 4 / 3 + 8);
    URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = signature(key, token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(Secret::new(token))
}

fn signature(key: &Key, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |_says_nothing: aws_lc_rs::error::Unspecified| Error::Signing;
    match &key.0 {
        Kind::Rs256(pair) => {
            let mut signature = Zeroizing::new(vec![0; pair.public_modulus_len()]);
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
            Ok(signature)
        }
        Kind::Es256(pair) => {
            let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
            Ok(Zeroizing::new(signature.as_ref().to_vec()))
        }
        Kind::Hs256(secret) => Ok(hmac(Hash::Sha256, secret, message)),
    }
}

/// Sets `iat` to `backdated` before `now` and `exp` to `lifetime` after `now` (RFC 7519 §4.1), both whole seconds since 1970.
///
/// # Errors
/// [`Error::Clock`].
pub(crate) fn stamp(
    claims: &mut Map<String, Value>,
    now: SystemTime,
    backdated: Duration,
    lifetime: Duration,
) -> Result<(), Error> {
    let seconds = |time: Option<SystemTime>| {
        let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.map(|since| since.as_secs()).ok_or(Error::Clock)
    };
    claims.insert("iat".to_owned(), seconds(now.checked_sub(backdated))?.into());
    claims.insert("exp".to_owned(), seconds(now.checked_add(lifetime))?.into());
    Ok(())
}

/// `x5t#S256` of the first certificate in a PEM (RFC 7515 §4.1.8): base64url of the SHA-256 of its DER.
///
/// # Errors
/// [`Error::NotACertificate`].
pub(crate) fn thumbprint(certificate: &str) -> Result<String, Error> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes())
        .map_err(|_quotes: rustls_pki_types::pem::Error| Error::NotACertificate)?;
    Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(&der)))
}

#[cfg(test)]
mod tests;
