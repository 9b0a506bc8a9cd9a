//! What the gateway is told of the rules: those in force, and what they say of a request.

use std::sync::{Arc, Weak};

use serde_json::Value;

use super::config::Verdict;
use super::explain::{ExplainError, Explainer, Inquired};
use super::reload::Reload;
use crate::gateway::{Inquiry, Insight, RulesNow, Unexplained};
use crate::model::AgentName;

/// What `reload` has taken, as long as it is there.
pub(super) fn insight(reload: &Arc<Reload>) -> Insight {
    let (rules, asked) = (Arc::downgrade(reload), Arc::downgrade(reload));
    Insight {
        rules: Box::new(move || rules.upgrade().map(|reload| rules_now(&reload)).unwrap_or_default()),
        explain: Box::new(move |inquiry| explain(&asked, inquiry)),
    }
}

fn rules_now(reload: &Reload) -> RulesNow {
    let (config, rules) = reload.taken();
    let in_force = reload.in_force();
    // As in the policy itself: rules that only report shut nothing.
    let closed = config.policy.default == Some(Verdict::Deny) && rules.iter().any(|rule| !rule.reports());
    let (file, folder) = (reload.home.config_file(), reload.home.policies());
    RulesNow { rules, closed, since: in_force.since, mistake: in_force.mistake, file, folder }
}

fn explain(reload: &Weak<Reload>, Inquiry { agent, method, url }: &Inquiry) -> Result<Value, Unexplained> {
    let reload = reload.upgrade().ok_or_else(|| Unexplained::Unreadable("the process is ending".to_owned()))?;
    let nobody = |name: &str| Unexplained::NoSuchAgent(format!("there is no agent called {name}, or it has expired"));
    let agent = agent.as_deref().map(|name| name.parse::<AgentName>().map_err(|_no_name| nobody("that")));
    let agent = agent.transpose()?;
    let vault = (reload.look)().map_err(|error| Unexplained::Unreadable(error.to_string()))?;
    let (config, _rules) = reload.taken();
    let explainer = Explainer::new(&reload.home, &config, &vault).map_err(|error| why(&error))?;
    let explanation =
        explainer.explain(agent.as_ref(), &Inquired::new(&method.to_ascii_uppercase(), url)).map_err(|error| why(&error))?;
    serde_json::to_value(&explanation).map_err(|error| Unexplained::Unreadable(error.to_string()))
}

fn why(error: &ExplainError) -> Unexplained {
    let said = error.to_string();
    match error {
        ExplainError::NoSuchAgent(_) => Unexplained::NoSuchAgent(said),
        ExplainError::Url(_) | ExplainError::Authority(_) | ExplainError::Method(_) => Unexplained::Unfit(said),
        ExplainError::Home(_) | ExplainError::Config(_) => Unexplained::Unreadable(said),
    }
}
