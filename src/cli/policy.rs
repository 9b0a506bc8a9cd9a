//! `nexus policy`: check the rules, hold requests against them, write those that the log would have needed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use jiff::Timestamp;
use nexus::app::{Config, Explainer, InForce, Tried, policy_of, rules_digest, trials, try_all};
use nexus::audit::{Since, Tail};
use nexus::model::AgentName;
use nexus::policy::{Judge, Observations, Observed, Rule, Suggested, read, suggest};
use serde_json::json;

use super::arguments::Policy;
use super::context::Context;
use super::node;
use super::taken;
use super::terminal::Terminal;

/// The largest file that is read here.
const MAX_FILE: u64 = 1024 * 1024;
/// More kinds of requests than this are not kept.
const MAX_SEEN: usize = 200_000;
/// How many refused requests are named.
const NAMED: usize = 20;

pub(super) fn run(context: &Context, terminal: &Terminal, action: &Policy) -> anyhow::Result<ExitCode> {
    match action {
        Policy::Check { file: Some(file) } => check_file(terminal, file),
        Policy::Check { file: None } => check(context, terminal),
        Policy::Test { file } => test(context, terminal, file),
        Policy::Suggest { since, agent } => write_suggested(context, terminal, *since, agent.as_ref()),
    }
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    let bytes = nexus::disk::read_regular(file, MAX_FILE)?.with_context(|| format!("there is no file {}", file.display()))?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", file.display()))
}

