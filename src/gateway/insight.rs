//! `Insight`: what the rest of the process knows of its rules, for who looks at them.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::context::Gateway;
use crate::policy::Rule;

/// The ways to it.
pub(crate) struct Insight {
    /// The rules that are in force.
    pub(crate) rules: Box<dyn Fn() -> RulesNow + Send + Sync>,
    /// What would become of a request. It reads files.
    pub(crate) explain: Explain,
}

/// What `nexus explain --json` would print.
type Explain = Box<dyn Fn(&Inquiry) -> Result<Value, Unexplained> + Send + Sync>;

/// The rules that are in force.
#[derive(Default)]
pub(crate) struct RulesNow {
    /// In their order.
    pub(crate) rules: Vec<Arc<Rule>>,
    /// Whether what none of them speaks of is refused.
    pub(crate) closed: bool,
    /// Since when; RFC 3339.
    pub(crate) since: String,
    /// Why what was written since was not taken.
    pub(crate) mistake: Option<String>,
    /// Where they are written.
    pub(crate) file: PathBuf,
    /// And where more of them may be.
    pub(crate) folder: PathBuf,
}

/// A request that is asked about.
pub(crate) struct Inquiry {
    pub(crate) agent: Option<String>,
    pub(crate) method: String,
    pub(crate) url: String,
}

/// Why there is no answer.
pub(crate) enum Unexplained {
    /// There is nobody of that name.
    NoSuchAgent(String),
    /// It is no request.
    Unfit(String),
    /// The files of the home, or the vault, can't be read.
    Unreadable(String),
}

impl Gateway {
    /// Tells of rules by `insight` from now on.
    pub(crate) fn take_insight(&self, insight: Insight) {
        if self.insight.set(insight).is_err() {
            tracing::debug!("rules are told of the way that was said first");
        }
    }
}
