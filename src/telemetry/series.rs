//! Under which labels something is counted. Every one is of a closed set, or of the catalogue: never a path, never a caller's host.

use std::time::Duration;

use super::histogram::{DURATIONS, Histogram};
use crate::model::Map;

/// More series than this are not kept apart: a service chooses its statuses, and people write provider files.
pub(super) const MAX_SERIES: usize = 2_000;

/// The methods that OpenTelemetry's HTTP conventions know; others are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Method {
    Connect,
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
    Query,
    Trace,
    Other,
}

impl Method {
    /// The method as it stands in a request.
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"CONNECT" => Self::Connect,
            b"DELETE" => Self::Delete,
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"QUERY" => Self::Query,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// Its label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Query => "QUERY",
            Self::Trace => "TRACE",
            Self::Other => OTHER,
        }
    }
}

/// What stands for all that has no label of its own.
pub(super) const OTHER: &str = "_OTHER";

/// Words that are the same for many series: providers, kinds of refusals. Both sets are bounded by who writes them.
#[derive(Debug, Clone)]
pub(super) struct Names {
    numbers: Map<Box<str>, u16>,
    words: Vec<Box<str>>,
    /// The number that was asked for last: it is asked for again.
    last: u16,
}

/// No word is number 0.
impl Default for Names {
    fn default() -> Self {
        Self { numbers: Map::default(), words: vec!["".into()], last: 0 }
    }
}

impl Names {
    /// The number of `word`, which it gets here if it has none.
    pub(super) fn number(&mut self, word: &str) -> u16 {
        if word.is_empty() {
            return 0;
        }
        if self.words.get(usize::from(self.last)).is_some_and(|last| **last == *word) {
            return self.last;
        }
        let known = self.numbers.get(word).copied();
        let Some(number) = known.or_else(|| u16::try_from(self.words.len()).ok()) else { return u16::MAX };
        if known.is_none() {
            self.words.push(word.into());
            self.numbers.insert(word.into(), number);
        }
        self.last = number;
        number
    }

    /// The word of a number.
    pub(super) fn word(&self, number: u16) -> &str {
        self.words.get(usize::from(number)).map_or(OTHER, |word| word)
    }
}

/// What requests of the same series have in common; 0 as the status of what was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) method: Method,
    pub(super) secure: bool,
    pub(super) status: u16,
    pub(super) verdict: &'static str,
    /// By their number in [`Names`].
    pub(super) provider: u16,
    pub(super) error: u16,
}

impl Key {
    /// Where there are too many series already.
    pub(super) fn coarse(self) -> Self {
        Self { method: Method::Other, status: 0, provider: u16::MAX, error: u16::MAX, ..self }
    }

    /// The same in words, which are in order and mean the same for every worker.
    pub(super) fn labels(&self, names: &Names) -> Labels {
        let status = if self.status == 0 { String::new() } else { self.status.to_string() };
        let error = match names.word(self.error) {
            "" if self.status == 0 => OTHER.to_owned(),
            "" if self.status >= 500 => status.clone(),
            word => word.to_owned(),
        };
        let scheme = if self.secure { "https" } else { "http" };
        Labels {
            provider: names.word(self.provider).to_owned(),
            words: [self.method.as_str(), scheme, self.verdict],
            status,
            error,
        }
    }
}

/// How long requests took, by their series.
#[derive(Debug, Clone, Default)]
pub(super) struct Series {
    places: Map<Key, usize>,
    all: Vec<(Key, Histogram<14>)>,
    /// Where the last one was counted: the next is likely to be of the same series.
    last: usize,
}

impl Series {
    /// Counts a request that took so long.
    pub(super) fn count(&mut self, key: Key, took: Duration) {
        if self.all.get(self.last).is_none_or(|(last, _)| *last != key) {
            self.last = self.place(key);
        }
        if let Some((_, histogram)) = self.all.get_mut(self.last) {
            histogram.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), &DURATIONS);
        }
    }

    fn place(&mut self, key: Key) -> usize {
        let key = if self.all.len() < MAX_SERIES || self.places.contains_key(&key) { key } else { key.coarse() };
        let next = self.all.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.all.push((key, Histogram::default()));
        }
        place
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &(Key, Histogram<14>)> {
        self.all.iter()
    }
}

/// The labels of `http_server_…` and `http_client_…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels {
    provider: String,
    /// Method, scheme, verdict.
    words: [&'static str; 3],
    status: String,
    error: String,
}

impl Labels {
    /// As pairs. Requests to services have no verdict of their own.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &str)> {
        let [method, scheme, verdict] = self.words;
        let mut pairs = vec![
            ("http_request_method", method),
            ("http_response_status_code", self.status.as_str()),
            ("url_scheme", scheme),
            ("error_type", &self.error),
            ("nexus_provider", &self.provider),
            ("nexus_verdict", verdict),
        ];
        pairs.retain(|(_, value)| !value.is_empty());
        pairs
    }
}
