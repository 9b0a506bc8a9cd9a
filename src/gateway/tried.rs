//! `Tried`: what one harmless request with a connection's credential came to. It goes through the proxy, which is a stranger to us: the
//! application hands us the way.

use std::future::Future;
use std::pin::Pin;

use serde::Serialize;
use utoipa::ToSchema;

use super::context::Gateway;
use crate::model::ConnectionId;

/// What came back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TriedConnection)]
pub(crate) struct Tried {
    /// The connection.
    pub(crate) connection: String,
    /// The request, such as `GET https://api.github.com/user`.
    pub(crate) request: String,
    /// The status of the answer.
    pub(crate) status: u16,
    /// Whether the credential works.
    pub(crate) works: bool,
    /// The kind of the refusal, where Nexus itself refused the request.
    pub(crate) refusal: Option<String>,
    /// What such a refusal says to do.
    pub(crate) detail: Option<String>,
    /// What the account calls itself.
    pub(crate) account: Option<String>,
    /// The command that mends it.
    pub(crate) command: Option<String>,
    /// How long it took.
    pub(crate) millis: u64,
}

/// Why nothing was sent, or nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTried {
    #[error("there is no connection of this name")]
    Missing,
    #[error("no proxy runs in this process; `nexus test` on a machine with one tries the connection")]
    NoProxy,
    #[error("{0}")]
    NoTrial(String),
    #[error("no answer came in time")]
    Late,
    #[error("the request could not be sent")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A trial under way.
pub(crate) type Trying = Pin<Box<dyn Future<Output = Result<Tried, NotTried>> + Send>>;
/// Tries one connection.
pub(crate) type TryOut = Box<dyn Fn(ConnectionId) -> Trying + Send + Sync>;

impl Gateway {
    /// Tries connections by `way` from now on.
    pub(crate) fn take_trials(&self, way: TryOut) {
        if self.trials.set(way).is_err() {
            tracing::debug!("connections are tried the way that was said first");
        }
    }

    /// Tries one connection.
    ///
    /// # Errors
    /// As [`NotTried`] says.
    pub(super) async fn try_out(&self, id: ConnectionId) -> Result<Tried, NotTried> {
        let way = self.trials.get().ok_or(NotTried::NoProxy)?;
        way(id).await
    }
}
