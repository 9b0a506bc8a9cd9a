//! `Rules`: what is known about every host, indexed so that a decision's cost does not grow with their number.

use std::sync::Arc;

use http::Method;
use smallvec::SmallVec;

use super::answers::{Answering, Answers, behind_first_dot};
use super::candidate::{Candidate, most_specific, rules_of};
use super::minting::mints_in_place;
use super::occupants::Occupants;
use super::own::{Own, Registered, is_at_own_names};
use super::route::{Lead, Named, Numbers, Reason, Route};
use super::settings::{Settings, Unmatched};
use crate::agent::Agent;
use crate::model::{Authority, Host, Map, Scheme, Target};
use crate::policy::{Content, Policy};
use crate::provider::{Catalogue, HostPattern, InjectRule, PathPattern, Provider};

/// A provider by its place, and one of its rules by its number.
type Place = (usize, usize);

/// Those that name one host.
enum Matching<'a> {
    /// As they were indexed.
    Indexed(&'a [Place]),
    /// As they were found.
    Found(SmallVec<[Place; 8]>),
}

impl std::ops::Deref for Matching<'_> {
    type Target = [Place];
    fn deref(&self) -> &[Place] {
        match self {
            Self::Indexed(places) => places,
            Self::Found(places) => places,
        }
    }
}

#[derive(Debug, Default)]
struct HostRules {
    /// In the catalogue's order.
    rules: Vec<Place>,
    /// Of an exact host; a tenant pattern's hosts may have different ones.
    occupants: Option<Arc<Occupants>>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Rules")
            .field("settings", &self.settings)
            .field("providers", &self.providers.len())
            .finish_non_exhaustive()
    }
}

/// One moment's rules; swapped whole when a file changes.
pub(crate) struct Rules {
    settings: Settings,
    /// Providers whose hosts only connections know, and what asks for them.
    own: Own,
    providers: Vec<Arc<Provider>>,
    /// Each provider by itself, for the many hosts that have only one.
    alone: Vec<Arc<Occupants>>,
    exact: Map<Host, HostRules>,
    /// What stands behind the label that a tenant pattern, or the last `*` of another, leaves open.
    tenants: Map<Box<str>, HostRules>,
    token_endpoints: Map<Host, Vec<(usize, PathPattern)>>,
    /// Where we may answer who asks for a token.
    answers: Answers,
    /// Where we may answer who ends one, or asks what it is good for.
    about_tokens: Answers,
    /// Sorted, as those below: nearly always there are two or three.
    ports: Vec<u16>,
    /// 443 and those of the providers' rules.
    tls_ports: Vec<u16>,
    /// What people wrote.
    pub(super) policy: Policy,
}

impl Rules {
    /// With hosts that only connections know. `registered` is asked where no file names a host.
    pub(crate) fn with_registered(mut self, registered: Arc<Registered>) -> Self {
        self.own.ask(registered);
        self
    }

    /// Indexes `catalogue`.
    pub(crate) fn compile(catalogue: &Catalogue, settings: Settings) -> Self {
        let providers: Vec<Arc<Provider>> = catalogue.iter().map(Arc::clone).collect();
        let ports = settings.connect_ports.iter().copied().chain([80, 443]).collect();
        let mut rules = Self {
            settings,
            own: Own::default(),
            alone: providers.iter().map(|provider| Arc::new(Occupants::new(vec![Arc::clone(provider)]))).collect(),
            providers,
            exact: Map::default(),
            tenants: Map::default(),
            token_endpoints: Map::default(),
            answers: Answers::default(),
            about_tokens: Answers::default(),
            ports,
            tls_ports: vec![443],
            policy: Policy::default(),
        };
        for index in 0..rules.providers.len() {
            rules.add(index);
        }
        rules.complete();
        for ports in [&mut rules.ports, &mut rules.tls_ports] {
            ports.sort_unstable();
            ports.dedup();
        }
        rules
    }

