//! `Broker`: from a connection's name to a permit.

use std::sync::Arc;
use std::time::SystemTime;

use dashmap::DashMap;

use super::connection::{Connection, Shared};
use super::error::{Error, NotCaptured, Why, unseen};
use super::flight::Outcome;
use super::generation::{Due, Live};
use super::permit::Permit;
use super::port::{Listed, Ports};
use super::settings::Settings;
use crate::model::{ConnectionId, ProviderId};
use crate::provider::Provider;
use crate::vault::{Entry, PendingBound, Status};

/// Live credentials of all connections.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(super) shared: Arc<Shared>,
    connections: DashMap<ConnectionId, Arc<Connection>, foldhash::fast::RandomState>,
}

/// Whose request a permit is for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Whose<'a> {
    /// Who asks; nobody's name where Nexus does.
    pub(crate) agent: &'a str,
    /// That of a [`Listed`] which the request has just been given: the vault is not looked at again for it.
    pub(crate) version: Option<u64>,
}

impl Broker {
    /// A broker that knows nothing yet.
    pub(crate) fn new(ports: Ports, settings: Settings) -> Arc<Self> {
        Arc::new(Self { shared: Arc::new(Shared::new(ports, settings)), connections: DashMap::default() })
    }

    /// How renewals ended since the start: a word, and how many.
    pub(crate) fn renewals(&self) -> [(&'static str, u64); 3] {
        self.shared.tally.read()
    }

    /// The connections of `provider` that exist, the default one first.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub(crate) fn connections_of(&self, provider: &ProviderId) -> Result<Listed, Error> {
        self.shared.ports.vault.connections(provider).map_err(unseen)
    }

