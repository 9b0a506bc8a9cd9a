//! What `nexus explain` tells of a request.

use std::sync::Arc;

use serde::Serialize;

use super::ruled::Ruled;
use crate::provider::{InjectRule, Provider};

/// What becomes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The credential goes on.
    Inject,
    /// It goes on as the caller sent it.
    Pass,
    /// Its bytes go on unseen.
    Tunnel,
    /// It goes on without any credential.
    Strip,
    /// It is refused: by rule, by method or by address.
    Refuse,
    /// It is refused until a credential is registered.
    AuthRequired,
    /// It is answered with a page of the proxy's own.
    OwnPage,
    /// It is answered with worthless tokens, if it asks for some that a program gets by itself.
    Answer,
}

/// The rule that matched.
#[derive(Debug, Clone, Serialize)]
pub struct MatchedRule {
    /// Its place among the provider's `[[inject]]` tables, from 1.
    pub number: usize,
    /// Its host patterns.
    pub hosts: Vec<String>,
    /// Its path patterns; empty = every path.
    pub paths: Vec<String>,
}

impl MatchedRule {
    pub(super) fn of(number: usize, rule: &InjectRule) -> Self {
        let hosts = rule.hosts.iter().map(ToString::to_string).collect();
        Self { number: number + 1, hosts, paths: rule.paths.iter().map(ToString::to_string).collect() }
    }
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The method that was asked about.
    pub method: String,
    /// The URL, normalised.
    pub url: String,
    /// For whom.
    pub agent: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What becomes of the CONNECT before it: `tunnel`, `intercept` or `refuse`; none for `http://`.
    pub connect: Option<&'static str>,
    /// Whose host it is.
    pub provider: Option<String>,
    /// The rule that matched.
    pub rule: Option<MatchedRule>,
    /// The account whose credential is used.
    pub connection: Option<String>,
    /// How it goes on: `bearer`, `basic`, `header`, `query`, `cookie`.
    pub strategy: Vec<&'static str>,
    /// The same, written out with the names of fields.
    pub placements: Vec<String>,
    /// What is taken out of the request before that: every slot of every provider on this host.
    pub strips: Vec<String>,
    /// The rules that people wrote and that have a say in it.
    pub policy: Option<Ruled>,
    /// Why.
    pub why: String,
    /// The next command to type, where one would help.
    pub command: Option<String>,
}

impl Explanation {
    pub(super) fn of(self, provider: &Provider) -> Self {
        Self { provider: Some(provider.id.to_string()), ..self }
    }

    pub(super) fn of_first(self, providers: &[Arc<Provider>]) -> Self {
        providers.iter().take(1).fold(self, |answer, provider| answer.of(provider))
    }
}
