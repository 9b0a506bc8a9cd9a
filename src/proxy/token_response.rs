//! Answers a program that asks a token endpoint for a token of its own: a worthless one of the right shape. Nothing leaves for it.

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
use super::exchange::Stop;
use super::refusal::Refusal;
use super::replay::Inflow;
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::{Entry, Verdict};
use crate::broker::Moment;
use crate::decide::{Answering, Fitting, Route, Unregistered, preferred};
use crate::model::ConnectionId;
use crate::oauth::{Asked, AskedGrant, InvalidRequest, read_request};
use crate::provider::{Occasion, Provider, Shape, TokenResponse};

/// Token requests are short; one with a signed assertion or two is not this long.
const LIMIT: usize = 64 * 1024;
/// Their bodies come at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A provider that may answer, and its connections that fit agent and host.
struct Candidate {
    provider: Arc<Provider>,
    response: usize,
    fitting: Fitting,
}

impl Candidate {
    fn response(&self) -> Option<&TokenResponse> {
        self.provider.token_responses.get(self.response)
    }
}

/// What may be answered here, as the vault stood when the request came.
struct Asking<'a> {
    answering: &'a [Answering],
    candidates: Vec<Candidate>,
    moment: Arc<dyn Moment>,
    /// Whether the request goes on to the service where nobody answers it here.
    open: bool,
}

impl Worker {
    /// Stops with the answer where `route` leads to a token endpoint, the agent has a connection behind it, and the body asks for a token
    /// that a program gets by itself. Else all goes on as if nobody answered here; a body that was read is whole then.
    pub(super) async fn answer_token_request(
        &self,
        route: &Route,
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        entry: &mut Entry,
    ) -> Result<(), Stop> {
        let answering = self.proxy.rules.load().token_responses(&inquiry.arrived.target, inquiry.agent, route);
        let Some(asking) = self.asking(&answering, route, inquiry)? else { return Ok(()) };
        let answer = Box::pin(self.answer_instead(&asking, inquiry, incoming, entry)).await?;
        answer.map_or(Ok(()), |response| Err(Stop::Answered(Box::new(response))))
    }

