//! Requests that a rule wants a person's word about: they wait for it, or their programs come back for it. Nothing of them has left by then,
//! and they hold no connection to the service.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, EXPECT};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::choose::Inquiry;
use super::content::{ContentError, gather_into, held};
use super::exchange::Stop;
use super::question::{Aim, print, question, stated};
use super::refusal::Refusal;
use super::replay::Inflow;
use super::ruled::{Taken, in_place};
use super::standing::{accepted, prefers_async};
use super::worker::Worker;
use crate::agent::hex;
use crate::approval::{Approved, Body, Found, How, NotAsked, Passing, Question, READ, View, Word};
use crate::audit::{Approval, Entry};
use crate::decide::{Decision, Route};
use crate::policy::{Rule, Ruling};

/// How long the beginning of a body is waited for, so that a person sees some of it.
pub(super) const BEGINNING: Duration = Duration::from_secs(2);

/// A request that may not go on yet.
pub(super) struct Pending<'a> {
    pub(super) inquiry: &'a Inquiry<'a>,
    pub(super) incoming: &'a mut Option<Inflow>,
    pub(super) upgrade: bool,
    pub(super) taken: &'a mut Taken,
    pub(super) entry: &'a mut Entry,
}

/// Why a request has no person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unapproved {
    #[error("a person said no")]
    Denied,
    #[error("no person answered in time")]
    TimedOut,
    #[error("no person can be asked here")]
    Nobody,
}

impl Unapproved {
    /// For the record.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Denied => "approval_denied",
            Self::TimedOut => "approval_timed_out",
            Self::Nobody => "approval_impossible",
        }
    }

    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Denied => "Do not send it again. Do it another way, or ask the operator.",
            Self::TimedOut => {
                "A person did not answer. Tell the operator, who sees such requests in `nexus approvals`, and send it again then; with `Prefer: respond-async` you need not wait for the answer."
            }
            Self::Nobody => {
                "This proxy has no gateway at which somebody could say yes. Do it another way, or ask the operator."
            }
        }
    }
}

/// A body as far as it was looked at.
struct Seen {
    body: Body,
    /// Of all of it, where all of it has come.
    hash: Option<[u8; 32]>,
}

impl Worker {
    /// Waits for a person's word about every rule that wants one, and decides anew after each. What is decided then is what goes on: the
    /// request is the one that was shown, as its target can't change and its body is held here.
    pub(super) async fn when_approved(
        &self,
        mut route: Route,
        mut ruling: Ruling,
        mut pending: Pending<'_>,
    ) -> Result<Route, Stop> {
        loop {
            let known = |rule: &Rule| rule.reports() || pending.taken.approved.contains(&rule.digest());
            let Some(rule) = ruling.approvals.iter().find(|rule| !known(rule)).map(Arc::clone) else { return Ok(route) };
            if matches!(route, Route::Refuse(_)) {
                return Ok(route);
            }
            let Inquiry { arrived, agent, .. } = pending.inquiry;
            let aim = self.aim(&route, pending.inquiry);
            let connection = aim.connection.as_ref();
            let form = in_place(&arrived.target.method, pending.inquiry.headers, pending.incoming.as_ref());
            let passing = Passing { agent, rule: &rule, target: &arrived.target, connection, form };
            let approved = match self.proxy.approvals.granted(&passing, SystemTime::now()) {
                Some(approved) => approved,
                None => {
                    let approved = self.ask(&passing, (&route, &aim), &mut pending).await?;
                    // Time has passed.
                    Decision { route, ruling, .. } = self.decide_again(&mut pending)?;
                    approved
                }
            };
            pending.taken.approved.push(rule.digest());
            pending.entry.approved(noted(&approved));
        }
    }

    /// A person's yes to this one request.
    async fn ask(&self, passing: &Passing<'_>, leads: (&Route, &Aim), pending: &mut Pending<'_>) -> Result<Approved, Stop> {
        let (approvals, headers) = (&self.proxy.approvals, pending.inquiry.headers);
        let head = print(passing, headers);
        let later = !pending.upgrade && prefers_async(headers);
        let needs_all = later || approvals.expects(passing.agent, head);
        let Seen { body, hash } = self.see(pending, needs_all).await?;
        let whole = hash.filter(|_| needs_all).map(|hash| head.with(&hash));
        if let Some(whole) = whole {
            match approvals.collect(passing, whole, SystemTime::now()) {
                Some(Found::Allowed(approved)) => return Ok(approved),
                Some(Found::Waiting(shown)) if later => return accepted(&shown, pending.entry).await,
                Some(Found::Waiting(_)) | None => {}
            }
        }
        let question = question(passing, leads, headers, (body, pending.entry));
        let id = pending.entry.id();
        match whole.filter(|_| later) {
            Some(whole) => {
                let shown = approvals.ask_later(id.as_str(), question, (head, whole));
                let shown = shown.map_err(|why| refused(why, passing.rule))?;
                accepted(&shown, pending.entry).await
            }
            None => self.wait(question, pending).await.map_err(Stop::from),
        }
    }

