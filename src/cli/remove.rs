//! `nexus remove`: a connection out of the vault, and its tokens ended at the service where that has a way (RFC 7009).

use nexus::app::login::{Revoked, ports, revoke};
use nexus::model::ConnectionId;
use nexus::provider::{Catalogue, Provider};
use nexus::vault::{AuthType, Entry, Status, Store};
use serde_json::json;

use super::arguments::Remove;
use super::context::{Context, Hint, known};
use super::list::missing;
use super::terminal::Terminal;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Remove) -> anyhow::Result<()> {
    let store = context.store()?;
    let id = known(&store, &options.provider, options.user.as_deref())?;
    let entry = store.get(&id)?;
    if let Some(entry) = entry.as_ref().filter(|_| options.keep) {
        let has_an_app = entry.auth_type == AuthType::OAuth2 && entry.captured.is_none();
        anyhow::ensure!(
            has_an_app,
            Hint::new(
                format!("{id} was connected by no log-in of a person: nothing of it can be kept"),
                format!("nexus remove {id}")
            )
        );
    }
    let entry = entry.filter(|_| !options.no_revoke);
    let revoked = entry.is_some_and(|entry| is_ended((context, terminal), &store, (&id, &entry)));
    if options.keep {
        store.update(&id, end)?.ok_or_else(|| missing(id.as_str()))?;
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

/// Leaves what the next log-in needs.
fn end(entry: &mut Entry) {
    ["access_token", "refresh_token"].iter().for_each(|name| entry.fields.remove(name));
    (entry.expires_at, entry.status) = (None, Status::Revoked);
}

/// Whether the service ended its tokens. That it did not keeps nobody from removing it here.
fn is_ended((context, terminal): (&Context, &Terminal), store: &Store, (id, entry): (&ConnectionId, &Entry)) -> bool {
    let catalogue = context.catalogue(terminal);
    let Some(provider) = catalogue.get(id.provider()) else { return false };
    if provider.oauth2.as_ref().is_none_or(|oauth2| oauth2.revocation_url.is_none()) {
        return false;
    }
    if let Some(other) = sharing(store, &catalogue, (id, entry)) {
        terminal.warn(&format!(
            "the tokens of {id} stay good: {other} was made by the same app, and {} may end both together",
            provider.title
        ));
        return false;
    }
    match ask(context, provider, entry) {
        Ok(revoked) => revoked == Revoked::Yes,
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            let place = provider.console.as_ref().map(|console| format!(" ({console})")).unwrap_or_default();
            terminal.warn(&format!(
                "the tokens of {id} may still be good: {}; end them at {}{place}",
                causes.join(": "),
                provider.title
            ));
            false
        }
    }
}

/// Another service of the same vendor with tokens of the same app for the same person: Google, for one, ends them all together.
fn sharing(store: &Store, catalogue: &Catalogue, (id, entry): (&ConnectionId, &Entry)) -> Option<ConnectionId> {
    let place = |id: &ConnectionId| catalogue.get(id.provider())?.oauth2.as_ref()?.revocation_url.as_deref();
    let client = entry.fields.field("client_id")?;
    let snapshot = store.snapshot().ok()?;
    let shares = |other: &ConnectionId, theirs: &Entry| {
        let same_app = theirs.fields.field("client_id").is_some_and(|theirs| theirs.same(client));
        let tokens = ["refresh_token", "access_token"].iter().any(|name| theirs.fields.field(name).is_some());
        other.provider() != id.provider() && other.user() == id.user() && same_app && tokens && place(other) == place(id)
    };
    snapshot.iter().find(|(other, theirs)| shares(other, theirs)).map(|(other, _)| other.clone())
}

fn ask(context: &Context, provider: &Provider, entry: &Entry) -> anyhow::Result<Revoked> {
    let ports = ports(&context.home, &context.config()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(revoke(provider, entry, &ports))?)
}
