//! Leases: tokens for a short time, made for an agent by its orchestrator or by an administrator.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::{Agent, LeaseError, Wanted};
use crate::gateway::access::{Admin, Asked, Level, Who};
use crate::gateway::context::Shared;
use crate::gateway::input::{InBody, InPath, Whole};
use crate::gateway::problem::{Document, Problem};
use crate::model::{AgentName, HostTerm};

/// More words than anybody writes into one lease.
const WORDS: usize = 256;
/// Greater numbers are not the same to all readers of JSON (RFC 8259 section 6).
const CALLS: u64 = 9_007_199_254_740_991;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(lend, leases)).routes(routes!(one_lease, end_lease))
}

/// For administrators, and for agents of the proxy, which make leases of their own.
#[derive(Debug)]
struct Lender;

impl Level for Lender {
    const FOR: &'static str = "admin keys, and the agent whose lease it is";
    const AGENTS: bool = true;

    fn admits(who: &Who) -> bool {
        Admin::admits(who) || matches!(who, Who::Agent(_))
    }
}

/// What is asked for. What is left out is as the agent has it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LeaseWanted {
    /// How long it lasts; the agent's own end comes first.
    #[schema(value_type = u64, minimum = 1, maximum = 2592000, example = 900)]
    seconds: Whole,
    /// How many requests it is good for.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 9007199254740991_u64)]
    calls: Option<Whole>,
    /// The providers that it may use: of the agent's.
    #[schema(max_items = 256)]
    providers: Option<Vec<String>>,
    /// The hosts that it may reach, `*.example.com` for all below a name: of the agent's.
    #[schema(max_items = 256)]
    hosts: Option<Vec<String>>,
    /// The person whom the agent acts for, to be sure of it.
    user: Option<String>,
}

/// A lease.
#[derive(Debug, Serialize, ToSchema)]
struct Lease {
    /// Its name, also in the audit log.
    id: String,
    /// The agent that it acts for.
    agent: String,
    /// The person whom the agent acts for.
    user: Option<String>,
    /// The providers that it may use; null = all.
    providers: Option<Vec<String>>,
    /// The hosts that it may reach; null = all.
    hosts: Option<Vec<String>>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
    /// How many requests it was made for; null = no matter how many.
    calls: Option<u64>,
    /// How many of them are left.
    calls_left: Option<u64>,
}

/// A new lease.
#[derive(Serialize, ToSchema)]
struct LeaseMade {
    /// What its caller shows the proxy, beside the agent's name. It is not shown again.
    token: String,
    #[serde(flatten)]
    lease: Lease,
}

/// The leases of an agent.
#[derive(Debug, Serialize, ToSchema)]
struct Leases {
    leases: Vec<Lease>,
}

/// Makes a lease: a token that acts for the agent and may do no more than it.
#[utoipa::path(post, path = "/api/agents/{name}/leases", tag = "agents", security(("key" = ["agent", "admin", "operator"])),
    params(("name" = String, Path, description = "The agent's name")), request_body = LeaseWanted,
    responses(
        (status = 201, body = LeaseMade, description = "The lease, and its token, which is not shown again"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "No such agent, or it is somebody else's"),
        (status = 409, body = Document, content_type = "application/problem+json", description = "There are as many leases as there may be, or no proxy in this process"),
        (status = 422, body = Document, content_type = "application/problem+json", description = "Not that long, no host, no provider"),
    ),
)]
async fn lend(
    State(gateway): State<Shared>,
    asked: Asked<Lender>,
    InPath(name): InPath<String>,
    InBody(body): InBody<LeaseWanted>,
) -> Result<(StatusCode, Json<LeaseMade>), Problem> {
    let (now, agents) = ((gateway.ports.clock)(), &gateway.ports.agents);
    let parent = parent(&gateway, &asked.who, &name)?;
    let (token, child) = agents.lend(&parent, wanted(body)?, now).map_err(|error| unlent(&error))?;
    let lease = shown(&child).ok_or_else(Problem::internal)?;
    let details = [("agent", lease.agent.as_str()), ("lease", &lease.id), ("expires_at", &lease.expires_at)];
    if let Err(problem) = asked.note(&gateway, "lease_made", &details).await {
        agents.end_lease(&lease.id);
        return Err(problem);
    }
    Ok((StatusCode::CREATED, Json(LeaseMade { token: token.text().expose().clone(), lease })))
}

/// The leases of an agent that have not ended.
#[utoipa::path(get, path = "/api/agents/{name}/leases", tag = "agents", security(("key" = ["agent", "admin", "operator"])),
    params(("name" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, body = Leases, description = "Without their tokens"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "No such agent, or it is somebody else's"),
    ),
)]
async fn leases(
    State(gateway): State<Shared>,
    asked: Asked<Lender>,
    InPath(name): InPath<String>,
) -> Result<Json<Leases>, Problem> {
    let parent = parent(&gateway, &asked.who, &name)?;
    let mut found = gateway.ports.agents.leases_of(&parent.name, (gateway.ports.clock)());
    found.sort_by_key(|child| child.lease().map(|lease| (lease.created, Arc::clone(&lease.id))));
    Ok(Json(Leases { leases: found.iter().filter_map(|child| shown(child)).collect() }))
}

