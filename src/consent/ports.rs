//! `Ports`: the outside, handed to each flow.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;

use super::error::Error;
use crate::oauth::{TokenEndpoint, TokenReply, TokenRequest};

/// The way to the provider's endpoints, and the time of day.
#[derive(Clone)]
pub struct Ports {
    endpoint: Arc<dyn TokenEndpoint>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    deadline: Duration,
}

impl Ports {
    /// Each call may take as long as `deadline`.
    pub(crate) fn new(
        endpoint: Arc<dyn TokenEndpoint>,
        clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
        deadline: Duration,
    ) -> Self {
        Self { endpoint, clock, deadline }
    }

    pub(super) async fn send(&self, request: TokenRequest) -> Result<TokenReply, Error> {
        let reply = timeout(self.deadline, self.endpoint.send(request)).await;
        reply.map_err(|_elapsed| Error::Late)?.map_err(Error::Unreachable)
    }

    pub(super) fn now(&self) -> SystemTime {
        (self.clock)()
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ports").finish_non_exhaustive()
    }
}
