//! Requests found in the audit log, shown piece by piece or handed over as a file.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::Agent;
use crate::audit::{Error, Format, FoundExport, Order, Paging, Record, Search, page};
use crate::gateway::access::{Asked, Auditor, Who};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::{InQueries, host_pattern, whole_name};
use crate::gateway::pieces::{Maker, Pieces};
use crate::gateway::problem::Problem;
use crate::gateway::when::When;
use crate::model::UserName;

/// How many requests are told where nothing is said, and at most.
const USUAL: u32 = 100;
const MOST: u32 = 1_000;
/// How long one piece may be looked for.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long a search waits for others to end.
const QUEUE: Duration = Duration::from_secs(5);
/// Letters of a text that is looked for.
const LETTERS: usize = 255;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(search_audit)).routes(routes!(export_audit))
}

/// Which requests: all that is said holds together. What is empty is not said.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Conditions {
    /// From then on: RFC 3339, or how long ago (`7d`, `12h`, `90m`, `30s`).
    #[param(inline)]
    from: Option<When>,
    /// Until then.
    #[param(inline)]
    until: Option<When>,
    /// Who asked.
    #[param(max_length = 255, pattern = "^[^*]*$")]
    agent: Option<String>,
    /// The requests of agents that are this user's now (`nexus agent list`).
    #[param(max_length = 255, pattern = "^[^*]*$")]
    user: Option<String>,
    /// The host, or `*.example.com` for all names below it.
    #[param(max_length = 255, pattern = r"^(\*\.[^*]+|[^*]*)$")]
    host: Option<String>,
    /// Whose credential.
    #[param(max_length = 255, pattern = "^[^*]*$")]
    provider: Option<String>,
    /// What was decided.
    #[param(inline)]
    verdict: Option<VerdictName>,
    /// What the caller was answered: `403`, or `5xx` for all of a class.
    #[param(pattern = "^([1-5]xx|[1-9][0-9][0-9])?$")]
    status: Option<String>,
    /// The id of the lease that it was done by.
    #[param(max_length = 255, pattern = "^[^*]*$")]
    lease: Option<String>,
    /// The rule of the policy that the record names, by its whole name. First lines are read for it, of what the other conditions leave.
    #[param(max_length = 255)]
    rule: Option<String>,
    /// A text in any value of a request's last line, whatever the case of its letters. No index knows it: what the other conditions leave
    /// is read line by line.
    #[param(max_length = 255)]
    text: Option<String>,
}

/// Which part of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Part {
    /// At most so many; 100 where nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The `cursor` of the answer before, to go on.
    #[param(pattern = "^[0-9a-f]{16}[0-7][0-9a-f]{15}$")]
    cursor: Option<String>,
    /// Which come first; `newest` where nothing is said.
    #[param(inline)]
    order: Option<OrderName>,
}

/// As what.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct File {
    /// The form of the file.
    #[param(inline)]
    format: FormatName,
    /// At most so many requests, the oldest; all where nothing is said.
    #[param(minimum = 1, maximum = 4_294_967_295_u64)]
    limit: Option<u32>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditVerdict)]
enum VerdictName {
    Inject,
    Pass,
    Tunnel,
    Intercept,
    Answer,
    Refuse,
}

/// Which come first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditOrder)]
enum OrderName {
    Newest,
    Oldest,
}

/// As `nexus audit export` writes them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditFormat)]
enum FormatName {
    /// RFC 4180, a row for each request or event.
    Csv,
    /// The log's own lines, both of each request.
    Jsonl,
    /// OCSF 1.6.0 HTTP Activity, one object a line for each request.
    Ocsf,
    /// OpenTelemetry log records in OTLP's JSON encoding.
    Otlp,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditFound)]