    /// What a tenant pattern says holds for a host that another rule spells out, too.
    fn complete(&mut self) {
        let mut exact = std::mem::take(&mut self.exact);
        for (host, entry) in &mut exact {
            entry.rules.extend(self.tenant_rules(host));
            entry.rules.sort_unstable();
            entry.rules.dedup();
            entry.occupants = self.occupants(&entry.rules);
        }
        self.exact = exact;
    }

    fn add(&mut self, index: usize) {
        let Some(provider) = self.providers.get(index).map(Arc::clone) else { return };
        for (number, rule) in provider.inject.iter().enumerate() {
            self.ports.push(rule.port);
            self.tls_ports.push(rule.port);
            for pattern in &rule.hosts {
                let entry = match pattern {
                    HostPattern::Own { .. } => {
                        self.own.add(provider.id.clone(), index);
                        continue;
                    }
                    HostPattern::Exact(host) => self.exact.entry(host.clone()).or_default(),
                    HostPattern::Tenant { after, .. } => self.tenants.entry(behind_first_dot(after).into()).or_default(),
                    HostPattern::Below(below) => self.tenants.entry(below.ending().into()).or_default(),
                };
                entry.rules.push((index, number));
            }
        }
        for (number, response) in provider.token_responses.iter().enumerate() {
            self.answers.add(index, number, response.at.iter());
        }
        for (number, about) in provider.about_tokens.iter().enumerate() {
            self.about_tokens.add(index, number, about.endpoints());
        }
        for url in provider.token_endpoints() {
            if let Some((host, path)) = host_and_path(url) {
                self.token_endpoints.entry(host).or_default().push((index, path));
            }
        }
    }

    pub(crate) fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// What was told besides the catalogue.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether a CONNECT may name `port`.
    pub(super) fn is_connect_port(&self, port: u16) -> bool {
        self.ports.binary_search(&port).is_ok()
    }

    /// Where the catalogue leads a request.
    pub(super) fn route(&self, target: &Target, agent: &Agent, content: &Content<'_>) -> Lead {
        let host = &target.authority.host;
        if !agent.may_reach(host) {
            return Route::Refuse(Reason::Agent).into();
        }
        if !self.may_name_port(target.scheme, target.authority.port) {
            return Route::Refuse(Reason::ConnectPort).into();
        }
        let owners = self.token_endpoint(target);
        if !owners.is_empty() {
            let theirs = owners.iter().any(|owner| agent.may_use(&owner.id));
            return if theirs { Route::TokenEndpoint(owners) } else { Route::Refuse(Reason::Agent) }.into();
        }
        let (matching, occupants) = self.matching(host);
        let Some(occupants) = occupants.or_else(|| self.occupants(&matching)) else {
            let stranger = !self.token_endpoints.contains_key(host);
            let shut = !self.settings.allow || (stranger && self.settings.unmatched == Unmatched::Refuse);
            return Lead { shut: shut.then_some(Reason::Unmatched), ..Route::Pass.into() };
        };
        let mut by_body = false;
        let route = self.route_known((target, content, &mut by_body), agent, &matching, occupants);
        let shut = (matches!(route, Route::Strip(_)) && !self.settings.allow).then_some(Reason::Path);
        Lead { route, shut, by_body }
    }

    /// The providers whose rules name `host`, or whose token endpoint is there.
    pub(super) fn occupants_of(&self, host: &Host) -> Vec<Arc<Provider>> {
        let (matching, _occupants) = self.matching(host);
        let ending = self.token_endpoints.get(host).into_iter().flatten().map(|(place, _path)| *place);
        let places = matching.iter().map(|(place, _rule)| *place).chain(ending);
        places.filter_map(|place| self.providers.get(place).map(Arc::clone)).collect()
    }

