//! Digest authentication (RFC 7616; RFC 2617 and, without `qop`, RFC 2069 compatible).
//!
//! The challenge comes with a 401; a [`Session`] made of it answers that request and authenticates later ones beforehand (§3.6).

mod challenge;
mod session;

use data_encoding::HEXLOWER;
use http::header::{HeaderMap, InvalidHeaderValue, WWW_AUTHENTICATE};
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};
use zeroize::Zeroizing;

pub(crate) use session::Session;

/// Why a challenge could not be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Against the grammar, or without what every challenge has.
    #[error("the service's digest challenge is malformed")]
    Malformed,
    /// An algorithm or `qop` that we do not know.
    #[error("the service's digest challenge wants an algorithm or a quality of protection that is not in RFC 7616")]
    Unsupported,
    /// `auth-int` signs the body.
    #[error("the digest covers the body, which is not at hand: it is too large to keep")]
    NoBody,
    /// A line end or the like in the user name.
    #[error("the user name has a line end or another control character: register it without")]
    Control,
    /// A client nonce that can't be written.
    #[error("the client nonce is not visible ASCII")]
    Cnonce,
    /// 4,294,967,295 requests with one nonce.
    #[error("the service's nonce is used up: a new challenge is needed")]
    UsedUp,
    /// What was made is no header value.
    #[error("the Authorization field would hold characters that no header field can carry")]
    Header(#[source] InvalidHeaderValue),
}

/// The hash, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Md5,
    Sha256,
    Sha512Trunc256,
}

impl Hash {
    /// Hexadecimal hash of the parts joined by colons: H and KD of §3.3.
    fn of(self, parts: &[&[u8]]) -> Zeroizing<String> {
        let joined = Zeroizing::new(parts.join(&b':'));
        Zeroizing::new(match self {
            Self::Md5 => HEXLOWER.encode(&Md5::digest(&*joined)),
            Self::Sha256 => HEXLOWER.encode(&Sha256::digest(&*joined)),
            Self::Sha512Trunc256 => HEXLOWER.encode(&Sha512_256::digest(&*joined)),
        })
    }
}

/// `qop`: what the response covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protection {
    /// No `qop` was offered (RFC 2069).
    Legacy,
    Auth,
    /// The body too.
    AuthInt,
}

/// A digest challenge that we can answer.
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    realm: Vec<u8>,
    nonce: Vec<u8>,
    opaque: Option<Vec<u8>>,
    hash: Hash,
    /// `-sess`.
    session: bool,
    /// `algorithm` as we write it; `None` where the challenge has none.
    algorithm: Option<&'static str>,
    protection: Protection,
    stale: bool,
    userhash: bool,
    utf8: bool,
}

impl Challenge {
    /// The strongest digest challenge among the `WWW-Authenticate` fields, the first of equals; `None` where there is no digest one.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::Unsupported`] where none can be answered.
    pub(crate) fn strongest(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let mut best: Option<Self> = None;
        let mut first_error = None;
        for read in headers.get_all(WWW_AUTHENTICATE).iter().flat_map(|field| Self::read_all(field.as_bytes())) {
            match read {
                Ok(challenge) if best.as_ref().is_none_or(|best| challenge.hash > best.hash) => best = Some(challenge),
                Ok(_) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match (best, first_error) {
            (None, Some(error)) => Err(error),
            (best, _) => Ok(best),
        }
    }

    /// The digest challenges of one field.
    fn read_all(field: &[u8]) -> Vec<Result<Self, Error>> {
        match challenge::parse(field) {
            Ok(list) => list.iter().filter(|one| one.scheme.eq_ignore_ascii_case("digest")).map(Self::read).collect(),
            Err(challenge::Malformed) => vec![Err(Error::Malformed)],
        }
    }

    fn read(challenge: &challenge::Challenge) -> Result<Self, Error> {
        let required = |name| challenge.get(name).map(<[u8]>::to_vec).ok_or(Error::Malformed);
        let is = |name, word: &str| challenge.get(name).is_some_and(|value| value.eq_ignore_ascii_case(word.as_bytes()));
        let (hash, session, algorithm) = challenge.get("algorithm").map_or(Ok((Hash::Md5, false, None)), algorithm)?;
        let protection = challenge.get("qop").map_or(Ok(Protection::Legacy), protection)?;
        // A session key is made of the client nonce, which is not sent without qop (RFC 2617 §3.2.2).
        if session && protection == Protection::Legacy {
            return Err(Error::Malformed);
        }
        Ok(Self {
            realm: required("realm")?,
            nonce: required("nonce")?,
            opaque: challenge.get("opaque").map(<[u8]>::to_vec),
            hash,
            session,
            algorithm,
            protection,
            stale: is("stale", "true"),
            userhash: is("userhash", "true"),
            utf8: is("charset", "UTF-8"),
        })
    }

    /// Whether the nonce alone was wrong: the same user and password with this challenge's nonce will do (§3.3).
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }
}

fn algorithm(name: &[u8]) -> Result<(Hash, bool, Option<&'static str>), Error> {
    const ALL: [(Hash, bool, &str); 6] = [
        (Hash::Md5, false, "MD5"),
        (Hash::Md5, true, "MD5-sess"),
        (Hash::Sha256, false, "SHA-256"),
        (Hash::Sha256, true, "SHA-256-sess"),
        (Hash::Sha512Trunc256, false, "SHA-512-256"),
        (Hash::Sha512Trunc256, true, "SHA-512-256-sess"),
    ];
    let known = ALL.into_iter().find(|(.., word)| name.eq_ignore_ascii_case(word.as_bytes()));
    known.map(|(hash, session, word)| (hash, session, Some(word))).ok_or(Error::Unsupported)
}

/// `auth` where it is offered, for then the body needs not be kept.
fn protection(offered: &[u8]) -> Result<Protection, Error> {
    let offers = |word: &[u8]| offered.split(|&byte| byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(word));
    match (offers(b"auth"), offers(b"auth-int")) {
        (true, _) => Ok(Protection::Auth),
        (false, true) => Ok(Protection::AuthInt),
        (false, false) => Err(Error::Unsupported),
    }
}

/// `name="value"` (RFC 9110 §5.6.4).
fn quoted(name: &str, value: &[u8]) -> Vec<u8> {
    let mut text = format!("{name}=\"").into_bytes();
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text.push(b'"');
    text
}

#[cfg(test)]
mod tests;
