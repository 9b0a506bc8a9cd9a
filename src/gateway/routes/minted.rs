//! Agents added, limited, frozen and taken away by a person elsewhere than at a command line.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::agents::{ShownAgent, missing, shown};
use crate::agent::{Frozen, Limits, Registered, Token};
use crate::gateway::access::{Admin, Asked};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::{InBody, InPath};
use crate::gateway::paste::{Pasted, lines};
use crate::gateway::problem::{Document, Problem};
use crate::gateway::roster::Change;
use crate::model::{AgentName, HostTerm, ProviderId, Rate};

/// More words than anybody writes into one agent.
const WORDS: usize = 256;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(add_agent))
        .routes(routes!(limit_agent, revoke_agent))
        .routes(routes!(freeze_agent, thaw_agent))
}

/// A new agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgentWanted {
    /// Its name: letters, digits and `- . _ ~`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._~-]+$")]
    name: String,
    /// The person whom it acts for: it uses their connections and those of nobody. Without one it may name anybody's.
    #[schema(max_length = 128)]
    user: Option<String>,
    /// The providers that it may use; null = all.
    #[schema(max_items = 256)]
    providers: Option<Vec<String>>,
    /// The hosts that it may reach, `*.example.com` for all below a name; null = all.
    #[schema(max_items = 256)]
    hosts: Option<Vec<String>>,
    /// How many requests it may make: `60/min`, `10/s`, `1000/h`, `5000/day`.
    rate: Option<String>,
    /// When it ends (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// An agent that was added.
#[derive(Serialize, ToSchema)]
struct AgentMade {
    /// What its program shows the proxy, beside the agent's name. It is not shown again.
    token: String,
    /// What to paste where the program runs; they hold the token. Null where no proxy runs beside this gateway.
    lines: Option<Pasted>,
    /// Whether it is the first: from now on every caller of the proxy must show a token.
    first: bool,
    agent: ShownAgent,
}

/// What an agent may do from now on: a member that is left out stays as it is, null takes the limit away (RFC 7396).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgentLimits {
    /// The providers that it may use.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Vec<String>>, max_items = 256)]
    providers: Option<Option<Vec<String>>>,
    /// The hosts that it may reach.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Vec<String>>, max_items = 256)]
    hosts: Option<Option<Vec<String>>>,
    /// How many requests it may make.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    rate: Option<Option<String>>,
    /// When it ends (RFC 3339).
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<String>>,
}

/// A member that is there, null or not.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Adds an agent. Its token is answered this once, and kept as a hash.
#[utoipa::path(post, path = "/api/agents", tag = "agents", request_body = AgentWanted, security(("key" = ["admin", "operator"])), responses(
    (status = 201, body = AgentMade, description = "The agent, and its token, which is not shown again"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "There is one of this name"),
    (status = 422, body = Document, content_type = "application/problem+json", description = "A name, provider, host, rate or time that is none; `field` says which"),
))]
async fn add_agent(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InBody(wanted): InBody<AgentWanted>,
) -> Result<(StatusCode, Json<AgentMade>), Problem> {
    let (row, token) = row(&gateway, wanted)?;
    let made = gateway.on_disk(move |gateway| {
        let first = !gateway.ports.agents.load().defined();
        let name = row.name.clone();
        let taken = || {
            let message = format!("there is an agent called {name} already, and its token can't be shown again");
            Problem::conflict("exists", message).with("field", "name")
        };
        if shown(gateway, &name).is_some() {
            return Err(taken());
        }
        let door = gateway.roster()?.door.clone();
        let whole = row.limits_in_words();
        asked.note_here(gateway, "agent_added", &[("agent", name.as_str()), ("limits", &whole)])?;
        if !gateway.change_agents(&Change::Add(Box::new(row)))? {
            return Err(taken());
        }
        let agent = shown(gateway, &name).ok_or_else(Problem::internal)?;
        let lines = door.map(|door| lines(&name, token.text(), &door));
        Ok(AgentMade { token: token.text().expose().clone(), lines, first, agent })
    });
    Ok((StatusCode::CREATED, Json(made.await??)))
}

/// Changes what an agent may do. Its token stays; what it has open ends within a second, and is begun anew under the new limits.
#[utoipa::path(patch, path = "/api/agents/{name}", tag = "agents", params(("name" = String, Path, description = "Its name")),
    request_body = AgentLimits, security(("key" = ["admin", "operator"])), responses(
    (status = 200, body = ShownAgent, description = "What it may do now"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of this name that lasts"),
    (status = 422, body = Document, content_type = "application/problem+json", description = "A provider, host, rate or time that is none; `field` says which"),
))]
async fn limit_agent(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InPath(name): InPath<String>,
    InBody(wanted): InBody<AgentLimits>,
) -> Result<Json<ShownAgent>, Problem> {
    let name: AgentName = name.parse().map_err(|_no_name| missing())?;
    let AgentLimits { providers, hosts, rate, expires_at } = wanted;
    let limits = Limits {
        providers: providers.map(|given| read_providers(&gateway, given)).transpose()?,
        hosts: hosts.map(read_hosts).transpose()?,
        rate: rate.map(read_rate).transpose()?,
        expires: expires_at.map(read_time).transpose()?,
    };
    let changed = gateway.on_disk(move |gateway| {
        let known = shown(gateway, &name).filter(|agent| !agent.is_passing()).ok_or_else(missing)?;
        let row = gateway.ports.agents.load().rows().iter().find(|row| row.name == name).cloned();
        let Some(mut row) = row.filter(|_| !limits.is_empty()) else { return Ok(known) };
        limits.put_on(&mut row);
        asked.note_here(gateway, "agent_limited", &[("agent", name.as_str()), ("limits", &row.limits_in_words())])?;
        let done = gateway.change_agents(&Change::Limit(name.clone(), limits))?;
        if done { shown(gateway, &name).ok_or_else(missing) } else { Err(missing()) }
    });
    changed.await?.map(Json)
}

