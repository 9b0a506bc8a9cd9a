//! `nexus policy test`: requests, and what must become of them.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;

use super::explain::{ExplainError, Explainer, Explanation, Inquired, Outcome};
use crate::model::AgentName;
use crate::wording::Mistake;

/// A table of requests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    request: Vec<Trial>,
}

/// One `[[request]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Who asks; without one a caller that no limit is set for.
    pub agent: Option<String>,
    /// `GET` if it isn't said.
    #[serde(default = "get")]
    pub method: String,
    /// Where to.
    pub url: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The body as text, where a rule looks into it or at its size.
    pub body: Option<String>,
    /// When; now if it isn't said.
    pub at: Option<Timestamp>,
    /// What must become of it.
    pub expect: Verdict,
    /// The rule that must decide it.
    pub rule: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// What becomes of a request, as far as rules are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes on.
    Allow,
    /// It is refused.
    Deny,
    /// It goes on and counts.
    Limit,
    /// It waits for a person's word.
    Approve,
}

impl Verdict {
    /// As the table writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Limit => "limit",
            Self::Approve => "approve",
        }
    }
}

/// What became of a trial.
#[derive(Debug)]
pub struct Tried {
    /// The trial.
    pub trial: Trial,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The rule that decides it.
    pub rule: Option<String>,
    /// The whole answer.
    pub explanation: Explanation,
}

impl Tried {
    /// Whether it is as it must be.
    pub fn is_right(&self) -> bool {
        self.verdict == self.trial.expect && self.trial.rule.as_ref().is_none_or(|rule| self.rule.as_ref() == Some(rule))
    }
}

/// Why a trial could not be held.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The file.
    #[error("the table of requests is not valid")]
    File(#[from] Mistake),
    /// One of its requests.
    #[error("request {number}: {url}")]
    Request {
        /// From 1.
        number: usize,
        /// Its URL.
        url: String,
        /// Why.
        #[source]
        cause: Box<ExplainError>,
    },
    /// No name of an agent.
    #[error(transparent)]
    Agent(#[from] crate::model::IdError),
}

/// Reads a table of requests.
///
/// # Errors
/// The first mistake, with its line and column.
pub fn trials(text: &str) -> Result<Vec<Trial>, TrialError> {
    let document: Document = toml::from_str(text).map_err(|cause| Mistake::new(text, &cause))?;
    Ok(document.request)
}

/// Holds each of `trials`.
///
/// # Errors
/// The first request that is none.
pub fn try_all(explainer: &Explainer<'_>, trials: Vec<Trial>) -> Result<Vec<Tried>, TrialError> {
    let hold = |(number, trial): (usize, Trial)| {
        let agent: Option<AgentName> = trial.agent.as_deref().map(str::parse).transpose()?;
        let asked = Inquired {
            content_type: trial.content_type.as_deref(),
            length: trial.body.as_ref().map_or(0, |body| body.len() as u64),
            body: trial.body.as_deref(),
            at: trial.at.map_or_else(SystemTime::now, SystemTime::from),
            ..Inquired::new(&trial.method, &trial.url)
        };
        let explained = explainer.explain(agent.as_ref(), &asked);
        let explanation = match explained {
            Ok(explanation) => explanation,
            Err(cause) => {
                return Err(TrialError::Request { number: number + 1, url: trial.url.clone(), cause: Box::new(cause) });
            }
        };
        let policy = explanation.policy.as_ref();
        let limited = policy.is_some_and(|policy| !policy.limits.is_empty());
        let verdict = match explanation.outcome {
            Outcome::Refuse => Verdict::Deny,
            _ if policy.is_some_and(|policy| !policy.approvals.is_empty()) => Verdict::Approve,
            _ if limited => Verdict::Limit,
            _ => Verdict::Allow,
        };
        let rule = explanation.policy.as_ref().and_then(|policy| policy.rule.as_ref()).map(|rule| rule.name.clone());
        Ok(Tried { trial, verdict, rule, explanation })
    };
    trials.into_iter().enumerate().map(hold).collect()
}
