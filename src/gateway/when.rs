//! `When`: a point in time that is over, as people and programs write it in a query.

use std::time::SystemTime;

use jiff::{SpanRelativeTo, Timestamp};
use serde::Deserialize;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// `2026-11-23T01:02:03Z` (RFC 3339), or how long ago: `7d`, `12h`, `90m`, `30s`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum When {
    At(SystemTime),
    Ago(jiff::SignedDuration),
}

impl When {
    /// The point in time; one that is longer ago than 1970 is that.
    pub(crate) fn at(self, now: SystemTime) -> SystemTime {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => {
                let ago = std::time::Duration::try_from(ago).unwrap_or_default();
                now.checked_sub(ago).map_or(SystemTime::UNIX_EPOCH, |time| time.max(SystemTime::UNIX_EPOCH))
            }
        }
    }
}

impl TryFrom<String> for When {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        const WRONG: &str = "a time is RFC 3339 (2026-11-23T01:02:03Z), or how long ago: 7d, 12h, 90m, 30s";
        let ago = || {
            let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
            let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            let span: jiff::Span = Some(text.as_str()).filter(|_| plain && "smhd".contains(unit))?.parse().ok()?;
            span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
        };
        match text.parse::<Timestamp>() {
            Ok(time) => Ok(Self::At(time.into())),
            Err(_other) => ago().map(Self::Ago).ok_or(WRONG),
        }
    }
}

impl PartialSchema for When {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let time = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let ago = text().pattern(Some("^[0-9]{1,5}[smhd]$"));
        OneOfBuilder::new().item(time).item(ago).into()
    }
}

impl ToSchema for When {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_a_point_or_how_long_ago() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = |text: &str| When::try_from(text.to_owned()).map(|when| when.at(now));
        assert_eq!(at("7d"), Ok(now - Duration::from_hours(7 * 24)));
        assert_eq!(
            (at("90m"), at("30s"), at("12h")),
            (Ok(now - Duration::from_secs(5400)), Ok(now - Duration::from_secs(30)), Ok(now - Duration::from_hours(12)),)
        );
        assert_eq!(at("99999d"), Ok(SystemTime::UNIX_EPOCH));
        assert_eq!(at("2027-01-15T09:00:01+01:00"), Ok(now + Duration::from_secs(1)));
        for text in ["", "d", "7", "7w", "-7d", "7 d", "100000s", "7d1h", "yesterday", "2027-01-15", "é"] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}
