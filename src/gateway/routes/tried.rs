//! A connection tried by one harmless request: `POST /api/connections/{id}/test`.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::access::{Admin, Asked};
use crate::gateway::begin::told;
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::InPath;
use crate::gateway::problem::{Document, Problem};
use crate::gateway::tried::{NotTried, Tried};
use crate::model::ConnectionId;

/// Its operation.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(test_connection))
}

/// Sends one harmless request with the connection's credential, through the proxy, as a program would, and says what came back.
#[utoipa::path(post, path = "/api/connections/{id}/test", tag = "connections",
    params(("id" = String, Path, description = "`provider` or `provider:user`")), security(("key" = ["admin", "operator"])), responses(
    (status = 200, body = Tried, description = "What came back, whether the credential works or not"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of this name"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "No harmless request of it is known, or no proxy runs beside this gateway"),
    (status = 504, body = Document, content_type = "application/problem+json", description = "No answer came in time"),
))]
async fn test_connection(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InPath(id): InPath<String>,
) -> Result<Json<Tried>, Problem> {
    let missing = || Problem::missing("there is no connection of this name");
    let id: ConnectionId = id.parse().map_err(|_no_name| missing())?;
    let id = gateway.on_disk(move |gateway| meant(gateway, &id)).await??.ok_or_else(missing)?;
    asked.note(&gateway, "connection_tested", &[("connection", id.as_str())]).await?;
    gateway.try_out(id).await.map(Json).map_err(|error| match &error {
        NotTried::Missing => missing(),
        NotTried::NoProxy => Problem::conflict("no_proxy", error.to_string()),
        NotTried::NoTrial(_) => Problem::conflict("no_trial", error.to_string()),
        NotTried::Late => Problem::new(StatusCode::GATEWAY_TIMEOUT, "late", error.to_string()),
        NotTried::Failed(_) => {
            tracing::warn!("a connection was not tried: {}", told(&error));
            Problem::internal()
        }
    })
}

/// The connection that `id` means, if there is one.
fn meant(gateway: &Gateway, id: &ConnectionId) -> Result<Option<ConnectionId>, Problem> {
    let vault = gateway.vault()?;
    let id = vault.meant(id);
    Ok(vault.get(&id).is_some().then_some(id))
}
