//! `AppPlaceholders`: those that gateways give to apps, as the proxies know them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::placeholder::PlaceholderKey;
use crate::model::{AgentName, ConnectionId};

/// The placeholders that this home's gateway gives to apps, and those of the gateway that this proxy is a node of.
#[derive(Debug)]
pub(crate) struct AppPlaceholders {
    own: PlaceholderKey,
    lent: ArcSwapOption<PlaceholderKey>,
    /// Rises with every change of what is lent.
    changes: AtomicU64,
}

impl AppPlaceholders {
    /// With the key of this home, which is no agent's, so that a node that has it knows no placeholder of an agent elsewhere.
    pub(crate) fn new(own: PlaceholderKey) -> Self {
        Self { own, lent: ArcSwapOption::empty(), changes: AtomicU64::new(0) }
    }

    /// The key of this home, for its nodes.
    pub(crate) fn own(&self) -> &PlaceholderKey {
        &self.own
    }

    /// Takes over the key of the gateway, or drops the last one. It is kept in memory only.
    pub(crate) fn lend(&self, key: Option<PlaceholderKey>) {
        let same = self.lent.load().as_ref().map(|known| known.written()) == key.as_ref().map(PlaceholderKey::written);
        if !same {
            self.lent.store(key.map(Arc::new));
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Differs once other placeholders are known.
    pub(crate) fn generation(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What the app called `app` has for `connection`.
    pub(crate) fn tails(&self, app: &AgentName, connection: &ConnectionId) -> impl Iterator<Item = String> {
        self.each(|key| key.tail_of_app(app, connection))
    }

    /// With what that begins for every app.
    pub(crate) fn heads(&self, connection: &ConnectionId) -> impl Iterator<Item = String> {
        self.each(|key| key.head_of_apps(connection))
    }

    /// Whether `tail` is of a placeholder of any app's; see [`PlaceholderKey::made`].
    pub(crate) fn made(&self, tail: &[u8]) -> bool {
        self.each(|key| key.made(tail)).any(|made| made)
    }

    fn each<T>(&self, of: impl Fn(&PlaceholderKey) -> T) -> impl Iterator<Item = T> {
        let lent = self.lent.load().as_ref().map(|key| of(key));
        std::iter::once(of(&self.own)).chain(lent)
    }
}
