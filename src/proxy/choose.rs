//! Step 4: which connection a request uses, and its live credential.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderMap;
use http::header::COOKIE;

use super::attention::Lack;
use super::door::{Arrived, NEXUS_CONNECTION};
use super::exchange::Way;
use super::placeholders::Meaning;
use super::refusal::Refusal;
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::{Entry, Verdict};
use crate::broker::{self, Listed, Whose};
use crate::decide::{Named, Occupants, Reason, Route, Unregistered};
use crate::model::{AgentName, ConnectionId, Target, UserName, is_readable};
use crate::provider::{InjectRule, Provider, Slot};
use crate::vault::{OwnConnection, Status};

/// Which connection a refused request meant.
const FOREIGN: &str = "of that placeholder";

/// A request as far as the choice of its connection is concerned.
pub(super) struct Inquiry<'a> {
    pub(super) arrived: &'a Arrived,
    pub(super) agent: &'a Arc<Agent>,
    pub(super) headers: &'a HeaderMap,
}

/// What a route leads to.
enum Chosen {
    Way(Way),
    /// A connection whose credential is to be renewed first.
    Due(Box<Due>),
}

struct Due {
    named: Named,
    connection: ConnectionId,
    /// The version of the vault that has it.
    version: u64,
}

impl Worker {
    /// Turns a route into a way, with a live credential where one is due.
    pub(super) async fn authorize(
        self: &Rc<Self>,
        route: Route,
        inquiry: &Inquiry<'_>,
        entry: &mut Entry,
    ) -> Result<Way, Refusal> {
        match self.choose_way(route, inquiry, entry)? {
            Chosen::Way(way) => Ok(way),
            // It is rare, and its state is large.
            Chosen::Due(due) => Box::pin(self.permit_when_renewed(*due, inquiry, entry)).await,
        }
    }

    fn choose_way(&self, route: Route, inquiry: &Inquiry<'_>, entry: &mut Entry) -> Result<Chosen, Refusal> {
        if let Route::Pass | Route::Strip(_) = route {
            self.check_log_in(&route, inquiry)?;
        }
        let named = match route {
            Route::Refuse(reason) => return Err(Refusal::Policy(reason)),
            // `mint.rs` takes it before; here nobody would read the answer.
            Route::Mint(_) => return Err(Refusal::Policy(Reason::Mint)),
            Route::Pass => {
                entry.verdict(Verdict::Pass);
                return Ok(Chosen::Way(Way::Plain));
            }
            Route::Strip(occupants) => {
                entry.verdict(Verdict::Pass);
                occupants.providers.first().into_iter().for_each(|provider| entry.provider(&provider.id));
                return self.strip_only(occupants).map(Chosen::Way);
            }
            Route::TokenEndpoint(owners) => {
                entry.verdict(Verdict::Pass);
                owners.first().into_iter().for_each(|provider| entry.provider(&provider.id));
                return self.token_endpoint(owners, inquiry).map(Chosen::Way);
            }
            Route::Inject(named) => self.with_connection(named, inquiry)?,
        };
        entry.provider(&named.provider.id);
        hide_secrets(&named, &inquiry.arrived.target, entry);
        let listed = self.proxy.broker.connections_of(&named.provider.id).map_err(unreadable)?;
        let chosen = self.choose(&named, &listed, inquiry).inspect_err(|refusal| {
            if matches!(refusal, Refusal::Connection(FOREIGN)) {
                self.sight_foreign(&named.occupants, inquiry, entry);
            }
        });
        let Some(connection) = chosen? else {
            return self.without_credential(&named, inquiry, entry).map(Chosen::Way);
        };
        entry.connection(&connection);
        let permit =
            self.proxy.broker.authorize_at_once(&connection, &named.provider, &named.rules, whose(inquiry, listed.version));
        match permit.map_err(|error| self.no_permit((&named.provider, inquiry.agent), &connection, error, entry))? {
            Some(permit) => permitted(permit, named, inquiry, entry).map(Chosen::Way),
            None => Ok(Chosen::Due(Box::new(Due { named, connection, version: listed.version }))),
        }
    }

