//! Requests whose answer is a new credential, where the provider's file says how it is taken out of the answer.

use std::sync::Arc;

use super::candidate::{Candidate, most_specific, rules_of};
use super::occupants::Occupants;
use super::route::{Named, Reason, Route};
use super::settings::Mints;
use super::snapshot::Rules;
use crate::agent::Agent;
use crate::model::{Methods, Target, is_readable};
use crate::policy::Content;
use crate::provider::Mint;

/// A request whose answer is a credential that is kept here.
#[derive(Debug, Clone)]
pub(crate) struct Minting {
    /// The one provider of the place that it is for.
    pub(crate) named: Named,
    /// The number of the rule that says so, and of its capture.
    place: (usize, usize),
}

impl Minting {
    /// How the answer is taken apart.
    pub(crate) fn mint(&self) -> Option<&Mint> {
        let (rule, number) = self.place;
        self.named.provider.inject.get(rule)?.captures.get(number)
    }
}

impl Rules {
    /// Whether some provider's file says how the answer to such a request is taken apart, whatever the operator wants.
    pub(crate) fn knows_answer_of(&self, target: &Target) -> bool {
        let (authority, path) = (&target.authority, target.path.path());
        let mut rules = self.providers().iter().flat_map(|provider| &provider.inject);
        rules.any(|rule| {
            let here = rule.port == authority.port && rule.hosts.iter().any(|own| own.matches(&authority.host));
            here && rule.captures(&target.method, path).is_some()
        })
    }

    /// What becomes of a request to a place that some rule of `at_port` names as one that mints.
    pub(super) fn minting(
        &self,
        (target, content): (&Target, &Content<'_>),
        agent: &Agent,
        at_port: &[Candidate<'_>],
        occupants: Arc<Occupants>,
    ) -> Route {
        if !is_readable(target.path.path()) {
            // A path without one plain reading counts as every path, and is refused for what it is.
            return Route::Refuse(Reason::Unclear);
        }
        let captured = match self.settings().mints {
            Mints::Capture if content.methods(target.method.as_str()).is_empty() => captured(target, agent, at_port, occupants),
            Mints::Capture | Mints::Refuse => None,
        };
        captured.map_or(Route::Refuse(Reason::Mint), |minting| Route::Mint(Box::new(minting)))
    }
}

/// `None` where any of the place's providers knows it as one that mints in another way: doubt is a refusal.
fn captured(target: &Target, agent: &Agent, at_port: &[Candidate<'_>], occupants: Arc<Occupants>) -> Option<Minting> {
    let (host, path, method) = (&target.authority.host, target.path.path(), &target.method);
    let provider = most_specific(at_port, host, path).filter(|provider| agent.may_use(&provider.id))?;
    let named = target.path.as_str();
    let theirs = at_port.iter().any(|(other, _, rule)| other.id != provider.id && rule.mints(method, named));
    let overridden = target.path.query().is_some_and(|query| !Methods::of_query(query).is_empty());
    if theirs || overridden || at_port.iter().any(|(_, _, rule)| rule.mints_by_query(target.path.query())) {
        return None;
    }
    let rules = rules_of(provider, at_port, path);
    let place = rules.iter().find_map(|rule| Some((*rule, provider.inject.get(*rule)?.captures(method, path)?)))?;
    Some(Minting { named: Named { provider: Arc::clone(provider), rules, occupants, beside: Vec::new() }, place })
}

/// Whether the answer may hold a new credential by a method that the body puts in place. Where that depends on a body which was not read,
/// `by_body` is set.
pub(super) fn mints_in_place(target: &Target, content: &Content<'_>, at_port: &[Candidate<'_>], by_body: &mut bool) -> bool {
    let (method, path) = (target.method.as_str(), target.path.as_str());
    let mints = |by: Methods| at_port.iter().any(|(_, _, rule)| rule.mints_in_place(method, by, path));
    if method != "POST" || !mints(Methods::ANY) || !content.may_name_method(method) {
        return false;
    }
    *by_body = content.may_name_method_unread(method);
    mints(content.methods(method))
}
