//! `Cursor`: where a search goes on, as a text that means nothing to anybody else.

use std::fmt;
use std::str::FromStr;

/// A place between two requests. What is written to the log meanwhile doesn't move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Microseconds since 1970.
    pub(super) time: i64,
    /// Of the line: of two requests of one microsecond the one that was chained first comes first.
    pub(super) seq: i64,
}

impl Cursor {
    /// Before everything.
    pub(super) const FIRST: Self = Self { time: i64::MIN, seq: 0 };
    /// After everything.
    pub(super) const LAST: Self = Self { time: i64::MAX, seq: i64::MAX };

    /// The place before the one that was.
    pub(super) fn before(self) -> Self {
        match self.seq.checked_sub(1) {
            Some(seq @ 0..) => Self { seq, ..self },
            _ => Self { time: self.time.saturating_sub(1), ..Self::LAST },
        }
    }

    /// The place after the one that was.
    pub(super) fn after(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { seq, ..self },
            None => Self { time: self.time.saturating_add(1), ..Self::FIRST },
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}{:016x}", self.time, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let digits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let (time, seq) = text.split_at_checked(16).filter(|_| digits).ok_or(BadCursor)?;
        let number = |digits| u64::from_str_radix(digits, 16).map(u64::cast_signed).ok();
        match (number(time), number(seq)) {
            (Some(time), Some(seq @ 0..)) => Ok(Self { time, seq }),
            _ => Err(BadCursor),
        }
    }
}

/// What was given is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of an answer")]
pub struct BadCursor;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        for cursor in [Cursor { time: 1_800_000_000_000_000, seq: 7 }, Cursor { time: -1, seq: 0 }, Cursor::FIRST, Cursor::LAST]
        {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        let below = Cursor { time: 0, seq: -1 }.to_string();
        for text in ["", "x", "0", &"0".repeat(31), &"0".repeat(33), &"+".repeat(32), &"A".repeat(32), &"é".repeat(16), &below]
        {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
        assert!(Cursor { time: 1, seq: 9 } < Cursor { time: 2, seq: 1 });
        assert_eq!(
            (Cursor { time: 5, seq: 0 }.before(), Cursor { time: 5, seq: 1 }.before().seq),
            (Cursor { time: 4, ..Cursor::LAST }, 0)
        );
        assert_eq!(Cursor { time: 4, ..Cursor::LAST }.after(), Cursor { time: 5, seq: 0 });
    }
}
