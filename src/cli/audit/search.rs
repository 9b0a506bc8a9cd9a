//! `nexus audit search`: what happened, by agent, lease, host, provider, verdict, status and time.

use std::io::IsTerminal as _;

use nexus::audit::{Search, describe, search};
use nexus::model::UserName;

use super::super::arguments::{self, Conditions};
use super::super::context::Context;
use super::super::terminal::Terminal;
use super::told;

/// From so many lines on that must be indexed first, people are told.
const WORTH_TELLING: u64 = 100_000;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &arguments::Search) -> anyhow::Result<()> {
    let wanted = Search { limit: (options.limit > 0).then_some(options.limit), ..conditions(context, &options.conditions)? };
    let told_at = |lines: u64| {
        if lines.is_multiple_of(WORTH_TELLING) {
            terminal.say(&format!("indexing: {lines} lines"));
        }
    };
    let lines = search(&context.home.audit(), &wanted, told_at)?;
    if !terminal.json && !lines.is_empty() && std::io::stdout().is_terminal() {
        terminal.say(&told::header());
    }
    for line in &lines {
        let text = if terminal.json { Some(line.clone()) } else { describe(line).map(|summary| told::line(&summary)) };
        if let Some(text) = text
            && !terminal.more_data(&format!("{text}\n"))?
        {
            return Ok(());
        }
    }
    if !terminal.json && lines.is_empty() {
        terminal.hint("nothing like that is in the log; leave a condition out, or look at `nexus audit tail`");
    } else if !terminal.json && lines.len() == options.limit {
        terminal.hint(&format!("these are the newest {}; --limit 0 shows all, --until what came before", options.limit));
    }
    Ok(())
}

/// What is looked for.
pub(super) fn conditions(context: &Context, options: &Conditions) -> anyhow::Result<Search> {
    let theirs = |user: &UserName| -> anyhow::Result<Vec<String>> {
        let agents = context.home.agents()?;
        let theirs = agents.iter().filter(|agent| agent.user.as_ref().is_some_and(|own| own.is(user)));
        Ok(theirs.map(|agent| agent.name.to_string()).collect())
    };
    Ok(Search {
        agent: options.agent.clone(),
        agents: options.user.as_ref().map(theirs).transpose()?,
        lease: options.lease.clone(),
        host: options.host.clone(),
        provider: options.provider.clone(),
        verdict: options.verdict.map(|verdict| verdict.name().to_owned()),
        status: options.status.clone(),
        rule: options.rule.clone(),
        text: options.text.clone(),
        since: options.period.since,
        until: options.period.until,
        limit: None,
    })
}