    /// Of the providers that share the place, the first that has a connection for this request; the general one where none has.
    pub(super) fn with_connection(&self, named: Named, inquiry: &Inquiry<'_>) -> Result<Named, Refusal> {
        if named.beside.is_empty() {
            return Ok(named);
        }
        // What the request names decides, also where it is to be refused.
        if self.is_meant(&named.provider, &named, inquiry)? {
            return Ok(named);
        }
        for (provider, rules) in &named.beside {
            if self.is_meant(provider, &named, inquiry)? {
                let (provider, rules, occupants) = (Arc::clone(provider), rules.clone(), Arc::clone(&named.occupants));
                return Ok(Named { provider, rules, occupants, beside: Vec::new() });
            }
        }
        if self.has_connection(&named, inquiry)? {
            return Ok(named);
        }
        for (provider, rules) in &named.beside {
            let (provider, rules, occupants) = (Arc::clone(provider), rules.clone(), Arc::clone(&named.occupants));
            let other = Named { provider, rules, occupants, beside: Vec::new() };
            if self.has_connection(&other, inquiry)? {
                return Ok(other);
            }
        }
        Ok(named.general())
    }

    /// The connection that a request would go with, if it went now.
    pub(super) fn would_use(&self, named: &Named, inquiry: &Inquiry<'_>) -> Option<ConnectionId> {
        let listed = self.proxy.broker.connections_of(&named.provider.id).ok()?;
        self.choose(named, &listed, inquiry).ok().flatten()
    }

    /// Whether `Nexus-Connection` or a placeholder in the request names a connection of `provider`.
    fn is_meant(&self, provider: &Provider, named: &Named, inquiry: &Inquiry<'_>) -> Result<bool, Refusal> {
        if wanted(provider, inquiry).is_some() {
            return Ok(true);
        }
        let listed = self.proxy.broker.connections_of(&provider.id).map_err(unreadable)?;
        let known = self.placeholders(inquiry.agent, &provider.id, (&listed.ids, &listed.own));
        Ok(find_in_slots(&|value| known.find(value).cloned(), &named.occupants, inquiry).is_some())
    }

    /// Whether a connection of this provider is meant for the request; one that is another's is none.
    fn has_connection(&self, named: &Named, inquiry: &Inquiry<'_>) -> Result<bool, Refusal> {
        let listed = self.proxy.broker.connections_of(&named.provider.id).map_err(unreadable)?;
        Ok(matches!(self.choose(named, &listed, inquiry), Ok(Some(_))))
    }

    /// The right to send this one request with a credential that is made or renewed for it.
    async fn permit_when_renewed(
        self: &Rc<Self>,
        Due { named, connection, version }: Due,
        inquiry: &Inquiry<'_>,
        entry: &mut Entry,
    ) -> Result<Way, Refusal> {
        let permit = self.proxy.broker.authorize(&connection, &named.provider, &named.rules, whose(inquiry, version)).await;
        let permit = permit.map_err(|error| self.no_permit((&named.provider, inquiry.agent), &connection, error, entry))?;
        if let Some(step) = permit.step() {
            entry.note(step);
            // It took its time, in which the agent may have been revoked.
            if !self.proxy.still_known(inquiry.agent) {
                return Err(Refusal::UnknownAgent);
            }
        }
        permitted(permit, named, inquiry, entry)
    }

