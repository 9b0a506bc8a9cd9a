//! Servers of one's own that the credentials of two services go to.

use crate::model::{ConnectionId, Host};
use crate::provider::{Catalogue, HostPattern, Provider};
use crate::vault::{Entry, Snapshot};

/// What to tell who registers `entry` of `provider`: another service's connection has such a host of it already, which a program may have
/// put there, and requests to it carry one of the two.
pub fn contested(catalogue: &Catalogue, vault: &Snapshot, provider: &Provider, entry: &Entry) -> Vec<String> {
    let own = |id: &ConnectionId, host: &str| {
        is_own(provider, host) || catalogue.get(id.provider()).is_none_or(|other| is_own(other, host))
    };
    let others = vault.iter().filter(|(id, _)| *id.provider() != provider.id);
    let both = others.flat_map(|(id, other)| {
        let shared = other.hosts.iter().filter(|host| entry.hosts.contains(host) && own(id, host));
        shared.map(move |host| (id, host))
    });
    let told = |(id, host)| {
        format!("{id} goes to {host} too, and a request there carries one of the two; if that is not meant: nexus remove {id}")
    };
    both.map(told).collect()
}

/// Whether `host` is one that only a connection of `provider` names.
fn is_own(provider: &Provider, host: &str) -> bool {
    let named = host.parse::<Host>().is_ok_and(|host| provider.hosts().any(|pattern| pattern.matches(&host)));
    !named && provider.hosts().any(HostPattern::is_own)
}
