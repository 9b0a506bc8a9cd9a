//! `Rate` and `Volume`: so many requests, so many bytes in a span of time. `Wait`: how long something is waited for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Of requests.
    #[error("expected a number of requests and a span, such as `10/s`, `100/min`, `1000/h` or `5000/day`")]
    Rate,
    /// Of bytes.
    #[error("expected a size and a span, such as `10MiB/min` or `1GiB/day`")]
    Volume,
    /// Of time.
    #[error("expected a time from 1s to 24h, such as `30s`, `5m` or `1h`")]
    Wait,
}

/// A span of time as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Second,
    Minute,
    Hour,
    Day,
}

impl Span {
    fn read(text: &str) -> Option<Self> {
        match text {
            "s" | "second" => Some(Self::Second),
            "m" | "min" | "minute" => Some(Self::Minute),
            "h" | "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
            Self::Day => "day",
        }
    }

    fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 60 * 60,
            Self::Day => 24 * 60 * 60,
        })
    }
}

/// `10/s`: requests in a span, from 1 to a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    count: u32,
    span: Span,
}

impl Rate {
    /// How many.
    pub fn count(self) -> u32 {
        self.count
    }

    /// How long one of them takes.
    pub(crate) fn interval(self) -> Duration {
        self.span.length() / self.count.max(1)
    }
}

impl FromStr for Rate {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (count, span) = text.split_once('/').ok_or(AmountError::Rate)?;
        let plain = count.bytes().all(|b| b.is_ascii_digit());
        let count = count.parse().ok().filter(|count| plain && (1..=1_000_000).contains(count)).ok_or(AmountError::Rate)?;
        Ok(Self { count, span: Span::read(span).ok_or(AmountError::Rate)? })
    }
}

impl TryFrom<String> for Rate {
    type Error = AmountError;
    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.count, self.span.word())
    }
}

/// `1GiB/day`: bytes in a span, both ways together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Volume {
    size: ByteSize,
    span: Span,
}

impl Volume {
    /// How many bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.size.as_u64()
    }

    /// In how long.
    pub(crate) fn span(self) -> Duration {
        self.span.length()
    }
}

impl FromStr for Volume {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (size, span) = text.split_once('/').ok_or(AmountError::Volume)?;
        let size: ByteSize = size.parse().map_err(|_no_size: String| AmountError::Volume)?;
        let span = Span::read(span).ok_or(AmountError::Volume)?;
        // One PiB a second is more than any line carries, and leaves room to count.
        if (1..=ByteSize::pib(1).as_u64()).contains(&size.as_u64()) {
            Ok(Self { size, span })
        } else {
            Err(AmountError::Volume)
        }
    }
}

impl TryFrom<String> for Volume {
    type Error = AmountError;
    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Volume> for String {
    fn from(volume: Volume) -> Self {
        volume.to_string()
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}B/{}", self.size.as_u64(), self.span.word())
    }
}

/// `5m`: a time that somebody waits, from a second to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Wait(u32);

impl Wait {
    const LONGEST: u32 = 24 * 60 * 60;

    /// For clocks.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl Default for Wait {
    /// Five minutes: long enough to be seen, and shorter than most programs wait for an answer.
    fn default() -> Self {
        Self(5 * 60)
    }
}

impl FromStr for Wait {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (count, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(AmountError::Wait)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            _ => return Err(AmountError::Wait),
        };
        let plain = count.bytes().all(|b| b.is_ascii_digit());
        let seconds = count.parse::<u32>().ok().filter(|_| plain).and_then(|count| count.checked_mul(unit));
        seconds.filter(|seconds| (1..=Self::LONGEST).contains(seconds)).map(Self).ok_or(AmountError::Wait)
    }
}

impl TryFrom<String> for Wait {
    type Error = AmountError;
    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Wait> for String {
    fn from(wait: Wait) -> Self {
        wait.to_string()
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds % 3600 == 0 => write!(formatter, "{}h", seconds / 3600),
            seconds if seconds % 60 == 0 => write!(formatter, "{}m", seconds / 60),
            seconds => write!(formatter, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_as_it_is_written() {
        let rate = |text: &str| text.parse::<Rate>().map(Rate::interval);
        assert_eq!(rate("10/s"), Ok(Duration::from_millis(100)));
        assert_eq!((rate("60/min"), rate("60/m")), (Ok(Duration::from_secs(1)), Ok(Duration::from_secs(1))));
        assert_eq!(rate("24/day"), Ok(Duration::from_secs(3600)));
        for bad in ["", "10", "0/s", "10/", "10/week", "-1/s", "+1/s", "1.5/s", "10 /s", "1000001/s"] {
            assert_eq!(rate(bad), Err(AmountError::Rate), "{bad}");
        }
        let volume: Volume = "10MiB/min".parse().expect("a volume");
        assert_eq!((volume.bytes(), volume.span()), (10 * 1024 * 1024, Duration::from_secs(60)));
        assert_eq!(volume.to_string().parse::<Volume>(), Ok(volume));
        for bad in ["", "10MiB", "0B/s", "x/s", "2PiB/s", "1GiB/week"] {
            assert_eq!(bad.parse::<Volume>(), Err(AmountError::Volume), "{bad}");
        }
        for (text, seconds, shown) in [("90s", 90, "90s"), ("300s", 300, "5m"), ("24h", 86_400, "24h"), ("1m", 60, "1m")] {
            let wait: Wait = text.parse().expect(text);
            assert_eq!((wait.duration(), wait.to_string().as_str()), (Duration::from_secs(seconds), shown));
        }
        for bad in ["", "s", "0s", "5", "5min", "-1s", "+1s", "1 s", "25h", "86401s", "1d", "99999999999h", "5\u{e9}"] {
            assert_eq!(bad.parse::<Wait>(), Err(AmountError::Wait), "{bad}");
        }
    }
}
