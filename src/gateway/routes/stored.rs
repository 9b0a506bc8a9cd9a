//! Connections as a command line elsewhere, or a person at the page, stores them: `POST /api/connections`.

use std::collections::BTreeMap;
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

use crate::broker;
use crate::gateway::access::{Admin, Asked, Level as _, Registrar};
use crate::gateway::begin::{of_an_agent, told};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::InBody;
use crate::gateway::problem::{Document, Problem};
use crate::model::{ConnectionId, Credential, Secret};
use crate::provider::Provider;
use crate::registration::{Form, contested, stays};
use crate::vault::{self, Entry};

/// What to do for who may not.
const ADMINS_REPLACE: &str = "programs that show no key only add connections. Show an admin key (`nexus gateway key add NAME --kind admin`) \
                              or, on the gateway's machine, use `nexus register` with its home";

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(store_connection))
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
    /// Whether a credential that is there already is replaced, with all that belongs to it. Who shows no key can't.
    #[serde(default)]
    replace: bool,
    /// Whether the one that is replaced leaves the fields that are not among these, as after a log-in. They go where they were sealed for:
    /// fields that name other hosts or token endpoints are a 409.
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
    /// What who registered it should look at: connections of other services that go to the same server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Stores what a person typed as a connection, its hosts sealed with it. Administrators replace one that is there; programs of the
/// gateway's own user that show no key only add.
#[utoipa::path(post, path = "/api/connections", tag = "connections", request_body = Typed, security(("key" = ["admin", "owner", "operator"])), responses(
    (status = 201, body = Registered, description = "It is stored"),
    (status = 403, body = Document, content_type = "application/problem+json", description = "There is one, and who shows no key replaces none; or it leads to a server that no connection leads to yet"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "The provider is unknown"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "There is one, and it was not to be replaced; or its host is another service's, for who shows no key; or what it was to leave would go elsewhere; or the fields are no credential of the provider: `field` says which, where it is one"),
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

fn provider(gateway: &Gateway, id: &ConnectionId) -> Result<Arc<Provider>, Problem> {
    let known = gateway.ports.catalogue.load().get(id.provider()).cloned();
    known.ok_or_else(|| Problem::missing(format!("this gateway knows no provider {}", id.provider())))
}

/// The entry that comes of what was typed, beside what is `left` of the one before.
fn entry(gateway: &Gateway, id: &ConnectionId, typed: Typed, left: Option<&Entry>) -> Result<Entry, Problem> {
    let provider = &*provider(gateway, id)?;
    let mut given = Credential::default();
    for (name, mut value) in typed.fields {
        given.set(&name, Secret::new(std::mem::take(&mut *value.0)));
    }
    let fields = beside(left, &given);
    let time = |text: String| text.parse::<Timestamp>().map(SystemTime::from);
    let expires_at = typed.expires_at.map(time).transpose();
    let expires_at = expires_at.map_err(|_unreadable| Problem::malformed("the member expires_at is no time of RFC 3339"))?;
    let form = Form { provider, fields, expires_at, app: typed.app };
    let entry = form.entry(broker::try_out, (gateway.ports.clock)()).map_err(|error| {
        let problem = unfit(told(&error));
        error.field().into_iter().fold(problem, |problem, field| problem.with("field", field))
    })?;
    match left {
        Some(left) => sealed_as(id, provider, left, entry),
        None => Ok(entry),
    }
}

/// `given`, and of what is `left` of the one before what is not among it. What another client or another person had renews nothing for these.
fn beside(left: Option<&Entry>, given: &Credential) -> Credential {
    let mut fields = Credential::default();
    if let Some(left) = left {
        let differs = |name: &str| match (left.fields.field(name), given.field(name)) {
            (Some(old), Some(new)) => !old.same(new),
            _ => false,
        };
        let dead: &[&str] = match (differs("client_id"), differs("subject")) {
            (true, _) => &["refresh_token", "client_secret"],
            (false, true) => &["refresh_token"],
            (false, false) => &[],
        };
        for name in left.fields.names().filter(|name| !dead.contains(name)) {
            left.fields.field(name).into_iter().for_each(|value| fields.set(name, value.duplicate()));
        }
    }
    for name in given.names() {
        given.field(name).into_iter().for_each(|value| fields.set(name, value.duplicate()));
    }
    fields
}

