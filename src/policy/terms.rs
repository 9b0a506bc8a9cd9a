//! The words of a rule: whom, where and what it speaks of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{AgentName, Fit, IdError, Methods, ProviderId};

/// Why a word of a rule is refused.
#[derive(Debug, thiserror::Error)]
pub enum TermError {
    /// Neither a name nor the beginning of one.
    #[error("expected the name of an agent, or the beginning of names as in `ci-*`")]
    Agent(#[source] IdError),
    /// No provider.
    #[error("expected the name of a provider, as `nexus providers list` shows it, or `*` for every one of them")]
    Provider(#[source] IdError),
    /// No method.
    #[error("expected a method in capital letters, such as `GET`")]
    Method,
    /// No media type.
    #[error("expected a media type such as `application/json` or `image/*`, in small letters and without parameters")]
    ContentType,
}

/// `ci`, or `ci-*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AgentTerm {
    /// This one.
    One(AgentName),
    /// All whose names begin so.
    Begins(AgentName),
}

impl TryFrom<String> for AgentTerm {
    type Error = TermError;
    fn try_from(text: String) -> Result<Self, TermError> {
        match text.strip_suffix('*') {
            Some(begin) => begin.parse().map(Self::Begins).map_err(TermError::Agent),
            None => text.parse().map(Self::One).map_err(TermError::Agent),
        }
    }
}

impl From<AgentTerm> for String {
    fn from(term: AgentTerm) -> Self {
        match term {
            AgentTerm::One(name) => name.to_string(),
            AgentTerm::Begins(begin) => format!("{begin}*"),
        }
    }
}

impl AgentTerm {
    pub(super) fn is(&self, agent: &AgentName) -> bool {
        match self {
            Self::One(name) => name == agent,
            Self::Begins(begin) => agent.as_str().starts_with(begin.as_str()),
        }
    }
}

/// `github`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ProviderTerm {
    /// This one.
    One(ProviderId),
    /// Every one of the catalogue.
    Any,
}

impl TryFrom<String> for ProviderTerm {
    type Error = TermError;
    fn try_from(text: String) -> Result<Self, TermError> {
        if text == "*" { Ok(Self::Any) } else { text.parse().map(Self::One).map_err(TermError::Provider) }
    }
}

impl From<ProviderTerm> for String {
    fn from(term: ProviderTerm) -> Self {
        match term {
            ProviderTerm::One(id) => id.to_string(),
            ProviderTerm::Any => "*".to_owned(),
        }
    }
}

/// `GET`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MethodTerm(Box<str>);

impl TryFrom<String> for MethodTerm {
    type Error = TermError;
    fn try_from(text: String) -> Result<Self, TermError> {
        let shaped = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        if shaped { Ok(Self(text.into())) } else { Err(TermError::Method) }
    }
}

impl From<MethodTerm> for String {
    fn from(term: MethodTerm) -> Self {
        term.0.into()
    }
}

impl MethodTerm {
    /// Some services take `delete` for DELETE.
    fn fits(&self, method: &str) -> Fit {
        match () {
            () if *self.0 == *method => Fit::Yes,
            () if self.0.eq_ignore_ascii_case(method) || Methods::may_be(method, &self.0) => Fit::Maybe,
            () => Fit::No,
        }
    }

    /// Whether one of `terms` fits the method, in each of its readings.
    pub(super) fn any_fits<'m>(terms: &[Self], readings: impl Iterator<Item = &'m str>) -> Fit {
        Fit::of_readings(readings.map(|method| terms.iter().map(|term| term.fits(method)).max().unwrap_or(Fit::No)))
    }
}

/// `application/json`, or `image/*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentTerm {
    kind: Box<str>,
    /// `None` = any.
    sub: Option<Box<str>>,
}

impl FromStr for ContentTerm {
    type Err = TermError;
    fn from_str(text: &str) -> Result<Self, TermError> {
        let (kind, sub) = text.split_once('/').ok_or(TermError::ContentType)?;
        let other = |b: u8| matches!(b, b'!' | b'#' | b'$' | b'&' | b'-' | b'^' | b'_' | b'.' | b'+');
        let word = |word: &str| {
            (1..=127).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || other(b))
        };
        if !word(kind) || !(sub == "*" || word(sub)) {
            return Err(TermError::ContentType);
        }
        Ok(Self { kind: kind.into(), sub: (sub != "*").then(|| sub.into()) })
    }
}