    /// The token responses that `agent` may get for a request which `route` was decided for, in the catalogue's order: those of providers
    /// that it may use, where the request goes to their endpoint. None for what a rule injects, or refuses for whose, where or how it is.
    /// Which of them have a connection, and whether the body asks for a token that a program gets by itself, is not a rule's to say.
    pub(crate) fn token_responses(&self, target: &Target, agent: &Agent, route: &Route) -> Vec<Answering> {
        let (Authority { host, port }, path) = (&target.authority, target.path.path());
        if !route.may_be_answered() || target.method != Method::POST || target.scheme != Scheme::Https || *port != 443 {
            return Vec::new();
        }
        let usable = self.answering(host).filter(|(provider, _)| agent.may_use(&provider.id));
        let here = |(provider, number): &Answering| {
            provider.token_responses.get(*number).is_some_and(|response| response.at.iter().any(|at| at.takes(host, path)))
        };
        usable.filter(here).collect()
    }

    /// The providers with an endpoint at `host` that `agent` may use; one may come twice.
    pub(super) fn usable_at(&self, host: &Host, agent: &Agent) -> impl Iterator<Item = Arc<Provider>> {
        self.answering(host).map(|(provider, _number)| provider).filter(|provider| agent.may_use(&provider.id))
    }

    /// What `agent` may be answered that ends a token, or asks about one, by a request which `route` was decided for: as for token
    /// responses. Whether the token is a placeholder is not a rule's to say.
    pub(crate) fn about_tokens(&self, target: &Target, agent: &Agent, route: &Route) -> Vec<Answering> {
        let (Authority { host, port }, method) = (&target.authority, &target.method);
        // What is no provider's and fetches something without a query is nearly all that comes here.
        let plain = *method == Method::GET && target.path.query().is_none() && !matches!(route, Route::Refuse(_));
        if plain || !route.may_be_answered() || target.scheme != Scheme::Https || *port != 443 {
            return Vec::new();
        }
        let about = self.about(host).filter(|(provider, _)| agent.may_use(&provider.id));
        let here = |(provider, number): &Answering| {
            provider.about_tokens.get(*number).is_some_and(|about| about.takes(method, host, target.path.path()))
        };
        about.filter(here).collect()
    }

    fn about(&self, host: &Host) -> impl Iterator<Item = Answering> {
        self.providers_of(self.about_tokens.at(host))
    }

    fn providers_of(&self, places: SmallVec<[Place; 8]>) -> impl Iterator<Item = Answering> {
        places.into_iter().filter_map(|(index, number)| Some((Arc::clone(self.providers.get(index)?), number)))
    }

    /// Whether some request of `agent` to `host` may be answered by Nexus itself.
    pub(super) fn may_answer(&self, host: &Host, agent: &Agent) -> bool {
        let here = |(provider, number): &Answering| {
            provider.token_responses.get(*number).is_some_and(|response| response.at.iter().any(|at| at.host.matches(host)))
        };
        let about = |(provider, number): &Answering| {
            let about = provider.about_tokens.get(*number);
            about.is_some_and(|about| about.endpoints().any(|at| at.host.matches(host)))
        };
        self.answering(host).any(|answering| agent.may_use(&answering.0.id) && here(&answering))
            || self.about(host).any(|answering| agent.may_use(&answering.0.id) && about(&answering))
    }

    fn answering(&self, host: &Host) -> impl Iterator<Item = Answering> {
        self.providers_of(self.answers.at(host))
    }

    /// Whether what goes to `host` leads to the service as a rule: a connection to it is worth dialling ahead.
    pub(crate) fn leads_there(&self, host: &Host) -> bool {
        self.answers.at(host).is_empty() || !self.matching(host).0.is_empty()
    }

    /// Providers whose tokens are asked for where those of `provider` are, this one aside: a token that a program got there may turn up
    /// at the hosts of any of them.
    pub(crate) fn kin(&self, provider: &Provider) -> Vec<Arc<Provider>> {
        let mut kin: Vec<Arc<Provider>> = Vec::new();
        let endpoints = provider.token_responses.iter().flat_map(|response| &response.at);
        for endpoint in endpoints {
            let HostPattern::Exact(host) = &endpoint.host else { continue };
            for (other, number) in self.answering(host) {
                let shared =
                    other.token_responses.get(number).is_some_and(|response| response.at.iter().any(|at| at.is_at(endpoint)));
                if shared && other.id != provider.id && kin.iter().all(|known| known.id != other.id) {
                    kin.push(other);
                }
            }
        }
        kin
    }