    /// How `connection` stands; `None` where there is no such connection.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub(crate) fn status(&self, connection: &ConnectionId) -> Result<Option<Status>, Error> {
        Ok(self.entry(connection)?.map(|entry| entry.status))
    }

    /// `connection` as the vault has it; `None` where there is no such connection.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub(crate) fn entry(&self, connection: &ConnectionId) -> Result<Option<Arc<Entry>>, Error> {
        Ok(self.shared.ports.vault.entry(connection).map_err(unseen)?.entry)
    }

    /// The live credential of `connection`, made ready for the first of `rules` (numbers in `provider.inject`, all of which match
    /// the request) whose fields it has.
    ///
    /// Renews first when it is about to expire, and goes with the old one should that fail while it lives. An expired
    /// credential that cannot be renewed for want of a refresh token is used: our clock is no proof, the service's 401 is. One that a service
    /// refused when its renewal had been refused for good is not.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub(crate) async fn authorize(
        &self,
        connection: &ConnectionId,
        provider: &Arc<Provider>,
        rules: &[usize],
        whose: Whose<'_>,
    ) -> Result<Permit, Error> {
        let (connection, live, due) = self.standing(connection, provider, whose.version)?;
        if due == Due::Later {
            return permit((connection, live), provider, rules, whose.agent);
        }
        let (live, step) = Box::pin(self.renew_ahead(&connection, live, provider, due)).await?;
        Ok(permit((connection, live), provider, rules, whose.agent)?.after(Some(step)))
    }

    /// As [`Self::authorize`], but `None` where something is to be waited for.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub(crate) fn authorize_at_once(
        &self,
        connection: &ConnectionId,
        provider: &Arc<Provider>,
        rules: &[usize],
        whose: Whose<'_>,
    ) -> Result<Option<Permit>, Error> {
        let (connection, live, due) = self.standing(connection, provider, whose.version)?;
        if due == Due::Later { permit((connection, live), provider, rules, whose.agent).map(Some) } else { Ok(None) }
    }

    fn standing(
        &self,
        connection: &ConnectionId,
        provider: &Provider,
        version: Option<u64>,
    ) -> Result<(Arc<Connection>, Arc<Live>, Due), Error> {
        let connection = self.connection(connection)?;
        let live = connection.current(version).inspect_err(|error| self.forget(&connection, error))?;
        serving(&connection, &live)?;
        let due = live.due(provider, &*self.shared.ports.clock);
        Ok((connection, live, due))
    }

    /// Keeps what an agent obtained by its own log-in, as a new connection that waits for approval; it is on disk when this returns. The
    /// write goes on when the returned future is dropped.
    ///
    /// # Errors
    /// As [`NotCaptured`] says; then nothing was written.
    pub(crate) async fn capture(&self, entry: Entry, bound: PendingBound) -> Result<ConnectionId, NotCaptured> {
        let (vault, now) = (Arc::clone(&self.shared.ports.vault), (self.shared.ports.clock)());
        let writing = self.shared.ports.runtime.spawn_blocking(move || vault.capture(entry, now, bound));
        Ok(writing.await.map_err(|_stopped| NotCaptured::Stopped)??)
    }

    /// When each connection went on a request of this process last, to the second.
    pub(crate) fn uses(&self) -> Vec<(ConnectionId, SystemTime)> {
        self.connections.iter().filter_map(|entry| Some((entry.key().clone(), entry.value().used_at()?))).collect()
    }

    /// Waits until no renewal is in flight, so that stopping loses no token. The caller sets the deadline.
    pub(crate) async fn settle(&self) {
        let all: Vec<_> = self.connections.iter().map(|entry| Arc::clone(entry.value())).collect();
        for connection in all {
            connection.land().await;
        }
    }

    /// Whether a renewal is in flight.
    #[cfg(test)]
    pub(crate) fn is_renewing(&self) -> bool {
        self.connections.iter().any(|entry| entry.value().is_renewing())
    }

    async fn renew_ahead(
        &self,
        connection: &Arc<Connection>,
        live: Arc<Live>,
        provider: &Arc<Provider>,
        due: Due,
    ) -> Result<(Arc<Live>, &'static str), Error> {
        let settings = &self.shared.settings;
        let patience = if due == Due::Soon { settings.ahead_wait } else { settings.renewal_wait };
        let why = match connection.renew(&live, provider, None, patience).await {
            Outcome::Fresh(fresh) => return Ok((fresh, "renewed")),
            Outcome::Keep(why) => why,
        };
        let id = || connection.id.clone();
        // It may have died, or been replaced, while we waited.
        let live = connection.refresh().inspect_err(|error| self.forget(connection, error))?;
        serving(connection, &live)?;
        match (live.due(provider, &*self.shared.ports.clock), why) {
            (Due::Later | Due::Soon, why) => Ok((live, why.word())),
            (Due::Now, why @ Why::NoRefreshToken) if live.status().renews() => Ok((live, why.word())),
            (Due::Now, Why::Refused(_) | Why::NoRefreshToken) => Err(Error::AuthRequired { connection: id() }),
            (Due::Now, Why::Gone) => Err(Error::NotRegistered { connection: id() }),
            (Due::Now, why) => Err(Error::Renewal { connection: id(), why }),
        }
    }

    /// The connection, where a request has asked for it.
    pub(super) fn known(&self, id: &ConnectionId) -> Option<Arc<Connection>> {
        self.connections.get(id).map(|known| Arc::clone(known.value()))
    }

    pub(super) fn connection(&self, id: &ConnectionId) -> Result<Arc<Connection>, Error> {
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        let seen = self.shared.ports.vault.entry(id).map_err(unseen)?;
        let entry = seen.entry.ok_or_else(|| Error::NotRegistered { connection: id.clone() })?;
        if self.connections.len() >= self.shared.settings.connections {
            self.connections.retain(|_, connection| connection.refresh().is_ok());
        }
        let make = || Arc::new(Connection::new(&self.shared, id, seen.version, entry));
        Ok(Arc::clone(self.connections.entry(id.clone()).or_insert_with(make).value()))
    }

    /// Drops a connection that was removed; one that is registered again begins anew.
    pub(super) fn forget(&self, connection: &Arc<Connection>, error: &Error) {
        if matches!(error, Error::NotRegistered { .. }) {
            self.connections.remove_if(&connection.id, |_, known| Arc::ptr_eq(known, connection));
        }
    }
}

/// Whether a request may go with it.
pub(super) fn serving(connection: &Connection, live: &Live) -> Result<(), Error> {
    match live.status() {
        status if status.serves() => Ok(()),
        Status::Pending => Err(Error::Pending { connection: connection.id.clone() }),
        status => Err(Error::Ended { connection: connection.id.clone(), status }),
    }
}

fn permit(
    (connection, live): (Arc<Connection>, Arc<Live>),
    provider: &Arc<Provider>,
    rules: &[usize],
    agent: &str,
) -> Result<Permit, Error> {
    for rule in rules {
        match live.ready(provider, *rule) {
            Ok(Some(ready)) if connection.is_refused(&ready, agent) => {
                return Err(Error::Refused { connection: connection.id.clone() });
            }
            Ok(Some(ready)) => return Ok(Permit::new(connection, live, ready)),
            Ok(None) => {}
            Err(cause) => return Err(Error::Unfit { connection: connection.id.clone(), cause: Arc::new(cause) }),
        }
    }
    Err(Error::MissingFields { connection: connection.id.clone() })
}
