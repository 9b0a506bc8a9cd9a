//! Placeholders: worthless values of a credential's shape, one per agent and connection; and those that a gateway gives to apps.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::{AgentName, ConnectionId};

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 36;
/// Of an app's placeholder, the letters that all apps have in common: 107 bits.
const HEAD: usize = 18;

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

    /// That of the app called `app` of a gateway. Its first half says which connection is meant, to a proxy that has no agent of that name
    /// too: agents are each machine's own, and the keys of a gateway are not.
    pub(crate) fn tail_of_app(&self, app: &AgentName, connection: &ConnectionId) -> String {
        let mut tail = self.head_of_apps(connection);
        let of_app = self.letters(&[b"\0app\0", app.as_str().as_bytes(), b"\0", connection.as_str().as_bytes()]);
        tail.extend(of_app.chars().take(LENGTH - HEAD));
        tail
    }

    /// The first half of what any app has for `connection`.
    pub(crate) fn head_of_apps(&self, connection: &ConnectionId) -> String {
        let mut head = self.letters(&[b"\0apps\0", connection.as_str().as_bytes()]);
        head.truncate(HEAD);
        head
    }

    /// As [`PlaceholderKey::tail`], for a connection that the agent obtained by its own log-in at `since`: one that is removed leaves its
    /// name to another, but not its placeholders.
    pub fn tail_since(&self, agent: &AgentName, connection: &ConnectionId, since: Option<SystemTime>) -> String {
        let since = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_nanos().to_be_bytes());
        let (mark, since): (&[u8], &[u8]) = since.as_ref().map_or((b"", b""), |since| (b"\0since", since));
        self.letters(&[agent.as_str().as_bytes(), b"\0", connection.as_str().as_bytes(), mark, since])
    }

    fn letters(&self, parts: &[&[u8]]) -> String {
        // HMAC takes keys of every length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        parts.iter().for_each(|part| mac.update(part));
        let first = mac.clone().finalize().into_bytes();
        mac.update(b"\0more");
        let second = mac.finalize().into_bytes();
        let letters = first.iter().chain(second.iter()).filter_map(|byte| LETTERS.get(usize::from(byte % 62)));
        letters.take(LENGTH).map(|letter| char::from(*letter)).collect()
    }
}

/// On its way to a node: base64.
impl PlaceholderKey {
    pub(crate) fn written(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let key = Self(bytes);
        (length == 32).then_some(key)
    }
}

impl fmt::Debug for PlaceholderKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PlaceholderKey(..)")
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

    #[test]
    fn those_of_apps_have_their_first_half_in_common() {
        let (key, agent) = (PlaceholderKey::new([7; 32]), |name: &str| name.parse::<AgentName>().expect("a name"));
        let [alice, bob] = ["github:alice", "github:bob"].map(|name| name.parse::<ConnectionId>().expect("a handle"));
        let (crew, other) = (key.tail_of_app(&agent("crew"), &alice), key.tail_of_app(&agent("other"), &alice));
        let head = key.head_of_apps(&alice);
        assert!(crew != other && crew.len() == LENGTH && crew.starts_with(&head) && other.starts_with(&head));
        assert!(head != key.head_of_apps(&bob) && crew != key.tail(&agent("crew"), &alice));
        assert_ne!(crew.get(HEAD..), key.tail_of_app(&agent("crew"), &bob).get(HEAD..));
    }

    #[test]
    fn what_is_lent_to_a_node_makes_the_same_ones() {
        let (key, github) = (PlaceholderKey::new([7; 32]), "github".parse().expect("a handle"));
        let read = PlaceholderKey::read(&key.written()).expect("a key");
        assert_eq!(read.head_of_apps(&github), key.head_of_apps(&github));
        for odd in ["", "AAAA", &"A".repeat(44), &"-".repeat(200), "?"] {
            assert!(PlaceholderKey::read(odd).is_none(), "{odd}");
        }
        assert_eq!(format!("{key:?}"), "PlaceholderKey(..)");
    }
}
