//! What `nexus env` and `nexus run` tell a program: where the proxy is, whom to trust, which worthless values to hold.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nexus::agent::{PlaceholderKey, Registered};
pub(super) use nexus::app::reachable;
use nexus::app::{Announced, Config, trusted};
use nexus::disk;
use nexus::model::{AgentName, ConnectionId};
use nexus::provider::{Catalogue, Placeholder};
use nexus::seal::DataKey;
use nexus::vault::Snapshot;

use super::context::Context;
use super::env::{Inputs, helper_file};
use super::run::Knocked;
use super::{gateway, run};

/// What is said of a proxy whose log can't be written.
pub(super) const UNLOGGED: &str = "refuses every request, because its audit log cannot be written";

/// Certificates are for everyone to read.
const READABLE: u32 = 0o644;

/// A proxy that is up.
pub(super) struct Reached {
    pub(super) announced: Announced,
    /// Whether it refuses every request because its audit log can't be written.
    pub(super) unlogged: bool,
}

/// The first proxy that is up and shows our root; whoever else listens there is not it.
pub(super) async fn running(context: &Context) -> anyhow::Result<Option<Reached>> {
    let ca = disk::read_regular(&context.home.ca(), 1024 * 1024)?.unwrap_or_default();
    for announced in context.home.announced()? {
        let Some(first) = announced.addresses.first() else { continue };
        match run::knock(&reachable(*first), &ca).await {
            Knocked::Nobody => {}
            knocked => return Ok(Some(Reached { announced, unlogged: knocked == Knocked::Unlogged })),
        }
    }
    Ok(None)
}

/// Every root that may have signed what a program meets, in one file beside the helper files.
pub(super) fn write_roots(context: &Context) -> anyhow::Result<PathBuf> {
    let folder = context.home.helpers();
    disk::create_private_dir(&folder)?;
    let (file, text) = (folder.join("ca.pem"), trusted(&context.home)?.concat());
    if disk::read_regular(&file, 1024 * 1024)?.as_deref() != Some(text.as_bytes()) {
        disk::write_atomic(&file, text.as_bytes(), READABLE)
            .context("cannot write the roots for clients that add to their own")?;
    }
    Ok(file)
}

/// The environment's parts; the door adds proxy and agent.
pub(super) fn inputs<'a>(
    context: &Context,
    config: &Config,
    placeholders: Vec<(String, String)>,
    inherited: &'a dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<Inputs<'a>> {
    let home = &context.home;
    let bundle = home.bundle();
    anyhow::ensure!(bundle.exists(), super::context::Hint::new(format!("there is no {}", bundle.display()), "nexus init"));
    Ok(Inputs {
        proxy: String::new(),
        java_proxy: None,
        agent: None,
        bundle,
        ca: write_roots(context)?,
        helpers: home.helpers(),
        no_proxy_extra: unproxied(context, config),
        placeholders,
        inherited,
    })
}

/// The gateway, where it is not on loopback, which is left out anyway.
fn unproxied(context: &Context, config: &Config) -> Vec<String> {
    let named = gateway::url(context).and_then(|url| gateway::authority(&url)).map(|authority| authority.host.to_string());
    let listens = config.gateway.listen.ip();
    let own = (!listens.is_loopback() && !listens.is_unspecified()).then(|| listens.to_string());
    named.into_iter().chain(own).filter(|host| host != "localhost" && host != "127.0.0.1" && host != "[::1]").collect()
}

/// For each provider with a connection that the agent may use, its variables with worthless values. Files that they name are in `helpers`.
pub(super) fn placeholders(
    catalogue: &Catalogue,
    vault: &Snapshot,
    key: &DataKey,
    agent: &Who<'_>,
    helpers: &Path,
) -> Vec<(String, String)> {
    let key = PlaceholderKey::new(key.subkey("placeholders"));
    let mut variables = Vec::new();
    for provider in catalogue.iter().filter(|provider| !provider.placeholders.is_empty()) {
        let allowed =
            agent.limits.is_none_or(|limits| limits.providers.as_ref().is_none_or(|names| names.contains(&provider.id)));
        let user = agent.limits.and_then(|limits| limits.user.as_ref());
        let theirs: Vec<ConnectionId> =
            vault.of_provider(&provider.id).iter().filter(|id| allowed && id.is_open_to(user)).cloned().collect();
        // Who acts for a person without a connection holds what is refused with the command that makes one.
        let missing =
            user.filter(|_| !theirs.is_empty()).map(|user| ConnectionId::new(provider.id.clone(), Some(user.clone())));
        let first = if user.is_none() { theirs.first() } else { None };
        let Some(connection) = ConnectionId::preferred(&theirs, user).or(first).or(missing.as_ref()) else { continue };
        let tail = key.tail(agent.name, connection);
        let entry = vault.get(connection).or_else(|| vault.get(theirs.first()?));
        let field = |name: &str| entry?.fields.field(name);
        let hosts = provider.hosts_of(entry.and_then(|entry| entry.sealed_hosts()), &field);
        let value = |placeholder: &Placeholder| match placeholder.file {
            Some(file) => helper_file(helpers, file).to_string_lossy().into_owned(),
            None => placeholder.value(&tail, &field, &hosts),
        };
        for placeholder in &provider.placeholders {
            let variable = (placeholder.variable.clone(), value(placeholder));
            // The services of one vendor have some of them in common.
            if !variables.contains(&variable) {
                variables.push(variable);
            }
        }
    }
    variables
}

/// For whom the environment is made.
pub(super) struct Who<'a> {
    pub(super) name: &'a AgentName,
    /// Its row in `agents.toml` or `passing.toml`; none for callers of our own user where no agents are defined.
    pub(super) limits: Option<&'a Registered>,
}
