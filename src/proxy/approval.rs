//! Requests that a rule wants a person's word about: they wait for it, or their programs come back for it. Nothing of them has left by then,
//! and they hold no connection to the service.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, EXPECT, HOST, LOCATION,
    PROXY_AUTHORIZATION, RETRY_AFTER, TE, TRAILER, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::body::ResponseBody;
use super::choose::{Inquiry, hide_secrets};
use super::content::{ContentError, gather_into, held};
use super::exchange::Stop;
use super::refusal::Refusal;
use super::replay::Inflow;
use super::ruled::Taken;
use super::worker::Worker;
use crate::agent::hex;
use crate::approval::{Approved, Body, Found, How, NotAsked, Passing, Print, Question, READ, Shown, State, View, Word};
use crate::audit::{Approval, Entry, Verdict};
use crate::decide::{Decision, Route};
use crate::policy::Rule;

/// RFC 7240 §3.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// So that no program takes our 202 for the service's.
const NEXUS_APPROVAL: HeaderName = HeaderName::from_static("nexus-approval");
/// How long the beginning of a body is waited for, so that a person sees some of it.
const BEGINNING: Duration = Duration::from_secs(2);

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
    pub(super) async fn when_approved(&self, decision: Decision, mut pending: Pending<'_>) -> Result<Route, Stop> {
        let Decision { mut route, mut ruling } = decision;
        loop {
            let known = |rule: &Rule| rule.reports() || pending.taken.approved.contains(&rule.digest());
            let Some(rule) = ruling.approvals.iter().find(|rule| !known(rule)).map(Arc::clone) else { return Ok(route) };
            if matches!(route, Route::Refuse(_)) {
                return Ok(route);
            }
            let Inquiry { arrived, agent, .. } = pending.inquiry;
            let passing = Passing { agent, rule: &rule, target: &arrived.target };
            let approved = match self.proxy.approvals.granted(&passing, SystemTime::now()) {
                Some(approved) => approved,
                None => {
                    let approved = self.ask(&passing, &route, &mut pending).await?;
                    // Time has passed.
                    Decision { route, ruling } = self.decide_again(&mut pending)?;
                    approved
                }
            };
            pending.taken.approved.push(rule.digest());
            pending.entry.approved(noted(&approved));
        }
    }

    /// A person's yes to this one request.
    async fn ask(&self, passing: &Passing<'_>, route: &Route, pending: &mut Pending<'_>) -> Result<Approved, Stop> {
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
        let question = question(passing, route, (body, pending.entry));
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
        let mut draining = self.proxy.draining.clone();
        let word = tokio::select! {
            word = held.word() => word,
            () = self.proxy.until_unknown(&agent) => return Err(self.proxy.why_unknown(&agent)),
            _stopped = draining.wait_for(|draining| *draining) => return Err(Refusal::Draining),
        };
        match word {
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

    fn show(&mut self, View { text, cut, note }: View) {
        (self.body.preview, self.body.cut, self.body.note) = (text, cut, note);
    }
}

/// What the head says of the body.
fn stated(headers: &HeaderMap, incoming: Option<&Inflow>) -> Body {
    let kind = headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let kind = kind.map(|kind| kind.chars().filter(|letter| matches!(letter, ' '..='~')).take(100).collect());
    Body { content_type: kind, size: incoming.and_then(Inflow::length), ..Body::default() }
}

/// Fields that say nothing of what a request does, or what its target and body say already.
const VOLATILE: [HeaderName; 16] = [
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    EXPECT,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    USER_AGENT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];

/// All of a request but its body, by which it is known when it is sent again. Any other field may choose an account, an action or a target.
fn print(passing: &Passing<'_>, headers: &HeaderMap) -> Print {
    let mut fields: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(name, _)| !VOLATILE.contains(name))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    // Values of one name stay in their order.
    fields.sort_by_key(|(name, _)| *name);
    let parts: Vec<&[u8]> = fields.iter().flat_map(|(name, value)| [name.as_bytes(), value]).collect();
    Print::of(passing.target, &parts)
}

fn question(passing: &Passing<'_>, route: &Route, (body, entry): (Body, &mut Entry)) -> Question {
    let Passing { agent, rule, target } = passing;
    let named = match route {
        Route::Inject(named) => Some(named),
        Route::Mint(minting) => Some(&minting.named),
        Route::Pass | Route::Strip(_) | Route::TokenEndpoint(_) | Route::Refuse(_) => None,
    };
    named.into_iter().for_each(|named| hide_secrets(named, target, entry));
    Question {
        agent: Arc::clone(agent),
        rule: Arc::clone(rule),
        target: (*target).clone(),
        path: entry.shown_path(),
        provider: named.map(|named| named.provider.title.clone()),
        body,
    }
}

/// RFC 7240 §4.1: the caller would rather come back.
fn prefers_async(headers: &HeaderMap) -> bool {
    let wants = |preference: &[u8]| {
        let name = preference.split(|byte| matches!(byte, b';' | b'=')).next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"respond-async")
    };
    headers.get_all("prefer").iter().any(|value| value.as_bytes().split(|byte| *byte == b',').any(wants))
}

/// 202: a person is asked, and the caller comes back for the answer.
async fn accepted(shown: &Shown, entry: &mut Entry) -> Result<Approved, Stop> {
    let text = format!("{}\n", standing(shown));
    entry.verdict(Verdict::Answer);
    entry.note("approval_asked");
    entry.status(StatusCode::ACCEPTED.as_u16());
    entry.received(text.len() as u64);
    entry.open().await?;
    let mut response = Response::new(ResponseBody::full(text));
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("respond-async"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    for (name, value) in [(LOCATION, status_url(shown)), (NEXUS_APPROVAL, shown.id.clone())] {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    Err(Stop::Answered(Box::new(response)))
}

fn status_url(shown: &Shown) -> String {
    format!("http://nexus.internal/approvals/{}", shown.id)
}

/// What the program that asked is told of its question: how it stands and what to do, and not who answers.
pub(super) fn standing(shown: &Shown) -> Value {
    let detail = match shown.status {
        State::Waiting => {
            "A person is asked. Look here again in a few seconds; once it is allowed, send the same request again."
        }
        State::Allowed => "A person said yes: send the same request again now. It goes on once, if nothing in it was changed.",
        State::Denied => "A person said no. Do not send it again.",
        State::TimedOut => "Nobody answered in time. Tell the operator before you send it again.",
        State::Left => "It was not sent again in time.",
        State::Used => "It was sent again, and went on.",
    };
    json!({
        "id": shown.id,
        "status": shown.status,
        "title": shown.title,
        "rule": shown.rule,
        "detail": detail,
        "expires_at": shown.expires_at,
        "status_url": status_url(shown),
    })
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