/// Takes an agent's access away: new requests at once, what it has open within a second.
#[utoipa::path(delete, path = "/api/agents/{name}", tag = "agents", params(("name" = String, Path, description = "Its name")),
    security(("key" = ["admin", "operator"])), responses(
    (status = 204, description = "It is one no more"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of this name"),
))]
async fn revoke_agent(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InPath(name): InPath<String>,
) -> Result<StatusCode, Problem> {
    change(&gateway, asked, "agent_revoked", name, |name, _now| Change::Revoke(name)).await
}

/// Lets an agent get nothing, what it has open included, until it is thawed.
#[utoipa::path(put, path = "/api/agents/{name}/frozen", tag = "agents", params(("name" = String, Path, description = "Its name")),
    security(("key" = ["admin", "operator"])), responses(
    (status = 204, description = "It gets nothing"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of this name"),
))]
async fn freeze_agent(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InPath(name): InPath<String>,
) -> Result<StatusCode, Problem> {
    let why = format!("{} froze it by the gateway", asked.who.name());
    change(&gateway, asked, "agent_frozen", name, |agent, since| Change::Freeze(Frozen { agent, since, why })).await
}

/// Lets a frozen agent get what it may again.
#[utoipa::path(delete, path = "/api/agents/{name}/frozen", tag = "agents", params(("name" = String, Path, description = "Its name")),
    security(("key" = ["admin", "operator"])), responses(
    (status = 204, description = "It gets what it may"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of this name"),
))]
async fn thaw_agent(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InPath(name): InPath<String>,
) -> Result<StatusCode, Problem> {
    change(&gateway, asked, "agent_thawed", name, |name, _now| Change::Thaw(name)).await
}

/// Makes the change of an agent that is there. What is as it should be already stays so.
async fn change(
    gateway: &Shared,
    asked: Asked<Admin>,
    event: &'static str,
    name: String,
    of: impl FnOnce(AgentName, SystemTime) -> Change + Send + 'static,
) -> Result<StatusCode, Problem> {
    let name: AgentName = name.parse().map_err(|_no_name| missing())?;
    let work = move |gateway: &Gateway| {
        shown(gateway, &name).ok_or_else(missing)?;
        asked.note_here(gateway, event, &[("agent", name.as_str())])?;
        gateway.change_agents(&of(name, (gateway.ports.clock)()))
    };
    gateway.on_disk(work).await??;
    Ok(StatusCode::NO_CONTENT)
}

fn row(gateway: &Gateway, wanted: AgentWanted) -> Result<(Registered, Token), Problem> {
    let AgentWanted { name, user, providers, hosts, rate, expires_at } = wanted;
    let name: AgentName = name.parse().map_err(|error| wrong("name", error))?;
    if name.as_str() == "local" {
        return Err(wrong("name", "local is the name of callers without a token; choose another"));
    }
    let token = Token::random().map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        Problem::internal()
    })?;
    let (now, expires) = ((gateway.ports.clock)(), read_time(expires_at)?);
    if expires.is_some_and(|end| end <= now) {
        return Err(wrong("expires_at", "expires_at has passed already"));
    }
    let row = Registered {
        user: user.map(|user| user.parse()).transpose().map_err(|error| wrong("user", error))?,
        providers: read_providers(gateway, providers)?,
        hosts: read_hosts(hosts)?,
        rate: read_rate(rate)?,
        expires,
        created: Some(now),
        ..Registered::unlimited(name, &token)
    };
    Ok((row, token))
}

fn read_providers(gateway: &Gateway, given: Option<Vec<String>>) -> Result<Option<Vec<ProviderId>>, Problem> {
    let catalogue = gateway.ports.catalogue.load();
    let known = |text: String| {
        let id: ProviderId = text.parse().map_err(|error| wrong("providers", error))?;
        let unknown = || wrong("providers", format!("there is no provider called {id}; GET /api/catalogue lists them"));
        catalogue.get(&id).map(|_| id.clone()).ok_or_else(unknown)
    };
    given.map(|names| few("providers", names)?.into_iter().map(known).collect()).transpose()
}

fn read_hosts(given: Option<Vec<String>>) -> Result<Option<Vec<HostTerm>>, Problem> {
    let host = |text: String| text.parse::<HostTerm>().map_err(|error| wrong("hosts", error));
    given.map(|hosts| few("hosts", hosts)?.into_iter().map(host).collect()).transpose()
}

fn read_rate(given: Option<String>) -> Result<Option<Rate>, Problem> {
    given.map(|text| text.parse()).transpose().map_err(|error| wrong("rate", error))
}

fn read_time(given: Option<String>) -> Result<Option<SystemTime>, Problem> {
    let time = given.map(|text| text.parse::<Timestamp>()).transpose();
    Ok(time.map_err(|_unreadable| wrong("expires_at", "expires_at is no time of RFC 3339"))?.map(SystemTime::from))
}

/// A list of none would be an agent that may do nothing, which nobody means.
fn few(field: &'static str, words: Vec<String>) -> Result<Vec<String>, Problem> {
    match words.len() {
        0 => Err(wrong(field, format!("{field} is empty; null stands for all"))),
        1..=WORDS => Ok(words),
        _ => Err(wrong(field, format!("{field} has more than {WORDS} words"))),
    }
}

fn wrong(field: &'static str, why: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "agent", why.to_string()).with("field", field)
}
