//! Who asks, as the gateway sees it.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::access::{Asked, Watcher, Who};
use crate::gateway::context::Shared;
use crate::gateway::keys::Kind;
use crate::gateway::session::Role;

/// Its operation.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(whoami))
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
struct Asking {
    /// The key's name, or `owner` where a program of the gateway's own user showed none.
    name: String,
    /// `admin`, `node`, `app`, or `owner`; at the page `operator`, `approver` or `auditor`.
    kind: &'static str,
    /// The person whose connections alone it sees.
    user: Option<String>,
    /// The providers that it may use; null means all.
    providers: Option<Vec<String>>,
}

/// A person at the page is called by their role.
fn kind(who: &Who) -> &'static str {
    who.role().map(Role::as_str).or_else(|| who.kind().map(Kind::as_str)).unwrap_or("owner")
}

/// Who asks.
#[utoipa::path(get, path = "/api/whoami", tag = "health", security(("key" = ["app", "owner", "node", "admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Asking, description = "Whose key it is"),
))]
async fn whoami(asked: Asked<Watcher>) -> Json<Asking> {
    let providers = asked.who.providers().map(|names| names.iter().map(ToString::to_string).collect());
    Json(Asking {
        name: asked.who.name().to_owned(),
        kind: kind(&asked.who),
        user: asked.who.bound_to().map(ToString::to_string),
        providers,
    })
}
