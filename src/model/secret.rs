//! `Secret`: a value that can be used but not printed, copied or compared by accident.

use std::fmt;

use zeroize::Zeroize;

/// A secret value, wiped from memory when dropped.
///
/// It has no `Display`, `Serialize`, `Clone` or `PartialEq`; its `Debug` prints `Secret(..)`. The one way to the value is
/// [`Secret::expose`], so a search for that word is the list of places to review.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes ownership of `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Every caller is part of the security review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// A second copy, for a reader that must own its own; wiped like the first.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Whether it holds a line end or another control character, which no field of a request can carry (RFC 9110 §5.5).
    pub fn has_control(&self) -> bool {
        self.0.contains(char::is_control)
    }

    /// Whether it has more than so many bytes.
    pub fn is_longer_than(&self, bytes: usize) -> bool {
        self.expose().len() > bytes
    }

    /// Whether `other` is the same text, compared in constant time for equal lengths.
    pub fn matches(&self, other: &str) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// Whether `other` holds the same text, compared in constant time for equal lengths.
    pub fn same(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

/// How a secret is written into a text that will be sealed, and read from one: by `#[serde(with = "…")]` alone, so that nothing is written
/// that does not say so.
pub(crate) mod to_be_sealed {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Secret;

    pub(crate) fn serialize<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }

    /// The same for one that need not be there.
    pub(crate) mod if_any {
        use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

        use super::Secret;

        pub(crate) fn serialize<S: Serializer>(secret: &Option<Secret<String>>, serializer: S) -> Result<S::Ok, S::Error> {
            secret.as_ref().map(Secret::expose).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
            Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
        }
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_value() {
        let secret = Secret::new(String::from("hunter2"));
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(..) Some(Secret(..))");
    }

    #[test]
    fn matching_compares_the_whole_text() {
        let secret = Secret::new(String::from("hunter2"));
        assert!(secret.matches("hunter2"));
        assert!(!secret.matches("hunter") && !secret.matches("hunter3") && !secret.matches(""));
        assert!(secret.same(&secret.duplicate()) && !secret.same(&Secret::new(String::new())));
    }
}
