//! `Policy`: all rules in their order, found by whom and where they speak of; and what they say together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;

use super::asked::{Asked, Presets, Question};
use super::index::Index;
use super::rule::{Ahead, Rule, Word};
use crate::model::Fit;

/// The rules of one moment.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    rules: Vec<Arc<Rule>>,
    index: Index,
    /// What no rule speaks of is refused.
    closed: bool,
    /// Some rule speaks of methods or paths.
    looks_at_requests: bool,
    /// Some rule speaks of some times only.
    timed: bool,
    /// Some rule wants a person's word.
    asks: bool,
}

const MINUTE: Duration = Duration::from_secs(60);

/// A few rules.
pub(crate) type Few = SmallVec<[Arc<Rule>; 2]>;

/// What the rules say of a request.
#[derive(Debug, Default)]
pub(crate) struct Ruling {
    /// The rule that refuses it.
    pub(crate) denied: Option<Arc<Rule>>,
    /// No rule speaks of it, and such requests are refused.
    pub(crate) unruled: bool,
    /// Some rule that was asked speaks of methods: what puts another one in place would count.
    pub(crate) by_method: bool,
    /// Some rule that was asked speaks of some times only: later another answer may hold.
    pub(crate) timed: bool,
    /// The rule that lets it go on, without doubt.
    pub(crate) allowed: Option<Arc<Rule>>,
    /// Those by which it counts, reporting ones too.
    pub(crate) limits: Few,
    /// Those that must see the body first, reporting ones too.
    pub(crate) looks: Few,
    /// Those that want a person's word first, reporting ones too.
    pub(crate) approvals: Few,
    /// Reporting ones that would have refused it.
    pub(crate) reports: Few,
}

impl Ruling {
    /// Whether it may end here, or be kept waiting.
    pub(crate) fn may_stop(&self) -> bool {
        let asks = [&self.limits, &self.looks, &self.approvals];
        self.denied.is_some() || self.unruled || asks.into_iter().any(|rules| !rules.is_empty())
    }

    /// The rule to be named in the record.
    pub(crate) fn deciding(&self) -> Option<&Arc<Rule>> {
        self.denied.as_ref().or(self.allowed.as_ref())
    }

    /// Takes in what `rule` says; says whether nothing can change any more.
    fn take_in(&mut self, rule: &Arc<Rule>, fit: Fit, word: Word) -> bool {
        let keep = |rules: &mut Few| rules.push(Arc::clone(rule));
        match word {
            Word::Deny if rule.reports() => keep(&mut self.reports),
            Word::Deny => self.denied = Some(Arc::clone(rule)),
            Word::Limit => keep(&mut self.limits),
            Word::IfBody => keep(&mut self.looks),
            Word::Approve => keep(&mut self.approvals),
            Word::Allow => {}
        }
        if fit == Fit::Yes && word != Word::Deny && !rule.reports() {
            self.allowed = Some(Arc::clone(rule));
        }
        !rule.reports() && (fit == Fit::Yes || word == Word::Deny)
    }
}

/// What the rules say of a CONNECT.
#[derive(Debug)]
pub(crate) enum Doorway {
    /// Every request would be refused: by this rule, or since none speaks of it.
    Shut(Option<Arc<Rule>>),
    /// It depends on the requests.
    Watched,
    /// Every request may go on: by this rule, or since none speaks of it.
    Open(Option<Arc<Rule>>),
}

impl Policy {
    /// Those of `rules`, in their order. If `closed`, what none of them speaks of is refused, as soon as there is one that is enforced.
    pub(crate) fn new(rules: Vec<Arc<Rule>>, closed: bool) -> Self {
        let enforced = rules.iter().any(|rule| !rule.reports());
        let looks_at_requests = rules.iter().any(|rule| rule.looks_at_requests());
        let timed = rules.iter().any(|rule| rule.is_timed());
        let asks = rules.iter().any(|rule| rule.asks());
        Self { index: Index::of(&rules), closed: closed && enforced, looks_at_requests, timed, asks, rules }
    }

    /// Whether some rule speaks of methods or paths: then no field of a request may put others in their place.
    pub(crate) fn looks_at_requests(&self) -> bool {
        self.looks_at_requests
    }

    /// Whether some rule speaks of some times only.
    pub(crate) fn is_timed(&self) -> bool {
        self.timed
    }

    /// Whether a person may be asked about a request of a CONNECT.
    pub(crate) fn may_ask(&self, question: &Question<'_>) -> bool {
        let about = || self.index.about(question).filter_map(|number| self.rules.get(number as usize));
        let says = |rule: &Rule| rule.ahead(question);
        self.asks
            && about()
                .take_while(|rule| rule.reports() || !matches!(says(rule), Ahead::Now(_)))
                .any(|rule| rule.asks() && says(rule) != Ahead::No)
    }

    /// After how long another answer may hold: hours begin and end with a minute, rules at any moment.
    pub(crate) fn look_again(&self, now: SystemTime) -> Duration {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let minute = MINUTE - Duration::new(since.as_secs() % MINUTE.as_secs(), since.subsec_nanos());
        self.rules.iter().filter_map(|rule| rule.ends_in(now)).chain([minute]).min().unwrap_or(minute)
    }

    /// Whether there is no rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What the rules say of a request: the first that fits decides. Where one may fit and may not, the stricter of what it says and of what
    /// the later ones say holds.
    pub(crate) fn judge(&self, question: &Question<'_>, asked: &Asked<'_>, presets: &Presets<'_>) -> Ruling {
        let mut ruling = Ruling::default();
        for number in self.index.about(question) {
            let Some(rule) = self.rules.get(number as usize) else { continue };
            ruling.by_method |= rule.looks_at_methods();
            ruling.timed |= rule.is_timed();
            let fit = rule.fits(question, asked);
            if fit > Fit::No && ruling.take_in(rule, fit, rule.word(question, asked, presets)) {
                return ruling;
            }
        }
        ruling.unruled = self.closed;
        ruling
    }

    /// What the rules say of a CONNECT, before anything inside is seen; and those that would report its refusal. What only the requests would
    /// tell is reported where they are seen anyway: a rule that reports opens no tunnel.
    pub(crate) fn judge_connect(&self, question: &Question<'_>) -> (Doorway, Few) {
        let (mut may_allow, mut may_deny, mut reports) = (false, false, Few::new());
        for number in self.index.about(question) {
            let Some(rule) = self.rules.get(number as usize) else { continue };
            let doorway = match rule.ahead(question) {
                Ahead::Now(Word::Deny) if rule.reports() => {
                    reports.push(Arc::clone(rule));
                    continue;
                }
                Ahead::No => continue,
                Ahead::Later(_) | Ahead::Now(_) if rule.reports() => continue,
                Ahead::Later(allows) => {
                    (may_allow, may_deny) = (may_allow || allows, true);
                    continue;
                }
                Ahead::Now(Word::Deny) if may_allow => Doorway::Watched,
                Ahead::Now(Word::Deny) => Doorway::Shut(Some(Arc::clone(rule))),
                Ahead::Now(_) if may_deny => Doorway::Watched,
                Ahead::Now(_) => Doorway::Open(Some(Arc::clone(rule))),
            };
            return (doorway, reports);
        }
        let doorway = match (self.closed, may_allow, may_deny) {
            (true, false, _) => Doorway::Shut(None),
            (true, true, _) | (false, _, true) => Doorway::Watched,
            (false, _, false) => Doorway::Open(None),
        };
        (doorway, reports)
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
