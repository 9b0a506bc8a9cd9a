//! Which of the providers that share a host a path belongs to.

use std::sync::Arc;

use super::route::Numbers;
use crate::model::Host;
use crate::provider::{HostPattern, InjectRule, Provider};

/// A provider, the number of one of its rules, and the rule.
pub(super) type Candidate<'a> = (&'a Arc<Provider>, usize, &'a InjectRule);

/// Where providers share a host, the one that spells out most of its name, then the longest prefix of the path; of equals the one that
/// says it stands beside the other, else the first.
pub(super) fn most_specific<'a>(rules: &[Candidate<'a>], host: &Host, path: &str) -> Option<&'a Arc<Provider>> {
    let (first, _, _) = rules.first()?;
    if rules.iter().all(|(provider, _, _)| provider.id == first.id) {
        return rules.iter().any(|(_, _, rule)| rule.path_specificity(path).is_some()).then_some(*first);
    }
    type Rank = (usize, usize, bool);
    let mut best: Option<(Rank, &'a Arc<Provider>)> = None;
    for (provider, _, rule) in rules {
        let Some(length) = rule.path_specificity(path) else { continue };
        let named = rule.hosts.iter().filter(|pattern| pattern.matches(host)).map(HostPattern::specificity).max();
        let rank = (named.unwrap_or_default(), length, !provider.beside.is_empty());
        if best.is_none_or(|(highest, _)| rank > highest) {
            best = Some((rank, provider));
        }
    }
    best.map(|(_, provider)| provider)
}

/// The rules of `provider` that take `path`, in its file's order.
pub(super) fn rules_of(provider: &Provider, rules: &[Candidate<'_>], path: &str) -> Numbers {
    let own = rules.iter().filter(|(other, _, rule)| other.id == provider.id && rule.path_specificity(path).is_some());
    own.map(|(_, number, _)| *number).collect()
}
