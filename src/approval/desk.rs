//! `Approvals`: the questions that wait, what has become of others, and what was let on for a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::grant::{Answer, Approved, Grant, How, Passing, ShownGrant, fits};
use super::held::Held;
use super::item::{Asker, Item, Shown, State};
use super::lasting::Lasting;
use super::notice::{self, NotAuthentic, Reply, ReplyTo, Token, is_token};
use super::numbers::Numbers;
use super::question::{Print, Question};
use super::settings::Settings;
use super::waiting::{Waiting, Word};
use crate::agent::Agent;
use crate::attention::Attention;
use crate::model::Glob;

/// What is settled can be asked about for so long, and so much of it.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
const MOST_SETTLED: usize = 256;
/// A program that did not wait must have sent its request again by then.
const COLLECT: Duration = Duration::from_secs(60 * 60);
/// What is let on for a time.
const MOST_GRANTS: usize = 1024;

/// Why nobody was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAsked {
    /// There is no gateway that a person could answer at.
    Nobody,
    /// As many wait as may.
    Crowded,
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// There is no such question, or the word shown is not the one for it.
    Unknown,
    /// It has ended, or somebody else is answering.
    Settled(Box<Shown>),
    /// The pattern is not one of the request's path.
    Unfit,
    /// There is no room for another grant.
    Full,
}

/// A request that was sent again.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// It was let on meanwhile, once.
    Allowed(Approved),
    /// It still waits.
    Waiting(Box<Shown>),
}

#[derive(Debug, Default)]
struct List {
    items: Vec<Item>,
    grants: Vec<Grant>,
}

/// What persons are asked. In memory only: after a restart nothing is let on that nobody was asked about since.
#[derive(Debug)]
pub(crate) struct Approvals {
    settings: Settings,
    attention: Arc<Attention>,
    list: Mutex<List>,
    /// How often a question came or ended.
    changes: watch::Sender<u64>,
    /// What became of them.
    pub(crate) numbers: Numbers,
    /// Set where persons can answer; with where replies to notices go.
    open: OnceLock<Option<ReplyTo>>,
}

impl Approvals {
    /// An empty list, whose notices go the way of `attention`'s.
    pub(crate) fn new(settings: Settings, attention: Arc<Attention>) -> Arc<Self> {
        let (list, changes, open) = (Mutex::default(), watch::Sender::default(), OnceLock::new());
        Arc::new(Self { settings, attention, list, changes, numbers: Numbers::default(), open })
    }

    /// Persons can answer from now on.
    pub(crate) fn open(&self, reply: Option<ReplyTo>) {
        drop(self.open.set(reply));
    }

    /// Whether a person has let this on before.
    pub(crate) fn granted(&self, passing: &Passing<'_>, now: SystemTime) -> Option<Approved> {
        let mut list = self.lock();
        if list.grants.is_empty() {
            return None;
        }
        list.grants.retain(|grant| grant.lasts(now));
        let approved = list.grants.iter_mut().find(|grant| grant.covers(passing)).map(|grant| {
            grant.used();
            grant.approved()
        });
        approved.inspect(|_| self.numbers.by_grant())
    }

    /// Asks about a request that waits. `id` is its own in the log.
    pub(crate) fn hold(self: &Arc<Self>, id: &str, question: Question) -> Result<Waiting, NotAsked> {
        let until = Instant::now() + question.rule.patience();
        let (tell, word) = oneshot::channel();
        let shown = self.enter(id, question, Asker::Held(tell))?;
        Ok(Waiting { desk: Arc::clone(self), id: shown.id.into(), until, word })
    }

    /// Asks about a request that will be sent again; `head` is all of it but the body, `whole` all of it.
    pub(crate) fn ask_later(&self, id: &str, question: Question, (head, whole): (Print, Print)) -> Result<Shown, NotAsked> {
        self.enter(id, question, Asker::Away { head, whole })
    }

