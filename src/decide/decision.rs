//! `decide`: what the catalogue says of a request and what the rules say of it, as one. Pure, the same for whoever asks.

use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;

use super::route::{Connect, ConnectRefusal, Lead, Reason, Route};
use super::settings::Unmatched;
use super::snapshot::Rules;
use crate::agent::Agent;
use crate::model::{Authority, Fit, Host, Inside, Preset, ProviderId, Target};
use crate::policy::{Asked, Content, Doorway, Few, Policy, Question, Rule, Ruling};
use crate::provider::Provider;

/// A request as far as a decision looks at it.
pub(crate) struct Asking<'a> {
    pub(crate) target: &'a Target,
    pub(crate) agent: &'a Agent,
    pub(crate) content: Content<'a>,
    /// What follows it is another protocol's.
    pub(crate) upgrade: bool,
    pub(crate) now: SystemTime,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) struct Decision {
    /// Where it leads.
    pub(crate) route: Route,
    /// What the rules say: a refusal is the route's already, limits and looks are still to be obeyed.
    pub(crate) ruling: Ruling,
    /// By another method the answer may hold a new credential, and the body, which was not read, may name one.
    pub(crate) by_body: bool,
    /// Whose it would have been, where it may end before its provider is asked for a credential.
    pub(crate) owner: Option<Arc<Provider>>,
}

/// What becomes of a CONNECT.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) connect: Connect,
    /// The rule that says so.
    pub(crate) rule: Option<Arc<Rule>>,
    /// Rules that only report, and would have refused it.
    pub(crate) reports: Few,
    /// A person may be asked about a request inside, which then waits without a connection to the service.
    pub(crate) asks: bool,
}

/// Providers whose place something is, or may be.
type Owners<'o> = SmallVec<[(&'o ProviderId, Fit); 4]>;

impl Rules {
    /// With the rules that people wrote.
    pub(crate) fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The rules that people wrote.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decides one request.
    pub(crate) fn decide(&self, asking: &Asking<'_>) -> Decision {
        let Asking { target, agent, .. } = asking;
        let Lead { route, shut, by_body } = self.route(target, agent, &asking.content);
        if self.policy.is_empty() || matches!(route, Route::Refuse(_)) {
            return Decision { route: shut.map_or(route, Route::Refuse), ruling: Ruling::default(), by_body, owner: None };
        }
        let ruling = self.judge(asking, &route);
        let owner = if shut.is_some() || ruling.may_stop() { first_owner(&route) } else { None };
        let route = match shut {
            _ if ruling.denied.is_some() => Route::Refuse(Reason::Rule),
            _ if ruling.unruled => Route::Refuse(Reason::Unruled),
            Some(reason) if ruling.allowed.is_none() => Route::Refuse(reason),
            _ => route,
        };
        Decision { route, ruling, by_body, owner }
    }

