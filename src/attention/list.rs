//! `Attention`: the list of what needs a person, one item for each need however often it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, watch};

use super::alarm::Alarm;
use super::held::Held;
use super::item::{Item, QUIET, long_ago};
use super::need::{Need, Reason, Shown, Standing, State};
use super::nodes::Nodes;
use super::notice::{Delivery, Event, Fared, Notice};
use super::settings::Settings;
use crate::model::ConnectionId;

/// Items in all, and of one agent: one that asks for everything pushes out its own.
pub(super) const MOST: usize = 1024;
pub(super) const MOST_OF_AGENT: usize = 64;
/// Notices that wait to be sent.
const NOTICES: usize = 256;
/// How often the vault is looked at while requests are held, and while only items are open.
const LOOK_HELD: Duration = Duration::from_millis(50);
const LOOK_OPEN: Duration = Duration::from_secs(1);
/// How often settled items are looked through.
const LOOK_SETTLED: Duration = Duration::from_secs(60);

/// What needs a person.
#[derive(Debug)]
pub(crate) struct Attention {
    /// As they are now.
    pub(super) settings: ArcSwap<Settings>,
    items: Mutex<Vec<Item>>,
    /// The items of nodes, where this is their gateway.
    pub(super) nodes: Nodes,
    /// Something was put on the list, or is held.
    stirred: Notify,
    /// Rises when an item was put on the list, or has changed its state.
    news: watch::Sender<u64>,
    /// Rises when the vault has changed; held requests try again then.
    pub(super) changes: watch::Sender<u64>,
    pub(super) held: Held,
    notices: mpsc::Sender<Notice>,
    /// Those that were told of within a minute.
    alarms: Mutex<Vec<(Alarm, SystemTime)>>,
    /// How the notices fare.
    pub(crate) delivery: Delivery,
}

impl Attention {
    /// An empty list, and what it has to tell.
    pub(crate) fn new(settings: Settings) -> (Arc<Self>, mpsc::Receiver<Notice>) {
        let (notices, told) = mpsc::channel(NOTICES);
        let attention = Self {
            settings: ArcSwap::from_pointee(settings),
            items: Mutex::default(),
            nodes: Nodes::default(),
            stirred: Notify::new(),
            news: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            held: Held::default(),
            notices,
            alarms: Mutex::default(),
            delivery: Delivery::default(),
        };
        (Arc::new(attention), told)
    }

    /// Takes other bounds for what is held from now on. Whether somebody is told stays as it was at the start, where the way to them was made.
    pub(crate) fn bound(&self, mut settings: Settings) {
        settings.tells = self.settings.load().tells;
        self.settings.store(Arc::new(settings));
    }

    /// A request was refused for want of `need`; returns the id of the item, which is `request_id` where it is the first.
    pub(crate) fn note(&self, need: Need, request_id: &str, now: SystemTime) -> Arc<str> {
        let mut items = self.lock();
        if let Some(item) = items.iter_mut().find(|item| item.need.same_as(&need)) {
            (item.last_seen, item.count) = (now, item.count.saturating_add(1));
            self.open_again(item, need);
            self.tell_if_due(item, now);
            let id = Arc::clone(&item.id);
            self.end_advice(&mut items, &id, now);
            return id;
        }
        let crowded = make_room(&mut items, &need);
        let id: Arc<str> = request_id.into();
        let item = Item {
            id: Arc::clone(&id),
            node: None,
            need: Arc::new(need),
            state: State::Open,
            first_seen: now,
            last_seen: now,
            settled_at: None,
            count: 1,
            // Whoever asks for everything does not get to call everybody about it.
            told: (!crowded).then_some(now),
            owed: !crowded,
            reopened: 0,
        };
        if !crowded {
            self.tell(Event::Opened, &item, now);
        }
        items.push(item);
        self.end_advice(&mut items, &id, now);
        drop(items);
        self.stir();
        self.has_news();
        id
    }

