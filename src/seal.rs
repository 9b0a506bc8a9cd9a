//! Keys and sealed text: PBKDF2 makes the key, AES-256-GCM seals the vault and the CA key. Floor 0.
//!
//! The parameters are constants, never read from a file, so nobody can talk us down to weaker ones. The form on disk is that of
//! JarvisCore's store: URL-safe base64 with padding of `nonce[12] || ciphertext || tag[16]`, no associated data.

mod hardware;

use std::fmt;
use std::str::FromStr;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce, Tag};
use base64::DecodeError;
use base64::engine::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::Secret;

/// PBKDF2 rounds; JarvisCore's number.
const ROUNDS: u32 = 260_000;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Why a key could not be made, or a text not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An empty secret protects nothing.
    #[error("the secret is empty")]
    EmptyPassphrase,
    /// The salt's text form is wrong.
    #[error("the salt is not the URL-safe base64 of 32 bytes")]
    Salt,
    /// Zero bytes were given.
    #[error("there is nothing to open: the sealed text is empty")]
    Empty,
    /// Not base64 at all.
    #[error("the sealed text is not URL-safe base64")]
    NotBase64(#[source] DecodeError),
    /// Base64 that ends too early.
    #[error("the sealed text is cut short")]
    Truncated,
    /// The tag does not fit: another key, or changed bytes. Nothing can tell the two apart.
    #[error("the secret is wrong or the sealed text is damaged")]
    WrongKeyOrDamaged,
    /// More than AES-GCM can seal under one nonce (SP 800-38D §5.2.1.1).
    #[error("the text is too long to seal")]
    TooLong,
    /// The system gave no random bytes.
    #[error("cannot obtain random bytes")]
    Random(#[source] getrandom::Error),
}

/// The secret that a person chose; keys are derived from it.
pub struct Passphrase(Secret<String>);

impl Passphrase {
    /// Takes the text of `NEXUS_SECRET`.
    ///
    /// # Errors
    /// [`Error::EmptyPassphrase`] for an empty one.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = Secret::new(text.into());
        if text.expose().is_empty() { Err(Error::EmptyPassphrase) } else { Ok(Self(text)) }
    }

    /// JarvisCore's fallback when no secret is set: the decimal text of this machine's hardware address.
    ///
    /// Anybody on the same network can guess it, so callers warn about it loudly. `None` where there is no such address, and on
    /// systems other than Linux.
    pub fn of_this_machine() -> Option<Self> {
        hardware::node().map(Self::of_hardware_address)
    }

    /// The fallback secret of a machine with this hardware address.
    pub fn of_hardware_address(address: [u8; 6]) -> Self {
        let number = address.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        Self(Secret::new(number.to_string()))
    }
}

/// What makes equal secrets give different keys: 32 random bytes, not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn random() -> Result<Self, Error> {
        random().map(Self)
    }
}

impl From<[u8; 32]> for Salt {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Salt {
    type Err = Error;

    /// Reads URL-safe base64 with padding; a line end, which editors like to add, is passed over.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE.decode(text.trim_ascii()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(Error::Salt)
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE.encode(self.0))
    }
}

/// The key that seals: 32 bytes, wiped when dropped.
pub struct DataKey(Secret<[u8; 32]>);

impl DataKey {
    /// PBKDF2-HMAC-SHA256 (RFC 8018 §5.2) with 260,000 rounds. Takes a tenth of a second or so: derive once and keep the key.
    pub fn derive(passphrase: &Passphrase, salt: &Salt) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // This function with this hash is compiled in its own crate, so that it is fast in a debug build of ours too.
        pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.0.expose().as_bytes(), &salt.0, ROUNDS, key.as_mut_slice());
        Self(Secret::new(*key))
    }

    /// A key for one other purpose, from which this one can't be found: HMAC-SHA256 of `purpose` (SP 800-108 with one block).
    pub fn subkey(&self, purpose: &str) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 §2)")]
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.0.expose()).expect("any length is a key");
        mac.update(b"nexus ");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// A key from elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// A second copy, for a second owner; wiped like the first.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(Secret::new(*self.0.expose()))
    }
}

