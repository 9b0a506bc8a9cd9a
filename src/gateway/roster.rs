//! `Roster`: the way to the file of agents, which the rest of the process writes and takes up.

use std::sync::Arc;

use super::context::Gateway;
use super::problem::Problem;
use crate::agent::{Frozen, Limits, Registered};
use crate::model::AgentName;

/// What is to become of an agent.
#[derive(Debug)]
pub(crate) enum Change {
    /// It is new.
    Add(Box<Registered>),
    /// It may do more, or less.
    Limit(AgentName, Limits),
    /// It gets nothing until it is thawed.
    Freeze(Frozen),
    /// It gets what it may again.
    Thaw(AgentName),
    /// It is one no more; what it has open ends.
    Revoke(AgentName),
}

/// Why a change could not be made.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Makes one change, which is in force when it returns; `false` = there was nothing to change: a name that is taken, or that nobody bears.
pub(crate) type MakeChange = Box<dyn Fn(&Change) -> Result<bool, Cause> + Send + Sync>;

/// Agents of this home, and what they are told of its proxy.
pub(crate) struct Roster {
    pub(crate) change: MakeChange,
    /// Where callers find the proxy; `None` where none runs in this process.
    pub(crate) door: Option<Door>,
}

/// What a caller needs besides its token.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// `host:port` for programs of this machine.
    pub(crate) here: String,
    /// `host:port` for those elsewhere, by a name that the proxy has; `None` where it listens on loopback alone.
    pub(crate) elsewhere: Option<String>,
    /// The file with the roots that callers trust.
    pub(crate) bundle: String,
}

impl Gateway {
    /// Changes agents by `roster` from now on.
    pub(crate) fn take_roster(&self, roster: Roster) {
        if self.roster.set(Arc::new(roster)).is_err() {
            tracing::debug!("agents are changed the way that was said first");
        }
    }

    /// The way to the agents. 503 for a moment at the start.
    pub(super) fn roster(&self) -> Result<&Arc<Roster>, Problem> {
        self.roster.get().ok_or_else(|| {
            Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, "starting", "the gateway is starting; ask again")
        })
    }

    /// Makes one change; `false` = there was nothing to change. Blocks on the disk.
    pub(super) fn change_agents(&self, change: &Change) -> Result<bool, Problem> {
        (self.roster()?.change)(change).map_err(|error| {
            let error: &(dyn std::error::Error + 'static) = error.as_ref();
            tracing::error!(error, "the file of agents can't be used");
            let message = "the file of agents can't be used now; `nexus status` on the gateway's machine says why";
            Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, "agents", message)
        })
    }
}