    /// What blocks requests is said once: the advice about the same connection, given to the same agent, ends with it.
    fn end_advice(&self, items: &mut [Item], id: &str, now: SystemTime) {
        let Some(need) = items.iter().find(|item| &*item.id == id).map(|item| Arc::clone(&item.need)) else { return };
        if need.reason.is_advice() {
            return;
        }
        let same = |other: &Need| other.agent == need.agent && other.connection == need.connection && other.user == need.user;
        for item in items.iter_mut().filter(|item| item.is_open() && item.need.reason.is_advice() && same(&item.need)) {
            self.settle_one(item, State::Lapsed, now);
        }
    }

    /// A request that is held for want of `need` still is: what was settled was something else.
    pub(crate) fn still_needed(&self, need: &Need, now: SystemTime) {
        if let Some(item) = self.lock().iter_mut().find(|item| item.need.same_as(need)) {
            self.open_again(item, need.clone());
            self.tell_if_due(item, now);
        }
    }

    fn open_again(&self, item: &mut Item, need: Need) {
        if !item.is_open() {
            item.open_again(Arc::new(need));
            self.stir();
            self.has_news();
        } else if item.need.registered_at != need.registered_at {
            // Another credential was registered, and is no better.
            item.need = Arc::new(need);
        }
    }

    pub(super) fn tell_if_due(&self, item: &mut Item, now: SystemTime) {
        if item.is_due(now) {
            self.tell(Event::Opened, item, now);
        }
    }

    /// Whether a service refuses the credential that `connection` has since `registered_at`, as far as requests have met that: here, or at a
    /// node, which does not say which credential it had.
    pub(crate) fn is_refused(&self, connection: &ConnectionId, registered_at: Option<SystemTime>) -> bool {
        let about = |item: &Item| {
            let refused = matches!(item.need.reason, Reason::Refused | Reason::Attention);
            item.is_open() && refused && item.need.connection == *connection
        };
        let here = self.lock().iter().any(|item| about(item) && item.need.registered_at == registered_at);
        let since = |item: &Item| registered_at.is_none_or(|registered| item.first_seen > registered);
        here || self.nodes.lock().values().flatten().any(|heard| about(&heard.item) && since(&heard.item))
    }

    /// All needs of this proxy that are open, with the ids of their items.
    pub(crate) fn open(&self) -> Vec<(Arc<str>, Arc<Need>)> {
        let items = self.lock();
        let open = items.iter().filter(|item| item.is_open());
        open.map(|item| (Arc::clone(&item.id), Arc::clone(&item.need))).collect()
    }

    /// Takes in how the open needs stand at `now`, and forgets what was settled an hour ago. Requests that are held try again when one is.
    pub(crate) fn settle(&self, found: &[(Arc<str>, Standing)], now: SystemTime) {
        let found: HashMap<&str, Standing> = found.iter().map(|(id, standing)| (&**id, *standing)).collect();
        let mut items = self.lock();
        let mut settled = false;
        for item in items.iter_mut().filter(|item| item.is_open()) {
            let state = match found.get(&*item.id) {
                Some(Standing::Met) => State::Resolved,
                Some(Standing::Gone) => State::Lapsed,
                Some(Standing::Open) | None if long_ago(item.last_seen, now) => State::Lapsed,
                Some(Standing::Open) | None => continue,
            };
            self.settle_one(item, state, now);
            settled = true;
        }
        items.retain(|item| !item.is_over(now));
        drop(items);
        self.lapse_nodes(now);
        if settled {
            self.vault_changed();
        }
    }

    /// Ends an item that is open. Its end is told once, and only to whoever was told of its beginning.
    pub(super) fn settle_one(&self, item: &mut Item, state: State, now: SystemTime) {
        item.settle(state, now);
        if std::mem::take(&mut item.owed) {
            self.tell(if state == State::Resolved { Event::Resolved } else { Event::Lapsed }, item, now);
        }
        self.has_news();
    }

    /// The item called `id`, and whose it is.
    pub(crate) fn find(&self, id: &str) -> Option<(Arc<Need>, Shown)> {
        let own = self.lock().iter().find(|item| &*item.id == id).map(|item| (Arc::clone(&item.need), item.shown()));
        own.or_else(|| self.nodes.find(id))
    }

