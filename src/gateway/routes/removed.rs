//! Connections taken out, and questions that are withdrawn: `DELETE /v1/connections/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::access::{App, Asked};
use crate::gateway::begin::{not_kept, told};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::flow::Ending;
use crate::gateway::input::{InPath, InQuery};
use crate::gateway::keep::{Ended, can_end, end, end_here};
use crate::gateway::keys::Kind;
use crate::gateway::people::{Found, Handle};
use crate::gateway::problem::{Document, Problem};
use crate::model::{ConnectionId, GatewayId};
use crate::vault::Entry;

/// Its operation.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(remove_connection))
}

/// What of it, and how.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct How {
    /// Keep its app and its hosts for the next log-in; nothing goes with it until then.
    #[serde(default)]
    keep: bool,
    /// Have its service end its tokens, where that has a way (RFC 7009). As long as nothing is said, it is asked to.
    #[serde(default = "yes")]
    #[param(required = false)]
    revoke: bool,
    /// Only a question that waits for a person; what has become a connection stays (409).
    #[serde(default)]
    pending: bool,
}

fn yes() -> bool {
    true
}

/// What became of a connection that was taken out.
#[derive(Debug, Serialize, ToSchema)]
struct Removed {
    /// Its name.
    removed: String,
    /// Whether its service ended its tokens (RFC 7009).
    revoked: bool,
    /// Whether its app and its hosts are still there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    kept: bool,
    /// Why its tokens may still be good.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// Takes a connection out, and ends its tokens at its service where that has a way; or ends a question that nobody answered.
///
/// A question is its key's own to end; a connection is an administrator's.
#[utoipa::path(delete, path = "/v1/connections/{id}", tag = "connections",
    params(("id" = String, Path, description = "As it was given, or `provider[:user]`"), How),
    security(("key" = ["app", "node", "admin", "owner", "operator"])), responses(
    (status = 200, body = Removed, description = "It is gone"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none, or it is not for this key"),
    (status = 409, body = Document, content_type = "application/problem+json",
        description = "Nothing of it can be kept; or it is no question any more, and only that was to end"),
))]
async fn remove_connection(
    State(gateway): State<Shared>,
    asked: Asked<App>,
    InPath(id): InPath<String>,
    InQuery(how): InQuery<How>,
    headers: HeaderMap,
) -> Result<Json<Removed>, Problem> {
    let handle = Handle::new(&asked.who, &id, &headers)?;
    let (id, entry) = match gateway.on_disk(move |gateway| gateway.find(&handle)).await?? {
        Found::Held(id, entry) => (id, entry),
        Found::Asked(given, _, connection) => return withdraw(&gateway, &asked, (given, connection)).await,
    };
    if how.pending {
        return Err(Problem::conflict("connected", "a person has answered, and the connection is there"));
    }
    if asked.who.kind() != Some(Kind::Admin) {
        return Err(Problem::forbidden("not_admin", "only admin keys take connections out"));
    }
    if how.keep && !can_end(&entry) {
        let message = format!("{id} was connected by no log-in of a person: nothing of it can be kept");
        return Err(Problem::conflict("not_kept", message));
    }
    asked.note(&gateway, "gateway_removed", &[("connection", id.as_str())]).await?;
    // To its end also where the caller leaves.
    let work = tokio::spawn(async move { take_out(&gateway, (&id, &entry), how).await });
    work.await.unwrap_or_else(|_stopped| Err(Problem::internal()))
}

/// Ends a question, for who asked it.
async fn withdraw(
    gateway: &Shared,
    asked: &Asked<App>,
    (given, connection): (GatewayId, ConnectionId),
) -> Result<Json<Removed>, Problem> {
    let (who, whose) = (asked.who.clone(), given.clone());
    gateway.on_disk(move |gateway| gateway.may_end(&who, &whose)).await??;
    asked.note(gateway, "gateway_dropped", &[("connection", connection.as_str())]).await?;
    let ended = gateway.on_disk(move |gateway| gateway.ports.pending.fail(&given, Ending::Withdrawn)).await?;
    ended.map_err(|error| not_kept(&error))?;
    Ok(Json(Removed { removed: connection.to_string(), revoked: false, kept: false, warning: None }))
}

async fn take_out(gateway: &Shared, (id, entry): (&ConnectionId, &Arc<Entry>), how: How) -> Result<Json<Removed>, Problem> {
    let (catalogue, vault) = (gateway.ports.catalogue.load_full(), gateway.on_disk(Gateway::vault).await??);
    let ended = match how.revoke {
        true => end((id, entry), &catalogue, &vault, &gateway.consents()).await,
        false => Ended::Nothing,
    };
    let warning = match &ended {
        Ended::Yes | Ended::Nothing => None,
        Ended::Shared(other) => Some(format!("{other} was made by the same app, and the service may end both together")),
        Ended::No(error) => Some(told(error)),
    };
    warning.iter().for_each(|why| tracing::warn!(connection = %id, "its tokens may still be good: {why}"));
    let gone = id.clone();
    let done = gateway.on_disk(move |gateway| match how.keep {
        true => gateway.ports.store.update(&gone, end_here).map(drop),
        false => gateway.ports.store.delete(&gone).map(drop),
    });
    done.await?.map_err(|error| Problem::unreadable(&error))?;
    Ok(Json(Removed { removed: id.to_string(), revoked: matches!(ended, Ended::Yes), kept: how.keep, warning }))
}
