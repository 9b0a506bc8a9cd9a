//! What was sealed with a credential, held against what the provider files say now.

use std::fmt;
use std::sync::Arc;

use super::reach::Reach;
use crate::model::ConnectionId;
use crate::provider::Catalogue;
use crate::vault::{Entry, Snapshot, Status};

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
    let look = |(connection, entry): (&ConnectionId, &Arc<Entry>)| {
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
pub(crate) fn tell(catalogue: &Catalogue, vault: &Snapshot) {
    for widened in widened(catalogue, vault) {
        if widened.stops_renewals() {
            tracing::error!(connection = %widened.connection, "{widened}");
        } else {
            tracing::warn!(connection = %widened.connection, "{widened}");
        }
    }
}
