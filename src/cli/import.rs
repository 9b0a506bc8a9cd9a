//! `nexus import jarviscore`: what JarvisCore stored, with the hosts of our catalogue sealed in.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nexus::app::registration::Reach;
use nexus::model::ConnectionId;
use nexus::provider::Catalogue;
use nexus::seal::Passphrase;
use nexus::vault::{self, Entry, Store, import_jarviscore};
use serde_json::json;

use super::context::{Context, Hint};
use super::terminal::Terminal;

pub(super) fn run(context: &Context, terminal: &Terminal, folder: Option<PathBuf>, force: bool) -> anyhow::Result<()> {
    context.require_home()?;
    let folder = match folder {
        Some(folder) => folder,
        None => std::env::home_dir().context("there is no home folder; say --folder")?.join(".jarviscore"),
    };
    let found = read(terminal, &folder)?;
    let store = Store::with_key(context.home.vault(), context.own_key()?);
    let catalogue = context.catalogue(terminal);
    let (mut imported, mut skipped) = (Vec::new(), Vec::new());
    for (id, entry) in found {
        if !force && store.get(&id)?.is_some() {
            skipped.push(id);
            continue;
        }
        let entry = sealed(terminal, &catalogue, &id, entry)?;
        store.register(&id, entry)?;
        imported.push(id);
    }
    let names = |list: &[ConnectionId]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    terminal.either(&json!({ "imported": names(&imported), "skipped": names(&skipped) }), || {
        let list = if imported.is_empty() { "nothing".to_owned() } else { names(&imported).join(", ") };
        format!("imported {list} from {}\n", folder.display())
    })?;
    if !skipped.is_empty() {
        terminal.hint(&format!("{} are there already; --force replaces them", names(&skipped).join(", ")));
    }
    Ok(())
}

/// With the secret that was given; else with JarvisCore's fallback; else a person is asked.
fn read(terminal: &Terminal, folder: &Path) -> anyhow::Result<Vec<(ConnectionId, Entry)>> {
    if let Some(secret) = Context::variable("NEXUS_SECRET").filter(|secret| !secret.is_empty()) {
        return Ok(import_jarviscore(folder, &Passphrase::new(secret)?)?);
    }
    if let Some(machine) = Passphrase::of_this_machine() {
        match import_jarviscore(folder, &machine) {
            Err(vault::Error::WrongSecretOrDamaged(_)) => {}
            read => return Ok(read?),
        }
    }
    if !terminal.can_ask() {
        let message = format!("what JarvisCore stored in {} does not open without its secret", folder.display());
        anyhow::bail!(Hint::new(message, "NEXUS_SECRET=… nexus import jarviscore"));
    }
    let secret = terminal.ask_secret("NEXUS_SECRET of JarvisCore")?;
    Ok(import_jarviscore(folder, &Passphrase::new(secret)?)?)
}

/// JarvisCore seals no hosts; ours are those of the catalogue. A provider we don't know is kept, and reaches nothing.
fn sealed(terminal: &Terminal, catalogue: &Catalogue, id: &ConnectionId, entry: Entry) -> anyhow::Result<Entry> {
    let mut entry = entry;
    let Some(provider) = catalogue.get(id.provider()) else {
        terminal.warn(&format!("{id}: nexus knows no provider of that name; it is kept, but used for no host"));
        terminal.hint(&format!("after adding its provider file: nexus providers trust {}", id.provider()));
        // A file that somebody adds later must not take it by its name alone.
        entry.seal(Vec::new());
        return Ok(entry);
    };
    provider.derive_fields(&mut entry.fields);
    let reach = Reach::named(provider, &entry);
    let reach = reach.with_context(|| format!("{id}: a field that is part of a host name is not valid"))?;
    reach.seal(&mut entry);
    if entry.hosts.is_empty() {
        terminal.warn(&format!("{id} lacks a field that {} needs; register it again", provider.title));
    }
    Ok(entry)
}
