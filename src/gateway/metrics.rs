//! Numbers for monitoring: `/metrics`, in Prometheus's format or OpenMetrics.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Asked, Operator};
use super::context::{Gateway, Shared};
use super::health::by_status;
use super::problem::Problem;
use crate::telemetry::{Exposition, Kind, Style};

/// Its operation.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Numbers for Prometheus (text exposition format 0.0.4), or in OpenMetrics 1.0 where that is accepted.
#[utoipa::path(get, path = "/metrics", tag = "health", security(("key" = ["admin", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = String, content_type = "text/plain", description = "Numbers since the start"),
))]
async fn metrics(State(gateway): State<Shared>, _asked: Asked<Operator>, headers: HeaderMap) -> Result<Response, Problem> {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let style = Style::accepted(&accepted.collect::<Vec<_>>().join(","));
    let connections = gateway.on_disk(by_status).await??;
    let mut out = Exposition::new(style);
    tell(&gateway, &connections, &mut out);
    gateway.ports.telemetry.tell(&mut out);
    Ok(([(CONTENT_TYPE, style.content_type()), (VARY, "accept")], out.finish()).into_response())
}

/// The gateway's own. Label values are words of ours, or of the vault's closed list.
fn tell(gateway: &Gateway, connections: &BTreeMap<&'static str, usize>, out: &mut Exposition) {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let counters = &gateway.counters;
    out.family("nexus_gateway_requests", Kind::Counter, "Requests that the gateway answered, by status.");
    for (status, count) in counters.answers() {
        out.sample(&[("status", &status.to_string())], count);
    }
    out.family("nexus_gateway_problems", Kind::Counter, "Requests that the gateway refused or failed, by reason.");
    for (code, count) in counters.problems() {
        out.sample(&[("code", code)], count);
    }
    out.family("nexus_connections", Kind::Gauge, "Connections in the vault, by status.");
    for (status, count) in connections {
        out.sample(&[("status", status)], wide(*count));
    }
    out.family("nexus_renewals", Kind::Counter, "Renewals of credentials that have ended, by how.");
    for (outcome, count) in gateway.ports.broker.renewals() {
        out.sample(&[("outcome", outcome)], count);
    }
    out.family("nexus_approvals", Kind::Counter, "Requests that a rule wanted a person's word about, by what became of it.");
    for (outcome, count) in gateway.ports.approvals.numbers.all() {
        out.sample(&[("outcome", outcome)], count);
    }
    let streams = wide(gateway.ports.streams.load(Ordering::Relaxed));
    let gauges = [
        ("nexus_gateway_requests_under_way", "Requests of the gateway that are not answered yet.", counters.under_way()),
        ("nexus_proxy_streams", "Streams of the proxy's callers that are under way.", streams),
        ("nexus_providers", "Services that are known.", wide(gateway.ports.catalogue.load().iter().count())),
        ("nexus_agents", "Identities of callers.", wide(gateway.ports.agents.load().agents().count())),
        ("nexus_approvals_waiting", "Requests that wait for a person's word.", wide(gateway.ports.approvals.waiting())),
        ("nexus_attention_open", "What waits for a person.", wide(gateway.ports.attention.open().len())),
    ];
    for (name, help, value) in gauges {
        out.family(name, Kind::Gauge, help);
        out.sample(&[], value);
    }
}
