//! Refusals for want of a credential: what they say, the list that they are put on, and requests that wait for a person to act.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde_json::Value;

use super::choose::{Inquiry, unreadable};
use super::refusal::Refusal;
use super::worker::{Proxy, Worker};
use crate::agent::Agent;
use crate::attention::{Holding, Need, Reason, Shown, Words};
use crate::audit::Entry;
use crate::broker::{Permit, Why};
use crate::model::{AgentName, ConnectionId};
use crate::provider::Provider;
use crate::registration::is_client;

/// What a person or a program needs to mend a missing credential.
#[derive(Debug)]
pub(super) struct AuthRequired {
    pub(super) need: Need,
    /// The item that it has become.
    pub(super) item: Option<Arc<str>>,
}

/// What is wrong with a connection, as the one who refuses sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lack {
    pub(super) reason: Reason,
    /// The request named the connection.
    pub(super) named: bool,
    pub(super) why: &'static str,
}

impl Lack {
    /// There is no such connection.
    pub(super) fn missing(named: bool) -> Self {
        Self { reason: Reason::NotRegistered, named, why: "No credential is registered." }
    }

    /// The one that was chosen can't be used any more.
    pub(super) fn dead(why: &'static str) -> Self {
        Self { reason: Reason::Attention, named: true, why }
    }

    /// Somebody ended the one that was chosen.
    pub(super) fn revoked() -> Self {
        Self { reason: Reason::Revoked, named: true, why: "The credential was revoked." }
    }

    /// The service refuses the one that was chosen, and no renewal helps.
    fn doubtful(why: &Why) -> Self {
        let why = match why {
            Why::NoRefreshToken => "The service answered 401, and Nexus has nothing to renew the credential with.",
            _ => "The service answered 401 to a token that had just been renewed, too.",
        };
        Self { reason: Reason::Refused, named: true, why }
    }

    /// The one that was chosen is not what the service needs.
    pub(super) fn unfit(why: &'static str) -> Self {
        Self { reason: Reason::Unfit, named: true, why }
    }
}

impl AuthRequired {
    /// What the problem document has besides what every refusal says.
    pub(super) fn members(&self) -> impl Iterator<Item = (String, Value)> {
        let need = &self.need;
        let members = [
            ("provider", need.connection.provider().to_string()),
            ("connection", need.connection.to_string()),
            ("category", "auth_required".to_owned()),
            ("urgency", need.reason.urgency().to_owned()),
            ("reason", need.reason.word().to_owned()),
            ("content", need.words.content.clone()),
            ("command", need.words.command.clone()),
            ("status_url", self.status_url()),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)))
    }

    /// Where the one who was refused sees how it stands.
    fn status_url(&self) -> String {
        match &self.item {
            Some(item) => format!("http://nexus.internal/attention/{item}"),
            None => format!("http://nexus.internal/connections/{}", self.need.connection),
        }
    }
}

impl Worker {
    /// The refusal of a request of `agent` for want of `connection`.
    pub(super) fn auth_required(&self, provider: &Provider, connection: ConnectionId, agent: &Agent, lack: Lack) -> Refusal {
        let default = ConnectionId::new(provider.id.clone(), None);
        let entry = |id: &ConnectionId| self.proxy.broker.entry(id);
        let own = match entry(&connection) {
            Ok(own) => own,
            // While a node doesn't know what its gateway has, nobody is told to register what may be there.
            Err(error) => return unreadable(error),
        };
        let default = entry(&default).ok().flatten();
        let client = [&own, &default].into_iter().flatten().any(|entry| is_client(provider, entry));
        let words = Words::new(&provider.title, &connection, lack.reason, Some(lack.why), client);
        let need = Need {
            agent: self.proxy.owner(agent),
            user: agent.user.clone(),
            connection,
            named: lack.named,
            reason: lack.reason,
            registered_at: own.and_then(|entry| entry.registered_at),
            words,
        };
        Refusal::AuthRequired(Box::new(AuthRequired { need, item: None }))
    }

