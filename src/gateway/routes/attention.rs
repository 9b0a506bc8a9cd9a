//! What needs a person: connections that the proxy refused requests for.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::attention::{Fared, Shown};
use crate::gateway::access::{Asked, Level as _, Operator, Watcher};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::InPath;
use crate::gateway::problem::Problem;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(needs)).routes(routes!(need))
}

/// What needs a person.
#[derive(Debug, Serialize, ToSchema)]
struct Attention {
    /// What is open first, what was asked for last before what was asked for long ago.
    items: Vec<Shown>,
    /// Requests that wait until a person has acted.
    held: usize,
    /// How the webhook fares; null where there is none, and for apps.
    webhook: Option<Fared>,
}

/// What needs a person, of the connections that whoever asks may see.
#[utoipa::path(get, path = "/api/attention", tag = "attention", security(("key" = ["app", "owner", "node", "admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Attention, description = "What is open, and what was settled within the hour"),
))]
async fn needs(State(gateway): State<Shared>, asked: Asked<Watcher>) -> Result<Json<Attention>, Problem> {
    gateway.on_disk(look).await?;
    let attention = &gateway.ports.attention;
    let seen = |(connection, shown)| asked.who.sees(&connection).then_some(shown);
    let webhook = if Operator::admits(&asked.who) { attention.fared() } else { None };
    Ok(Json(Attention { items: attention.all().into_iter().filter_map(seen).collect(), held: attention.held(), webhook }))
}

/// How one of them stands; it can be asked for an hour after it was settled.
#[utoipa::path(get, path = "/api/attention/{id}", tag = "attention", security(("key" = ["app", "owner", "node", "admin", "operator", "approver", "auditor"])),
    params(("id" = String, Path, description = "The `request_id` of the first request that was refused")),
    responses(
        (status = 200, body = Shown, description = "How it stands"),
        (status = 404, body = crate::gateway::problem::Document, content_type = "application/problem+json", description = "No such item, or whoever asks may not see its connection"),
    ),
)]
async fn need(
    State(gateway): State<Shared>,
    asked: Asked<Watcher>,
    InPath(id): InPath<String>,
) -> Result<Json<Shown>, Problem> {
    gateway.on_disk(look).await?;
    let found = gateway.ports.attention.find(&id).filter(|(need, _)| asked.who.sees(&need.connection));
    found
        .map(|(_, shown)| Json(shown))
        .ok_or_else(|| Problem::missing("there is no such item, or it was settled more than an hour ago"))
}

/// What was done a moment ago is told now.
fn look(gateway: &Gateway) {
    gateway.ports.broker.settle_needs(&gateway.ports.attention);
}
