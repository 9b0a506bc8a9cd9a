//! What becomes of a caller's own log-in at a token endpoint.

use std::sync::Arc;

use super::answers::Answering;
use super::route::Route;
use super::settings::{LogIns, Unregistered};
use super::snapshot::Rules;
use crate::agent::Agent;
use crate::model::Target;
use crate::provider::{Provider, Shape};

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
            Route::Inject(_) | Route::Refuse(_) => false,
        };
        let persons = || {
            let mut responses = answering.iter().filter_map(|(provider, number)| provider.token_responses.get(*number));
            responses.any(|response| response.shape == Shape::OAuth2)
        };
        if leads_out && persons() { settings.log_ins } else { LogIns::Pass }
    }

    /// Whether a request to the token endpoint of `owners` would get a person's tokens past those who look at log-ins: by another method (a
    /// service may take a code from the query of a GET), or by a path that only some read as the endpoint's.
    pub(crate) fn evades_capture(&self, target: &Target, agent: &Agent, owners: Vec<Arc<Provider>>) -> bool {
        let persons = |owner: &Arc<Provider>| owner.token_responses.iter().any(|response| response.shape == Shape::OAuth2);
        let looked_at = self.settings().log_ins != LogIns::Pass && owners.iter().any(persons);
        looked_at && self.token_responses(target, agent, &Route::TokenEndpoint(owners)).is_empty()
    }
}
