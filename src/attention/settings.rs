//! How long requests are held, and how many.

use std::time::Duration;

/// What is done about a missing credential besides the refusal.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// How long a request waits for a person; zero = not at all.
    pub(crate) hold: Duration,
    /// Requests that wait at one time.
    pub(crate) hold_limit: usize,
    /// Of those, the ones of one agent.
    pub(crate) agent_hold_limit: usize,
    /// Whether somebody takes notices.
    pub(crate) tells: bool,
}
