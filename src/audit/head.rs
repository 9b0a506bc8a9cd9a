//! Heads: lines in which the key of this home says what the chain was. Whoever changes a line before one would have to sign it anew.
//!
//! Signed (Ed25519, RFC 8032) is the line's own text up to its signature, its number and the hash of the line before it. Other lines by
//! which the chain vouches for what is missing or was not signed in time are signed alike.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::engine::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::clock::Clock;
use super::error::Error;
use super::line;
use super::text::{decimal, hex};
use super::trailer::{Hash, Link, read_hash};
use crate::disk;
use crate::seal::{self, DataKey};

const SIGNATURE: &[u8] = br#","sig":""#;
/// What sets these signatures apart from any other.
const CONTEXT: &[u8] = b"nexus audit head 1\n";
const LIMIT: u64 = 4096;

/// The key that signs heads: made once, sealed beside the vault under the vault's key. It has no `Debug` of its own.
pub struct HeadKey(Ed25519KeyPair);

impl HeadKey {
    /// The key that is sealed in `file`; `None` where there is none yet.
    ///
    /// # Errors
    /// [`Error::Key`] for a file that can't be read or doesn't open.
    pub fn open(file: &Path, key: &DataKey) -> Result<Option<Self>, Error> {
        let sealed = disk::read_private(file, LIMIT).map_err(Error::key(file))?;
        sealed.map(|sealed| Self::unseal(file, &sealed, key)).transpose()
    }

    /// As [`HeadKey::open`]; makes the key where there is none.
    ///
    /// # Errors
    /// [`Error::Key`], also where the file can't be written.
    pub fn open_or_make(file: &Path, key: &DataKey) -> Result<Self, Error> {
        if let Some(found) = Self::open(file, key)? {
            return Ok(found);
        }
        let _held = disk::Lock::acquire(file).map_err(Error::key(file))?;
        // Another process may have been faster.
        if let Some(found) = Self::open(file, key)? {
            return Ok(found);
        }
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(Error::key(file))?;
        let made = Self::of_seed(file, seed.as_slice())?;
        let sealed = seal::seal(key, seed.as_slice()).map_err(Error::key(file))?;
        disk::write_atomic(file, sealed.as_bytes(), disk::PRIVATE).map_err(Error::key(file))?;
        Ok(made)
    }

    fn unseal(file: &Path, sealed: &[u8], key: &DataKey) -> Result<Self, Error> {
        Self::of_seed(file, &seal::open(key, sealed).map_err(Error::key(file))?)
    }

    fn of_seed(file: &Path, seed: &[u8]) -> Result<Self, Error> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(Error::key(file))
    }

    /// What proves its signatures.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }

    /// Appends a head to be chained with `link`, without the end of its line.
    pub(super) fn write(&self, out: &mut Vec<u8>, link: Link, clock: &mut Clock) {
        line::write_event(out, "head", &[("key", &self.public().to_string())], clock);
        out.truncate(out.len().saturating_sub(1));
        self.sign(out, link);
    }

    /// Signs `out`, the text of an event that is to be chained with `link`.
    pub(super) fn sign(&self, out: &mut Vec<u8>, link: Link) {
        out.truncate(out.len().saturating_sub(1));
        let signature = self.0.sign(&signed(link, out));
        out.extend_from_slice(SIGNATURE);
        out.extend_from_slice(STANDARD.encode(signature.as_ref()).as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

/// Prints the public half.
impl fmt::Debug for HeadKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HeadKey({})", self.public())
    }
}

/// The public half of a [`HeadKey`]: 32 bytes (RFC 8032 §5.1.5), as text in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// As other programs read it: a PEM of SubjectPublicKeyInfo (RFC 8410 §4).
    pub fn pem(&self) -> String {
        let algorithm = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let body = STANDARD.encode([algorithm.as_slice(), &self.0].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    /// Whether this key signed `line`, which was chained with `link`.
    pub(super) fn proves(&self, line: &[u8], link: Link) -> bool {
        let Some(start) = memchr::memmem::find(line, SIGNATURE) else { return false };
        let (said, rest) = line.split_at(start);
        let text = rest.get(SIGNATURE.len()..).unwrap_or_default();
        let text = text.split(|&byte| byte == b'"').next().unwrap_or_default();
        let Ok(signature) = STANDARD.decode(text) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(&signed(link, said), &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(BadKey)
    }
}

/// What was given is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no key of an audit log: 44 letters of base64, as `nexus audit key` prints them")]
pub struct BadKey;

/// What a head signs: its own text, its number, the hash of the line before.
fn signed(link: Link, said: &[u8]) -> Vec<u8> {
    let mut message = CONTEXT.to_vec();
    decimal(&mut message, link.seq);
    message.push(b'\n');
    hex(&mut message, &link.prev);
    message.push(b'\n');
    message.extend_from_slice(said);
    message
}

/// A line of the log and its hash, as `NUMBER:HASH`: short enough to be noted elsewhere, and what holds a later log to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

impl Head {
    /// Of the line that the next one would be chained to.
    pub(super) fn before(link: Link) -> Self {
        Self { seq: link.seq.saturating_sub(1), hash: link.prev }
    }

    /// The line's number.
    pub fn line(&self) -> u64 {
        self.seq
    }
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(64);
        hex(&mut text, &self.hash);
        write!(formatter, "{}:{}", self.seq, String::from_utf8_lossy(&text))
    }
}

impl FromStr for Head {
    type Err = BadHead;

    fn from_str(text: &str) -> Result<Self, BadHead> {
        let (seq, hash) = text.trim().split_once(':').ok_or(BadHead)?;
        Ok(Self { seq: seq.parse().ok().ok_or(BadHead)?, hash: read_hash(hash).ok_or(BadHead)? })
    }
}

/// What was given is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no head: a line's number, a colon and 64 hex digits, as `nexus audit verify` prints them")]
pub struct BadHead;

/// The time in a chained line of ours, as text.
pub(super) fn time_of(line: &[u8]) -> Option<&str> {
    const TIME: &[u8] = br#","time":""#;
    let start = memchr::memmem::find(line, TIME)? + TIME.len();
    let text = line.get(start..)?;
    str::from_utf8(text.get(..memchr::memchr(b'"', text)?)?).ok()
}
