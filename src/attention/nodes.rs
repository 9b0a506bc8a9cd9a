//! What nodes refused requests for: told by each node, shown at its gateway beside the gateway's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::item::{Item, QUIET};
use super::list::{Attention, MOST_OF_AGENT};
use super::need::{Need, Reason, Shown, State};
use super::notice::Event;
use crate::model::{AgentName, ConnectionId};

/// Items of one node, and of all of them: they have room of their own, so that no node pushes out what this proxy has.
pub(super) const MOST_OF_NODE: usize = 128;
pub(super) const MOST_OF_NODES: usize = 1024;
/// Items of one node that are told of within a minute: it names the agents itself, so a bound for each of them is none.
pub(super) const TOLD_OF_NODE: usize = 16;
/// What a node tells at a time: it fits a body that the gateway reads.
const AT_ONCE: usize = 64;
/// How often a node tells again what is open, and how long the gateway waits for that: the node has ended, or has lost its way here.
pub(crate) const AGAIN: Duration = Duration::from_secs(20);
pub(super) const SILENCE: Duration = Duration::from_secs(65);

/// What a node refused requests for.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NodeAttention)]
pub(crate) struct Report {
    /// Each that is open, and each that was settled within the hour.
    pub(crate) items: Vec<Reported>,
}

/// One of them. What people are told of it is the gateway's to say.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NodeNeed)]
pub(crate) struct Reported {
    /// The `request_id` of the first request that was refused.
    #[schema(example = "01M82P192AVZ74QXH9NW000004")]
    pub(crate) id: String,
    /// How it stands.
    pub(crate) status: State,
    /// What is wrong with the connection, in the words of `/api/attention`. An item with a word that only a newer Nexus knows is left out.
    #[schema(example = "not_registered")]
    pub(crate) reason: String,
    /// The connection.
    #[schema(example = "github:alice")]
    pub(crate) connection: String,
    /// Who was refused.
    pub(crate) agent: String,
    /// For whom that agent acts.
    pub(crate) user: Option<String>,
    /// In seconds since 1970.
    pub(crate) first_seen: f64,
    /// In seconds since 1970.
    pub(crate) last_seen: f64,
    /// Requests that were refused for it.
    pub(crate) count: f64,
}

/// The same, read.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) id: Arc<str>,
    pub(crate) need: Need,
    pub(crate) state: State,
    pub(crate) first_seen: SystemTime,
    pub(crate) last_seen: SystemTime,
    pub(crate) count: u64,
}

/// An item of a node, and when the node told of it last.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) item: Item,
    pub(super) at: SystemTime,
}

/// The items of all nodes.
#[derive(Debug, Default)]
pub(super) struct Nodes(Mutex<BTreeMap<AgentName, Vec<Heard>>>);

impl Nodes {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<AgentName, Vec<Heard>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any is open; `None` where there is none at all.
    pub(super) fn any_open(&self) -> Option<bool> {
        let nodes = self.lock();
        (!nodes.is_empty()).then(|| nodes.values().flatten().any(|heard| heard.item.is_open()))
    }

    /// The one that is called `name`.
    pub(super) fn find(&self, name: &str) -> Option<(Arc<Need>, Shown)> {
        let (id, node) = name.split_once('@')?;
        let nodes = self.lock();
        let item = nodes.get(&node.parse().ok()?)?.iter().map(|heard| &heard.item).find(|item| &*item.id == id)?;
        Some((Arc::clone(&item.need), item.shown()))
    }

    /// Takes in items of an earlier process; their nodes have time to tell of them again.
    pub(super) fn take_up(&self, earlier: Vec<Item>, now: SystemTime) {
        let mut nodes = self.lock();
        for item in earlier {
            let Some(node) = item.node.clone() else { continue };
            let theirs = nodes.entry(node).or_default();
            if theirs.len() < MOST_OF_NODE && !theirs.iter().any(|heard| heard.item.id == item.id) {
                theirs.push(Heard { item, at: now });
            }
        }
        nodes.retain(|_, theirs| !theirs.is_empty());
    }

    pub(super) fn all(&self) -> Vec<Item> {
        self.lock().values().flatten().map(|heard| heard.item.clone()).collect()
    }
}

