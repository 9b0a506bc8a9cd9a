//! What becomes of a caller's own log-in at a token endpoint.

use std::sync::Arc;

use super::answers::Answering;
use super::route::Route;
use super::settings::{LogIns, Unregistered};
use super::snapshot::Rules;
use crate::agent::Agent;
use crate::model::Target;
use crate::provider::{Provider, Shape, TokenResponse};

impl Rules {
    /// What happens to a log-in that `route` was decided for, where those of `answering` hand out tokens. [`LogIns::Pass`] is for what
    /// the route says: also where requests that no rule names are refused, and where nobody hands out tokens to persons.
    pub(crate) fn log_ins(&self, route: &Route, answering: &[Answering]) -> LogIns {
        let settings = self.settings();
        let leads_out = match route {
            // What is refused as a rule is not opened for a log-in.
            Route::Pass | Route::Strip(_) | Route::TokenEndpoint(_) => {
                settings.allow || settings.unregistered == Unregistered::Pass
            }
            Route::Inject(_) | Route::Mint(_) | Route::Refuse(_) => false,
        };
        let persons = || {
            let mut responses = answering.iter().filter_map(|(provider, number)| provider.token_responses.get(*number));
            responses.any(|response| response.shape == Shape::OAuth2)
        };
        if leads_out && persons() { settings.log_ins } else { LogIns::Pass }
    }

    /// The provider whose tokens a person would get by this request past those who look at log-ins: by another method (a service may take a
    /// code from the query of a GET), another port, or a path that only some read as the endpoint's.
    pub(crate) fn evades_capture(&self, target: &Target, agent: &Agent, route: &Route) -> Option<Arc<Provider>> {
        if self.settings().log_ins == LogIns::Pass {
            return None;
        }
        let host = &target.authority.host;
        let meant = |response: &&TokenResponse| response.at.iter().any(|at| at.may_be_meant(host, target.path.path()));
        let owner = match route {
            Route::TokenEndpoint(owners) => owners.iter().find(|owner| persons(owner).next().is_some()).map(Arc::clone),
            Route::Pass | Route::Strip(_) => self.usable_at(host, agent).find(|owner| persons(owner).any(|own| meant(&own))),
            Route::Inject(_) | Route::Mint(_) | Route::Refuse(_) => None,
        };
        owner.filter(|_| self.token_responses(target, agent, route).is_empty())
    }
}

/// Those of its answers that a person's log-in gets.
fn persons(provider: &Provider) -> impl Iterator<Item = &TokenResponse> {
    provider.token_responses.iter().filter(|response| response.shape == Shape::OAuth2)
}
