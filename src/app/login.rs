//! What a log-in needs of an application that need not run: a way to the provider's endpoints, and a place in the vault.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::config::Config;
use super::endpoint::Endpoint;
use super::home::Home;
use super::parts::{self, BuildError};
use super::settings;
use crate::provider::BindError;
use crate::registration::{Reach, to_be_fetched};
use crate::upstream::Dialler;
use crate::vault::{self, Entry, Store};

pub use crate::consent::{Account, Code, DeviceCode, Error, Heard, Obtained, Ports, Revoked, Waiting, Wish, revoke};
pub use crate::oauth::shown;

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
    OfAnAgent(crate::model::ConnectionId),
    /// The vault.
    #[error("the vault could not be written")]
    Vault(#[from] vault::Error),
}

/// The way to providers' endpoints, by the dialler that proxies have.
///
/// # Errors
/// As [`BuildError`] says.
pub fn ports(home: &Home, config: &Config) -> Result<Ports, BuildError> {
    let dialler = Dialler::new(settings::upstream(home, config)?, &parts::crypto())?;
    let endpoint = Arc::new(Endpoint(Arc::new(dialler)));
    Ok(Ports::new(endpoint, Arc::new(SystemTime::now), Duration::from_secs(config.renewal.timeout_secs)))
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
/// another tenant. Answers the hosts.
///
/// # Errors
/// As [`KeepError`] says; then nothing was written.
pub fn keep(store: &Store, account: &Account, obtained: &Obtained) -> Result<Vec<String>, KeepError> {
    let mut hosts = Vec::new();
    store.put(account.connection(), account.fresh(), |entry| {
        if entry.captured.is_some() {
            return Err(KeepError::OfAnAgent(account.connection().clone()));
        }
        let anew = !entry.is_sealed() || account.moves(entry);
        account.write(obtained, entry);
        if anew {
            Reach::named(account.provider(), entry)?.seal(entry);
        }
        hosts.clone_from(&entry.hosts);
        Ok::<_, KeepError>(())
    })?;
    Ok(hosts)
}
