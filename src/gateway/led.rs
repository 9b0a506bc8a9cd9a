//! Where a credential would be led to that no administrator stores: nowhere new, and nowhere that is somebody else's.

use super::context::Gateway;
use super::problem::Problem;
use crate::model::Host;
use crate::provider::Provider;
use crate::vault::{Entry, Snapshot};

/// Why a credential is an administrator's to store.
#[derive(Debug, thiserror::Error)]
pub(super) enum Led {
    /// Requests there would carry this one, and what belongs there would be out of reach.
    #[error("{0} is a host of another service, so its requests would carry this credential: an administrator registers it")]
    Taken(String),
    /// Nobody has looked at it.
    #[error("no connection leads to {0} yet, so it is a new way out: an administrator registers it")]
    New(String),
}

impl From<Led> for Problem {
    fn from(led: Led) -> Self {
        match led {
            Led::Taken(_) => Self::conflict("host_taken", led.to_string()),
            Led::New(_) => Self::forbidden("not_admin", led.to_string()),
        }
    }
}

impl Gateway {
    /// Whether who is no administrator may store `entry` of `provider`. What its file names in full is its own. A server that customers run
    /// (`{host}`) may be anybody's, and a tenant anybody's too, though at its vendor's: that one only where egress is closed.
    ///
    /// # Errors
    /// The first host that is not for them to name.
    pub(super) fn leads_on(&self, vault: &Snapshot, provider: &Provider, entry: &Entry) -> Result<(), Led> {
        let closed = !self.files.get().is_some_and(|files| (files.is_open)());
        let catalogue = self.ports.catalogue.load();
        for text in &entry.hosts {
            // A pattern of many hosts is sealed as the file has it.
            let Ok(host) = text.parse::<Host>() else { continue };
            let in_full = |provider: &Provider| provider.hosts().any(|own| own.tenant().is_none() && own.matches(&host));
            if in_full(provider) {
                continue;
            }
            let sealed = vault.sealed_with(text);
            if provider.hosts().any(|own| own.matches(&host)) {
                if closed && sealed.is_empty() && !catalogue.iter().any(|other| in_full(other)) {
                    return Err(Led::New(text.clone()));
                }
                continue;
            }
            if catalogue.whose(&host).into_iter().chain(sealed).any(|by| *by != provider.id) {
                return Err(Led::Taken(text.clone()));
            }
            if sealed.is_empty() {
                return Err(Led::New(text.clone()));
            }
        }
        Ok(())
    }
}