    /// What may be answered, by one look at the vault: connections are many, and each look is a system call. `None` where there is no
    /// connection that the agent may use.
    fn asking<'a>(
        &self,
        answering: &'a [Answering],
        route: &Route,
        inquiry: &Inquiry<'_>,
    ) -> Result<Option<Asking<'a>>, Refusal> {
        let Some((first, _)) = answering.first() else { return Ok(None) };
        let moment = self.proxy.broker.connections_of(&first.id).map_err(unreadable)?.moment;
        let candidates = candidates(answering, inquiry, &*moment);
        let passes = || self.proxy.rules.load().settings().unregistered == Unregistered::Pass;
        let open = match route {
            Route::Pass | Route::Strip(_) => true,
            Route::TokenEndpoint(owners) => passes() && owners.iter().all(|one| moment.connections(&one.id).is_empty()),
            Route::Inject(_) | Route::Refuse(_) => false,
        };
        Ok((!candidates.is_empty()).then_some(Asking { answering, candidates, moment, open }))
    }

    /// The answer, which is in the log by then.
    async fn answer_instead(
        &self,
        asking: &Asking<'_>,
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        entry: &mut Entry,
    ) -> Result<Option<Response<ResponseBody>>, Refusal> {
        if let Err(refusal) = self.take_short(incoming, inquiry, asking.open).await {
            // Without a connection it would pass, so it does.
            let odd = matches!(refusal, Refusal::Content(ContentError::LongTokenRequest | ContentError::Late));
            return if asking.open && odd { self.pass_on(asking, inquiry, incoming.as_ref()) } else { Err(refusal) };
        }
        let body = incoming.as_ref().map(Inflow::at_hand).unwrap_or_default();
        let Some((candidate, connection)) = self.meant(asking, inquiry, body)? else {
            return self.pass_on(asking, inquiry, incoming.as_ref());
        };
        let Some(response) = candidate.response() else { return Ok(None) };
        let asked = match response.shape {
            Shape::GithubApp => Ok(Asked { grant: AskedGrant::Machine, scope: None, refresh_token: None }),
            Shape::OAuth2 => read_request(inquiry.arrived.target.path.query(), inquiry.headers, body),
        };
        let (status, document) = match asked {
            Ok(Asked { grant: AskedGrant::Other, .. }) => return self.pass_on(asking, inquiry, incoming.as_ref()),
            Err(_odd) if asking.open => return self.pass_on(asking, inquiry, incoming.as_ref()),
            Ok(asked) => (response.shape.status(), self.document(asking, (candidate, connection), inquiry.agent, &asked)),
            Err(invalid) => (400, Some(invalid_request(invalid))),
        };
        let Some(document) = document else { return Ok(None) };
        entry.provider(&candidate.provider.id);
        entry.connection(connection);
        entry.verdict(Verdict::Answer);
        entry.note(if status == 400 { "invalid_request" } else { "token_response" });
        let text = document.to_string();
        entry.status(status);
        entry.received(text.len() as u64);
        entry.open().await?;
        Ok(Some(json_response(status, text)))
    }

    /// No answer: the request goes on as its route says. A placeholder of those who answer here is not for the service to see, in what
    /// is at hand of the body neither.
    fn pass_on<T>(&self, asking: &Asking<'_>, inquiry: &Inquiry<'_>, incoming: Option<&Inflow>) -> Result<Option<T>, Refusal> {
        let body = incoming.map(Inflow::at_hand).unwrap_or_default();
        for (provider, _number) in asking.answering.iter().filter(|_| asking.open) {
            let known = self.placeholders(inquiry.agent, &provider.id, &asking.moment.connections(&provider.id));
            if shown(inquiry, body).any(|value| find_in(&|value| known.find(value).map(drop), value).is_some()) {
                return Err(Refusal::TokenEndpoint(provider.title.clone()));
            }
        }
        Ok(None)
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
            let named = all().find(|(_, connection)| wanted.as_ref() == Some(*connection));
            return named.map(Some).ok_or(Refusal::Connection("that Nexus-Connection names"));
        }
        for candidate in candidates {
            let ids = asking.moment.connections(&candidate.provider.id);
            let known = self.placeholders(agent, &candidate.provider.id, &ids);
            let find = |value: &[u8]| known.find(value).cloned();
            let Some((whose, meant)) = shown(inquiry, body).find_map(|value| find_in(&find, value)) else { continue };
            let theirs = whose == agent.name || self.runs_commands(agent);
            let found = candidate.fitting.all().iter().find(|connection| **connection == meant).filter(|_| theirs);
            return found.map(|found| Some((candidate, found))).ok_or(Refusal::Connection("of that placeholder"));
        }
        let fitting: Vec<&Fitting> = candidates.iter().map(|one| &one.fitting).collect();
        Ok(preferred(&fitting, agent.user.as_ref())
            .and_then(|(number, connection)| Some((candidates.get(number)?, connection))))
    }

    /// Leaves all of the body in `incoming`, which holds secrets of the caller's: an assertion, a client's secret. One that is too long or
    /// too slow is there as well, with what was read of it; at a shut endpoint one that says how long it is stays unread.
    async fn take_short(&self, incoming: &mut Option<Inflow>, inquiry: &Inquiry<'_>, open: bool) -> Result<(), Refusal> {
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
        Some(candidate.response()?.body(&Occasion {
            tail: &self.proxy.placeholders.tail(&agent.name, connection),
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
        let fits = !fitting.all().is_empty();
        fits.then(|| Candidate { provider: Arc::clone(provider), response: *number, fitting })
    };
    answering.iter().filter_map(candidate).collect()
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
fn json_response(status: u16, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