/// `merged`, for what `left` was sealed for: a secret that was there before goes nowhere else (I2).
fn sealed_as(id: &ConnectionId, provider: &Provider, left: &Entry, mut merged: Entry) -> Result<Entry, Problem> {
    if !stays(provider, left, &merged) {
        let message = format!(
            "what {id} has was sealed for other hosts or token endpoints than these fields name, so nothing of it can be left; \
             register all of its fields anew, without \"merge\""
        );
        return Err(Problem::conflict("moved", message));
    }
    if left.is_sealed() {
        (merged.hosts, merged.sealed) = (left.hosts.clone(), left.sealed);
        merged.token_urls.clone_from(&left.token_urls);
    }
    Ok(merged)
}

/// Who shows no key only adds: a program that merely runs as our user must not put its own credential in the place of another's.
fn may_replace(asked: &Asked<Registrar>) -> bool {
    Admin::admits(&asked.who)
}

fn exists(asked: &Asked<Registrar>, id: &ConnectionId, replace: bool) -> Problem {
    match (may_replace(asked), replace) {
        (true, _) => Problem::conflict("exists", format!("{id} is registered already; with \"replace\": true it is replaced")),
        (false, false) => {
            Problem::conflict("exists", format!("{id} is registered already; an admin key replaces it with \"replace\": true"))
        }
        (false, true) => Problem::forbidden("not_admin", format!("{id} is registered already; {ADMINS_REPLACE}")),
    }
}

fn store(gateway: &Gateway, asked: &Asked<Registrar>, id: &ConnectionId, typed: Typed) -> Result<Registered, Problem> {
    let store = &gateway.ports.store;
    let vault = store.snapshot().map_err(|error| Problem::unreadable(&error))?;
    let id = &vault.meant(id);
    let known = vault.get(id);
    if known.as_ref().is_some_and(|known| known.captured.is_some()) {
        return Err(of_an_agent(id));
    }
    let wanted = typed.replace;
    let replace = wanted && may_replace(asked);
    if known.is_some() && !replace {
        return Err(exists(asked, id, wanted));
    }
    let left = known.filter(|_| typed.merge).cloned();
    let mut entry = entry(gateway, id, typed, left.as_deref())?;
    let provider = provider(gateway, id)?;
    let warnings = match may_replace(asked) {
        true => contested(&gateway.ports.catalogue.load(), &vault, &provider, &entry),
        false => gateway.leads_on(&vault, &provider, &entry).map(|()| Vec::new())?,
    };
    // Programs that hold a handle of it go on with it.
    known.iter().for_each(|known| entry.gateway_ids.clone_from(&known.gateway_ids));
    let hosts = entry.hosts.clone();
    asked.note_here(gateway, "connection_registered", &[("connection", id.as_str())])?;
    // What was merged is as it was when it was looked at.
    let as_read = |now: &Entry| left.as_deref().is_none_or(|left| left.same_as(now));
    let stored = store.register_if(id, entry, |now| now.is_none_or(|now| replace && now.captured.is_none() && as_read(now)));
    let stored = stored.map_err(|error| match error {
        vault::Error::ReservedField(_) => unfit(error),
        error => Problem::unreadable(&error),
    })?;
    if !stored {
        return Err(if left.is_some() { changed(id) } else { exists(asked, id, wanted) });
    }
    Ok(Registered { registered: id.to_string(), replaced: known.is_some(), hosts, warnings })
}

fn changed(id: &ConnectionId) -> Problem {
    Problem::conflict("changed", format!("{id} was changed meanwhile, and nothing was stored; ask again"))
}