impl Attention {
    /// What this proxy would tell its gateway, in pieces that one request holds.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let mut items = self.own();
        items.sort_by_key(|item| std::cmp::Reverse(item.rank()));
        items.truncate(MOST_OF_NODE);
        let reported: Vec<Reported> = items.iter().map(reported).collect();
        let mut reports = Vec::new();
        let mut rest = reported.into_iter().peekable();
        while rest.peek().is_some() {
            reports.push(Report { items: rest.by_ref().take(AT_ONCE).collect() });
        }
        reports
    }

    /// Takes in what `node` tells: its word is what counts, since it alone knows what its requests would get.
    pub(crate) fn take(&self, node: &AgentName, told: Vec<Theirs>, now: SystemTime) {
        let mut nodes = self.nodes.lock();
        let theirs = nodes.entry(node.clone()).or_default();
        for one in told.into_iter().take(MOST_OF_NODE) {
            let may_tell = told_lately(theirs, now) < TOLD_OF_NODE;
            match theirs.iter_mut().find(|heard| heard.item.id == one.id) {
                Some(known) => self.hear_again(known, one, may_tell, now),
                None => self.hear(node, theirs, one, now),
            }
        }
        nodes.retain(|_, theirs| !theirs.is_empty());
        while nodes.values().map(Vec::len).sum::<usize>() > MOST_OF_NODES {
            let Some(greediest) = nodes.values_mut().max_by_key(|theirs| theirs.len()) else { break };
            drop_one(greediest);
        }
        drop(nodes);
        self.stir();
        self.has_news();
    }

    fn hear(&self, node: &AgentName, theirs: &mut Vec<Heard>, one: Theirs, now: SystemTime) {
        let may_tell = told_lately(theirs, now) < TOLD_OF_NODE;
        let full = theirs.len() >= MOST_OF_NODE;
        let of_agent = theirs.iter().filter(|heard| heard.item.need.agent == one.need.agent).count();
        if full {
            drop_one(theirs);
        }
        let Theirs { id, need, state, first_seen, last_seen, count } = one;
        let open = state == State::Open;
        // As for an agent: whoever asks for everything does not get to call everybody about it.
        let told = (open && !full && of_agent < MOST_OF_AGENT && may_tell).then_some(now);
        let settled_at = (!open).then_some(now);
        let (node, need) = (Some(node.clone()), Arc::new(need));
        let owed = told.is_some();
        let item = Item { id, node, need, state, first_seen, last_seen, settled_at, count, told, owed, reopened: 0 };
        if told.is_some() {
            self.tell(Event::Opened, &item, now);
        }
        theirs.push(Heard { item, at: now });
    }

    fn hear_again(&self, known: &mut Heard, one: Theirs, may_tell: bool, now: SystemTime) {
        known.at = now;
        let item = &mut known.item;
        (item.last_seen, item.count) = (one.last_seen, one.count);
        if item.state == one.state {
            item.need = Arc::new(one.need);
        } else if one.state == State::Open {
            item.open_again(Arc::new(one.need));
        } else {
            self.settle_one(item, one.state, now);
        }
        if may_tell {
            self.tell_if_due(item, now);
        }
    }

    /// Ends what no node tells of any more, and forgets what was settled an hour ago.
    pub(super) fn lapse_nodes(&self, now: SystemTime) {
        let mut nodes = self.nodes.lock();
        for heard in nodes.values_mut().flatten() {
            let silent = now.duration_since(heard.at).is_ok_and(|ago| ago >= SILENCE);
            if silent && heard.item.is_open() {
                self.settle_one(&mut heard.item, State::Lapsed, now);
            }
        }
        nodes.values_mut().for_each(|theirs| theirs.retain(|heard| !heard.item.is_over(now)));
        nodes.retain(|_, theirs| !theirs.is_empty());
    }
}

impl Reported {
    /// What it says, where all of it can be read; times that are still to come are `now`. `words` are the gateway's own.
    pub(crate) fn read(&self, now: SystemTime, words: impl FnOnce(&ConnectionId, Reason) -> super::Words) -> Option<Theirs> {
        let plain = (1..=64).contains(&self.id.len()) && self.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let connection: ConnectionId = self.connection.parse().ok().filter(|_| plain)?;
        let reason = Reason::of(&self.reason)?;
        let words = words(&connection, reason);
        let need = Need {
            agent: self.agent.parse().ok()?,
            user: self.user.as_ref().map(|user| user.parse()).transpose().ok()?,
            connection,
            named: true,
            reason,
            registered_at: None,
            words,
        };
        let at = |secs: f64| Duration::try_from_secs_f64(secs).ok().and_then(|since| UNIX_EPOCH.checked_add(since));
        let at = |secs| at(secs).filter(|time| *time <= now).unwrap_or(now);
        let last_seen = at(self.last_seen);
        let first_seen = at(self.first_seen).min(last_seen);
        Some(Theirs { id: self.id.as_str().into(), need, state: self.status, first_seen, last_seen, count: whole(self.count) })
    }
}

fn reported(item: &Item) -> Reported {
    let secs = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let need = &item.need;
    Reported {
        id: item.id.to_string(),
        status: item.state,
        reason: need.reason.word().to_owned(),
        connection: need.connection.to_string(),
        agent: need.agent.to_string(),
        user: need.user.as_ref().map(ToString::to_string),
        first_seen: secs(item.first_seen),
        last_seen: secs(item.last_seen),
        count: u32::try_from(item.count).unwrap_or(u32::MAX).into(),
    }
}

/// A count is between one and as many as anybody counts to.
fn whole(count: f64) -> u64 {
    Duration::try_from_secs_f64(count).map_or(1, |whole| whole.as_secs()).clamp(1, u32::MAX.into())
}

/// How many of them were told of within the last minute.
fn told_lately(theirs: &[Heard], now: SystemTime) -> usize {
    let lately = |told: SystemTime| now.duration_since(told).is_ok_and(|ago| ago < QUIET);
    theirs.iter().filter(|heard| heard.item.told.is_some_and(lately)).count()
}

fn drop_one(theirs: &mut Vec<Heard>) {
    let least = theirs.iter().enumerate().min_by_key(|(_, heard)| heard.item.rank());
    if let Some((at, _)) = least {
        theirs.remove(at);
    }
}
