//! `Pulse`: when the gateway was heard last, readable by every request without a lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// When the gateway was heard last, and whether it is being heard.
pub(super) struct Pulse {
    epoch: Instant,
    grace: Duration,
    connected: AtomicBool,
    /// Milliseconds since `epoch`.
    heard: AtomicU64,
    /// Seconds since 1970, for people.
    heard_at: AtomicU64,
}

impl Pulse {
    pub(super) fn new(grace: Duration) -> Self {
        let (heard, heard_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { epoch: Instant::now(), grace, connected: AtomicBool::new(false), heard, heard_at }
    }

    /// A line has come.
    pub(super) fn beat(&self) {
        let since = self.epoch.elapsed().as_millis();
        self.heard.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.heard_at.store(now.as_secs(), Ordering::Relaxed);
        self.connected.store(true, Ordering::Release);
    }

    /// The link is down.
    pub(super) fn stop(&self) {
        self.connected.store(false, Ordering::Release);
    }

    /// Whether the link is down.
    pub(super) fn is_down(&self) -> bool {
        !self.connected.load(Ordering::Acquire)
    }

    /// Whether copies are too old to be used. A link that is up is never too old: it is down as soon as its heartbeats stay away.
    pub(super) fn has_lapsed(&self) -> bool {
        self.is_down()
            && self.epoch.elapsed().saturating_sub(Duration::from_millis(self.heard.load(Ordering::Relaxed))) > self.grace
    }

    /// When it was heard last, in seconds since 1970; `None` = never.
    pub(super) fn heard_at(&self) -> Option<u64> {
        Some(self.heard_at.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn copies_outlive_the_last_line_by_the_grace_and_a_link_that_is_up_keeps_them() {
        let pulse = Pulse::new(Duration::from_secs(60));
        pulse.beat();
        tokio::time::advance(Duration::from_secs(600)).await;
        assert!(!pulse.has_lapsed());
        pulse.beat();
        pulse.stop();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!pulse.has_lapsed());
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(pulse.has_lapsed());
        pulse.beat();
        assert!(!pulse.has_lapsed() && pulse.heard_at().is_some());
    }
}
