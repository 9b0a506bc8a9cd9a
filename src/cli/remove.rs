//! `nexus remove`: a connection out of the vault, and its tokens ended at the service where that has a way (RFC 7009).

use nexus::app::login::{Ended, can_end, end, end_here, ports};
use nexus::model::ConnectionId;
use nexus::vault::{Entry, Store};
use serde_json::json;

use super::arguments::Remove;
use super::context::{Context, Hint, connection, known};
use super::list::missing;
use super::terminal::Terminal;
use super::{gateway, remote};

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Remove) -> anyhow::Result<()> {
    let named = connection(&options.provider, options.user.as_deref())?;
    let there = gateway::there(context, terminal)?;
    match &there {
        Some(there) if remote::remove(there, terminal, &named, options)? => return Ok(()),
        Some(_) => {}
        None => gateway::not_lent(context, &named)?,
    }
    let store = context.store()?;
    let id = known(&store, &options.provider, options.user.as_deref())?;
    let entry = store.get(&id)?;
    if let (None, Some(there)) = (&entry, &there) {
        let message = format!("{id} is neither at the gateway {} nor in the vault here", there.url());
        return Err(Hint::new(message, "nexus list").into());
    }
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
        store.update(&id, end_here)?.ok_or_else(|| missing(id.as_str()))?;
    } else {
        anyhow::ensure!(store.delete(&id)?, missing(id.as_str()));
    }
    let place = there.map(|there| format!(" in the vault here; the gateway {} has none of that name", there.url()));
    Done { id: id.as_str(), kept: options.keep, revoked, at: ("here", place) }.tell(terminal)
}

/// What was done, and where.
pub(super) struct Done<'a> {
    pub(super) id: &'a str,
    pub(super) kept: bool,
    pub(super) revoked: bool,
    /// `here` or `gateway`, and the words for it where there are two places.
    pub(super) at: (&'static str, Option<String>),
}

impl Done<'_> {
    pub(super) fn tell(&self, terminal: &Terminal) -> anyhow::Result<()> {
        let Self { id, kept, revoked, at: (place, words) } = self;
        let mut value = json!({ if *kept { "kept" } else { "removed" }: id, "revoked": revoked });
        if let (Some(_), Some(value)) = (words, value.as_object_mut()) {
            value.insert("where".to_owned(), json!(place));
        }
        let words = words.as_deref().unwrap_or_default();
        terminal.either(&value, || match (kept, revoked) {
            (true, true) => {
                format!("the tokens of {id}{words} are ended at the service; `nexus login {id}` connects it again\n")
            }
            (true, false) => format!("the tokens of {id}{words} are dropped; `nexus login {id}` connects it again\n"),
            (false, true) => format!("removed {id}{words}, and its tokens are ended at the service\n"),
            (false, false) => format!("removed {id}{words}\n"),
        })
    }
}

/// Whether there is something that the next log-in needs.
fn can_keep(id: &ConnectionId, entry: &Entry) -> anyhow::Result<()> {
    let message = || format!("{id} was connected by no log-in of a person: nothing of it can be kept");
    anyhow::ensure!(can_end(entry), Hint::new(message(), format!("nexus remove {id}")));
    Ok(())
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
