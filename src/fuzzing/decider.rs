//! A door to `decide` for benches and property tests.

use crate::agent::Agent;
use crate::decide::{Route, Rules, Settings, Unmatched, Unregistered};
use crate::model::Target;
use crate::provider::Catalogue;

/// The decision on every request over the shipped catalogue, for an agent that may do everything.
#[derive(Debug)]
pub struct Decider {
    rules: Rules,
    agent: Agent,
}

impl Decider {
    /// Compiles the shipped catalogue; hosts that it does not name are refused.
    pub fn shipped() -> Option<Self> {
        let settings = Settings {
            unmatched: Unmatched::Refuse,
            unregistered: Unregistered::Refuse,
            connect_ports: Vec::new(),
            allow: true,
        };
        Some(Self { rules: Rules::compile(&Catalogue::builtin(), settings), agent: Agent::local()? })
    }

    /// What would become of a request: `pass`, `strip`, `token_endpoint`, `inject` or `refuse`.
    pub fn decide(&self, target: &Target) -> &'static str {
        match self.rules.decide(target, &self.agent) {
            Route::Pass => "pass",
            Route::Strip(_) => "strip",
            Route::TokenEndpoint(_) => "token_endpoint",
            Route::Inject(_) => "inject",
            Route::Refuse(_) => "refuse",
        }
    }
}
