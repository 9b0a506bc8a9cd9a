//! What a node asks of the owner of its copies: another credential than the one it has.

use std::sync::Arc;

use super::authorize::Broker;
use super::connection::Connection;
use super::error::{Error, Why};
use super::flight::Outcome;
use super::generation::{Due, Live};
use crate::model::ConnectionId;
use crate::provider::Provider;
use crate::vault::Entry;

impl Broker {
    /// `connection` as it is now, for a node whose copy `is_seen` knows: renewed first where that copy is still the newest, and was
    /// `refused` by a service or is about to end. Of all nodes that ask at once one causes a renewal, and the others get what it gave.
    /// The second is why it was not renewed, where it should have been.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub(crate) async fn renew_lent(
        &self,
        connection: &ConnectionId,
        provider: &Arc<Provider>,
        is_seen: &(dyn Fn(&Entry) -> bool + Sync),
        refused: bool,
    ) -> Result<(Arc<Entry>, Option<Why>), Error> {
        let connection = self.connection(connection)?;
        let live = connection.refresh().inspect_err(|error| self.forget(&connection, error))?;
        if !is_seen(&live.entry) || !(refused || self.ends_soon(&live, provider)) {
            return Ok((Arc::clone(&live.entry), None));
        }
        let outcome = Box::pin(connection.renew(&live, provider, None, self.shared.settings.renewal_wait)).await;
        match outcome {
            Outcome::Fresh(live) => Ok((Arc::clone(&live.entry), None)),
            Outcome::Keep(why) => Ok((self.as_it_is(&connection)?, Some(why))),
        }
    }

    /// By the node's clock it is due; by ours it must at least be near, whatever each of the two adds to chance.
    fn ends_soon(&self, live: &Live, provider: &Provider) -> bool {
        let clock = &self.shared.ports.clock;
        let near = clock().checked_add(self.shared.settings.renew_ahead);
        live.due(provider, &**clock) != Due::Later || live.entry.expires_at.zip(near).is_some_and(|(end, near)| end <= near)
    }

    fn as_it_is(&self, connection: &Arc<Connection>) -> Result<Arc<Entry>, Error> {
        let live = connection.refresh().inspect_err(|error| self.forget(connection, error))?;
        Ok(Arc::clone(&live.entry))
    }
}
