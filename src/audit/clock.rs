//! RFC 3339 time in UTC with microseconds, cheap within one second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Remembers the text of the second it last wrote.
#[derive(Debug)]
pub(super) struct Clock {
    second: u64,
    text: Vec<u8>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { second: u64::MAX, text: Vec::with_capacity(20) }
    }

    /// Appends the present time.
    pub(super) fn now(&mut self, out: &mut Vec<u8>) {
        self.write(out, SystemTime::now());
    }

    /// Appends `time`; one before 1970 is written as 1970.
    fn write(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        if since.as_secs() != self.second {
            self.turn(since.as_secs());
        }
        out.extend_from_slice(&self.text);
        let mut digits = *b".000000Z";
        let mut micros = since.subsec_micros();
        for digit in digits.iter_mut().skip(1).take(6).rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
        out.extend_from_slice(&digits);
    }

    fn turn(&mut self, second: u64) {
        self.second = second;
        let stamp = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok()).unwrap_or_default();
        self.text.clear();
        self.text.extend_from_slice(stamp.to_string().trim_end_matches('Z').as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        let mut clock = Clock::new();
        let mut out = Vec::new();
        for (seconds, micros) in [(0, 0), (951_782_400, 7), (951_782_400, 999_999), (4_102_444_799, 120_000)] {
            clock.write(&mut out, UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros));
            out.push(b' ');
        }
        let text = String::from_utf8(out).expect("ascii");
        let expected =
            "1970-01-01T00:00:00.000000Z 2000-02-29T00:00:00.000007Z 2000-02-29T00:00:00.999999Z 2099-12-31T23:59:59.120000Z ";
        assert_eq!(text, expected);
    }
}