/// Seals `plain` under a fresh random nonce (SP 800-38D §8.2.2: fewer than 2^32 times per key).
///
/// # Errors
/// [`Error::Random`] and [`Error::TooLong`].
pub fn seal(key: &DataKey, plain: &[u8]) -> Result<String, Error> {
    let nonce: [u8; NONCE] = random()?;
    // Of the final size from the start: a buffer that grows leaves plaintext behind.
    let mut bytes = Vec::with_capacity(NONCE + plain.len() + TAG);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(plain);
    let body = bytes.get_mut(NONCE..).unwrap_or_default();
    let sealed = cipher(key).encrypt_inout_detached(&Nonce::from(nonce), b"", body.into());
    let Ok(tag) = sealed else { return Err(Error::TooLong) };
    bytes.extend_from_slice(&tag);
    Ok(URL_SAFE.encode(bytes))
}

/// Opens what [`seal`] made.
///
/// # Errors
/// All but [`Error::EmptyPassphrase`], [`Error::Salt`] and [`Error::TooLong`].
pub fn open(key: &DataKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = decode(sealed)?;
    let Envelope { nonce, body, tag } = split(&mut bytes)?;
    let opened = cipher(key).decrypt_inout_detached(&Nonce::from(nonce), b"", body.into(), &Tag::from(tag));
    if opened.is_err() {
        return Err(Error::WrongKeyOrDamaged);
    }
    Ok(keep_body(bytes))
}

/// Opens what JarvisCore seals where AES is missing: the same envelope around an HMAC-SHA256 counter keystream.
///
/// Block `i` of the keystream is `HMAC(key, nonce || be64(i))`; the tag is the first half of `HMAC(key, nonce || ciphertext)`.
///
/// # Errors
/// As [`open()`].
pub fn open_stream_cipher(key: &DataKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = decode(sealed)?;
    let Envelope { nonce, body, tag } = split(&mut bytes)?;
    let keyed = keyed_hash(key).chain_update(nonce);
    if keyed.clone().chain_update(&*body).verify_truncated_left(&tag).is_err() {
        return Err(Error::WrongKeyOrDamaged);
    }
    for (counter, block) in (0_u64..).zip(body.chunks_mut(32)) {
        let pad = keyed.clone().chain_update(counter.to_be_bytes()).finalize().into_bytes();
        block.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
    }
    Ok(keep_body(bytes))
}

fn cipher(key: &DataKey) -> Aes256Gcm {
    Aes256Gcm::new(key.0.expose().into())
}

fn keyed_hash(key: &DataKey) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 §2)")]
    Hmac::new_from_slice(key.0.expose()).expect("any length is a key")
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}

fn decode(sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if sealed.is_empty() {
        return Err(Error::Empty);
    }
    match URL_SAFE.decode(sealed) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => Err(Error::Truncated),
        Err(cause @ (DecodeError::InvalidByte(..) | DecodeError::InvalidLastSymbol(..))) => Err(Error::NotBase64(cause)),
    }
}

/// The parts of a sealed text, its body in place.
struct Envelope<'a> {
    nonce: [u8; NONCE],
    body: &'a mut [u8],
    tag: [u8; TAG],
}

fn split(bytes: &mut [u8]) -> Result<Envelope<'_>, Error> {
    let (nonce, rest) = bytes.split_first_chunk_mut().ok_or(Error::Truncated)?;
    let (body, tag) = rest.split_last_chunk_mut().ok_or(Error::Truncated)?;
    Ok(Envelope { nonce: *nonce, body, tag: *tag })
}

/// Takes nonce and tag off an opened envelope.
fn keep_body(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let end = bytes.len().saturating_sub(TAG);
    bytes.truncate(end);
    bytes.drain(..NONCE.min(end));
    bytes
}

#[cfg(test)]
mod tests;
