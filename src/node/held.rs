//! `Held`: the copies of a gateway's connections, before this machine's own vault, as the broker sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::door::Door;
use super::pulse::Pulse;
use super::served::{self, State};
use super::settings::Settings;
use crate::agent::AppPlaceholders;
use crate::broker::{Away, Home, Listed, Owner, Seen, Vault};
use crate::model::{ConnectionId, ProviderId};
use crate::oauth::Cause;
use crate::vault::{CaptureError, Entry, PendingBound, Snapshot, Store};

/// Copies that are held at most: many times what a gateway is good for.
const MOST: usize = 100_000;

/// How the last attempt to reach the gateway went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    Waiting,
    Heard,
    Failed,
}

/// The copies of a gateway's connections, and this machine's own vault for what the gateway never served.
pub(crate) struct Held {
    pub(super) settings: Settings,
    pub(super) door: Door,
    pub(super) pulse: Pulse,
    pub(super) first: watch::Sender<First>,
    pub(super) apps: Arc<AppPlaceholders>,
    local: Home,
    store: Arc<Store>,
    copies: Mutex<Copies>,
    /// Rises with every change of the copies, under their lock.
    number: AtomicU64,
    view: ArcSwap<View>,
    /// Told when there is something to write down.
    changed: Notify,
    /// Told when the copies have changed.
    moved: Notify,
}

/// What the gateway told.
#[derive(Default)]
pub(super) struct Copies {
    /// Rises with every view that was made.
    views: u64,
    pub(super) entries: BTreeMap<ConnectionId, Arc<Entry>>,
    served: BTreeSet<ConnectionId>,
    /// Whether it has told all that there is, since we run.
    synced: bool,
    /// Whether it has said that it lends this node nothing, and nothing since.
    denied: bool,
    /// Why the gateway is not heard; `None` while it is.
    why: Option<String>,
    /// When those were used last, as the gateway has been told.
    pub(super) reported: BTreeMap<ConnectionId, u64>,
    /// This machine's own connections that somebody was warned of.
    warned: Vec<ConnectionId>,
}

/// Copies and own connections together, as requests see them.
#[derive(Default)]
struct View {
    number: u64,
    local: u64,
    lapsed: bool,
    synced: bool,
    all: Arc<Snapshot>,
}

