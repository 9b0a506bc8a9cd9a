//! `nexus agent`: the identities of callers.

use std::time::SystemTime;

use anyhow::Context as _;
use nexus::agent::{Frozen, Limits, Registered, Token};
use nexus::app::HomeError;
use nexus::model::{AgentName, ProviderId};
use serde_json::{Value, json};

use super::arguments::{AddAgent, Agent, Bound, LimitAgent};
use super::context::{Context, Hint};
use super::terminal::Terminal;
use super::{lease, providers, surroundings, taken, when};

pub(super) fn run(context: &Context, terminal: &Terminal, action: &Agent) -> anyhow::Result<()> {
    context.require_home()?;
    match action {
        Agent::Add(options) => add(context, terminal, options)?,
        Agent::List => return list(context, terminal),
        Agent::Show { name } => return show(context, terminal, name),
        Agent::Limit(options) => limit(context, terminal, options)?,
        Agent::Freeze { name } => freeze(context, terminal, name)?,
        Agent::Thaw { name } => thaw(context, terminal, name)?,
        Agent::Lease(options) => return lease::add(context, terminal, options),
        Agent::Leases { name } => return lease::list(context, terminal, name),
        Agent::Release { id } => return lease::end(context, terminal, id),
        Agent::Revoke { name } => revoke(context, terminal, name)?,
    }
    // Who sees that it is done may rely on it.
    taken::agents(context, terminal)
}

fn add(context: &Context, terminal: &Terminal, options: &AddAgent) -> anyhow::Result<()> {
    let now = SystemTime::now();
    let name = &options.name;
    anyhow::ensure!(name.as_str() != "local", "local is the name of callers without a token; choose another");
    let providers = providers_named(context, terminal, &options.providers)?;
    let hosts = &options.hosts;
    let token = Token::random().context("the system gives no random numbers")?;
    let row = Registered {
        name: name.clone(),
        token_sha256: token.hash(),
        user: options.user.clone(),
        providers: (!providers.is_empty()).then_some(providers),
        hosts: (!hosts.is_empty()).then(|| hosts.clone()),
        rate: options.rate,
        expires: options.expires,
        created: Some(now),
        ephemeral: false,
    };
    let before = context.home.add_agent(&row)?;
    let Some(before) = before else {
        let message = format!("there is an agent called {name} already, and its token can't be shown again");
        anyhow::bail!(Hint::new(message, format!("nexus agent revoke {name}")));
    };
    show_once(context, terminal, &row, &token).or_else(|error| take_back(context, name, error))?;
    if before == 0 {
        terminal.warn("from now on every caller of this proxy must show a token; until now those of your own user needed none");
    }
    Ok(())
}

fn providers_named(context: &Context, terminal: &Terminal, names: &[String]) -> anyhow::Result<Vec<ProviderId>> {
    let catalogue = context.catalogue(terminal);
    names.iter().map(|text| Ok(providers::find(&catalogue, &text.parse()?)?.id.clone())).collect()
}

/// A token that nobody has seen is nobody's.
fn take_back(context: &Context, name: &AgentName, error: anyhow::Error) -> anyhow::Result<()> {
    context.home.revoke(name)?;
    Err(error.context(format!("the token could not be shown, so {name} was not added")))
}

/// The one time that the token is seen.
fn show_once(context: &Context, terminal: &Terminal, row: &Registered, token: &Token) -> anyhow::Result<()> {
    let config = context.config()?;
    let proxy = config.proxy.listen.first().map(|address| surroundings::reachable(*address)).unwrap_or_default();
    let (name, text) = (&row.name, token.text().expose());
    let url = format!("http://{name}:{text}@{proxy}");
    let value = json!({ "agent": name.as_str(), "token": text, "proxy": url, "expires_at": row.expires.map(when::show) });
    terminal.either(&value, || {
        format!(
            "token of {name}, shown this once:\n  {text}\n\
             paste into the agent's shell:\n  eval \"$(NEXUS_AGENT_TOKEN={text} nexus env --agent {name})\"\n\
             or, for a client that takes only a proxy and a CA file:\n  HTTPS_PROXY={url}\n  SSL_CERT_FILE={}\n",
            context.home.bundle().display()
        )
    })
}

fn texts<T: ToString>(list: Option<&Vec<T>>) -> Option<Vec<String>> {
    list.map(|list| list.iter().map(ToString::to_string).collect())
}

fn described(agent: &Registered, frozen: &[Frozen], now: SystemTime) -> Value {
    json!({
        "agent": agent.name.as_str(),
        "user": agent.user.as_ref().map(ToString::to_string),
        "providers": texts(agent.providers.as_ref()),
        "hosts": texts(agent.hosts.as_ref()),
        "rate": agent.rate.map(|rate| rate.to_string()),
        "expires_at": agent.expires.map(when::show),
        "created_at": agent.created.map(when::show),
        "expired": agent.expires.is_some_and(|end| end <= now),
        "ephemeral": agent.ephemeral,
        "frozen_since": frozen_since(agent, frozen).map(when::show),
    })
}

/// As `described`, in words: name, user, providers, hosts, rate, expires, created.
/// Since when it gets nothing, if so.
fn frozen_since(agent: &Registered, frozen: &[Frozen]) -> Option<SystemTime> {
    frozen.iter().find(|one| one.agent == agent.name).map(|one| one.since)
}

