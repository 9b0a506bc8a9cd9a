//! Placeholders: worthless values of a credential's shape, one per agent and connection.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::{AgentName, ConnectionId};

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 36;

/// Makes placeholders; derived from the vault's key, so that every process of one home makes the same ones.
pub struct PlaceholderKey([u8; 32]);

impl PlaceholderKey {
    /// Takes 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The part after the prefix: 36 letters and digits, HMAC-SHA256 of agent and connection.
    pub fn tail(&self, agent: &AgentName, connection: &ConnectionId) -> String {
        self.tail_since(agent, connection, None)
    }

    /// As [`PlaceholderKey::tail`], for a connection that the agent obtained by its own log-in at `since`: one that is removed leaves its
    /// name to another, but not its placeholders.
    pub fn tail_since(&self, agent: &AgentName, connection: &ConnectionId, since: Option<SystemTime>) -> String {
        // HMAC takes keys of every length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(agent.as_str().as_bytes());
        mac.update(b"\0");
        mac.update(connection.as_str().as_bytes());
        if let Some(since) = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()) {
            mac.update(b"\0since");
            mac.update(&since.as_nanos().to_be_bytes());
        }
        let first = mac.clone().finalize().into_bytes();
        mac.update(b"\0more");
        let second = mac.finalize().into_bytes();
        let letters = first.iter().chain(second.iter()).filter_map(|byte| LETTERS.get(usize::from(byte % 62)));
        letters.take(LENGTH).map(|letter| char::from(*letter)).collect()
    }
}

impl Drop for PlaceholderKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_and_connection_has_its_own() {
        let key = PlaceholderKey::new([7; 32]);
        let agent = |name: &str| name.parse::<AgentName>().expect("a name");
        let connection = |name: &str| name.parse::<ConnectionId>().expect("a handle");
        let alice = key.tail(&agent("a"), &connection("github:alice"));
        assert_eq!(alice.len(), LENGTH);
        assert_ne!(alice, key.tail(&agent("a"), &connection("github")));
        assert_ne!(alice, key.tail(&agent("b"), &connection("github:alice")));
        let since = |seconds| {
            let since = UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            key.tail_since(&agent("a"), &connection("github:alice"), Some(since))
        };
        assert!(since(1) != since(2) && since(1) == since(1) && since(1) != alice);
    }
}
