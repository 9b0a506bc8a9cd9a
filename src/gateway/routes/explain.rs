//! What would become of a request, as `nexus explain` says it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::access::{Asked, Auditor};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::InQuery;
use crate::gateway::insight::{Inquiry, Unexplained};
use crate::gateway::problem::{Document, Problem};

/// The longest URL that is asked about.
const URL: usize = 4_096;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Which request.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// `https://HOST[:PORT][/PATH]`.
    #[param(max_length = 4096)]
    url: String,
    /// `GET` where nothing is said.
    #[param(max_length = 64)]
    method: Option<String>,
    /// The agent that would send it; without one the answer is for a caller that no limit is set for.
    #[param(max_length = 64)]
    agent: Option<String>,
}

/// What would become of a request as the rules, the agents and the connections are now. Nothing is sent.
///
/// The answer is what `nexus explain --json` prints: `outcome`, `connect`, `provider`, `rule`, `connection`, `strategy`, `placements`, `strips`,
/// `policy`, `why`, `command`.
#[utoipa::path(get, path = "/api/explain", tag = "audit", params(Which), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Object, content_type = "application/json", description = "What would become of it, and why"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is no such agent"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "No proxy is in this process"),
    (status = 422, body = Document, content_type = "application/problem+json", description = "That is no request"),
))]
async fn explain(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InQuery(Which { url, method, agent }): InQuery<Which>,
) -> Result<Json<Value>, Problem> {
    if url.len() > URL {
        return Err(unfit(format!("url is longer than {URL} bytes")));
    }
    // All files of the home are read for it: one at a time, whoever asked has left or not.
    let turn = Arc::clone(&gateway.surveying).lock_owned().await;
    let inquiry = Inquiry { agent, method: method.unwrap_or_else(|| "GET".to_owned()), url };
    let explain = move |gateway: &Gateway| {
        let _turn = turn;
        gateway.insight.get().map(|insight| (insight.explain)(&inquiry))
    };
    let explained = gateway.on_disk(explain).await?;
    let explained = explained
        .ok_or_else(|| Problem::conflict("no_proxy", "no proxy is in this process; `nexus explain` says it where one is"))?;
    explained.map(Json).map_err(|why| match why {
        Unexplained::NoSuchAgent(why) => Problem::missing(why),
        Unexplained::Unfit(why) => unfit(why),
        Unexplained::Unreadable(why) => {
            tracing::warn!("a request can't be explained: {why}");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unreadable",
                "the files of the home can't be read now; the log says why",
            )
        }
    })
}

fn unfit(why: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request", why)
}
