//! A record as the numbers take it.

use super::line;
use super::record::{Field, Kind, Record};
use crate::model::Scheme;
use crate::telemetry::{Ended, Method, Way};

impl From<Kind> for Way {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Request => Self::Request,
            Kind::Tunnel => Self::Tunnel,
        }
    }
}

impl Record {
    /// What is counted of it: no path, no host, nobody's name.
    pub(super) fn ended(&self) -> Ended<'_> {
        let word = |field| std::str::from_utf8(self.text(field).unwrap_or_default()).unwrap_or_default();
        Ended {
            way: self.kind.into(),
            method: Method::of(self.text(Field::Method).unwrap_or_default()),
            secure: self.scheme != Some(Scheme::Http),
            status: self.status,
            verdict: self.verdict.map_or("", line::verdict),
            provider: word(Field::Provider),
            refusal: word(Field::Refusal),
            canary: word(Field::Canary),
            took: self.took(),
            sent: self.bytes_up,
            received: self.bytes_down,
            guard_hits: self.guard_hits,
            notes: &self.notes,
        }
    }
}
