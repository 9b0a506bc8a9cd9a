//! What the broker needs from outside: a place for credentials, a way to token endpoints, a clock, a runtime.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::{AgentName, ConnectionId, ProviderId};
use crate::oauth::{BoxFuture, Cause, TokenEndpoint};
use crate::vault::{CaptureError, Entry, OwnConnections, PendingBound};

/// Tells the time of day.
pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A connection as the vault has it at some moment.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Rises with every change of the vault, so that an older look never wins over a newer one.
    pub(crate) version: u64,
    /// `None` = there is no such connection.
    pub(crate) entry: Option<Arc<Entry>>,
}

/// The connections of one provider at some moment.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// As in [`Seen`].
    pub(crate) version: u64,
    /// The default one first.
    pub(crate) ids: Arc<[ConnectionId]>,
    /// Those that agents obtained by log-ins of their own.
    pub(crate) own: OwnConnections,
    /// All else that the vault held then, for who asks for many connections: another look costs a system call.
    pub(crate) moment: Arc<dyn Moment>,
}

/// The vault at some moment.
pub(crate) trait Moment: fmt::Debug + Send + Sync {
    /// The connections of `provider`, the default one first.
    fn connections(&self, provider: &ProviderId) -> Arc<[ConnectionId]>;

    /// Those of `provider` that agents obtained by log-ins of their own.
    fn own(&self, provider: &ProviderId) -> OwnConnections;

    /// How many log-ins of `agent` wait for approval at `now`.
    fn waiting(&self, agent: &AgentName, now: SystemTime) -> usize;

    /// The connection; `None` where there was none.
    fn entry(&self, id: &ConnectionId) -> Option<&Arc<Entry>>;
}

/// Where credentials rest. All calls block: [`Vault::entry`] and [`Vault::connections`] for one `stat` at most while nothing
/// changes, the others for a disk.
pub(crate) trait Vault: Send + Sync + 'static {
    /// The connection as it is on disk now; the same `Arc` while it is the same.
    fn entry(&self, id: &ConnectionId) -> Result<Seen, Cause>;

    /// The connections of `provider`, the default one first. A change counts from when its writer is told that it is written.
    fn connections(&self, provider: &ProviderId) -> Result<Listed, Cause>;

    /// Changes the connection under the vault's lock. When this returns `Ok`, the change survives a power cut.
    fn update(&self, id: &ConnectionId, change: &mut dyn FnMut(&mut Entry)) -> Result<Seen, Cause>;

    /// Writes what an agent obtained by its own log-in as a new connection that waits for approval.
    fn capture(&self, entry: Entry, now: SystemTime, bound: PendingBound) -> Result<ConnectionId, CaptureError>;

    /// Keeps other processes from renewing the connection until the guard is dropped.
    fn lock(&self, id: &ConnectionId, wait: Duration) -> Result<Box<dyn Send>, Cause>;

    /// Who renews the [lent](Entry::lent) ones among them; `None` where there are none.
    fn owner(&self) -> Option<&dyn Owner> {
        None
    }
}

/// Whose the lent connections are: the gateway of this node.
pub(crate) trait Owner: Send + Sync {
    /// Asks for another credential than the one in `entry`, and takes over what the owner has now. `refused` says that a service
    /// answered 401 to it, not that it is about to end. Does not block.
    fn renew<'a>(&'a self, id: &'a ConnectionId, entry: &'a Entry, refused: bool) -> BoxFuture<'a, Result<Renewed, Cause>>;
}

/// What the owner of a lent connection has now.
#[derive(Debug)]
pub(crate) struct Renewed {
    /// The connection, as the vault shows it from now on.
    pub(crate) seen: Seen,
    /// When to ask again, where the owner could not renew it for the moment.
    pub(crate) retry_after: Option<Duration>,
}

/// The gateway that owns a connection has been out of reach for longer than its copies may be used. A [`Vault`] says so as the cause of
/// its error.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the gateway at {gateway} has been out of reach for too long, or refuses this proxy's key")]
pub(crate) struct Away {
    /// `host:port`.
    pub(crate) gateway: String,
}

/// The outside, handed to the broker once.
#[derive(Clone)]
pub(crate) struct Ports {
    /// Where credentials rest.
    pub(crate) vault: Arc<dyn Vault>,
    /// The way to token endpoints.
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    /// The time of day.
    pub(crate) clock: Clock,
    /// Where renewals run, whatever becomes of the request that asked for them.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl fmt::Debug for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ports").finish_non_exhaustive()
    }
}
