//! `Occupants`: every provider on one host, and all the places where a credential could go in.

use std::sync::Arc;

use crate::provider::{Provider, Slot};

/// The providers that share a host. A caller's credential must pass in no slot of any of them: the service behind the host reads them all,
/// whichever of the providers a request is for.
#[derive(Debug)]
pub(crate) struct Occupants {
    /// Each once, in the catalogue's order; never empty.
    pub(crate) providers: Vec<Arc<Provider>>,
    /// The slots of all of them, each once.
    pub(crate) slots: Vec<Slot>,
}

impl Occupants {
    /// Joins the slots of `providers`.
    pub(super) fn new(providers: Vec<Arc<Provider>>) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for slot in providers.iter().flat_map(|provider| &provider.slots) {
            if !slots.contains(slot) {
                slots.push(slot.clone());
            }
        }
        Self { providers, slots }
    }
}
