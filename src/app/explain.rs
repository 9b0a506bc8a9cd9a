//! `nexus explain`: what the proxy would do with a request, by the very functions that decide it. Nothing is sent.

use std::sync::Arc;
use std::time::SystemTime;

use http::{Method, Uri};
use serde::Serialize;

use super::config::Config;
use super::home::{Home, HomeError};
use super::parts::{self, BuildError};
use super::sealed::{placed, to_be_fetched};
use crate::agent::Agent;
use crate::decide::{Answering, Connect, Named, Occupants, Reason, Route, Rules, Unmatched, Unregistered};
use crate::model::{AgentName, Authority, AuthorityError, ConnectionId, Host, Scheme, Target};
use crate::provider::{Catalogue, InjectRule, Provider, prepare};
use crate::proxy::{self, Foreseen};
use crate::upstream;
use crate::vault::{self, Entry, Status, Store};

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// Not `http://` or `https://` with a host.
    #[error("{0:?} is not a URL; write it as https://api.github.com/user")]
    Url(String),
    /// The host or port of the URL.
    #[error("the host of the URL is not valid")]
    Authority(#[from] AuthorityError),
    /// Not a method.
    #[error("{0:?} is not a method such as GET")]
    Method(String),
    /// Nobody of that name, or one whose time is up.
    #[error("there is no agent called {0}, or it has expired")]
    NoSuchAgent(AgentName),
    /// The files of agents.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// `upstream.resolve`.
    #[error(transparent)]
    Config(#[from] BuildError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

/// What becomes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The credential goes on.
    Inject,
    /// It goes on as the caller sent it.
    Pass,
    /// Its bytes go on unseen.
    Tunnel,
    /// It goes on without any credential.
    Strip,
    /// It is refused: by rule, by method or by address.
    Refuse,
    /// It is refused until a credential is registered.
    AuthRequired,
    /// It is answered with a page of the proxy's own.
    OwnPage,
    /// It is answered with worthless tokens, if it asks for some that a program gets by itself.
    Answer,
}

/// The rule that matched.
#[derive(Debug, Clone, Serialize)]
pub struct MatchedRule {
    /// Its place among the provider's `[[inject]]` tables, from 1.
    pub number: usize,
    /// Its host patterns.
    pub hosts: Vec<String>,
    /// Its path patterns; empty = every path.
    pub paths: Vec<String>,
}

impl MatchedRule {
    fn of(number: usize, rule: &InjectRule) -> Self {
        let hosts = rule.hosts.iter().map(ToString::to_string).collect();
        Self { number: number + 1, hosts, paths: rule.paths.iter().map(ToString::to_string).collect() }
    }
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The method that was asked about.
    pub method: String,
    /// The URL, normalised.
    pub url: String,
    /// For whom.
    pub agent: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What becomes of the CONNECT before it: `tunnel`, `intercept` or `refuse`; none for `http://`.
    pub connect: Option<&'static str>,
    /// Whose host it is.
    pub provider: Option<String>,
    /// The rule that matched.
    pub rule: Option<MatchedRule>,
    /// The account whose credential is used.
    pub connection: Option<String>,
    /// How it goes on: `bearer`, `basic`, `header`, `query`, `cookie`.
    pub strategy: Vec<&'static str>,
    /// The same, written out with the names of fields.
    pub placements: Vec<String>,
    /// What is taken out of the request before that: every slot of every provider on this host.
    pub strips: Vec<String>,
    /// Why.
    pub why: String,
    /// The next command to type, where one would help.
    pub command: Option<String>,
}

/// Explains what happens to `method url` of `agent`; without one of a caller that no limit is set for.
///
/// # Errors
/// As [`ExplainError`] says.
pub fn explain(
    home: &Home,
    config: &Config,
    store: &Store,
    agent: Option<&AgentName>,
    (method, url): (&str, &str),
) -> Result<Explanation, ExplainError> {
    let registry = parts::agents(home, &[])?;
    let agent = match agent {
        Some(name) => registry.by_name(name, SystemTime::now()).ok_or_else(|| ExplainError::NoSuchAgent(name.clone()))?,
        None => Arc::new(Agent::local().ok_or_else(|| ExplainError::Url(url.to_owned()))?),
    };
    let (catalogue, _mistakes) = Catalogue::with_user_folder(&home.providers());
    let vault = store.snapshot()?;
    let registered = Arc::new(move |host: &Host| vault.sealed_with(&host.to_string()).to_vec());
    let rules = parts::rules(&catalogue, config, &registry, registered);
    let target = target(method, url)?;
    let own = proxy::is_own(&target.authority);
    let decide = || if own { Connect::Intercept } else { rules.decide_connect(&target.authority, &agent) };
    let connect = (target.scheme == Scheme::Https).then(decide);
    let case = Case { rules: &rules, store, agent: &agent, target: &target };
    let mut answer = match &connect {
        Some(Connect::Refuse(refusal)) => case.refused(refusal.0),
        Some(Connect::Tunnel) => case.tunnelled(),
        Some(Connect::Intercept) | None => case.opened()?,
    };
    answer.connect = connect.map(|connect| match connect {
        Connect::Tunnel => "tunnel",
        Connect::Intercept => "intercept",
        Connect::Refuse(_) => "refuse",
    });
    dialled(answer, &target.authority, config)
}

/// The answer once the address that would be dialled has been looked at, as far as it is known.
fn dialled(answer: Explanation, authority: &Authority, config: &Config) -> Result<Explanation, ExplainError> {
    if !matches!(answer.outcome, Outcome::Inject | Outcome::Pass | Outcome::Strip | Outcome::Tunnel) {
        return Ok(answer);
    }
    let (proxy, upstream) = (&config.proxy, &config.upstream);
    let own: Vec<_> = proxy.listen.iter().chain(proxy.agent_listen.values()).chain([&config.gateway.listen]).copied().collect();
    let policy = upstream::Policy {
        allow_private: &upstream.allow_private,
        resolve: &parts::overrides(upstream)?,
        own: &own,
        parent: upstream.proxy.is_some(),
    };
    Ok(match proxy::before_dialling(&policy, authority) {
        Some(Foreseen::Refused(why)) => {
            // A CONNECT that only turns out to lead nowhere is refused like one by rule: accepted, and the request inside is told.
            let connect = answer.connect.map(|connect| if connect == "tunnel" { "refuse" } else { connect });
            Explanation { outcome: Outcome::Refuse, connect, why, command: None, ..answer }
        }
        Some(Foreseen::OwnPage) | None => answer,
    })
}

/// `https://HOST[:PORT][/PATH]`; a host alone means `https://`, and a WebSocket begins as a request (RFC 6455 §4.1).
fn target(method: &str, url: &str) -> Result<Target, ExplainError> {
    let bad = || ExplainError::Url(url.to_owned());
    let whole = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let whole = whole.split('#').next().unwrap_or_default();
    let uri: Uri = whole.parse().map_err(|_malformed: http::uri::InvalidUri| bad())?;
    let scheme = match uri.scheme_str() {
        Some("https" | "wss") => Scheme::Https,
        Some("http" | "ws") => Scheme::Http,
        _ => return Err(bad()),
    };
    let authority = uri.authority().ok_or_else(bad)?;
    let authority = Authority::parse(authority.as_str(), Some(scheme.default_port()))?;
    let path = uri.path_and_query().cloned().ok_or_else(bad)?;
    let upper = method.to_ascii_uppercase();
    let method = Method::from_bytes(upper.as_bytes()).map_err(|_malformed| ExplainError::Method(method.to_owned()))?;
    Ok(Target { scheme, authority, method, path })
}

struct Case<'a> {
    rules: &'a Rules,
    store: &'a Store,
    agent: &'a Agent,
    target: &'a Target,
}

