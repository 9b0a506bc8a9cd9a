//! Log-ins by a code that is typed on a page of the service: `/api/device-log-ins`.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connections::{each, scopes};
use crate::gateway::access::{Admin, Asked};
use crate::gateway::context::Shared;
use crate::gateway::device::{Code, DeviceStanding, begin};
use crate::gateway::input::{InBody, InPath};
use crate::gateway::problem::{Document, Problem};
use crate::model::{ConnectionId, GatewayId};

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(begin_device)).routes(routes!(device, give_up_device))
}

/// Who logs in, and where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceWanted {
    /// `provider` or `provider:user`.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9._~@+-]{1,128})?$")]
    connection: String,
    /// What the connection is to be good for; none = what is usual for the service.
    #[serde(default)]
    #[schema(schema_with = scopes)]
    scopes: Option<Vec<String>>,
}

/// A code that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceBegun {
    /// By which it is watched and given up.
    id: String,
    /// What is typed.
    user_code: String,
    /// On which page.
    verification_uri: String,
    /// The same page with the code in it, where the service has one.
    verification_uri_complete: Option<String>,
    /// Until when.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// How it stands.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceShown {
    /// `pending`, `active` or `failed`.
    status: &'static str,
    /// Why nothing came of it: `access_denied`, `expired` (nobody typed it), `withdrawn` or `connection_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Asks a service for a code that a person types on its page, and waits until that is done.
#[utoipa::path(post, path = "/api/device-log-ins", tag = "connections", request_body = DeviceWanted, security(("key" = ["admin", "operator"])), responses(
    (status = 201, body = DeviceBegun, description = "Show the person the code and the page, and watch it"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "No such provider"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "It has no log-in by a code, gave none, or no app is registered"),
))]
async fn begin_device(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InBody(DeviceWanted { connection, scopes }): InBody<DeviceWanted>,
) -> Result<(StatusCode, Json<DeviceBegun>), Problem> {
    let wrong = |error| Problem::malformed(format!("the connection's name can't be used: {error}"));
    let connection: ConnectionId = connection.parse().map_err(|error: crate::model::IdError| wrong(error))?;
    let scopes = each(&scopes.unwrap_or_default())?;
    asked.note(&gateway, "gateway_asked", &[("connection", connection.as_str())]).await?;
    let Code { id, typed, page, complete, ends } = begin(&gateway, connection, scopes).await?;
    let begun = DeviceBegun {
        id: id.to_string(),
        user_code: typed,
        verification_uri: page,
        verification_uri_complete: complete,
        expires_at: time(ends),
    };
    Ok((StatusCode::CREATED, Json(begun)))
}

/// How a log-in by a code stands.
#[utoipa::path(get, path = "/api/device-log-ins/{id}", tag = "connections", params(("id" = String, Path, description = "As it was given")),
    security(("key" = ["admin", "operator"])), responses(
    (status = 200, body = DeviceShown, description = "How it stands"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none, or not any more"),
))]
async fn device(
    State(gateway): State<Shared>,
    _asked: Asked<Admin>,
    InPath(id): InPath<String>,
) -> Result<Json<DeviceShown>, Problem> {
    let id: GatewayId = id.parse().map_err(|_no_id| gone())?;
    let standing = gateway.devices.standing(&id, (gateway.ports.clock)()).ok_or_else(gone)?;
    Ok(Json(match standing {
        DeviceStanding::Pending => DeviceShown { status: "pending", reason: None },
        DeviceStanding::Connected => DeviceShown { status: "active", reason: None },
        DeviceStanding::Failed(why) => DeviceShown { status: "failed", reason: Some(why.word()) },
    }))
}

/// Gives up a log-in by a code. One whose code was typed already is kept.
#[utoipa::path(delete, path = "/api/device-log-ins/{id}", tag = "connections", params(("id" = String, Path, description = "As it was given")),
    security(("key" = ["admin", "operator"])), responses(
    (status = 204, description = "Nobody waits for it"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none, or not any more"),
))]
async fn give_up_device(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InPath(id): InPath<String>,
) -> Result<StatusCode, Problem> {
    let id: GatewayId = id.parse().map_err(|_no_id| gone())?;
    asked.note(&gateway, "gateway_dropped", &[("log_in", &id.to_string())]).await?;
    if gateway.devices.give_up(&id) { Ok(StatusCode::NO_CONTENT) } else { Err(gone()) }
}

fn gone() -> Problem {
    Problem::missing("there is no such log-in, or not any more")
}

/// RFC 3339, whole seconds.
fn time(time: SystemTime) -> Option<String> {
    Timestamp::try_from(time).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).ok()
}
