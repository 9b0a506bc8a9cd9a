//! What the TOML parser says of a mistake, in the words of the file, and where it is. Floor 0.

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A mistake in a TOML file, for people. The text tells the place but never shows what stands there in quotes: a password may.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

impl Mistake {
    /// What the parser found wrong with `text`.
    pub(crate) fn new(text: &str, cause: &toml::de::Error) -> Self {
        let before = text.get(..cause.span().map_or(0, |span| span.start)).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let (line, column) = (before.matches('\n').count() + 1, line.chars().count() + 1);
        Self { line, column, what: in_words(cause.message()) }
    }
}

const A_SIZE: &str = "expected a size such as \"64KiB\"";

/// The parser's words and ours.
const WORDS: [(&str, &str); 30] = [
    ("wanted string or table", "expected one of the words that the example file names"),
    ("invalid socket address syntax", "not an address; write it as \"127.0.0.1:8091\" or \"[::1]:8091\""),
    ("invalid IP address syntax", "not a range of addresses; write it as \"10.0.0.0/8\""),
    ("expected parsable string", A_SIZE),
    ("expected an integer or string", A_SIZE),
    ("expected integer overflow", A_SIZE),
    ("invalid type: ", "found "),
    ("invalid value: ", "found "),
    ("floating point ", "the number "),
    ("integer ", "the number "),
    (" as i128", ", which is out of every range"),
    (" as u128", ", which is out of every range"),
    ("sequence", "list"),
    ("boolean `true`", "true"),
    ("boolean `false`", "false"),
    ("string \"…\"", "the text \"…\""),
    ("found map", "found a table"),
    ("found list", "found a list"),
    ("unknown variant", "unknown word"),
    ("unknown field", "unknown key"),
    ("missing field", "missing key"),
    ("expected a map", "expected a table { … }"),
    ("expected a boolean", "expected true or false"),
    ("expected a string", "expected a text in quotes"),
    ("expected path string", "expected a path in quotes"),
    ("expected socket address", "expected an address such as \"127.0.0.1:8091\""),
    ("expected IPv4 or IPv6 network address", "expected a range of addresses such as \"10.0.0.0/8\""),
    ("expected list", "expected a list [ … ]"),
    ("expected a list", "expected a list [ … ]"),
    ("[ … ] [ … ]", "[ … ]"),
];

/// What numbers there are, by the names that the parser knows. A TOML integer has 64 bits and a sign.
const NUMBERS: [(&str, &str); 6] = [
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number from 0 up"),
    ("usize", "a whole number from 0 up"),
    ("i64", "a whole number"),
];

/// `message` of the TOML parser for people, without the values that it quotes: one may be a password.
pub(crate) fn in_words(message: &str) -> String {
    let text = WORDS.iter().fold(without_values(message), |text, (theirs, ours)| text.replace(theirs, ours));
    let Some((before, expected)) = text.rsplit_once("expected ") else { return text };
    let number = NUMBERS.iter().find(|(name, _)| *name == expected).map(|(_, words)| *words);
    let ours = match number {
        Some(words) => words,
        None if expected.starts_with("struct ") => A_TABLE,
        None => return text,
    };
    format!("{before}expected {ours}")
}

/// What a section of a file is.
pub(crate) const A_TABLE: &str = "a table [ … ] of its own";

/// For `deserialize_with`: a section is a table and nothing else. A struct would take a list for its values in their order, and
/// complain of the first.
pub(crate) fn section<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Section<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Section<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str(A_TABLE)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Section(PhantomData))
}

fn without_values(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            let (before, after) = (message.get(..first).unwrap_or_default(), message.get(last + 1..).unwrap_or_default());
            format!("{before}\"…\"{after}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i1_what_stands_in_quotes_is_left_out() {
        assert_eq!(
            in_words("invalid type: string \"a\\\"b\", expected a boolean"),
            "found the text \"…\", expected true or false"
        );
        assert_eq!(in_words("of another kind"), "of another kind");
    }
}
