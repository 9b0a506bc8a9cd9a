//! What a decision says: of a CONNECT, of a request, and why one is refused.

use std::sync::Arc;

use smallvec::SmallVec;

use super::minting::Minting;
use super::occupants::Occupants;
use crate::policy::Rule;
use crate::provider::Provider;

/// Why a request is refused by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The agent may not use this provider or reach this host.
    Agent,
    /// The host is not named and unnamed hosts are refused.
    Unmatched,
    /// A provider's host over cleartext HTTP.
    Cleartext,
    /// A provider's host on a port that its rule does not name.
    Port,
    /// A port that is not allowed, by CONNECT or otherwise.
    ConnectPort,
    /// An endpoint whose answer carries a new credential, or that ends the stored one.
    Mint,
    /// A path that the provider's rule refuses.
    Path,
    /// A path that could be one whose answer carries a new credential: services read it in more than one way.
    Unclear,
    /// A rule that people wrote refuses it.
    Rule,
    /// None of the rules that people wrote lets it on.
    Unruled,
}

impl Reason {
    /// A stable word for records.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Unmatched => "unmatched",
            Self::Cleartext => "cleartext",
            Self::Port => "port",
            Self::ConnectPort => "connect_port",
            Self::Mint => "mints_credentials",
            Self::Path => "path",
            Self::Unclear => "unclear_path",
            Self::Rule => "rule",
            Self::Unruled => "no_rule",
        }
    }

    /// What it means and what to do now.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Agent => "This agent may not reach this host or use this provider; ask the operator (`nexus agent list`).",
            Self::Unmatched => "Hosts that no rule names are refused here; ask the operator to add a provider or rule for it.",
            Self::Cleartext => "Credentials go over TLS only: use the https:// URL.",
            Self::Port => "This provider is reached on its own port only; leave the port out of the URL.",
            Self::ConnectPort => {
                "Only ports 80, 443 and those of the providers are reached; the operator can list another one in proxy.connect_ports."
            }
            Self::Mint => {
                "This endpoint answers with a new credential, or ends the stored one: both are the operator's to do. Use the API without it."
            }
            Self::Path => "This path is not among those that the provider's rule allows.",
            Self::Rule => "A rule of the policy refuses this request; ask the operator (`nexus explain` names the rule).",
            Self::Unruled => {
                "No rule of the policy allows this request; ask the operator for one (`nexus explain` and `nexus policy suggest` help)."
            }
            Self::Unclear => {
                "The path can be read in more than one way: write it from the root, without control characters, dot segments above the root or escapes of escapes."
            }
        }
    }
}

/// What to do with a CONNECT.
#[derive(Debug)]
pub(crate) enum Connect {
    /// Leave it shut: bytes both ways.
    Tunnel,
    /// Open it; each request inside is decided by itself.
    Intercept,
    /// Accept it, end its TLS without any dial, and answer each request with the refusal.
    Refuse(ConnectRefusal),
}

/// A CONNECT that is refused inside.
#[derive(Debug, Clone)]
pub(crate) struct ConnectRefusal {
    pub(crate) reason: Reason,
    /// The rule that people wrote, where one refuses it.
    pub(crate) rule: Option<Arc<Rule>>,
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// No provider: forwarded as it is.
    Pass,
    /// A host of providers outside every rule's paths: slots stripped, nothing injected.
    Strip(Arc<Occupants>),
    /// The token endpoint of these providers: not for callers once one of them has a connection.
    TokenEndpoint(Vec<Arc<Provider>>),
    /// These rules of the provider match, best first.
    Inject(Named),
    /// The answer is a new credential, which is captured.
    Mint(Box<Minting>),
    /// Refused by rule.
    Refuse(Reason),
}

/// Where the catalogue leads a request.
pub(super) struct Lead {
    pub(super) route: Route,
    /// Why it is refused nevertheless, unless a rule lets it on.
    pub(super) shut: Option<Reason>,
    /// A body that was not read could change it.
    pub(super) by_body: bool,
}

impl From<Route> for Lead {
    fn from(route: Route) -> Self {
        Self { route, shut: None, by_body: false }
    }
}

impl Route {
    /// Whether Nexus may itself answer such a request, where a provider's file says so: not what a rule injects, or refuses for whose,
    /// where or how it is.
    pub(super) fn may_be_answered(&self) -> bool {
        match self {
            Self::Pass | Self::Strip(_) | Self::TokenEndpoint(_) => true,
            Self::Refuse(reason) => matches!(reason, Reason::Mint | Reason::Path | Reason::Unmatched),
            Self::Inject(_) | Self::Mint(_) => false,
        }
    }
}

/// A provider and those of its rules that match host, port and path.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) provider: Arc<Provider>,
    pub(crate) rules: Numbers,
    /// Every provider on this host, this one too: a caller's credential passes in none of their slots.
    pub(crate) occupants: Arc<Occupants>,
    /// Providers that share the place with this one by their files' word, and theirs, best first: for when this one has no connection.
    pub(crate) beside: Vec<(Arc<Provider>, Numbers)>,
}

impl Named {
    /// Of the providers that share the place, the one that the others stand beside: it is spoken of where none has a connection.
    pub(crate) fn general(self) -> Self {
        let general = self.beside.iter().find(|(provider, _)| provider.beside.is_empty() && !self.provider.beside.is_empty());
        match general.cloned() {
            Some((provider, rules)) => Self { provider, rules, beside: Vec::new(), ..self },
            None => self,
        }
    }
}

/// Rules of one provider by their numbers. On the stack, as they nearly always fit.
pub(crate) type Numbers = SmallVec<[usize; 8]>;
