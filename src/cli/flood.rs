//! Lines of the log that a caller can cause at will, such as one for each request to a service with a bad certificate, must not fill a disk.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// So many warnings or errors of one kind at once.
const BURST: u32 = 20;
/// Then one in so long.
const PACE: Duration = Duration::from_secs(1);

/// Lets at most [`BURST`] warnings or errors from one place in the code through at once, and one more each [`PACE`]. Keeps one small entry
/// per place in the code, so it does not grow.
#[derive(Debug, Default)]
pub(super) struct Flood(Mutex<HashMap<Identifier, Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    filled: Instant,
    left_out: u64,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { left: BURST, filled: now, left_out: 0 }
    }

    /// How many were left out before, if one more may pass at `now`.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let earned = now.saturating_duration_since(self.filled).as_secs() / PACE.as_secs();
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(BURST)).min(BURST);
            self.filled = now;
        }
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return Some(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        None
    }
}

impl Flood {
    fn take(&self, place: Identifier) -> Option<u64> {
        let now = Instant::now();
        // A log that lost its count is better than no log.
        let Ok(mut buckets) = self.0.lock() else { return Some(0) };
        buckets.entry(place).or_insert_with(|| Bucket::new(now)).take(now)
    }
}

impl<S: Subscriber> Layer<S> for Flood {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let passes = self.take(event.metadata().callsite());
        if let Some(left_out @ 1..) = passes {
            tracing::info!(left_out, "lines like the next one were left out");
        }
        passes.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_line_comes_once_a_second_at_most_after_the_first() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(begin);
        let passed = (0..10_000).filter(|at| bucket.take(begin + Duration::from_micros(at * 99)).is_some()).count();
        assert_eq!(passed, 20);
        assert_eq!(bucket.take(begin + Duration::from_millis(1_100)), Some(9_980));
        assert_eq!(bucket.take(begin + Duration::from_millis(1_200)), None);
    }

    /// The levels of what got through.
    #[derive(Clone, Default)]
    struct Passed(std::sync::Arc<Mutex<Vec<Level>>>);

    impl<S: Subscriber> Layer<S> for Passed {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }

    #[test]
    fn i7_a_flood_of_one_line_hides_no_other_and_fills_no_disk() {
        use tracing_subscriber::layer::SubscriberExt as _;
        let passed = Passed::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Flood::default()).with(passed.clone()), || {
            for number in 0..1_000 {
                tracing::warn!(number, "flood");
                tracing::debug!("what was asked for");
            }
            tracing::error!("something else");
        });
        let passed = passed.0.lock().unwrap();
        let count = |level| passed.iter().filter(|passed| **passed == level).count();
        // A slow machine may have earned some more.
        assert!((20..30).contains(&count(Level::WARN)), "{}", count(Level::WARN));
        assert_eq!((count(Level::DEBUG), count(Level::ERROR)), (1_000, 1));
    }
}