    /// The connection that `Nexus-Connection` names, that a placeholder means, the agent's user's, or the default one of an agent that acts
    /// for nobody. `None` only where the provider has none at all: once it has one its slots are ours, and what a caller sent in them goes nowhere.
    fn choose(&self, named: &Named, listed: &Listed, inquiry: &Inquiry<'_>) -> Result<Option<ConnectionId>, Refusal> {
        let Inquiry { agent, headers, .. } = inquiry;
        let existing = &listed.ids;
        let mut wanted = headers.get_all(NEXUS_CONNECTION).iter();
        if let Some(only) = wanted.next() {
            let not_yours = || Refusal::Connection("that Nexus-Connection names");
            // Two readers could take two different ones.
            let wanted = if wanted.next().is_none() { only } else { return Err(not_yours()) };
            let wanted: ConnectionId = wanted.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(not_yours)?;
            if let Some(own) = listed.own.iter().find(|own| own.id == wanted) {
                return self.own(agent, own, &named.provider)?.map(Some).ok_or_else(not_yours);
            }
            if *wanted.provider() != named.provider.id || !may_use(agent, &wanted) {
                return Err(not_yours());
            }
            return match wanted.found_in(existing) {
                Some(found) => Ok(Some(found.clone())),
                None => self.missing(named, existing, (wanted.user(), agent), Lack::missing(true)),
            };
        }
        if existing.is_empty() && listed.own.is_empty() {
            return Ok(None);
        }
        let known = self.placeholders(agent, &named.provider.id, (existing, &listed.own));
        if let Some(Meaning { whose, connection: meant }) =
            find_in_slots(&|value| known.find(value).cloned(), &named.occupants, inquiry)
        {
            if let Some(own) = listed.own.iter().find(|own| own.id == meant) {
                let foreign = || Refusal::Connection(FOREIGN);
                return self.own(agent, own, &named.provider)?.map(Some).ok_or_else(foreign);
            }
            let own = self.may_show(agent, whose.as_ref()) || whose == Some(self.owner(agent));
            let theirs = own && may_use(agent, &meant);
            return if theirs { Ok(Some(meant)) } else { Err(Refusal::Connection(FOREIGN)) };
        }
        match ConnectionId::preferred(existing, agent.user.as_ref()) {
            Some(preferred) => Ok(Some(preferred.clone())),
            None => self.missing(named, existing, (agent.user.as_ref(), agent), Lack::missing(false)),
        }
    }

    /// The connection that an agent obtained by its own log-in, where this is that agent and it has been approved; `None` where it is
    /// another's.
    ///
    /// # Errors
    /// The refusal that says what approves it.
    pub(super) fn own(
        &self,
        agent: &Arc<Agent>,
        own: &OwnConnection,
        provider: &Provider,
    ) -> Result<Option<ConnectionId>, Refusal> {
        if self.owner(agent) != own.agent || !UserName::same(agent.user.as_ref(), own.user.as_ref()) {
            return Ok(None);
        }
        if own.pending { Err(self.pending(provider, &own.id, agent)) } else { Ok(Some(own.id.clone())) }
    }

    /// Whose the connections are that `agent` obtains by its own log-ins.
    pub(super) fn owner(&self, agent: &Agent) -> AgentName {
        self.proxy.owner(agent)
    }

    /// The connection of `user` is not there.
    fn missing(
        &self,
        named: &Named,
        existing: &[ConnectionId],
        (user, agent): (Option<&UserName>, &Agent),
        lack: Lack,
    ) -> Result<Option<ConnectionId>, Refusal> {
        if existing.is_empty() {
            return Ok(None);
        }
        let connection = ConnectionId::new(named.provider.id.clone(), user.cloned());
        Err(self.auth_required(&named.provider, connection, agent, lack))
    }

    /// Whether `agent` is our own user without a token, where no lasting agent is defined. The other agents are then commands that this
    /// user runs (`nexus run`), and some programs show a token only when asked (git, wget2) or never (Java): those arrive as `local`
    /// with a placeholder of their command.
    pub(super) fn runs_commands(&self, agent: &Arc<Agent>) -> bool {
        Arc::ptr_eq(agent, &self.proxy.local) && !self.proxy.agents.load().defined()
    }

    /// `unregistered = "pass"` forwards what the caller sent, unless a neighbour on the host has a connection: its slots are ours then.
    /// A placeholder, of whichever agent for whichever provider on the host, or for one whose tokens are asked for at the same endpoint,
    /// is never forwarded.
    fn without_credential(&self, named: &Named, inquiry: &Inquiry<'_>, entry: &mut Entry) -> Result<Way, Refusal> {
        let (provider, agent) = (&named.provider, inquiry.agent);
        let neighbours = &named.occupants.providers;
        if !self.passes_unregistered() || self.registered(neighbours)?.is_some() || self.carries_placeholder(named, inquiry)? {
            return Err(self.unregistered(provider, agent, wanted(provider, inquiry)));
        }
        entry.verdict(Verdict::Pass);
        Ok(Way::Unregistered(Arc::clone(provider), wanted(provider, inquiry)))
    }

