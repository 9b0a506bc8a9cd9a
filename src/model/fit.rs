//! `Fit`: how sure it is that a rule speaks of a request; `Preset` and `Inside`: what a named set of requests says of one.

/// How sure it is that a rule speaks of a request. Services may read one request in several ways, and what can't be seen yet may be either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// In no reading.
    No,
    /// In some reading.
    Maybe,
    /// In every reading.
    Yes,
}

impl Fit {
    /// `Yes` or `No`.
    pub(crate) fn of(certain: bool) -> Self {
        if certain { Self::Yes } else { Self::No }
    }

    /// Of two conditions that must both hold.
    pub(crate) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// Of readings of one thing, each of which fits as said: `Yes` only where all do, `No` only where none does.
    pub(crate) fn of_readings(readings: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Option<Self> = None;
        for fit in readings {
            all = match all {
                None => Some(fit),
                Some(before) if before == fit => Some(fit),
                Some(_) => return Self::Maybe,
            };
        }
        all.unwrap_or(Self::No)
    }
}

/// A named set of a provider's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// What changes nothing.
    ReadOnly,
    /// What deletes nothing.
    NoDelete,
}

impl Preset {
    /// As files write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::NoDelete => "no_delete",
        }
    }
}

/// Whether a request is one of a preset's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// It is not, or that can't be told.
    No,
    /// It is, if its body turns out to be.
    IfBody,
    /// It is.
    Yes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_that_differ_are_doubt() {
        use Fit::{Maybe, No, Yes};
        assert_eq!(Fit::of_readings([Yes, Yes]), Yes);
        assert_eq!(Fit::of_readings([No, No]), No);
        for mixed in [[Yes, No], [No, Yes], [Maybe, Maybe], [Yes, Maybe]] {
            assert_eq!(Fit::of_readings(mixed), Maybe);
        }
        assert_eq!(Fit::of_readings([]), No);
        assert_eq!((Yes.and(Maybe), Maybe.and(No), Yes.and(Yes)), (Maybe, No, Yes));
    }
}
