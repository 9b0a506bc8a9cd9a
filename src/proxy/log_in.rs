//! A person's log-in through a program: it goes to the service as the program sent it, and the tokens that come back stay here. They become a
//! new connection of that agent, which waits for a person's approval; the program gets placeholders.

mod error;
mod stored;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

pub(super) use error::LogInError;
use stored::{connection, fittest, no_use, not_stored, usable};

use super::body::{Peeked, ResponseBody};
use super::captures::Capturing;
use super::choose::{Inquiry, unreadable};
use super::exchange::{Stepped, Stop, Way};
use super::forward::Sending;
use super::load::Room;
use super::outbound::of_log_in;
use super::refusal::Refusal;
use super::replay::{Inflow, Replay, RequestBody};
use super::waiting::{Held, Reply};
use super::worker::Worker;
use crate::audit::{Entry, Verdict};
use crate::decide::{Answering, LogIns, Route};
use crate::model::{AgentName, ConnectionId};
use crate::oauth::{Asked, GRANTED_LIMIT, Granted, Login, Odd, StandIns, mentions_token, read_granted};
use crate::provider::{Occasion, Provider, TokenResponse};
use crate::upstream::Sent;
use crate::vault::{Captured, PendingBound};

/// Such answers come at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether it is a log-in for certain; a request that nobody can read may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sure(pub(super) bool);

/// A log-in on its way.
pub(super) struct LogIn {
    pub(super) answering: Vec<Answering>,
    pub(super) route: Route,
    pub(super) log_ins: LogIns,
    pub(super) asked: Asked,
    pub(super) sure: Sure,
    /// The caller's stream is HTTP/1.1: it can't be told to stop sending.
    pub(super) linger: bool,
}

/// What the service's status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// 2xx, and whether it was a log-in for certain.
    Success(bool),
    /// All else: no error has a token.
    Failure,
}

/// The service's answer as far as it was read, and whether that is all of it.
pub(super) struct Heard {
    pub(super) peeked: Peeked,
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) whole: Result<(), &'static str>,
}

impl Worker {
    /// Sends the log-in, and stops with placeholders for the tokens that come back, which are on disk by then. An answer without tokens
    /// goes on as it came.
    pub(super) async fn log_in(
        self: &Rc<Self>,
        log_in: LogIn,
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        entry: &mut Entry,
    ) -> Result<Box<Stepped>, Stop> {
        let owner = self.owner(inquiry.agent);
        let _capturing = if log_in.sure == Sure(true) { Some(self.may_log_in(&log_in, &owner)?) } else { None };
        let stripped = self.stripped_of(&log_in)?;
        let outbound = of_log_in(
            inquiry.arrived,
            inquiry.headers,
            inquiry.agent,
            stripped.as_ref().and_then(Way::stripped).map(|all| &**all),
        )?;
        entry.verdict(Verdict::Pass);
        log_in.answering.first().into_iter().for_each(|(provider, _)| entry.provider(&provider.id));
        let opened = entry.open().await.map_err(Refusal::from)?;
        let incoming = incoming.take().ok_or(Refusal::Draining)?;
        let replay = Rc::new(Replay::keep(incoming, self.proxy.settings.replay_memory, None));
        let sending = Sending::new(&outbound, inquiry.agent, &replay, &opened);
        let forwarded = self.forward(&sending, None).await;
        sending.resent.take().into_iter().for_each(|why| entry.note(why));
        let mut sent = forwarded.map_err(|error| {
            replay.finish(log_in.linger);
            replay.fault().map_or(Refusal::from(error), Refusal::from)
        })?;
        replay.stands();
        let heard = self.hear(&mut sent, &inquiry.agent.label).await;
        let Some(login) = self.granted(&log_in, &sent, &heard).transpose() else {
            return Ok(Stepped::plain(sent, heard.peeked, replay, inquiry.agent));
        };
        ended(entry, &sent, (&replay, log_in.linger));
        let login = login?;
        if replay.sent() {
            sent.lease.release();
        }
        let response = self.keep(&log_in, (login, sent.response.status()), inquiry, (owner, entry)).await?;
        Err(Stop::Answered(Box::new(response)))
    }

