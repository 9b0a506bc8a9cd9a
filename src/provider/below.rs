//! `Below`: all names below one, with stars for whole labels.

use std::fmt;
use std::str::FromStr;

use psl::Psl as _;

use super::pattern::PatternError;
use crate::model::Host;

/// A name whose first `*` stands for one label or more and each further one for exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Below {
    /// The labels behind the first `*`; `None` = any.
    labels: Vec<Option<Box<str>>>,
}

impl Below {
    /// Whether `name` is one of them.
    pub(super) fn matches(&self, name: &str) -> bool {
        let given: Vec<&str> = name.split('.').collect();
        let Some(first) = given.len().checked_sub(self.labels.len()).filter(|first| *first > 0) else { return false };
        let behind = given.get(first..).unwrap_or_default();
        behind.iter().zip(&self.labels).all(|(given, own)| own.as_ref().is_none_or(|own| **own == **given))
    }

    /// How many labels it spells out.
    pub(super) fn spelled(&self) -> usize {
        self.labels.iter().flatten().count()
    }

    /// What every name of it ends with: `amazonaws.com`.
    pub(crate) fn ending(&self) -> String {
        let tail = self.labels.rsplit(Option::is_none).next().unwrap_or_default();
        tail.iter().flatten().map(AsRef::as_ref).collect::<Vec<_>>().join(".")
    }
}

impl FromStr for Below {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let behind = text.strip_prefix("*.").ok_or(PatternError::Wildcard)?;
        // Any label stands for the others: the rest of the name must be well formed around it.
        let Host::Name(whole) = behind.replace('*', "x").parse()? else { return Err(PatternError::Address) };
        let labels: Vec<&str> = behind.split('.').collect();
        if whole.split('.').count() != labels.len() || labels.iter().any(|label| label.len() > 1 && label.contains('*')) {
            return Err(PatternError::Wildcard);
        }
        let own = |(label, checked): (&&str, &str)| (*label != "*").then(|| checked.into());
        let below = Self { labels: labels.iter().zip(whole.split('.')).map(own).collect() };
        // A domain that somebody registered: two labels at least, and not only a suffix of a country's.
        match psl::List.domain(below.ending().as_bytes()) {
            Some(_) => Ok(below),
            None if below.ending().split('.').count() > 1 && is_private_suffix(&below.ending()) => Ok(below),
            None => Err(PatternError::PublicSuffix(below.ending())),
        }
    }
}

/// Whether one owner lets others use names below it (`s3.amazonaws.com`), unlike `co.uk`.
fn is_private_suffix(name: &str) -> bool {
    psl::List.suffix(name.as_bytes()).is_some_and(|suffix| suffix.typ() == Some(psl::Type::Private))
}

impl fmt::Display for Below {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("*")?;
        self.labels.iter().try_for_each(|label| write!(formatter, ".{}", label.as_deref().unwrap_or("*")))
    }
}
