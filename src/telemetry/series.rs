//! Under which labels something is counted. Every one is of a closed set, or of the catalogue: never a path, never a caller's host.

use crate::model::Map;

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
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    numbers: Map<Box<str>, u16>,
    words: Vec<Box<str>>,
}

impl Names {
    /// The number of `word`, which it gets here if it has none.
    pub(super) fn number(&mut self, word: &str) -> u16 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let Ok(number) = u16::try_from(self.words.len()) else { return u16::MAX };
        self.words.push(word.into());
        self.numbers.insert(word.into(), number);
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
