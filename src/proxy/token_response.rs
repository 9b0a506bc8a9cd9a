//! Answers a program that asks a token endpoint for a token of its own: a worthless one of the right shape. Nothing leaves for it. What is a
//! person's log-in goes on, by `log_in.rs`.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, PRAGMA};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::body::ResponseBody;
use super::choose::{Inquiry, find_in, may_use, unreadable};
use super::content::{ContentError, gather_into, held};
use super::door::NEXUS_CONNECTION;
use super::exchange::{Stepped, Stop};
use super::log_in::{LogIn, Sure};
use super::placeholders::Meaning;
use super::refusal::Refusal;
use super::replay::Inflow;
use super::waiting::{Polled, Poller, Standing};
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::{Entry, Verdict};
use crate::broker::Moment;
use crate::decide::{Answering, Fitting, LogIns, Route, Unregistered, preferred};
use crate::model::ConnectionId;
use crate::oauth::{Asked, AskedGrant, InvalidRequest, read_request};
use crate::provider::{Occasion, Provider, Shape, TokenResponse};
use crate::vault::{OwnConnection, OwnConnections};

/// Token requests are short; one with a signed assertion or two is not this long.
const LIMIT: usize = 64 * 1024;
/// Their bodies come at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A provider that may answer, and its connections that fit agent and host.
struct Candidate {
    provider: Arc<Provider>,
    response: usize,
    fitting: Fitting,
    /// Those of agents' own log-ins, which only a request that names one is answered for.
    own: OwnConnections,
}

impl Candidate {
    fn response(&self) -> Option<&TokenResponse> {
        self.provider.token_responses.get(self.response)
    }
}

/// What may be answered here, as the vault stood when the request came.
pub(super) struct Asking<'a> {
    pub(super) answering: &'a [Answering],
    candidates: Vec<Candidate>,
    pub(super) moment: Arc<dyn Moment>,
    /// Whether the request goes on to the service where nobody answers it here.
    pub(super) open: bool,
    /// What happens to log-ins here.
    pub(super) log_ins: LogIns,
}

/// A request to a token endpoint, until it is answered or goes on.
type Telling<'a> = Pin<Box<dyn Future<Output = Result<Option<Box<Stepped>>, Stop>> + 'a>>;

/// What became of a request to a token endpoint.
enum Told {
    /// It goes on as its route says.
    GoesOn,
    Answered(Response<ResponseBody>),
    /// It goes on, and its answer is read.
    LogIn(Asked, Sure),
}

