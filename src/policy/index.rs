//! `Index`: which rules may speak of a request, found in as many look-ups however many rules there are for others.

use std::sync::Arc;

use smallvec::SmallVec;

use super::asked::Question;
use super::rule::Rule;
use super::terms::{AgentTerm, ProviderTerm};
use crate::model::{AgentName, Fit, Host, HostTerm, Map, ProviderId, UserName};

/// Numbers of rules, rising.
type Numbers = Vec<u32>;

/// The rules by where they lead, then by whom they speak of.
#[derive(Debug, Default)]
pub(super) struct Index {
    hosts: Map<Host, Whom>,
    /// By what stands behind `*.`.
    below: Map<Box<str>, Whom>,
    providers: Map<ProviderId, Whom>,
    any_provider: Whom,
    everywhere: Whom,
}

#[derive(Debug, Default)]
struct Whom {
    agents: Map<AgentName, Numbers>,
    /// By how names begin, and the lengths of those beginnings, each once.
    begins: Map<Box<str>, Numbers>,
    lengths: Vec<usize>,
    users: Map<UserName, Numbers>,
    everybody: Numbers,
}

impl Index {
    /// Indexes `rules` by their places in the list.
    pub(super) fn of(rules: &[Arc<Rule>]) -> Self {
        let mut index = Self::default();
        for (number, rule) in (0_u32..).zip(rules) {
            index.add(number, rule);
        }
        index
    }

    fn add(&mut self, number: u32, rule: &Rule) {
        let row = &rule.row;
        for term in &row.hosts {
            match term {
                HostTerm::One(host) => self.hosts.entry(host.clone()).or_default().add(number, rule),
                HostTerm::Below(ending) => self.below.entry(ending.clone()).or_default().add(number, rule),
            }
        }
        if !row.hosts.is_empty() {
            return;
        }
        for term in &row.provider {
            match term {
                ProviderTerm::One(id) => self.providers.entry(id.clone()).or_default().add(number, rule),
                ProviderTerm::Any => self.any_provider.add(number, rule),
            }
        }
        if row.provider.is_empty() {
            self.everywhere.add(number, rule);
        }
    }

    /// The numbers of those that may speak of it, rising, each once.
    pub(super) fn about<'i>(&'i self, question: &Question<'_>) -> Merged<'i> {
        let mut lists = Merged::default();
        let mut take = |whom: Option<&'i Whom>| whom.into_iter().for_each(|whom| whom.about(question, &mut lists));
        take(Some(&self.everywhere));
        if !self.hosts.is_empty() {
            take(self.hosts.get(question.host));
        }
        if let Some(name) = question.host.name().filter(|_| !self.below.is_empty()) {
            let behind = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
            behind.for_each(|behind| take(self.below.get(behind)));
        }
        for (id, _fit) in question.owners.iter().filter(|(_, fit)| *fit > Fit::No) {
            take(self.providers.get(*id));
        }
        if !question.owners.is_empty() {
            take(Some(&self.any_provider));
        }
        lists
    }
}

impl Whom {
    fn add(&mut self, number: u32, rule: &Rule) {
        let row = &rule.row;
        let put = |numbers: &mut Numbers| {
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        };
        for term in &row.agents {
            match term {
                AgentTerm::One(name) => put(self.agents.entry(name.clone()).or_default()),
                AgentTerm::Begins(begin) => {
                    put(self.begins.entry(begin.as_str().into()).or_default());
                    if !self.lengths.contains(&begin.as_str().len()) {
                        self.lengths.push(begin.as_str().len());
                    }
                }
            }
        }
        match (row.agents.is_empty(), row.users.as_slice()) {
            (false, _) => {}
            (true, []) => put(&mut self.everybody),
            (true, users) => users.iter().for_each(|user| put(self.users.entry(user.0.clone()).or_default())),
        }
    }

    fn about<'i>(&'i self, question: &Question<'_>, lists: &mut Merged<'i>) {
        lists.add(Some(&self.everybody));
        if !self.agents.is_empty() {
            lists.add(self.agents.get(question.agent));
        }
        for length in &self.lengths {
            lists.add(question.agent.as_str().get(..*length).and_then(|begin| self.begins.get(begin)));
        }
        if let Some(user) = question.user.filter(|_| !self.users.is_empty()) {
            lists.add(self.users.get(user));
        }
    }
}

/// Several rising lists as one.
#[derive(Default)]
pub(super) struct Merged<'i>(SmallVec<[&'i [u32]; 8]>);

impl<'i> Merged<'i> {
    fn add(&mut self, list: Option<&'i Numbers>) {
        self.0.extend(list.map(Vec::as_slice).filter(|list| !list.is_empty()));
    }
}

impl Iterator for Merged<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let least = self.0.iter().filter_map(|list| list.first()).min().copied()?;
        for list in &mut self.0 {
            if let Some((_, rest)) = list.split_first().filter(|(first, _)| **first == least) {
                *list = rest;
            }
        }
        Some(least)
    }
}
