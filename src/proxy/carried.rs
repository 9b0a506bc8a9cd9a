//! The secrets that an agent's requests went out with, for whoever wants them kept out of all that it is answered (`guard.scope`).

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use dashmap::DashMap;

use crate::agent::Agent;
use crate::guard::{Needles, StandIn};
use crate::model::AgentName;

/// Connections of one agent; the one that was used first goes first.
const KEPT: usize = 64;

/// What each agent's requests went with, as long as the broker holds it.
#[derive(Debug, Default)]
pub(crate) struct Carried(DashMap<AgentName, Vec<One>>);

/// A credential, and what stands in for it.
#[derive(Debug)]
struct One {
    needles: Weak<Needles>,
    stand_in: StandIn,
}

impl Carried {
    /// A request of `agent` goes out with the secrets of `needles`.
    pub(super) fn note(&self, agent: &Agent, needles: &Arc<Needles>, stand_in: impl FnOnce() -> StandIn) {
        let is_it = |one: &One| std::ptr::eq(one.needles.as_ptr(), Arc::as_ptr(needles));
        if needles.is_empty() || self.0.get(&agent.name).is_some_and(|all| all.iter().any(is_it)) {
            return;
        }
        let mut all = self.0.entry(agent.name.clone()).or_default();
        all.retain(|one| one.needles.strong_count() > 0 && !is_it(one));
        if all.len() >= KEPT {
            all.remove(0);
        }
        all.push(One { needles: Arc::downgrade(needles), stand_in: stand_in() });
    }

    /// Those of `agent` besides its own of one request.
    pub(super) fn others(&self, agent: &Agent, is_own: impl Fn(&Arc<Needles>) -> bool) -> Vec<(Arc<Needles>, StandIn)> {
        let Some(all) = self.0.get(&agent.name) else { return Vec::new() };
        let alive = all.iter().filter_map(|one| Some((one.needles.upgrade()?, one.stand_in.clone())));
        alive.filter(|(needles, _)| !is_own(needles)).collect()
    }

    /// Whether there is anything of `agent`.
    pub(super) fn knows(&self, agent: &Agent) -> bool {
        self.0.contains_key(&agent.name)
    }

    /// Forgets agents that are not `known` any more, and what the broker has dropped.
    pub(super) fn sweep<'a>(&self, known: impl Iterator<Item = &'a Agent>) {
        if self.0.is_empty() {
            return;
        }
        let known: HashSet<&AgentName> = known.map(|agent| &agent.name).collect();
        self.0.retain(|agent, all| {
            all.retain(|one| one.needles.strong_count() > 0);
            known.contains(agent) && !all.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    fn needles(secret: &str) -> Arc<Needles> {
        Arc::new(Needles::new(&[Secret::new(secret.to_owned())]))
    }

    fn stand_in() -> StandIn {
        StandIn { prefix: String::new(), tail: "tail".to_owned() }
    }

    #[test]
    fn i6_each_agent_has_its_own_and_only_what_is_alive() {
        let (carried, agent) = (Carried::default(), Agent::local().expect("an agent"));
        let (one, other) = (needles("a-secret-of-one-0123"), needles("a-secret-of-another-0123"));
        for needles in [&one, &other, &one, &needles("short")] {
            carried.note(&agent, needles, stand_in);
        }
        let is_one = |needles: &Arc<Needles>| Arc::ptr_eq(needles, &one);
        assert_eq!((carried.others(&agent, |_| false).len(), carried.others(&agent, is_one).len()), (2, 1));
        drop(other);
        assert!(carried.others(&agent, is_one).is_empty());
        carried.sweep([&agent].into_iter());
        assert!(carried.knows(&agent));
        carried.sweep([].into_iter());
        assert!(!carried.knows(&agent));
        let all: Vec<_> = (0..100).map(|number| needles(&format!("a-secret-number-{number:03}"))).collect();
        all.iter().for_each(|needles| carried.note(&agent, needles, stand_in));
        assert_eq!(carried.others(&agent, |_| false).len(), KEPT);
    }
}
