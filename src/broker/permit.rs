//! `Permit`: the right to send one request with one credential.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use tokio::time::Instant;

use super::authorize::serving;
use super::connection::{Complaint, Connection};
use super::error::{Error, Why};
use super::flight::Outcome;
use super::generation::{Live, Origin, Ready};
use crate::guard::Needles;
use crate::model::{ConnectionId, Secret};
use crate::provider::{Prepared, Provider};

/// The right to send one request with one credential. Only the broker makes it.
#[derive(Clone)]
pub(crate) struct Permit {
    connection: Arc<Connection>,
    live: Arc<Live>,
    ready: Arc<Ready>,
    step: Option<&'static str>,
    /// What the same request was sent with before.
    spent: Option<Arc<Ready>>,
}

/// What came of a 401.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// Send the request once more, with this.
    Fresh(Permit),
    /// The 401 is the answer.
    Keep(Why),
    /// It is, and what is known of the credential looks as if only a person could mend it.
    Doubtful(Why),
    /// Nothing renews what the service refused: no request goes with it until a person acts.
    Dead(Error),
}

impl Permit {
    pub(super) fn new(connection: Arc<Connection>, live: Arc<Live>, ready: Arc<Ready>) -> Self {
        Self { connection, live, ready, step: None, spent: None }
    }

    /// With what was done before it could be made, for the record.
    pub(super) fn after(self, step: Option<&'static str>) -> Self {
        Self { step, ..self }
    }

