//! `Answers`: at which places Nexus may itself answer who asks for a token, or what becomes of one.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::model::{ConnectionId, Host, Map, UserName};
use crate::provider::{Endpoint, Fields, HostPattern, Provider, TokenResponse};

/// A provider by its place, and one of its answers by its number.
type Place = (usize, usize);

/// One kind of answers of all providers, by host.
#[derive(Default)]
pub(super) struct Answers {
    exact: Map<Host, Vec<Place>>,
    /// By what stands behind the first dot of a tenant pattern's ending.
    tenants: Map<Box<str>, Vec<Place>>,
}

impl Answers {
    /// Adds the answer `number` of the provider at `index`.
    pub(super) fn add<'e>(&mut self, index: usize, number: usize, endpoints: impl Iterator<Item = &'e Endpoint>) {
        for endpoint in endpoints {
            let entry = match &endpoint.host {
                HostPattern::Exact(host) => self.exact.entry(host.clone()).or_default(),
                HostPattern::Tenant { after, .. } => self.tenants.entry(behind_first_dot(after).into()).or_default(),
                // Whose name it is, only connections know; and there is no token endpoint below a name.
                HostPattern::Own { .. } | HostPattern::Below(_) => continue,
            };
            if !entry.contains(&(index, number)) {
                entry.push((index, number));
            }
        }
    }

    /// Those with an endpoint at `host`, in the catalogue's order.
    pub(super) fn at(&self, host: &Host) -> SmallVec<[Place; 8]> {
        let mut places: SmallVec<[Place; 8]> = self.exact.get(host).into_iter().flatten().copied().collect();
        if let Some(name) = host.name().filter(|_| !self.tenants.is_empty()) {
            let behind = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
            places.extend(behind.filter_map(|behind| self.tenants.get(behind)).flatten().copied());
            places.sort_unstable();
            places.dedup();
        }
        places
    }
}

/// A provider that answers at the place, and the number of its answer.
pub(crate) type Answering = (Arc<Provider>, usize);

/// The connections that fit one token response, an agent and a host, in the vault's order.
#[derive(Debug, Default)]
pub(crate) struct Fitting {
    all: Vec<ConnectionId>,
    /// Those of them whose tenant or installation the path names.
    named: Vec<ConnectionId>,
}

impl Fitting {
    /// Adds a connection with these fields, where it fits a request to `path` of `host`.
    pub(crate) fn add(&mut self, id: &ConnectionId, response: &TokenResponse, (host, path): (&Host, &str), fields: Fields<'_>) {
        if !response.is_bound(host, fields) {
            return;
        }
        self.all.push(id.clone());
        self.named.extend(response.names(host, path, fields).then(|| id.clone()));
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[ConnectionId] {
        &self.all
    }

    /// The only one whose account is asked for is meant, whoever's it is.
    fn meant(&self, user: Option<&UserName>) -> Option<&ConnectionId> {
        let alone = || if let [only] = self.named.as_slice() { Some(only) } else { None };
        ConnectionId::preferred(&self.named, user).or_else(alone)
    }

    fn usual(&self, user: Option<&UserName>) -> Option<&ConnectionId> {
        // Of an account that the path names, another one's connection is no substitute.
        ConnectionId::preferred(&self.all, user).filter(|_| self.named.is_empty())
    }
}

/// Which connection answers where the request says nothing but its path: the number of its candidate, and itself.
pub(crate) fn preferred<'f>(candidates: &[&'f Fitting], user: Option<&UserName>) -> Option<(usize, &'f ConnectionId)> {
    let numbered = || candidates.iter().enumerate();
    let named = numbered().find_map(|(number, one)| Some((number, one.meant(user)?)));
    named.or_else(|| numbered().find_map(|(number, one)| Some((number, one.usual(user)?))))
}

pub(super) fn behind_first_dot(text: &str) -> &str {
    text.split_once('.').map_or(text, |(_label, rest)| rest)
}
