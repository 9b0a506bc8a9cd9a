//! `Attention`: the list of what needs a person, one item for each need however often it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, watch};

use super::held::Held;
use super::need::{Need, Shown, Standing, State, stamp};
use super::notice::{Delivery, Event, Fared, Notice};
use super::settings::Settings;
use crate::model::ConnectionId;

/// Items in all, and of one agent: one that asks for everything pushes out its own.
pub(super) const MOST: usize = 1024;
pub(super) const MOST_OF_AGENT: usize = 64;
/// How long an item that nobody asks for stays open, and how long one that is settled can be asked about.
const LAPSE: Duration = Duration::from_secs(60 * 60);
/// An item that is opened again sooner is not told of again.
const QUIET: Duration = Duration::from_secs(60);
/// Notices that wait to be sent.
const NOTICES: usize = 256;
/// How often the vault is looked at while requests are held, and while only items are open.
const LOOK_HELD: Duration = Duration::from_millis(50);
const LOOK_OPEN: Duration = Duration::from_secs(1);
/// How often settled items are looked through.
const LOOK_SETTLED: Duration = Duration::from_secs(60);

/// One need, and how often and when it was asked for.
#[derive(Debug)]
struct Item {
    id: Arc<str>,
    need: Arc<Need>,
    state: State,
    first_seen: SystemTime,
    last_seen: SystemTime,
    settled_at: Option<SystemTime>,
    count: u64,
    /// When it was told of; `None` = not at all.
    told: Option<SystemTime>,
}

impl Item {
    fn shown(&self) -> Shown {
        let need = &*self.need;
        let lapses_at = (self.state == State::Open).then(|| stamp(self.last_seen + LAPSE));
        Shown {
            id: self.id.to_string(),
            status: self.state,
            category: "auth_required",
            urgency: "blocking",
            title: need.title.clone(),
            content: need.content.clone(),
            command: need.command.clone(),
            reason: need.reason.word(),
            provider: need.connection.provider().to_string(),
            connection: need.connection.to_string(),
            agent: need.agent.to_string(),
            user: need.user.as_ref().map(ToString::to_string),
            first_seen: stamp(self.first_seen),
            last_seen: stamp(self.last_seen),
            count: self.count,
            lapses_at,
        }
    }

    fn settle(&mut self, state: State, now: SystemTime) {
        (self.state, self.settled_at) = (state, Some(now));
    }

    /// Which goes first where there is no room: what is settled, then what nobody has asked for in the longest time.
    fn rank(&self) -> (bool, SystemTime) {
        (self.state == State::Open, self.last_seen)
    }
}

/// What needs a person. In memory only: after a restart the next refusal begins anew.
#[derive(Debug)]
pub(crate) struct Attention {
    pub(super) settings: Settings,
    items: Mutex<Vec<Item>>,
    /// Something was put on the list, or is held.
    stirred: Notify,
    /// Rises when the vault has changed; held requests try again then.
    pub(super) changes: watch::Sender<u64>,
    pub(super) held: Held,
    notices: mpsc::Sender<Notice>,
    /// How the notices fare.
    pub(crate) delivery: Delivery,
}

impl Attention {
    /// An empty list, and what it has to tell.
    pub(crate) fn new(settings: Settings) -> (Arc<Self>, mpsc::Receiver<Notice>) {
        let (notices, told) = mpsc::channel(NOTICES);
        let attention = Self {
            settings,
            items: Mutex::default(),
            stirred: Notify::new(),
            changes: watch::Sender::new(0),
            held: Held::default(),
            notices,
            delivery: Delivery::default(),
        };
        (Arc::new(attention), told)
    }

    /// A request was refused for want of `need`; returns the id of the item, which is `request_id` where it is the first.
    pub(crate) fn note(&self, need: Need, request_id: &str, now: SystemTime) -> Arc<str> {
        let mut items = self.lock();
        if let Some(item) = items.iter_mut().find(|item| item.need.same_as(&need)) {
            (item.last_seen, item.count) = (now, item.count.saturating_add(1));
            self.open_again(item, need, now);
            return Arc::clone(&item.id);
        }
        let crowded = make_room(&mut items, &need);
        let id: Arc<str> = request_id.into();
        let item = Item {
            id: Arc::clone(&id),
            need: Arc::new(need),
            state: State::Open,
            first_seen: now,
            last_seen: now,
            settled_at: None,
            count: 1,
            // Whoever asks for everything does not get to call everybody about it.
            told: (!crowded).then_some(now),
        };
        if !crowded {
            self.tell(Event::Opened, &item, now);
        }
        items.push(item);
        drop(items);
        self.stirred.notify_one();
        id
    }

