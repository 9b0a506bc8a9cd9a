//! The numbers that bound a renewal.

use std::time::Duration;

/// How eagerly, how often and how long to renew.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// How long before its end a credential is renewed; a short-lived one at most a quarter of its life before.
    pub(crate) renew_ahead: Duration,
    /// How long a request waits for a renewal while the old credential still lives.
    pub(crate) ahead_wait: Duration,
    /// How long a request waits for a renewal that it cannot do without.
    pub(crate) renewal_wait: Duration,
    /// How long one call of a token endpoint may take.
    pub(crate) call_deadline: Duration,
    /// How long to wait for another process that renews the same connection.
    pub(crate) lock_wait: Duration,
    /// Requests that may wait for renewals of one connection at a time.
    pub(crate) waiters: usize,
    /// How long a 401 on a just renewed credential that has not worked anywhere is held to be about the request.
    pub(crate) trial: Duration,
    /// The most that `trial` doubles to.
    pub(crate) trial_limit: Duration,
    /// Renewals that one connection may make in a row.
    pub(crate) burst: u32,
    /// How long until it may make one more.
    pub(crate) refill: Duration,
    /// The pause after a failed renewal; doubles with each failure in a row.
    pub(crate) pause: Duration,
    /// The most that `pause` doubles to.
    pub(crate) pause_limit: Duration,
    /// Connections held in memory; beyond it those that the vault no longer has are dropped.
    pub(crate) connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            renew_ahead: Duration::from_secs(60),
            ahead_wait: Duration::from_secs(2),
            renewal_wait: Duration::from_secs(40),
            call_deadline: Duration::from_secs(20),
            lock_wait: Duration::from_secs(15),
            waiters: 8192,
            trial: Duration::from_secs(60),
            trial_limit: Duration::from_secs(60 * 60),
            burst: 5,
            refill: Duration::from_secs(60),
            pause: Duration::from_secs(5),
            pause_limit: Duration::from_secs(5 * 60),
            connections: 4096,
        }
    }
}
