//! `nexus explain`: what would become of a request.

use anstyle::{AnsiColor, Style};
use nexus::app::{Explanation, Outcome, Ruled, ShownRule, explain};

use super::arguments::Explain;
use super::context::Context;
use super::node;
use super::terminal::{BOLD, Terminal};

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Explain) -> anyhow::Result<()> {
    context.require_home()?;
    let agent = options.agent.as_ref();
    let (method, url) = match options.request.as_slice() {
        [method, url, ..] => (method.as_str(), url.as_str()),
        [url] => ("GET", url.as_str()),
        [] => ("GET", ""),
    };
    // Mistakes in a person's provider files are told; the answer is that of the others.
    context.catalogue(terminal);
    let (vault, unheard) = node::look(context, terminal, &context.store()?)?;
    let answer = explain(&context.home, &context.config()?, (&vault, unheard), agent, (method, url))?;
    if agent.is_none() && context.home.lasting()?.is_some_and(|agents| !agents.is_empty()) {
        terminal.warn("agents are defined; this is the answer for one without limits. Name one with --agent");
    }
    terminal.either(&serde_json::to_value(&answer)?, || text(&answer))?;
    if let (Some(command), false) = (&answer.command, terminal.json) {
        terminal.hint(&format!("run `{command}`"));
    }
    Ok(())
}

fn text(answer: &Explanation) -> String {
    let (word, style) = outcome(answer.outcome);
    let head = format!("{BOLD}{} {}{BOLD:#}  {style}{word}{style:#}\n", answer.method, answer.url);
    let mut rows = vec![("agent", answer.agent.clone())];
    if let Some(connect) = answer.connect {
        rows.push(("CONNECT", connect.to_owned()));
    }
    if let Some(provider) = &answer.provider {
        rows.push(("provider", provider.clone()));
    }
    if let Some(rule) = &answer.rule {
        let paths = if rule.paths.is_empty() { "every path".to_owned() } else { rule.paths.join(" ") };
        rows.push(("rule", format!("{}: {}, {paths}", rule.number, rule.hosts.join(" "))));
    }
    rows.extend(answer.policy.iter().flat_map(policy));
    if let Some(connection) = &answer.connection {
        rows.push(("connection", connection.clone()));
    }
    if !answer.placements.is_empty() {
        rows.push(("strategy", format!("{}: {}", answer.strategy.join(" + "), answer.placements.join(" and "))));
    }
    if !answer.strips.is_empty() {
        rows.push(("strips", answer.strips.join(", ")));
    }
    rows.push(("why", answer.why.clone()));
    head + &Terminal::pairs(&rows)
}

/// The rules that people wrote, and where they stand.
fn policy(policy: &Ruled) -> Vec<(&'static str, String)> {
    let shown = |rule: &ShownRule| format!("{} ({}, {}:{})", rule.name, rule.action, rule.file, rule.line);
    let kinds = [
        ("approve", &policy.approvals),
        ("limit", &policy.limits),
        ("looks", &policy.looks),
        ("would hold", &policy.would_hold),
        ("would refuse", &policy.would_refuse),
    ];
    let decided = policy.rule.iter().map(|rule| ("policy", shown(rule)));
    decided.chain(kinds.into_iter().flat_map(|(word, rules)| rules.iter().map(move |rule| (word, shown(rule))))).collect()
}

fn outcome(outcome: Outcome) -> (&'static str, Style) {
    let colour = |colour: AnsiColor| colour.on_default().bold();
    match outcome {
        Outcome::Inject => ("inject", colour(AnsiColor::Green)),
        Outcome::Pass => ("pass", colour(AnsiColor::Cyan)),
        Outcome::Tunnel => ("tunnel", colour(AnsiColor::Cyan)),
        Outcome::Strip => ("strip", colour(AnsiColor::Yellow)),
        Outcome::Refuse => ("refuse", colour(AnsiColor::Red)),
        Outcome::OwnPage => ("own page", colour(AnsiColor::Cyan)),
        Outcome::Answer => ("answer", colour(AnsiColor::Cyan)),
        Outcome::AuthRequired => ("auth required", colour(AnsiColor::Yellow)),
    }
}
