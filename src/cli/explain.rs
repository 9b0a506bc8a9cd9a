//! `nexus explain`: what would become of a request.

use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use nexus::agent::Registered;
use nexus::app::{Explanation, Outcome, Ruled, ShownRule, explain};
use nexus::model::AgentName;

use super::arguments::Explain;
use super::context::Context;
use super::node;
use super::terminal::{BOLD, Terminal};

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Explain) -> anyhow::Result<()> {
    context.require_home()?;
    let (method, url) = match options.request.as_slice() {
        [method, url, ..] => (method.as_str(), url.as_str()),
        [url] => ("GET", url.as_str()),
        [] => ("GET", ""),
    };
    // Mistakes in a person's provider files are told; the answer is that of the others.
    context.catalogue(terminal);
    let (vault, unheard) = node::look(context, terminal, &context.store()?)?;
    let agents = context.home.lasting()?.unwrap_or_default();
    let Caller { agent, refused } = Caller::of(&agents, options.agent.as_ref());
    let asked = agent.as_ref().filter(|_| refused.is_none());
    let answer = explain(&context.home, &context.config()?, (&vault, unheard), asked, (method, url))?;
    if agent.is_none() && refused.is_none() && !agents.is_empty() {
        terminal.warn(
            "agents are defined, so a caller without a token is answered 407; this is the answer for an agent without limits. Name one \
             with --agent",
        );
    }
    let answer = match refused {
        Some(why) => turned_away(answer, agent, &why),
        None => answer,
    };
    terminal.either(&serde_json::to_value(&answer)?, || text(&answer))?;
    if let (Some(command), false) = (&answer.command, terminal.json) {
        terminal.hint(&format!("run `{command}`"));
    }
    Ok(())
}

/// Who would send the request.
struct Caller {
    agent: Option<AgentName>,
    /// Why the proxy would not know them.
    refused: Option<String>,
}

impl Caller {
    /// The agent that is named, or whose token is in NEXUS_AGENT_TOKEN. A name that is nobody's is for the answer to say, and a lease's token
    /// for the proxy that made it.
    fn of(agents: &[Registered], named: Option<&AgentName>) -> Self {
        let token = Context::variable("NEXUS_AGENT_TOKEN").filter(|token| token.starts_with("nxa_"));
        let known = |agent: &&Registered| match (named, &token) {
            (Some(name), _) => agent.name == *name,
            (None, Some(token)) => agent.has_token(token),
            (None, None) => false,
        };
        let found = agents.iter().find(known);
        let agent = named.or(found.map(|found| &found.name)).cloned();
        let not_theirs = |found: &Registered| token.as_ref().is_some_and(|token| !found.has_token(token));
        let refused = match found {
            Some(found) if found.expires.is_some_and(|end| end <= SystemTime::now()) => {
                Some(format!("{} has expired", found.name))
            }
            Some(found) if not_theirs(found) => {
                Some(format!("NEXUS_AGENT_TOKEN is not the token of {}, or not any more", found.name))
            }
            None if named.is_none() && token.is_some() => {
                Some("NEXUS_AGENT_TOKEN is the token of no agent, or of one that was revoked".to_owned())
            }
            _ => None,
        };
        Self { agent, refused }
    }
}

/// What a caller is told whom the proxy doesn't know, whatever they ask for.
fn turned_away(answer: Explanation, agent: Option<AgentName>, why: &str) -> Explanation {
    Explanation {
        agent: agent.map_or_else(|| "unknown".to_owned(), |agent| agent.to_string()),
        outcome: Outcome::Refuse,
        connect: answer.connect.map(|_| "refuse"),
        provider: None,
        rule: None,
        connection: None,
        strategy: Vec::new(),
        placements: Vec::new(),
        strips: Vec::new(),
        policy: None,
        why: format!("the proxy answers 407 (unknown-agent): {why}"),
        command: Some("nexus agent list".to_owned()),
        ..answer
    }
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
