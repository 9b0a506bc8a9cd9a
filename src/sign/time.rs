//! How services want the time of a request written.

use std::time::SystemTime;

use jiff::fmt::rfc2822::DateTimePrinter;

/// A form of the time, always in UTC; what is finer than the form is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timestamp {
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// `2024-01-31T09:08:57Z` (RFC 3339 §5.6).
    Rfc3339,
    /// `2024-01-31T09:08:57.715Z`.
    Rfc3339Millis,
    /// `Wed, 31 Jan 2024 09:08:57 GMT` (RFC 9110 §5.6.7).
    HttpDate,
}

impl Timestamp {
    /// Reads `unix`, `unix_millis`, `rfc3339`, `rfc3339_millis` or `http_date`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "unix" => Self::Unix,
            "unix_millis" => Self::UnixMillis,
            "rfc3339" => Self::Rfc3339,
            "rfc3339_millis" => Self::Rfc3339Millis,
            "http_date" => Self::HttpDate,
            _ => return None,
        })
    }

    /// `time` in this form; `None` before 1970 and after 9999.
    pub(super) fn format(self, time: SystemTime) -> Option<String> {
        time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let time = jiff::Timestamp::try_from(time).ok()?;
        match self {
            Self::Unix => Some(time.as_second().to_string()),
            Self::UnixMillis => Some(time.as_millisecond().to_string()),
            Self::Rfc3339 => Some(format!("{time:.0}")),
            Self::Rfc3339Millis => Some(format!("{time:.3}")),
            Self::HttpDate => DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Python: `datetime.fromtimestamp(1706692137.7159, timezone.utc)`.
    #[test]
    fn each_form_shows_the_same_moment() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_706_692_137_715_900);
        let of = |form: Timestamp| form.format(time).expect("a time");
        assert_eq!(of(Timestamp::Unix), "1706692137");
        assert_eq!(of(Timestamp::UnixMillis), "1706692137715");
        assert_eq!(of(Timestamp::Rfc3339), "2024-01-31T09:08:57Z");
        assert_eq!(of(Timestamp::Rfc3339Millis), "2024-01-31T09:08:57.715Z");
        assert_eq!(of(Timestamp::HttpDate), "Wed, 31 Jan 2024 09:08:57 GMT");
        assert_eq!(Timestamp::Unix.format(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