impl TryFrom<String> for ContentTerm {
    type Error = TermError;
    fn try_from(text: String) -> Result<Self, TermError> {
        text.parse()
    }
}

impl From<ContentTerm> for String {
    fn from(term: ContentTerm) -> Self {
        term.to_string()
    }
}

impl fmt::Display for ContentTerm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind, self.sub.as_deref().unwrap_or("*"))
    }
}

impl ContentTerm {
    /// `given` as it stands in the field, parameters and all (RFC 9110 §8.3.1).
    pub(super) fn is(&self, given: &[u8]) -> bool {
        let essence = given.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        let Some(slash) = essence.iter().position(|b| *b == b'/') else { return false };
        let (kind, sub) = essence.split_at(slash);
        let same = |own: &str, given: &[u8]| own.as_bytes().eq_ignore_ascii_case(given);
        same(&self.kind, kind) && self.sub.as_deref().is_none_or(|own| same(own, sub.get(1..).unwrap_or_default()))
    }
}

/// How many words one key of a rule may hold.
const MAX_WORDS: usize = 256;

/// For `deserialize_with`: one word, or a list of them.
pub(super) fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Words<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Words<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("one word, or a list of them")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            Ok(vec![T::deserialize(serde::de::value::StrDeserializer::new(text))?])
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Vec<T>, E> {
            Ok(vec![T::deserialize(serde::de::value::I64Deserializer::new(number))?])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut words = Vec::new();
            while let Some(word) = list.next_element()? {
                words.push(word);
            }
            match words.len() {
                0 => Err(serde::de::Error::custom("an empty list speaks of nothing: leave the key out to speak of everything")),
                1..=MAX_WORDS => Ok(words),
                _ => Err(serde::de::Error::custom("more than 256 words: write several rules")),
            }
        }
    }

    deserializer.deserialize_any(Words(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_names_or_a_family_of_them() {
        let agent = |text: &str| AgentTerm::try_from(text.to_owned());
        let named = |name: &str| name.parse::<AgentName>().expect("a name");
        assert!(agent("ci").is_ok_and(|term| term.is(&named("ci")) && !term.is(&named("ci-1"))));
        assert!(agent("ci-*").is_ok_and(|term| term.is(&named("ci-1")) && !term.is(&named("ci"))));
        assert!(agent("*").is_err() && agent("a b").is_err() && agent("*ci").is_err());
    }

    #[test]
    fn a_method_in_other_letters_is_doubt() {
        let get = [MethodTerm::try_from("GET".to_owned()).expect("a method")];
        let fits = |given: &[&'static str]| MethodTerm::any_fits(&get, given.iter().copied());
        assert_eq!((fits(&["GET"]), fits(&["get"]), fits(&["POST"])), (Fit::Yes, Fit::Maybe, Fit::No));
        assert_eq!(fits(&["GET", "DELETE"]), Fit::Maybe, "one that a parameter puts in its place");
        let purge = [MethodTerm::try_from("PURGE".to_owned()).expect("a method")];
        let other = MethodTerm::any_fits(&purge, ["POST", "_OTHER"].into_iter());
        assert_eq!((other, fits(&["POST", "_OTHER"])), (Fit::Maybe, Fit::No), "one that has no name");
        assert!(MethodTerm::try_from("get".to_owned()).is_err());
    }

    #[test]
    fn a_media_type_is_compared_without_its_parameters() {
        let term = |text: &str| text.parse::<ContentTerm>().expect("a type");
        assert!(term("application/json").is(b"Application/JSON; charset=utf-8"));
        assert!(term("image/*").is(b"image/png") && !term("image/*").is(b"imagex/png") && !term("image/*").is(b"image"));
        assert!("json".parse::<ContentTerm>().is_err() && "*/*".parse::<ContentTerm>().is_err());
        assert!("text/plain; charset=utf-8".parse::<ContentTerm>().is_err());
    }
}
