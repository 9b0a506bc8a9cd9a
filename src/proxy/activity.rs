//! What moves on one caller's stream, so that an idle or stuck one can be told from a busy one.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::worker::Settings;
use crate::audit::EndedFor;

/// How often a quiet stream is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Time since something fixed, which stands still while the machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
struct Moment(Duration);

impl Moment {
    /// It is asked several times per request, and this clock costs a fifth of the others; it moves every few milliseconds.
    #[cfg(target_os = "linux")]
    fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        Self(Duration::try_from(now).unwrap_or_default())
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Self {
        static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
        Self(START.elapsed())
    }

    fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// What is under way on one stream.
#[derive(Debug)]
pub(super) struct Activity {
    /// Requests under way.
    busy: Cell<usize>,
    /// Those whose response is on its way to the caller.
    answering: Cell<usize>,
    /// When a request last began or ended, or a piece of a response was taken.
    last: Cell<Moment>,
    /// Since when a head has been on its way, where nobody else counts that.
    head: Cell<Option<Moment>>,
    ended_for: EndedFor,
}

/// A request whose response has not ended.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Rc<Activity>,
    answering: Cell<bool>,
}

impl Activity {
    /// Of a new stream.
    pub(super) fn new() -> Rc<Self> {
        let (busy, answering, last) = (Cell::new(0), Cell::new(0), Cell::new(Moment::now()));
        Rc::new(Self { busy, answering, last, head: Cell::new(None), ended_for: EndedFor::default() })
    }

    /// How long no request has been under way.
    pub(super) fn idle_for(&self) -> Duration {
        if self.is_busy() { Duration::ZERO } else { self.last.get().elapsed() }
    }

    /// Whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.get() > 0
    }

    /// How long the caller has taken nothing of any response, when responses are all it waits for.
    pub(super) fn stalled_for(&self) -> Duration {
        let answering = self.answering.get();
        if answering > 0 && answering == self.busy.get() { self.last.get().elapsed() } else { Duration::ZERO }
    }

    /// A part of a head is here and more must come.
    pub(super) fn head_begun(&self) {
        if self.head.get().is_none() {
            let now = Moment::now();
            self.head.set(Some(now));
            self.last.set(now);
        }
    }

    /// The head is here: whoever has asked for something is not idle.
    pub(super) fn head_complete(&self) {
        self.head.set(None);
        self.last.set(Moment::now());
    }

    /// Whoever is served here may not act any more: what is under way ends, and says so.
    pub(super) fn agent_revoked(&self) {
        self.ended_for.set(Some("agent_revoked"));
    }

    /// Whether a head has been on its way for longer than `limit`.
    pub(super) fn head_late(&self, limit: Duration) -> bool {
        self.head.get().is_some_and(|since| since.elapsed() > limit)
    }
}

impl Busy {
    /// One more request.
    pub(super) fn new(activity: &Rc<Activity>) -> Self {
        activity.busy.set(activity.busy.get() + 1);
        Self { activity: Rc::clone(activity), answering: Cell::new(false) }
    }

    /// Why it ends, once it does for a reason of ours.
    pub(super) fn ended_for(&self) -> &EndedFor {
        &self.activity.ended_for
    }

    /// A response begins, or a piece of it was taken by the caller.
    pub(super) fn moved(&self) {
        if !self.answering.replace(true) {
            self.activity.answering.set(self.activity.answering.get() + 1);
        }
        self.activity.last.set(Moment::now());
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.busy.set(self.activity.busy.get() - 1);
        self.activity.answering.set(self.activity.answering.get() - usize::from(self.answering.get()));
        self.activity.last.set(Moment::now());
    }
}

/// How often a stream is looked at under `settings`.
pub(super) fn look(settings: &Settings) -> Duration {
    LOOK.min(settings.head_timeout / 2).min(settings.keep_alive / 2).max(Duration::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_begins_ends_the_idle_time() {
        let activity = Activity::new();
        let (long_ago, now) = (Moment(Duration::ZERO), Moment::now());
        for begins in [Activity::head_begun, Activity::head_complete] {
            activity.last.set(long_ago);
            assert!(activity.idle_for() >= now.0);
            begins(&activity);
            assert!(activity.last.get() >= now);
        }
        activity.head.set(Some(long_ago));
        activity.head_begun();
        assert_eq!(activity.head.get(), Some(long_ago), "the first byte of a head counts");
    }
}