    fn enter(&self, id: &str, question: Question, asker: Asker) -> Result<Shown, NotAsked> {
        let Some(reply) = self.open.get() else { return Err(NotAsked::Nobody) };
        let (now, patience) = (SystemTime::now(), question.rule.patience());
        let token = reply.as_ref().and_then(|_| Token::random());
        let mut list = self.lock();
        self.tidy(&mut list, now);
        let waiting = || list.items.iter().filter(|item| item.takes_room());
        let theirs = waiting().filter(|item| item.question.agent.name == question.agent.name).count();
        if waiting().count() >= self.settings.hold_limit || theirs >= self.settings.agent_hold_limit {
            return Err(NotAsked::Crowded);
        }
        let item = Item {
            id: id.into(),
            question,
            away: matches!(asker, Asker::Away { .. }),
            asker: Some(asker),
            state: State::Waiting,
            claimed: false,
            asked_at: now,
            expires_at: now + patience,
            allowed_until: None,
            until: Instant::now() + patience,
            settled_at: None,
            by: None,
            token: token.as_ref().map(Token::hash),
        };
        let shown = item.shown();
        // The same request, about which another rule asks now.
        list.items.retain(|before| before.id != item.id);
        list.items.push(item);
        drop(list);
        self.changes.send_modify(|changes| *changes += 1);
        self.numbers.asked();
        self.attention.tell_of(|| notice::asked(&shown, reply.as_ref().zip(token.as_ref()), now));
        Ok(shown)
    }

    /// Whether `agent` may have sent this request before, and did not wait.
    pub(crate) fn expects(&self, agent: &Arc<Agent>, print: Print) -> bool {
        let away = |item: &Item| matches!(&item.asker, Some(Asker::Away { head, .. }) if *head == print);
        self.lock().items.iter().any(|item| Arc::ptr_eq(&item.question.agent, agent) && away(item))
    }

    /// The same request again. One that was let on goes on once.
    pub(crate) fn collect(&self, passing: &Passing<'_>, print: Print, now: SystemTime) -> Option<Found> {
        let mut list = self.lock();
        self.tidy(&mut list, now);
        let item = list.items.iter_mut().find(|item| {
            Arc::ptr_eq(&item.question.agent, passing.agent)
                && matches!(&item.asker, Some(Asker::Away { whole, .. }) if *whole == print)
                && item.question.rule.digest() == passing.rule.digest()
        })?;
        if item.state == State::Waiting {
            return Some(Found::Waiting(Box::new(item.shown())));
        }
        let by = item.by.clone().unwrap_or_else(|| "-".into());
        let approved = Approved { how: How::Once, id: Arc::clone(&item.id), by, at: item.settled_at.unwrap_or(now) };
        item.settle(State::Used, now);
        Some(Found::Allowed(approved))
    }

    /// A question that nobody answered ends so.
    pub(super) fn ended(&self, id: &str, state: State, now: SystemTime) {
        let mut list = self.lock();
        let Some(item) = list.items.iter_mut().find(|item| &*item.id == id && item.state == State::Waiting) else { return };
        self.end(item, state, now);
    }

    fn end(&self, item: &mut Item, state: State, now: SystemTime) {
        item.settle(state, now);
        self.changes.send_modify(|changes| *changes += 1);
        self.numbers.ended(state);
        self.attention.tell_of(|| notice::settled(&item.shown(), now));
    }

    /// Takes the right to answer, for who then writes down that it was answered. `token` is what a notice said, where that is needed.
    pub(crate) fn claim(self: &Arc<Self>, id: &str, token: Option<&str>) -> Result<Claimed, NotDone> {
        let mut list = self.lock();
        self.tidy(&mut list, SystemTime::now());
        let item = list.items.iter_mut().find(|item| &*item.id == id).ok_or(NotDone::Unknown)?;
        if item.state != State::Waiting || item.claimed {
            return Err(NotDone::Settled(Box::new(item.shown())));
        }
        let shows = |kept: &Option<[u8; 32]>, shown| kept.as_ref().is_some_and(|kept| is_token(kept, shown));
        if token.is_some_and(|shown| !shows(&item.token, shown)) {
            return Err(NotDone::Unknown);
        }
        item.claimed = true;
        Ok(Claimed { desk: Arc::clone(self), shown: item.shown() })
    }

