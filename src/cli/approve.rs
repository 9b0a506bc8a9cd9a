//! `nexus approve`: a request that waits goes on; a program's own log-in becomes a connection that its agent may use.

use std::time::SystemTime;

use anyhow::Context as _;
use nexus::app::registration::Reach;
use nexus::model::{ConnectionId, Secret};
use nexus::vault::{Entry, NotApproved};
use serde_json::json;

use super::arguments::Approve;
use super::context::{Context, Hint, known};
use super::terminal::Terminal;
use super::{approvals, gateway, list, providers, when};

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Approve) -> anyhow::Result<()> {
    context.require_home()?;
    if approvals::is_request(&options.provider) {
        return approvals::answer(context, terminal, options);
    }
    let request = options.deny || options.span.is_some() || options.pattern.is_some();
    anyhow::ensure!(!request, Hint::new("--deny, --for and --pattern are for requests that wait", "nexus approvals"));
    let fields = options.fields.iter().map(|field| {
        let (name, value) = field.split_once('=').with_context(|| "--field takes NAME=VALUE".to_owned())?;
        Ok((name, value))
    });
    let fields: Vec<(&str, &str)> = fields.collect::<anyhow::Result<_>>()?;
    log_in(context, terminal, options, &fields)
}

/// A program's own log-in, or the key that it made.
fn log_in(context: &Context, terminal: &Terminal, options: &Approve, fields: &[(&str, &str)]) -> anyhow::Result<()> {
    let store = context.store()?;
    let id = known(&store, &options.provider, options.user.as_deref())?;
    let catalogue = context.catalogue(terminal);
    let provider = providers::find(&catalogue, id.provider())?;
    let Some(shown) = store.get(&id)? else { return Err(not_here(context, terminal, &id)) };
    let Some(captured) = &shown.captured else { anyhow::bail!(refused(&id, NotApproved::NotPending)) };
    let at = when::or_dash(shown.registered_at);
    terminal.talk(&match &captured.made_with {
        Some(with) => format!("{id}: the agent {} made a key at {} with {with}, at {at}\n", captured.agent, provider.title),
        None => format!("{id}: the agent {} logged in to {}, at {at}\n", captured.agent, provider.title),
    });
    if terminal.can_ask() {
        let question = format!("Let {} use this account? Nobody else will", captured.agent);
        anyhow::ensure!(terminal.confirm(&question)?, "nothing was changed: {id} waits");
    }
    let mut fault = None;
    let change = |entry: &mut Entry| {
        if !entry.same_as(&shown) {
            fault = Some(anyhow::anyhow!("{id} was changed by somebody else meanwhile; look again"));
        } else if let Err(error) = complete(provider, entry, fields) {
            fault = Some(error);
        }
        fault.is_none()
    };
    let approved = store.approve(&id, SystemTime::now(), change)?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    approved.ok_or_else(|| list::missing(id.as_str()))?.map_err(|why| refused(&id, why))?;
    let (agent, hosts) = (captured.agent.to_string(), store.get(&id)?.map(|entry| entry.hosts.clone()).unwrap_or_default());
    terminal.either(&json!({ "approved": id.as_str(), "agent": agent, "hosts": hosts }), || {
        format!("approved {id} of {agent} for {}\n", hosts.join(", "))
    })
}

/// What an agent of the gateway's own machine obtained is approved there; what one of this machine did, here.
fn not_here(context: &Context, terminal: &Terminal, id: &ConnectionId) -> anyhow::Error {
    let there = match gateway::there(context, terminal) {
        Ok(Some(there)) => there,
        Ok(None) => return list::missing(id.as_str()).into(),
        Err(error) => return error,
    };
    match there.shown(id) {
        Ok(Some(_)) => {
            let why = format!("{id} is at the gateway {}; it is approved on that machine", there.url());
            Hint::new(why, format!("nexus approve {id}")).into()
        }
        Ok(None) => {
            Hint::new(format!("{id} is neither at the gateway {} nor in the vault here", there.url()), "nexus list").into()
        }
        Err(error) => error.into(),
    }
}

/// Adds `fields`, which may name a tenant, and seals the hosts again that they bind.
fn complete(provider: &nexus::provider::Provider, entry: &mut Entry, fields: &[(&str, &str)]) -> anyhow::Result<()> {
    for (name, value) in fields {
        anyhow::ensure!(!name.ends_with("token"), "{name} is what the log-in gave; it is not for you to set");
        entry.fields.set(name, Secret::new((*value).to_owned()));
    }
    if !fields.is_empty() {
        Reach::named(provider, entry).context("a field that is part of a host name is not valid")?.seal(entry);
    }
    let example = || format!("nexus approve {}:… --field NAME=VALUE", provider.id);
    let message = || {
        format!("{} needs a field that this log-in did not tell: see `nexus providers show {}`", provider.title, provider.id)
    };
    anyhow::ensure!(!entry.hosts.is_empty(), Hint::new(message(), example()));
    Ok(())
}

fn refused(id: &ConnectionId, why: NotApproved) -> Hint {
    Hint::new(format!("{id} was not approved: {why}"), "nexus list")
}
