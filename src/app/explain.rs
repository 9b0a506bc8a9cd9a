//! `nexus explain`: what the proxy would do with a request, by the very functions that decide it. Nothing is sent.

mod answer;
mod case;
mod ruled;

use std::sync::Arc;
use std::time::SystemTime;

use http::{Method, Uri};

pub use self::answer::{Explanation, MatchedRule, Outcome};
use self::case::Case;
pub use self::ruled::{Ruled, ShownRule};
use super::config::Config;
use super::home::{Home, HomeError};
use super::node::Unheard;
use super::parts::{self, BuildError};
use super::settings;
use crate::agent::{Agent, Frozen, Registry};
use crate::decide::{Asking, Connect, Passage, Rules};
use crate::model::{AgentName, Authority, AuthorityError, Host, Scheme, Target};
use crate::policy::{Content, Few, Seen};
use crate::provider::Catalogue;
use crate::proxy::{self, Foreseen};
use crate::upstream;
use crate::vault::Snapshot;

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
    #[error("there is no agent called {0}, or it has expired; who shows its token is answered 407")]
    NoSuchAgent(AgentName),
    /// The files of agents.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// `upstream.resolve`.
    #[error(transparent)]
    Config(#[from] BuildError),
}

/// Explains what happens to `method url` of `agent`, with the connections of `vault`, and `unheard` where a gateway that lends does not
/// answer; without an agent of a caller that no limit is set for.
///
/// # Errors
/// As [`ExplainError`] says.
pub fn explain(
    home: &Home,
    config: &Config,
    (vault, unheard): (&Arc<Snapshot>, Option<Unheard>),
    agent: Option<&AgentName>,
    (method, url): (&str, &str),
) -> Result<Explanation, ExplainError> {
    // People type `get`.
    let explainer = Explainer { unheard, ..Explainer::new(home, config, vault)? };
    explainer.explain(agent, &Inquired::new(&method.to_ascii_uppercase(), url))
}

/// A request that is asked about.
#[derive(Debug, Clone)]
pub struct Inquired<'a> {
    /// `GET`.
    pub method: &'a str,
    /// `https://HOST[:PORT][/PATH]`.
    pub url: &'a str,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Of the body, in bytes.
    pub length: u64,
    /// The body, for rules that look into it; without it the answer is for one that they let on.
    pub body: Option<&'a str>,
    /// When.
    pub at: SystemTime,
}

impl<'a> Inquired<'a> {
    /// One without a body, now.
    pub fn new(method: &'a str, url: &'a str) -> Self {
        Self { method, url, content_type: None, length: 0, body: None, at: SystemTime::now() }
    }
}

/// Who explains, with all that an answer depends on read once.
pub struct Explainer<'a> {
    config: &'a Config,
    vault: Arc<Snapshot>,
    unheard: Option<Unheard>,
    registry: Registry,
    rules: Rules,
    frozen: Vec<Frozen>,
}

impl<'a> Explainer<'a> {
    /// Reads the agents, the catalogue and the rules that are in `home`; the connections are those of `vault`.
    ///
    /// # Errors
    /// As [`ExplainError`] says.
    pub fn new(home: &Home, config: &'a Config, vault: &Arc<Snapshot>) -> Result<Self, ExplainError> {
        let registry = parts::agents(home, &[])?;
        let (catalogue, _mistakes) = Catalogue::with_user_folder(&home.providers());
        let all = Arc::clone(vault);
        let registered = Arc::new(move |host: &Host| all.sealed_with(&host.to_string()).to_vec());
        let written = super::rules::rules(home, config, &catalogue)?;
        let rules = parts::rules(&catalogue, &written, (config, &registry), registered);
        Ok(Self { config, vault: Arc::clone(vault), unheard: None, registry, rules, frozen: home.frozen()? })
    }

