//! A service that nobody knew: its provider file is written and in force before its app or credential is registered.

use std::sync::{Arc, PoisonError};

use http::StatusCode;
use http::header::RETRY_AFTER;

use super::access::{App, Asked, Level as _, Registrar};
use super::begin::told;
use super::context::Gateway;
use super::describe::{place, unfit};
use super::keys::Kind;
use super::problem::Problem;
use super::profile::{Given, Registered};
use crate::model::{Authority, Host, ProviderId};
use crate::provider::{self, Catalogue, Draft, Provider, Shelf, Way, parse};

/// A platform has tens of services of its own; every one is read at each change of a file and held against each host.
const OWN: usize = 200;

/// Why a new host is not for everybody to name.
const CLOSED: &str = "callers reach only what somebody wrote about here (proxy.unmatched, policy.default)";

/// Provider files of this home, and the rest of the process, which takes what they say.
pub(crate) struct ProviderFiles {
    /// Where they lie.
    pub(crate) shelf: Shelf,
    /// Reads them again: what they say is in force when it returns.
    pub(crate) reread: Box<dyn Fn() + Send + Sync>,
    /// Whether callers reach hosts that nobody wrote about. Where they don't, a new service is a new way out.
    pub(crate) is_open: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Gateway {
    /// Registers at a service that `unknown` says is not known, where the profile says enough of it.
    ///
    /// # Errors
    /// `unknown` itself where nothing is said of it, and for who may not add a service: they learn no more than of any other name.
    pub(super) fn register_new(&self, asked: &Asked<App>, given: &Given, unknown: Problem) -> Result<Registered, Problem> {
        let who = &asked.who;
        if !Registrar::admits(who) || !given.describes() {
            return Err(unknown);
        }
        let id: ProviderId = given.name.parse().map_err(|error| unfit(format!("profile.name: {error}")))?;
        let scopes = given.checked_scopes()?;
        let draft = given.draft(id.clone(), scopes.clone())?;
        let files = self.files.get().ok_or_else(|| not_written("the gateway is starting"))?;
        let _turn = self.adopting.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request may have described it meanwhile.
        if let Ok(provider) = self.provider(who, &given.name) {
            return self.register_known(asked, &provider, given);
        }
        let text = draft.text();
        let provider = self.fitting(&draft, &text)?;
        if let Some(file) = files.shelf.find(&id).map_err(|error| not_added(&id, &error))? {
            return Err(not_added(&id, &provider::Error::Exists { file }));
        }
        if who.kind() != Some(Kind::Admin) && !(files.is_open)() {
            return Err(Problem::forbidden(
                "not_admin",
                format!("{CLOSED}, so a new service is a new way out: an administrator adds it"),
            ));
        }
        if !given.is_empty() {
            given.entry(&provider, &scopes, (self.ports.clock)())?;
        }
        asked.note_here(self, "gateway_provider_added", &details(&draft).each())?;
        let provider = self.put_in_force(files, &id, &text)?;
        // The file first: whoever is killed here leaves a service without a credential, and the same request once more registers it.
        match self.register_known(asked, &provider, given) {
            // What somebody else registered meanwhile has its service by this file.
            Err(problem) if !["to_be_typed", "registered"].contains(&problem.code()) => {
                take_back(files, &id);
                Err(problem)
            }
            registered => registered.map(|registered| Registered { added: true, ..registered }),
        }
    }

    /// The provider that `text` describes, where it is in nobody's way.
    fn fitting(&self, draft: &Draft, text: &str) -> Result<Provider, Problem> {
        let id = &draft.id;
        for authority in places(draft)? {
            self.ports
                .dialler
                .permit(&authority)
                .map_err(|error| unfit(format!("{} is not reached from here: {}", authority.host, told(&error))))?;
        }
        let catalogue = self.ports.catalogue.load();
        self.in_nobodys_way(&catalogue, draft)?;
        let file = format!("{id}.toml");
        let provider = parse(&file, text).map_err(|error| refused_by_parser(&error))?;
        Catalogue::clone(&catalogue).add(&file, text).map_err(|error| refused_by_parser(&error))?;
        Ok(provider)
    }

    /// Stricter than the catalogue with files that a person wrote: no host of another provider, on whatever path or port, and no name under
    /// which there are credentials already, which would go to the new hosts.
    fn in_nobodys_way(&self, catalogue: &Catalogue, draft: &Draft) -> Result<(), Problem> {
        let vault = self.vault()?;
        let taken = |host: &Host, by: &ProviderId| {
            let message =
                format!("{host} belongs to {by}; if it should be shared, write a provider file on the gateway's machine");
            Problem::conflict("host_taken", message)
        };
        for host in &draft.hosts {
            if let Some(by) = catalogue.whose(host).or_else(|| vault.sealed_with(&host.to_string()).first()) {
                return Err(taken(host, by));
            }
        }
        // By the log-in of another service people would consent to what goes to these hosts.
        for place in log_in(draft)? {
            if let Some(by) = catalogue.whose(&place.host) {
                return Err(taken(&place.host, by));
            }
        }
        if vault.iter().any(|(connection, _)| connection.provider() == &draft.id) {
            let message = format!(
                "there are credentials of {0} already, which no program may send anywhere new; write {0}.toml on the gateway's machine, or \
                 remove them: nexus remove {0}",
                draft.id
            );
            return Err(Problem::conflict("has_connections", message));
        }
        let own = catalogue.iter().filter(|provider| !catalogue.is_builtin(&provider.id)).count();
        if own >= OWN {
            let message = format!("there are {OWN} providers beside those that ship, and programs add no more");
            return Err(Problem::conflict("too_many_providers", message));
        }
        Ok(())
    }

    fn put_in_force(&self, files: &ProviderFiles, id: &ProviderId, text: &str) -> Result<Arc<Provider>, Problem> {
        files.shelf.add(id, text).map_err(|error| not_added(id, &error))?;
        (files.reread)();
        let known = self.ports.catalogue.load().get(id).cloned();
        known.ok_or_else(|| {
            take_back(files, id);
            Problem::conflict("host_taken", "another provider file that was written meanwhile is in the way of this one")
        })
    }
}

/// Why the file of `id` was not written.
fn not_added(id: &ProviderId, error: &provider::Error) -> Problem {
    if matches!(error, provider::Error::Exists { .. }) {
        let message = format!(
            "there is a file of {id} in the providers folder, and it is not understood; `nexus providers check` on the gateway's machine says why"
        );
        return Problem::conflict("file_exists", message);
    }
    tracing::error!(error = error as &dyn std::error::Error, "a provider file was not written");
    not_written("the providers folder of the gateway's home can't be used; its log says why")
}

/// Takes a file away again that nothing was registered with.
fn take_back(files: &ProviderFiles, id: &ProviderId) {
    if let Err(error) = files.shelf.take_back(id) {
        tracing::error!(error = &error as &dyn std::error::Error, provider = %id, "a provider file stays, and nothing is registered with it");
    }
    (files.reread)();
}

/// Where its credentials and secrets would go, and where people would be sent.
fn places(draft: &Draft) -> Result<Vec<Authority>, Problem> {
    let mut places: Vec<Authority> = draft.hosts.iter().map(|host| Authority { host: host.clone(), port: 443 }).collect();
    places.extend(log_in(draft)?);
    Ok(places)
}

/// Where people would be sent, and their answers.
fn log_in(draft: &Draft) -> Result<Vec<Authority>, Problem> {
    match &draft.way {
        Way::OAuth2 { authorize_url, token_url, .. } => {
            Ok(vec![place("auth_url", authorize_url)?, place("token_url", token_url)?])
        }
        Way::Key { .. } | Way::Basic { .. } => Ok(Vec::new()),
    }
}

/// What the log is told of it.
struct Details {
    provider: String,
    hosts: String,
    urls: Option<(String, String)>,
}

fn details(draft: &Draft) -> Details {
    let urls = match &draft.way {
        Way::OAuth2 { authorize_url, token_url, .. } => Some((authorize_url.clone(), token_url.clone())),
        Way::Key { .. } | Way::Basic { .. } => None,
    };
    let hosts: Vec<String> = draft.hosts.iter().map(ToString::to_string).collect();
    Details { provider: draft.id.to_string(), hosts: hosts.join(" "), urls }
}

impl Details {
    fn each(&self) -> Vec<(&'static str, &str)> {
        let urls = self.urls.iter().flat_map(|(asks, gives)| [("auth_url", asks.as_str()), ("token_url", gives.as_str())]);
        [("provider", self.provider.as_str()), ("hosts", self.hosts.as_str())].into_iter().chain(urls).collect()
    }
}

/// In the words of the parser, without the text that nobody but us has seen.
fn refused_by_parser(error: &provider::Error) -> Problem {
    let why = error.mistake().map_or_else(|| error.to_string(), |mistake| mistake.message.clone());
    match error {
        provider::Error::HostTaken { .. } | provider::Error::EndpointTaken { .. } | provider::Error::NameTaken { .. } => {
            Problem::conflict("host_taken", why)
        }
        _ => unfit(format!("the profile makes no provider: {why}")),
    }
}

/// 503: nothing was written.
fn not_written(message: &'static str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_files", message).header(RETRY_AFTER, "5")
}
