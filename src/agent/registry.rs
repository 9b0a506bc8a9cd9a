//! Agents as the data plane knows them: found by the hash of their token, in one look-up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use dashmap::DashMap;

use super::file::Registered;
use super::identity::Agent;
use super::token;
use crate::model::AgentName;

/// All agents of one moment; swapped whole when the file changes.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_token: HashMap<[u8; 32], Arc<Agent>>,
    by_name: HashMap<AgentName, Arc<Agent>>,
    rows: Vec<Registered>,
    defined: bool,
    closed: bool,
}

impl Registry {
    /// Indexes `rows` by the hash of their tokens and by name.
    #[cfg(test)]
    pub(crate) fn new(rows: &[Registered]) -> Self {
        Self::update(&Self::default(), rows)
    }

    /// As before, for `rows`: agents whose row did not change stay the same, so that their streams go on.
    pub(crate) fn update(previous: &Self, rows: &[Registered]) -> Self {
        let known: HashMap<&AgentName, &Registered> = previous.rows.iter().map(|row| (&row.name, row)).collect();
        let same = |row: &Registered| known.get(&row.name).is_some_and(|known| *known == row);
        let unchanged = |row: &Registered| same(row).then(|| previous.by_name.get(&row.name)).flatten();
        let agent = |row: &Registered| unchanged(row).map_or_else(|| Arc::new(Agent::from(row)), Arc::clone);
        let agents: Vec<_> = rows.iter().map(|row| (row.token_sha256, agent(row))).collect();
        Self {
            rows: rows.to_vec(),
            by_name: agents.iter().map(|(_hash, agent)| (agent.name.clone(), Arc::clone(agent))).collect(),
            by_token: agents.into_iter().collect(),
            defined: rows.iter().any(|row| !row.ephemeral),
            closed: false,
        }
    }

    /// With nobody served as `local` if `closed`, whatever agents there are.
    pub(crate) fn closed(self, closed: bool) -> Self {
        Self { closed, ..self }
    }

    /// Whether callers must show a token: true as soon as one lasting agent is defined.
    pub(crate) fn defined(&self) -> bool {
        self.defined
    }

    /// Whether loopback callers of our own user need no token: no lasting agent is defined, nor is this a proxy for one agent alone.
    pub(crate) fn serves_local(&self) -> bool {
        !self.defined && !self.closed
    }

    /// What it was made from.
    pub(crate) fn rows(&self) -> &[Registered] {
        &self.rows
    }

    /// The agent whose token this is. The look-up is by SHA-256 of 190 random bits, so its timing tells nothing.
    pub(crate) fn by_token(&self, token: &str, now: SystemTime) -> Option<Arc<Agent>> {
        self.by_token.get(&token::hash(token)).filter(|agent| !agent.expired(now)).map(Arc::clone)
    }

    /// The agent called `name`, for a listener that is bound to it.
    pub(crate) fn by_name(&self, name: &AgentName, now: SystemTime) -> Option<Arc<Agent>> {
        self.by_name.get(name).filter(|agent| !agent.expired(now)).map(Arc::clone)
    }

    /// Whether it is the agent of one `nexus run`.
    pub(crate) fn is_ephemeral(&self, name: &AgentName) -> bool {
        self.rows.iter().any(|row| row.ephemeral && row.name == *name)
    }

    /// Whether the time of any of them will be up.
    pub(crate) fn any_ends(&self) -> bool {
        self.rows.iter().any(|row| row.expires.is_some())
    }

    /// All of them.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.by_name.values().map(|agent| &**agent)
    }

    /// Whether `agent` is still the one in force: same name, same token, same limits.
    pub(crate) fn holds(&self, agent: &Arc<Agent>) -> bool {
        self.by_name.get(&agent.name).is_some_and(|current| Arc::ptr_eq(current, agent))
    }
}

/// Wrong tokens per source address: after too many in a minute the source waits.
#[derive(Debug, Default)]
pub(crate) struct Guesses(DashMap<IpAddr, (u32, Instant)>);

const SOURCES: usize = 10_000;

impl Guesses {
    /// Whether `source` has shown `limit` wrong tokens within a minute.
    pub(crate) fn exhausted(&self, source: IpAddr, limit: u32) -> bool {
        self.0.get(&source).is_some_and(|entry| entry.0 >= limit && entry.1.elapsed() < Duration::from_secs(60))
    }

    /// Counts a wrong token.
    pub(crate) fn wrong(&self, source: IpAddr) {
        if self.0.len() >= SOURCES {
            self.0.retain(|_source, entry| entry.1.elapsed() < Duration::from_secs(60));
        }
        let mut entry = self.0.entry(source).or_insert_with(|| (0, Instant::now()));
        if entry.1.elapsed() >= Duration::from_secs(60) {
            *entry = (0, Instant::now());
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::Token;
    use super::*;

    fn row(name: &str, token: &Token) -> Registered {
        Registered {
            expires: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100)),
            ..Registered::unlimited(name.parse().expect("name"), token)
        }
    }

    #[test]
    fn i6_a_token_names_one_agent_until_it_expires() {
        let (token, other) = (Token::random().expect("random"), Token::random().expect("random"));
        let registry = Registry::new(&[row("a", &token)]);
        let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        assert_eq!(registry.by_token(token.text().expose(), at(99)).map(|agent| agent.name.to_string()).as_deref(), Some("a"));
        assert!(registry.by_token(token.text().expose(), at(100)).is_none());
        assert!(registry.by_token(other.text().expose(), at(99)).is_none());
    }

    #[test]
    fn guessing_is_slowed_down() {
        let guesses = Guesses::default();
        let source = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..3 {
            assert!(!guesses.exhausted(source, 3));
            guesses.wrong(source);
        }
        assert!(guesses.exhausted(source, 3));
        assert!(!guesses.exhausted(IpAddr::from([127, 0, 0, 2]), 3));
    }
}
