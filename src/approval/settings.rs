//! How many requests wait for a person's word.

/// Bounds of what is asked. How long each waits is its rule's to say.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Requests that wait at one time.
    pub(crate) hold_limit: usize,
    /// Of those, the ones of one agent.
    pub(crate) agent_hold_limit: usize,
}
