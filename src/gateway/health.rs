//! Whether it works: `/health`, `/metrics`, `/api/status`, and the document of all this.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Asked, Open, Operator};
use super::context::{Gateway, Shared};
use super::problem::Problem;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(metrics)).routes(routes!(status))
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
#[utoipa::path(get, path = "/api/status", tag = "health", security(("key" = ["admin", "owner"])), responses(
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

fn by_status(gateway: &Gateway) -> Result<BTreeMap<&'static str, usize>, Problem> {
    let snapshot = gateway.ports.store.snapshot().map_err(|error| Problem::unreadable(&error))?;
    let mut counts = BTreeMap::new();
    for (_, entry) in snapshot.iter() {
        *counts.entry(entry.status.as_str()).or_default() += 1;
    }
    Ok(counts)
}

/// Numbers for Prometheus (text exposition format 0.0.4).
#[utoipa::path(get, path = "/metrics", tag = "health", security(("key" = ["admin", "owner"])), responses(
    (status = 200, body = String, content_type = "text/plain", description = "Numbers since the start"),
))]
async fn metrics(State(gateway): State<Shared>, _asked: Asked<Operator>) -> Result<Response, Problem> {
    let connections = gateway.on_disk(by_status).await??;
    let text = exposition(&gateway, &connections);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Prometheus's text exposition format 0.0.4. Label values are words of ours, or of the vault's closed list.
fn exposition(gateway: &Gateway, connections: &BTreeMap<&'static str, usize>) -> String {
    let counters = &gateway.counters;
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let label = |name: &str, value: &dyn std::fmt::Display| format!("{{{name}=\"{value}\"}}");
    let answers = counters.answers().into_iter().map(|(status, count)| (label("status", &status), count)).collect();
    let problems = counters.problems().into_iter().map(|(code, count)| (label("code", &code), count)).collect();
    let connections = connections.iter().map(|(status, count)| (label("status", status), wide(*count))).collect();
    let renewals = gateway.ports.broker.renewals().map(|(outcome, count)| (label("outcome", &outcome), count)).to_vec();
    let one = |count: u64| vec![(String::new(), count)];
    let streams = one(wide(gateway.ports.streams.load(Ordering::Relaxed)));
    let all = [
        ("gateway_requests_total", "counter", "Requests that the gateway answered, by status.", answers),
        ("gateway_problems_total", "counter", "Requests that the gateway refused or failed, by reason.", problems),
        (
            "gateway_requests_under_way",
            "gauge",
            "Requests of the gateway that are not answered yet.",
            one(counters.under_way()),
        ),
        ("connections", "gauge", "Connections in the vault, by status.", connections),
        ("renewals_total", "counter", "Renewals of credentials that have ended, by how.", renewals),
        ("proxy_streams", "gauge", "Streams of the proxy's callers that are under way.", streams),
    ];
    let mut text = String::new();
    for (name, kind, help, values) in all {
        text.push_str(&format!("# HELP nexus_{name} {help}\n# TYPE nexus_{name} {kind}\n"));
        for (labels, value) in values {
            text.push_str(&format!("nexus_{name}{labels} {value}\n"));
        }
    }
    text
}