    /// All items with the connections that they are about, those of nodes too: what is open first, then what was asked for last.
    pub(crate) fn all(&self) -> Vec<(ConnectionId, Shown)> {
        let mut all = self.own();
        all.extend(self.nodes.all());
        all.sort_by_key(|item| std::cmp::Reverse(item.rank()));
        all.into_iter().map(|item| (item.need.connection.clone(), item.shown())).collect()
    }

    /// Takes in items of an earlier process, where there is no other for the same need.
    pub(super) fn take_up_own(&self, earlier: Vec<Item>) {
        let mut items = self.lock();
        for item in earlier {
            if items.len() < MOST && !items.iter().any(|known| known.id == item.id || known.need.same_as(&item.need)) {
                items.push(item);
            }
        }
    }

    /// Whether this proxy has any.
    pub(crate) fn has_items(&self) -> bool {
        !self.lock().is_empty()
    }

    /// The items of this proxy.
    pub(super) fn own(&self) -> Vec<Item> {
        self.lock().clone()
    }

    /// How the notices have fared; `None` where nobody takes them.
    pub(crate) fn fared(&self) -> Option<Fared> {
        self.settings.load().tells.then(|| self.delivery.fared())
    }

    /// How long the vault need not be looked at; `None` = until something is put on the list.
    pub(crate) fn pause(&self) -> Option<Duration> {
        if self.held.count() > 0 {
            return Some(LOOK_HELD);
        }
        let items = self.lock();
        let (open, empty) = (items.iter().any(Item::is_open), items.is_empty());
        drop(items);
        let theirs = self.nodes.any_open();
        if open || theirs == Some(true) {
            return Some(LOOK_OPEN);
        }
        (!empty || theirs.is_some()).then_some(LOOK_SETTLED)
    }

    /// Tells whenever an item was put on the list, or has changed its state.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(super) fn has_news(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits until something is put on the list or held.
    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    pub(super) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// The vault has changed: whoever is held tries again.
    pub(crate) fn vault_changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Tells of `alarm` at once, unless the same was told of a minute ago; a program that tries again and again calls nobody twice.
    pub(crate) fn alarm(&self, alarm: &Alarm, now: SystemTime) {
        if !self.settings.load().tells {
            return;
        }
        let mut told = self.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(_, then)| now.duration_since(*then).is_ok_and(|ago| ago < QUIET));
        if told.len() >= MOST_OF_AGENT || told.iter().any(|(other, _)| other.same_as(alarm)) {
            return;
        }
        told.push((alarm.clone(), now));
        drop(told);
        if self.notices.try_send(alarm.notice(now)).is_err() {
            self.delivery.dropped();
        }
    }

    pub(super) fn tell(&self, event: Event, item: &Item, now: SystemTime) {
        self.tell_of(|| Notice::new(event, &item.shown(), now));
    }

    /// Tells the webhook, where there is one.
    pub(crate) fn tell_of(&self, notice: impl FnOnce() -> Notice) {
        if self.settings.load().tells && self.notices.try_send(notice()).is_err() {
            self.delivery.dropped();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out what must go for one more item of `need`'s agent, and says whether that agent had as many as it may.
fn make_room(items: &mut Vec<Item>, need: &Need) -> bool {
    let mut of_agents: HashMap<&str, usize> = HashMap::new();
    for item in &*items {
        *of_agents.entry(item.need.agent.as_str()).or_default() += 1;
    }
    let crowded = of_agents.get(need.agent.as_str()).is_some_and(|count| *count >= MOST_OF_AGENT);
    if !crowded && items.len() < MOST {
        return false;
    }
    let greediest = of_agents.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned());
    let whose = if crowded { Some(need.agent.as_str()) } else { greediest.as_deref() };
    let theirs = items.iter().enumerate().filter(|(_, item)| Some(item.need.agent.as_str()) == whose);
    if let Some((at, _)) = theirs.min_by_key(|(_, item)| item.rank()) {
        items.remove(at);
    }
    crowded
}
