//! The vault of this machine, as the broker sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::port::{Listed, Moment, Seen, Vault};
use crate::disk::{Lock, create_private_dir};
use crate::model::{AgentName, ConnectionId, ProviderId};
use crate::oauth::Cause;
use crate::vault::{CaptureError, Entry, OwnConnections, PendingBound, Snapshot, Store};

/// The vault of this machine and the folder of its renewal locks.
pub(crate) struct Home {
    store: Arc<Store>,
    locks: PathBuf,
}

impl Home {
    /// `locks` is made when it is first needed; it holds one empty file per connection that was ever renewed.
    pub(crate) fn new(store: Arc<Store>, locks: PathBuf) -> Self {
        Self { store, locks }
    }
}

impl Vault for Home {
    fn entry(&self, id: &ConnectionId) -> Result<Seen, Cause> {
        let snapshot = self.store.snapshot().map_err(cause)?;
        Ok(Seen { version: snapshot.generation(), entry: snapshot.get(id).cloned() })
    }

    fn connections(&self, provider: &ProviderId) -> Result<Listed, Cause> {
        let snapshot = self.store.glance().map_err(cause)?;
        let (ids, own) = snapshot.all_of(provider);
        Ok(Listed { version: snapshot.generation(), ids, own, moment: snapshot })
    }

    fn update(&self, id: &ConnectionId, change: &mut dyn FnMut(&mut Entry)) -> Result<Seen, Cause> {
        self.store.update(id, change).map_err(cause)?;
        self.entry(id)
    }

    fn capture(&self, entry: Entry, now: SystemTime, bound: PendingBound) -> Result<ConnectionId, CaptureError> {
        self.store.capture(entry, now, bound)
    }

    /// A lock file per connection: the vault's own lock is for the moment of a write, this one is held for a whole renewal.
    fn lock(&self, id: &ConnectionId, wait: Duration) -> Result<Box<dyn Send>, Cause> {
        create_private_dir(&self.locks).map_err(cause)?;
        Ok(Box::new(Lock::acquire_within(&self.locks.join(id.as_str()), wait).map_err(cause)?))
    }
}

impl Moment for Snapshot {
    fn connections(&self, provider: &ProviderId) -> Arc<[ConnectionId]> {
        self.of_provider(provider)
    }

    fn own(&self, provider: &ProviderId) -> OwnConnections {
        self.all_of(provider).1
    }

    fn waiting(&self, agent: &AgentName, now: SystemTime) -> usize {
        self.waiting_of(agent, now)
    }

    fn entry(&self, id: &ConnectionId) -> Option<&Arc<Entry>> {
        self.get(id)
    }
}

fn cause(error: impl std::error::Error + Send + Sync + 'static) -> Cause {
    Arc::new(error)
}