impl Case<'_> {
    fn answer(&self, outcome: Outcome, why: String) -> Explanation {
        let Target { scheme, authority, method, path } = self.target;
        let port = if authority.port == scheme.default_port() { String::new() } else { format!(":{}", authority.port) };
        Explanation {
            method: method.to_string(),
            url: format!("{}://{}{port}{path}", scheme.as_str(), authority.host),
            agent: self.agent.name.to_string(),
            outcome,
            connect: None,
            provider: None,
            rule: None,
            connection: None,
            strategy: Vec::new(),
            placements: Vec::new(),
            strips: Vec::new(),
            why,
            command: None,
        }
    }

    fn refused(&self, reason: Reason) -> Explanation {
        self.answer(Outcome::Refuse, format!("refused by rule ({}): {}", reason.word(), reason.advice()))
    }

    /// Nothing of the request is seen, its method neither.
    fn tunnelled(&self) -> Explanation {
        let later = match self.target.authority.host {
            Host::Name(_) => "; its address is checked when it is dialled",
            Host::Ip(_) => "",
        };
        self.answer(Outcome::Tunnel, format!("no provider names this host, so its TLS is left shut{later}"))
    }

    /// A request that the proxy reads.
    fn opened(&self) -> Result<Explanation, ExplainError> {
        match proxy::before_rules(self.target) {
            Some(Foreseen::OwnPage) => Ok(self.answer(Outcome::OwnPage, "the proxy answers this name itself".to_owned())),
            Some(Foreseen::Refused(why)) => Ok(self.answer(Outcome::Refuse, why)),
            None => {
                let route = self.rules.decide(self.target, self.agent);
                let answering = self.rules.token_responses(self.target, self.agent, &route);
                let otherwise = self.routed(route)?;
                Ok(self.answered(&answering, &otherwise)?.unwrap_or(otherwise))
            }
        }
    }

    /// A token endpoint where this agent has a connection behind it. What else is asked there is as it would be without.
    fn answered(&self, answering: &[Answering], otherwise: &Explanation) -> Result<Option<Explanation>, ExplainError> {
        let host = &self.target.authority.host;
        for (provider, number) in answering {
            let Some(response) = provider.token_responses.get(*number) else { continue };
            let mut bound = self.existing(provider)?;
            bound.retain(|id| id.is_open_to(self.agent.user.as_ref()));
            let entries = bound.iter().map(|id| self.store.get(id)).collect::<Result<Vec<_>, _>>()?;
            let fits = |entry: &Arc<Entry>| response.is_bound(host, &|name| entry.fields.field(name));
            let fitting = bound.into_iter().zip(entries).filter(|(_, entry)| entry.as_ref().is_some_and(fits));
            let fitting: Vec<ConnectionId> = fitting.map(|(id, _)| id).collect();
            let Some(connection) = ConnectionId::preferred(&fitting, self.agent.user.as_ref()) else { continue };
            let why = format!(
                "a program that asks here for a token of its own gets a placeholder for {connection} from nexus, and nothing leaves; of a \
                 person's log-in: {}",
                otherwise.why
            );
            let answer = self.answer(Outcome::Answer, why).of(provider);
            return Ok(Some(Explanation { connection: Some(connection.to_string()), ..answer }));
        }
        Ok(None)
    }

    fn routed(&self, route: Route) -> Result<Explanation, ExplainError> {
        let settings = self.rules.settings();
        Ok(match route {
            Route::Refuse(reason) => self.refused(reason),
            Route::Pass if settings.unmatched == Unmatched::Intercept => {
                self.answer(Outcome::Pass, "no provider names this host; it is intercepted, and nothing is injected".to_owned())
            }
            Route::Pass => self.answer(Outcome::Pass, "no provider names this host".to_owned()),
            Route::Strip(occupants) => self.stripped(&occupants)?,
            Route::TokenEndpoint(owners) => self.token_endpoint(&owners)?,
            Route::Inject(named) => self.named(&self.with_connection(named)?)?,
        })
    }

    /// Of the providers that share the place, the first that has a connection for this agent; the general one where none has.
    fn with_connection(&self, named: Named) -> Result<Named, ExplainError> {
        let user = self.agent.user.as_ref();
        let has = |provider: &Provider| -> Result<bool, ExplainError> {
            Ok(ConnectionId::preferred(&self.existing(provider)?, user).is_some())
        };
        if named.beside.is_empty() || has(&named.provider)? {
            return Ok(named);
        }
        for (provider, rules) in &named.beside {
            if has(provider)? {
                let (provider, rules, occupants) = (Arc::clone(provider), rules.clone(), Arc::clone(&named.occupants));
                return Ok(Named { provider, rules, occupants, beside: Vec::new() });
            }
        }
        Ok(named.general())
    }

    fn existing(&self, provider: &Provider) -> Result<Vec<ConnectionId>, ExplainError> {
        Ok(self.store.list()?.into_iter().filter(|id| *id.provider() == provider.id).collect())
    }

    /// Without a connection a provider's host is one like others, unless the configuration refuses.
    fn left_alone(&self, provider: &Provider) -> Result<bool, ExplainError> {
        Ok(self.rules.settings().unregistered == Unregistered::Pass && self.existing(provider)?.is_empty())
    }

    /// Ours alone as soon as one of those whose it is has a connection.
    fn token_endpoint(&self, owners: &[Arc<Provider>]) -> Result<Explanation, ExplainError> {
        let Some(holder) = self.holder(owners)? else {
            let answer = self.answer(Outcome::Pass, format!("no credential of {} is registered", titles(owners)));
            return Ok(answer.of_first(owners));
        };
        let why = format!("the token endpoint of {} is not for callers: nexus renews its tokens itself", holder.title);
        Ok(self.answer(Outcome::Refuse, why).of(holder))
    }

    /// A host of providers, and a path that none of their rules names.
    fn stripped(&self, occupants: &Occupants) -> Result<Explanation, ExplainError> {
        let providers = &occupants.providers;
        let answer = if self.holder(providers)?.is_none() {
            self.answer(Outcome::Pass, format!("no credential of {} is registered", titles(providers)))
        } else {
            let why = format!("the host belongs to {}, but no rule names this path", titles(providers));
            Explanation { strips: written(occupants), ..self.answer(Outcome::Strip, why) }
        };
        Ok(answer.of_first(providers))
    }

    /// The first of `providers` that is not left alone.
    fn holder<'p>(&self, providers: &'p [Arc<Provider>]) -> Result<Option<&'p Arc<Provider>>, ExplainError> {
        for provider in providers {
            if !self.left_alone(provider)? {
                return Ok(Some(provider));
            }
        }
        Ok(None)
    }

    fn named(&self, named: &Named) -> Result<Explanation, ExplainError> {
        let provider = &named.provider;
        let existing = self.existing(provider)?;
        let user = self.agent.user.as_ref();
        let Some(connection) = ConnectionId::preferred(&existing, user) else { return self.unregistered(named, &existing) };
        let Some(entry) = self.store.get(connection)? else { return self.unregistered(named, &existing) };
        let fetched = to_be_fetched();
        let fields = |name: &str| placed(provider, &entry, &fetched, name);
        let answer =
            |outcome, why| Explanation { connection: Some(connection.to_string()), ..self.answer(outcome, why).of(provider) };
        let again = || Some(register(connection));
        let fitting = named.rules.iter().find_map(|number| {
            let rule = provider.inject.get(*number)?;
            matches!(prepare(&rule.placements, &fields), Ok(Some(_))).then_some((*number, rule))
        });
        let Some((number, rule)) = fitting else {
            let why = format!("{connection} lacks a field that this API needs, or holds one that no header can carry");
            return Ok(Explanation { command: again(), ..answer(Outcome::AuthRequired, why) });
        };
        let shown = MatchedRule::of(number, rule);
        if !provider.reaches(number, &self.target.authority.host, entry.sealed_hosts(), &|name| entry.fields.field(name)) {
            let hosts = if entry.hosts.is_empty() { "none".to_owned() } else { entry.hosts.join(", ") };
            let why = format!("{connection} was registered for other hosts: {hosts}");
            let command = Some(format!("nexus providers trust {}", provider.id));
            return Ok(Explanation { rule: Some(shown), command, ..answer(Outcome::Refuse, why) });
        }
        Ok(Explanation {
            rule: Some(shown),
            strategy: rule.placements.iter().map(crate::provider::Placement::word).collect(),
            placements: rule.placements.iter().map(ToString::to_string).collect(),
            strips: written(&named.occupants),
            ..answer(Outcome::Inject, chosen(provider, connection, existing.len(), entry.status))
        })
    }

    fn unregistered(&self, named: &Named, existing: &[ConnectionId]) -> Result<Explanation, ExplainError> {
        let provider = &named.provider;
        let id = ConnectionId::new(provider.id.clone(), self.agent.user.clone());
        let (outcome, then) = if self.holder(&named.occupants.providers)?.is_none() {
            (Outcome::Pass, "what the caller sent goes on")
        } else {
            (Outcome::AuthRequired, "the answer is auth_required")
        };
        let others = if existing.is_empty() { "" } else { " for this caller; a placeholder or Nexus-Connection names one" };
        let why = format!("no credential of {} is registered{others}; {then}", provider.title);
        Ok(Explanation { command: Some(register(&id)), ..self.answer(outcome, why).of(provider) })
    }
}

