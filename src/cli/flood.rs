//! Lines of the log that a caller can cause at will, such as one for each request to a service with a bad certificate, must not fill a disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// So many warnings or errors of one kind at once.
const BURST: u32 = 20;
/// Then one in so long.
const PACE: Duration = Duration::from_secs(1);

/// What is said of lines that were left out has this target, and is never left out itself: there is one for each line that passes.
const NOTICE: &str = "nexus::flood";

/// Lets at most [`BURST`] warnings or errors from one place in the code through at once, and one more each [`PACE`]. Keeps one small entry
/// per place in the code, so it does not grow.
///
/// How many were left out is said before the next one of the kind, and by [`Flood::report`].
#[derive(Debug, Default)]
pub(super) struct Flood(Mutex<HashMap<Identifier, Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: u32,
    filled: Instant,
    left_out: u64,
    metadata: &'static Metadata<'static>,
}

impl Bucket {
    fn new(now: Instant, metadata: &'static Metadata<'static>) -> Self {
        Self { left: BURST, filled: now, left_out: 0, metadata }
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
    fn take(&self, metadata: &'static Metadata<'static>) -> Option<u64> {
        let now = Instant::now();
        // A log that lost its count is better than no log.
        let Ok(mut buckets) = self.0.lock() else { return Some(0) };
        buckets.entry(metadata.callsite()).or_insert_with(|| Bucket::new(now, metadata)).take(now)
    }

    /// What was left out and not told of yet: the place in the code and the number.
    fn untold(&self) -> Vec<(&'static Metadata<'static>, u64)> {
        let Ok(mut buckets) = self.0.lock() else { return Vec::new() };
        let taken = buckets.values_mut().map(|bucket| (bucket.metadata, std::mem::take(&mut bucket.left_out)));
        taken.filter(|(_, left_out)| *left_out > 0).collect()
    }

    /// Says what was left out and not told of yet. For now and then, and for the end.
    pub(super) fn report(&self) {
        for (metadata, left_out) in self.untold() {
            say(metadata, left_out);
        }
    }
}

/// As loud as a warning, since that is what was left out.
fn say(metadata: &Metadata<'_>, left_out: u64) {
    let place = format!("{}:{}", metadata.module_path().unwrap_or_default(), metadata.line().unwrap_or_default());
    tracing::warn!(target: NOTICE, left_out, place, "lines of one kind were left out of this log");
}

/// The part of a subscriber that counts.
pub(super) struct Gate(pub(super) Arc<Flood>);

impl<S: Subscriber> Layer<S> for Gate {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || metadata.target() == NOTICE {
            return true;
        }
        let passes = self.0.take(metadata);
        if let Some(left_out @ 1..) = passes {
            say(metadata, left_out);
        }
        passes.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> &'static Metadata<'static> {
        use tracing::callsite::Callsite as _;
        tracing::callsite! { name: "flood", kind: tracing::metadata::Kind::EVENT, fields: }.metadata()
    }

    #[test]
    fn what_was_left_out_at_the_end_is_told_once() {
        let flood = Flood::default();
        let passed = (0..100).filter(|_| flood.take(metadata()).is_some()).count();
        let told: u64 = flood.untold().iter().map(|(_, left_out)| left_out).sum();
        assert_eq!(passed as u64 + told, 100);
        assert!(told > 0 && flood.untold().is_empty());
    }

    #[test]
    fn a_kind_of_line_comes_once_a_second_at_most_after_the_first() {
        let begin = Instant::now();
        let mut bucket = Bucket { left: BURST, filled: begin, left_out: 0, metadata: metadata() };
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
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(Gate(Arc::default())).with(passed.clone()),
            || {
                for number in 0..1_000 {
                    tracing::warn!(number, "flood");
                    tracing::debug!("what was asked for");
                }
                tracing::error!("something else");
            },
        );
        let passed = passed.0.lock().unwrap();
        let count = |level| passed.iter().filter(|passed| **passed == level).count();
        // A slow machine may have earned some more.
        assert!((20..30).contains(&count(Level::WARN)), "{}", count(Level::WARN));
        assert_eq!((count(Level::DEBUG), count(Level::ERROR)), (1_000, 1));
    }
}