    /// A request that is held for want of `need` still is: what was settled was something else.
    pub(crate) fn still_needed(&self, need: &Need, now: SystemTime) {
        if let Some(item) = self.lock().iter_mut().find(|item| item.need.same_as(need)) {
            self.open_again(item, need.clone(), now);
        }
    }

    fn open_again(&self, item: &mut Item, need: Need, now: SystemTime) {
        if item.state == State::Open {
            return;
        }
        (item.state, item.settled_at, item.need) = (State::Open, None, Arc::new(need));
        if item.told.is_some_and(|told| now.duration_since(told).is_ok_and(|ago| ago >= QUIET)) {
            item.told = Some(now);
            self.tell(Event::Opened, item, now);
        }
        self.stirred.notify_one();
    }

    /// All needs that are open, with the ids of their items.
    pub(crate) fn open(&self) -> Vec<(Arc<str>, Arc<Need>)> {
        let items = self.lock();
        let open = items.iter().filter(|item| item.state == State::Open);
        open.map(|item| (Arc::clone(&item.id), Arc::clone(&item.need))).collect()
    }

    /// Takes in how the open needs stand at `now`, and forgets what was settled an hour ago. Requests that are held try again when one is.
    pub(crate) fn settle(&self, found: &[(Arc<str>, Standing)], now: SystemTime) {
        let found: HashMap<&str, Standing> = found.iter().map(|(id, standing)| (&**id, *standing)).collect();
        let long_ago = |then: SystemTime| now.duration_since(then).is_ok_and(|ago| ago >= LAPSE);
        let mut items = self.lock();
        let mut settled = false;
        for item in items.iter_mut().filter(|item| item.state == State::Open) {
            let (state, event) = match found.get(&*item.id) {
                Some(Standing::Met) => (State::Resolved, Event::Resolved),
                Some(Standing::Gone) => (State::Lapsed, Event::Lapsed),
                Some(Standing::Open) | None if long_ago(item.last_seen) => (State::Lapsed, Event::Lapsed),
                Some(Standing::Open) | None => continue,
            };
            item.settle(state, now);
            settled = true;
            if item.told.is_some() {
                self.tell(event, item, now);
            }
        }
        items.retain(|item| !item.settled_at.is_some_and(long_ago));
        drop(items);
        if settled {
            self.vault_changed();
        }
    }

    /// The item called `id`, and whose it is.
    pub(crate) fn find(&self, id: &str) -> Option<(Arc<Need>, Shown)> {
        self.lock().iter().find(|item| &*item.id == id).map(|item| (Arc::clone(&item.need), item.shown()))
    }

    /// All items with the connections that they are about: what is open first, then what was asked for last.
    pub(crate) fn all(&self) -> Vec<(ConnectionId, Shown)> {
        let items = self.lock();
        let mut all: Vec<&Item> = items.iter().collect();
        all.sort_by_key(|item| std::cmp::Reverse(item.rank()));
        all.into_iter().map(|item| (item.need.connection.clone(), item.shown())).collect()
    }

    /// How the notices have fared; `None` where nobody takes them.
    pub(crate) fn fared(&self) -> Option<Fared> {
        self.settings.tells.then(|| self.delivery.fared())
    }

    /// How long the vault need not be looked at; `None` = until something is put on the list.
    pub(crate) fn pause(&self) -> Option<Duration> {
        if self.held.count() > 0 {
            return Some(LOOK_HELD);
        }
        let items = self.lock();
        if items.iter().any(|item| item.state == State::Open) {
            return Some(LOOK_OPEN);
        }
        (!items.is_empty()).then_some(LOOK_SETTLED)
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

    fn tell(&self, event: Event, item: &Item, now: SystemTime) {
        if self.settings.tells && self.notices.try_send(Notice::new(event, &item.shown(), now)).is_err() {
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