struct Found {
    /// Requests and events, each once, with what both of its lines in the log say; `opened_at` is when it began, `time` when it ended.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Map<String, Value>>,
    /// Whether there may be more: `cursor` goes on. Where the time was up there may be fewer than `limit`, even none.
    more: bool,
    /// Where the next answer begins. What is written to the log meanwhile doesn't move it.
    cursor: Option<String>,
    /// How many requests were looked at.
    scanned: u64,
    /// Whether the index is still being made: what it hasn't yet is not found.
    behind: bool,
}

/// Finds requests in the audit log.
#[utoipa::path(get, path = "/api/audit/search", tag = "audit", params(Conditions, Part), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Found, description = "What was found"),
))]
async fn search_audit(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InQueries(conditions, part): InQueries<Conditions, Part>,
) -> Result<Json<Found>, Problem> {
    let search = conditions.search(&gateway)?;
    let limit = bounded(part.limit, MOST)?.unwrap_or(USUAL);
    let from = part.cursor.map(|text| text.parse()).transpose();
    let from = from.map_err(|error: crate::audit::BadCursor| Problem::malformed(error.to_string()))?;
    let order = match part.order {
        Some(OrderName::Oldest) => Order::Oldest,
        Some(OrderName::Newest) | None => Order::Newest,
    };
    let paging = Paging { order, from, limit: usize::try_from(limit).unwrap_or_default(), patience: Some(PATIENCE) };
    let _place = place(gateway.searches.acquire()).await?;
    let look = move |gateway: &Gateway| {
        let found = page(&gateway.settings.audit, &search, &paging)?;
        let records = found.records.iter().map(Record::told).collect();
        let (more, cursor) = (found.next.is_some(), found.next.map(|next| next.to_string()));
        Ok::<_, Error>(Found { records, more, cursor, scanned: found.scanned, behind: found.behind })
    };
    gateway.on_disk(look).await?.map(Json).map_err(|error| Problem::unsearchable(&error))
}

/// Hands over what a search finds, oldest first.
///
/// The answer is made as it is taken. One that is cut off before its end is broken, and no shorter file.
#[utoipa::path(get, path = "/api/audit/export", tag = "audit", params(Conditions, File), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, description = "The file", content((String = "text/csv"), (String = "application/x-ndjson"))),
))]
async fn export_audit(
    State(gateway): State<Shared>,
    asked: Asked<Auditor>,
    InQueries(conditions, file): InQueries<Conditions, File>,
) -> Result<Response, Problem> {
    let limit = bounded(file.limit, u32::MAX)?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let search = Search { limit, ..conditions.search(&gateway)? };
    let (format, kind, name) = match file.format {
        FormatName::Csv => (Format::Csv, "text/csv; charset=utf-8", "audit.csv"),
        FormatName::Jsonl => (Format::Lines, "application/x-ndjson", "audit.jsonl"),
        FormatName::Ocsf => (Format::Ocsf, "application/x-ndjson", "audit.ocsf.jsonl"),
        FormatName::Otlp => (Format::Otlp, "application/x-ndjson", "audit.otlp.jsonl"),
    };
    let place = place(Arc::clone(&gateway.exports).acquire_owned()).await?;
    asked.note(&gateway, "audit_exported", &[("file", name)]).await?;
    let export = FoundExport::new(&gateway.settings.audit, format, search, (gateway.ports.clock)());
    let (maker, pieces) = Pieces::new();
    tokio::spawn(hand_over(Arc::clone(&gateway), asked.who, (export, maker), place));
    let mut response = Response::new(Body::new(pieces));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    fields.insert(CONTENT_DISPOSITION, name.map_err(|_never| Problem::internal())?);
    Ok(response)
}

