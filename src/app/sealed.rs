//! What was sealed with a credential, held against what the provider files say now.

use std::fmt;
use std::time::SystemTime;

use crate::model::{ConnectionId, Secret};
use crate::provider::{BindError, Catalogue, Provider};
use crate::vault::{Entry, Snapshot, Status};

/// Hosts that a credential may reach and token endpoints that its secrets may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Exact names.
    pub hosts: Vec<String>,
    /// As the provider's file writes them.
    pub token_urls: Vec<String>,
}

impl Reach {
    /// What the provider's file gives the credential of `entry`.
    ///
    /// # Errors
    /// A field that names a tenant and is no label.
    pub fn named(provider: &Provider, entry: &Entry) -> Result<Self, BindError> {
        let fetched = to_be_fetched();
        let hosts = provider.bound_hosts(&|name| placed(provider, entry, &fetched, name))?;
        let token_urls = provider.token_urls(&|name| entry.fields.field(name));
        Ok(Self { hosts, token_urls })
    }

    /// What is sealed in `entry`.
    pub fn sealed(entry: &Entry) -> Self {
        Self { hosts: entry.hosts.clone(), token_urls: entry.token_urls.clone() }
    }

    /// What anybody may read of it: a host that `sealed` does not have is written as the file writes it where it tells more of `entry` than
    /// the hosts of `sealed` do.
    #[must_use]
    pub fn shown(&self, sealed: &Self, provider: &Provider, entry: &Entry) -> Self {
        let fetched = to_be_fetched();
        let hosts = provider.open_hosts(&self.hosts, &sealed.hosts, &|name| placed(provider, entry, &fetched, name));
        Self { hosts, token_urls: self.token_urls.clone() }
    }

    /// Seals it in `entry`.
    pub fn seal(&self, entry: &mut Entry) {
        entry.seal(self.hosts.clone());
        entry.token_urls.clone_from(&self.token_urls);
    }
}

/// Stands for an access token that is yet to be fetched: it goes where it will go.
pub(super) fn to_be_fetched() -> Secret<String> {
    Secret::new("to-be-fetched".to_owned())
}

/// The field called `name` as a request to `provider` uses it, an access token that is yet to be fetched as `fetched`.
pub(super) fn placed<'a>(
    provider: &Provider,
    entry: &'a Entry,
    fetched: &'a Secret<String>,
    name: &str,
) -> Option<&'a Secret<String>> {
    let makes = || provider.renewal(&|name| entry.fields.field(name)).map(crate::provider::Renewal::makes).unwrap_or_default();
    let own = entry.placed_field(name, provider.spends("client_secret"));
    own.or_else(|| makes().contains(&name).then_some(fetched))
}

/// Why a credential can't be used as it is: no token can be made from it.
///
/// # Errors
/// A key that is none, a key file of another service; never with a value.
pub fn try_out(provider: &Provider, entry: &Entry) -> Result<(), NotMade> {
    let Some(renewal) = provider.renewal(&|name| entry.fields.field(name)) else { return Ok(()) };
    crate::broker::try_out(renewal, entry, SystemTime::now()).map_err(NotMade)
}

/// Why no token can be made from the fields of a connection.
#[derive(Debug, thiserror::Error)]
#[error("no token can be asked for with these fields")]
pub struct NotMade(#[source] crate::oauth::Unready);

/// A credential whose provider's file has come to name more than was sealed with it. What is new has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widened {
    /// Whose credential.
    pub connection: ConnectionId,
    /// What the file names and the credential does not reach, as anybody may read it.
    pub beyond: Reach,
}

impl Widened {
    /// Whether its renewals fail for it.
    pub fn stops_renewals(&self) -> bool {
        !self.beyond.token_urls.is_empty()
    }
}

/// Ends with the command to type.
impl fmt::Display for Widened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (connection, provider) = (&self.connection, self.connection.provider());
        let Reach { hosts, token_urls } = &self.beyond;
        write!(formatter, "the provider file of {provider} names what was not sealed with {connection}: ")?;
        let endpoints = token_urls.iter().map(|url| format!("token endpoint {url} (no renewal until then)"));
        let all: Vec<String> = hosts.iter().cloned().chain(endpoints).collect();
        write!(formatter, "{}; run `nexus providers trust {provider}` if that is right", all.join(", "))
    }
}

/// Every credential in `vault` whose provider's file names more than was sealed with it.
pub fn widened(catalogue: &Catalogue, vault: &Snapshot) -> Vec<Widened> {
    let look = |(connection, entry): (&ConnectionId, &std::sync::Arc<Entry>)| {
        let provider = catalogue.get(connection.provider())?;
        if entry.status == Status::Pending {
            return None;
        }
        let sealed = Reach::sealed(entry);
        // As JarvisCore writes them: nothing is sealed, so nothing is beyond it.
        let named = Reach::named(provider, entry).ok().filter(|_| entry.is_sealed())?;
        let hosts: Vec<String> = named.hosts.into_iter().filter(|host| !sealed.hosts.contains(host)).collect();
        // An endpoint that replaces another matters where there is something to renew with.
        let renewable = provider.renewal(&|name| entry.fields.field(name)).is_some();
        let token_urls = named.token_urls.into_iter().filter(|url| renewable && !sealed.token_urls.contains(url));
        let beyond = Reach { hosts, token_urls: token_urls.collect() }.shown(&sealed, provider, entry);
        let more = !beyond.hosts.is_empty() || !beyond.token_urls.is_empty();
        more.then(|| Widened { connection: connection.clone(), beyond })
    };
    vault.iter().filter_map(look).collect()
}

/// Tells the log of them.
pub(super) fn tell(catalogue: &Catalogue, vault: &Snapshot) {
    for widened in widened(catalogue, vault) {
        if widened.stops_renewals() {
            tracing::error!(connection = %widened.connection, "{widened}");
        } else {
            tracing::warn!(connection = %widened.connection, "{widened}");
        }
    }
}
