//! Whether the audit log is as it was written.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::audit::{Error, Verified};
use crate::gateway::access::{Asked, Auditor};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::InQuery;
use crate::gateway::problem::Problem;
use crate::gateway::standing::{self, Checked, Checking};

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(audit_standing)).routes(routes!(verify_audit))
}

/// How the log stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditStanding)]
struct Stands {
    /// By the last look.
    state: Judgement,
    /// Why it is `broken` or `unknown`.
    why: Option<String>,
    /// Where it is broken.
    broken: Option<Break>,
    /// When it was looked last; RFC 3339, UTC.
    checked_at: Option<String>,
    /// How long that took.
    took_millis: Option<u64>,
    /// The look that is under way.
    checking: Option<Under>,
    /// The public key that heads are signed with, as `nexus audit key` prints it.
    key: Option<String>,
    /// What was proven.
    proven: Option<Proven>,
}

/// Whether it holds.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditJudgement)]
enum Judgement {
    /// It is as it was written, as far as `proven` says.
    Holds,
    /// It is not.
    Broken,
    /// It could not be read, or was not looked at yet.
    Unknown,
}

/// The first line that is not as it was written.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditBreak)]
struct Break {
    /// The number of its segment.
    segment: u32,
    /// Its place there, from 1.
    line: u64,
    /// What is wrong with it.
    what: &'static str,
}

/// How far a look is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditChecking)]
struct Under {
    /// When it began; RFC 3339, UTC.
    since: String,
    /// Segments that are done.
    segments: usize,
    /// Of so many; 0 as long as they are not counted.
    of: usize,
    /// Lines in those that are done.
    lines: u64,
}

/// What a look has proven.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditProven)]
struct Proven {
    /// The last line and its hash, `NUMBER:HASH`: noted elsewhere, it proves a later log.
    head: String,
    /// How many segments there are.
    segments: usize,
    /// How many of them were read now; the files of the others are as they were when they were read before.
    read: usize,
    /// How many lines there are.
    lines: u64,
    /// The number of the first.
    first: u64,
    /// That of the last.
    last: u64,
    /// Up to where it is signed.
    signed: Option<SignedUpTo>,
    /// Lines that had no head when another process went on with the log.
    carried: Vec<CarriedOn>,
    /// How many bytes wait to be chained.
    waiting_bytes: u64,
    /// What nobody can tell from what was looked at.
    unproven: Vec<String>,
}

/// The last head.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditSigned)]
struct SignedUpTo {
    /// Its number.
    line: u64,
    /// When it was signed.
    time: String,
    /// How many lines come after it.
    lines_after: u64,
}

/// Lines that had no head.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditCarried)]
struct CarriedOn {
    /// The number of the first.
    from: u64,
    /// That of the last.
    through: u64,
    /// When they were found.
    time: String,
}

/// Whether the audit log is as it was written, by the last look.
///
/// Where it was not looked for a day, this begins a look. A look is whole the first time; later closed segments whose files are as they
/// were are not read again.
#[utoipa::path(get, path = "/api/audit/standing", tag = "audit", security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Stands, description = "How it stands, and what rests on what"),
))]
async fn audit_standing(State(gateway): State<Shared>, _asked: Asked<Auditor>) -> Result<Json<Stands>, Problem> {
    if gateway.standing.is_due((gateway.ports.clock)()) {
        standing::begin(&gateway, false);
    }
    stands(&gateway).map(Json)
}

/// How much is read.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Extent {
    /// All of it, what was read before too.
    #[serde(default)]
    whole: bool,
}

/// Looks whether the audit log is as it was written; one look at a time.
#[utoipa::path(post, path = "/api/audit/verify", tag = "audit", params(Extent), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 202, body = Stands, description = "It is looked at now; `/api/audit/standing` says how far it is"),
))]
async fn verify_audit(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InQuery(extent): InQuery<Extent>,
) -> Result<(StatusCode, Json<Stands>), Problem> {
    standing::begin(&gateway, extent.whole);
    Ok((StatusCode::ACCEPTED, Json(stands(&gateway)?)))
}

fn stands(gateway: &Gateway) -> Result<Stands, Problem> {
    let (checking, checked) = gateway.standing.now();
    let key = gateway.ports.log.head_key().map(|key| key.to_string());
    let checking = checking.map(under).transpose()?;
    let Some(checked) = checked else {
        let why = Some("it was not looked at yet".to_owned());
        let (state, none) = (Judgement::Unknown, None);
        return Ok(Stands { state, why, broken: None, checked_at: none, took_millis: None, checking, key, proven: None });
    };
    let Checked { at, took, found } = &*checked;
    let (state, broken) = match found {
        Ok(_) => (Judgement::Holds, None),
        &Err(Error::Broken { segment, line, what }) => (Judgement::Broken, Some(Break { segment, line, what })),
        Err(_) => (Judgement::Unknown, None),
    };
    Ok(Stands {
        state,
        why: found.as_ref().err().map(ToString::to_string),
        broken,
        checked_at: Some(time(*at)?),
        took_millis: u64::try_from(took.as_millis()).ok(),
        checking,
        key,
        proven: found.as_ref().ok().map(proven),
    })
}

fn under(checking: Checking) -> Result<Under, Problem> {
    let progress = checking.progress;
    Ok(Under { since: time(checking.since)?, segments: progress.segments, of: progress.of, lines: progress.lines })
}

fn proven(found: &Verified) -> Proven {
    let carried = found.carried.iter();
    Proven {
        head: found.head.to_string(),
        segments: found.segments,
        read: found.read,
        lines: found.lines,
        first: found.first,
        last: found.last,
        signed: found.signed.as_ref().map(|signed| SignedUpTo {
            line: signed.line,
            time: signed.time.clone(),
            lines_after: signed.after,
        }),
        carried: carried.map(|one| CarriedOn { from: one.from, through: one.through, time: one.time.clone() }).collect(),
        waiting_bytes: found.waiting,
        unproven: found.unproven(false),
    }
}

fn time(time: SystemTime) -> Result<String, Problem> {
    let time = Timestamp::try_from(time).map_err(|_never| Problem::internal())?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