    fn answer(&self, id: &str, answer: &Answer, (by, now): (&str, SystemTime)) -> Result<Shown, NotDone> {
        let by: Arc<str> = by.into();
        let mut list = self.lock();
        let List { items, grants } = &mut *list;
        let item = items.iter_mut().find(|item| &*item.id == id).ok_or(NotDone::Unknown)?;
        if item.state != State::Waiting {
            return Err(NotDone::Settled(Box::new(item.shown())));
        }
        let granted = Grant::of(&item.question, answer, (Arc::clone(&item.id), Arc::clone(&by), now));
        if *answer == Answer::Deny {
            item.by = Some(by);
            tell(item.asker.take(), Word::Denied);
            self.end(item, State::Denied, now);
            return Ok(item.shown());
        }
        if item.away {
            item.until = Instant::now() + COLLECT;
            item.allowed_until = Some(now + COLLECT);
            // What is let on for a time has nothing to be collected.
            item.asker = item.asker.take().filter(|_| granted.is_none());
        } else {
            let approved = Approved { how: How::Once, id: Arc::clone(&item.id), by: Arc::clone(&by), at: now };
            if !tell(item.asker.take(), Word::Allowed(approved)) {
                self.end(item, State::Left, now);
                return Err(NotDone::Settled(Box::new(item.shown())));
            }
        }
        item.by = Some(by);
        item.allowed_until = granted.as_ref().map(|grant| grant.until).or(item.allowed_until);
        self.end(item, State::Allowed, now);
        let shown = item.shown();
        if let Some(mut grant) = granted {
            self.release(items, &mut grant, now);
            grants.push(grant);
        }
        Ok(shown)
    }

    /// Lets on what waits already and is covered by `grant`, but for what somebody is answering by itself.
    fn release(&self, items: &mut [Item], grant: &mut Grant, now: SystemTime) {
        let covered =
            |item: &&mut Item| item.state == State::Waiting && !item.claimed && grant.covers(&item.question.passing());
        let mut those: Vec<&mut Item> = items.iter_mut().filter(covered).collect();
        for item in &mut those {
            item.by = Some(Arc::clone(&grant.by));
            let asker = item.asker.take();
            if item.away {
                // Who comes back for the answer finds the grant.
                item.allowed_until = Some(grant.until);
            } else if tell(asker, Word::Allowed(grant.approved())) {
                grant.used();
                self.numbers.by_grant();
            } else {
                self.end(item, State::Left, now);
                continue;
            }
            self.end(item, State::Allowed, now);
        }
    }

    /// Whether a reply to a notice is from whoever has the webhook's key.
    pub(crate) fn check(&self, reply: &Reply<'_>, now: SystemTime) -> Result<(), NotAuthentic> {
        self.open.get().and_then(Option::as_ref).ok_or(NotAuthentic::NoKey)?.check(reply, now)
    }

    /// The question called `id`.
    pub(crate) fn find(&self, id: &str) -> Option<Shown> {
        let mut list = self.lock();
        self.tidy(&mut list, SystemTime::now());
        list.items.iter().find(|item| &*item.id == id).map(Item::shown)
    }

    /// The same, where `agent` asked it.
    pub(crate) fn find_of(&self, id: &str, agent: &Arc<Agent>) -> Option<Shown> {
        let mut list = self.lock();
        self.tidy(&mut list, SystemTime::now());
        let theirs = |item: &&Item| &*item.id == id && Arc::ptr_eq(&item.question.agent, agent);
        list.items.iter().find(theirs).map(Item::shown)
    }

    /// The rule that would let on what the question called `id` asks about while it waits, for paths that fit `paths` where they are said.
    ///
    /// # Errors
    /// [`NotDone::Unfit`] where no rule can say that.
    pub(crate) fn lasting(&self, id: &str, paths: Option<&Glob>) -> Result<Lasting, NotDone> {
        let mut list = self.lock();
        self.tidy(&mut list, SystemTime::now());
        let item = list.items.iter().find(|item| &*item.id == id).ok_or(NotDone::Unknown)?;
        if item.state != State::Waiting {
            return Err(NotDone::Settled(Box::new(item.shown())));
        }
        item.question.lasting(paths).ok_or(NotDone::Unfit)
    }

