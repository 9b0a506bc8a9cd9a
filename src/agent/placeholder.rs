//! Placeholders: worthless values of a credential's shape, one per agent and connection; and those that a gateway gives to apps.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::{AgentName, ConnectionId, ProviderId};

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// What follows the prefix: 26 letters that say whose it is, two of the provider, eight by which it is known to be ours.
pub(crate) const TAIL: usize = 36;
const IDENTITY: usize = 26;
const SIGNED: usize = 28;
/// Of an app's placeholder, the letters that all apps have in common: 107 bits.
const HEAD: usize = 18;

/// Makes placeholders; derived from the vault's key, so that every process of one home makes the same ones.
pub struct PlaceholderKey([u8; 32]);

impl PlaceholderKey {
    /// Takes 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The part after the prefix: 36 letters and digits, HMAC-SHA256 of agent and connection, and what says that it is ours.
    pub fn tail(&self, agent: &AgentName, connection: &ConnectionId) -> String {
        self.tail_since(agent, connection, None)
    }

    /// That of the app called `app` of a gateway. Its first half says which connection is meant, to a proxy that has no agent of that name
    /// too: agents are each machine's own, and the keys of a gateway are not.
    pub(crate) fn tail_of_app(&self, app: &AgentName, connection: &ConnectionId) -> String {
        let mut identity = self.head_of_apps(connection);
        identity.push_str(&self.letters(&[b"\0app\0", app.as_str().as_bytes(), b"\0", connection.as_str().as_bytes()]));
        self.signed(identity, connection)
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
        let identity = self.letters(&[agent.as_str().as_bytes(), b"\0", connection.as_str().as_bytes(), mark, since]);
        self.signed(identity, connection)
    }

    /// `identity` with what follows it in every placeholder for `connection`.
    fn signed(&self, mut identity: String, connection: &ConnectionId) -> String {
        identity.truncate(IDENTITY);
        identity.extend(mark(connection.provider()).map(char::from));
        let check = self.check(identity.as_bytes());
        identity.extend(check.map(char::from));
        identity
    }

    /// Whether `tail` is what follows the prefix of a placeholder of this home, of whomever for whatever, in any case of its letters: names of
    /// hosts come in lower case.
    pub(crate) fn made(&self, tail: &[u8]) -> bool {
        // Hashes are what most long runs are; 36 letters drawn from all are none.
        if tail.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return false;
        }
        let Some((signed, check)) = tail.split_at_checked(SIGNED) else { return false };
        check.len() == TAIL - SIGNED && self.check(signed).eq_ignore_ascii_case(check)
    }

    /// Of letters in whatever case.
    fn check(&self, signed: &[u8]) -> [u8; TAIL - SIGNED] {
        let mut check = [0; TAIL - SIGNED];
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return check };
        mac.update(b"\0ours");
        mac.update(&signed.to_ascii_lowercase());
        check.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(place, byte)| *place = letter(byte));
        check
    }

    fn letters(&self, parts: &[&[u8]]) -> String {
        // HMAC takes keys of every length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().iter().take(IDENTITY).map(|byte| char::from(letter(*byte))).collect()
    }
}

/// Whether `tail`, if it is of a placeholder at all, is one for a connection of `provider`; one among thousands is although it isn't.
pub(crate) fn is_for(tail: &[u8], provider: &ProviderId) -> bool {
    tail.get(IDENTITY..SIGNED).is_some_and(|letters| letters == mark(provider))
}

/// FNV-1a: it keeps no secret.
fn mark(provider: &ProviderId) -> [u8; SIGNED - IDENTITY] {
    let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let [a, b, c, d] = provider.as_str().bytes().fold(0x811c_9dc5, fold).to_be_bytes();
    [letter(a ^ b), letter(c ^ d)]
}

fn letter(byte: u8) -> u8 {
    LETTERS.get(usize::from(byte % 62)).copied().unwrap_or(b'0')
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
        assert_eq!(alice.len(), TAIL);
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
        assert!(crew != other && crew.len() == TAIL && crew.starts_with(&head) && other.starts_with(&head));
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

    #[test]
    fn one_of_ours_is_known_from_all_else_in_any_case_of_its_letters() {
        let key = PlaceholderKey::new([7; 32]);
        let (agent, connection): (AgentName, ConnectionId) =
            ("a".parse().expect("a name"), "github:alice".parse().expect("a handle"));
        for tail in [key.tail(&agent, &connection), key.tail_of_app(&agent, &connection)] {
            assert!(key.made(tail.as_bytes()) && key.made(tail.to_ascii_lowercase().as_bytes()));
            assert!(!PlaceholderKey::new([8; 32]).made(tail.as_bytes()), "another home's");
            for wrong in ["", "short", &"x".repeat(36), &tail[1..], &format!("{tail}x"), &format!("-{}", &tail[1..])] {
                assert!(!key.made(wrong.as_bytes()), "{wrong}");
            }
            assert!(is_for(tail.as_bytes(), connection.provider()));
            assert!(!is_for(tail.as_bytes(), &"slack".parse().expect("a provider")));
        }
    }
}
