//! `Agent`: who a caller is, and what it may use and reach.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::file::Registered;
use super::lease::{Lease, Wanted};
use crate::model::{AgentName, Host, HostTerm, ProviderId, Rate, UserName};

/// The identity of a caller.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its name, shared with records and pools.
    pub(crate) name: AgentName,
    /// The same name, cheap to share.
    pub(crate) label: Arc<str>,
    /// Whose connections it uses.
    pub(crate) user: Option<UserName>,
    providers: Option<HashSet<ProviderId>>,
    hosts: Option<Hosts>,
    rate: Option<Rate>,
    expires: Option<SystemTime>,
    lease: Option<Box<Lease>>,
}

/// Where an agent may go.
#[derive(Debug)]
struct Hosts {
    named: HashSet<Host>,
    /// Families.
    below: Vec<HostTerm>,
}

impl Hosts {
    fn new(terms: &[HostTerm]) -> Self {
        let named = terms.iter().filter_map(|term| if let HostTerm::One(host) = term { Some(host.clone()) } else { None });
        let below = terms.iter().filter(|term| matches!(term, HostTerm::Below(_))).cloned();
        Self { named: named.collect(), below: below.collect() }
    }

    fn hold(&self, host: &Host) -> bool {
        self.named.contains(host) || self.below.iter().any(|term| term.is(host))
    }

    fn hold_all(&self, term: &HostTerm) -> bool {
        match term {
            HostTerm::One(host) => self.hold(host),
            HostTerm::Below(_) => self.below.iter().any(|own| own.covers(term)),
        }
    }
}

impl Agent {
    /// The identity of loopback callers of our own user, where no agents are defined.
    pub(crate) fn local() -> Option<Self> {
        let name: AgentName = "local".parse().ok()?;
        Some(Self {
            label: name.as_str().into(),
            name,
            user: None,
            providers: None,
            hosts: None,
            rate: None,
            expires: None,
            lease: None,
        })
    }

    /// One that acts for this agent until `end`, where that is not later than its own: in its name, in its share of everything, and
    /// nowhere that it could not act itself.
    pub(super) fn lent(&self, wanted: Wanted, end: SystemTime, lease: Lease) -> Self {
        Self {
            name: self.name.clone(),
            label: Arc::clone(&self.label),
            user: self.user.clone(),
            providers: wanted.providers.map(|names| names.into_iter().collect()),
            hosts: wanted.hosts.as_deref().map(Hosts::new),
            rate: self.rate,
            expires: Some(self.expires.map_or(end, |own| own.min(end))),
            lease: Some(Box::new(lease)),
        }
    }

    /// What it is a lease by, if it is one.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_deref()
    }

    /// When its time is up.
    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Whether it may use `provider`'s credentials.
    pub(crate) fn may_use(&self, provider: &ProviderId) -> bool {
        self.providers.as_ref().is_none_or(|allowed| allowed.contains(provider))
            && self.lease().is_none_or(|lease| lease.parent.may_use(provider))
    }

    /// The providers that it may use, in the order of their names; `None` = all. A lease has its agent's where it has none of its own.
    pub(crate) fn providers(&self) -> Option<Vec<&ProviderId>> {
        let own = self.providers.as_ref().or_else(|| self.lease()?.parent.providers.as_ref())?;
        let mut all: Vec<&ProviderId> = own.iter().collect();
        all.sort();
        Some(all)
    }

    /// The hosts that it may reach, as files write them; `None` = all. A lease has its agent's where it has none of its own.
    pub(crate) fn hosts(&self) -> Option<Vec<String>> {
        let own = self.hosts.as_ref().or_else(|| self.lease()?.parent.hosts.as_ref())?;
        let named = own.named.iter().map(ToString::to_string);
        let mut all: Vec<String> = named.chain(own.below.iter().map(ToString::to_string)).collect();
        all.sort();
        Some(all)
    }

    /// Whether it may reach `host` at all.
    pub(crate) fn may_reach(&self, host: &Host) -> bool {
        self.hosts.as_ref().is_none_or(|allowed| allowed.hold(host))
            && self.lease().is_none_or(|lease| lease.parent.may_reach(host))
    }

    /// Whether it may reach each host that `term` speaks of.
    pub(crate) fn may_reach_all(&self, term: &HostTerm) -> bool {
        self.hosts.as_ref().is_none_or(|allowed| allowed.hold_all(term))
    }

    /// How many requests it may make.
    pub(crate) fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// How long its time still is; `None` = without end.
    pub(crate) fn time_left(&self, now: SystemTime) -> Option<Duration> {
        self.expires.map(|end| end.duration_since(now).unwrap_or_default())
    }

    /// Whether its time is up.
    pub(crate) fn expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }
}

impl From<&Registered> for Agent {
    fn from(row: &Registered) -> Self {
        Self {
            name: row.name.clone(),
            label: row.name.as_str().into(),
            user: row.user.clone(),
            providers: row.providers.as_ref().map(|names| names.iter().cloned().collect()),
            hosts: row.hosts.as_deref().map(Hosts::new),
            rate: row.rate,
            expires: row.expires,
            lease: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::Token;
    use super::*;

    fn row(token: &Token) -> Registered {
        Registered::unlimited("a".parse().expect("name"), token)
    }

    #[test]
    fn i2_an_agent_uses_only_its_providers() {
        let token = Token::random().expect("random");
        let agent = Agent::from(&Registered { providers: Some(vec!["github".parse().expect("provider")]), ..row(&token) });
        assert!(agent.may_use(&"github".parse().expect("provider")));
        assert!(!agent.may_use(&"slack".parse().expect("provider")));
    }

    #[test]
    fn i2_an_agent_reaches_only_its_hosts() {
        let token = Token::random().expect("random");
        let hosts = ["api.acme.test", "*.cdn.test", "10.0.0.1"].map(|text| text.parse().expect("a host")).to_vec();
        let agent = Agent::from(&Registered { hosts: Some(hosts), ..row(&token) });
        let reaches = |text: &str| agent.may_reach(&text.parse().expect("a host"));
        for host in ["api.acme.test", "API.Acme.Test.", "a.cdn.test", "a.b.cdn.test", "10.0.0.1"] {
            assert!(reaches(host), "{host}");
        }
        for host in ["acme.test", "x.api.acme.test", "cdn.test", "xcdn.test", "a.cdn.test.evil.test", "10.0.0.2"] {
            assert!(!reaches(host), "{host}");
        }
    }
}
