//! The rules as they are live, what the log says of them, and what it would have needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::audit;
use crate::gateway::access::{Asked, Auditor};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::InQuery;
use crate::gateway::insight::RulesNow;
use crate::gateway::problem::{Document, Problem};
use crate::gateway::survey::{Matched, Survey};
use crate::gateway::when::When;
use crate::model::{AgentName, Preset};
use crate::policy::{self, Judge, Observed, Row, Rule, Suggested, read, suggest};
use crate::provider::Provider;

/// How far back is looked where nothing is said.
const USUAL: std::time::Duration = std::time::Duration::from_hours(7 * 24);
/// How many kinds of requests are named.
const NAMED: usize = 100;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(policy)).routes(routes!(suggestion))
}

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Back {
    /// From then on: RFC 3339, or how long ago (`7d`, `12h`, `90m`, `30s`); a week where nothing is said.
    #[param(value_type = Option<When>)]
    since: Option<When>,
}

/// How far back, and whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Whose {
    /// From then on: RFC 3339, or how long ago (`7d`, `12h`, `90m`, `30s`); a week where nothing is said.
    #[param(value_type = Option<When>)]
    since: Option<When>,
    /// Of this agent alone.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9._~-]{1,64}$")]
    agent: Option<String>,
}

/// The rules that are in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyNow)]
struct PolicyNow {
    /// What becomes of a request that no rule speaks of: `allow` or `deny`.
    default: &'static str,
    /// Since when these rules are in force.
    #[schema(format = DateTime)]
    in_force_since: String,
    /// Why what was written since was not taken; null where nothing is wrong.
    mistake: Option<String>,
    /// Where rules are written.
    file: String,
    /// And where more of them may be, each file `*.toml`.
    folder: String,
    /// From when on the log was counted.
    #[schema(format = DateTime)]
    counted_from: String,
    /// Whether that is as early as was asked for: only so much of the log is read.
    whole: bool,
    /// In their order: the first that fits decides.
    rules: Vec<RuleNow>,
    /// What each service's file offers.
    presets: Vec<PresetsOf>,
}

/// A rule, and how often it had a say.
#[derive(Debug, Serialize, ToSchema)]
struct RuleNow {
    /// What records and refusals call it.
    name: String,
    /// The file where it stands.
    file: String,
    /// From 1.
    line: usize,
    /// `allow`, `deny`, `limit`, `approve`, or the preset's name.
    action: &'static str,
    /// `enforce` or `report`.
    mode: &'static str,
    /// All that it says, as TOML.
    text: String,
    /// Requests that it let on, and that went on.
    let_on: u64,
    /// Requests that it refused: by itself, by what it limits, or by the person whom it asked.
    refused: u64,
    /// Requests of which it had a say and that did neither: something else refused them (no credential, a limit of the agent), Nexus answered
    /// them itself (a person is asked, and the program comes back), or their callers left. With these two they are all that
    /// `/api/audit/search` finds by `rule`, counted where they began.
    otherwise: u64,
    /// Requests that wait for a person's word now because of it.
    waiting: u64,
    /// Requests that it would have refused if it were enforced.
    would_refuse: u64,
    /// Requests that it would have held for a person if it were enforced.
    would_hold: u64,
    /// When it had a say last; null = not in the time that was counted.
    #[schema(format = DateTime)]
    last: Option<String>,
}

/// The presets of a service.
#[derive(Debug, Serialize, ToSchema)]
struct PresetsOf {
    /// Its name.
    provider: String,
    /// Its title.
    title: String,
    /// Those that rules can name: `read_only`, `no_delete`.
    presets: Vec<&'static str>,
}

/// The rules that what was let on would have needed.
#[derive(Debug, Serialize, ToSchema)]
struct Suggestion {
    /// From when on the log was read.
    #[schema(format = DateTime)]
    counted_from: String,
    /// Whether that is as early as was asked for.
    whole: bool,
    /// Whether there were more kinds of requests than are looked at.
    dropped: bool,
    /// How many requests were let on.
    requests: u64,
    /// Of how many kinds.
    kinds: usize,
    /// The file of rules, as `nexus policy suggest` writes it.
    text: String,
    /// Each of these rules, written as `/api/policy` writes those in force.
    rules: Vec<String>,
    /// Requests that these rules would have refused, up to 100.
    would_refuse: Vec<String>,
    /// Requests that no rule can speak of, up to 100.
    no_rule_can_say: Vec<String>,
    /// Requests that were refused already, and that these rules refuse as well, up to 100.
    refused_already: Vec<Times>,
    /// Requests that a rule refused or a person was asked about, and that these rules let on, up to 100.
    newly_let_on: Vec<Times>,
    /// How many more requests came from agents that `nexus run` or `nexus test` made for itself, whose names never come again.
    of_commands: u64,
}

/// A kind of request.
#[derive(Debug, Serialize, ToSchema)]
struct Times {
    /// Who asked for what.
    request: String,
    /// How often.
    times: u64,
}