    /// What can be said before the service hears of it: a code that was spent for nothing can't be spent again.
    fn may_log_in(&self, log_in: &LogIn, owner: &AgentName) -> Result<Capturing<'_>, Refusal> {
        if log_in.log_ins == LogIns::Refuse {
            return Err(LogInError::Refused.into());
        }
        let Some((provider, _)) = usable(&log_in.answering).next() else { return Err(no_use(&log_in.answering).into()) };
        self.may_capture(provider, owner, |taken| LogInError::TooMany(taken).into())
    }

    /// Room for one more connection of `owner` that waits for approval, kept until what is returned is dropped.
    pub(super) fn may_capture(
        &self,
        provider: &Provider,
        owner: &AgentName,
        too_many: impl FnOnce(usize) -> Refusal,
    ) -> Result<Capturing<'_>, Refusal> {
        let waiting = || {
            let listed = self.proxy.broker.connections_of(&provider.id).map_err(unreadable)?;
            Ok(listed.moment.waiting(owner, SystemTime::now()))
        };
        self.proxy.captures.begin(owner, self.proxy.settings.pending_log_ins, waiting, too_many)
    }

    /// What nobody can read goes on as its route says, so the slots of a registered provider are stripped from it.
    fn stripped_of(&self, log_in: &LogIn) -> Result<Option<Way>, Refusal> {
        match &log_in.route {
            Route::Strip(occupants) if log_in.sure == Sure(false) => self.strip_only(Arc::clone(occupants)).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads the answer, up to a bound.
    async fn hear(&self, sent: &mut Sent<RequestBody>, agent: &Arc<str>) -> Heard {
        self.hear_after(Peeked::new(), sent, agent).await
    }

    /// The same behind what was read already.
    pub(super) async fn hear_after(&self, peeked: Peeked, sent: &mut Sent<RequestBody>, agent: &Arc<str>) -> Heard {
        let mut room = self.room(agent);
        let mut heard = Heard { peeked: Peeked::new(), body: Zeroizing::new(Vec::new()), whole: Ok(()) };
        peeked.into_iter().for_each(|frame| heard.take(frame, &mut room));
        let deadline = Instant::now() + self.proxy.settings.idle_timeout.min(PATIENCE);
        let body = sent.response.body_mut();
        while heard.whole.is_ok() && !body.is_end_stream() {
            match timeout_at(deadline, body.frame()).await {
                Ok(Some(frame)) => heard.take(frame, &mut room),
                Ok(None) => break,
                Err(_elapsed) => heard.whole = Err("not there in time"),
            }
        }
        heard
    }

    /// The tokens in it; `None` where it is an answer like others.
    fn granted(&self, log_in: &LogIn, sent: &Sent<RequestBody>, heard: &Heard) -> Result<Option<Box<Login>>, LogInError> {
        let (headers, sure) = (sent.response.headers(), log_in.sure == Sure(true));
        let answer = if sent.response.status().is_success() { Answer::Success(sure) } else { Answer::Failure };
        if headers.get(LOCATION).is_some_and(|location| mentions_token(location.as_bytes())) {
            return Err(LogInError::Unread("a redirection with a token"));
        }
        let read = match heard.whole {
            _ if is_encoded(headers) => Err(LogInError::Unread("compressed")),
            Err(why) => Err(LogInError::Unread(why)),
            Ok(()) => read_granted(headers.get(CONTENT_TYPE), &heard.body, SystemTime::now()).map_err(LogInError::Kept),
        };
        match read {
            Ok(Granted::Nothing) => Ok(None),
            Ok(Granted::Tokens(_)) if answer == Answer::Failure => Err(LogInError::Kept(Odd::TokensAndError)),
            Ok(Granted::Tokens(_)) if log_in.log_ins == LogIns::Refuse => Err(LogInError::Refused),
            Ok(Granted::Tokens(login)) => Ok(Some(login)),
            Err(error) if error.is_of_no_log_in(answer) && !mentions_token(&heard.body) => Ok(None),
            Err(LogInError::Kept(Odd::Format | Odd::Unknown) | LogInError::Unread(_)) if answer == Answer::Failure => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the connection, and makes what the caller gets.
    async fn keep(
        &self,
        log_in: &LogIn,
        (login, status): (Box<Login>, StatusCode),
        inquiry: &Inquiry<'_>,
        (owner, entry): (AgentName, &mut Entry),
    ) -> Result<Response<ResponseBody>, Refusal> {
        if !self.proxy.still_known(inquiry.agent) {
            return Err(Refusal::UnknownAgent);
        }
        let scope = login.scope.as_deref().or(log_in.asked.scope.as_deref()).unwrap_or_default();
        let Some((provider, response)) = fittest(&log_in.answering, scope) else {
            return Err(no_use(&log_in.answering).into());
        };
        let target = &inquiry.arrived.target;
        let told = |name: &str| login.member(name).map(str::to_owned);
        let named = response.named_fields(&target.authority.host, target.path.path(), &told);
        let now = SystemTime::now();
        let until = now.checked_add(self.proxy.settings.log_in_wait);
        let user = inquiry.agent.user.clone();
        let whose = Captured { agent: owner.clone(), user, until, since: Some(now), made_with: None };
        let captured = connection(provider, (&login, &log_in.asked), named, whose);
        // Made beforehand: nothing is stored whose answer can't be given.
        let answer = |id: &ConnectionId| self.placeholders_for(response, &login, (&owner, now), id);
        answer(&ConnectionId::new(provider.id.clone(), None))?;
        let bound = PendingBound(self.proxy.settings.pending_log_ins);
        let id = self.proxy.broker.capture(captured, bound).await.map_err(not_stored)?;
        tracing::info!(connection = %id, "a program's log-in waits for approval");
        let (text, kind) = answer(&id)?;
        let reply = Reply { status: status.as_u16(), text, kind };
        let reply = match self.poller(&log_in.asked, inquiry.agent) {
            Some(poller) => {
                let held = Held { id: id.clone(), reply, poll_status: response.poll_status, until, gone: false };
                self.proxy.waiting.hold(poller, held, SystemTime::now())
            }
            None => reply,
        };
        entry.provider(&provider.id);
        entry.connection(&id);
        entry.note("captured");
        entry.status(reply.status);
        entry.received(reply.text.len() as u64);
        Ok(reply.into_response())
    }

    /// The service's answer with placeholders of `owner` for the connection `id`.
    fn placeholders_for(
        &self,
        response: &TokenResponse,
        login: &Login,
        (owner, since): (&AgentName, SystemTime),
        id: &ConnectionId,
    ) -> Result<(String, &'static str), LogInError> {
        let tail = self.proxy.placeholders.tail_since(owner, id, Some(since));
        let [access_token, refresh_token] = response.stand_ins(&Occasion {
            tail: &tail,
            now: SystemTime::now(),
            scope: None,
            renewable: true,
            refresh_token: None,
            exchanged: false,
            fields: &|_name| None,
            hosts: &[],
        });
        let signature = |algorithm: &str| TokenResponse::no_signature(algorithm, &tail);
        let stand_ins =
            StandIns { access_token: &access_token, refresh_token: &refresh_token, other: &tail, signature: &signature };
        login.answer(&stand_ins).map_err(LogInError::Kept)
    }
}

impl Heard {
    fn take(&mut self, frame: Result<Frame<Bytes>, crate::upstream::BodyError>, room: &mut Room) {
        match &frame {
            Ok(frame) => {
                let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
                self.body.extend_from_slice(data);
                if !room.grow(data.len()) || self.body.len() > GRANTED_LIMIT {
                    self.whole = Err("too large");
                }
            }
            Err(_broken) => self.whole = Err("broken off"),
        }
        self.peeked.push_back(frame);
    }
}

/// Notes what the service's side was, whose answer goes no further.
pub(super) fn ended(entry: &mut Entry, sent: &Sent<RequestBody>, (replay, linger): (&Replay, bool)) {
    entry.dialled(sent.address);
    entry.upstream_http(if sent.http2 { http::Version::HTTP_2 } else { http::Version::HTTP_11 });
    entry.sent(replay.received());
    replay.finish(linger);
}

pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    !headers.get_all(CONTENT_ENCODING).iter().all(plain)
}
