//! `Snapshot`: the vault as it was at one moment.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::document::Document;
use super::entry::{Entry, Status};
use super::error::Error;
use super::json::NotUnderstood;
use crate::model::{AgentName, ConnectionId, GatewayId, Map, ProviderId, UserName};

/// All connections as they stood in the file at one moment.
///
/// An entry that is the same in two snapshots that follow each other is the same [`Arc`].
#[derive(Debug, Default)]
pub struct Snapshot {
    generation: u64,
    entries: BTreeMap<ConnectionId, Arc<Entry>>,
    by_provider: Map<ProviderId, (Arc<[ConnectionId]>, OwnConnections)>,
    by_host: Map<Box<str>, Vec<ProviderId>>,
    by_gateway_id: Map<GatewayId, ConnectionId>,
    strangers: Vec<Stranger>,
    rolled_back: bool,
}

/// A connection that an agent obtained by its own log-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnConnection {
    /// Its handle.
    pub id: ConnectionId,
    /// Whose it is.
    pub agent: AgentName,
    /// For whom that agent acts.
    pub user: Option<UserName>,
    /// When it was obtained; see [`Captured::since`](super::Captured::since).
    pub since: Option<SystemTime>,
    /// Nobody has approved it yet, so nobody uses it.
    pub pending: bool,
}

/// Those of one provider; nearly always there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnConnections(Option<Arc<[OwnConnection]>>);

impl std::ops::Deref for OwnConnections {
    type Target = [OwnConnection];
    fn deref(&self) -> &[OwnConnection] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl FromIterator<OwnConnection> for OwnConnections {
    fn from_iter<I: IntoIterator<Item = OwnConnection>>(all: I) -> Self {
        let mut all = all.into_iter().peekable();
        Self(all.peek().is_some().then(|| all.collect()))
    }
}

impl OwnConnection {
    fn of(id: &ConnectionId, entry: &Entry) -> Option<Self> {
        let captured = entry.captured.as_ref()?;
        let (agent, user, since) = (captured.agent.clone(), captured.user.clone(), captured.since);
        Some(Self { id: id.clone(), agent, user, since, pending: entry.status == Status::Pending })
    }
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
        snapshot.indexed()
    }

    /// These connections, from wherever they are.
    pub(crate) fn gathered(generation: u64, entries: BTreeMap<ConnectionId, Arc<Entry>>) -> Self {
        Self { generation, entries, ..Self::default() }.indexed()
    }

    fn indexed(mut self) -> Self {
        let snapshot = &mut self;
        let mut grouped: HashMap<ProviderId, (Vec<ConnectionId>, Vec<OwnConnection>)> = HashMap::new();
        for (id, entry) in &snapshot.entries {
            let (open, own) = grouped.entry(id.provider().clone()).or_default();
            open.extend(entry.is_open().then(|| id.clone()));
            own.extend(OwnConnection::of(id, entry));
        }
        for (id, entry) in snapshot.entries.iter().filter(|(_, entry)| entry.status != Status::Pending) {
            for host in &entry.hosts {
                let providers = snapshot.by_host.entry(host.as_str().into()).or_default();
                if !providers.contains(id.provider()) {
                    providers.push(id.provider().clone());
                }
            }
        }
        let handles =
            snapshot.entries.iter().flat_map(|(id, entry)| entry.gateway_ids.iter().map(|own| (own.clone(), id.clone())));
        snapshot.by_gateway_id = handles.collect();
        let shared = |(provider, (open, own)): (_, (Vec<_>, Vec<_>))| (provider, (open.into(), own.into_iter().collect()));
        snapshot.by_provider = grouped.into_iter().map(shared).collect();
        self
    }

    fn insert(&mut self, id: ConnectionId, entry: Entry, previous: Option<&Self>) {
        let unchanged = previous.and_then(|previous| previous.get(&id)).filter(|before| before.same_as(&entry));
        let entry = unchanged.map_or_else(|| Arc::new(entry), Arc::clone);
        self.entries.insert(id, entry);
    }

    /// The connection that `id` means, its person by name or by number; `id` itself where there is none.
    pub fn meant(&self, id: &ConnectionId) -> ConnectionId {
        let exact = self.entries.contains_key(id).then(|| id.clone());
        exact.or_else(|| id.found_in(&self.entries.keys().cloned().collect::<Vec<_>>()).cloned()).unwrap_or_else(|| id.clone())
    }

    /// A number that no other content read by this store has.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The entry of a connection.
    pub fn get(&self, id: &ConnectionId) -> Option<&Arc<Entry>> {
        self.entries.get(id)
    }

    /// The connection that the gateway once called `handle`.
    pub fn by_gateway_id(&self, handle: &GatewayId) -> Option<&ConnectionId> {
        self.by_gateway_id.get(handle)
    }

    /// The connections of `provider`, the default one first, without those that are one agent's own or wait for approval.
    pub fn of_provider(&self, provider: &ProviderId) -> Arc<[ConnectionId]> {
        self.all_of(provider).0
    }

    /// As [`Snapshot::of_provider`], and beside them those that agents obtained by log-ins of their own.
    pub fn all_of(&self, provider: &ProviderId) -> (Arc<[ConnectionId]>, OwnConnections) {
        self.by_provider.get(provider).cloned().unwrap_or_default()
    }

    /// How many log-ins of `agent` wait for approval at `now`.
    pub fn waiting_of(&self, agent: &AgentName, now: SystemTime) -> usize {
        self.entries.values().filter(|entry| entry.waits_for(agent) && !entry.has_lapsed(now)).count()
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