    /// A placeholder of a provider on the host, or of one whose tokens are asked for where these are.
    fn carries_placeholder(&self, named: &Named, inquiry: &Inquiry<'_>) -> Result<bool, Refusal> {
        let kin = self.proxy.rules.load().kin(&named.provider);
        for provider in named.occupants.providers.iter().chain(&kin) {
            let listed = self.proxy.broker.connections_of(&provider.id).map_err(unreadable)?;
            let known = self.placeholders(inquiry.agent, &provider.id, (&listed.ids, &listed.own));
            if find_in_slots(&|value| known.find(value).cloned(), &named.occupants, inquiry).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One connection at any provider of the host is enough: what goes there is no longer the caller's own affair.
    pub(super) fn strip_only(&self, occupants: Arc<Occupants>) -> Result<Way, Refusal> {
        let pass = self.registered(&occupants.providers)?.is_none() && self.passes_unregistered();
        Ok(if pass { Way::Plain } else { Way::Stripped(occupants) })
    }

    /// A token endpoint is ours alone as soon as we hold a connection there; until then it is a host like others.
    fn token_endpoint(&self, owners: Vec<Arc<Provider>>, inquiry: &Inquiry<'_>) -> Result<Way, Refusal> {
        match self.registered(&owners)?.or(owners.first().filter(|_| !self.passes_unregistered())) {
            // It counts as every path, and is refused for what it is.
            Some(_) if !is_readable(inquiry.arrived.target.path.path()) => Err(Refusal::Policy(Reason::Unclear)),
            Some(holder) => Err(Refusal::TokenEndpoint(holder.title.clone())),
            None => self.check_log_in(&Route::TokenEndpoint(owners), inquiry).map(|()| Way::Plain),
        }
    }

    /// Refuses what could be a log-in whose answer nobody looks at.
    fn check_log_in(&self, route: &Route, inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
        match self.proxy.rules.load().evades_capture(&inquiry.arrived.target, inquiry.agent, route) {
            Some(owner) => Err(Refusal::TokenEndpoint(owner.title.clone())),
            None => Ok(()),
        }
    }

    /// The first of `providers` that has a connection.
    fn registered<'p>(&self, providers: &'p [Arc<Provider>]) -> Result<Option<&'p Arc<Provider>>, Refusal> {
        for provider in providers {
            if !self.proxy.broker.connections_of(&provider.id).map_err(unreadable)?.ids.is_empty() {
                return Ok(Some(provider));
            }
        }
        Ok(None)
    }

    fn passes_unregistered(&self) -> bool {
        self.proxy.rules.load().settings().unregistered == Unregistered::Pass
    }

    /// The refusal that tells why there is no credential.
    pub(super) fn no_permit(
        &self,
        (provider, agent): (&Provider, &Agent),
        connection: &ConnectionId,
        error: broker::Error,
        entry: &mut Entry,
    ) -> Refusal {
        let log = |error: &broker::Error| {
            tracing::warn!(%connection, error = error as &dyn std::error::Error, "no credential for a request");
        };
        let lack = match &error {
            broker::Error::NotRegistered { .. } => Lack::missing(true),
            broker::Error::Pending { connection } => return self.pending(provider, connection, agent),
            broker::Error::AuthRequired { .. } => Lack::dead("The credential has expired and can't be renewed by itself."),
            broker::Error::Refused { .. } => {
                Lack::dead("The service refuses the credential, and it can't be renewed by itself.")
            }
            broker::Error::Ended { status: Status::Revoked, .. } => Lack::revoked(),
            broker::Error::Ended { status, .. } => Lack::dead(ended(*status)),
            broker::Error::MissingFields { .. } => Lack::unfit("The credential lacks a field that this API needs."),
            broker::Error::Unfit { .. } => Lack::unfit("The credential holds a character that no header can carry."),
            broker::Error::Renewal { why, .. } => {
                entry.note(why.word());
                if matches!(why, broker::Why::NotSealed { .. }) {
                    return Refusal::EndpointNotSealed(provider.id.to_string());
                }
                log(&error);
                return Refusal::Renewal(error);
            }
            broker::Error::Vault(_) | broker::Error::Away(_) => return unreadable(error),
        };
        self.auth_required(provider, connection.clone(), agent, lack)
    }
}

