//! What a consent gave, into the vault; and a connection out of it, its tokens ended at the service.

use crate::consent::{Account, Error, Obtained, Ports, Revoked, revoke};
use crate::model::{ConnectionId, GatewayId};
use crate::provider::{BindError, Catalogue};
use crate::registration::{Reach, to_be_fetched};
use crate::vault::{self, AuthType, Entry, Snapshot, Status, Store};

/// Why what was obtained can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// A field that names a tenant and is no label.
    #[error("a field that is part of a host name is not valid")]
    Bind(#[from] BindError),
    /// No host is known that the token could go to.
    #[error("{title} needs to know whose it is, so that the token has a host to go to: {}", fields.join(", "))]
    NoHost {
        /// The provider's name for people.
        title: String,
        /// The fields that would name one.
        fields: Vec<String>,
    },
    /// A program logged in under this name meanwhile.
    #[error("{0} is the log-in of an agent, which no other log-in can replace")]
    OfAnAgent(ConnectionId),
    /// It works, and who asked for the log-in may not replace what does.
    #[error("{0} was connected meanwhile and works, and a program that shows no key replaces nothing")]
    InUse(ConnectionId),
    /// The vault.
    #[error("the vault could not be written")]
    Vault(#[from] vault::Error),
}

/// Whether a token of `account` would have a host to go to, told before a person is asked. `own` is the connection as it is.
///
/// # Errors
/// As [`KeepError`] says.
pub fn can_keep(account: &Account, own: Option<&Entry>) -> Result<(), KeepError> {
    if own.is_some_and(|own| !own.hosts.is_empty() && !account.moves(own)) {
        return Ok(());
    }
    let mut sample = account.fresh();
    sample.fields.set("access_token", to_be_fetched());
    let provider = account.provider();
    if !Reach::named(provider, &sample)?.hosts.is_empty() {
        return Ok(());
    }
    let missing = provider.hosts().filter_map(|host| host.tenant()).filter(|name| sample.fields.field(name).is_none());
    let mut fields: Vec<String> = missing.map(|name| format!("--field {name}=…")).collect();
    fields.dedup();
    Err(KeepError::NoHost { title: provider.title.clone(), fields })
}

/// Writes `obtained` into the connection, which keeps what it has besides. Its hosts are sealed where they weren't, or where it moved to
/// another tenant. With `handle` it is what the gateway
/// calls it from then on. Answers the hosts.
///
/// # Errors
/// As [`KeepError`] says; then nothing was written.
pub fn keep(
    store: &Store,
    account: &Account,
    obtained: &Obtained,
    handle: Option<&GatewayId>,
) -> Result<Vec<String>, KeepError> {
    keep_unless(store, account, (obtained, handle), |_now| false)
}

/// As [`keep`], unless the connection is `in_use` as it is on disk now.
pub(super) fn keep_unless(
    store: &Store,
    account: &Account,
    (obtained, handle): (&Obtained, Option<&GatewayId>),
    in_use: impl FnOnce(&Entry) -> bool,
) -> Result<Vec<String>, KeepError> {
    let mut hosts = Vec::new();
    store.put(account.connection(), account.fresh(), |entry| {
        if entry.captured.is_some() {
            return Err(KeepError::OfAnAgent(account.connection().clone()));
        }
        if in_use(entry) {
            return Err(KeepError::InUse(account.connection().clone()));
        }
        let anew = !entry.is_sealed() || account.moves(entry);
        account.write(obtained, entry);
        if anew {
            Reach::named(account.provider(), entry)?.seal(entry);
        }
        handle.into_iter().for_each(|handle| entry.answer_to(handle.clone()));
        hosts.clone_from(&entry.hosts);
        Ok::<_, KeepError>(())
    })?;
    Ok(hosts)
}

/// Whether its tokens can end and what is left is good for the next log-in.
pub fn can_end(entry: &Entry) -> bool {
    entry.auth_type == AuthType::OAuth2 && entry.captured.is_none()
}

/// Leaves what the next log-in needs.
pub fn end_here(entry: &mut Entry) {
    ["access_token", "refresh_token"].iter().for_each(|name| entry.fields.remove(name));
    (entry.expires_at, entry.status) = (None, Status::Revoked);
}

/// What became of a connection's tokens at its service.
#[derive(Debug)]
pub enum Ended {
    /// The service ended them.
    Yes,
    /// There is nothing that it could end, or no way to tell it.
    Nothing,
    /// They were left alone: this other connection was made by the same app, and the service may end both together.
    Shared(ConnectionId),
    /// They may still be good.
    No(Error),
}

/// Ends the tokens of `id` at its service (RFC 7009), where that leaves every other connection alone.
pub async fn end((id, entry): (&ConnectionId, &Entry), catalogue: &Catalogue, vault: &Snapshot, ports: &Ports) -> Ended {
    let Some(provider) = catalogue.get(id.provider()) else { return Ended::Nothing };
    if provider.oauth2.as_ref().is_none_or(|oauth2| oauth2.revocation_url.is_none()) {
        return Ended::Nothing;
    }
    if let Some(other) = sharing(vault, catalogue, (id, entry)) {
        return Ended::Shared(other);
    }
    match revoke(provider, entry, ports).await {
        Ok(Revoked::Yes) => Ended::Yes,
        Ok(Revoked::Nothing) => Ended::Nothing,
        Err(error) => Ended::No(error),
    }
}

/// Another service of the same vendor with tokens of the same app for the same person: Google, for one, ends them all together.
fn sharing(vault: &Snapshot, catalogue: &Catalogue, (id, entry): (&ConnectionId, &Entry)) -> Option<ConnectionId> {
    let place = |id: &ConnectionId| catalogue.get(id.provider())?.oauth2.as_ref()?.revocation_url.as_deref();
    let client = entry.fields.field("client_id")?;
    let shares = |other: &ConnectionId, theirs: &Entry| {
        let same_app = theirs.fields.field("client_id").is_some_and(|theirs| theirs.same(client));
        let tokens = ["refresh_token", "access_token"].iter().any(|name| theirs.fields.field(name).is_some());
        other.provider() != id.provider() && other.user() == id.user() && same_app && tokens && place(other) == place(id)
    };
    vault.iter().find(|(other, theirs)| shares(other, theirs)).map(|(other, _)| other.clone())
}