    fn judge(&self, asking: &Asking<'_>, route: &Route) -> Ruling {
        let Asking { target, agent, content, upgrade, now } = asking;
        let Authority { host, port } = &target.authority;
        let answering = self.token_responses(target, agent, route);
        let answered = answering.iter().map(|(provider, _number)| provider);
        let owners = owners(route, answered.clone());
        let question =
            Question { agent: &agent.name, user: agent.user.as_ref(), host, port: *port, owners: &owners, now: *now };
        let asked = Asked::new(target.method.as_str(), &target.path, *content, *upgrade);
        let presets = |id: &ProviderId, preset: Preset, asked: &Asked<'_>| {
            // Who asks for a token changes nothing there, and gets none of worth.
            if matches!(route, Route::TokenEndpoint(_)) || answered.clone().any(|provider| provider.id == *id) {
                return Inside::Yes;
            }
            let path = asked.target.path();
            self.provider(id).map_or(Inside::No, |own| own.presets.inside(preset, asked.methods(), path, asked.upgrade))
        };
        self.policy.judge(&question, &asked, &presets)
    }

    fn provider(&self, id: &ProviderId) -> Option<&Arc<Provider>> {
        // They come in the catalogue's order, which is that of their names.
        let at = self.providers().binary_search_by(|provider| provider.id.cmp(id)).ok()?;
        self.providers().get(at)
    }

    /// Decides a CONNECT, before anything is dialled or even resolved.
    pub(crate) fn decide_connect(&self, authority: &Authority, agent: &Agent, now: SystemTime) -> Passage {
        let refuse = |reason, rule| Connect::Refuse(ConnectRefusal { reason, rule });
        let Authority { host, port } = authority;
        let hard = match () {
            () if !agent.may_reach(host) => Some(Reason::Agent),
            () if !self.is_connect_port(*port) => Some(Reason::ConnectPort),
            () => None,
        };
        if let Some(reason) = hard {
            return Passage { connect: refuse(reason, None), rule: None, reports: Few::new(), asks: false };
        }
        let (doorway, reports, asks) = self.judge_connect(authority, agent, now);
        let rule = match &doorway {
            Doorway::Shut(rule) | Doorway::Open(rule) => rule.clone(),
            Doorway::Watched => None,
        };
        let known = || self.knows(host) || self.may_answer(host, agent);
        let settings = self.settings();
        let connect = match (doorway, settings.unmatched) {
            (Doorway::Shut(Some(rule)), _) => refuse(Reason::Rule, Some(rule)),
            (Doorway::Shut(None), _) => refuse(Reason::Unruled, None),
            (Doorway::Watched, _) => Connect::Intercept,
            (Doorway::Open(_), _) if known() => Connect::Intercept,
            (Doorway::Open(None), _) if !settings.allow => refuse(Reason::Unmatched, None),
            (Doorway::Open(None), Unmatched::Refuse) => refuse(Reason::Unmatched, None),
            (Doorway::Open(_), Unmatched::Intercept) => Connect::Intercept,
            (Doorway::Open(_), Unmatched::Tunnel | Unmatched::Refuse) => Connect::Tunnel,
        };
        Passage { connect, rule, reports, asks }
    }

    fn judge_connect(&self, authority: &Authority, agent: &Agent, now: SystemTime) -> (Doorway, Few, bool) {
        if self.policy.is_empty() {
            return (Doorway::Open(None), Few::new(), false);
        }
        let Authority { host, port } = authority;
        let providers = self.providers_at(host, agent);
        let owners: Owners<'_> = providers.iter().map(|provider| (&provider.id, Fit::Maybe)).collect();
        let question = Question { agent: &agent.name, user: agent.user.as_ref(), host, port: *port, owners: &owners, now };
        let (doorway, reports) = self.policy.judge_connect(&question);
        (doorway, reports, self.policy.may_ask(&question))
    }

    /// Every provider that has something at `host`; one may come twice.
    fn providers_at(&self, host: &Host, agent: &Agent) -> Vec<Arc<Provider>> {
        let mut all = self.occupants_of(host);
        all.extend(self.usable_at(host, agent));
        all
    }
}

/// Whose credential `route` is about, of several the one that serves most.
#[cold]
fn first_owner(route: &Route) -> Option<Arc<Provider>> {
    match route {
        Route::Inject(named) => Some(Arc::clone(&named.provider)),
        Route::Mint(minting) => Some(Arc::clone(&minting.named.provider)),
        Route::TokenEndpoint(owners) => owners.first().map(Arc::clone),
        Route::Strip(occupants) => occupants.providers.first().map(Arc::clone),
        Route::Pass | Route::Refuse(_) => None,
    }
}

/// Whose place `route` was decided for. A place that several may serve is each one's; what no rule of a file names may be, and may not.
fn owners<'o>(route: &'o Route, answering: impl Iterator<Item = &'o Arc<Provider>>) -> Owners<'o> {
    let with = |fit: Fit| move |provider: &'o Arc<Provider>| (&provider.id, fit);
    let mut owners: Owners<'o> = match route {
        Route::Inject(named) => {
            let beside = named.beside.iter().map(|(provider, _rules)| provider);
            std::iter::once(&named.provider).chain(beside).map(with(Fit::Yes)).collect()
        }
        Route::Mint(minting) => SmallVec::from_iter([(&minting.named.provider.id, Fit::Yes)]),
        Route::TokenEndpoint(owners) => owners.iter().map(with(Fit::Yes)).collect(),
        Route::Strip(occupants) => occupants.providers.iter().map(with(Fit::Maybe)).collect(),
        Route::Pass | Route::Refuse(_) => Owners::new(),
    };
    owners.extend(answering.map(with(Fit::Yes)));
    owners
}

#[cfg(test)]
impl Rules {
    /// Where a request without a body leads at the beginning of 1970.
    pub(super) fn decided(&self, target: &Target, agent: &Agent) -> Route {
        let content = Content { length: Some(0), ..Content::default() };
        self.decide(&Asking { target, agent, content, upgrade: false, now: SystemTime::UNIX_EPOCH }).route
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