fn check_file(terminal: &Terminal, file: &Path) -> anyhow::Result<ExitCode> {
    let rules = read(&file.display().to_string(), &text_of(file)?)?.len();
    terminal.either(&json!({ "rules": rules }), || format!("{rules} rules, all sound\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn check(context: &Context, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    context.require_home()?;
    let (config, rules) = match sound(context) {
        Ok(sound) => sound,
        Err(error) => {
            for (process, rules) in obeyed(context)? {
                terminal.warn(&format!(
                    "the proxy that is up (process {process}) keeps the rules that it took at {}, until the mistake is mended; it then takes them by itself",
                    rules.since
                ));
            }
            return Err(error);
        }
    };
    let rows = || {
        rules.iter().map(|rule| {
            let (file, line) = rule.place();
            let mode = if rule.reports() { "report" } else { "enforce" };
            (rule.name().to_string(), rule.action(), mode, file.to_owned(), line)
        })
    };
    let value: Vec<_> = rows()
        .map(|(name, action, mode, file, line)| json!({ "name": name, "action": action, "mode": mode, "file": file, "line": line }))
        .collect();
    terminal.either(&json!(value), || {
        let row = |(name, action, mode, file, line): (String, &str, &str, String, usize)| {
            vec![name, action.to_owned(), mode.to_owned(), format!("{file}:{line}")]
        };
        Terminal::table(&["Rule", "Action", "Mode", "Place"], rows().map(row).collect())
    })?;
    tell_older(context, terminal, &rules_digest(&rules, &config))?;
    if rules.is_empty() {
        terminal.hint("there is no rule yet: docs/howto/policy.md shows some, and `nexus policy suggest` writes what the log would have needed");
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration and the rules on disk.
fn sound(context: &Context) -> anyhow::Result<(Config, Vec<Arc<Rule>>)> {
    let config = context.config()?;
    let rules = policy_of(&context.home, &config)?;
    Ok((config, rules))
}

/// Which rules the proxies of this home obey.
fn obeyed(context: &Context) -> anyhow::Result<Vec<(i32, InForce)>> {
    let up = context.home.announced()?;
    Ok(up.into_iter().filter_map(|one| Some((one.process, one.in_force?))).collect())
}

/// Says which proxies obey other rules than those on disk, which `digest` names, once they had the time to take these.
fn tell_older(context: &Context, terminal: &Terminal, digest: &str) -> anyhow::Result<()> {
    let older = || anyhow::Ok(obeyed(context)?.into_iter().filter(|(_, rules)| rules.digest != digest).collect::<Vec<_>>());
    for (process, InForce { since, mistake, .. }) in taken::still(older)? {
        terminal.warn(&format!("the proxy that is up (process {process}) obeys older rules, those that it took at {since}"));
        match mistake {
            Some(mistake) => terminal.hint(&format!("it said: {mistake}")),
            None => terminal.hint(&format!("`kill -HUP {process}` has it read them now")),
        }
    }
    Ok(())
}

fn test(context: &Context, terminal: &Terminal, file: &Path) -> anyhow::Result<ExitCode> {
    context.require_home()?;
    let trials = trials(&text_of(file)?).with_context(|| file.display().to_string())?;
    let (config, store) = (context.config()?, context.store()?);
    let vault = node::connections(context, terminal, &store)?;
    let tried = try_all(&Explainer::new(&context.home, &config, &vault)?, trials)?;
    let wrong = tried.iter().filter(|tried| !tried.is_right()).count();
    let value: Vec<_> = tried
        .iter()
        .map(|tried| {
            let (trial, right) = (&tried.trial, tried.is_right());
            let why = &tried.explanation.why;
            json!({ "method": trial.method, "url": trial.url, "agent": trial.agent, "expected": trial.expect, "verdict": tried.verdict,
                    "rule": tried.rule, "right": right, "why": why })
        })
        .collect();
    terminal.either(&json!(value), || {
        Terminal::table(&["", "Request", "Agent", "Verdict", "Rule"], tried.iter().map(row).collect())
    })?;
    if wrong == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    terminal.error(&format!("{wrong} of {} requests are not as expected; `nexus explain` says why", tried.len()));
    Ok(ExitCode::FAILURE)
}

fn row(tried: &Tried) -> Vec<String> {
    let trial = &tried.trial;
    let verdict = match tried.is_right() {
        true => tried.verdict.word().to_owned(),
        false => format!("{}, not {}", tried.verdict.word(), trial.expect.word()),
    };
    let rule = match (&tried.rule, &trial.rule) {
        (rule, Some(expected)) if rule.as_ref() != Some(expected) => {
            format!("{}, not {expected}", rule.as_deref().unwrap_or("-"))
        }
        (rule, _) => rule.clone().unwrap_or_else(|| "-".to_owned()),
    };
    let mark = if tried.is_right() { "ok" } else { "WRONG" };
    let agent = trial.agent.clone().unwrap_or_else(|| "-".to_owned());
    vec![mark.to_owned(), format!("{} {}", trial.method, trial.url), agent, verdict, rule]
}

fn write_suggested(
    context: &Context,
    terminal: &Terminal,
    since: SystemTime,
    agent: Option<&AgentName>,
) -> anyhow::Result<ExitCode> {
    context.require_home()?;
    let since = Timestamp::try_from(since)?;
    let mut seen = Observations::new(MAX_SEEN);
    let mut tail = Tail::open(&context.home.audit(), Since::Start)?;
    while let Some(line) = tail.next_line(Duration::ZERO)? {
        seen.take(&line, since, agent);
    }
    let kinds = seen.let_on();
    let Suggested { rules, unsaid } = suggest(&kinds);
    let judge = Judge::of(&rules)?;
    let outside: Vec<&Observed> = kinds.iter().filter(|one| !judge.lets_on(one) && !unsaid.contains(one)).collect();
    let told = |seen: &BTreeMap<Observed, u64>, let_on: bool| -> Vec<_> {
        let such = seen.iter().filter(|(one, _)| judge.lets_on(one) == let_on);
        such.map(|(one, count)| json!({ "request": one.to_string(), "times": count })).collect()
    };
    let value = json!({
        "requests": seen.requests(),
        "rules": rules,
        "would_refuse": outside.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "no_rule_can_say": unsaid.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "refused_already": told(&seen.refused, false),
        "newly_let_on": told(&seen.guarded, true),
        "of_commands": seen.passing,
    });
    terminal.either(&value, || rules.clone())?;
    for one in unsaid.iter().take(NAMED) {
        terminal.warn(&format!("no rule can speak of {one} without doubt, so none lets it on"));
    }
    if unsaid.len() > NAMED {
        terminal.warn(&format!("nor of {} more; `--json` names them all", unsaid.len() - NAMED));
    }
    say(&seen, terminal, (&outside, unsaid.len()), &judge);
    Ok(ExitCode::SUCCESS)
}

fn say(seen: &Observations, terminal: &Terminal, (outside, unsaid): (&[&Observed], usize), judge: &Judge) {
    terminal.say(&format!(
        "{} requests of {} kinds were let on. Put these rules into policies/suggested.toml, and policy.default = \"deny\" into nexus.toml.",
        seen.requests(),
        seen.kinds.len()
    ));
    for one in outside.iter().take(NAMED) {
        terminal.warn(&format!("these rules would have refused {one}"));
    }
    if outside.is_empty() {
        let but = if unsaid > 0 { " but those of which no rule can speak" } else { "" };
        terminal.say(&format!("They would have refused none of them{but}."));
    }
    for (one, count) in seen.guarded.iter().filter(|(one, _)| judge.lets_on(one)).take(NAMED) {
        terminal.warn(&format!("these rules let on what was refused or asked about before: {count} x {one}"));
    }
    let already: Vec<_> = seen.refused.iter().filter(|(one, _)| !judge.lets_on(one)).collect();
    if !already.is_empty() {
        terminal.say(&format!("{} kinds of requests were refused already, and are by them:", already.len()));
        for (one, count) in already.iter().take(NAMED) {
            terminal.say(&format!("  {count} x {one}"));
        }
    }
    if seen.passing > 0 {
        terminal.say(&format!(
            "{} more requests came from agents of `nexus run` or `nexus test`, whose names never come again; rules for `run-*` speak of them.",
            seen.passing
        ));
    }
    if seen.dropped {
        terminal.warn("the log has more kinds of requests than fit in memory; take a shorter time or one agent");
    }
}
