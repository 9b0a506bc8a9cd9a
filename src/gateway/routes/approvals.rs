//! Requests that wait for a person's word: seen, answered; what was let on for a time, seen and ended.
//!
//! For administrators alone, which the command line of this machine is. A program of the gateway's own user is none: the programs that ask
//! are often such, and none may answer itself.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{Request, State};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::approval::{Answer, Claimed, Lasting, NotDone, Reply, Shown, ShownGrant, State as Standing};
use crate::gateway::access::{Approver, Asked, Auditor, Level, Open};
use crate::gateway::context::Shared;
use crate::gateway::input::{InBody, InPath, InQuery, Whole, parse, whole};
use crate::gateway::problem::{Document, Problem};
use crate::model::Glob;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    let read = OpenApiRouter::new().routes(routes!(approvals)).routes(routes!(approval)).routes(routes!(rule_of_approval));
    read.routes(routes!(answer_approval)).routes(routes!(reply_to_approval)).routes(routes!(revoke_grant))
}

/// How long a yes lasts that says no time, and how long any may: what is to last is a rule.
const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;
/// Letters of a pattern in a query.
const LETTERS: usize = 255;

/// What waits, what has ended, and what was let on.
#[derive(Debug, Serialize, ToSchema)]
struct Approvals {
    /// How many wait.
    waiting: usize,
    /// What waits first, then what ended within the hour.
    items: Vec<Shown>,
    /// What was let on for a time.
    grants: Vec<ShownGrant>,
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalDecision)]
enum Decision {
    /// It goes on.
    Allow,
    /// It is refused.
    Deny,
}

/// An answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalAnswer)]
struct Given {
    /// `allow` or `deny`.
    decision: Decision,
    /// For so many seconds all requests of the same agent, rule, method, host and path are let on.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 86400)]
    for_secs: Option<Whole>,
    /// And those of other paths that fit this pattern, written as a rule's `paths`; for an hour where no time is said.
    #[schema(max_length = 1024)]
    pattern: Option<String>,
}

/// An answer to a notice.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalReply)]
struct Replied {
    /// The notice's `reply_token`.
    #[schema(max_length = 128)]
    token: String,
    /// `allow` or `deny`.
    decision: Decision,
    /// As in an answer.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 86400)]
    for_secs: Option<Whole>,
    /// As in an answer.
    #[schema(max_length = 1024)]
    pattern: Option<String>,
}

/// Requests that wait for a person's word, and what was let on for a time.
#[utoipa::path(get, path = "/api/approvals", tag = "approvals", security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Approvals, description = "What waits, what ended within the hour, and what was let on"),
))]
async fn approvals(State(gateway): State<Shared>, _asked: Asked<Auditor>) -> Json<Approvals> {
    let desk = &gateway.ports.approvals;
    Json(Approvals { waiting: desk.waiting(), items: desk.all(), grants: desk.grants(SystemTime::now()) })
}

/// One of them.
#[utoipa::path(get, path = "/api/approvals/{id}", tag = "approvals", security(("key" = ["admin", "operator", "approver", "auditor"])),
    params(("id" = String, Path, description = "The `request_id` of the request")),
    responses(
        (status = 200, body = Shown, description = "What it wants, and how it stands"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "No such question, or it ended long ago"),
    ),
)]
async fn approval(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InPath(id): InPath<String>,
) -> Result<Json<Shown>, Problem> {
    gateway.ports.approvals.find(&id).map(Json).ok_or_else(unknown)
}

/// Of which paths.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Paths {
    /// Of those that fit this pattern, written as a rule's `paths`; of the request's own where nothing is said.
    #[param(max_length = 255, pattern = "^/")]
    pattern: Option<String>,
}

