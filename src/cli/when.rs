//! Points in time, as people write and read them.

use std::time::{Duration, SystemTime};

use jiff::{SpanRelativeTo, Timestamp};

/// `3600` (seconds from now), `30d`, `12h 30m`, or RFC 3339.
fn parse(text: &str, now: SystemTime) -> anyhow::Result<SystemTime> {
    let wrong = || anyhow::anyhow!("{text:?} is not a time: write 30d, 12h, seconds from now, or 2027-01-31T12:00:00Z");
    let ahead = if let Ok(seconds) = text.parse::<u64>() {
        Some(Duration::from_secs(seconds))
    } else if let Ok(span) = text.parse::<jiff::Span>() {
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_cause| wrong())?;
        Some(Duration::try_from(length).map_err(|_cause| wrong())?)
    } else {
        None
    };
    let time = match ahead {
        Some(ahead) => now.checked_add(ahead).ok_or_else(wrong)?,
        None => text.parse::<Timestamp>().map_err(|_cause| wrong())?.into(),
    };
    // What no certificate, file or table could hold is refused here.
    Timestamp::try_from(time).map_err(|_cause| wrong())?;
    anyhow::ensure!(time > now, "{text:?} is in the past");
    Ok(time)
}

/// `3600` (seconds ago), `30d`, `12h 30m`, or RFC 3339: a point in time that is over, or any that is written in full.
fn past(text: &str, now: SystemTime) -> anyhow::Result<SystemTime> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.into());
    }
    let wrong = || anyhow::anyhow!("{text:?} is not a time: write 7d, 12h, seconds ago, or 2027-01-31T12:00:00Z");
    // As far back as it would be ahead.
    let ahead = parse(text, now).map_err(|_cause| wrong())?.duration_since(now)?;
    now.checked_sub(ahead).filter(|time| Timestamp::try_from(*time).is_ok()).ok_or_else(wrong)
}

/// An argument that is a time ahead.
pub(super) fn ahead(text: &str) -> anyhow::Result<SystemTime> {
    parse(text, SystemTime::now())
}

/// An argument that is a time in the past.
pub(super) fn ago(text: &str) -> anyhow::Result<SystemTime> {
    past(text, SystemTime::now())
}

/// An argument that says how long.
pub(super) fn length(text: &str) -> anyhow::Result<Duration> {
    let now = SystemTime::now();
    Ok(parse(text, now)?.duration_since(now)?)
}

/// RFC 3339, whole seconds.
pub(super) fn show(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_far| "-".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// `-` where there is none.
pub(super) fn or_dash(time: Option<SystemTime>) -> String {
    time.map_or_else(|| "-".to_owned(), show)
}

/// To the minute, for a column of a table; `-` where there is none.
pub(super) fn minute(time: Option<SystemTime>) -> String {
    let text = |time| Timestamp::try_from(time).ok().map(|time| time.strftime("%Y-%m-%dT%H:%MZ").to_string());
    time.and_then(text).unwrap_or_else(|| "-".to_owned())
}

/// The day, and how far off it is: `2036-11-21 (in 3652 days)`.
pub(super) fn day(time: SystemTime, now: SystemTime) -> String {
    let days = |distance: Duration| distance.as_secs() / 86_400;
    let distance = match time.duration_since(now) {
        Ok(ahead) => format!("in {} days", days(ahead)),
        Err(behind) => format!("{} days ago", days(behind.duration())),
    };
    format!("{} ({distance})", show(time).get(..10).unwrap_or("-"))
}

/// As [`day`] for an end; of one that is past, that it is.
pub(super) fn ends(end: SystemTime, now: SystemTime) -> String {
    if end <= now { format!("expired {}", show(end).get(..10).unwrap_or("-")) } else { day(end, now) }
}

/// A span of time in its largest units: `1h`, `23h 59m`.
pub(super) fn span(span: Duration) -> String {
    let round = |span| jiff::SignedDuration::try_from(span).ok()?.round(jiff::Unit::Second).ok();
    round(span).map_or_else(|| "-".to_owned(), |span| format!("{span:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_four_spellings() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let ahead = |text: &str| parse(text, now).map(|time| time.duration_since(now).unwrap().as_secs());
        assert_eq!(ahead("90").unwrap(), 90);
        assert_eq!(ahead("30d").unwrap(), 30 * 86_400);
        assert_eq!(ahead("12h 30m").unwrap(), 45_000);
        assert_eq!(ahead("2027-01-15T08:00:01Z").unwrap(), 1);
        assert_eq!(format!("{:#}", ahead("1y").unwrap_err()).matches(": ").count(), 1, "one sentence, nobody else's words");
        let back = |text: &str| past(text, now).map(|time| now.duration_since(time).unwrap().as_secs());
        assert_eq!((back("7d").unwrap(), back("2027-01-15T07:59:59Z").unwrap()), (7 * 86_400, 1));
        assert!(back("soon").is_err());
        for text in ["", "soon", "1y", "-3", "-3d", "2020-01-01T00:00:00Z", "0", "99999999999999999", "9999999d"] {
            assert!(parse(text, now).is_err(), "{text}");
        }
        let ago = |text: &str| past(text, now).map(|time| now.duration_since(time).unwrap_or_default().as_secs());
        assert_eq!((ago("90").unwrap(), ago("7d").unwrap()), (90, 7 * 86_400));
        assert_eq!((ago("2020-01-01T00:00:00Z").unwrap() > 1, ago("2037-01-01T00:00:00Z").unwrap()), (true, 0));
        for text in ["", "soon", "1y", "-3d", "0", "9999999d"] {
            assert!(past(text, now).is_err(), "{text}");
        }
        assert_eq!(
            (show(now), day(now + Duration::from_secs(86_400 * 3), now)),
            ("2027-01-15T08:00:00Z".into(), "2027-01-18 (in 3 days)".into())
        );
        assert_eq!((minute(Some(now)), minute(None)), ("2027-01-15T08:00Z".into(), "-".into()));
    }
}
