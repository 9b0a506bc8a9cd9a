//! Keyed hashes (RFC 2104), and how their keys are written down.

use base64::engine::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

/// The hash inside; MD5 is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    /// HMAC-SHA1, 20 bytes.
    Sha1,
    /// HMAC-SHA256, 32 bytes.
    Sha256,
    /// HMAC-SHA512, 64 bytes.
    Sha512,
}

impl Hash {
    /// Reads `sha1`, `sha256` or `sha512`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }
}

/// How a key is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The text's own bytes.
    Utf8,
    /// Hexadecimal, in either case.
    Hex,
    /// Standard base64 with padding (RFC 4648 §4).
    Base64,
}

impl Encoding {
    /// Reads `utf8`, `hex` or `base64`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "utf8" => Self::Utf8,
            "hex" => Self::Hex,
            "base64" => Self::Base64,
            _ => return None,
        })
    }

    /// The key's bytes; `None` where `text` is not in this encoding.
    pub(super) fn decode(self, text: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = match self {
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
            Self::Base64 => STANDARD.decode(text).ok(),
        };
        bytes.map(Zeroizing::new)
    }

    /// For messages.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "text",
            Self::Hex => "hexadecimal",
            Self::Base64 => "standard base64",
        }
    }
}

/// HMAC of `message` under `key`, which may have any length.
pub(super) fn hmac(hash: Hash, key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    match hash {
        Hash::Sha1 => run::<Hmac<Sha1>>(key, message),
        Hash::Sha256 => run::<Hmac<Sha256>>(key, message),
        Hash::Sha512 => run::<Hmac<Sha512>>(key, message),
    }
}

fn run<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 §2)")]
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("any length is a key");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// RFC 2202 §3 case 2 and RFC 4231 §4.3: key `Jefe`.
    #[test]
    fn the_vectors_of_the_specifications() {
        let of = |hash| HEXLOWER.encode(&hmac(hash, b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(of(Hash::Sha1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(of(Hash::Sha256), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(
            of(Hash::Sha512),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        );
    }
}
