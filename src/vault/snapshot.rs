//! `Snapshot`: the vault as it was at one moment.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::document::Document;
use super::entry::Entry;
use super::error::Error;
use super::json::NotUnderstood;
use crate::model::{ConnectionId, Map, ProviderId};

/// All connections as they stood in the file at one moment.
///
/// An entry that is the same in two snapshots that follow each other is the same [`Arc`].
#[derive(Debug, Default)]
pub struct Snapshot {
    generation: u64,
    entries: BTreeMap<ConnectionId, Arc<Entry>>,
    by_provider: Map<ProviderId, Arc<[ConnectionId]>>,
    by_host: Map<Box<str>, Vec<ProviderId>>,
    strangers: Vec<Stranger>,
    rolled_back: bool,
}

/// A member of the vault that is kept, but can't be used.
#[derive(Debug)]
pub struct Stranger {
    /// Its name in the file.
    pub key: String,
    /// What is wrong with it.
    pub cause: NotUnderstood,
}

impl Snapshot {
    /// What `document` says, with the unchanged entries of `previous`.
    pub(super) fn of(document: &Document<'_>, generation: u64, rolled_back: bool, previous: Option<&Self>) -> Self {
        let mut snapshot = Self { generation, rolled_back, ..Self::default() };
        let mut exact = Vec::new();
        for (key, entry) in document.entries() {
            match entry {
                Ok((id, entry)) if id.as_str() == key => exact.push((id, entry)),
                Ok((id, entry)) => snapshot.insert(id, entry, previous),
                Err(cause) => snapshot.strangers.push(Stranger { key: key.to_owned(), cause }),
            }
        }
        // Last, so that an id's own spelling wins over others that fold to it.
        for (id, entry) in exact {
            snapshot.insert(id, entry, previous);
        }
        let mut grouped: HashMap<ProviderId, Vec<ConnectionId>> = HashMap::new();
        for id in snapshot.entries.keys() {
            grouped.entry(id.provider().clone()).or_default().push(id.clone());
        }
        for (id, entry) in &snapshot.entries {
            for host in &entry.hosts {
                let providers = snapshot.by_host.entry(host.as_str().into()).or_default();
                if !providers.contains(id.provider()) {
                    providers.push(id.provider().clone());
                }
            }
        }
        snapshot.by_provider = grouped.into_iter().map(|(provider, ids)| (provider, ids.into())).collect();
        snapshot
    }

    fn insert(&mut self, id: ConnectionId, entry: Entry, previous: Option<&Self>) {
        let unchanged = previous.and_then(|previous| previous.get(&id)).filter(|before| before.same_as(&entry));
        let entry = unchanged.map_or_else(|| Arc::new(entry), Arc::clone);
        self.entries.insert(id, entry);
    }

    /// A number that no other content read by this store has.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The entry of a connection.
    pub fn get(&self, id: &ConnectionId) -> Option<&Arc<Entry>> {
        self.entries.get(id)
    }

    /// The connections of `provider`, the default one first.
    pub fn of_provider(&self, provider: &ProviderId) -> Arc<[ConnectionId]> {
        self.by_provider.get(provider).map_or_else(Arc::default, Arc::clone)
    }

    /// The providers of connections that `host` was sealed with, as it is written there.
    pub fn sealed_with(&self, host: &str) -> &[ProviderId] {
        self.by_host.get(host).map(Vec::as_slice).unwrap_or_default()
    }

    /// All connections, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&ConnectionId, &Arc<Entry>)> {
        self.entries.iter()
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Members that are kept, but can't be used.
    pub fn strangers(&self) -> &[Stranger] {
        &self.strangers
    }

    /// Whether the file is one that had already been replaced: somebody put an old one back, or took it away.
    ///
    /// A warning, not a failure: it may be a backup that a person restored. The next write through a store ends it.
    pub fn rolled_back(&self) -> bool {
        self.rolled_back
    }
}

/// For the fuzz targets: what the opened text `plain` says, and the text with every entry written anew that a store would write.
pub(crate) fn written_anew(plain: &[u8]) -> Result<(Snapshot, Zeroizing<Vec<u8>>), Error> {
    let mut document = Document::parse(Path::new("nexus.enc"), plain)?;
    let snapshot = Snapshot::of(&document, 1, false, None);
    for (id, entry) in snapshot.iter() {
        // Another spelling may be read where the own one is not understood; a store refuses to write there.
        if matches!(document.entry(id), Some(Ok(_))) {
            document.set(id, entry);
        }
    }
    let text = document.render()?;
    Ok((snapshot, text))
}
