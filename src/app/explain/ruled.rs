//! What the rules that people wrote say of a request, for `nexus explain`.

use serde::Serialize;

use super::answer::{Explanation, Outcome};
use crate::decide::Passage;
use crate::policy::{Few, Rule, Ruling};

/// The rules that have a say in what becomes of the request.
#[derive(Debug, Clone, Serialize)]
pub struct Ruled {
    /// The one that decides; none where the default does.
    pub rule: Option<ShownRule>,
    /// Those by whose limits it counts.
    pub limits: Vec<ShownRule>,
    /// Those that want a person's word first.
    pub approvals: Vec<ShownRule>,
    /// Those that only report, and would hold it for one.
    pub would_hold: Vec<ShownRule>,
    /// Those that look into its body first.
    pub looks: Vec<ShownRule>,
    /// Those that only report, and would refuse it.
    pub would_refuse: Vec<ShownRule>,
}

/// A rule, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownRule {
    /// What records and refusals call it.
    pub name: String,
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// `allow`, `deny`, `limit`, `approve`, or the preset's name.
    pub action: &'static str,
}

impl ShownRule {
    /// As people are shown it.
    pub fn of(rule: &Rule) -> Self {
        let (file, line) = rule.place();
        Self { name: rule.name().to_string(), file: file.to_owned(), line, action: rule.action() }
    }
}

impl Ruled {
    /// `None` where no rule speaks of it.
    pub(super) fn of(ruling: &Ruling) -> Option<Self> {
        let (limits, looks) = (shown(&ruling.limits), shown(&ruling.looks));
        let rule = ruling.deciding().map(|rule| ShownRule::of(rule));
        let (would_hold, approvals): (Few, Few) = ruling.approvals.iter().cloned().partition(|rule| rule.reports());
        let (approvals, would_hold) = (shown(&approvals), shown(&would_hold));
        Self { rule, limits, looks, approvals, would_hold, would_refuse: shown(&ruling.reports) }.said()
    }

    /// The same of a CONNECT.
    pub(super) fn of_connect(passage: &Passage) -> Option<Self> {
        let rule = passage.rule.as_ref().map(|rule| ShownRule::of(rule));
        let would_refuse = shown(&passage.reports);
        let (limits, looks, approvals, would_hold) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { rule, limits, looks, approvals, would_hold, would_refuse }.said()
    }

    fn said(self) -> Option<Self> {
        let others = [&self.limits, &self.looks, &self.approvals, &self.would_hold, &self.would_refuse];
        (self.rule.is_some() || others.iter().any(|rules| !rules.is_empty())).then_some(self)
    }
}

/// The answer with the rules that have a say in it.
pub(super) fn told(ruling: &Ruling, answer: Explanation) -> Explanation {
    let policy = Ruled::of(ruling);
    let asking = policy.as_ref().and_then(|policy| policy.approvals.first()).filter(|_| answer.outcome != Outcome::Refuse);
    let why = match asking {
        Some(rule) => format!(
            "it waits for a person's yes, which the rule `{}` wants (`nexus approvals`); then: {}",
            rule.name, answer.why
        ),
        None => answer.why,
    };
    Explanation { policy, why, ..answer }
}

fn shown(rules: &Few) -> Vec<ShownRule> {
    rules.iter().map(|rule| ShownRule::of(rule)).collect()
}
