//! `Own`: services that customers run at names of their own, which only connections know.

use std::sync::Arc;

use crate::model::{Host, Map, ProviderId};
use crate::provider::{HostPattern, InjectRule};

/// Which providers' connections were registered for a host.
pub(crate) type Registered = dyn Fn(&Host) -> Vec<ProviderId> + Send + Sync;

/// The providers of such services by their ids, and who tells at which hosts they are.
#[derive(Default)]
pub(super) struct Own {
    /// Their places in the catalogue.
    providers: Map<ProviderId, usize>,
    registered: Option<Arc<Registered>>,
}

impl Own {
    /// Asks `registered` from now on.
    pub(super) fn ask(&mut self, registered: Arc<Registered>) {
        self.registered = Some(registered);
    }

    /// Takes in the provider at `place`.
    pub(super) fn add(&mut self, id: ProviderId, place: usize) {
        self.providers.insert(id, place);
    }

    /// The places of those that a connection was registered for at `host`. Where there are none at all, nobody is asked.
    pub(super) fn at(&self, host: &Host) -> impl Iterator<Item = usize> {
        let registered = self.registered.as_ref().filter(|_| !self.providers.is_empty());
        let ids = registered.map(|registered| registered(host)).unwrap_or_default();
        ids.into_iter().filter_map(|id| self.providers.get(&id).copied())
    }
}

/// Whether `rule` is one of theirs.
pub(super) fn is_at_own_names(rule: &InjectRule) -> bool {
    rule.hosts.iter().any(|pattern| matches!(pattern, HostPattern::Own { .. }))
}
