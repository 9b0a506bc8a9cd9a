//! `nexus env`: the variables that lead programs through the proxy.

use std::path::Path;

use nexus::app::Config;
use nexus::ca::describe;
use nexus::model::AgentName;

use super::arguments::Env;
use super::context::{Context, Hint};
use super::env::{Format, comment, render, variables, write_helpers};
use super::node;
use super::surroundings::{self, Who};
use super::terminal::Terminal;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Env) -> anyhow::Result<()> {
    context.require_home()?;
    let config = context.config()?;
    let agents = context.home.agents()?;
    let format = if terminal.json { Format::Json } else { options.format };
    let shown = match &options.agent {
        Some(name) => Some(name.parse::<AgentName>()?),
        None if agents.iter().any(|agent| !agent.ephemeral) => {
            let message = "agents are defined, so that callers must show a token: say which with --agent";
            anyhow::bail!(Hint::new(message, "nexus agent list"));
        }
        None => None,
    };
    let limits =
        shown.as_ref().map(|name| agents.iter().find(|agent| agent.name == *name).ok_or_else(|| super::agent::unknown(name)));
    let limits = limits.transpose()?;
    let token = limits.map(token_of).transpose()?;
    let name: AgentName = shown.clone().map_or_else(|| "local".parse(), Ok)?;
    let key = context.key()?;
    let store = nexus::vault::Store::with_key(context.home.vault(), key.duplicate());
    let (helpers, who) = (context.home.helpers(), Who { name: &name, limits });
    let (catalogue, all) = (context.catalogue(terminal), node::connections(context, terminal, &store)?);
    let mut placeholders = surroundings::placeholders(&catalogue, &all, &key, &who, &helpers);
    let inherited = Context::variable;
    // A file of the caller's own is more than ours: it may name a project.
    placeholders.retain(|(name, value)| {
        let own = inherited(name).filter(|own| !own.is_empty());
        !Path::new(value).starts_with(&helpers) || own.is_none_or(|own| own == *value)
    });
    let mut inputs = surroundings::inputs(context, &config, placeholders, &inherited)?;
    (inputs.proxy, inputs.java_proxy) = address(context, terminal, &config, shown.as_ref())?;
    inputs.agent = token.map(|token| (name.to_string(), token));
    write_helpers(&inputs)?;
    let text = render(&variables(&inputs), format)?;
    let remark = format!("nexus: through {}, CA SHA-256 {}", inputs.proxy, fingerprint(context)?);
    let comment = comment(&remark, format);
    if comment.is_empty() {
        terminal.say(&remark);
    }
    terminal.data(&format!("{comment}{text}"))
}

/// Tokens are stored as hashes, so the person must bring it.
fn token_of(agent: &nexus::agent::Registered) -> anyhow::Result<String> {
    let hint = |message: String| Hint::new(message, format!("NEXUS_AGENT_TOKEN=… nexus env --agent {}", agent.name));
    let token = Context::variable("NEXUS_AGENT_TOKEN").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| hint(format!("the token of {} is kept as a hash only", agent.name)))?;
    anyhow::ensure!(agent.has_token(&token), hint(format!("NEXUS_AGENT_TOKEN is not the token of {}", agent.name)));
    Ok(token)
}

/// Where the proxy is: the one that is up, else where the configuration would have it. And the listener bound to the agent.
fn address(
    context: &Context,
    terminal: &Terminal,
    config: &Config,
    agent: Option<&AgentName>,
) -> anyhow::Result<(String, Option<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bound = agent.and_then(|agent| config.proxy.agent_listen.keys().position(|name| name == agent.as_str()));
    let configured: Vec<_> = config.proxy.listen.iter().chain(config.proxy.agent_listen.values()).copied().collect();
    let addresses = match runtime.block_on(surroundings::running(context))? {
        Some(reached) => reached.announced.addresses,
        None => {
            terminal.warn("no proxy is up; these variables work once `nexus up` runs");
            configured
        }
    };
    let first = addresses.first().map(|address| surroundings::reachable(*address)).unwrap_or_default();
    let java =
        bound.and_then(|at| addresses.get(config.proxy.listen.len() + at)).map(|address| surroundings::reachable(*address));
    Ok((first, java))
}

/// The SHA-256 of the root that signs.
pub(super) fn fingerprint(context: &Context) -> anyhow::Result<String> {
    let pem = nexus::app::trusted(&context.home)?.into_iter().next().unwrap_or_default();
    Ok(describe(&pem)?.into_iter().next().map(|about| about.sha256).unwrap_or_default())
}
