//! Agents of the proxy: who they are and what they may do, without their tokens.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent::{Frozen, Registered};
use crate::gateway::access::{Asked, Operator};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::{InPath, InQueries};
use crate::gateway::paging::{Part, Wanted};
use crate::gateway::problem::{Document, Problem};
use crate::model::{AgentName, ConnectionId};
use crate::vault::Entry;

/// So many at a time where nothing is said.
const USUAL: usize = 100;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(agents)).routes(routes!(one_agent))
}

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhichAgents {
    /// Those that may use this connection, `provider` or `provider:user`.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9._~@+-]{1,128})?$")]
    connection: Option<String>,
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShownAgent {
    /// Its name.
    name: String,
    /// `active`, `frozen` (it gets nothing until a person thaws it) or `expired`.
    state: &'static str,
    /// The person whom it acts for; null = nobody in particular.
    user: Option<String>,
    /// The providers that it may use; null = all.
    providers: Option<Vec<String>>,
    /// The hosts that it may reach; null = all.
    hosts: Option<Vec<String>>,
    /// How many requests it may make, such as `60/min`; null = as many as it likes.
    rate: Option<String>,
    /// When it ends; null = never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was added, where that is known.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// Since when it is frozen.
    #[schema(format = DateTime)]
    frozen_since: Option<String>,
    /// Why it is frozen.
    frozen_why: Option<String>,
    /// Whether it was made for one command, and ends with it.
    ephemeral: bool,
    /// How many leases of it there are.
    leases: usize,
}

impl ShownAgent {
    /// Whether it was made for one command.
    pub(super) fn is_passing(&self) -> bool {
        self.ephemeral
    }
}

/// A part of the agents.
#[derive(Debug, Serialize, ToSchema)]
struct AgentsPart {
    /// In the order of their names.
    agents: Vec<ShownAgent>,
    /// The cursor of what follows.
    next: Option<String>,
    /// All that is like that.
    total: usize,
    /// Whether programs of the proxy's own user on its machine need no token: so it is until the first agent is added.
    open: bool,
}

/// The agents of the proxy.
#[utoipa::path(get, path = "/api/agents", tag = "agents", params(Part, WhichAgents),
    security(("key" = ["admin", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = AgentsPart, description = "Those that `q` is about: by name, state, person, provider or host"),
))]
async fn agents(
    State(gateway): State<Shared>,
    _asked: Asked<Operator>,
    InQueries(part, which): InQueries<Part, WhichAgents>,
) -> Result<Json<AgentsPart>, Problem> {
    let wanted = part.wanted()?.or(USUAL);
    let id: Option<ConnectionId> = which
        .connection
        .map(|text| text.parse())
        .transpose()
        .map_err(|_no_name| Problem::malformed("connection is provider or provider:user"))?;
    gateway.on_disk(move |gateway| part_of(gateway, &wanted, id.as_ref())).await?.map(Json)
}

/// One agent.
#[utoipa::path(get, path = "/api/agents/{name}", tag = "agents", params(("name" = String, Path, description = "Its name")),
    security(("key" = ["admin", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = ShownAgent, description = "What it may do"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of this name"),
))]
async fn one_agent(
    State(gateway): State<Shared>,
    _asked: Asked<Operator>,
    InPath(name): InPath<String>,
) -> Result<Json<ShownAgent>, Problem> {
    let name: AgentName = name.parse().map_err(|_no_name| missing())?;
    shown(&gateway, &name).map(Json).ok_or_else(missing)
}

/// The agent called `name`, as it is now.
pub(super) fn shown(gateway: &Gateway, name: &AgentName) -> Option<ShownAgent> {
    let registry = gateway.ports.agents.load();
    registry.rows().iter().find(|row| row.name == *name).map(|row| Look::new(gateway).shown(row))
}

/// Nobody bears that name.
pub(super) fn missing() -> Problem {
    Problem::missing("there is no agent of this name; GET /api/agents lists them")
}

fn part_of(gateway: &Gateway, wanted: &Wanted, connection: Option<&ConnectionId>) -> Result<AgentsPart, Problem> {
    let (registry, look) = (gateway.ports.agents.load_full(), Look::new(gateway));
    let vault = connection.map(|_| gateway.vault()).transpose()?;
    let entry = connection.zip(vault.as_ref()).and_then(|(id, vault)| vault.get(id)).map(AsRef::as_ref);
    let uses = |row: &&Registered| connection.is_none_or(|id| may_use(row, id, entry));
    let all = registry.rows().iter().filter(uses).filter(|row| wanted.fits(|| look.texts(row)));
    let found = wanted.of(all, |row| row.name.as_str());
    let agents = found.rows.into_iter().map(|row| look.shown(row)).collect();
    Ok(AgentsPart { agents, next: found.next, total: found.total, open: registry.serves_local() })
}

/// Whether the proxy would let it go with the connection, as far as its own limits are concerned.
fn may_use(row: &Registered, id: &ConnectionId, entry: Option<&Entry>) -> bool {
    let own = entry.and_then(|entry| entry.captured.as_ref()).is_none_or(|captured| captured.agent == row.name);
    own && id.is_open_to(row.user.as_ref()) && row.providers.as_ref().is_none_or(|names| names.contains(id.provider()))
}

/// What an agent is looked at with.
struct Look<'a> {
    gateway: &'a Gateway,
    frozen: Arc<Vec<Frozen>>,
    now: SystemTime,
}

impl<'a> Look<'a> {
    fn new(gateway: &'a Gateway) -> Self {
        Self { gateway, frozen: gateway.ports.agents.frozen(), now: (gateway.ports.clock)() }
    }

    fn frozen(&self, row: &Registered) -> Option<&Frozen> {
        self.frozen.iter().find(|frozen| frozen.agent == row.name)
    }

    fn state(&self, row: &Registered) -> &'static str {
        match () {
            () if row.expires.is_some_and(|end| end <= self.now) => "expired",
            () if self.frozen(row).is_some() => "frozen",
            () => "active",
        }
    }

    /// What a person may look for it by.
    fn texts(&self, row: &Registered) -> Vec<String> {
        let user = row.user.as_ref().map(ToString::to_string);
        let providers = row.providers.iter().flatten().map(ToString::to_string);
        let hosts = row.hosts.iter().flatten().map(ToString::to_string);
        let own = [row.name.to_string(), self.state(row).to_owned()];
        own.into_iter().chain(user).chain(providers).chain(hosts).collect()
    }

    fn shown(&self, row: &Registered) -> ShownAgent {
        let frozen = self.frozen(row);
        ShownAgent {
            name: row.name.to_string(),
            state: self.state(row),
            user: row.user.as_ref().map(ToString::to_string),
            providers: row.providers.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
            hosts: row.hosts.as_ref().map(|hosts| hosts.iter().map(ToString::to_string).collect()),
            rate: row.rate.map(String::from),
            expires_at: row.expires.and_then(time),
            created_at: row.created.and_then(time),
            frozen_since: frozen.and_then(|frozen| time(frozen.since)),
            frozen_why: frozen.map(|frozen| frozen.why.clone()),
            ephemeral: row.ephemeral,
            leases: self.gateway.ports.agents.leases_of(&row.name, self.now).len(),
        }
    }
}

/// RFC 3339, whole seconds.
fn time(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).ok()
}
