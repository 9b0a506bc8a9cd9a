//! Whose placeholder is this? Those of all agents for a provider's connections, made once and found by one look-up.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::worker::Worker;
use crate::agent::{Agent, Registry};
use crate::model::{AgentName, ConnectionId, Map, ProviderId};
use crate::vault::{OwnConnection, OwnConnections};

/// The length of what follows a placeholder's prefix.
const TAIL: usize = 36;
/// More than this many are not kept: then only the asking agent's are known.
const KEPT: usize = 50_000;

/// Kept per provider until its connections or the agents change.
#[derive(Debug, Default)]
pub(super) struct Kept(RefCell<Map<ProviderId, Rc<Known>>>);

/// What each placeholder of one provider means.
#[derive(Debug)]
pub(super) struct Known {
    registry: Arc<Registry>,
    connections: Vec<ConnectionId>,
    own: OwnConnections,
    meanings: Map<String, (AgentName, ConnectionId)>,
}

impl Worker {
    /// The placeholders of `connections`, all of which are `provider`'s, for every agent, and those of each agent for its `own`. Where there
    /// are no connections: those that each agent may still hold, of its user's connection and the default one.
    pub(super) fn placeholders(
        &self,
        agent: &Agent,
        provider: &ProviderId,
        (connections, own): (&[ConnectionId], &OwnConnections),
    ) -> Rc<Known> {
        let registry = self.proxy.agents.load_full();
        if let Some(known) = self.kept_placeholders.0.borrow().get(provider)
            && Arc::ptr_eq(&known.registry, &registry)
            && known.connections == connections
            && known.own == *own
        {
            return Rc::clone(known);
        }
        let mut agents: Vec<&Agent> = registry.agents().chain([&*self.proxy.local]).collect();
        let keep = agents.len().saturating_mul(connections.len().max(2)) <= KEPT;
        if !keep {
            agents = vec![agent];
        }
        let mut meanings = Map::default();
        for agent in agents {
            let usual = [None, agent.user.clone()].map(|user| ConnectionId::new(provider.clone(), user));
            for connection in if connections.is_empty() { &usual[..] } else { connections } {
                let tail = self.proxy.placeholders.tail(&agent.name, connection);
                meanings.insert(tail, (agent.name.clone(), connection.clone()));
            }
        }
        for OwnConnection { agent, id, since, .. } in own.iter() {
            meanings.insert(self.proxy.placeholders.tail_since(agent, id, *since), (agent.clone(), id.clone()));
        }
        let (connections, own) = (connections.to_vec(), own.clone());
        let known = Rc::new(Known { registry: Arc::clone(&registry), connections, own, meanings });
        if keep {
            self.kept_placeholders.0.borrow_mut().insert(provider.clone(), Rc::clone(&known));
        }
        known
    }
}

impl Known {
    /// Whose placeholder for which connection stands in `value`, at the end of any run of letters and digits.
    pub(super) fn find(&self, value: &[u8]) -> Option<&(AgentName, ConnectionId)> {
        let runs = value.split(|byte| !byte.is_ascii_alphanumeric()).filter(|run| run.len() >= TAIL);
        let mut tails = runs.filter_map(|run| std::str::from_utf8(run.get(run.len() - TAIL..)?).ok());
        tails.find_map(|tail| self.meanings.get(tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_found_behind_any_prefix() {
        let tail = "Abcdefghijklmnopqrstuvwxyz0123456789";
        let meaning: (AgentName, ConnectionId) = ("a".parse().expect("a name"), "github".parse().expect("a handle"));
        let meanings = Map::from_iter([(tail.to_owned(), meaning.clone())]);
        let known = Known { registry: Arc::default(), connections: Vec::new(), own: OwnConnections::default(), meanings };
        for text in [format!("Bearer ghp_{tail}"), format!("ATATT{tail}"), format!("a=1; d={tail}; e=2"), tail.to_owned()] {
            assert_eq!(known.find(text.as_bytes()), Some(&meaning), "{text}");
        }
        for text in [format!("{tail}x"), tail[1..].to_owned(), String::new()] {
            assert_eq!(known.find(text.as_bytes()), None, "{text}");
        }
    }
}
