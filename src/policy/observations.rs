//! `Observations`: who went where, as the lines of the log have it, for what rules would have needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use super::suggest::Observed;
use crate::model::AgentName;

/// What the log has.
#[derive(Debug)]
pub struct Observations {
    /// More kinds of requests than this are not kept.
    most: usize,
    /// What was let on, and how often.
    pub kinds: BTreeMap<Observed, u64>,
    /// What was refused, and how often.
    pub refused: BTreeMap<Observed, u64>,
    /// What a rule refused, or a person was asked about, and how often.
    pub guarded: BTreeMap<Observed, u64>,
    /// How many requests came from agents that one command made for itself, which rules can't name.
    pub passing: u64,
    /// Whether there was more than fits.
    pub dropped: bool,
}

/// A line of the log as far as it is about who went where.
#[derive(Deserialize)]
struct Line {
    event: String,
    time: Timestamp,
    agent: Option<String>,
    verdict: Option<String>,
    method: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    path: Option<String>,
    provider: Option<String>,
    refusal: Option<String>,
    approval: Option<String>,
}

/// What becomes of a line.
enum Kind {
    LetOn,
    Refused,
    /// It was on record before its address was known.
    TakenBack,
}

impl Observations {
    /// Nothing yet; `most` kinds of requests fit.
    pub fn new(most: usize) -> Self {
        let (kinds, refused, guarded) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { most, kinds, refused, guarded, passing: 0, dropped: false }
    }

    /// Takes in a line that is not older than `since`, of `agent` where one is named, else of all but those that a command made for itself.
    pub fn take(&mut self, line: &str, since: Timestamp, agent: Option<&AgentName>) {
        let Ok(line) = serde_json::from_str::<Line>(line) else { return };
        // A CONNECT that is opened tells nothing: the requests inside have lines of their own.
        let tunnel = line.event == "tunnel_close" || line.verdict.as_deref() == Some("tunnel");
        let address = matches!(line.refusal.as_deref(), Some("private-address" | "loop"));
        // A person is asked, and its program comes back: what goes on then is on record again. Other answers of ours say whose they are.
        let asked = line.verdict.as_deref() == Some("answer") && line.provider.is_none();
        let kind = match line.event.as_str() {
            "open" if asked => return,
            "open" => Kind::LetOn,
            "tunnel_open" if tunnel => Kind::LetOn,
            "close" | "tunnel_close" if address => Kind::TakenBack,
            "refuse" => Kind::Refused,
            _ => return,
        };
        let Some(observed) =
            observed(&line, tunnel).filter(|one| line.time >= since && agent.is_none_or(|own| *own == one.agent))
        else {
            return;
        };
        if agent.is_none() && observed.agent.is_of_command() {
            self.passing += u64::from(matches!(kind, Kind::LetOn));
            return;
        }
        if matches!(kind, Kind::TakenBack) {
            match self.kinds.get_mut(&observed) {
                Some(1) => drop(self.kinds.remove(&observed)),
                Some(count) => *count -= 1,
                // It was opened before the time that is asked about.
                None => return,
            }
        }
        if self.kinds.len() + self.refused.len() >= self.most {
            self.dropped = true;
            return;
        }
        if line.approval.is_some() || line.refusal.as_deref() == Some("policy") {
            *self.guarded.entry(observed.clone()).or_insert(0) += 1;
        }
        let count = match kind {
            Kind::LetOn => self.kinds.entry(observed).or_insert(0),
            Kind::Refused | Kind::TakenBack => self.refused.entry(observed).or_insert(0),
        };
        *count += 1;
    }

    /// How many requests were let on.
    pub fn requests(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// What was let on.
    pub fn let_on(&self) -> BTreeSet<Observed> {
        self.kinds.keys().cloned().collect()
    }
}

fn observed(line: &Line, tunnel: bool) -> Option<Observed> {
    let call = if tunnel { None } else { Some((line.method.clone()?, line.path.clone()?)) };
    Some(Observed {
        agent: line.agent.as_deref()?.parse().ok()?,
        provider: line.provider.as_deref().and_then(|name| name.parse().ok()),
        host: line.host.as_deref()?.parse().ok()?,
        port: line.port?,
        call,
    })
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        match &self.call {
            Some((method, path)) => write!(formatter, "{} {method} {}{port}{path}", self.agent, self.host),
            None => write!(formatter, "{} CONNECT {}{port}", self.agent, self.host),
        }
    }
}
