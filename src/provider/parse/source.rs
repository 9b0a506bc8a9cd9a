//! TOML values that know where they stand, so that every refusal can point at its place.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Error, Mistake};

/// Longer lines are not shown.
const MAX_EXCERPT: usize = 200;

/// A name this alike was probably meant.
const ALIKE: f64 = 0.8;

/// The file being read.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    pub(super) file: &'s str,
    pub(super) text: &'s str,
}

impl Source<'_> {
    pub(super) fn mistake(&self, span: Range<usize>, message: impl Into<String>) -> Error {
        Error::Mistake(Box::new(self.place(span, message)))
    }

    pub(super) fn place(&self, span: Range<usize>, message: impl Into<String>) -> Mistake {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let excerpt: String = rest.lines().next().unwrap_or_default().chars().map(printable).collect();
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let meant = self.text.get(span).unwrap_or_default().lines().next().unwrap_or_default().chars().count();
        let excerpt = if excerpt.chars().count() > MAX_EXCERPT { String::new() } else { excerpt };
        Mistake {
            file: self.file.chars().map(printable).collect(),
            line: before.matches('\n').count() + 1,
            column,
            message: message.into(),
            excerpt,
            width: meant.max(1),
        }
    }
}

fn printable(letter: char) -> char {
    match letter {
        '\t' => ' ',
        _ if letter.is_control() => '?',
        _ => letter,
    }
}

/// `; did you mean ...?`, or nothing.
pub(super) fn suggestion<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let scored = known.into_iter().map(|name| (strsim::jaro_winkler(wrong, name), name));
    match scored.max_by(|one, two| one.0.total_cmp(&two.0)) {
        Some((score, name)) if score >= ALIKE => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}

/// One value.
#[derive(Clone, Copy)]
pub(super) struct Value<'s> {
    source: Source<'s>,
    value: &'s Spanned<DeValue<'s>>,
}

impl<'s> Value<'s> {
    pub(super) fn refuse(&self, message: impl Into<String>) -> Error {
        self.source.mistake(self.value.span(), message)
    }

    fn expected(&self, what: &str) -> Error {
        self.refuse(format!("expected {what}, found {}", self.value.get_ref().type_str()))
    }

    pub(super) fn text(&self) -> Result<Text<'s>, Error> {
        let value = self.value.get_ref().as_str().ok_or_else(|| self.expected("a text"))?;
        Ok(Text { source: self.source, value, span: self.value.span() })
    }

    /// A text for people: something, but no line ends.
    pub(super) fn plain(&self) -> Result<String, Error> {
        let text = self.text()?;
        if text.value.trim().is_empty() || text.value.chars().any(char::is_control) {
            return Err(text.refuse("expected one line of text"));
        }
        Ok(text.value.to_owned())
    }

    pub(super) fn boolean(&self) -> Result<bool, Error> {
        self.value.get_ref().as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A decimal number that is at least 1.
    pub(super) fn number<T: FromStr + PartialOrd + From<u8>>(&self, what: &str) -> Result<T, Error> {
        let number = self.value.get_ref().as_integer().ok_or_else(|| self.expected(what))?;
        let parsed = if number.radix() == 10 { number.as_str().parse::<T>().ok() } else { None };
        parsed.filter(|parsed| *parsed >= T::from(1)).ok_or_else(|| self.refuse(format!("expected {what}")))
    }

    pub(super) fn list<T>(&self, read: impl Fn(Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let array = self.value.get_ref().as_array().ok_or_else(|| self.expected("a list"))?;
        array.iter().map(|value| read(Self { source: self.source, value })).collect()
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A table with no other keys than these.
    pub(super) fn table(&self, known: &'static [&'static str]) -> Result<Table<'s>, Error> {
        let entries = self.value.get_ref().as_table().ok_or_else(|| self.expected("a table"))?;
        Table::open(self.source, entries, self.value.span(), known)
    }

    /// The entries of a table with free keys, in the file's order.
    pub(super) fn entries(&self) -> Result<Vec<(Text<'s>, Self)>, Error> {
        let entries = self.value.get_ref().as_table().ok_or_else(|| self.expected("a table"))?;
        let text = |key: &'s Spanned<_>| Text { source: self.source, value: as_text(key), span: key.span() };
        let mut entries: Vec<_> = entries.iter().map(|(key, value)| (text(key), Self { source: self.source, value })).collect();
        entries.sort_by_key(|(key, _value)| key.span.start);
        Ok(entries)
    }
}

fn as_text<'s>(key: &'s Spanned<std::borrow::Cow<'s, str>>) -> &'s str {
    key.get_ref()
}

/// A text and its place.
#[derive(Clone)]
pub(super) struct Text<'s> {
    source: Source<'s>,
    pub(super) value: &'s str,
    span: Range<usize>,
}

impl Text<'_> {
    pub(super) fn refuse(&self, message: impl Into<String>) -> Error {
        self.source.mistake(self.span.clone(), message)
    }

    pub(super) fn parse<T: FromStr<Err: Display>>(&self) -> Result<T, Error> {
        self.value.parse().map_err(|error: T::Err| self.refuse(error.to_string()))
    }
}

/// A table whose keys are known.
pub(super) struct Table<'s> {
    source: Source<'s>,
    entries: &'s DeTable<'s>,
    span: Range<usize>,
}

impl<'s> Table<'s> {
    pub(super) fn open(
        source: Source<'s>,
        entries: &'s DeTable<'s>,
        span: Range<usize>,
        known: &[&str],
    ) -> Result<Self, Error> {
        let unknown = entries.keys().filter(|key| !known.contains(&as_text(key)));
        if let Some(key) = unknown.min_by_key(|key| key.span().start) {
            let wrong = as_text(key);
            let hint = suggestion(wrong, known.iter().copied());
            return Err(source.mistake(key.span(), format!("unknown key `{}`{hint}", wrong.escape_debug())));
        }
        Ok(Self { source, entries, span })
    }

    pub(super) fn source(&self) -> Source<'s> {
        self.source
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'s>> {
        self.entries.get(key).map(|value| Value { source: self.source, value })
    }

    pub(super) fn need(&self, key: &str) -> Result<Value<'s>, Error> {
        self.get(key).ok_or_else(|| self.source.mistake(self.span.clone(), format!("the key `{key}` is missing")))
    }
}