/// The rule that would let on such requests from now on, to be written down by whoever keeps the rules. Nothing is changed by it.
///
/// It speaks of the same agent, host, port, method and path, keeps all other conditions of the rule that asks, and goes directly before that.
#[utoipa::path(get, path = "/api/approvals/{id}/rule", tag = "approvals", security(("key" = ["admin", "operator", "approver", "auditor"])),
    params(("id" = String, Path, description = "The `request_id` of a request that waits"), Paths),
    responses(
        (status = 200, body = Lasting, description = "The rule, and where it goes"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "No such question, or it ended long ago"),
        (status = 409, body = Document, content_type = "application/problem+json", description = "It has ended, or no rule can say such a request"),
    ),
)]
async fn rule_of_approval(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InPath(id): InPath<String>,
    InQuery(Paths { pattern }): InQuery<Paths>,
) -> Result<Json<Lasting>, Problem> {
    if pattern.as_ref().is_some_and(|pattern| pattern.chars().count() > LETTERS) {
        return Err(Problem::malformed(format!("a pattern has at most {LETTERS} letters here")));
    }
    if gateway.ports.approvals.find(&id).is_none() {
        return Err(unknown());
    }
    let paths = pattern.as_deref().map(read_pattern).transpose()?;
    gateway.ports.approvals.lasting(&id, paths.as_ref()).map(Json).map_err(|why| match why {
        NotDone::Unfit if paths.is_none() => {
            Problem::conflict("unsaid", "no rule can say just this request; name a pattern of paths, or write a rule yourself")
        }
        NotDone::Unfit => Problem::conflict(
            "unsaid",
            "the pattern does not fit the path of this request, or speaks of paths about which the rule that asks would not ask",
        ),
        why => not_done(why),
    })
}

/// Lets a request go on, or refuses it.
#[utoipa::path(post, path = "/api/approvals/{id}", tag = "approvals", security(("key" = ["admin", "operator", "approver"])), request_body = Given,
    params(("id" = String, Path, description = "The `request_id` of the request")),
    responses(
        (status = 200, body = Shown, description = "It is answered"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "No such question, or it ended long ago"),
        (status = 409, body = Document, content_type = "application/problem+json", description = "It has ended, or somebody else is answering"),
    ),
)]
async fn answer_approval(
    State(gateway): State<Shared>,
    asked: Asked<Approver>,
    InPath(id): InPath<String>,
    InBody(given): InBody<Given>,
) -> Result<Json<Shown>, Problem> {
    let claimed = gateway.ports.approvals.claim(&id, None).map_err(not_done)?;
    let by = asked.who.name().to_owned();
    give(&gateway, &asked, (claimed, &given), &by).await
}

/// A reply to a notice of the webhook, signed with its key: one answer to the one question of that notice.
///
/// It is signed as notices are (Standard Webhooks 1.0.0): `webhook-id`, `webhook-timestamp` and `webhook-signature`.
#[utoipa::path(post, path = "/api/approvals/{id}/reply", tag = "approvals", request_body = Replied,
    params(("id" = String, Path, description = "The `id` of the notice's item")),
    responses(
        (status = 200, body = Shown, description = "It is answered"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "No such question, or the token is not that of its notice"),
        (status = 409, body = Document, content_type = "application/problem+json", description = "It has ended, or somebody else is answering"),
        (status = 429, body = Document, content_type = "application/problem+json", description = "Too many replies that were not signed"),
    ),
)]
async fn reply_to_approval(
    State(gateway): State<Shared>,
    asked: Asked<Open>,
    InPath(id): InPath<String>,
    request: Request,
) -> Result<Json<Shown>, Problem> {
    let headers = request.headers().clone();
    let body = whole(request).await?;
    authentic(&gateway, &asked, (&headers, &body))?;
    let Replied { token, decision, for_secs, pattern } = parse(&body)?;
    let claimed = gateway.ports.approvals.claim(&id, Some(&token)).map_err(not_done)?;
    give(&gateway, &asked, (claimed, &Given { decision, for_secs, pattern }), "webhook").await
}

/// Ends what was let on for a time.
#[utoipa::path(delete, path = "/api/approvals/grants/{id}", tag = "approvals", security(("key" = ["admin", "operator", "approver"])),
    params(("id" = String, Path, description = "The `id` of the grant")),
    responses(
        (status = 204, description = "It has ended"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "Nothing is let on by it"),
    ),
)]
async fn revoke_grant(
    State(gateway): State<Shared>,
    asked: Asked<Approver>,
    InPath(id): InPath<String>,
) -> Result<StatusCode, Problem> {
    let desk = &gateway.ports.approvals;
    let known = desk.grants(SystemTime::now()).into_iter().find(|grant| grant.id == id);
    let gone = || Problem::missing("nothing is let on by an answer of this id, or not any more");
    let known = known.ok_or_else(gone)?;
    asked
        .note(&gateway, "approval_revoked", &[("approval_id", &known.id), ("agent", &known.agent), ("rule", &known.rule)])
        .await?;
    if desk.revoke(&id) { Ok(StatusCode::NO_CONTENT) } else { Err(gone()) }
}