fn whose<'a>(inquiry: &'a Inquiry<'_>, version: u64) -> Whose<'a> {
    Whose { agent: &inquiry.agent.label, version: Some(version) }
}

/// The connection of `provider` that the request names.
fn wanted(provider: &Provider, inquiry: &Inquiry<'_>) -> Option<ConnectionId> {
    let wanted: ConnectionId = inquiry.headers.get(NEXUS_CONNECTION)?.to_str().ok()?.parse().ok()?;
    (*wanted.provider() == provider.id).then_some(wanted)
}

/// Why nothing goes with the credential.
fn ended(status: Status) -> &'static str {
    match status {
        Status::Failed => "The consent to this account was denied, or not given in time.",
        _ => "The credential is in a state that only a newer Nexus knows.",
    }
}

/// What a caller wrote where the path holds a credential may be one of its own.
pub(super) fn hide_secrets(named: &Named, target: &Target, entry: &mut Entry) {
    let rules = || named.rules.iter().filter_map(|rule| named.provider.inject.get(*rule));
    for segment in rules().flat_map(InjectRule::secret_segments) {
        entry.secret_segment(segment, target);
    }
    if rules().any(|rule| rule.secret_path) {
        entry.secret_path();
    }
}

/// An agent that is bound to a user has that user's connections, and the default ones where the request names them; others are another's.
pub(super) fn may_use(agent: &Agent, connection: &ConnectionId) -> bool {
    connection.is_open_to(agent.user.as_ref())
}

/// The way with `permit`, if the credential may go where the request does.
fn permitted(permit: broker::Permit, named: Named, inquiry: &Inquiry<'_>, entry: &mut Entry) -> Result<Way, Refusal> {
    if !reaches(&permit, &inquiry.arrived.target) {
        return Err(Refusal::NotSealed(named.provider.id.to_string()));
    }
    entry.verdict(Verdict::Inject);
    if let Some(placement) = permit.provider().inject.get(permit.rule()).and_then(|rule| rule.placements.first()) {
        entry.strategy(placement.word());
    }
    Ok(Way::Permitted(permit, named.occupants))
}

/// The hosts a credential may reach were sealed when it was registered; a rule that was widened since does not widen it.
pub(super) fn reaches(permit: &broker::Permit, target: &Target) -> bool {
    let host = &target.authority.host;
    permit.provider().reaches(permit.rule(), host, permit.hosts(), &|name| permit.field(name))
}

/// What `find` finds in one of the slots of the host's providers.
pub(super) fn find_in_slots<T>(find: &dyn Fn(&[u8]) -> Option<T>, occupants: &Occupants, inquiry: &Inquiry<'_>) -> Option<T> {
    let Inquiry { arrived, headers, .. } = inquiry;
    occupants.slots.iter().find_map(|slot| match slot {
        Slot::Header(name) => headers.get_all(name).iter().find_map(|value| find_in(find, value.as_bytes())),
        Slot::Query(_) => arrived.target.path.query().and_then(|query| find(query.as_bytes())),
        Slot::Cookie(_) => headers.get_all(COOKIE).iter().find_map(|value| find(value.as_bytes())),
        Slot::Path(_) => find(arrived.target.path.path().as_bytes()),
        // The body has not been read yet.
        Slot::Json(_) | Slot::Form(_) => None,
    })
}

/// As it is, or inside `Basic`.
pub(super) fn find_in<T>(find: &dyn Fn(&[u8]) -> Option<T>, value: &[u8]) -> Option<T> {
    use base64::Engine as _;
    if let Some(found) = find(value) {
        return Some(found);
    }
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    find(&zeroize::Zeroizing::new(base64::engine::general_purpose::STANDARD.decode(rest).ok()?))
}

/// The caller learns that there is trouble, the log which.
pub(super) fn unreadable(error: broker::Error) -> Refusal {
    // Whoever keeps up the connection to the gateway has said so once.
    if let broker::Error::Away(_) = error {
        return Refusal::Away(error);
    }
    tracing::error!(error = &error as &dyn std::error::Error, "no credential for any request");
    Refusal::Vault(error)
}
