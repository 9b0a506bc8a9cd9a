//! `Grant`: a person's word that lets more than one request go on.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use http::Method;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::question::Question;
use crate::agent::Agent;
use crate::attention::stamp;
use crate::model::{Authority, ConnectionId, Fit, Glob, Methods, Parts, Scheme, Target, readings};
use crate::policy::Rule;

/// What a person answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It does not go on.
    Deny,
    /// This one goes on.
    Once,
    /// This one, and for so long all of the same agent, rule, connection, method, host and path.
    For(Duration),
    /// The same of all paths that fit.
    Pattern(Glob, Duration),
}

impl Answer {
    /// The word of records.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Once => "once",
            Self::For(_) => "for",
            Self::Pattern(..) => "pattern",
        }
    }
}

/// How a request came to be let on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A person said yes to it.
    Once,
    /// A person said yes before, for a time.
    Grant,
}

/// That a request may go on, by whose word, and since when.
#[derive(Debug, Clone)]
pub(crate) struct Approved {
    pub(crate) how: How,
    /// The question that was answered.
    pub(crate) id: Arc<str>,
    pub(crate) by: Arc<str>,
    pub(crate) at: SystemTime,
}

/// A request that may have been let on before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passing<'a> {
    pub(crate) agent: &'a Arc<Agent>,
    pub(crate) rule: &'a Arc<Rule>,
    pub(crate) target: &'a Target,
    /// What it would go with.
    pub(crate) connection: Option<&'a ConnectionId>,
    /// What its body puts in the method's place.
    pub(crate) form: Methods,
}

/// Which paths.
#[derive(Debug)]
enum Paths {
    /// This one, letter for letter, whatever its query; hashed, since a path can be a secret.
    One([u8; 32]),
    /// Those that fit in all their readings.
    Fitting(Glob),
}

#[derive(Debug)]
pub(super) struct Grant {
    pub(super) id: Arc<str>,
    pub(super) by: Arc<str>,
    at: SystemTime,
    pub(super) until: SystemTime,
    /// An agent that is revoked or changed is another one.
    agent: Weak<Agent>,
    rule: [u8; 32],
    rule_name: Arc<str>,
    method: Method,
    /// What its query and its body put in the method's place.
    others: Methods,
    scheme: Scheme,
    authority: Authority,
    connection: Option<ConnectionId>,
    paths: Paths,
    /// As people see it.
    shown_path: String,
    uses: u64,
}

impl Grant {
    /// What `answer` to `question` lets on besides; `None` where that is nothing, or the answer doesn't fit the question.
    pub(super) fn of(question: &Question, answer: &Answer, (id, by, at): (Arc<str>, Arc<str>, SystemTime)) -> Option<Self> {
        let (paths, shown_path, span) = match answer {
            Answer::Deny | Answer::Once => return None,
            Answer::For(span) => {
                let shown = question.path.split('?').next().unwrap_or_default().to_owned();
                (Paths::One(hash(&question.target)), shown, span)
            }
            Answer::Pattern(glob, span) => (Paths::Fitting(glob.clone()), glob.to_string(), span),
        };
        let Target { method, scheme, authority, .. } = question.target.clone();
        Some(Self {
            id,
            by,
            at,
            until: at + *span,
            agent: Arc::downgrade(&question.agent),
            rule: question.rule.digest(),
            rule_name: Arc::clone(question.rule.name()),
            method,
            others: others(&question.target).and(question.form),
            scheme,
            authority,
            connection: question.connection.clone(),
            paths,
            shown_path,
            uses: 0,
        })
    }

    /// Whether it has not ended, and its agent neither.
    pub(super) fn lasts(&self, now: SystemTime) -> bool {
        now < self.until && now >= self.at && self.agent.strong_count() > 0
    }

    /// Whether it lets `passing` on.
    pub(super) fn covers(&self, passing: &Passing<'_>) -> bool {
        let Target { method, scheme, authority, .. } = passing.target;
        std::ptr::eq(self.agent.as_ptr(), Arc::as_ptr(passing.agent))
            && self.method == *method
            && self.others == others(passing.target).and(passing.form)
            // A body that nobody has seen whole is like no other.
            && passing.form != Methods::ANY
            && self.scheme == *scheme
            && self.authority == *authority
            && self.connection.as_ref() == passing.connection
            && self.rule == passing.rule.digest()
            && match &self.paths {
                Paths::One(path) => *path == hash(passing.target),
                Paths::Fitting(glob) => fits(glob, passing.target),
            }
    }

    pub(super) fn used(&mut self) {
        self.uses = self.uses.saturating_add(1);
    }

    pub(super) fn approved(&self) -> Approved {
        Approved { how: How::Grant, id: Arc::clone(&self.id), by: Arc::clone(&self.by), at: self.at }
    }

    pub(super) fn shown(&self) -> ShownGrant {
        ShownGrant {
            id: self.id.to_string(),
            agent: self.agent.upgrade().map_or_else(|| "-".to_owned(), |agent| agent.name.to_string()),
            rule: self.rule_name.to_string(),
            method: self.method.to_string(),
            host: self.authority.as_written(self.scheme),
            path: self.shown_path.clone(),
            connection: self.connection.as_ref().map(ToString::to_string),
            by: self.by.to_string(),
            at: stamp(self.at),
            until: stamp(self.until),
            uses: self.uses,
        }
    }
}

/// Whether a pattern fits the path of `target`, however a service reads it.
pub(super) fn fits(glob: &Glob, target: &Target) -> bool {
    readings(target.path.path()).is_ok_and(|readings| glob.fits(&readings, &Parts::default()) == Fit::Yes)
}

/// The rest of a query says nothing of what a request does.
fn others(target: &Target) -> Methods {
    target.path.query().map(Methods::of_query).unwrap_or_default()
}

fn hash(target: &Target) -> [u8; 32] {
    Sha256::digest(target.path.path().as_bytes()).into()
}

/// What a person has let on for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalGrant)]
pub(crate) struct ShownGrant {
    /// That of the question that was answered.
    pub(crate) id: String,
    /// Whose requests.
    pub(crate) agent: String,
    /// Which rule asks about them.
    pub(crate) rule: String,
    /// By which method.
    pub(crate) method: String,
    /// To which host.
    pub(crate) host: String,
    /// To which path, or paths that fit.
    pub(crate) path: String,
    /// With which connection's credential.
    pub(crate) connection: Option<String>,
    /// Who let them on.
    pub(crate) by: String,
    /// When; RFC 3339.
    pub(crate) at: String,
    /// Until when; RFC 3339.
    pub(crate) until: String,
    /// Requests that went on by it.
    pub(crate) uses: u64,
}
