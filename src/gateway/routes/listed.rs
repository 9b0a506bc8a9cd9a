//! Connections as they stand, without their secrets: `GET /api/connections`, and one of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::broker::Standing;
use crate::gateway::access::{Asked, Level, Node, Operator, Who};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::{InPath, InQuery};
use crate::gateway::paging::{Part, Wanted};
use crate::gateway::problem::{Document, Problem};
use crate::model::{ConnectionId, UserName};
use crate::provider::Catalogue;
use crate::vault::{self, Entry, Snapshot, Summary};

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(all_connections)).routes(routes!(one_connection))
}

/// For who looks after connections, and for nodes, which are given them anyway.
#[derive(Debug)]
struct Viewer;

impl Level for Viewer {
    const FOR: &'static str = "admin and node keys, the gateway's own user on its machine, and people at the page";

    fn admits(who: &Who) -> bool {
        Operator::admits(who) || Node::admits(who)
    }
}

/// A connection without its secrets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShownConnection)]
struct Shown {
    /// Its name.
    connection: String,
    /// The service.
    provider: String,
    /// `oauth2`, `api_key`, `basic_auth`.
    auth_type: String,
    /// The beginning of the client's id.
    client_id: Option<String>,
    /// Whose it is; null means the default one.
    user: Option<String>,
    /// Whether it can be used.
    status: &'static str,
    /// Whether it is an app that people log in by, and no credential yet.
    app: bool,
    /// What it is good for, where that is known.
    scopes: Vec<String>,
    /// The agent that obtained it by its own log-in.
    agent: Option<String>,
    /// The names of what it consists of.
    fields: Vec<String>,
    /// The hosts that it was sealed for.
    hosts: Vec<String>,
    /// The endpoints that renew it.
    token_urls: Vec<String>,
    /// When the access token ends (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When a person connected it last, by registering or by a log-in (RFC 3339).
    #[schema(format = DateTime)]
    registered_at: Option<String>,
    /// When a request went with it last, here or at a node (RFC 3339).
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// From when on a request renews it (RFC 3339); null where nothing is renewed, or its end is not known.
    #[schema(format = DateTime)]
    next_renewal_at: Option<String>,
}

/// Connections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShownConnections)]
struct All {
    /// In the order of their names.
    connections: Vec<Shown>,
    /// The cursor of what follows.
    next: Option<String>,
    /// All that is like that.
    total: usize,
}

/// Connections without their secrets: all of them where no `limit` is set.
#[utoipa::path(get, path = "/api/connections", tag = "connections", params(Part), security(("key" = ["admin", "node", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = All, description = "Those that `q` is about: by name, kind, status, agent or host"),
))]
async fn all_connections(
    State(gateway): State<Shared>,
    asked: Asked<Viewer>,
    InQuery(part): InQuery<Part>,
) -> Result<Json<All>, Problem> {
    let wanted = part.wanted()?;
    let connections = gateway.on_disk(move |gateway| {
        let vault = gateway.vault()?;
        Ok(Look::new(gateway).part(&vault, &asked.who, &wanted))
    });
    connections.await?.map(Json)
}

/// One connection without its secrets.
#[utoipa::path(get, path = "/api/connections/{id}", tag = "connections", security(("key" = ["admin", "node", "owner", "operator", "approver", "auditor"])),
    params(("id" = String, Path, description = "`provider` or `provider:user`")), responses(
    (status = 200, body = Shown, description = "How it stands"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of this name"),
))]
async fn one_connection(
    State(gateway): State<Shared>,
    asked: Asked<Viewer>,
    InPath(id): InPath<String>,
) -> Result<Json<Shown>, Problem> {
    let missing = || Problem::missing("there is no connection of this name");
    let id: ConnectionId = id.parse().ok().filter(|id| asked.who.sees(id)).ok_or_else(missing)?;
    let found = gateway.on_disk(move |gateway| {
        let vault = gateway.ports.store.snapshot()?;
        let id = vault.meant(&id);
        Ok(vault.get(&id).map(|entry| Look::new(gateway).shown(&id, entry)))
    });
    let found = found.await?.map_err(|error: vault::Error| Problem::unreadable(&error))?;
    found.map(Json).ok_or_else(missing)
}

/// What a connection is looked at with.
struct Look<'a> {
    gateway: &'a Gateway,
    catalogue: Arc<Catalogue>,
    used: HashMap<ConnectionId, SystemTime>,
    now: SystemTime,
}

impl<'a> Look<'a> {
    fn new(gateway: &'a Gateway) -> Self {
        let used = gateway.ports.uses.read().unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "when connections were used last can't be told");
            HashMap::new()
        });
        Self { gateway, catalogue: gateway.ports.catalogue.load_full(), used, now: (gateway.ports.clock)() }
    }

    fn part(&self, vault: &Snapshot, who: &Who, wanted: &Wanted) -> All {
        let seen = vault.iter().filter(|(id, entry)| who.sees(id) && wanted.fits(|| self.texts(id, entry)));
        let found = wanted.of(seen, |(id, _)| id.as_str());
        let connections = found.rows.into_iter().map(|(id, entry)| self.shown(id, entry)).collect();
        All { connections, next: found.next, total: found.total }
    }

    /// What a person may look for it by.
    fn texts<'e>(&self, id: &'e ConnectionId, entry: &'e Entry) -> Vec<&'e str> {
        let agent = entry.captured.as_ref().map(|captured| captured.agent.as_str());
        let own = [id.as_str(), entry.auth_type.as_str(), self.standing(id, entry).status.as_str()];
        own.into_iter().chain(agent).chain(entry.hosts.iter().map(String::as_str)).collect()
    }

    fn standing(&self, id: &ConnectionId, entry: &Entry) -> Standing {
        let provider = self.catalogue.get(id.provider()).map(AsRef::as_ref);
        Standing::of(entry, provider, self.now, self.gateway.settings.renew_ahead)
    }

    fn shown(&self, id: &ConnectionId, entry: &Entry) -> Shown {
        let row = Summary::of(id, entry);
        let Standing { status, renews_at } = self.standing(id, entry);
        Shown {
            connection: id.to_string(),
            provider: id.provider().to_string(),
            auth_type: row.auth_type.as_str().to_owned(),
            client_id: row.client_id,
            user: id.user().map(UserName::to_string),
            status: status.as_str(),
            app: entry.is_app_alone(),
            scopes: row.scopes,
            agent: row.captured.map(|captured| captured.agent.to_string()),
            fields: entry.fields.names().map(str::to_owned).collect(),
            hosts: entry.hosts.clone(),
            token_urls: entry.token_urls.clone(),
            expires_at: row.expires_at.and_then(seconds),
            registered_at: row.registered_at.and_then(seconds),
            last_used_at: self.used.get(id).copied().and_then(seconds),
            next_renewal_at: renews_at.and_then(seconds),
        }
    }
}

/// RFC 3339, whole seconds.
fn seconds(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).ok()
}
