//! What a person types, as an entry of the vault: the room `registration` with the broker's word on it.

use std::time::SystemTime;

use crate::attention::{Reason, Words};
use crate::broker::try_out;
use crate::model::ConnectionId;
use crate::provider::Provider;
use crate::registration::is_client;
use crate::vault::{Entry, Snapshot};

pub use crate::registration::{Error, Form, NotMade, Reach, Wanted, Widened, contested, unbound, ways, widened};

/// The entry that comes of `form`, its hosts and token endpoints sealed.
///
/// # Errors
/// As [`Error`] says.
pub fn entry(form: Form<'_>) -> Result<Entry, Error> {
    form.entry(try_out, SystemTime::now())
}

/// What a person types so that `id`, a connection of `provider`, works again: a log-in where its client, or the provider's app, is in
/// `vault`.
pub fn command(provider: &Provider, vault: &Snapshot, id: &ConnectionId) -> String {
    let app = ConnectionId::new(id.provider().clone(), None);
    let client = [id, &app].into_iter().filter_map(|id| vault.get(id)).any(|entry| is_client(provider, entry));
    Words::new(&provider.title, id, Reason::Attention, None, client).command
}
