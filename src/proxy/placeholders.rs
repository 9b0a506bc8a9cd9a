//! Whose placeholder is this? Those of all agents for a provider's connections, made once and found by one look-up.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::worker::Worker;
use crate::agent::{Agent, Registry, TAIL};
use crate::model::{AgentName, ConnectionId, Map, ProviderId, UserName};
use crate::vault::{OwnConnection, OwnConnections};

/// Of what apps hold, the letters that say which connection is meant.
const HEAD: usize = 18;
/// Where there are more than this many of one provider, only the asking agent's are known.
const KEPT: usize = 50_000;
/// So many of those are kept, of agents that asked lately.
const KEPT_OF_AGENTS: usize = 200_000;

/// Kept until the provider's connections or the agents change.
#[derive(Debug, Default)]
pub(super) struct Kept {
    of_all: RefCell<Map<ProviderId, Rc<Known>>>,
    of_one: RefCell<Map<(ProviderId, AgentName), Rc<Known>>>,
}

impl Kept {
    fn get(&self, agent: &AgentName, provider: &ProviderId) -> Option<Rc<Known>> {
        let of_all = self.of_all.borrow().get(provider).cloned();
        of_all.or_else(|| {
            let of_one = self.of_one.borrow();
            if of_one.is_empty() { None } else { of_one.get(&(provider.clone(), agent.clone())).cloned() }
        })
    }

    /// Where it is not of all agents, `agent` is the one.
    fn put(&self, agent: &AgentName, provider: &ProviderId, known: &Rc<Known>, of_all: bool) {
        if of_all {
            self.of_one.borrow_mut().retain(|(other, _agent), _known| other != provider);
            self.of_all.borrow_mut().insert(provider.clone(), Rc::clone(known));
            return;
        }
        self.of_all.borrow_mut().remove(provider);
        let mut of_one = self.of_one.borrow_mut();
        let key = (provider.clone(), agent.clone());
        // Those from before a change make room first: they are no reason to forget another agent's.
        of_one.remove(&key);
        let held: usize = of_one.values().map(|known| known.meanings.len()).sum();
        if held + known.meanings.len() > KEPT_OF_AGENTS {
            of_one.clear();
        }
        of_one.insert(key, Rc::clone(known));
    }
}

/// What each placeholder of one provider means.
#[derive(Debug)]
pub(super) struct Known {
    registry: Arc<Registry>,
    /// Of the placeholders of apps.
    generation: u64,
    /// As they were listed last: who lists the same ones is known by that alone.
    connections: RefCell<Arc<[ConnectionId]>>,
    own: OwnConnections,
    meanings: Map<String, Meaning>,
    /// By the first half of what apps hold.
    apps: Map<String, Meaning>,
}

/// What a placeholder means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The agent that it was made for; `None` = an app of the gateway that is no agent here.
    pub(super) whose: Option<AgentName>,
    pub(super) connection: ConnectionId,
}

impl Worker {
    /// The placeholders of `connections`, all of which are `provider`'s, for every agent and for apps, and those of each agent for its `own`.
    /// Where there are no connections: those that each agent may still hold, of its user's connection and the default one.
    pub(super) fn placeholders(
        &self,
        agent: &Agent,
        provider: &ProviderId,
        (connections, own): (&Arc<[ConnectionId]>, &OwnConnections),
    ) -> Rc<Known> {
        let (registry, generation) = (self.proxy.agents.load(), self.proxy.apps.generation());
        if let Some(known) = self.kept_placeholders.get(&agent.name, provider)
            && Arc::ptr_eq(&known.registry, &registry)
            && known.generation == generation
            && known.lists(connections)
            && known.own == *own
        {
            return known;
        }
        let mut agents: Vec<&Agent> = registry.agents().chain([&*self.proxy.local]).collect();
        let keep = agents.len().saturating_mul(connections.len().max(2)) <= KEPT;
        if !keep {
            agents = vec![agent];
        }
        let mut meanings = Map::default();
        for agent in &agents {
            for connection in usual(agent, provider, connections).iter() {
                let tail = self.proxy.placeholders.tail(&agent.name, connection);
                for tail in std::iter::once(tail).chain(self.proxy.apps.tails(&agent.name, connection)) {
                    meanings.insert(tail, Meaning { whose: Some(agent.name.clone()), connection: connection.clone() });
                }
            }
        }
        for OwnConnection { agent, id, since, .. } in own.iter() {
            let tail = self.proxy.placeholders.tail_since(agent, id, *since);
            meanings.insert(tail, Meaning { whose: Some(agent.clone()), connection: id.clone() });
        }
        // Where not all agents were looked at, one of them may be the app.
        let apps = if keep { self.of_any_app(&agents, provider, connections) } else { Map::default() };
        let (listed, own) = (RefCell::new(Arc::clone(connections)), own.clone());
        let known = Rc::new(Known { registry: Arc::clone(&registry), generation, connections: listed, own, meanings, apps });
        // Without connections it depends on the agent's user, who is not part of its name.
        if keep || !connections.is_empty() {
            self.kept_placeholders.put(&agent.name, provider, &known, keep);
        }
        known
    }

    /// What begins the placeholders of all apps for `connections`, or for those that one of `agents` may still hold.
    fn of_any_app(&self, agents: &[&Agent], provider: &ProviderId, connections: &[ConnectionId]) -> Map<String, Meaning> {
        let users: HashSet<Option<&UserName>> =
            std::iter::once(None).chain(agents.iter().map(|agent| agent.user.as_ref())).collect();
        let usual = users.into_iter().map(|user| ConnectionId::new(provider.clone(), user.cloned()));
        let usual: Vec<ConnectionId> = if connections.is_empty() { usual.collect() } else { Vec::new() };
        let of = |connection: &ConnectionId| {
            let meaning = Meaning { whose: None, connection: connection.clone() };
            self.proxy.apps.heads(connection).map(move |head| (head, meaning.clone())).collect::<Vec<_>>()
        };
        connections.iter().chain(&usual).flat_map(of).collect()
    }

