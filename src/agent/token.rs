//! Agent tokens: 190 random bits in letters that no client percent-encodes; stored as SHA-256 only.

use sha2::{Digest as _, Sha256};

use crate::model::Secret;

const PREFIX: &str = "nxa_";
/// Of leases, so that nobody else is looked for among them.
pub(super) const LEASE_PREFIX: &str = "nxl_";
/// Of keys of the gateway, so that one can be told from the other where it lies around.
const KEY_PREFIX: &str = "nxk_";
/// Of what a person at the page shows.
const PAGE_PREFIX: &str = "nxp_";
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 32;

/// A new token, shown once.
#[derive(Debug)]
pub struct Token(Secret<String>);

impl Token {
    /// Draws a token from the system's random numbers.
    ///
    /// # Errors
    /// If the system has none to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        Self::draw(PREFIX)
    }

    /// As [`Token::random`], for a key of the gateway.
    ///
    /// # Errors
    /// If the system has none to give.
    pub fn key() -> Result<Self, getrandom::Error> {
        Self::draw(KEY_PREFIX)
    }

    /// As [`Token::random`], for a person at the gateway's page.
    ///
    /// # Errors
    /// If the system has none to give.
    pub(crate) fn page() -> Result<Self, getrandom::Error> {
        Self::draw(PAGE_PREFIX)
    }

    /// As [`Token::random`], for a lease.
    ///
    /// # Errors
    /// If the system has none to give.
    pub(super) fn lease() -> Result<Self, getrandom::Error> {
        Self::draw(LEASE_PREFIX)
    }

    fn draw(prefix: &str) -> Result<Self, getrandom::Error> {
        let mut text = String::with_capacity(prefix.len() + LENGTH);
        text.push_str(prefix);
        while text.len() < prefix.len() + LENGTH {
            let mut bytes = [0; 64];
            getrandom::fill(&mut bytes)?;
            // 248 = 4 x 62: larger bytes are thrown away, so that each letter is equally likely.
            let letters = bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| LETTERS.get(usize::from(byte % 62)));
            text.extend(letters.take(prefix.len() + LENGTH - text.len()).map(|letter| char::from(*letter)));
        }
        Ok(Self(Secret::new(text)))
    }

    /// The text that the caller shows.
    pub fn text(&self) -> &Secret<String> {
        &self.0
    }

    /// What is stored.
    pub fn hash(&self) -> [u8; 32] {
        hash(self.0.expose())
    }
}

/// SHA-256 of a token: enough for 190 random bits, and cheap on every connection.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The inverse of [`hex`] for 32 bytes.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_distinct_and_plain() {
        let (one, two) = (Token::random().expect("random"), Token::random().expect("random"));
        assert_ne!(one.hash(), two.hash());
        let text = one.text().expose();
        assert_eq!(text.len(), PREFIX.len() + LENGTH);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        let bytes = hash("x");
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex("zz"), None);
    }
}
