//! Connections as a command line elsewhere stores and lists them: `POST` and `GET /api/connections`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use crate::broker::{self, Standing};
use crate::gateway::access::{Asked, Level, Node, Operator, Registrar, Who};
use crate::gateway::begin::told;
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::{InBody, InPath};
use crate::gateway::problem::{Document, Problem};
use crate::model::{ConnectionId, Credential, Secret, UserName};
use crate::registration::Form;
use crate::vault::{self, Entry, Summary};

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(all_connections, store_connection)).routes(routes!(one_connection))
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

/// What a person typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TypedCredential)]
struct Typed {
    /// `provider` or `provider:user`.
    #[schema(example = "github:alice", pattern = "^[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9._~@+-]{1,128})?$")]
    connection: String,
    /// The fields that `nexus providers show` names, each with its value.
    #[schema(value_type = BTreeMap<String, String>)]
    fields: BTreeMap<String, Value>,
    /// When the access token ends (RFC 3339), where that is known.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Whether a client without a token is an app that people log in by.
    #[serde(default)]
    app: bool,
    /// Whether a credential that is there already is replaced, with all that belongs to it.
    #[serde(default)]
    replace: bool,
    /// Whether the one that is replaced leaves the fields that are not among these, as after a log-in.
    #[serde(default)]
    merge: bool,
}

/// One value, wiped when it goes.
struct Value(Zeroizing<String>);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// What was stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredConnection)]
struct Registered {
    /// The connection.
    registered: String,
    /// Whether there was one of this name.
    replaced: bool,
    /// The hosts that it was sealed for.
    hosts: Vec<String>,
}

/// Stores what a person typed as a connection, its hosts sealed with it.
#[utoipa::path(post, path = "/api/connections", tag = "connections", request_body = Typed, security(("key" = ["admin", "owner", "operator"])), responses(
    (status = 201, body = Registered, description = "It is stored"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "The provider is unknown"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "There is one, and it was not to be replaced; or the fields are no credential of the provider"),
))]
async fn store_connection(
    State(gateway): State<Shared>,
    asked: Asked<Registrar>,
    InBody(typed): InBody<Typed>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let id = name(&typed.connection)?;
    let stored = gateway.on_disk(move |gateway| store(gateway, &asked, &id, typed)).await??;
    Ok((StatusCode::CREATED, Json(stored)))
}

fn name(text: &str) -> Result<ConnectionId, Problem> {
    text.parse()
        .map_err(|error: crate::model::IdError| Problem::malformed(format!("the connection's name can't be used: {error}")))
}

fn unfit(why: impl std::fmt::Display) -> Problem {
    Problem::conflict("unfit", why.to_string())
}

/// The entry that comes of what was typed, beside what is `left` of the one before.
fn entry(gateway: &Gateway, id: &ConnectionId, typed: Typed, left: Option<&Entry>) -> Result<Entry, Problem> {
    let catalogue = gateway.ports.catalogue.load();
    let provider = catalogue
        .get(id.provider())
        .ok_or_else(|| Problem::missing(format!("this gateway knows no provider {}", id.provider())))?;
    let mut fields = Credential::default();
    for name in left.iter().flat_map(|left| left.fields.names()) {
        left.and_then(|left| left.fields.field(name)).into_iter().for_each(|value| fields.set(name, value.duplicate()));
    }
    for (name, mut value) in typed.fields {
        fields.set(&name, Secret::new(std::mem::take(&mut *value.0)));
    }
    let time = |text: String| text.parse::<Timestamp>().map(SystemTime::from);
    let expires_at = typed.expires_at.map(time).transpose();
    let expires_at = expires_at.map_err(|_unreadable| Problem::malformed("the member expires_at is no time of RFC 3339"))?;
    let form = Form { provider, fields, expires_at, app: typed.app };
    form.entry(broker::try_out, (gateway.ports.clock)()).map_err(|error| unfit(told(&error)))
}

fn store(gateway: &Gateway, asked: &Asked<Registrar>, id: &ConnectionId, typed: Typed) -> Result<Registered, Problem> {
    let store = &gateway.ports.store;
    let vault = store.snapshot().map_err(|error| Problem::unreadable(&error))?;
    let id = &vault.meant(id);
    let known = vault.get(id);
    if known.as_ref().is_some_and(|known| known.captured.is_some()) {
        return Err(Problem::conflict(
            "of_an_agent",
            format!("{id} is the log-in of an agent, which nothing else can replace"),
        ));
    }
    let replace = typed.replace;
    let exists = || Problem::conflict("exists", format!("{id} is registered already; with \"replace\": true it is replaced"));
    if known.is_some() && !replace {
        return Err(exists());
    }
    let left = known.map(AsRef::as_ref).filter(|_| typed.merge);
    let mut entry = entry(gateway, id, typed, left)?;
    // Programs that hold a handle of it go on with it.
    known.iter().for_each(|known| entry.gateway_ids.clone_from(&known.gateway_ids));
    let hosts = entry.hosts.clone();
    asked.note_here(gateway, "connection_registered", &[("connection", id.as_str())])?;
    let stored = store.register_if(id, entry, |now| now.is_none_or(|now| replace && now.captured.is_none()));
    let stored = stored.map_err(|error| match error {
        vault::Error::ReservedField(_) => unfit(error),
        error => Problem::unreadable(&error),
    })?;
    if !stored {
        return Err(exists());
    }
    Ok(Registered { registered: id.to_string(), replaced: known.is_some(), hosts })
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

/// The connections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShownConnections)]
struct All {
    connections: Vec<Shown>,
}

/// All connections without their secrets.
#[utoipa::path(get, path = "/api/connections", tag = "connections", security(("key" = ["admin", "node", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = All, description = "In the order of their names"),
))]
async fn all_connections(State(gateway): State<Shared>, asked: Asked<Viewer>) -> Result<Json<All>, Problem> {
    let connections = gateway.on_disk(move |gateway| {
        let (vault, look) = (gateway.ports.store.snapshot(), Look::new(gateway));
        let seen = |(id, _): &(&ConnectionId, &Arc<Entry>)| asked.who.sees(id);
        vault.map(|vault| vault.iter().filter(seen).map(|(id, entry)| look.shown(id, entry)).collect())
    });
    Ok(Json(All { connections: connections.await?.map_err(|error| Problem::unreadable(&error))? }))
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
    used: HashMap<ConnectionId, SystemTime>,
    now: SystemTime,
}

impl<'a> Look<'a> {
    fn new(gateway: &'a Gateway) -> Self {
        let used = gateway.ports.uses.read().unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "when connections were used last can't be told");
            HashMap::new()
        });
        Self { gateway, used, now: (gateway.ports.clock)() }
    }

    fn shown(&self, id: &ConnectionId, entry: &Entry) -> Shown {
        let row = Summary::of(id, entry);
        let catalogue = self.gateway.ports.catalogue.load();
        let provider = catalogue.get(id.provider()).map(AsRef::as_ref);
        let Standing { status, renews_at } = Standing::of(entry, provider, self.now, self.gateway.settings.renew_ahead);
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
