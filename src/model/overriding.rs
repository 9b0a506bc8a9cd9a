//! `Methods`: those that a parameter puts in the place of the request's, for services that read it so (Rails, Laravel, Symfony).

use std::borrow::Cow;

/// By these parameters, `-` and what PHP takes for `_` as `_`.
const NAMES: [&str; 9] = [
    "_method",
    "_httpmethod",
    "$httpmethod",
    "http_method",
    "method",
    "x_http_method",
    "x_http_method_override",
    "x_method_override",
    "x_tunneled_method",
];
/// What such a parameter may say, and any other by the first of those names, which says nothing else.
const METHODS: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", OTHER];
/// A method that is none of the usual ones. No rule can name it.
const OTHER: &str = "_OTHER";
/// No method is longer.
const LONGEST: usize = 32;

/// Some of the methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Methods(u8);

impl Methods {
    /// Any of them: nobody knows which.
    pub(crate) const ANY: Self = Self(u8::MAX);

    /// These and those.
    pub(crate) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static str> + Clone {
        METHODS.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, method)| *method)
    }

    /// Those beside `own`, in words: one of them may be `other`, and all of them are `any`.
    pub(crate) fn beside(self, own: &str) -> Vec<&'static str> {
        if self == Self::ANY {
            return vec!["any"];
        }
        let word = |method| if method == OTHER { "other" } else { method };
        self.iter().filter(|method| *method != own).map(word).collect()
    }

    /// The one of this name, if it is known.
    pub(crate) fn named(value: &[u8]) -> Self {
        let value = value.trim_ascii();
        let at = METHODS.iter().position(|own| own.as_bytes().eq_ignore_ascii_case(value));
        at.map_or(Self::default(), |bit| Self(1 << bit))
    }

    /// Whether `method`, one of these, stands for all that have no name here, and `own` is one of them.
    pub(crate) fn may_be(method: &str, own: &str) -> bool {
        method == OTHER && !METHODS.contains(&own)
    }

    /// Whether a parameter of this name puts one in place.
    pub(crate) fn are_named_by(name: &[u8]) -> bool {
        number(name).is_some()
    }

    /// Whether such a name begins with this.
    pub(crate) fn have_a_name_from(begin: &[u8]) -> bool {
        let begin = plain(begin);
        NAMES
            .iter()
            .any(|own| own.len() >= begin.len() && own.bytes().zip(begin.iter().map(letter)).all(|(own, said)| own == said))
    }

    /// What a parameter of this name puts in place by this value.
    pub(crate) fn put(name: &[u8], value: &[u8]) -> Self {
        let Some(number) = number(name) else { return Self::default() };
        let (known, value) = (Self::named(value), value.trim_ascii());
        let word = (1..=LONGEST).contains(&value.len()) && value.iter().all(u8::is_ascii_alphabetic);
        if number == 0 && known.is_empty() && word { Self::named(OTHER.as_bytes()) } else { known }
    }

    /// Those of a query.
    pub(crate) fn of_query(query: &str) -> Self {
        Self::of_pairs(query.as_bytes())
    }

    /// Those of a query or a form, all of them: services differ in which of two counts.
    pub(crate) fn of_pairs(text: &[u8]) -> Self {
        if memchr::memchr3(b'm', b'M', b'%', text).is_none() {
            return Self::default();
        }
        text.split(|byte| matches!(byte, b'&' | b';')).fold(Self::default(), |found, pair| {
            let Some(at) = memchr::memchr(b'=', pair) else { return found };
            let (name, value) = pair.split_at(at);
            let name = decoded(name);
            if !Self::are_named_by(&name) {
                return found;
            }
            found.and(Self::put(&name, &decoded(value.get(1..).unwrap_or_default())))
        })
    }
}

/// Which of the names this is.
fn number(name: &[u8]) -> Option<usize> {
    let name = plain(name);
    NAMES.iter().position(|own| own.len() == name.len() && own.bytes().eq(name.iter().map(letter)))
}

/// A name without what PHP drops: blanks before it, a NUL and what stands behind it.
fn plain(name: &[u8]) -> &[u8] {
    name.trim_ascii().split(|byte| *byte == 0).next().unwrap_or_default()
}

/// As PHP makes these others `_`.
fn letter(byte: &u8) -> u8 {
    if matches!(byte, b'-' | b'.' | b' ' | b'[') { b'_' } else { byte.to_ascii_lowercase() }
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    // Nearly every name, which then costs nothing.
    if memchr::memchr2(b'+', b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if let Some((letter, behind)) = numbered(*first, behind) {
            plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            rest = behind;
        } else if let Some((byte, behind)) = escaped(*first, behind) {
            plain.push(byte);
            rest = behind;
        } else {
            plain.push(if *first == b'+' { b' ' } else { *first });
        }
    }
    Cow::Owned(plain)
}

/// `%u005F`, as ASP.NET writes a letter, and what stands behind it.
fn numbered(first: u8, behind: &[u8]) -> Option<(char, &[u8])> {
    let (digits, rest) = behind.strip_prefix(b"u").or_else(|| behind.strip_prefix(b"U"))?.split_at_checked(4)?;
    let letter = hex(digits).filter(|_| first == b'%').and_then(char::from_u32)?;
    Some((letter, rest))
}

/// `%5F`, and what stands behind it.
fn escaped(first: u8, behind: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = behind.split_at_checked(2)?;
    let byte = hex(digits).filter(|_| first == b'%').and_then(|byte| u8::try_from(byte).ok())?;
    Some((byte, rest))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_that_puts_another_method_in_place_counts() {
        for (query, methods) in [
            ("_method=DELETE", vec!["DELETE"]),
            ("_method=POST&_method=DELETE", vec!["DELETE", "POST"]),
            ("method=POST;_method=delete", vec!["DELETE", "POST"]),
            ("a=1&%5Fmethod=%44elete", vec!["DELETE"]),
            ("X-HTTP-Method-Override=PATCH&x-tunneled-method=GET", vec!["GET", "PATCH"]),
            ("_method%00x=DELETE", vec!["DELETE"]),
            ("%u005fmethod=%u0044elete", vec!["DELETE"]),
            ("a=1&%u0058-HTTP-Method-Override=DELETE&%U005Fm%65thod=PUT", vec!["DELETE", "PUT"]),
            ("%u005method=DELETE&%uD800_method=DELETE&%25u005fmethod=DELETE&_method=%u", vec![]),
            (".method=PUT&+_method=+GET", vec!["GET", "PUT"]),
            ("_method=purge&method=list", vec!["_OTHER"]),
            ("_method=7&_method=&method=PURGE&http_method=MOVE", vec![]),
            ("method=flickr.photos.search&payment_method=DELETE&m", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(Methods::of_query(query).iter().collect::<Vec<_>>(), methods, "{query}");
            assert_eq!(Methods::of_query(query).is_empty(), methods.is_empty());
        }
        assert_eq!(Methods::ANY.iter().count(), METHODS.len());
        assert_eq!(Methods::of_query("_method=purge&method=POST&_method=DELETE").beside("POST"), ["DELETE", "other"]);
        assert_eq!((Methods::ANY.beside("POST"), Methods::of_query("_method=GET").beside("GET")), (vec!["any"], vec![]));
    }
}
