//! `Told`: what one node has been told, and what is left to tell it.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::lender::{Lender, is_for_nodes};
use super::line::{write_gone, write_put, write_synced};
use crate::model::{ConnectionId, ProviderId};
use crate::provider::Provider;
use crate::vault::{Entry, Snapshot};

/// The provider of a name, as its file is now.
pub(crate) type Providers<'a> = &'a dyn Fn(&ProviderId) -> Option<Arc<Provider>>;

/// What one node has been told. There is no queue: a node that reads slowly hears of the newest state only.
#[derive(Default)]
pub(crate) struct Told {
    /// The copies were made from these.
    sent: BTreeMap<ConnectionId, (Arc<Entry>, Arc<Provider>)>,
    synced: bool,
}

impl Told {
    /// The connections of which the node must hear, as `vault` is now.
    pub(crate) fn due(&self, vault: &Snapshot, providers: Providers<'_>) -> Vec<ConnectionId> {
        let gone = self.sent.keys().filter(|id| vault.get(id).is_none());
        let changed = vault.iter().filter(|(id, entry)| {
            let told = self.sent.get(id);
            let same = |(known, provider): &(Arc<Entry>, Arc<Provider>)| {
                Arc::ptr_eq(known, entry) && providers(id.provider()).is_some_and(|now| Arc::ptr_eq(&now, provider))
            };
            // What has not been told of and is not for nodes stays so.
            told.map_or_else(|| is_for_nodes(entry) && providers(id.provider()).is_some(), |told| !same(told))
        });
        gone.chain(changed.map(|(id, _)| id)).cloned().collect()
    }

    /// The line about `id`; `None` where there is nothing to say after all.
    pub(crate) fn tell(
        &mut self,
        id: &ConnectionId,
        vault: &Snapshot,
        providers: Providers<'_>,
        lender: &Lender,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let now = vault.get(id).zip(providers(id.provider()));
        let copy = now.and_then(|(entry, provider)| Some((lender.lend(&provider, entry)?, (Arc::clone(entry), provider))));
        match copy {
            Some((copy, made_of)) => {
                self.sent.insert(id.clone(), made_of);
                Some(write_put(id, &copy))
            }
            None => self.sent.remove(id).map(|_told| write_gone(id)),
        }
    }

    /// The line that ends the first round; `None` in all others.
    pub(crate) fn synced(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        (!std::mem::replace(&mut self.synced, true)).then(write_synced)
    }
}