/// The rules as they are live, in their order, and how often the log says that each had a say.
///
/// Up to 256 MiB of the log are read for it, and told again for a minute.
#[utoipa::path(get, path = "/api/policy", tag = "policy", params(Back), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = PolicyNow, description = "The rules"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "No proxy is in this process"),
))]
async fn policy(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InQuery(back): InQuery<Back>,
) -> Result<Json<PolicyNow>, Problem> {
    let insight = gateway.insight.get().ok_or_else(no_proxy)?;
    let rules = (insight.rules)();
    let survey = survey(&gateway, back.since).await?;
    let RulesNow { rules, closed, since, mistake, file, folder } = rules;
    let catalogue = gateway.ports.catalogue.load();
    let waiting = gateway.ports.approvals.waiting_by_rule();
    let shown = |rule: &Arc<Rule>| {
        let name = &**rule.name();
        shown(rule, survey.rules.get(name), waiting.get(name).copied().unwrap_or_default())
    };
    Ok(Json(PolicyNow {
        default: if closed { "deny" } else { "allow" },
        in_force_since: since,
        mistake,
        file: file.display().to_string(),
        folder: folder.display().to_string(),
        counted_from: survey.from.to_string(),
        whole: survey.whole,
        rules: rules.iter().map(shown).collect(),
        presets: catalogue.iter().map(|provider| presets(provider)).collect(),
    }))
}

/// The least rules that what the log has would have needed, as `nexus policy suggest` writes them. Nothing is changed by it.
#[utoipa::path(get, path = "/api/policy/suggestion", tag = "policy", params(Whose), security(("key" = ["admin", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Suggestion, description = "The rules"),
))]
async fn suggestion(
    State(gateway): State<Shared>,
    _asked: Asked<Auditor>,
    InQuery(Whose { since, agent }): InQuery<Whose>,
) -> Result<Json<Suggestion>, Problem> {
    let agent = agent.map(|agent| agent.parse::<AgentName>()).transpose();
    let agent = agent.map_err(|error| Problem::malformed(format!("agent: {error}")))?;
    let survey = survey(&gateway, since).await?;
    gateway.on_disk(move |_gateway| suggested(&survey, agent.as_ref()).map(Json)).await?
}

/// What the log has from then on, counted now or a moment ago.
async fn survey(gateway: &Shared, since: Option<When>) -> Result<Arc<Survey>, Problem> {
    let now = (gateway.ports.clock)();
    let since = since.map_or_else(|| now.checked_sub(USUAL).unwrap_or(SystemTime::UNIX_EPOCH), |since| since.at(now));
    // One at a time, whoever asked has left or not: each reads much of the log.
    let mut held = Arc::clone(&gateway.surveying).lock_owned().await;
    if let Some(known) = held.as_ref().filter(|known| known.serves(since)) {
        return Ok(Arc::clone(known));
    }
    let make = move |gateway: &Gateway| {
        let made = Arc::new(Survey::make(&gateway.settings.audit, since)?);
        *held = Some(Arc::clone(&made));
        Ok::<_, audit::Error>(made)
    };
    gateway.on_disk(make).await?.map_err(|error| Problem::unreadable(&error))
}

fn shown(rule: &Rule, matched: Option<&Matched>, waiting: u64) -> RuleNow {
    let (file, line) = rule.place();
    let Matched { let_on, refused, otherwise, would_refuse, would_hold, last } = matched.cloned().unwrap_or_default();
    RuleNow {
        name: rule.name().to_string(),
        file: file.to_owned(),
        line,
        action: rule.action(),
        mode: if rule.reports() { "report" } else { "enforce" },
        text: rule.text(),
        let_on,
        refused,
        otherwise,
        waiting,
        would_refuse,
        would_hold,
        last: last.map(|last| last.to_string()),
    }
}

fn presets(provider: &Provider) -> PresetsOf {
    let offered = [Preset::ReadOnly, Preset::NoDelete].into_iter().filter(|preset| provider.presets.offers(*preset));
    PresetsOf { provider: provider.id.to_string(), title: provider.title.clone(), presets: offered.map(Preset::word).collect() }
}

/// The rules that what `survey` has of `agent` would have needed.
fn suggested(survey: &Survey, agent: Option<&AgentName>) -> Result<Suggestion, Problem> {
    let of = |one: &Observed| agent.is_none_or(|agent| *agent == one.agent);
    let mine = || survey.seen.kinds.iter().filter(|(one, _)| of(one));
    let kinds: BTreeSet<Observed> = mine().map(|(one, _)| one.clone()).collect();
    let Suggested { rules: text, unsaid } = suggest(&kinds);
    let unreadable = |error: policy::Error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the rules that were suggested can't be read");
        Problem::internal()
    };
    let judge = Judge::of(&text).map_err(unreadable)?;
    let outside = kinds.iter().filter(|one| !judge.lets_on(one) && !unsaid.contains(one)).take(NAMED);
    let times = |seen: &BTreeMap<Observed, u64>, let_on: bool| {
        let such = seen.iter().filter(|(one, _)| of(one) && judge.lets_on(one) == let_on).take(NAMED);
        such.map(|(one, times)| Times { request: one.to_string(), times: *times }).collect()
    };
    Ok(Suggestion {
        counted_from: survey.from.to_string(),
        whole: survey.whole,
        dropped: survey.seen.dropped,
        requests: mine().map(|(_, times)| times).sum(),
        kinds: kinds.len(),
        rules: read("suggested", &text).map_err(unreadable)?.iter().map(Row::text).collect(),
        would_refuse: outside.map(ToString::to_string).collect(),
        no_rule_can_say: unsaid.iter().take(NAMED).map(ToString::to_string).collect(),
        refused_already: times(&survey.seen.refused, false),
        newly_let_on: times(&survey.seen.guarded, true),
        of_commands: if agent.is_none() { survey.seen.passing } else { 0 },
        text,
    })
}

fn no_proxy() -> Problem {
    Problem::conflict("no_proxy", "no proxy is in this process; `nexus policy check` lists the rules where one is")
}