/// Writes down who answers what, and answers.
async fn give<W: Level>(
    gateway: &Shared,
    asked: &Asked<W>,
    (claimed, given): (Claimed, &Given),
    by: &str,
) -> Result<Json<Shown>, Problem> {
    let answer = answer(given)?;
    claimed.takes(&answer).map_err(not_done)?;
    let shown = &claimed.shown;
    let span = given.for_secs.map(|Whole(seconds)| seconds.to_string());
    let details = [("approval_id", shown.id.as_str()), ("answer", answer.word()), ("answered_by", by)];
    let whose = [("agent", shown.agent.as_str()), ("rule", shown.rule.as_str())];
    let more = [("for_secs", span.as_deref()), ("pattern", given.pattern.as_deref())];
    let more = more.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let all: Vec<(&'static str, &str)> = details.into_iter().chain(whose).chain(more).collect();
    asked.note(gateway, "approval", &all).await?;
    claimed.answer(&answer, by, SystemTime::now()).map(Json).map_err(not_done)
}

fn answer(given: &Given) -> Result<Answer, Problem> {
    let span = given.for_secs.map_or(HOUR, |Whole(seconds)| seconds);
    if !(1..=DAY).contains(&span) {
        return Err(Problem::malformed("the member for_secs is from 1 to 86400; what is to last longer is a rule"));
    }
    let span = Duration::from_secs(span);
    match (given.decision, &given.pattern, given.for_secs) {
        (Decision::Deny, None, None) => Ok(Answer::Deny),
        (Decision::Deny, ..) => Err(Problem::malformed("for_secs and pattern go with the decision allow")),
        (Decision::Allow, None, None) => Ok(Answer::Once),
        (Decision::Allow, None, Some(_)) => Ok(Answer::For(span)),
        (Decision::Allow, Some(pattern), _) => Ok(Answer::Pattern(read_pattern(pattern)?, span)),
    }
}

fn read_pattern(pattern: &str) -> Result<Glob, Problem> {
    pattern.parse().map_err(|error| Problem::malformed(format!("the member pattern can't be read: {error}")))
}

/// Whether the reply is from whoever has the webhook's key. Who shows many that are not has to wait.
fn authentic(gateway: &Shared, asked: &Asked<Open>, (headers, body): (&HeaderMap, &[u8])) -> Result<(), Problem> {
    let source = asked.source.ip();
    if gateway.guesses.exhausted(source, gateway.settings.wrong_keys_per_minute) {
        return Err(Problem::too_many_guesses());
    }
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, timestamp, signature) = (field("webhook-id"), field("webhook-timestamp"), field("webhook-signature"));
    gateway.ports.approvals.check(&Reply { id, timestamp, signature, body }, SystemTime::now()).map_err(|why| {
        gateway.guesses.wrong(source);
        Problem::forbidden("not_signed", why.to_string())
    })
}

fn unknown() -> Problem {
    Problem::missing("there is no such question, or it ended more than an hour ago")
}

/// How it has ended, for who comes late.
fn settled(shown: &Shown) -> String {
    let by = shown.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    match (shown.status, shown.respond_async) {
        (Standing::Waiting, _) => "somebody else is answering it".to_owned(),
        (Standing::Allowed, _) => format!("it is allowed already{by}"),
        (Standing::Denied, _) => format!("it is denied already{by}"),
        (Standing::TimedOut, _) => "it is refused already: nobody answered in time".to_owned(),
        (Standing::Left, true) => "it was allowed, and not sent again in time".to_owned(),
        (Standing::Left, false) => "its program has hung up; nothing of it went on".to_owned(),
        (Standing::Used, _) => format!("it was allowed{by}, and has gone on"),
    }
}

fn not_done(why: NotDone) -> Problem {
    match why {
        NotDone::Unknown => unknown(),
        NotDone::Settled(shown) => {
            let status = serde_json::to_value(shown.status).unwrap_or_default();
            Problem::conflict("settled", settled(&shown)).with("approval_status", status)
        }
        NotDone::Unfit => Problem::malformed("the pattern does not fit the path of this request"),
        NotDone::Full => Problem::conflict("full", "as much is let on for a time as may be; revoke some, or write a rule"),
    }
}
