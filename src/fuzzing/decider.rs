//! A door to `decide` for benches and property tests.

use crate::agent::Agent;
use crate::decide::{Asking, LogIns, Mints, Route, Rules, Settings, Unmatched, Unregistered};
use crate::model::Target;
use crate::policy::Content;
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
        Self::of(&Catalogue::builtin())
    }

    /// Compiles a catalogue of `rules` rules, each for a host of its own: `api.N.P.example`, its number in the Pth file of a hundred.
    pub fn with_rules(rules: usize) -> Option<Self> {
        let mut catalogue = Catalogue::default();
        for file in 0..rules.div_ceil(100) {
            let mut text = format!("name = \"p{file}\"\nslots = [\"authorization\"]\n");
            for rule in 0..(rules - 100 * file).min(100) {
                let host = format!("api.{rule}.p{file}.example");
                text.push_str(&format!("[[inject]]\nhosts = [\"{host}\"]\nstrategy = {{ bearer = \"{{api_key}}\" }}\n"));
            }
            catalogue.add(&format!("p{file}.toml"), &text).ok()?;
        }
        Self::of(&catalogue)
    }

    fn of(catalogue: &Catalogue) -> Option<Self> {
        let settings = Settings {
            unmatched: Unmatched::Refuse,
            unregistered: Unregistered::Refuse,
            connect_ports: Vec::new(),
            allow: true,
            log_ins: LogIns::Capture,
            mints: Mints::Refuse,
        };
        Some(Self { rules: Rules::compile(catalogue, settings), agent: Agent::local()? })
    }

    /// What would become of a request: `pass`, `strip`, `token_endpoint`, `inject`, `mint` or `refuse`.
    pub fn decide(&self, target: &Target) -> &'static str {
        let now = std::time::UNIX_EPOCH;
        let content = Content { length: Some(0), ..Content::default() };
        let asking = Asking { target, agent: &self.agent, content, upgrade: false, now };
        match self.rules.decide(&asking).route {
            Route::Pass => "pass",
            Route::Strip(_) => "strip",
            Route::TokenEndpoint(_) => "token_endpoint",
            Route::Inject(_) => "inject",
            Route::Mint(_) => "mint",
            Route::Refuse(_) => "refuse",
        }
    }
}
