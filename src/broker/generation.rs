//! `Generation`: one state of a credential between two renewals, and what was learned about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::trials::Trials;
use crate::guard::Needles;
use crate::model::{Credential, Secret};
use crate::provider::{InjectError, Prepared, Provider, ROLE_FIELDS, Renewal, prepare};
use crate::vault::{Entry, LentRenewal, Status};

/// A token that was renewed is looked for in answers until its end, and no longer than that: each look takes its time.
const FORMER: Duration = Duration::from_secs(60 * 60);

/// Where a generation came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A person registered it, or it was there when we started.
    Registered,
    /// A renewal, ours or another process's.
    Renewed,
}

/// One state of a credential.
#[derive(Debug)]
pub(super) struct Generation {
    /// Never used twice in a process.
    pub(super) number: u64,
    /// Where it came from.
    pub(super) origin: Origin,
    born: Instant,
    renew_at: Option<SystemTime>,
    succeeded: AtomicBool,
    desk: ArcSwapOption<Desk>,
    /// What the one before was made ready for, and how long that is remembered.
    former: Option<(Arc<Desk>, Instant)>,
}

/// The moment a generation is born, by both clocks, and how early it is to be renewed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Birth {
    pub(super) now: Instant,
    pub(super) time: SystemTime,
    pub(super) ahead: Duration,
}

/// A connection at one look at the vault.
#[derive(Debug)]
pub(super) struct Live {
    /// Of the look.
    pub(super) version: u64,
    /// What the vault has; another `Arc` may come with the same generation.
    pub(super) entry: Arc<Entry>,
    /// Changes when the credential does.
    pub(super) generation: Arc<Generation>,
}

/// When a credential should be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Not yet.
    Later,
    /// It still lives.
    Soon,
    /// It is dead or was never there.
    Now,
}

/// How a credential is renewed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'p> {
    /// By us.
    Here(Renewal<'p>),
    /// By the gateway whose it is.
    Owner,
}

impl Live {
    /// How it is renewed; `None` where there is nothing to renew it with.
    pub(super) fn way<'p>(&self, provider: &'p Provider) -> Option<Way<'p>> {
        match &self.entry.lent {
            Some(lent) => (lent.renewal != LentRenewal::None).then_some(Way::Owner),
            None => self.renewal(provider).map(Way::Here),
        }
    }

    /// How we renew it; `None` where the connection has nothing for that.
    pub(super) fn renewal<'p>(&self, provider: &'p Provider) -> Option<Renewal<'p>> {
        provider.renewal(&|name| self.entry.fields.field(name))
    }

    /// How it stands, as the vault has it.
    pub(super) fn status(&self) -> Status {
        self.entry.status
    }

    /// Whether and when to renew, by `clock`.
    pub(super) fn due(&self, provider: &Provider, clock: &dyn Fn() -> SystemTime) -> Due {
        match &self.entry.lent {
            Some(lent) if lent.renewal == LentRenewal::First => return Due::Now,
            Some(_) => {}
            None if present(self.entry.fields.field("access_token")).is_some() => {}
            None => {
                let Some(renewal) = self.renewal(provider) else { return Due::Later };
                if is_unmade(renewal, &self.entry) {
                    return Due::Now;
                }
            }
        }
        let (end, renew_at) = (self.entry.expires_at, self.generation.renew_at);
        if end.is_none() && renew_at.is_none() {
            return Due::Later;
        }
        let time = clock();
        match (end, renew_at) {
            (Some(end), _) if end <= time => Due::Now,
            (_, Some(at)) if at <= time => Due::Soon,
            _ => Due::Later,
        }
    }

    /// The credential made ready for rule `rule` of `provider`; `None` when it lacks a field. Made once and kept.
    pub(super) fn ready(&self, provider: &Arc<Provider>, rule: usize) -> Result<Option<Arc<Ready>>, InjectError> {
        let known = self.generation.desk.load();
        if let Some(found) =
            known.as_ref().filter(|desk| Arc::ptr_eq(&desk.provider, provider)).and_then(|desk| desk.find(rule))
        {
            return Ok(found);
        }
        let Some(placements) = provider.inject.get(rule).map(|rule| &rule.placements) else { return Ok(None) };
        let is_spent = provider.spends("client_secret");
        let prepared = prepare(placements, &|name| self.entry.placed_field(name, is_spent))?;
        let place = || (Arc::clone(provider), rule);
        let made = prepared.map(|prepared| Arc::new(Ready::new(place(), prepared, self.generation.former(provider, rule))));
        self.generation.desk.rcu(|desk| Some(Arc::new(Desk::with(desk.as_deref(), provider, rule, made.clone()))));
        // Two that prepare at once must share one set of marks.
        let kept = self.generation.desk.load();
        Ok(kept.as_ref().filter(|desk| Arc::ptr_eq(&desk.provider, provider)).and_then(|desk| desk.find(rule)).unwrap_or(made))
    }
}