impl Explanation {
    fn of(self, provider: &Provider) -> Self {
        Self { provider: Some(provider.id.to_string()), ..self }
    }

    fn of_first(self, providers: &[Arc<Provider>]) -> Self {
        providers.iter().take(1).fold(self, |answer, provider| answer.of(provider))
    }
}

fn titles(providers: &[Arc<Provider>]) -> String {
    providers.iter().map(|provider| provider.title.as_str()).collect::<Vec<_>>().join(" and ")
}

fn written(occupants: &Occupants) -> Vec<String> {
    occupants.slots.iter().map(ToString::to_string).collect()
}

/// Why this connection.
fn chosen(provider: &Provider, connection: &ConnectionId, count: usize, status: Status) -> String {
    let mut why = match (connection.user(), count) {
        (Some(user), _) => format!("{connection} is the connection of {user}, for whom this agent acts"),
        (None, 1) => format!("{connection} is the only connection of {}", provider.title),
        (None, count) => {
            format!("{connection} is the default of {count} connections; a placeholder or Nexus-Connection names another")
        }
    };
    if status == Status::Attention {
        why.push_str("; it needs attention: its last renewal was refused");
    }
    why
}

fn register(id: &ConnectionId) -> String {
    let user = id.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    format!("nexus register {}{user}", id.provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_a_target() {
        let target =
            |url: &str| target("get", url).map(|target| format!("{} {} {}", target.method, target.authority, target.path));
        assert_eq!(target("API.GitHub.com/user").expect("a host alone"), "GET api.github.com:443 /user");
        assert_eq!(target("http://a.example").expect("no path"), "GET a.example:80 /");
        assert_eq!(target("https://a.example:8443/x?y#z").expect("a port"), "GET a.example:8443 /x?y");
        assert_eq!(target("wss://a.example/x").expect("a WebSocket"), "GET a.example:443 /x");
        assert_eq!(target("ws://a.example/x").expect("a WebSocket"), "GET a.example:80 /x");
        for url in ["", "ftp://a", "https://", "https://u@a/", "https://a b/"] {
            assert!(target(url).is_err(), "{url}");
        }
    }
}