/// Makes pieces as they are taken, as long as `who` may have them. Between two of them no thread is held.
async fn hand_over(gateway: Shared, who: Who, (mut export, maker): (FoundExport, Maker), _place: OwnedSemaphorePermit) {
    let mut stopping = gateway.stopping.clone();
    let work = async {
        loop {
            let next = gateway.on_disk(move |_gateway| (export.next_piece(), export)).await;
            let Ok((piece, back)) = next else { break maker.send(Err(std::io::ErrorKind::Other.into())).await };
            export = back;
            let piece = match piece {
                Ok(None) => break true,
                Ok(Some(piece)) if gateway.still_admits(&who) => Ok(Bytes::from(piece)),
                Ok(Some(_)) => Err(std::io::ErrorKind::PermissionDenied.into()),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "an export of the audit log is broken off");
                    Err(std::io::Error::other(error))
                }
            };
            let broken = piece.is_err();
            if !maker.send(piece).await || broken {
                break false;
            }
        }
    };
    let stopped = tokio::select! {
        whole = work => {
            tracing::debug!(whole, "an export of the audit log has ended");
            false
        }
        ended = stopping.wait_for(|stopping| *stopping) => {
            drop(ended);
            true
        }
    };
    if stopped && !maker.send(Err(std::io::ErrorKind::Interrupted.into())).await {
        tracing::debug!("an export of the audit log was broken off by the end of the process");
    }
}

/// A place among those that read the log.
async fn place<P>(acquired: impl Future<Output = Result<P, AcquireError>>) -> Result<P, Problem> {
    let busy = || {
        let message = "as many search the audit log as may at a time; try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).header(RETRY_AFTER, "2")
    };
    timeout(QUEUE, acquired).await.ok().and_then(Result::ok).ok_or_else(busy)
}

fn bounded(limit: Option<u32>, most: u32) -> Result<Option<u32>, Problem> {
    match limit {
        Some(limit) if limit == 0 || limit > most => Err(Problem::malformed(format!("limit is from 1 to {most}"))),
        limit => Ok(limit),
    }
}

impl Conditions {
    fn search(self, gateway: &Gateway) -> Result<Search, Problem> {
        let now: SystemTime = (gateway.ports.clock)();
        let texts = [&self.agent, &self.user, &self.host, &self.provider, &self.lease, &self.rule, &self.text];
        if texts.into_iter().flatten().any(|text| text.chars().count() > LETTERS) {
            return Err(Problem::malformed(format!("what is searched for has at most {LETTERS} letters")));
        }
        for (name, text) in [("agent", &self.agent), ("user", &self.user), ("provider", &self.provider), ("lease", &self.lease)]
        {
            whole_name(name, text.as_deref())?;
        }
        host_pattern(self.host.as_deref())?;
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let status = said(self.status).map(|text| text.parse()).transpose();
        Ok(Search {
            agents: said(self.user).map(|user| agents_of(gateway, &user)),
            agent: said(self.agent),
            lease: said(self.lease),
            host: said(self.host),
            provider: said(self.provider),
            verdict: self.verdict.map(|verdict| word(verdict).to_owned()),
            status: status.map_err(|error: crate::audit::BadStatus| Problem::malformed(error.to_string()))?,
            rule: said(self.rule),
            text: said(self.text),
            since: self.from.map(|when| when.at(now)),
            until: self.until.map(|when| when.at(now)),
            limit: None,
        })
    }
}

/// The agents that act for `user` now; none for what is no name.
fn agents_of(gateway: &Gateway, user: &str) -> Vec<String> {
    let Ok(user) = user.parse::<UserName>() else { return Vec::new() };
    let agents = gateway.ports.agents.load_full();
    let theirs = |agent: &&Agent| agent.user.as_ref().is_some_and(|own| own.is(&user));
    agents.agents().filter(theirs).map(|agent| agent.name.to_string()).collect()
}

fn word(verdict: VerdictName) -> &'static str {
    match verdict {
        VerdictName::Inject => "inject",
        VerdictName::Pass => "pass",
        VerdictName::Tunnel => "tunnel",
        VerdictName::Intercept => "intercept",
        VerdictName::Answer => "answer",
        VerdictName::Refuse => "refuse",
    }
}