impl Worker {
    /// What is to be waited for where `route` leads to a place at which credentials are given. It is rare, and its state is large: on the heap.
    pub(super) fn at_token_endpoint<'a>(
        self: &'a Rc<Self>,
        route: &'a Route,
        inquiry: &'a Inquiry<'_>,
        incoming: &'a mut Option<Inflow>,
        on_record: (&'a mut Entry, bool),
    ) -> Option<Telling<'a>> {
        if let Route::Mint(minting) = route {
            let (minting, (entry, linger)) = (minting.clone(), on_record);
            return Some(Box::pin(self.outlive(inquiry, (incoming, entry), move |mut lent| async move {
                let (worker, (inquiry, incoming, entry)) = (Rc::clone(&lent.worker), lent.parts());
                let made = Box::pin(worker.mint(&minting, &inquiry, incoming, (entry, linger))).await;
                (made, lent)
            })));
        }
        let (rules, target) = (self.proxy.rules.load(), &inquiry.arrived.target);
        let answering = rules.token_responses(target, inquiry.agent, route);
        if answering.is_empty() {
            let about = rules.about_tokens(target, inquiry.agent, route);
            let (entry, _linger) = on_record;
            return match about.is_empty() {
                true => None,
                false => {
                    Some(Box::pin(async move { self.answer_about_token((&about, route), inquiry, incoming, entry).await }))
                }
            };
        }
        Some(Box::pin(async move { self.answer_token_request((&answering, route), inquiry, incoming, on_record).await }))
    }

    /// Stops with the answer where the route leads to a token endpoint, the agent has a connection behind it, and the body asks for a token
    /// that a program gets by itself; a person's log-in is sent, and its answer read. Else all goes on as if nobody answered here; a body
    /// that was read is whole then.
    async fn answer_token_request(
        self: &Rc<Self>,
        (answering, route): (&[Answering], &Route),
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        (entry, linger): (&mut Entry, bool),
    ) -> Result<Option<Box<Stepped>>, Stop> {
        let Some(asking) = self.asking(answering, route, inquiry)? else { return Ok(None) };
        match self.answer_instead(&asking, inquiry, incoming, entry).await? {
            Told::GoesOn => Ok(None),
            Told::Answered(response) => Err(Stop::Answered(Box::new(response))),
            Told::LogIn(asked, sure) => {
                let log_in =
                    LogIn { answering: answering.to_vec(), route: route.clone(), log_ins: asking.log_ins, asked, sure, linger };
                self.outlive(inquiry, (incoming, entry), move |mut lent| async move {
                    let (worker, (inquiry, incoming, entry)) = (Rc::clone(&lent.worker), lent.parts());
                    let logged_in = Box::pin(worker.log_in(log_in, &inquiry, incoming, entry)).await;
                    (logged_in.map(Some), lent)
                })
                .await
            }
        }
    }

    /// What may be answered, by one look at the vault: connections are many, and each look is a system call. `None` where there is no
    /// connection that the agent may use, and log-ins are requests like others.
    fn asking<'a>(
        &self,
        answering: &'a [Answering],
        route: &Route,
        inquiry: &Inquiry<'_>,
    ) -> Result<Option<Asking<'a>>, Refusal> {
        let Some((first, _)) = answering.first() else { return Ok(None) };
        let moment = self.proxy.broker.connections_of(&first.id).map_err(unreadable)?.moment;
        let candidates = candidates(answering, inquiry, &*moment);
        let rules = self.proxy.rules.load();
        let open = self.is_open(route, &*moment);
        let log_ins = rules.log_ins(route, answering);
        let nothing = candidates.is_empty() && log_ins == LogIns::Pass;
        Ok((!nothing).then_some(Asking { answering, candidates, moment, open, log_ins }))
    }

    /// Whether the request goes on to the service where nobody answers it here.
    pub(super) fn is_open(&self, route: &Route, moment: &dyn Moment) -> bool {
        let passes = || self.proxy.rules.load().settings().unregistered == Unregistered::Pass;
        match route {
            Route::Pass | Route::Strip(_) => true,
            Route::TokenEndpoint(owners) => passes() && owners.iter().all(|one| moment.connections(&one.id).is_empty()),
            Route::Inject(_) | Route::Mint(_) | Route::Refuse(_) => false,
        }
    }

    /// The answer, which is in the log by then.
    async fn answer_instead(
        &self,
        asking: &Asking<'_>,
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        entry: &mut Entry,
    ) -> Result<Told, Refusal> {
        if let Err(refusal) = self.take_short(incoming, inquiry, asking.open).await {
            // Without a connection it would pass, so it does.
            let odd = matches!(refusal, Refusal::Content(ContentError::LongTokenRequest | ContentError::Late));
            let body = incoming.as_ref().map(Inflow::at_hand).unwrap_or_default();
            return if asking.open && odd { self.goes_on(asking, inquiry, body, None) } else { Err(refusal) };
        }
        let body = incoming.as_ref().map(Inflow::at_hand).unwrap_or_default();
        let asked = read_request(inquiry.arrived.target.path.query(), inquiry.headers, body);
        if asking.log_ins != LogIns::Pass && asked.as_ref().is_ok_and(|asked| asked.grant == AskedGrant::Other) {
            let again = asked.as_ref().ok().and_then(|asked| self.asked_again(asking, asked, inquiry.agent));
            return match again {
                Some(polled) => self.tell_again(polled, entry).await.map(Told::Answered),
                None => self.goes_on(asking, inquiry, body, asked.ok()),
            };
        }
        let Some((candidate, connection)) = self.meant(asking, inquiry, body)? else {
            return self.goes_on(asking, inquiry, body, asked.ok());
        };
        let Some(response) = candidate.response() else { return Ok(Told::GoesOn) };
        let asked = match response.shape {
            Shape::GithubApp => Ok(Asked { grant: AskedGrant::Machine, ..Asked::default() }),
            Shape::OAuth2 => asked,
        };
        let (status, document) = match asked {
            Ok(asked) if asked.grant == AskedGrant::Other => return self.goes_on(asking, inquiry, body, Some(asked)),
            Err(_odd) if asking.open => return self.goes_on(asking, inquiry, body, None),
            Ok(asked) => (response.shape.status(), self.document(asking, (candidate, connection), inquiry.agent, &asked)),
            Err(invalid) => (400, Some(invalid_request(invalid))),
        };
        let Some(document) = document else { return Ok(Told::GoesOn) };
        entry.provider(&candidate.provider.id);
        entry.connection(connection);
        entry.verdict(Verdict::Answer);
        entry.note(if status == 400 { "invalid_request" } else { "token_response" });
        let text = document.to_string();
        entry.status(status);
        entry.received(text.len() as u64);
        entry.open().await?;
        Ok(Told::Answered(token_reply(status, text, "application/json")))
    }

    /// What a program is told that asks again for a log-in by device code which has been captured; `None` for every other.
    fn asked_again(&self, asking: &Asking<'_>, asked: &Asked, agent: &Agent) -> Option<Polled> {
        let poller = self.poller(asked, agent)?;
        self.proxy.waiting.poll(poller, |id| {
            let own = asking.moment.own(id.provider());
            match own.iter().find(|own| own.id == *id) {
                Some(own) if own.pending => Standing::Pending,
                Some(_approved) => Standing::Approved,
                None => Standing::Gone,
            }
        })
    }

    /// Who asks by device code, if it is one.
    pub(super) fn poller(&self, asked: &Asked, agent: &Agent) -> Option<Poller> {
        let code = asked.device_code.as_ref()?;
        Some(Poller::new(&self.owner(agent), agent.user.as_ref(), code))
    }

    async fn tell_again(&self, polled: Polled, entry: &mut Entry) -> Result<Response<ResponseBody>, Refusal> {
        let Polled { id, reply, word } = polled;
        entry.provider(id.provider());
        entry.connection(&id);
        entry.verdict(Verdict::Answer);
        entry.note(word);
        entry.status(reply.status);
        entry.received(reply.text.len() as u64);
        entry.open().await?;
        Ok(reply.into_response())
    }

    /// No answer: the request goes on as its route says, or as a log-in. `asked` is `None` where nobody can tell what it asks for. A
    /// placeholder of those who answer here is not for the service to see, in what is at hand of the body neither.
    fn goes_on(&self, asking: &Asking<'_>, inquiry: &Inquiry<'_>, body: &[u8], asked: Option<Asked>) -> Result<Told, Refusal> {
        let told = match asked {
            _ if asking.log_ins == LogIns::Pass => Told::GoesOn,
            Some(asked) if matches!(asked.grant, AskedGrant::Other | AskedGrant::Password) => Told::LogIn(asked, Sure(true)),
            // What it buys a token with is the caller's own, as the token is then.
            Some(_program) => Told::GoesOn,
            None if asking.open => Told::LogIn(Asked::default(), Sure(false)),
            None => Told::GoesOn,
        };
        if !asking.open && matches!(told, Told::GoesOn) {
            return Ok(told);
        }
        self.no_placeholder((asking.answering, &*asking.moment), inquiry, body)?;
        Ok(told)
    }

    /// Refuses what holds a placeholder of one of `answering`.
    pub(super) fn no_placeholder(
        &self,
        (answering, moment): (&[Answering], &dyn Moment),
        inquiry: &Inquiry<'_>,
        body: &[u8],
    ) -> Result<(), Refusal> {
        for (provider, _number) in answering {
            let held = (&moment.connections(&provider.id), &moment.own(&provider.id));
            let known = self.placeholders(inquiry.agent, &provider.id, held);
            if shown(inquiry, body).any(|value| find_in(&|value| known.find(value).map(drop), value).is_some()) {
                return Err(Refusal::TokenEndpoint(provider.title.clone()));
            }
        }
        Ok(())
    }

    /// The connection that `Nexus-Connection` names, that a placeholder in the request means, whose tenant or installation the path names,
    /// or the one that the agent would use. `None` where the agent has several and none is its own.
    fn meant<'c>(
        &self,
        asking: &'c Asking<'_>,
        inquiry: &Inquiry<'_>,
        body: &[u8],
    ) -> Result<Option<(&'c Candidate, &'c ConnectionId)>, Refusal> {
        let Inquiry { agent, headers, .. } = inquiry;
        let candidates = &asking.candidates;
        let all = || candidates.iter().flat_map(|one| one.fitting.all().iter().map(move |connection| (one, connection)));
        let mut wanted = headers.get_all(NEXUS_CONNECTION).iter();
        if let Some(only) = wanted.next() {
            // Two readers could take two different ones.
            let wanted = if wanted.next().is_none() { only.to_str().ok() } else { None };
            let wanted = wanted.and_then(|text| text.parse::<ConnectionId>().ok());
            if let Some(found) = wanted.as_ref().and_then(|wanted| own(candidates, wanted)) {
                return self.own_of(agent, found)?.map(Some).ok_or(Refusal::Connection("that Nexus-Connection names"));
            }
            let ids: Vec<ConnectionId> = all().map(|(_, connection)| connection.clone()).collect();
            let meant = wanted.as_ref().and_then(|wanted| wanted.found_in(&ids));
            let named = all().find(|(_, connection)| meant == Some(*connection));
            return named.map(Some).ok_or(Refusal::Connection("that Nexus-Connection names"));
        }
        for candidate in candidates {
            let ids = asking.moment.connections(&candidate.provider.id);
            let known = self.placeholders(agent, &candidate.provider.id, (&ids, &candidate.own));
            let find = |value: &[u8]| known.find(value).cloned();
            let Some(Meaning { whose, connection: meant }) = shown(inquiry, body).find_map(|value| find_in(&find, value))
            else {
                continue;
            };
            if let Some(found) = own(candidates, &meant) {
                return self.own_of(agent, found)?.map(Some).ok_or(Refusal::Connection("of that placeholder"));
            }
            let theirs = self.may_show(agent, whose.as_ref());
            let found = candidate.fitting.all().iter().find(|connection| **connection == meant).filter(|_| theirs);
            return found.map(|found| Some((candidate, found))).ok_or(Refusal::Connection("of that placeholder"));
        }
        let fitting: Vec<&Fitting> = candidates.iter().map(|one| &one.fitting).collect();
        Ok(preferred(&fitting, agent.user.as_ref())
            .and_then(|(number, connection)| Some((candidates.get(number)?, connection))))
    }

    /// A connection of the agent's own, once it is approved; `None` for another agent's.
    fn own_of<'c>(
        &self,
        agent: &Arc<Agent>,
        (candidate, own): (&'c Candidate, &'c OwnConnection),
    ) -> Result<Option<(&'c Candidate, &'c ConnectionId)>, Refusal> {
        Ok(self.own(agent, own, &candidate.provider)?.map(|_id| (candidate, &own.id)))
    }

    /// Leaves all of the body in `incoming`, which holds secrets of the caller's: an assertion, a client's secret. One that is too long or
    /// too slow is there as well, with what was read of it; at a shut endpoint one that says how long it is stays unread.
    pub(super) async fn take_short(
        &self,
        incoming: &mut Option<Inflow>,
        inquiry: &Inquiry<'_>,
        open: bool,
    ) -> Result<(), Refusal> {
        if !open && declared(inquiry.headers).is_some_and(|length| length > LIMIT as u64) {
            return Err(ContentError::LongTokenRequest.into());
        }
        let (mut body, mut room) = (Zeroizing::new(Vec::new()), self.room(&inquiry.agent.label));
        let mut inflow = incoming.take().ok_or(Refusal::Draining)?;
        let gathering = gather_into(&mut body, &mut inflow, LIMIT, &mut room);
        let patience = self.proxy.settings.idle_timeout.min(PATIENCE);
        let gathered = timeout(patience, gathering).await.unwrap_or_else(|_elapsed| Err(ContentError::Late.into()));
        let read = held(body, room);
        *incoming = Some(if gathered.is_ok() { Inflow::Whole(read) } else { inflow.with_first(read) });
        gathered.map_err(|refusal| match refusal {
            Refusal::Content(ContentError::TooLarge) => ContentError::LongTokenRequest.into(),
            other => other,
        })
    }

    /// `None` where the connection is not there.
    fn document(
        &self,
        asking: &Asking<'_>,
        (candidate, connection): (&Candidate, &ConnectionId),
        agent: &Agent,
        asked: &Asked,
    ) -> Option<Value> {
        let entry = asking.moment.entry(connection)?;
        let fields = |name: &str| entry.fields.field(name);
        let captured = entry.captured.as_ref();
        let whose = captured.map_or(&agent.name, |captured| &captured.agent);
        let since = captured.and_then(|captured| captured.since);
        Some(candidate.response()?.body(&Occasion {
            tail: &self.proxy.placeholders.tail_since(whose, connection, since),
            now: SystemTime::now(),
            scope: asked.scope.as_deref(),
            renewable: matches!(asked.grant, AskedGrant::Renewal | AskedGrant::Password),
            refresh_token: asked.refresh_token.as_deref().map(String::as_str),
            exchanged: asked.grant == AskedGrant::Exchange,
            fields: &fields,
            hosts: &candidate.provider.hosts_of(entry.sealed_hosts(), &fields),
        }))
    }
}