    /// Explains what happens to a request of `agent`; without one of a caller that no limit is set for.
    ///
    /// # Errors
    /// As [`ExplainError`] says.
    pub fn explain(&self, agent: Option<&AgentName>, asked: &Inquired<'_>) -> Result<Explanation, ExplainError> {
        let agent = match agent {
            Some(name) => {
                self.registry.by_name(name, SystemTime::now()).ok_or_else(|| ExplainError::NoSuchAgent(name.clone()))?
            }
            None => Arc::new(Agent::local().ok_or_else(|| ExplainError::Url(asked.url.to_owned()))?),
        };
        let target = target(asked.method, asked.url)?;
        let case = Case {
            rules: &self.rules,
            vault: &self.vault,
            unheard: self.unheard.as_ref(),
            asking: asking(&target, &agent, asked),
            body: asked.body,
            parent: self.config.upstream.proxy.is_some(),
        };
        let connect = (target.scheme == Scheme::Https).then(|| self.connect(&target.authority, &agent, asked.at));
        let mut answer = match &connect {
            _ if self.frozen(&agent).is_some() => case.frozen(self.frozen(&agent)),
            Some(Passage { connect: Connect::Refuse(refusal), .. }) => case.refused(refusal.reason),
            Some(Passage { connect: Connect::Tunnel, .. }) => case.tunnelled(),
            Some(Passage { connect: Connect::Intercept, .. }) | None => case.opened(),
        };
        if let Some(passage) = connect {
            answer.connect = Some(word(&passage.connect));
            if !matches!(passage.connect, Connect::Intercept) {
                answer.policy = Ruled::of_connect(&passage);
            }
        }
        dialled(answer, &target.authority, self.config)
    }

    fn frozen(&self, agent: &Agent) -> Option<&Frozen> {
        self.frozen.iter().find(|frozen| frozen.agent == agent.name)
    }

    fn connect(&self, authority: &Authority, agent: &Agent, at: SystemTime) -> Passage {
        if proxy::is_own(authority) {
            return Passage { connect: Connect::Intercept, rule: None, reports: Few::new(), asks: false };
        }
        self.rules.decide_connect(authority, agent, at)
    }
}

/// The request as a decision looks at it.
fn asking<'a>(target: &'a Target, agent: &'a Agent, asked: &Inquired<'a>) -> Asking<'a> {
    let kind = asked.content_type.map(str::as_bytes);
    let content = Content {
        kind,
        ambiguous: kind.is_some_and(|kind| kind.contains(&b',')),
        length: Some(asked.length),
        seen: asked.body.map_or(Seen::Nothing, |body| Seen::Whole(body.as_bytes())),
    };
    Asking { target, agent, content, upgrade: false, now: asked.at }
}

fn word(connect: &Connect) -> &'static str {
    match connect {
        Connect::Tunnel => "tunnel",
        Connect::Intercept => "intercept",
        Connect::Refuse(_) => "refuse",
    }
}

/// The answer once the address that would be dialled has been looked at, as far as it is known.
fn dialled(answer: Explanation, authority: &Authority, config: &Config) -> Result<Explanation, ExplainError> {
    if !matches!(answer.outcome, Outcome::Inject | Outcome::Pass | Outcome::Strip | Outcome::Tunnel) {
        return Ok(answer);
    }
    let (proxy, upstream) = (&config.proxy, &config.upstream);
    let own: Vec<_> = proxy.listen.iter().chain(proxy.agent_listen.values()).chain([&config.gateway.listen]).copied().collect();
    let policy =
        upstream::Policy { allow_private: &upstream.allow_private, resolve: &settings::overrides(upstream)?, own: &own };
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
    let method = Method::from_bytes(method.as_bytes()).map_err(|_malformed| ExplainError::Method(method.to_owned()))?;
    Ok(Target { scheme, authority, method, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_the_gateway_is_away_what_it_lent_is_told_as_the_proxy_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (home, config) = (Home::new(folder.path()), Config::default());
        let vault = Arc::new(Snapshot::default());
        let explained = |lent: &[&str], copies| {
            let lent = lent.iter().map(|id| id.parse().expect("a handle")).collect();
            let unheard = Some(Unheard { lent, copies, refuses: false });
            explain(&home, &config, (&vault, unheard), None, ("get", "https://api.github.com/user")).expect("an answer")
        };
        let held = explained(&["github"], true);
        assert_eq!((held.outcome, held.connection.as_deref(), held.command), (Outcome::Inject, Some("github"), None));
        for served in [&["github"][..], &["github:alice"]] {
            let refused = explained(served, false);
            assert_eq!((refused.outcome, refused.command.as_deref()), (Outcome::Refuse, Some("nexus status")), "{served:?}");
        }
        let other = explained(&["github:alice"], true);
        assert_eq!(other.outcome, Outcome::AuthRequired, "{}", other.why);
        assert_eq!(explained(&["slack"], true).outcome, Outcome::Pass);
    }

    #[test]
    fn a_url_becomes_a_target() {
        let target =
            |url: &str| target("GET", url).map(|target| format!("{} {} {}", target.method, target.authority, target.path));
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
