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
use super::content::{ContentError, gather, owned};
use super::door::NEXUS_CONNECTION;
use super::exchange::Stop;
use super::refusal::Refusal;
use super::replay::Inflow;
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::{Entry, Verdict};
use crate::decide::{Answering, Fitting, Route, preferred};
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
        if answering.is_empty() {
            return Ok(());
        }
        let answer = Box::pin(self.answer_instead(&answering, inquiry, incoming, entry)).await?;
        answer.map_or(Ok(()), |response| Err(Stop::Answered(Box::new(response))))
    }

    /// The answer, which is in the log by then.
    async fn answer_instead(
        &self,
        answering: &[Answering],
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        entry: &mut Entry,
    ) -> Result<Option<Response<ResponseBody>>, Refusal> {
        let candidates = self.candidates(answering, inquiry)?;
        if candidates.is_empty() {
            return Ok(None);
        }
        let body = self.small_body(incoming, inquiry).await?;
        let Some((candidate, connection)) = self.meant(&candidates, inquiry, &body)? else {
            *incoming = Some(Inflow::Whole(owned(body)));
            return Ok(None);
        };
        let Some(response) = candidate.response() else { return Ok(None) };
        let asked = match response.shape {
            Shape::GithubApp => Ok(Asked { grant: AskedGrant::Machine, scope: None, refresh_token: None }),
            Shape::OAuth2 => read_request(inquiry.arrived.target.path.query(), inquiry.headers, &body),
        };
        let (status, document) = match asked {
            Ok(Asked { grant: AskedGrant::Other, .. }) => {
                *incoming = Some(Inflow::Whole(owned(body)));
                return Ok(None);
            }
            Ok(asked) => (response.shape.status(), self.document(response, connection, inquiry.agent, &asked)?),
            Err(invalid) => (400, invalid_request(invalid)),
        };
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

    /// Those of `answering` that have a connection which the agent may use, bound to the host that it asks.
    fn candidates(&self, answering: &[Answering], inquiry: &Inquiry<'_>) -> Result<Vec<Candidate>, Refusal> {
        let (host, path) = (&inquiry.arrived.target.authority.host, inquiry.arrived.target.path.path());
        let mut candidates = Vec::new();
        for (provider, number) in answering {
            let Some(response) = provider.token_responses.get(*number) else { continue };
            let mut fitting = Fitting::default();
            let listed = self.proxy.broker.connections_of(&provider.id).map_err(unreadable)?;
            for connection in listed.ids.iter().filter(|id| may_use(inquiry.agent, id)) {
                let Some(entry) = self.proxy.broker.entry(connection).map_err(unreadable)? else { continue };
                fitting.add(connection, response, (host, path), &|name| entry.fields.field(name));
            }
            if !fitting.all().is_empty() {
                candidates.push(Candidate { provider: Arc::clone(provider), response: *number, fitting });
            }
        }
        Ok(candidates)
    }

    /// The connection that `Nexus-Connection` names, that a placeholder in the request means, whose tenant or installation the path names,
    /// or the one that the agent would use. `None` where the agent has several and none is its own.
    fn meant<'c>(
        &self,
        candidates: &'c [Candidate],
        inquiry: &Inquiry<'_>,
        body: &[u8],
    ) -> Result<Option<(&'c Candidate, &'c ConnectionId)>, Refusal> {
        let Inquiry { agent, headers, arrived } = inquiry;
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
            let ids = self.proxy.broker.connections_of(&candidate.provider.id).map_err(unreadable)?.ids;
            let known = self.placeholders(agent, &candidate.provider.id, &ids);
            let query = arrived.target.path.query().map(str::as_bytes);
            let shown = query.into_iter().chain(headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes));
            let find = |value: &[u8]| known.find(value).cloned();
            let Some((whose, meant)) = std::iter::once(body).chain(shown).find_map(|value| find_in(&find, value)) else {
                continue;
            };
            let theirs = whose == agent.name || self.runs_commands(agent);
            let found = candidate.fitting.all().iter().find(|connection| **connection == meant).filter(|_| theirs);
            return found.map(|found| Some((candidate, found))).ok_or(Refusal::Connection("of that placeholder"));
        }
        let fitting: Vec<&Fitting> = candidates.iter().map(|one| &one.fitting).collect();
        Ok(preferred(&fitting, agent.user.as_ref())
            .and_then(|(number, connection)| Some((candidates.get(number)?, connection))))
    }

    /// All of the body, which holds secrets of the caller's: an assertion, a client's secret.
    async fn small_body(&self, incoming: &mut Option<Inflow>, inquiry: &Inquiry<'_>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        if declared(inquiry.headers).is_some_and(|length| length > LIMIT as u64) {
            return Err(ContentError::LongTokenRequest.into());
        }
        let mut room = self.room(&inquiry.agent.label);
        let gathering = gather(incoming.as_mut().ok_or(Refusal::Draining)?, LIMIT, &mut room);
        let patience = self.proxy.settings.idle_timeout.min(PATIENCE);
        let gathered = timeout(patience, gathering).await.map_err(|_elapsed| ContentError::Late)?;
        let body = gathered.map_err(|refusal| match refusal {
            Refusal::Content(ContentError::TooLarge) => ContentError::LongTokenRequest.into(),
            other => other,
        })?;
        *incoming = None;
        Ok(body)
    }

    fn document(
        &self,
        response: &TokenResponse,
        connection: &ConnectionId,
        agent: &Agent,
        asked: &Asked,
    ) -> Result<Value, Refusal> {
        let entry = self.proxy.broker.entry(connection).map_err(unreadable)?;
        Ok(response.body(&Occasion {
            tail: &self.proxy.placeholders.tail(&agent.name, connection),
            now: SystemTime::now(),
            scope: asked.scope.as_deref(),
            renewable: matches!(asked.grant, AskedGrant::Renewal | AskedGrant::Password),
            refresh_token: asked.refresh_token.as_deref().map(String::as_str),
            exchanged: asked.grant == AskedGrant::Exchange,
            fields: &|name| entry.as_ref()?.fields.field(name),
            hosts: entry.as_ref().and_then(|entry| entry.sealed_hosts()).unwrap_or_default(),
        }))
    }
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
