//! Answering a challenge, once and beforehand.

use std::sync::atomic::{AtomicU32, Ordering};

use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::super::text::{escape, sensitive};
use super::super::{Signed, Unsigned};
use super::{Challenge, Error, Protection, quoted};
use crate::model::Secret;

/// A challenge in use: counts how often its nonce was used.
///
/// One client nonce serves the whole session, so that servers agree on a `-sess` key whichever request they take it from.
#[derive(Debug)]
pub(crate) struct Session {
    challenge: Challenge,
    cnonce: String,
    pub(super) used: AtomicU32,
}

impl Session {
    /// Starts to use `challenge`; `cnonce` is random, at least 64 bits of it.
    ///
    /// # Errors
    /// [`Error::Cnonce`].
    pub(crate) fn new(challenge: Challenge, cnonce: String) -> Result<Self, Error> {
        if cnonce.is_empty() || !cnonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Cnonce);
        }
        Ok(Self { challenge, cnonce, used: AtomicU32::new(0) })
    }

    /// The next nonce count, from 1.
    fn next(&self) -> Result<u32, Error> {
        let before = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_add(1));
        before.map(|used| used + 1).map_err(|_last: u32| Error::UsedUp)
    }

    /// `Authorization` for `request` (§3.4), with the next nonce count.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub(crate) fn sign(
        &self,
        user: &Secret<String>,
        password: &Secret<String>,
        request: &Unsigned<'_>,
    ) -> Result<Signed, Error> {
        if user.has_control() {
            return Err(Error::Control);
        }
        let count = format!("{:08x}", self.next()?);
        let response = self.response(user.expose(), password.expose(), request, &count)?;
        let value = Zeroizing::new(self.credentials(user.expose(), request, &count, &response));
        let value = sensitive(&value).map_err(Error::Header)?;
        Ok(Signed { headers: vec![(AUTHORIZATION, value)], target: None })
    }

    /// §3.4.1 to §3.4.3.
    fn response(&self, user: &str, password: &str, request: &Unsigned<'_>, count: &str) -> Result<Zeroizing<String>, Error> {
        let Challenge { realm, nonce, hash, protection, .. } = &self.challenge;
        let (nonce, cnonce) = (nonce.as_slice(), self.cnonce.as_bytes());
        let mut secret = hash.of(&[user.as_bytes(), realm, password.as_bytes()]);
        if self.challenge.session {
            secret = hash.of(&[secret.as_bytes(), nonce, cnonce]);
        }
        let (method, uri) = (request.method.as_str().as_bytes(), request.target.as_str().as_bytes());
        let (covered, qop): (_, &[u8]) = match protection {
            Protection::Legacy => {
                let covered = hash.of(&[method, uri]);
                return Ok(hash.of(&[secret.as_bytes(), nonce, covered.as_bytes()]));
            }
            Protection::Auth => (hash.of(&[method, uri]), b"auth"),
            Protection::AuthInt => {
                let body = hash.of(&[request.body.ok_or(Error::NoBody)?]);
                (hash.of(&[method, uri, body.as_bytes()]), b"auth-int")
            }
        };
        Ok(hash.of(&[secret.as_bytes(), nonce, count.as_bytes(), cnonce, qop, covered.as_bytes()]))
    }

    /// §3.4: which parameters are quoted is part of the format.
    fn credentials(&self, user: &str, request: &Unsigned<'_>, count: &str, response: &str) -> Vec<u8> {
        let challenge = &self.challenge;
        let mut text = b"Digest ".to_vec();
        if challenge.userhash {
            text.extend(quoted("username", challenge.hash.of(&[user.as_bytes(), &challenge.realm]).as_bytes()));
        } else if challenge.utf8 && !user.is_ascii() {
            // RFC 8187 §3.2.
            text.extend(format!("username*=UTF-8''{}", escape(user.as_bytes())).bytes());
        } else {
            text.extend(quoted("username", user.as_bytes()));
        }
        let mut add = |piece: Vec<u8>| {
            text.extend(b", ");
            text.extend(piece);
        };
        add(quoted("realm", &challenge.realm));
        add(quoted("nonce", &challenge.nonce));
        add(quoted("uri", request.target.as_str().as_bytes()));
        add(quoted("response", response.as_bytes()));
        challenge.algorithm.iter().for_each(|name| add(format!("algorithm={name}").into_bytes()));
        challenge.opaque.iter().for_each(|opaque| add(quoted("opaque", opaque)));
        let qop = match challenge.protection {
            Protection::Legacy => None,
            Protection::Auth => Some("auth"),
            Protection::AuthInt => Some("auth-int"),
        };
        if let Some(qop) = qop {
            add(format!("qop={qop}, nc={count}").into_bytes());
            add(quoted("cnonce", self.cnonce.as_bytes()));
        }
        if challenge.userhash {
            add(b"userhash=true".to_vec());
        }
        text
    }
}