    /// What was done before it could be made: `renewed`, or why the old credential had to do. `None` = nothing was due.
    pub(crate) fn step(&self) -> Option<&'static str> {
        self.step
    }

    /// Whose credential it is.
    pub(crate) fn connection(&self) -> &ConnectionId {
        &self.connection.id
    }

    /// The provider, as its file was when the permit was made.
    pub(crate) fn provider(&self) -> &Arc<Provider> {
        &self.ready.provider
    }

    /// The number of the rule in `provider().inject`.
    pub(crate) fn rule(&self) -> usize {
        self.ready.rule
    }

    /// The generation of the credential, for records.
    pub(crate) fn generation(&self) -> u64 {
        self.live.generation.number
    }

    /// When the agent obtained it by a log-in of its own, if that is whence it is.
    pub(crate) fn captured_since(&self) -> Option<SystemTime> {
        self.live.entry.captured.as_ref().and_then(|captured| captured.since)
    }

    /// What goes on the request.
    pub(crate) fn prepared(&self) -> &Prepared {
        &self.ready.prepared
    }

    /// What is looked for in what comes back: the secrets that went on the request, also when it was sent first. A service may answer
    /// the second send with what the first one held, and any with the token that was renewed lately.
    pub(crate) fn needles(&self) -> impl Iterator<Item = &Arc<Needles>> {
        let all = std::iter::once(&self.ready).chain(&self.spent).map(|ready| ready.prepared.needles());
        let former = self.ready.former().filter(|_| self.spent.is_none());
        all.chain(former).filter(|needles| !needles.is_empty())
    }

    /// The same, not compiled, whatever their length.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret<String>> {
        std::iter::once(&self.ready).chain(&self.spent).flat_map(|ready| ready.prepared.secrets())
    }

    /// Exact hosts the credential may reach. `None` = the exact hosts of the provider's patterns.
    pub(crate) fn hosts(&self) -> Option<&[String]> {
        self.live.entry.sealed_hosts()
    }

    /// A field of the connection, to bind a tenant's host to.
    pub(crate) fn field(&self, name: &str) -> Option<&Secret<String>> {
        self.live.entry.fields.field(name)
    }

    /// Notes that the service answered `status`, which is no refusal of the credential, to a request sent with it at `sent_at`. A service
    /// that is out of order or too busy may not have looked at it.
    pub(crate) fn answered(&self, status: StatusCode, sent_at: Instant) {
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            self.connection.used(self.connection.shared.mark(sent_at));
        } else {
            self.succeeded(sent_at);
        }
    }

    /// Notes that the service took the credential on a request sent at `sent_at`.
    pub(crate) fn succeeded(&self, sent_at: Instant) {
        let mark = self.connection.shared.mark(sent_at);
        self.connection.used(mark);
        self.ready.succeeded(mark);
        self.live.generation.succeeded();
    }

    /// What to do about a 401 to a request sent with it at `sent_at`: another credential, or none.
    ///
    /// Renews unless the 401 is about that one request, another request already renewed, or a renewal cannot be made now. A
    /// renewal goes on when the returned future is dropped.
    pub(crate) async fn renew(&self, sent_at: Instant) -> Renewal {
        self.connection.used(self.connection.shared.mark(sent_at));
        let live = match self.connection.refresh() {
            Ok(live) => live,
            Err(Error::Vault(cause)) => return Renewal::Keep(Why::Vault(cause)),
            Err(Error::Away(away)) => return Renewal::Keep(Why::OwnerAway(Arc::new(away))),
            Err(_not_registered) => return Renewal::Keep(Why::Gone),
        };
        if live.generation.number != self.live.generation.number {
            return self.with(live);
        }
        let complaint = Complaint { ready: &self.ready, sent_at };
        let patience = self.connection.shared.settings.renewal_wait;
        match self.connection.renew(&live, &self.ready.provider, Some(complaint), patience).await {
            Outcome::Fresh(live) => self.with(live),
            Outcome::Keep(Why::Refused(_)) => self.refused(sent_at),
            Outcome::Keep(Why::NoRefreshToken) if self.has_ended() => self.refused(sent_at),
            Outcome::Keep(why @ (Why::NoRefreshToken | Why::NotOurs)) => self.doubt(sent_at, why),
            Outcome::Keep(why) => Renewal::Keep(why),
        }
    }

    /// Of a 401 to a request sent with it at `sent_at` that no renewal answers. It says little about the credential, since a service may answer
    /// so to what one caller may not see. A second one in a row where nothing worked for a while, or the first that a person's new credential
    /// meets, is a reason to tell a person.
    pub(crate) fn doubt(&self, sent_at: Instant, why: Why) -> Renewal {
        let (shared, generation) = (&self.connection.shared, &self.live.generation);
        let mark = shared.mark(sent_at);
        let again = self.ready.doubted(mark) && !self.ready.worked_lately(mark, shared.settings.trial);
        let untried = generation.origin == Origin::Registered && !generation.has_succeeded();
        if self.ready.is_doubted() && (again || untried) { Renewal::Doubtful(why) } else { Renewal::Keep(why) }
    }

    /// Whether it is past its end by our clock, which alone is no proof.
    fn has_ended(&self) -> bool {
        self.live.entry.expires_at.is_some_and(|end| end <= (self.connection.shared.ports.clock)())
    }

    /// Its renewal was refused for good too, or it is past its end and has none: no other request goes with it, unless a person acted meanwhile.
    fn refused(&self, sent_at: Instant) -> Renewal {
        let live = match self.connection.refresh() {
            Ok(live) if live.generation.number != self.live.generation.number => return self.with(live),
            live => live,
        };
        self.ready.refused(self.connection.shared.mark(sent_at));
        // The token endpoint may have said that somebody ended it.
        let ended = live.and_then(|live| serving(&self.connection, &live)).err();
        Renewal::Dead(ended.unwrap_or_else(|| Error::Refused { connection: self.connection.id.clone() }))
    }

    fn with(&self, live: Arc<Live>) -> Renewal {
        match live.ready(&self.ready.provider, self.ready.rule) {
            // Somebody ended it, or another log-in took the name of one that was removed meanwhile.
            _ if !live.status().serves() => Renewal::Keep(Why::Gone),
            Ok(Some(ready)) => {
                let fresh = Self::new(Arc::clone(&self.connection), live, ready);
                Renewal::Fresh(Self { spent: Some(Arc::clone(&self.ready)), ..fresh })
            }
            Ok(None) | Err(_) => Renewal::Keep(Why::Gone),
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Permit");
        shown.field("connection", self.connection()).field("generation", &self.generation()).field("rule", &self.rule());
        shown.finish_non_exhaustive()
    }
}
