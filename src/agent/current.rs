//! `Agents`: the registry in force, and word of its changes, for streams that outlive the request that opened them.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::registry::Registry;

/// The registry in force.
#[derive(Debug)]
pub(crate) struct Agents {
    current: ArcSwap<Registry>,
    changed: watch::Sender<()>,
}

impl Agents {
    /// With `registry` in force.
    pub(crate) fn new(registry: Registry) -> Self {
        Self { current: ArcSwap::from_pointee(registry), changed: watch::Sender::new(()) }
    }

    /// The registry as it is now.
    pub(crate) fn load(&self) -> Guard<Arc<Registry>> {
        self.current.load()
    }

    /// As [`Agents::load`], to be kept.
    pub(crate) fn load_full(&self) -> Arc<Registry> {
        self.current.load_full()
    }

    /// Puts `registry` in force, and says so.
    pub(crate) fn store(&self, registry: Arc<Registry>) {
        self.current.store(registry);
        self.changed.send_replace(());
    }

    /// Whether the time of any of them will be up.
    pub(crate) fn any_ends(&self) -> bool {
        self.current.load().any_ends()
    }

    /// Hears of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