    /// All questions: what waits first, the oldest before the others; then what ended last.
    pub(crate) fn all(&self) -> Vec<Shown> {
        let mut list = self.lock();
        self.tidy(&mut list, SystemTime::now());
        let mut all: Vec<&Item> = list.items.iter().collect();
        all.sort_by_key(|item| (item.settled_at.is_some(), item.settled_at.map(std::cmp::Reverse), item.asked_at));
        all.into_iter().map(Item::shown).collect()
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        let mut list = self.lock();
        self.tidy(&mut list, SystemTime::now());
        list.items.iter().filter(|item| item.state == State::Waiting).count()
    }

    /// The requests that are held now. What their programs come back for is none: those were answered.
    pub(crate) fn held(&self) -> Vec<Held> {
        let mut list = self.lock();
        self.tidy(&mut list, SystemTime::now());
        list.items.iter().filter(|item| item.state == State::Waiting && !item.away).map(Held::of).collect()
    }

    /// Changes whenever a question comes or ends.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How many wait because of which rule, by its name.
    pub(crate) fn waiting_by_rule(&self) -> HashMap<String, u64> {
        let mut list = self.lock();
        self.tidy(&mut list, SystemTime::now());
        let mut by_rule = HashMap::new();
        for item in list.items.iter().filter(|item| item.state == State::Waiting) {
            *by_rule.entry(item.question.rule.name().to_string()).or_default() += 1;
        }
        by_rule
    }

    /// What is let on for a time.
    pub(crate) fn grants(&self, now: SystemTime) -> Vec<ShownGrant> {
        let mut list = self.lock();
        list.grants.retain(|grant| grant.lasts(now));
        list.grants.iter().map(Grant::shown).collect()
    }

    /// Ends what was let on by the answer to the question called `id`; says whether there was anything.
    pub(crate) fn revoke(&self, id: &str) -> bool {
        let mut list = self.lock();
        let List { items, grants } = &mut *list;
        let before = grants.len();
        grants.retain(|grant| &*grant.id != id);
        let ended = grants.len() < before;
        items.iter_mut().filter(|item| ended && &*item.id == id).for_each(|item| item.allowed_until = None);
        ended
    }

    /// Ends what is over, and forgets what was over an hour ago, or is too much.
    fn tidy(&self, list: &mut List, now: SystemTime) {
        let over = |item: &Item| item.until <= Instant::now();
        for item in list.items.iter_mut().filter(|item| item.away && over(item)) {
            match item.state {
                State::Waiting => self.end(item, State::TimedOut, now),
                State::Allowed if item.asker.is_some() => item.settle(State::Left, now),
                _ => {}
            }
        }
        let long_ago = |then: SystemTime| now.duration_since(then).is_ok_and(|ago| ago >= REMEMBERED);
        list.items.retain(|item| item.takes_room() || !item.settled_at.is_some_and(long_ago));
        let settled = list.items.iter().filter(|item| !item.takes_room()).count();
        let mut surplus = settled.saturating_sub(MOST_SETTLED);
        list.items.retain(|item| {
            let goes = surplus > 0 && !item.takes_room();
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody still waits for it.
fn tell(asker: Option<Asker>, word: Word) -> bool {
    if let Some(Asker::Held(tell)) = asker { tell.send(word).is_ok() } else { false }
}

/// The right to answer one question. Dropping it leaves the question to others.
#[derive(Debug)]
pub(crate) struct Claimed {
    desk: Arc<Approvals>,
    /// What is answered.
    pub(crate) shown: Shown,
}

impl Claimed {
    /// Whether `answer` can be given to this question.
    pub(crate) fn takes(&self, answer: &Answer) -> Result<(), NotDone> {
        let list = self.desk.lock();
        let item = list.items.iter().find(|item| *item.id == *self.shown.id).ok_or(NotDone::Unknown)?;
        match answer {
            Answer::Pattern(glob, _) if !fits(glob, &item.question.target) => Err(NotDone::Unfit),
            Answer::For(_) | Answer::Pattern(..) if list.grants.len() >= MOST_GRANTS => Err(NotDone::Full),
            _ => Ok(()),
        }
    }

    /// Answers.
    pub(crate) fn answer(self, answer: &Answer, by: &str, now: SystemTime) -> Result<Shown, NotDone> {
        self.desk.answer(&self.shown.id, answer, (by, now))
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut list = self.desk.lock();
        if let Some(item) = list.items.iter_mut().find(|item| *item.id == *self.shown.id) {
            item.claimed = false;
        }
    }
}