impl Generation {
    /// A generation of `entry`, born now.
    pub(super) fn new(number: u64, origin: Origin, entry: &Entry, birth: Birth) -> Self {
        // A life that is short by design, or that a wrong clock makes look short, must not be renewed at once.
        let left = entry.expires_at.and_then(|end| end.duration_since(birth.time).ok());
        let ahead = left.map(|left| birth.ahead.min(left / 4));
        let renew_at = entry.expires_at.zip(ahead).and_then(|(end, ahead)| end.checked_sub(ahead));
        let (born, succeeded, desk, former) = (birth.now, AtomicBool::new(false), ArcSwapOption::empty(), None);
        Self { number, origin, born, renew_at, succeeded, desk, former }
    }

    /// The one that a renewal made of `old`, which ends at `end`.
    pub(super) fn after(self, old: &Self, end: Option<SystemTime>, birth: Birth) -> Self {
        let left = end.map_or(FORMER, |end| end.duration_since(birth.time).unwrap_or_default().min(FORMER));
        let desk = old.desk.load_full().filter(|_| !left.is_zero());
        Self { former: desk.zip(birth.now.checked_add(left)), ..self }
    }

    /// What was looked for of the one before where `rule` leads, and until when.
    fn former(&self, provider: &Arc<Provider>, rule: usize) -> Option<(Arc<Needles>, Instant)> {
        let (desk, until) = self.former.as_ref()?;
        let ready = desk.find(rule).flatten().filter(|ready| Arc::ptr_eq(&ready.provider, provider))?;
        let needles = ready.prepared.needles();
        (!needles.is_empty()).then(|| (Arc::clone(needles), *until))
    }

    /// Whether a service took it at least once.
    pub(super) fn has_succeeded(&self) -> bool {
        self.succeeded.load(Ordering::Relaxed)
    }

    /// Whether requests go with it and none of them is refused, wherever it leads.
    pub(super) fn works(&self) -> bool {
        let desk = self.desk.load();
        let ready = || desk.iter().flat_map(|desk| &desk.ready).filter_map(|(_, ready)| ready.as_ref());
        ready().any(|ready| ready.works()) && !ready().any(|ready| ready.is_refused() || ready.is_doubted())
    }

    /// Notes that a service took it.
    pub(super) fn succeeded(&self) {
        if !self.has_succeeded() {
            self.succeeded.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it is fresh from a renewal, younger than `trial`, and has worked nowhere yet: then a 401 is about the request.
    pub(super) fn is_on_trial(&self, now: Instant, trial: Duration) -> bool {
        self.origin == Origin::Renewed && !self.has_succeeded() && now.saturating_duration_since(self.born) < trial
    }
}

/// The credential as one rule places it, and when it last worked there.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) provider: Arc<Provider>,
    pub(super) rule: usize,
    pub(super) prepared: Prepared,
    latest: AtomicU64,
    /// When a request was sent that the service refused although nothing renews the credential any more; 0 = none was.
    refused: AtomicU64,
    /// When one was sent that met a 401 which no renewal answers, and which may be the request's own fault; 0 = none was.
    doubted: AtomicU64,
    /// Who may find out whether it is refused still.
    trials: Trials,
    /// What was looked for before the renewal that made this one, and until when.
    former: Option<(Arc<Needles>, Instant)>,
}

impl Ready {
    fn new((provider, rule): (Arc<Provider>, usize), prepared: Prepared, former: Option<(Arc<Needles>, Instant)>) -> Self {
        let (latest, refused, doubted) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { provider, rule, prepared, latest, refused, doubted, trials: Trials::default(), former }
    }

    /// What is looked for besides: the credential before the last renewal, which most services take until its end.
    pub(super) fn former(&self) -> Option<&Arc<Needles>> {
        let (needles, until) = self.former.as_ref()?;
        (Instant::now() < *until).then_some(needles)
    }

    /// Notes that a request sent at `mark` worked.
    pub(super) fn succeeded(&self, mark: u64) {
        self.latest.fetch_max(mark, Ordering::Relaxed);
    }

