//! Whether it works: `/health` and `/api/status`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Asked, Open, Operator};
use super::context::{Gateway, Shared};
use super::problem::Problem;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(status))
}

/// Whether the gateway works.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or `broken` where credentials can't be used.
    status: &'static str,
    /// Of Nexus.
    version: &'static str,
    /// Whether the vault can be read.
    vault: bool,
}

/// Whether it works.
#[utoipa::path(get, path = "/health", tag = "health", responses(
    (status = 200, body = Health, description = "It works"),
    (status = 503, body = Health, description = "It is up, but the vault can't be read"),
))]
async fn health(State(gateway): State<Shared>, _asked: Asked<Open>) -> Result<Response, Problem> {
    let vault = gateway.on_disk(|gateway| gateway.ports.store.snapshot().is_ok()).await?;
    let status = if vault { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if vault { "ok" } else { "broken" };
    Ok((status, Json(Health { status: word, version: env!("CARGO_PKG_VERSION"), vault })).into_response())
}

/// How the gateway stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Standing {
    /// Of Nexus.
    version: &'static str,
    /// Connections by their status.
    connections: BTreeMap<&'static str, usize>,
    /// Services that are known.
    providers: usize,
    /// Keys of the gateway.
    keys: usize,
    /// Agents of the proxy.
    agents: usize,
}

/// How it stands.
#[utoipa::path(get, path = "/api/status", tag = "health", security(("key" = ["admin", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Standing, description = "How it stands"),
))]
async fn status(State(gateway): State<Shared>, _asked: Asked<Operator>) -> Result<Json<Standing>, Problem> {
    let connections = gateway.on_disk(by_status).await??;
    Ok(Json(Standing {
        version: env!("CARGO_PKG_VERSION"),
        connections,
        providers: gateway.ports.catalogue.load().iter().count(),
        keys: gateway.keys.load().len(),
        agents: gateway.ports.agents.load().agents().count(),
    }))
}

pub(super) fn by_status(gateway: &Gateway) -> Result<BTreeMap<&'static str, usize>, Problem> {
    let snapshot = gateway.ports.store.snapshot().map_err(|error| Problem::unreadable(&error))?;
    let mut counts = BTreeMap::new();
    for (_, entry) in snapshot.iter() {
        *counts.entry(entry.status.as_str()).or_default() += 1;
    }
    Ok(counts)
}
