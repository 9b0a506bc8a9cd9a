//! `nexus explain`: what the proxy would do with a request, by the very functions that decide it. Nothing is sent.

mod answer;
mod case;

use std::sync::Arc;
use std::time::SystemTime;

use http::{Method, Uri};

pub use self::answer::{Explanation, MatchedRule, Outcome};
use self::case::Case;
use super::config::Config;
use super::home::{Home, HomeError};
use super::parts::{self, BuildError};
use super::settings;
use crate::agent::Agent;
use crate::decide::Connect;
use crate::model::{AgentName, Authority, AuthorityError, Host, Scheme, Target};
use crate::provider::Catalogue;
use crate::proxy::{self, Foreseen};
use crate::upstream;
use crate::vault::{self, Store};

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
    let parent = config.upstream.proxy.is_some();
    let case = Case { rules: &rules, store, agent: &agent, target: &target, parent };
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
    let upper = method.to_ascii_uppercase();
    let method = Method::from_bytes(upper.as_bytes()).map_err(|_malformed| ExplainError::Method(method.to_owned()))?;
    Ok(Target { scheme, authority, method, path })
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
