//! A CONNECT that is refused inside: clients don't show the body of a refused CONNECT, so it is accepted, and the request is told.

use std::net::IpAddr;
use std::sync::Arc;

use super::canary::Place;
use super::refusal::Refusal;
use crate::decide::Reason;
use crate::model::Authority;
use crate::policy::Rule;
use crate::upstream;

/// Why nothing goes through a CONNECT that was accepted.
#[derive(Debug)]
pub(super) enum Refused {
    /// A rule says so.
    Rule(Reason),
    /// This rule of the policy says so.
    Named(Arc<Rule>),
    /// It leads to an address that is not dialled.
    Forbidden { host: String, address: IpAddr, reason: &'static str },
    /// Its name holds a placeholder.
    Canary(Place),
    /// Its agent is frozen.
    Frozen,
    /// It leads to ourselves.
    Loop(Authority),
}

impl Refused {
    /// What was decided of an address; `None` for what merely failed.
    pub(super) fn decided(refusal: &Refusal) -> Option<Self> {
        match refusal {
            Refusal::Upstream(upstream::Error::Forbidden { host, address, reason }) => {
                Some(Self::Forbidden { host: host.clone(), address: *address, reason })
            }
            Refusal::Upstream(upstream::Error::Loop { authority }) => Some(Self::Loop(authority.clone())),
            _ => None,
        }
    }

    /// What each request is told.
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Rule(reason) => Refusal::Policy(*reason),
            Self::Canary(place) => Refusal::Canary(*place),
            Self::Frozen => Refusal::Frozen,
            Self::Named(rule) => Refusal::Rule(Arc::clone(rule)),
            Self::Forbidden { host, address, reason } => {
                Refusal::Upstream(upstream::Error::Forbidden { host: host.clone(), address: *address, reason })
            }
            Self::Loop(authority) => Refusal::Upstream(upstream::Error::Loop { authority: authority.clone() }),
        }
    }
}