fn cells(agent: &Registered, frozen: &[Frozen], now: SystemTime) -> Vec<String> {
    let all = |list: Option<Vec<String>>| list.map_or_else(|| "all".to_owned(), |list| list.join(", "));
    let kind = if agent.ephemeral { " (nexus run)" } else { "" };
    let state = if frozen_since(agent, frozen).is_some() { " (frozen)" } else { "" };
    vec![
        format!("{}{kind}{state}", agent.name),
        agent.user.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        all(texts(agent.providers.as_ref())),
        all(texts(agent.hosts.as_ref())),
        agent.rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string()),
        agent.expires.map_or_else(|| "never".to_owned(), |end| when::ends(end, now)),
        when::minute(agent.created),
    ]
}

const COLUMNS: [&str; 7] = ["Agent", "User", "Providers", "Hosts", "Rate", "Expires", "Created"];

fn list(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let agents = context.home.agents()?;
    let frozen = context.home.frozen()?;
    let now = SystemTime::now();
    let value: Vec<_> = agents.iter().map(|agent| described(agent, &frozen, now)).collect();
    terminal.either(&json!({ "agents": value }), || {
        Terminal::table(&COLUMNS, agents.iter().map(|agent| cells(agent, &frozen, now)).collect())
    })?;
    tell_frozen(terminal, &frozen);
    if agents.is_empty() && !terminal.json {
        terminal.hint("no agents: callers of your own user on this machine need no token; `nexus agent add NAME` changes that");
    }
    Ok(())
}

fn show(context: &Context, terminal: &Terminal, name: &AgentName) -> anyhow::Result<()> {
    let agents = context.home.agents()?;
    let agent = agents.iter().find(|agent| agent.name == *name).ok_or_else(|| unknown(name))?;
    let (frozen, now) = (context.home.frozen()?, SystemTime::now());
    terminal.either(&described(agent, &frozen, now), || {
        let rows = COLUMNS.iter().zip(cells(agent, &frozen, now)).map(|(column, cell)| format!("{column:<11}{cell}\n"));
        rows.collect::<String>()
    })
}

fn limit(context: &Context, terminal: &Terminal, options: &LimitAgent) -> anyhow::Result<()> {
    let LimitAgent { name, providers, hosts, rate, expires } = options;
    let of_providers = || match providers.as_slice() {
        [all] if all == "all" => Ok(None),
        names => providers_named(context, terminal, names).map(Some),
    };
    let limits = Limits {
        providers: (!providers.is_empty()).then(of_providers).transpose()?,
        // One of them may be the word for all.
        hosts: (!hosts.is_empty()).then(|| hosts.iter().map(Bound::limit).collect()),
        rate: rate.as_ref().map(Bound::limit),
        expires: expires.as_ref().map(Bound::limit),
    };
    anyhow::ensure!(context.home.limit_agent(name, &limits)?, unknown(name));
    show(context, terminal, name)
}

fn freeze(context: &Context, terminal: &Terminal, name: &AgentName) -> anyhow::Result<()> {
    let agent = name.clone();
    let known = agent.as_str() == "local" || context.home.agents()?.iter().any(|row| row.name == agent);
    anyhow::ensure!(known, unknown(&agent));
    let new =
        context.home.freeze(&Frozen { agent, since: SystemTime::now(), why: "somebody ran nexus agent freeze".into() })?;
    anyhow::ensure!(new, Hint::new(format!("{name} is frozen already"), format!("nexus agent thaw {name}")));
    terminal.either(&json!({ "frozen": name.as_str() }), || {
        format!("froze {name}: it gets nothing until `nexus agent thaw {name}`\n")
    })
}

fn thaw(context: &Context, terminal: &Terminal, name: &AgentName) -> anyhow::Result<()> {
    anyhow::ensure!(context.home.thaw(name)?, Hint::new(format!("{name} is not frozen"), "nexus agent list"));
    terminal.either(&json!({ "thawed": name.as_str() }), || format!("thawed {name}\n"))
}

/// A word about each that gets nothing.
fn tell_frozen(terminal: &Terminal, frozen: &[Frozen]) {
    for Frozen { agent, since, why } in frozen {
        terminal.warn(&format!(
            "{agent} is frozen since {}: {why}; `nexus agent thaw {agent}` ends that",
            when::minute(Some(*since))
        ));
    }
}

fn revoke(context: &Context, terminal: &Terminal, name: &AgentName) -> anyhow::Result<()> {
    let lasting = || Ok::<_, HomeError>(context.home.lasting()?.unwrap_or_default().len());
    let before = lasting()?;
    anyhow::ensure!(context.home.revoke(name)?, unknown(name));
    terminal.either(&json!({ "revoked": name.as_str() }), || format!("revoked {name}\n"))?;
    if before > 0 && lasting()? == 0 {
        terminal.warn("that was the last agent: callers of your own user on this machine need no token from now on");
    }
    Ok(())
}

/// The error for a name that nobody bears.
pub(super) fn unknown(name: &AgentName) -> Hint {
    Hint::new(format!("there is no agent called {name}"), "nexus agent list")
}
