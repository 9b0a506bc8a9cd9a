//! `Reach`: where a credential and its secrets may go, sealed with it.

use crate::model::Secret;
use crate::provider::{BindError, Provider, Renewal};
use crate::vault::Entry;

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
pub(crate) fn to_be_fetched() -> Secret<String> {
    Secret::new("to-be-fetched".to_owned())
}

/// The field called `name` as a request to `provider` uses it, an access token that is yet to be fetched as `fetched`.
pub(crate) fn placed<'a>(
    provider: &Provider,
    entry: &'a Entry,
    fetched: &'a Secret<String>,
    name: &str,
) -> Option<&'a Secret<String>> {
    let makes = || provider.renewal(&|name| entry.fields.field(name)).map(Renewal::makes).unwrap_or_default();
    let own = entry.placed_field(name, provider.spends("client_secret"));
    own.or_else(|| makes().contains(&name).then_some(fetched))
}
