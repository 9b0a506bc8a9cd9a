//! `Summary`: what may be shown of a connection.

use std::time::SystemTime;

use super::entry::{AuthType, Captured, Entry, Status};
use crate::model::{ConnectionId, ProviderId, Secret};

/// A connection without its secrets, for lists and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The handle; its user, where it has one, is part of it.
    pub connection: ConnectionId,
    /// The provider it belongs to.
    pub provider: ProviderId,
    /// How it authenticates.
    pub auth_type: AuthType,
    /// The client id, masked: `ghXX****`.
    pub client_id: Option<String>,
    /// When the access token dies.
    pub expires_at: Option<SystemTime>,
    /// As in [`Entry::registered_at`].
    pub registered_at: Option<SystemTime>,
    /// Whether it can be used.
    pub status: Status,
    /// What it is good for, where that is known.
    pub scopes: Vec<String>,
    /// The agent that obtained it by its own log-in.
    pub captured: Option<Captured>,
}

impl Summary {
    /// What may be shown of `entry`.
    pub fn of(id: &ConnectionId, entry: &Entry) -> Self {
        Self {
            connection: id.clone(),
            provider: entry.provider.clone(),
            auth_type: entry.auth_type.clone(),
            client_id: entry.effective_field("client_id").map(|client_id| mask(client_id.expose())),
            expires_at: entry.expires_at,
            registered_at: entry.registered_at,
            status: entry.status,
            scopes: entry.fields.field("scope").map(|scope| words(scope.expose())).unwrap_or_default(),
            captured: entry.captured.clone(),
        }
    }
}

/// What log-ins by an app are to be good for, where the one who registered it said so.
const WANTED_SCOPES: &str = "wanted_scopes";

impl Entry {
    /// What people are asked for by this app; nothing where that is what is usual.
    pub fn wanted_scopes(&self) -> Vec<String> {
        self.fields.field(WANTED_SCOPES).map(|scopes| words(scopes.expose())).unwrap_or_default()
    }

    /// Has people asked for `scopes`.
    pub(crate) fn want_scopes(&mut self, scopes: &[String]) {
        if !scopes.is_empty() {
            self.fields.set(WANTED_SCOPES, Secret::new(scopes.join(" ")));
        }
    }
}

/// RFC 6749 §3.3, and commas; nothing that steers a terminal.
fn words(scope: &str) -> Vec<String> {
    let word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    scope.split([' ', ',']).filter(word).map(str::to_owned).collect()
}

/// The first four characters, of what has more than four.
fn mask(text: &str) -> String {
    let shown: String = if text.chars().count() > 4 { text.chars().take(4).collect() } else { String::new() };
    shown + "****"
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn i1_a_masked_text_shows_four_characters_of_longer_ones() {
        for (text, masked) in
            [("ghXX1234", "ghXX****"), ("abcde", "abcd****"), ("abcd", "****"), ("é", "****"), ("éééééé", "éééé****")]
        {
            assert_eq!(mask(text), masked);
        }
    }
}
