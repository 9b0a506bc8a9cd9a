//! What can be asked: one file for each matter, one line here for each file.

mod agents;
mod approvals;
mod attention;
mod audit;
mod callback;
mod capture;
mod catalogue;
mod connections;
mod device;
mod events;
mod explain;
mod leases;
mod listed;
mod minted;
mod node;
mod policy;
mod providers;
mod removed;
mod search;
mod sign_in;
mod standing;
mod stats;
mod stored;
mod tokens;
mod tried;
mod whoami;

use axum::Router;
use axum::response::IntoResponse as _;
use http::header::CONTENT_TYPE;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Asked, Open};
use super::context::Shared;
use super::{health, metrics, openapi, problem, web};

/// Every path, and the document that describes them.
pub(super) fn all(gateway: &Shared) -> Router {
    let described = OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(document))
        // One line for each file; each has `pub(super) fn routes() -> OpenApiRouter<Shared>`.
        .merge(agents::routes())
        .merge(minted::routes())
        .merge(approvals::routes())
        .merge(attention::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(audit::routes())
        .merge(search::routes())
        .merge(standing::routes())
        .merge(callback::routes())
        .merge(capture::routes())
        .merge(catalogue::routes())
        .merge(connections::routes())
        .merge(events::routes())
        .merge(device::routes())
        .merge(explain::routes())
        .merge(policy::routes())
        .merge(removed::routes())
        .merge(providers::routes())
        .merge(leases::routes())
        .merge(listed::routes())
        .merge(sign_in::routes())
        .merge(stats::routes())
        .merge(tokens::routes())
        .merge(tried::routes())
        .merge(node::routes())
        .merge(stored::routes())
        .merge(whoami::routes());
    let (router, document) = described.split_for_parts();
    let text = serde_json::to_string(&openapi::complete(document)).unwrap_or_default();
    router
        .merge(web::routes())
        .fallback(web::no_such_view)
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(gateway.clone())
        .layer(axum::Extension(Text(text.into())))
}

/// The document as it is sent.
#[derive(Clone)]
struct Text(std::sync::Arc<str>);

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "health", responses(
    (status = 200, body = Object, content_type = "application/json", description = "An OpenAPI 3.1 document"),
))]
async fn document(_asked: Asked<Open>, axum::Extension(Text(text)): axum::Extension<Text>) -> axum::response::Response {
    ([(CONTENT_TYPE, "application/json")], text.to_string()).into_response()
}
