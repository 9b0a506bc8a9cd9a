//! What people changed in the files of agents, told to the audit log once it is in force, as what the gateway changes is. Nothing that takes
//! an agent's access away waits for it.

use std::collections::BTreeMap;

use crate::agent::{Frozen, Registered, Registry};
use crate::audit::Log;
use crate::model::AgentName;

/// More changes at once than this are told as a number.
const EACH: usize = 1000;

/// Who changed it, which files don't say.
const BY: [(&str, &str); 2] = [("by", "the home's files"), ("kind", "file")];

/// What became of the agents that last.
pub(super) fn agents(log: &Log, before: &Registry, after: &Registry) {
    let lasting = |registry: &'_ Registry| registry.rows().iter().filter(|row| !row.ephemeral).cloned().collect::<Vec<_>>();
    let (before, after) = (lasting(before), lasting(after));
    let mut gone: BTreeMap<&AgentName, &Registered> = before.iter().map(|row| (&row.name, row)).collect();
    let mut changes: Vec<(&'static str, &Registered)> = Vec::new();
    for row in &after {
        match gone.remove(&row.name) {
            Some(known) if known == row => {}
            Some(known) if known.has_token_of(row) => changes.push(("agent_limited", row)),
            Some(known) => changes.extend([("agent_revoked", known), ("agent_added", row)]),
            None => changes.push(("agent_added", row)),
        }
    }
    changes.extend(gone.values().map(|row| ("agent_revoked", *row)));
    let told = changes.iter().map(|(event, row)| {
        let limits = (*event != "agent_revoked").then(|| ("limits", row.limits_in_words()));
        (*event, &row.name, limits)
    });
    tell(log, told);
}

/// Who gets nothing any more, and who does again.
pub(super) fn frozen(log: &Log, before: &[Frozen], after: &[Frozen]) {
    let only = |some: &'_ [Frozen], others: &[Frozen]| {
        let is_new = |one: &&Frozen| others.iter().all(|other| other.agent != one.agent);
        some.iter().filter(is_new).cloned().collect::<Vec<_>>()
    };
    let (froze, thawed) = (only(after, before), only(before, after));
    let froze = froze.iter().map(|one| ("agent_frozen", &one.agent, Some(("reason", one.why.to_string()))));
    tell(log, froze.chain(thawed.iter().map(|one| ("agent_thawed", &one.agent, None))));
}

/// An event, whom it is about, and what it says more.
type Told<'t> = (&'static str, &'t AgentName, Option<(&'static str, String)>);

fn tell<'t>(log: &Log, told: impl Iterator<Item = Told<'t>>) {
    let note = |event: &'static str, details: &[(&'static str, &str)]| {
        if let Err(error) = log.event(event, details) {
            tracing::error!(error = &error as &dyn std::error::Error, event, "a change of agents can't be noted");
        }
    };
    let mut left = 0_usize;
    for (number, (event, agent, more)) in told.enumerate() {
        if number >= EACH {
            left += 1;
            continue;
        }
        let more = more.as_ref().map(|(key, value)| (*key, value.as_str()));
        let details: Vec<(&'static str, &str)> = BY.into_iter().chain([("agent", agent.as_str())]).chain(more).collect();
        note(event, &details);
    }
    if left > 0 {
        let left = left.to_string();
        note("agents_changed", &[BY[0], BY[1], ("more", &left)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Token;

    #[test]
    fn each_change_is_told_once_and_commands_that_pass_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("audit");
        crate::disk::create_private_dir(&place).expect("a private folder");
        let log = Log::start(crate::audit::Settings::shipped(place.clone())).expect("a log");
        let row = |name: &str| Registered::unlimited(name.parse().expect("a name"), &Token::random().expect("random"));
        let (kept, gone, changed, again) = (row("kept"), row("gone"), row("changed"), row("again"));
        let passing = Registered { ephemeral: true, ..row("run-1-00000000") };
        let limited = Registered { user: Some("alice".parse().expect("a name")), ..changed.clone() };
        let registry = |rows: &[&Registered]| {
            let rows: Vec<Registered> = rows.iter().map(|row| (*row).clone()).collect();
            Registry::update(&Registry::default(), &rows)
        };
        let before = registry(&[&kept, &gone, &changed, &again]);
        agents(&log, &before, &registry(&[&kept, &limited, &row("again"), &row("new"), &passing]));
        let freeze =
            |name: &str| Frozen { agent: name.parse().expect("a name"), since: std::time::UNIX_EPOCH, why: "a test".into() };
        frozen(&log, &[freeze("a"), freeze("b")], &[freeze("b"), freeze("c")]);
        log.stop();
        let mut told: Vec<String> = Vec::new();
        for file in std::fs::read_dir(&place).expect("a folder").flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            for line in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
                if let (Some(event), Some(agent)) = (line["event"].as_str(), line["agent"].as_str()) {
                    told.push(format!("{event} {agent}"));
                }
            }
        }
        assert_eq!(
            told,
            [
                "agent_limited changed",
                "agent_revoked again",
                "agent_added again",
                "agent_added new",
                "agent_revoked gone",
                "agent_frozen c",
                "agent_thawed a",
            ]
        );
    }
}