/// Those of `answering` that have a connection which the agent may use, bound to the host that it asks.
fn candidates(answering: &[Answering], inquiry: &Inquiry<'_>, moment: &dyn Moment) -> Vec<Candidate> {
    let (host, path) = (&inquiry.arrived.target.authority.host, inquiry.arrived.target.path.path());
    let candidate = |(provider, number): &Answering| {
        let response = provider.token_responses.get(*number)?;
        let mut fitting = Fitting::default();
        for connection in moment.connections(&provider.id).iter().filter(|id| may_use(inquiry.agent, id)) {
            let Some(entry) = moment.entry(connection) else { continue };
            fitting.add(connection, response, (host, path), &|name| entry.fields.field(name));
        }
        let own = moment.own(&provider.id);
        let fits = !fitting.all().is_empty() || !own.is_empty();
        fits.then(|| Candidate { provider: Arc::clone(provider), response: *number, fitting, own })
    };
    answering.iter().filter_map(candidate).collect()
}

/// The connection `id` where it comes from an agent's own log-in.
fn own<'c>(candidates: &'c [Candidate], id: &ConnectionId) -> Option<(&'c Candidate, &'c OwnConnection)> {
    candidates.iter().find_map(|candidate| Some((candidate, candidate.own.iter().find(|own| own.id == *id)?)))
}

/// Where a token request may hold a placeholder.
fn shown<'a>(inquiry: &'a Inquiry<'_>, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let query = inquiry.arrived.target.path.query().map(str::as_bytes);
    let headers = inquiry.headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    std::iter::once(body).chain(query).chain(headers)
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// RFC 6749 §5.2. Nothing of the request is echoed.
fn invalid_request(why: InvalidRequest) -> Value {
    json!({ "error": "invalid_request", "error_description": why.to_string() })
}

/// RFC 6749 §5.1.
pub(super) fn token_reply(status: u16, text: String, kind: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
