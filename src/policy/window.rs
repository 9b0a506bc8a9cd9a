//! `Window`: days and hours at some place.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::terms::one_or_more;

/// Why a text is not a part of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WindowError {
    /// `days`.
    #[error("expected a day such as `mon`, or a span of days such as `mon-fri`")]
    Days,
    /// `hours`.
    #[error(
        "expected a span of hours such as `09:00-18:00`; the end may be `24:00`, or lie before the beginning, on the next day"
    )]
    Hours,
    /// `zone`.
    #[error("expected the name of a time zone, such as `UTC` or `Europe/Berlin`")]
    Zone,
}

/// `when = { days = ["mon-fri"], hours = "09:00-18:00", zone = "Europe/Berlin" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On which days; none = every day. Hours that reach over midnight belong to the day on which they begin.
    #[serde(default, deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    days: Vec<Days>,
    /// At which hours; `None` = the whole day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hours: Option<Hours>,
    /// Where; UTC if it isn't said.
    #[serde(default)]
    zone: Zone,
}

/// `mon-fri`: the first and the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Days(Weekday, Weekday);

const NAMES: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl TryFrom<String> for Days {
    type Error = WindowError;
    fn try_from(text: String) -> Result<Self, WindowError> {
        let day = |name: &str| NAMES.iter().find(|(own, _)| *own == name).map(|(_, day)| *day).ok_or(WindowError::Days);
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        Ok(Self(day(first)?, day(last)?))
    }
}

impl From<Days> for String {
    fn from(Days(first, last): Days) -> Self {
        let name = |day: Weekday| NAMES.iter().find(|(_, own)| *own == day).map_or("", |(name, _)| *name);
        if first == last { name(first).to_owned() } else { format!("{}-{}", name(first), name(last)) }
    }
}

impl Days {
    fn has(self, day: Weekday) -> bool {
        self.0.until(day) <= self.0.until(self.1)
    }
}

/// `09:00-18:00`, in minutes of the day; the end is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hours {
    from: u16,
    to: u16,
}

const DAY: u16 = 24 * 60;

impl TryFrom<String> for Hours {
    type Error = WindowError;
    fn try_from(text: String) -> Result<Self, WindowError> {
        let minute = |text: &str| -> Option<u16> {
            let (hours, minutes) = text.split_once(':')?;
            let two = |digits: &str| {
                if digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<u16>().ok() } else { None }
            };
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            Some(hours * 60 + minutes).filter(|at| minutes < 60 && *at <= DAY)
        };
        let (from, to) = text.split_once('-').ok_or(WindowError::Hours)?;
        let hours = minute(from).zip(minute(to)).map(|(from, to)| Self { from, to });
        hours.filter(|hours| hours.from != hours.to && hours.from < DAY && hours.to > 0).ok_or(WindowError::Hours)
    }
}

impl From<Hours> for String {
    fn from(Hours { from, to }: Hours) -> Self {
        format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// A time zone by its name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Zone {
    name: String,
    zone: TimeZone,
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl TryFrom<String> for Zone {
    type Error = WindowError;
    fn try_from(name: String) -> Result<Self, WindowError> {
        let zone = TimeZone::get(&name).map_err(|_unknown| WindowError::Zone)?;
        Ok(Self { name, zone })
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

impl Window {
    /// Whether `now` is in it. What can't be told is not.
    pub(super) fn has(&self, now: SystemTime) -> bool {
        let Ok(now) = Timestamp::try_from(now) else { return false };
        let there = self.zone.zone.to_datetime(now);
        let (today, minute) = (there.date().weekday(), minute_of(there.time()));
        let on = |day: Weekday| self.days.is_empty() || self.days.iter().any(|days| days.has(day));
        match self.hours {
            None => on(today),
            Some(Hours { from, to }) if from < to => on(today) && (from..to).contains(&minute),
            Some(Hours { from, to }) => (on(today) && minute >= from) || (on(today.previous()) && minute < to),
        }
    }
}

fn minute_of(time: Time) -> u16 {
    u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().expect("a time").into()
    }

    #[test]
    fn office_hours_are_those_of_the_place_in_summer_and_winter() {
        let office = window("days = \"mon-fri\"\nhours = \"09:00-18:00\"\nzone = \"Europe/Berlin\"");
        for (time, inside) in [
            ("2026-07-01T07:00:00Z", true),
            ("2026-07-01T06:59:59Z", false),
            ("2026-07-01T16:00:00Z", false),
            ("2026-12-01T07:30:00Z", false),
            ("2026-12-01T08:00:00Z", true),
            ("2026-07-04T10:00:00Z", false),
        ] {
            assert_eq!(office.has(at(time)), inside, "{time}");
        }
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
        let night = window("days = [\"fri\"]\nhours = \"22:00-06:00\"");
        for (time, inside) in [
            ("2026-07-03T22:00:00Z", true),
            ("2026-07-04T05:59:00Z", true),
            ("2026-07-04T06:00:00Z", false),
            ("2026-07-03T05:00:00Z", false),
            ("2026-07-04T22:00:00Z", false),
        ] {
            assert_eq!(night.has(at(time)), inside, "{time}");
        }
        let weekend = window("days = \"sat-mon\"");
        assert!(weekend.has(at("2026-07-05T12:00:00Z")) && weekend.has(at("2026-07-06T12:00:00Z")));
        assert!(!weekend.has(at("2026-07-07T12:00:00Z")));
    }

    #[test]
    fn a_mistake_is_an_error() {
        for bad in [
            "days = \"monday\"",
            "days = []",
            "hours = \"9-18\"",
            "hours = \"09:00\"",
            "hours = \"09:00-09:00\"",
            "hours = \"25:00-26:00\"",
            "hours = \"09:60-10:00\"",
            "hours = \"24:00-10:00\"",
            "zone = \"Berlin\"",
            "hour = \"09:00-10:00\"",
        ] {
            assert!(toml::from_str::<Window>(bad).is_err(), "{bad}");
        }
        assert!(window("hours = \"00:00-24:00\"").has(at("2026-07-07T23:59:59Z")));
    }
}