    /// Waits until somebody has answered; the request's caller may leave meanwhile.
    async fn wait(&self, question: Question, pending: &mut Pending<'_>) -> Result<Approved, Refusal> {
        let (agent, rule) = (Arc::clone(&question.agent), Arc::clone(&question.rule));
        let held = self.proxy.approvals.hold(pending.entry.id().as_str(), question);
        let mut held = held.map_err(|why| refused(why, &rule))?;
        pending.entry.note("held");
        let (mut draining, begun) = (self.proxy.draining.clone(), Instant::now());
        let word = tokio::select! {
            word = held.word() => Ok(word),
            () = self.proxy.until_unknown(&agent) => Err(self.proxy.why_unknown(&agent)),
            _stopped = draining.wait_for(|draining| *draining) => Err(Refusal::Draining),
        };
        pending.entry.waited(begun.elapsed());
        match word? {
            Word::Allowed(approved) => Ok(approved),
            Word::Denied => Err(Refusal::Unapproved { rule, why: Unapproved::Denied }),
            Word::TimedOut => Err(Refusal::Unapproved { rule, why: Unapproved::TimedOut }),
        }
    }

    /// Looks at the beginning of the body, or at `all` of it; what was read is kept for the service.
    async fn see(&self, pending: &mut Pending<'_>, all: bool) -> Result<Seen, Refusal> {
        let headers = pending.inquiry.headers;
        let mut seen = Seen { body: stated(headers, pending.incoming.as_ref()), hash: None };
        if pending.upgrade {
            // What follows is no body.
            seen.show(View::none("it becomes another protocol"));
            return Ok(seen);
        }
        if headers.contains_key(EXPECT) && !all {
            seen.show(View::none("it comes only once the request may go on"));
            return Ok(seen);
        }
        let settings = &self.proxy.settings;
        let (limit, patience) = if all { (settings.content, settings.idle_timeout) } else { (READ, BEGINNING) };
        let mut inflow = pending.incoming.take().ok_or(Refusal::Draining)?;
        let mut whole = matches!(inflow, Inflow::Whole(_));
        if !whole {
            let mut room = self.room(&pending.inquiry.agent.label);
            let mut read = Zeroizing::new(Vec::new());
            let gathered = timeout(patience, gather_into(&mut read, &mut inflow, limit, &mut room)).await;
            inflow = inflow.with_first(held(read, room));
            whole = match gathered {
                Ok(Ok(())) => true,
                // There is more than is looked at, or it comes later.
                Err(_elapsed) => false,
                Ok(Err(Refusal::Content(ContentError::TooLarge) | Refusal::Limit(_))) => false,
                Ok(Err(broken)) => {
                    *pending.incoming = Some(inflow);
                    return Err(broken);
                }
            };
        }
        seen.look(headers, inflow.at_hand(), whole);
        *pending.incoming = Some(inflow);
        Ok(seen)
    }
}

impl Seen {
    fn look(&mut self, headers: &HeaderMap, read: &[u8], whole: bool) {
        if whole {
            let hash: [u8; 32] = Sha256::digest(read).into();
            self.hash = Some(hash);
            (self.body.size, self.body.sha256) = (Some(read.len() as u64), Some(hex(&hash)));
        }
        let encoded = headers.contains_key(CONTENT_ENCODING) && !read.is_empty();
        self.show(if encoded {
            View::none("it is compressed")
        } else {
            View::of(self.body.content_type.as_deref(), read, whole)
        });
    }

    fn show(&mut self, View { text, cut, note, decoded }: View) {
        (self.body.preview, self.body.cut, self.body.note, self.body.decoded) = (text, cut, note, decoded);
    }
}

fn refused(why: NotAsked, rule: &Arc<Rule>) -> Refusal {
    match why {
        NotAsked::Nobody => Refusal::Unapproved { rule: Arc::clone(rule), why: Unapproved::Nobody },
        NotAsked::Crowded => Refusal::Limit("requests that wait for a person's word"),
    }
}

fn noted(approved: &Approved) -> Approval {
    let how = match approved.how {
        How::Once => "once",
        How::Grant => "grant",
    };
    Approval { how, id: approved.id.to_string(), by: approved.by.to_string(), at: approved.at }
}
