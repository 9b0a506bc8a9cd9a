//! `Book`: what one connection remembers between renewals. Pure: time comes in as an argument.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::Why;
use super::flight::{Outcome, Pending};
use super::settings::Settings;
use crate::model::ConnectionId;
use crate::oauth::Refused;

/// An endpoint that asks for less, or for none, is left alone so long. How often it is asked is bounded beside it.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What one connection remembers between renewals.
#[derive(Debug)]
pub(super) struct Book {
    /// The renewal in flight.
    pub(super) flight: Option<watch::Receiver<Option<Outcome>>>,
    /// Tokens that were obtained and could not be stored yet.
    pub(super) pending: Option<Arc<Pending>>,
    /// The generation whose refresh token was refused for good, should the vault not have taken the note.
    pub(super) refused: Option<(u64, Arc<Refused>)>,
    /// The state of the vault in which a person was told that its file names a token endpoint which nobody trusted.
    told: Option<u64>,
    /// Renewals in a row whose credential worked nowhere.
    fruitless: u32,
    failures: u32,
    paused_until: Option<Instant>,
    bucket: Bucket,
}

impl Book {
    pub(super) fn new(now: Instant, settings: &Settings) -> Self {
        let bucket = Bucket { left: settings.burst, since: now };
        Self { flight: None, pending: None, refused: None, told: None, fruitless: 0, failures: 0, paused_until: None, bucket }
    }

    /// A credential that no failure was about is there: what was learned about the endpoint is void.
    pub(super) fn renewed(&mut self) {
        (self.refused, self.failures, self.paused_until) = (None, 0, None);
    }

    /// A person registered anew: nothing of the past counts.
    pub(super) fn registered(&mut self, now: Instant, settings: &Settings) {
        self.renewed();
        (self.pending, self.fruitless) = (None, 0);
        self.bucket = Bucket { left: settings.burst, since: now };
    }

    /// Logs what only a person can change, once for each state of the vault.
    pub(super) fn tell_once(&mut self, connection: &ConnectionId, version: u64, why: &Why) {
        if matches!(why, Why::NotSealed { .. }) && self.told.replace(version) != Some(version) {
            tracing::error!(%connection, reason = %why, "the credential is not renewed");
        }
    }

    /// A renewal failed for now; `asked` is how long the token endpoint wants to be left alone, where it said so.
    pub(super) fn failed(&mut self, now: Instant, asked: Option<Duration>, settings: &Settings) {
        let pause = || doubled(settings.pause, self.failures, settings.pause_limit);
        self.paused_until = now.checked_add(asked.map_or_else(pause, |asked| asked.max(LEAST_PAUSE)));
        self.failures = self.failures.saturating_add(1);
    }

    /// How long no renewal is to be tried.
    pub(super) fn pause_left(&self, now: Instant) -> Option<Duration> {
        self.paused_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// How long a renewed credential that has worked nowhere is on trial.
    pub(super) fn trial(&self, settings: &Settings) -> Duration {
        doubled(settings.trial, self.fruitless, settings.trial_limit)
    }

    /// Notes whether the credential that is now complained of ever worked.
    pub(super) fn complained(&mut self, was_fruitless: bool) {
        self.fruitless = if was_fruitless { self.fruitless.saturating_add(1) } else { 0 };
    }

    /// Takes the right to one renewal, or says how long until there is one.
    pub(super) fn take(&mut self, now: Instant, settings: &Settings) -> Result<(), Duration> {
        self.bucket.take(now, settings)
    }

    /// Gives the right back: the endpoint was not called.
    pub(super) fn give_back(&mut self, settings: &Settings) {
        self.bucket.left = self.bucket.left.saturating_add(1).min(settings.burst);
    }
}

fn doubled(base: Duration, times: u32, limit: Duration) -> Duration {
    base.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(limit)
}

#[derive(Debug)]
struct Bucket {
    left: u32,
    since: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant, settings: &Settings) -> Result<(), Duration> {
        let refill = settings.refill.max(Duration::from_millis(1));
        while self.left < settings.burst && now.saturating_duration_since(self.since) >= refill {
            self.left += 1;
            self.since += refill;
        }
        if self.left >= settings.burst {
            self.since = now;
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Err(refill.saturating_sub(now.saturating_duration_since(self.since)));
        };
        self.left = left;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> (Book, Instant, Settings) {
        let (now, settings) = (Instant::now(), Settings::default());
        (Book::new(now, &settings), now, settings)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn t120_five_renewals_then_one_a_minute() {
        let (mut book, now, settings) = book();
        assert!((0..5).all(|_| book.take(now, &settings).is_ok()));
        assert_eq!(book.take(now, &settings), Err(MINUTE));
        assert_eq!(book.take(now + MINUTE / 2, &settings), Err(MINUTE / 2));
        assert_eq!(book.take(now + MINUTE, &settings), Ok(()));
        assert_eq!(book.take(now + MINUTE, &settings), Err(MINUTE));
        let later = now + 1000 * MINUTE;
        assert_eq!((0..100).filter(|_| book.take(later, &settings).is_ok()).count(), 5);
    }

    #[test]
    fn a_right_that_was_not_used_comes_back_and_no_more() {
        let (mut book, now, settings) = book();
        book.give_back(&settings);
        assert_eq!((0..100).filter(|_| book.take(now, &settings).is_ok()).count(), 5);
        book.give_back(&settings);
        assert_eq!(book.take(now, &settings), Ok(()));
    }

    #[test]
    fn t124_pauses_double_honour_the_endpoint_and_are_bounded() {
        let (mut book, now, settings) = book();
        let mut pauses = Vec::new();
        for _ in 0..70 {
            book.failed(now, None, &settings);
            pauses.push(book.pause_left(now).expect("a pause").as_secs());
        }
        assert_eq!(pauses.get(..8), Some([5, 10, 20, 40, 80, 160, 300, 300].as_slice()));
        assert_eq!(pauses.last(), Some(&300));
        for (asked, paused) in [(0, 1), (1, 1), (3, 3), (600, 600)] {
            book.failed(now, Some(Duration::from_secs(asked)), &settings);
            assert_eq!(book.pause_left(now), Some(Duration::from_secs(paused)), "{asked}");
        }
        assert_eq!(book.pause_left(now + 10 * MINUTE), None);
        book.registered(now, &settings);
        assert_eq!(book.pause_left(now), None);
    }

    #[test]
    fn t120_trials_double_while_nothing_works() {
        let (mut book, _, settings) = book();
        assert_eq!(book.trial(&settings), MINUTE);
        book.complained(true);
        book.complained(true);
        assert_eq!(book.trial(&settings), 4 * MINUTE);
        (0..60).for_each(|_| book.complained(true));
        assert_eq!(book.trial(&settings), 60 * MINUTE);
        book.complained(false);
        assert_eq!(book.trial(&settings), MINUTE);
    }
}