    /// The refusal that tells what to register for `agent`, where the provider has no connection at all: what the request names, else
    /// what it would get.
    pub(super) fn unregistered(&self, provider: &Provider, agent: &Agent, wanted: Option<ConnectionId>) -> Refusal {
        let named = wanted.is_some();
        let connection = wanted.unwrap_or_else(|| ConnectionId::new(provider.id.clone(), agent.user.clone()));
        self.auth_required(provider, connection, agent, Lack::missing(named))
    }

    /// The refusal that tells what to approve.
    pub(super) fn pending(&self, provider: &Provider, connection: &ConnectionId, agent: &Agent) -> Refusal {
        let why = "The token of this log-in waits for a person's approval.";
        self.auth_required(provider, connection.clone(), agent, Lack { reason: Reason::Pending, named: true, why })
    }

    /// Tells people that a service refuses what `permit` is for, which its caller hears from the service itself.
    pub(super) fn note_doubt(&self, permit: &Permit, why: &Why, agent: &Agent, entry: &Entry) {
        let lack = Lack::doubtful(why);
        let refusal = self.auth_required(permit.provider(), permit.connection().clone(), agent, lack);
        if let Refusal::AuthRequired(mut missing) = refusal {
            self.note_need(&mut missing, entry);
        }
    }

    /// Puts it on the list, once.
    pub(super) fn note_need(&self, missing: &mut AuthRequired, entry: &Entry) {
        if missing.item.is_none() {
            let id = self.proxy.attention.note(missing.need.clone(), entry.id().as_str(), SystemTime::now());
            missing.item = Some(id);
        }
    }

    /// Waits until it may be worth trying again. Nothing has left by then, and nothing of the body was read for it.
    ///
    /// # Errors
    /// The refusal, where requests are not held, or as many are as may be, or the time is up.
    pub(super) async fn hold(
        &self,
        mut missing: Box<AuthRequired>,
        inquiry: &Inquiry<'_>,
        entry: &mut Entry,
        holding: &mut Option<Holding>,
    ) -> Result<(), Refusal> {
        let agent = inquiry.agent;
        let Some(held) = holding else {
            let Some(begun) = self.proxy.attention.hold(&agent.name) else { return Err(Refusal::AuthRequired(missing)) };
            self.note_need(&mut missing, entry);
            entry.note("held");
            *holding = Some(begun);
            // What was registered just before is seen now, what is registered from here on is told of.
            return Ok(());
        };
        self.proxy.attention.still_needed(&missing.need, SystemTime::now());
        let (mut draining, begun) = (self.proxy.draining.clone(), Instant::now());
        let waited = tokio::select! {
            changed = held.changed() => if changed { Ok(()) } else { Err(Refusal::AuthRequired(missing)) },
            () = self.proxy.until_unknown(agent) => Err(self.proxy.why_unknown(agent)),
            _stopped = draining.wait_for(|draining| *draining) => Err(Refusal::Draining),
        };
        entry.waited(begun.elapsed());
        waited
    }
}

impl Proxy {
    /// Whose needs, and whose own log-ins, those of `agent` are. The agent of one `nexus run` ends with its command, so they are those of the
    /// person who runs commands.
    pub(super) fn owner(&self, agent: &Agent) -> AgentName {
        if self.agents.load().is_ephemeral(&agent.name) { self.local.name.clone() } else { agent.name.clone() }
    }

    /// How the item called `id` stands now; `None` where there is none, or another agent was refused.
    pub(super) fn need_of(&self, id: &str, agent: &Agent) -> Option<Shown> {
        let owner = self.owner(agent);
        let theirs = |need: &Need| need.agent == owner && need.user == agent.user;
        self.attention.find(id).filter(|(need, _)| theirs(need))?;
        self.broker.look_after_need(&self.attention, id);
        self.attention.find(id).map(|(_, shown)| shown)
    }
}
