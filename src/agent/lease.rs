//! Leases: tokens for a short time that act for an agent and may do no more than it.
//!
//! They live in memory. A restart ends them, so that no count of calls begins anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use dashmap::DashMap;

use super::identity::Agent;
use super::token::{Token, hash, hex};
use crate::model::{AgentName, HostTerm, ProviderId, UserName};

/// How many leases there may be, and how long.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// Of one agent.
    pub(crate) agent: usize,
    /// Of all agents; 0 where nobody could use them.
    pub(crate) all: usize,
    /// The longest.
    pub(crate) time: Duration,
}

/// What is asked for; what is left out is as the agent has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// How long.
    pub(crate) time: Duration,
    /// How many requests; `None` = as many as there come.
    pub(crate) calls: Option<u64>,
    /// Which providers.
    pub(crate) providers: Option<Vec<ProviderId>>,
    /// Which hosts.
    pub(crate) hosts: Option<Vec<HostTerm>>,
    /// The person, to be sure of it: it is the agent's.
    pub(crate) user: Option<UserName>,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error("no proxy runs in this process; ask for a lease where the proxy is that the agent uses")]
    NotHere,
    #[error("a lease makes no leases; ask whoever made it")]
    OfLease,
    #[error("a lease lasts from one second to {} (limits.lease_secs)", .0.as_secs())]
    Time(Duration),
    #[error("a lease is for one call at least")]
    NoCalls,
    #[error("the agent may not use {0}, so its lease may not")]
    Provider(ProviderId),
    #[error("the agent may not reach {0}, so its lease may not")]
    Host(HostTerm),
    #[error("a lease acts for the person whom its agent acts for, and for nobody else")]
    User,
    #[error("there are as many leases as there may be (limits.leases, limits.agent_leases); end one, or wait until one ends")]
    TooMany,
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

/// What makes an agent a lease of another.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Its name in records.
    pub(crate) id: Arc<str>,
    /// Whose.
    pub(crate) parent: Arc<Agent>,
    /// How many calls it was made for.
    pub(crate) calls: Option<u64>,
    pub(crate) created: SystemTime,
    left: AtomicU64,
    ended: AtomicBool,
}

impl Lease {
    /// Counts one call, or says that there is none left. Over all threads there are exactly as many as it was made for.
    pub(crate) fn take_call(&self) -> bool {
        let one_less = |left: u64| left.checked_sub(1);
        self.calls.is_none() || self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// How many calls are left.
    pub(crate) fn calls_left(&self) -> Option<u64> {
        self.calls.map(|_| self.left.load(Ordering::Relaxed))
    }

    /// Whether it was taken back.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

type ById = HashMap<Arc<str>, ([u8; 32], Arc<Agent>)>;

/// All leases of this process.
#[derive(Debug, Default)]
pub(super) struct Leases {
    bounds: Bounds,
    by_token: DashMap<[u8; 32], Arc<Agent>>,
    by_id: Mutex<ById>,
}

impl Leases {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, by_token: DashMap::new(), by_id: Mutex::default() }
    }

    /// Makes one of `parent`; of those there are, `lives` says which still count.
    pub(super) fn mint(
        &self,
        parent: &Arc<Agent>,
        wanted: Wanted,
        now: SystemTime,
        lives: impl Fn(&Arc<Agent>) -> bool,
    ) -> Result<(Token, Arc<Agent>), LeaseError> {
        self.check(parent, &wanted)?;
        let token = Token::lease()?;
        let mut id = [0; 8];
        getrandom::fill(&mut id)?;
        let lease = Lease {
            id: hex(&id).into(),
            parent: Arc::clone(parent),
            calls: wanted.calls,
            created: now,
            left: AtomicU64::new(wanted.calls.unwrap_or_default()),
            ended: AtomicBool::new(false),
        };
        let end = now.checked_add(wanted.time).ok_or(LeaseError::Time(self.bounds.time))?;
        let id = Arc::clone(&lease.id);
        let child = Arc::new(parent.lent(wanted, end, lease));
        let mut all = self.all();
        if all.len() >= self.bounds.all || of(&all, &parent.name) >= self.bounds.agent {
            self.forget(&mut all, &lives);
        }
        if all.len() >= self.bounds.all || of(&all, &parent.name) >= self.bounds.agent {
            return Err(LeaseError::TooMany);
        }
        all.insert(id, (token.hash(), Arc::clone(&child)));
        self.by_token.insert(token.hash(), Arc::clone(&child));
        Ok((token, child))
    }

    /// A lease is never wider than its agent.
    fn check(&self, parent: &Agent, wanted: &Wanted) -> Result<(), LeaseError> {
        if self.bounds.all == 0 {
            return Err(LeaseError::NotHere);
        }
        if parent.lease().is_some() {
            return Err(LeaseError::OfLease);
        }
        if wanted.time < Duration::from_secs(1) || wanted.time > self.bounds.time {
            return Err(LeaseError::Time(self.bounds.time));
        }
        if wanted.calls == Some(0) {
            return Err(LeaseError::NoCalls);
        }
        if let Some(provider) = wanted.providers.iter().flatten().find(|provider| !parent.may_use(provider)) {
            return Err(LeaseError::Provider(provider.clone()));
        }
        if let Some(host) = wanted.hosts.iter().flatten().find(|host| !parent.may_reach_all(host)) {
            return Err(LeaseError::Host(host.clone()));
        }
        match wanted.user.is_none() || UserName::same(wanted.user.as_ref(), parent.user.as_ref()) {
            true => Ok(()),
            false => Err(LeaseError::User),
        }
    }

    /// The one whose token this is, whether it still counts or not.
    pub(super) fn by_token(&self, token: &str) -> Option<Arc<Agent>> {
        self.by_token.get(&hash(token)).map(|found| Arc::clone(&found))
    }

    /// The one of this name in records.
    pub(super) fn by_id(&self, id: &str) -> Option<Arc<Agent>> {
        self.all().get(id).map(|(_, child)| Arc::clone(child))
    }

    /// Those of one agent.
    pub(super) fn of(&self, parent: &AgentName) -> Vec<Arc<Agent>> {
        self.all().values().filter(|(_, child)| child.name == *parent).map(|(_, child)| Arc::clone(child)).collect()
    }

    /// Takes one back, which is returned.
    pub(super) fn end(&self, id: &str) -> Option<Arc<Agent>> {
        let (hash, child) = self.all().remove(id)?;
        if let Some(lease) = child.lease() {
            lease.ended.store(true, Ordering::Release);
        }
        self.by_token.remove(&hash);
        Some(child)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_token.is_empty()
    }

    /// Forgets those that count no more.
    pub(super) fn sweep(&self, lives: impl Fn(&Arc<Agent>) -> bool) {
        self.forget(&mut self.all(), lives);
    }

    fn forget(&self, all: &mut ById, lives: impl Fn(&Arc<Agent>) -> bool) {
        all.retain(|_id, (hash, child)| {
            let keep = lives(child);
            if !keep {
                self.by_token.remove(hash);
            }
            keep
        });
    }

    fn all(&self) -> MutexGuard<'_, ById> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many there are of `parent`.
fn of(all: &ById, parent: &AgentName) -> usize {
    all.values().filter(|(_, child)| child.name == *parent).count()
}