    /// Whether `agent` may send a placeholder that was made for `whose`. That of an app which is no agent here says which connection is meant,
    /// and no more.
    pub(super) fn may_show(&self, agent: &Arc<Agent>, whose: Option<&AgentName>) -> bool {
        whose.is_none_or(|whose| *whose == agent.name) || self.runs_commands(agent)
    }
}

impl Known {
    /// Whether these are the connections that it is of.
    fn lists(&self, connections: &Arc<[ConnectionId]>) -> bool {
        let mut known = self.connections.borrow_mut();
        if Arc::ptr_eq(&known, connections) {
            return true;
        }
        let same = **known == **connections;
        if same {
            known.clone_from(connections);
        }
        same
    }

    /// Whose placeholder for which connection stands in `value`, at the end of any run of letters and digits.
    pub(super) fn find(&self, value: &[u8]) -> Option<&Meaning> {
        let runs = value.split(|byte| !byte.is_ascii_alphanumeric()).filter(|run| run.len() >= TAIL);
        let mut tails = runs.filter_map(|run| std::str::from_utf8(run.get(run.len() - TAIL..)?).ok());
        tails.find_map(|tail| self.meanings.get(tail).or_else(|| self.apps.get(tail.get(..HEAD)?)))
    }

    /// Whose placeholder ends so, in whatever case of its letters.
    pub(super) fn find_folded(&self, tail: &[u8]) -> Option<&Meaning> {
        let folded = |known: &str, part: Option<&[u8]>| part.is_some_and(|part| known.as_bytes().eq_ignore_ascii_case(part));
        let in_full = || self.meanings.iter().find(|(known, _)| folded(known, Some(tail)));
        let of_app = || self.apps.iter().find(|(known, _)| folded(known, tail.get(..HEAD)));
        self.find(tail).or_else(|| in_full().or_else(of_app).map(|(_, meaning)| meaning))
    }
}

/// `connections`; where there are none, those that `agent` may still hold a placeholder of.
fn usual<'a>(agent: &Agent, provider: &ProviderId, connections: &'a [ConnectionId]) -> Cow<'a, [ConnectionId]> {
    if !connections.is_empty() {
        return Cow::Borrowed(connections);
    }
    Cow::Owned([None, agent.user.clone()].map(|user| ConnectionId::new(provider.clone(), user)).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_of_agents_one_by_one_so_many_placeholders_are_kept() {
        let kept = Kept::default();
        let agent = |name: &str| name.parse::<AgentName>().expect("a name");
        let provider: ProviderId = "github".parse().expect("a name");
        let known = |count: usize| {
            let meaning = Meaning { whose: None, connection: "github".parse().expect("a handle") };
            let meanings = (0..count).map(|number| (number.to_string(), meaning.clone())).collect();
            let (registry, own, apps) = (Arc::default(), OwnConnections::default(), Map::default());
            Rc::new(Known { registry, generation: 0, connections: RefCell::new(Arc::default()), own, meanings, apps })
        };
        let (many, one) = (known(KEPT_OF_AGENTS / 2), known(1));
        for name in ["a", "b"] {
            kept.put(&agent(name), &provider, &many, false);
        }
        assert!(kept.get(&agent("a"), &provider).is_some() && kept.get(&agent("c"), &provider).is_none());
        kept.put(&agent("b"), &provider, &many, false);
        assert!(kept.get(&agent("a"), &provider).is_some(), "the same agent's take the place of those before");
        kept.put(&agent("c"), &provider, &one, false);
        assert!(
            kept.get(&agent("a"), &provider).is_none() && kept.get(&agent("c"), &provider).is_some(),
            "there was no more room"
        );
        kept.put(&agent("d"), &provider, &one, true);
        assert!(Rc::ptr_eq(&kept.get(&agent("a"), &provider).expect("of all"), &one));
        assert!(kept.of_one.borrow().is_empty());
    }

    #[test]
    fn a_placeholder_is_found_behind_any_prefix() {
        let tail = "Abcdefghijklmnopqrstuvwxyz0123456789";
        let (whose, connection) = ("a".parse().ok(), "github".parse().expect("a handle"));
        let meaning = Meaning { whose, connection };
        let meanings = Map::from_iter([(tail.to_owned(), meaning.clone())]);
        let app = Meaning { whose: None, ..meaning.clone() };
        let apps = Map::from_iter([("QRSTUVWXYZ01234567".to_owned(), app.clone())]);
        let known = Known {
            registry: Arc::default(),
            generation: 0,
            connections: RefCell::new(Arc::default()),
            own: OwnConnections::default(),
            meanings,
            apps,
        };
        for text in [format!("Bearer ghp_{tail}"), format!("ATATT{tail}"), format!("a=1; d={tail}; e=2"), tail.to_owned()] {
            assert_eq!(known.find(text.as_bytes()), Some(&meaning), "{text}");
        }
        assert_eq!(known.find(b"Bearer ghp_QRSTUVWXYZ01234567123456789012345678"), Some(&app));
        for text in [format!("{tail}x"), "QRSTUVWXYZ01234567".to_owned(), tail[1..].to_owned(), String::new()] {
            assert_eq!(known.find(text.as_bytes()), None, "{text}");
        }
    }
}
