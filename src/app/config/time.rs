//! `Time`: how long something takes, as people write it: `"500ms"`, `"60s"`, `"5m"`, `"1h"`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The units, the largest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A length of time, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Time(Duration);

impl Time {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The same for clocks.
    pub fn duration(self) -> Duration {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at_checked(text.find(|letter: char| !letter.is_ascii_digit())?)?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
        number.parse::<u64>().ok()?.checked_mul(*millis).map(|millis| Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        match UNITS.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(formatter, "{}{name}", millis / unit),
            None => formatter.write_str("0s"),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl de::Visitor<'_> for Written {
            type Value = Time;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a time such as 60s, 5m or 1h in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Time::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Other("another text"), &self))
            }
        }
        deserializer.deserialize_str(Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for (text, millis, again) in
            [("0s", 0, "0s"), ("500ms", 500, "500ms"), ("60s", 60_000, "1m"), ("90s", 90_000, "90s"), ("1 h", 3_600_000, "1h")]
        {
            let time = Time::parse(text).unwrap();
            assert_eq!((time.duration().as_millis(), time.to_string().as_str()), (millis, again), "{text}");
        }
        for text in ["", "60", "s", "-1s", "1.5s", "1d", "60S", "18446744073709551615h"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}