impl Held {
    /// Nothing is held yet. `local` is this machine's vault, `store` the same one; `apps` learns the gateway's placeholders.
    pub(crate) fn new(settings: Settings, door: Door, (local, store): (Home, Arc<Store>), apps: Arc<AppPlaceholders>) -> Self {
        let known = served::read_state(&settings.file).unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "what the gateway served is not remembered");
            None
        });
        let served = known.map(|state| state.ids()).unwrap_or_default();
        let copies = Mutex::new(Copies { served, ..Copies::default() });
        let (pulse, view) = (Pulse::new(settings.grace), ArcSwap::default());
        let (first, changed, moved) = (watch::Sender::new(First::Waiting), Notify::new(), Notify::new());
        // Another number than that of the empty view.
        Self { settings, door, pulse, first, apps, local, store, copies, number: AtomicU64::new(1), view, changed, moved }
    }

    /// Where the gateway is, if it is on this machine by any name.
    pub(crate) fn loopback(&self) -> Vec<SocketAddr> {
        self.settings.url.loopback()
    }

    /// Waits until the gateway has told all that there is, or could not be reached, for at most `limit`.
    pub(crate) async fn begun(&self, limit: Duration) {
        let mut first = self.first.subscribe();
        let heard = tokio::time::timeout(limit, first.wait_for(|first| *first != First::Waiting)).await;
        if heard.is_err() {
            tracing::warn!(gateway = %self.settings.url, "the gateway has not told its connections in time; going on without");
        }
    }

    /// All connections as they are now, copies and own ones.
    ///
    /// # Errors
    /// When this machine's vault can't be read.
    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, crate::vault::Error> {
        Ok(Arc::clone(&self.view()?.all))
    }

    /// Puts `entries` in the place of all copies.
    pub(super) fn replace(&self, entries: BTreeMap<ConnectionId, Arc<Entry>>) {
        let mut copies = self.copies();
        let keep = |(id, entry): (ConnectionId, Arc<Entry>)| {
            let same = copies.entries.get(&id).filter(|known| known.same_as(&entry)).cloned();
            (id, same.unwrap_or(entry))
        };
        copies.entries = entries.into_iter().map(keep).collect();
        (copies.synced, copies.denied, copies.why) = (true, false, None);
        self.rise();
        let lent = copies.entries.iter().filter(|(_, entry)| !entry.is_app_alone()).map(|(id, _)| id);
        let new = lent.filter(|id| !copies.served.contains(*id)).cloned();
        let new: Vec<ConnectionId> = new.take(MOST.saturating_sub(copies.served.len())).collect();
        copies.served.extend(new);
        self.changed.notify_one();
    }

    /// Takes over one copy.
    pub(super) fn put(&self, id: ConnectionId, entry: Arc<Entry>) {
        let mut copies = self.copies();
        let known = copies.entries.get(&id);
        if known.is_some_and(|known| known.same_as(&entry)) || (known.is_none() && copies.entries.len() >= MOST) {
            return;
        }
        if copies.served.len() < MOST && !entry.is_app_alone() && copies.served.insert(id.clone()) {
            self.changed.notify_one();
        }
        copies.entries.insert(id, entry);
        self.rise();
    }

    /// Drops one copy.
    pub(super) fn remove(&self, id: &ConnectionId) {
        let mut copies = self.copies();
        copies.entries.remove(id);
        self.rise();
    }

    /// Drops all copies: the gateway has said that they are not for this node. The grace is for a gateway that says nothing.
    pub(super) fn denied(&self) {
        self.apps.lend(None);
        let mut copies = self.copies();
        copies.entries.clear();
        (copies.synced, copies.denied) = (false, true);
        self.rise();
    }

    /// Says that the copies have changed; only while their lock is held.
    fn rise(&self) {
        self.number.fetch_add(1, Ordering::Release);
        self.moved.notify_one();
    }

    /// Waits until the copies have changed since this was asked last.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Waits until the link is up.
    pub(crate) async fn linked(&self) {
        drop(self.first.subscribe().wait_for(|first| *first == First::Heard).await);
    }

    /// Tells whenever the link has come up or gone down.
    pub(crate) fn links(&self) -> watch::Receiver<First> {
        self.first.subscribe()
    }

    /// The link is down.
    pub(super) fn lost(&self, why: String) {
        self.pulse.stop();
        self.copies().why = Some(why);
        self.first.send_replace(First::Failed);
        self.changed.notify_one();
    }

    /// Writes down what outlives this process, and how the link stands, whenever either changes.
    pub(crate) async fn keep_notes(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            let held = Arc::clone(&self);
            let written = tokio::task::spawn_blocking(move || served::write(&held.settings.file, &held.state())).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "how the link to the gateway stands is not written down"
                );
            }
        }
    }

    fn state(&self) -> State {
        let copies = self.copies();
        let lent = copies.entries.iter().filter(|(_, entry)| !entry.is_app_alone());
        let lent: BTreeSet<String> = lent.map(|(id, _)| id.to_string()).collect();
        State {
            gateway: self.settings.url.to_string(),
            connected: copies.why.is_none(),
            heard_at: self.pulse.heard_at(),
            why: copies.why.clone(),
            denied: copies.denied,
            grace_secs: self.settings.grace.as_secs(),
            connections: lent.len(),
            lent,
            served: copies.served.iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn copies(&self) -> MutexGuard<'_, Copies> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Made anew where something has changed; else one `stat` of the own vault.
    fn view(&self) -> Result<Arc<View>, crate::vault::Error> {
        let local = self.store.snapshot()?;
        let lapsed = self.pulse.has_lapsed();
        let view = self.view.load_full();
        if (view.number, view.local, view.lapsed) == (self.number.load(Ordering::Acquire), local.generation(), lapsed) {
            return Ok(view);
        }
        Ok(self.look_again(&local, lapsed))
    }

    fn look_again(&self, local: &Snapshot, lapsed: bool) -> Arc<View> {
        let mut copies = self.copies();
        copies.views += 1;
        let all = beside(&copies.entries, local, |id| copies.served.contains(id));
        let mine = all.iter().filter(|(_, entry)| entry.lent.is_none()).map(|(id, _)| id.clone()).collect();
        let all = Arc::new(Snapshot::gathered(copies.views, all));
        let number = self.number.load(Ordering::Acquire);
        let view = Arc::new(View { number, local: local.generation(), lapsed, synced: copies.synced, all });
        copies.warn(mine);
        self.view.store(Arc::clone(&view));
        view
    }

    fn away(&self) -> Cause {
        Arc::new(Away { gateway: self.settings.url.authority.to_string() })
    }
}

/// What a gateway lends, and of `local` what it never `served`; an app that nobody has logged in by takes no credential's place.
fn beside(
    lent: &BTreeMap<ConnectionId, Arc<Entry>>,
    local: &Snapshot,
    served: impl Fn(&ConnectionId) -> bool,
) -> BTreeMap<ConnectionId, Arc<Entry>> {
    let mut all = lent.clone();
    for (id, entry) in local.iter().filter(|(id, _)| !served(id)) {
        if lent.get(id).is_none_or(|copy| copy.is_app_alone()) {
            all.insert(id.clone(), Arc::clone(entry));
        }
    }
    all
}

impl Copies {
    /// Says once which connections are not the gateway's.
    fn warn(&mut self, mine: Vec<ConnectionId>) {
        if mine != self.warned && self.synced {
            let names: Vec<&str> = mine.iter().map(ConnectionId::as_str).take(20).collect();
            if !names.is_empty() {
                tracing::warn!(
                    connections = names.join(", "),
                    "the gateway has never served these: they are taken from this machine's vault"
                );
            }
            self.warned = mine;
        }
    }
}

impl Vault for Held {
    fn entry(&self, id: &ConnectionId) -> Result<Seen, Cause> {
        let view = self.view().map_err(|error| -> Cause { Arc::new(error) })?;
        let entry = view.all.get(id).cloned();
        match &entry {
            Some(copy) if copy.lent.is_some() && view.lapsed => Err(self.away()),
            None if !view.synced => Err(self.away()),
            _ => Ok(Seen { version: view.all.generation(), entry }),
        }
    }

    fn connections(&self, provider: &ProviderId) -> Result<Listed, Cause> {
        let view = self.view().map_err(|error| -> Cause { Arc::new(error) })?;
        let (ids, own) = view.all.all_of(provider);
        if ids.is_empty() && own.is_empty() && !view.synced {
            // Whether the gateway has one is not known.
            return Err(self.away());
        }
        Ok(Listed { version: view.all.generation(), ids, own, moment: Arc::clone(&view.all) as _ })
    }

    /// Only this machine's own are changed here.
    fn update(&self, id: &ConnectionId, change: &mut dyn FnMut(&mut Entry)) -> Result<Seen, Cause> {
        self.local.update(id, change)?;
        self.entry(id)
    }

    /// An agent's own log-in stays on the machine where the agent is known.
    fn capture(&self, entry: Entry, now: SystemTime, bound: PendingBound) -> Result<ConnectionId, CaptureError> {
        self.local.capture(entry, now, bound)
    }

    fn lock(&self, id: &ConnectionId, wait: Duration) -> Result<Box<dyn Send>, Cause> {
        self.local.lock(id, wait)
    }

    fn owner(&self) -> Option<&dyn Owner> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Credential, Secret};
    use crate::vault::{AuthType, Lent, LentRenewal};

    fn entry(field: &str, lent: bool) -> Arc<Entry> {
        let mut fields = Credential::default();
        fields.set(field, Secret::new("a value".to_owned()));
        let mut entry = Entry::new("acme".parse().unwrap(), AuthType::OAuth2, fields);
        entry.app = field == "client_id";
        entry.lent = lent.then(|| Lent { version: "1".into(), renewal: LentRenewal::None, client: true });
        Arc::new(entry)
    }

    #[test]
    fn an_app_of_the_gateway_takes_no_place_of_a_credential_here_and_a_credential_does() {
        let id: ConnectionId = "acme".parse().unwrap();
        let local = Snapshot::gathered(1, [(id.clone(), entry("access_token", false))].into());
        for (field, served, ours) in [("client_id", false, true), ("client_id", true, false), ("access_token", false, false)] {
            let lent = [(id.clone(), entry(field, true))].into();
            let all = beside(&lent, &local, |_id| served);
            assert_eq!(all.get(&id).is_some_and(|entry| entry.lent.is_none()), ours, "{field} {served}");
        }
    }
}
