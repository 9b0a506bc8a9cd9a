//! `nexus remove`: a connection out of the vault, and its tokens ended at the service where that has a way (RFC 7009).

use nexus::app::login::{Ended, end, ports};
use nexus::model::ConnectionId;
use nexus::vault::{AuthType, Entry, Status, Store};
use serde_json::json;

use super::arguments::Remove;
use super::context::{Context, Hint, connection, known};
use super::list::missing;
use super::terminal::Terminal;
use super::{gateway, remote};

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Remove) -> anyhow::Result<()> {
    if let Some(there) = gateway::there(context, terminal)? {
        let id = connection(&options.provider, options.user.as_deref())?;
        let here = Hint::new("--keep and --no-revoke act on a vault here", "nexus remove --help");
        anyhow::ensure!(!options.keep && !options.no_revoke, here);
        if remote::remove(&there, terminal, &id)? {
            return Ok(());
        }
    } else {
        gateway::not_lent(context, &connection(&options.provider, options.user.as_deref())?)?;
    }
    let store = context.store()?;
    let id = known(&store, &options.provider, options.user.as_deref())?;
    let entry = store.get(&id)?;
    if options.keep {
        entry.as_deref().map_or(Ok(()), |entry| can_keep(&id, entry))?;
    }
    let revoked = match entry.filter(|_| !options.no_revoke) {
        Some(entry) => is_ended((context, terminal), &store, (&id, &entry)).unwrap_or_else(|error| {
            terminal.warn(&format!("the tokens of {id} may still be good: {error:#}"));
            false
        }),
        None => false,
    };
    if options.keep {
        store.update(&id, drop_tokens)?.ok_or_else(|| missing(id.as_str()))?;
        return terminal.either(&json!({ "kept": id.as_str(), "revoked": revoked }), || {
            let ended = if revoked { "ended at the service" } else { "dropped here" };
            format!("the tokens of {id} are {ended}; `nexus login {id}` connects it again\n")
        });
    }
    anyhow::ensure!(store.delete(&id)?, missing(id.as_str()));
    terminal.either(&json!({ "removed": id.as_str(), "revoked": revoked }), || {
        let ended = if revoked { ", and its tokens are ended at the service" } else { "" };
        format!("removed {id}{ended}\n")
    })
}

/// Whether there is something that the next log-in needs.
fn can_keep(id: &ConnectionId, entry: &Entry) -> anyhow::Result<()> {
    let has_an_app = entry.auth_type == AuthType::OAuth2 && entry.captured.is_none();
    let message = || format!("{id} was connected by no log-in of a person: nothing of it can be kept");
    anyhow::ensure!(has_an_app, Hint::new(message(), format!("nexus remove {id}")));
    Ok(())
}

/// Leaves what the next log-in needs.
fn drop_tokens(entry: &mut Entry) {
    ["access_token", "refresh_token"].iter().for_each(|name| entry.fields.remove(name));
    (entry.expires_at, entry.status) = (None, Status::Revoked);
}

/// Whether the service ended its tokens. That it did not keeps nobody from removing it here.
fn is_ended(
    (context, terminal): (&Context, &Terminal),
    store: &Store,
    (id, entry): (&ConnectionId, &Entry),
) -> anyhow::Result<bool> {
    let catalogue = context.catalogue(terminal);
    let Some(provider) = catalogue.get(id.provider()) else { return Ok(false) };
    let (ports, vault) = (ports(&context.home, &context.config()?)?, store.snapshot()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(match runtime.block_on(end((id, entry), &catalogue, &vault, &ports)) {
        Ended::Yes => true,
        Ended::Nothing => false,
        Ended::Shared(other) => {
            terminal.warn(&format!(
                "the tokens of {id} stay good: {other} was made by the same app, and {} may end both together",
                provider.title
            ));
            false
        }
        Ended::No(error) => {
            let error = anyhow::Error::from(error);
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            let place = provider.console.as_ref().map(|console| format!(" ({console})")).unwrap_or_default();
            terminal.warn(&format!(
                "the tokens of {id} may still be good: {}; end them at {}{place}",
                causes.join(": "),
                provider.title
            ));
            false
        }
    })
}
