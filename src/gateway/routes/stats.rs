//! What happened in a time, in numbers.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::approval::Held;
use crate::audit::{Begun, MOST, Measure, Range, Stats, Wanted};
use crate::gateway::access::{Asked, Auditor};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::InQuery;
use crate::gateway::problem::Problem;

/// Names of each dimension where nothing is said.
const USUAL: u32 = 8;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(stats))
}

/// Of which time, and how much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// How far back; `24h` where nothing is said.
    #[param(inline)]
    range: Option<Range>,
    /// What makes a name one of the largest, and of what its series are; `requests` where nothing is said.
    #[param(inline)]
    by: Option<Measure>,
    /// So many providers, agents and hosts; 8 where nothing is said.
    #[param(minimum = 1, maximum = 50)]
    top: Option<u32>,
}

/// Requests, refusals, errors, times and bytes of a range of time, in steps, and whose they were.
///
/// They are counted from the audit log's index, in the step in which a request ended; those that have not ended yet are counted where
/// they began, and so are those that are held for a person's word, of which the log has no line yet. Of each step 256 providers, 256 agents and 256 hosts are told apart, those with the most requests and bytes.
#[utoipa::path(get, path = "/api/stats", tag = "audit", params(Which), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Stats, description = "The numbers"),
))]
async fn stats(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InQuery(which): InQuery<Which>,
) -> Result<Json<Stats>, Problem> {
    let top = which.top.unwrap_or(USUAL);
    if !(1..=MOST).contains(&top) {
        return Err(Problem::malformed(format!("top is from 1 to {MOST}")));
    }
    let (range, by) = (which.range.unwrap_or_default(), which.by.unwrap_or_default());
    let wanted = Wanted { range, by, top: usize::try_from(top).unwrap_or_default() };
    let held: Vec<Begun> = gateway.ports.approvals.held().into_iter().map(begun).collect();
    let read = move |gateway: &Gateway| gateway.ports.log.stats(wanted, &held);
    let stats = gateway.on_disk(read).await?.map_err(|error| Problem::unreadable(&error))?;
    Ok(Json(stats))
}

fn begun(held: Held) -> Begun {
    let Held { agent, host, connection, asked_at, .. } = held;
    let provider = connection.map(|connection| connection.provider().to_string()).unwrap_or_default();
    let time = Timestamp::try_from(asked_at).unwrap_or_default().as_microsecond();
    Begun { time, provider, agent, host }
}