    /// Whether a shut tunnel to `port` takes any bytes: cleartext HTTP's, and those that the operator lists and that are nobody's for
    /// TLS. What goes to a TLS port is TLS, listed or not.
    pub(crate) fn takes_any_bytes(&self, port: u16) -> bool {
        port == 80 || (self.settings.connect_ports.contains(&port) && self.tls_ports.binary_search(&port).is_err())
    }

    /// TLS goes to the ports that CONNECT may name; cleartext also to those that no well-known protocol of another kind has, so that
    /// a request's body is nobody's mail (threat 93).
    fn may_name_port(&self, scheme: Scheme, port: u16) -> bool {
        self.ports.binary_search(&port).is_ok() || (scheme == Scheme::Http && port >= 1024)
    }

    fn route_known(
        &self,
        (target, content, by_body): (&Target, &Content<'_>, &mut bool),
        agent: &Agent,
        matching: &[Place],
        occupants: Arc<Occupants>,
    ) -> Route {
        if target.scheme == Scheme::Http {
            return Route::Refuse(Reason::Cleartext);
        }
        let rules = matching.iter().filter_map(|place| self.rule(*place));
        let at_port: SmallVec<[Candidate<'_>; 8]> = rules.filter(|(_, _, rule)| rule.port == target.authority.port).collect();
        if at_port.is_empty() {
            return Route::Refuse(Reason::Port);
        }
        let (host, path) = (&target.authority.host, target.path.path());
        let query = target.path.query();
        if at_port.iter().any(|(_, _, rule)| rule.mints(&target.method, target.path.as_str()) || rule.mints_by_query(query)) {
            return self.minting((target, content), agent, &at_port, occupants);
        }
        if mints_in_place(target, content, &at_port, by_body) {
            return Route::Refuse(Reason::Mint);
        }
        let Some(provider) = most_specific(&at_port, host, path) else {
            let shut = at_port.iter().any(|(_, _, rule)| rule.refuse_other_paths);
            let theirs = at_port.iter().any(|(provider, _, _)| agent.may_use(&provider.id));
            return match (theirs, shut) {
                (false, _) => Route::Refuse(Reason::Agent),
                (true, true) => Route::Refuse(Reason::Path),
                (true, false) => Route::Strip(occupants),
            };
        };
        let beside = self.beside(provider, &at_port, agent, path);
        if !agent.may_use(&provider.id) {
            let mut beside = beside.into_iter();
            return match beside.next() {
                Some((provider, rules)) => Route::Inject(Named { provider, rules, occupants, beside: beside.collect() }),
                None => Route::Refuse(Reason::Agent),
            };
        }
        Route::Inject(Named { provider: Arc::clone(provider), rules: rules_of(provider, &at_port, path), occupants, beside })
    }

    /// The other providers that the place is shared with, and that `agent` may use.
    fn beside(
        &self,
        provider: &Arc<Provider>,
        at_port: &[Candidate<'_>],
        agent: &Agent,
        path: &str,
    ) -> Vec<(Arc<Provider>, Numbers)> {
        let shares = |other: &Provider| provider.beside.contains(&other.id) || other.beside.contains(&provider.id);
        let mut found: Vec<(Arc<Provider>, Numbers)> = Vec::new();
        for (other, _, rule) in at_port {
            let new = other.id != provider.id && shares(other) && found.iter().all(|(known, _)| known.id != other.id);
            if new && agent.may_use(&other.id) && rule.path_specificity(path).is_some() {
                found.push((Arc::clone(other), rules_of(other, at_port, path)));
            }
        }
        found
    }

    fn rule(&self, (provider, number): Place) -> Option<(&Arc<Provider>, usize, &InjectRule)> {
        let provider = self.providers.get(provider)?;
        provider.inject.get(number).map(|rule| (provider, number, rule))
    }

    /// Every rule whose host pattern names `host`, and its providers where they are known beforehand.
    fn matching(&self, host: &Host) -> (Matching<'_>, Option<Arc<Occupants>>) {
        match self.exact.get(host) {
            Some(entry) => (Matching::Indexed(&entry.rules), entry.occupants.as_ref().map(Arc::clone)),
            None => {
                let mut rules = self.tenant_rules(host);
                if rules.is_empty() {
                    rules = self.own_rules(host);
                }
                (Matching::Found(rules), None)
            }
        }
    }

    /// Those of services that a connection was registered for at this host.
    fn own_rules(&self, host: &Host) -> SmallVec<[Place; 8]> {
        let mut rules = SmallVec::new();
        for index in self.own.at(host) {
            let inject = self.providers.get(index).map(|provider| provider.inject.as_slice()).unwrap_or_default();
            rules
                .extend(inject.iter().enumerate().filter(|(_, rule)| is_at_own_names(rule)).map(|(number, _)| (index, number)));
        }
        rules.sort_unstable();
        rules
    }

    /// Those of them that name it with a tenant.
    fn tenant_rules(&self, host: &Host) -> SmallVec<[Place; 8]> {
        // The tenant may be any label but the last ones; its rules are found by what stands behind it.
        let Some(name) = host.name() else { return SmallVec::new() };
        let behind = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        let tenants = behind.filter_map(|behind| self.tenants.get(behind));
        let tenant = |pattern: &HostPattern| !matches!(pattern, HostPattern::Exact(_)) && pattern.matches(host);
        let names = |place: &&Place| self.rule(**place).is_some_and(|(_, _, rule)| rule.hosts.iter().any(tenant));
        let mut rules: SmallVec<[Place; 8]> = tenants.flat_map(|tenants| &tenants.rules).filter(names).copied().collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// The providers of `rules`; `None` where there are none.
    fn occupants(&self, rules: &[Place]) -> Option<Arc<Occupants>> {
        let (first, _) = *rules.first()?;
        if rules.iter().all(|(provider, _)| *provider == first) {
            return self.alone.get(first).map(Arc::clone);
        }
        let mut places: Vec<usize> = rules.iter().map(|(provider, _)| *provider).collect();
        places.dedup();
        let providers = places.iter().filter_map(|place| self.providers.get(*place).map(Arc::clone));
        Some(Arc::new(Occupants::new(providers.collect())))
    }

    /// Whether a provider names `host`: requests to it are decided one by one.
    pub(crate) fn knows(&self, host: &Host) -> bool {
        self.token_endpoints.contains_key(host) || !self.matching(host).0.is_empty()
    }

    /// Those whose endpoint it is, and those that they stand beside: the place is the others' too, and as shut for them. Any reading of
    /// the path counts: it is a refusal.
    fn token_endpoint(&self, target: &Target) -> Vec<Arc<Provider>> {
        let Some(endpoints) = self.token_endpoints.get(&target.authority.host) else { return Vec::new() };
        let meant = endpoints.iter().filter(|(_, path)| path.matches_any_reading(target.path.path()));
        let mut owners: Vec<Arc<Provider>> =
            meant.filter_map(|(index, _)| self.providers.get(*index).map(Arc::clone)).collect();
        let beside = |other: &&Arc<Provider>| owners.iter().any(|owner| owner.beside.contains(&other.id));
        let others: Vec<Arc<Provider>> = self.providers.iter().filter(beside).map(Arc::clone).collect();
        owners.extend(others);
        owners
    }
}

/// The endpoint's host, and its path as a pattern. What stands for a field of the connection, or has more than one spelling, is any
/// segment.
fn host_and_path(url: &str) -> Option<(Host, PathPattern)> {
    let rest = url.strip_prefix("https://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let authority = Authority::parse(authority, Some(443)).ok()?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let plain = |segment: &&str| format!("/{segment}").parse::<PathPattern>().is_ok();
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments: Vec<&str> = segments.map(|segment| Some(segment).filter(plain).unwrap_or("*")).collect();
    Some((authority.host, format!("/{}", segments.join("/")).parse().ok()?))
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