    /// Whether a request that was sent later than `mark` worked.
    pub(super) fn worked_after(&self, mark: u64) -> bool {
        self.latest.load(Ordering::Relaxed) > mark
    }

    /// Notes that a request sent at `mark` was refused although nothing renews the credential any more.
    pub(super) fn refused(&self, mark: u64) {
        if !self.is_refused() {
            self.trials.begin(mark);
        }
        self.refused.fetch_max(mark, Ordering::Relaxed);
    }

    /// Whether one was, and none that was sent later has worked.
    pub(super) fn is_refused(&self) -> bool {
        let refused = self.refused.load(Ordering::Relaxed);
        refused != 0 && !self.worked_after(refused)
    }

    /// Notes that a request sent at `mark` met a 401 which no renewal answers. Says whether the one before it did too.
    pub(super) fn doubted(&self, mark: u64) -> bool {
        let before = self.doubted.fetch_max(mark, Ordering::Relaxed);
        before != 0 && !self.worked_after(before)
    }

    /// Whether a request worked in the time `trial` before `mark`.
    pub(super) fn worked_lately(&self, mark: u64, trial: Duration) -> bool {
        let latest = self.latest.load(Ordering::Relaxed);
        latest != 0 && latest.saturating_add(u64::try_from(trial.as_nanos()).unwrap_or(u64::MAX)) > mark
    }

    /// Whether the last that is known of it is such a 401.
    pub(super) fn is_doubted(&self) -> bool {
        let doubted = self.doubted.load(Ordering::Relaxed);
        doubted != 0 && !self.worked_after(doubted)
    }

    /// Whether a request worked, and none that was sent later was refused.
    fn works(&self) -> bool {
        self.worked_after(0) && !self.is_refused() && !self.is_doubted()
    }

    /// Takes the right of `agent` to find out at `now` whether the service still refuses it: what it refused may have been the one request.
    pub(super) fn try_again(&self, agent: &str, now: u64, trial: Duration) -> bool {
        self.trials.take(agent, now, u64::try_from(trial.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// What was prepared for one reading of the provider's file; a reload begins a new one.
#[derive(Debug)]
struct Desk {
    provider: Arc<Provider>,
    ready: Vec<(usize, Option<Arc<Ready>>)>,
}

impl Desk {
    fn find(&self, rule: usize) -> Option<Option<Arc<Ready>>> {
        self.ready.iter().find(|(known, _)| *known == rule).map(|(_, ready)| ready.clone())
    }

    fn with(old: Option<&Self>, provider: &Arc<Provider>, rule: usize, ready: Option<Arc<Ready>>) -> Self {
        let old = old.filter(|desk| Arc::ptr_eq(&desk.provider, provider));
        let mut all = old.map(|desk| desk.ready.clone()).unwrap_or_default();
        if !all.iter().any(|(known, _)| *known == rule) {
            all.push((rule, ready));
        }
        Self { provider: Arc::clone(provider), ready: all }
    }
}

/// Whether nothing is there yet of what `renewal` makes.
fn is_unmade(renewal: Renewal<'_>, entry: &Entry) -> bool {
    renewal.makes().last().and_then(|name| present(entry.fields.field(name))).is_none()
}

/// `field`, unless it is empty.
pub(super) fn present(field: Option<&Secret<String>>) -> Option<&Secret<String>> {
    field.filter(|value| !value.matches(""))
}

/// Whether two looks show the same credential.
pub(super) fn same_credential(one: &Entry, other: &Entry) -> bool {
    one.expires_at == other.expires_at && same_registration(one, other) && same_fields(&one.fields, &other.fields, &[])
}

/// Whether nothing but a renewal lies between two looks.
pub(super) fn is_renewal(one: &Entry, other: &Entry) -> bool {
    let [id, key, token] = ROLE_FIELDS;
    same_registration(one, other) && same_fields(&one.fields, &other.fields, &["access_token", "refresh_token", id, key, token])
}

fn same_registration(one: &Entry, other: &Entry) -> bool {
    one.provider == other.provider && one.auth_type == other.auth_type && one.registered_at == other.registered_at
}

fn same_fields(one: &Credential, other: &Credential, but: &[&str]) -> bool {
    let same = |name: &str| match (one.field(name), other.field(name)) {
        (Some(one), Some(other)) => one.same(other),
        (one, other) => one.is_none() && other.is_none(),
    };
    one.names().chain(other.names()).filter(|name| !but.contains(name)).all(same)
}