/// How a lease stands.
#[utoipa::path(get, path = "/api/leases/{id}", tag = "agents", security(("key" = ["agent", "admin", "operator"])),
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = Lease, description = "Without its token"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "It has ended, or is somebody else's, or never was"),
    ),
)]
async fn one_lease(
    State(gateway): State<Shared>,
    asked: Asked<Lender>,
    InPath(id): InPath<String>,
) -> Result<Json<Lease>, Problem> {
    let child = find(&gateway, &asked.who, &id)?;
    shown(&child).map(Json).ok_or_else(gone)
}

/// Ends a lease; what it has open ends within a second.
#[utoipa::path(delete, path = "/api/leases/{id}", tag = "agents", security(("key" = ["agent", "admin", "operator"])),
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 204, description = "It has ended"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "It has ended, or is somebody else's, or never was"),
    ),
)]
async fn end_lease(
    State(gateway): State<Shared>,
    asked: Asked<Lender>,
    InPath(id): InPath<String>,
) -> Result<StatusCode, Problem> {
    let child = find(&gateway, &asked.who, &id)?;
    asked.note(&gateway, "lease_ended", &[("agent", child.name.as_str()), ("lease", &id)]).await?;
    drop(child);
    gateway.ports.agents.end_lease(&id);
    Ok(StatusCode::NO_CONTENT)
}

/// Whose lease it would be; others' agents look as if they weren't there.
fn parent(gateway: &Shared, who: &Who, name: &str) -> Result<Arc<Agent>, Problem> {
    let missing =
        || Problem::missing("there is no agent of this name that you may make leases for; `nexus agent list` shows them");
    if let Who::Agent(own) = who {
        return if own.name.as_str() == name { Ok(Arc::clone(own)) } else { Err(missing()) };
    }
    let name: AgentName = name.parse().map_err(|_no_name| missing())?;
    gateway.ports.agents.load().by_name(&name, (gateway.ports.clock)()).ok_or_else(missing)
}

fn find(gateway: &Shared, who: &Who, id: &str) -> Result<Arc<Agent>, Problem> {
    let found = gateway.ports.agents.lease(id, (gateway.ports.clock)());
    let theirs = |child: &Arc<Agent>| match who {
        Who::Agent(own) => own.lease().is_none() && own.name == child.name,
        _ => true,
    };
    found.filter(theirs).ok_or_else(gone)
}

fn gone() -> Problem {
    Problem::missing("there is no such lease, or it has ended")
}

fn wanted(body: LeaseWanted) -> Result<Wanted, Problem> {
    let LeaseWanted { seconds, calls, providers, hosts, user } = body;
    let wrong = |what: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "lease", format!("{what} can't be read"));
    if providers.iter().map(Vec::len).chain(hosts.iter().map(Vec::len)).any(|length| length > WORDS) {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "lease", "more than 256 words in one list"));
    }
    if calls.is_some_and(|calls| calls.0 > CALLS) {
        return Err(wrong("a number of calls"));
    }
    let provider = |text: String| text.parse().map_err(|_no_name| wrong("a name of a provider"));
    let host = |text: String| text.parse::<HostTerm>().map_err(|_no_host| wrong("a host"));
    Ok(Wanted {
        time: Duration::from_secs(seconds.0),
        calls: calls.map(|calls| calls.0),
        providers: providers.map(|names| names.into_iter().map(provider).collect()).transpose()?,
        hosts: hosts.map(|hosts| hosts.into_iter().map(host).collect()).transpose()?,
        user: user.map(|user| user.parse()).transpose().map_err(|_no_name| wrong("the name of a person"))?,
    })
}

fn unlent(error: &LeaseError) -> Problem {
    let said = error.to_string();
    match error {
        LeaseError::Time(_) | LeaseError::NoCalls => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "lease", said),
        LeaseError::OfLease => Problem::forbidden("lease_of_lease", said),
        LeaseError::Provider(_) | LeaseError::Host(_) | LeaseError::User => Problem::forbidden("wider", said),
        LeaseError::TooMany => Problem::conflict("leases", said),
        LeaseError::NotHere => Problem::conflict("no_proxy", said),
        LeaseError::Random(_) => Problem::internal(),
    }
}

fn shown(child: &Agent) -> Option<Lease> {
    let lease = child.lease()?;
    let time = |time: SystemTime| Timestamp::try_from(time).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    Some(Lease {
        id: lease.id.to_string(),
        agent: child.name.to_string(),
        user: child.user.as_ref().map(ToString::to_string),
        providers: child.providers().map(|all| all.iter().map(ToString::to_string).collect()),
        hosts: child.hosts(),
        created_at: time(lease.created).ok()?,
        expires_at: time(child.expires()?).ok()?,
        calls: lease.calls,
        calls_left: lease.calls_left(),
    })
}
