//! The end of the audit log. The Nexus contract.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::audit::{Since, Tail, is_told};
use crate::gateway::access::{Asked, Auditor};
use crate::gateway::context::Shared;
use crate::gateway::input::InQuery;
use crate::gateway::problem::Problem;

/// How many lines are told where nothing is said, and at most.
const USUAL: u32 = 100;
const MOST: u32 = 1_000;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(audit))
}

/// How much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HowMuch {
    /// So many lines from the end; 100 where nothing is said.
    #[param(minimum = 0, maximum = 1000)]
    limit: Option<u32>,
}

/// Lines of the log.
#[derive(Debug, Serialize, ToSchema)]
struct Lines {
    /// As they stand there, the oldest first.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
}

/// The last lines of the audit log.
#[utoipa::path(get, path = "/audit", tag = "audit", params(HowMuch), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Lines, description = "The last lines"),
))]
async fn audit(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InQuery(much): InQuery<HowMuch>,
) -> Result<Json<Lines>, Problem> {
    let limit = much.limit.unwrap_or(USUAL);
    if limit > MOST {
        return Err(Problem::malformed(format!("limit is at most {MOST}")));
    }
    let read = move |gateway: &crate::gateway::Gateway| {
        let mut tail = Tail::open(&gateway.settings.audit, Since::Last(usize::try_from(limit).unwrap_or_default()))?;
        let mut events = Vec::new();
        while let Some(line) = tail.next_line(Duration::ZERO)? {
            // The chain's own lines tell nothing of anybody, and don't count.
            events.extend(serde_json::from_str(&line).ok().filter(|_| is_told(&line)));
        }
        Ok::<_, crate::audit::Error>(events)
    };
    let events = gateway.on_disk(read).await?.map_err(|error| Problem::unreadable(&error))?;
    Ok(Json(Lines { events }))
}
