//! A proxy that takes its connections from a gateway, where `NEXUS_GATEWAY_URL` and a key for it say so.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use http::Method;
use nexus::app::{App, Config, Link, Node, Unheard};
use nexus::model::ConnectionId;
use nexus::vault::{Snapshot, Store};
use serde_json::{Value, json};

use super::context::{Context, Hint};
use super::remote::is_app;
use super::terminal::Terminal;
use super::{gateway, when};

/// How long a gateway may take to say what needs a person.
const PATIENCE: Duration = Duration::from_secs(5);

/// The gateway that lends, if one is named and there is a key for it.
pub(super) fn lender(context: &Context, config: &Config) -> anyhow::Result<Option<Node>> {
    let named = Node::find_lender(&context.home, &|name| context.variable_or_secret(name))?;
    match named {
        Some(node) if node.lends(&context.home, config)? => Ok(Some(node)),
        _ => Ok(None),
    }
}

/// `app`, as a node of `node` where there is one.
pub(super) fn lent(app: App, node: Option<&Node>, terminal: &Terminal) -> anyhow::Result<App> {
    let Some(node) = node else { return Ok(app) };
    terminal.say(&format!("nexus: connections are taken from the gateway at {}", node.url()));
    Ok(app.lent_by(node)?)
}

/// How the link to `node` stands, as the proxy of this home wrote it down: whether it is good, the words, the facts.
pub(super) fn standing(context: &Context, node: &Node) -> anyhow::Result<(Option<bool>, String, Value)> {
    let url = node.url();
    let up = !context.home.announced()?.is_empty();
    let link = Link::of(&context.home)?.filter(|link| up && link.gateway == url);
    let Some(link) = link else {
        let text = format!("this home takes its connections from {url}, but no proxy is up; `nexus up` starts one");
        return Ok((None, text, json!({ "url": url, "up": false })));
    };
    let (now, count) = (SystemTime::now(), link.connections);
    let (left, heard) = (link.left(now), when::minute(link.heard_at));
    let why = link.why.clone().unwrap_or_default();
    let text = match (link.connected, left.is_zero()) {
        _ if link.denied => {
            format!("{url} lends this home nothing ({why}), so requests that need its connections are refused")
        }
        (true, _) => format!("connections are taken from {url}: {count}, as they are there now"),
        (false, false) => format!(
            "{url} was last heard at {heard} ({why}); {count} copies are used for another {} (gateway.grace_secs)",
            when::span(left)
        ),
        (false, true) => format!(
            "{url} was last heard at {heard} ({why}); its {count} copies are too old, so requests that need them are refused"
        ),
    };
    let value = json!({
        "url": url,
        "up": link.connected,
        "connections": count,
        "heard_at": link.heard_at.map(when::show),
        "grace_left_secs": left.as_secs(),
        "why": link.why,
    });
    Ok((Some(link.connected), text, value))
}

/// What needs a person, as the gateway `node` has it.
pub(super) fn attention(context: &Context, node: &Node) -> anyhow::Result<Value> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async {
        let asked = node.ask((&context.home, &config), Method::GET, "/api/attention", None);
        tokio::time::timeout(PATIENCE, asked).await
    };
    Ok(runtime.block_on(asked).context("no answer came in time")??)
}

/// The connections that a proxy of this home has: the vault's, or on a node those of its gateway too. While it is away they are those of the
/// vault that it never lent, with a warning.
pub(super) fn connections(context: &Context, terminal: &Terminal, store: &Store) -> anyhow::Result<Arc<Snapshot>> {
    Ok(look(context, terminal, store)?.0)
}

/// The same, and what a gateway that does not answer has lent.
pub(super) fn look(context: &Context, terminal: &Terminal, store: &Store) -> anyhow::Result<(Arc<Snapshot>, Option<Unheard>)> {
    let config = context.config()?;
    let Some(node) = lender(context, &config)? else { return Ok((store.snapshot()?, None)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(node.connections((&context.home, &config), store)) {
        Ok(all) => Ok((Arc::new(all), None)),
        Err(error) => {
            terminal.warn(&format!("the connections of the gateway at {} are left out: {error}", node.url()));
            let own = Link::unserved(&context.home, &*store.snapshot()?)?;
            Ok((Arc::new(own), Some(Unheard::of(&context.home, &error, SystemTime::now())?)))
        }
    }
}

/// Why `id` is not among the connections of this home, where a gateway has something to do with that.
pub(super) fn elsewhere(context: &Context, terminal: &Terminal, id: &ConnectionId) -> anyhow::Result<Option<Hint>> {
    let config = context.config()?;
    let lender = lender(context, &config)?;
    if let Some(node) = &lender
        && Link::has_served(&context.home, id)?
    {
        let why = format!("{id} is kept at the gateway {}, which does not lend it to this home now", node.url());
        return Ok(Some(Hint::new(why, "nexus status")));
    }
    let Some(there) = gateway::there(context, terminal)? else { return Ok(None) };
    let Some(shown) = there.shown(id)? else { return Ok(None) };
    if is_app(&shown) {
        let why = format!("{id} at the gateway {} is an app that people log in by, and nobody has yet", there.url());
        return Ok(Some(Hint::new(why, format!("nexus login {id}"))));
    }
    let why = match lender {
        Some(_) => {
            format!("{id} is at the gateway {}, which lends it to nobody: it waits there, or is an agent's own", there.url())
        }
        None => format!(
            "{id} is at the gateway {}, and this home takes no connections from there: that wants a key of kind node (NEXUS_GATEWAY_KEY)",
            there.url()
        ),
    };
    Ok(Some(Hint::new(why, format!("nexus show {id}"))))
}
