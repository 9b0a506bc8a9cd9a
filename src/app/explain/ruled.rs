//! What the rules that people wrote say of a request, for `nexus explain`.

use serde::Serialize;

use crate::decide::Passage;
use crate::policy::{Few, Rule, Ruling};

/// The rules that have a say in what becomes of the request.
#[derive(Debug, Clone, Serialize)]
pub struct Ruled {
    /// The one that decides; none where the default does.
    pub rule: Option<ShownRule>,
    /// Those by whose limits it counts.
    pub limits: Vec<ShownRule>,
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
    /// `allow`, `deny`, `limit`, or the preset's name.
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
        Self { rule, limits, looks, would_refuse: shown(&ruling.reports) }.said()
    }

    /// The same of a CONNECT.
    pub(super) fn of_connect(passage: &Passage) -> Option<Self> {
        let rule = passage.rule.as_ref().map(|rule| ShownRule::of(rule));
        Self { rule, limits: Vec::new(), looks: Vec::new(), would_refuse: shown(&passage.reports) }.said()
    }

    fn said(self) -> Option<Self> {
        let silent = self.rule.is_none() && self.limits.is_empty() && self.looks.is_empty() && self.would_refuse.is_empty();
        (!silent).then_some(self)
    }
}

fn shown(rules: &Few) -> Vec<ShownRule> {
    rules.iter().map(|rule| ShownRule::of(rule)).collect()
}
