//! Services: which there are, and their apps registered. The Nexus contract.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::USER_AGENT;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::connections::Begun;
use crate::gateway::access::{App, Asked, Watcher, Who};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::flow::Wanted as Question;
use crate::gateway::input::{InBody, InPath};
use crate::gateway::keys::Kind;
use crate::gateway::problem::{Document, Problem};
use crate::gateway::profile::{Given, Registered, Registration};
use crate::model::{ConnectionId, GatewayId, ProviderId};
use crate::provider::Provider;
use crate::registration::{Wanted, ways};

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(providers, register_provider)).routes(routes!(metadata)).routes(routes!(provider))
}

/// What a program may know of a service.
#[derive(Debug, Serialize, ToSchema)]
struct Metadata {
    /// Where its API is.
    api_base_url: Option<String>,
    /// Where an account is looked at.
    user_info_endpoint: Option<String>,
    /// What is usually asked for.
    scopes: Vec<String>,
}

/// Services by how they authenticate, and by name.
type Grouped = BTreeMap<&'static str, BTreeMap<String, Metadata>>;

/// A service in JarvisCore's list.
#[derive(Debug, Serialize, ToSchema)]
struct Listed {
    /// Its name.
    name: String,
    /// How it authenticates.
    auth_type: &'static str,
}

/// The services that are known, grouped. JarvisCore's command line, which can't read that, gets a list of those that are registered.
#[utoipa::path(get, path = "/v1/providers", tag = "providers", security(("key" = ["app", "node", "admin", "owner", "operator"])), responses(
    (status = 200, body = Object, description = "`{auth_type: {name: {api_base_url, user_info_endpoint, scopes}}}`"),
))]
async fn providers(State(gateway): State<Shared>, asked: Asked<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    if !agent.starts_with("Python-urllib/") {
        return Ok(Json(grouped(&gateway, &asked.who)).into_response());
    }
    let who = asked.who.clone();
    Ok(Json(gateway.on_disk(move |gateway| gateway.registered(&who)).await??).into_response())
}

/// The services that are known, grouped.
#[utoipa::path(get, path = "/v1/providers/metadata", tag = "providers", security(("key" = ["app", "node", "admin", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Object, description = "`{auth_type: {name: {api_base_url, user_info_endpoint, scopes}}}`"),
))]
async fn metadata(State(gateway): State<Shared>, asked: Asked<Watcher>) -> Response {
    Json(grouped(&gateway, &asked.who)).into_response()
}

fn grouped(gateway: &Gateway, who: &Who) -> Grouped {
    let mut grouped = Grouped::new();
    let catalogue = gateway.ports.catalogue.load();
    for provider in catalogue.iter().filter(|provider| who.may_use(&provider.id)) {
        grouped.entry(auth_type(provider)).or_default().insert(provider.id.to_string(), about(provider));
    }
    grouped
}

fn about(provider: &Provider) -> Metadata {
    let host = provider.hosts().map(ToString::to_string).find(|host| !host.contains(['{', '*']));
    let url = provider.whoami.first().map(|whoami| whoami.url()).filter(|url| !url.contains('{'));
    Metadata {
        api_base_url: host.map(|host| format!("https://{host}")),
        user_info_endpoint: url,
        scopes: provider.oauth2.as_ref().map(|oauth2| oauth2.scopes.clone()).unwrap_or_default(),
    }
}

/// The word of the contract; it has three.
fn auth_type(provider: &Provider) -> &'static str {
    let by_password = |way: &Vec<Wanted>| way.iter().any(|field| field.name == "password");
    if provider.oauth2.as_ref().is_some_and(|oauth2| oauth2.authorize_url.is_some()) {
        "oauth2"
    } else if ways(provider).first().is_some_and(by_password) {
        "basic_auth"
    } else {
        "api_key"
    }
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
struct Profile {
    /// Its name.
    id: String,
    /// The same.
    name: String,
    /// Its name for people.
    title: String,
    /// What kind of service it is.
    category: String,
    /// `oauth2`, `api_key` or `basic_auth`.
    auth_type: &'static str,
    /// Where a person consents.
    auth_url: Option<String>,
    /// Where tokens are obtained.
    token_url: Option<String>,
    /// What is usually asked for.
    scopes: Vec<String>,
    /// Where its API is.
    api_base_url: Option<String>,
    /// Where an account is looked at.
    user_info_endpoint: Option<String>,
    /// Hosts that its credentials go to.
    hosts: Vec<String>,
    /// Whether an app or a credential of it is registered.
    registered: bool,
}

/// A service.
#[utoipa::path(get, path = "/v1/providers/{id}", tag = "providers", params(("id" = String, Path, description = "Its name")),
    security(("key" = ["app", "node", "admin", "owner", "operator", "approver", "auditor"])), responses(
    (status = 200, body = Profile, description = "What is known of it"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none of that name, or it is not for this key"),
))]
async fn provider(
    State(gateway): State<Shared>,
    asked: Asked<Watcher>,
    InPath(id): InPath<String>,
) -> Result<Json<Profile>, Problem> {
    let provider = gateway.provider(&asked.who, &id)?;
    let app = ConnectionId::new(provider.id.clone(), None);
    let registered = gateway.on_disk(move |gateway| gateway.vault().map(|vault| vault.get(&app).is_some())).await??;
    let Metadata { api_base_url, user_info_endpoint, scopes } = about(&provider);
    let mut hosts: Vec<String> = provider.hosts().map(ToString::to_string).collect();
    hosts.sort();
    hosts.dedup();
    Ok(Json(Profile {
        id: provider.id.to_string(),
        name: provider.id.to_string(),
        title: provider.title.clone(),
        category: provider.category.clone(),
        auth_type: auth_type(&provider),
        auth_url: provider.oauth2.as_ref().and_then(|oauth2| oauth2.authorize_url.clone()),
        token_url: provider.oauth2.as_ref().map(|oauth2| oauth2.token_url.clone()),
        scopes,
        api_base_url,
        user_info_endpoint,
        hosts,
        registered,
    }))
}

/// Registers an OAuth app, a key, or a user's name and password, for everybody.
///
/// Administrators and programs of the gateway's own user on its machine do that; others learn whether it is done already. Where no
/// provider file knows the service and the profile says where its API is, the gateway writes one, which is in force at once.
#[utoipa::path(post, path = "/v1/providers", tag = "providers", request_body = Registration,
    security(("key" = ["app", "node", "admin", "owner", "operator"])), responses(
    (status = 200, body = Registered, description = "It took the place of another"),
    (status = 201, body = Registered, description = "It is registered"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "No such provider, and nothing that describes one"),
    (status = 409, body = Document, content_type = "application/problem+json",
        description = "It is registered already; or the body holds no credential, and the message says where a person types it; or an unknown service is in the way of another"),
    (status = 422, body = Document, content_type = "application/problem+json", description = "It makes no credential, or what is said of an unknown service makes no provider file"),
))]
async fn register_provider(
    State(gateway): State<Shared>,
    asked: Asked<App>,
    InBody(body): InBody<Registration>,
) -> Result<Response, Problem> {
    let registered = gateway.on_disk(move |gateway| gateway.register_given(&asked, &body.profile)).await??;
    let status = if registered.replaced { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(registered)).into_response())
}

impl Gateway {
    /// The services that `who` sees a connection of, each once.
    fn registered(&self, who: &Who) -> Result<Vec<Listed>, Problem> {
        let (vault, catalogue) = (self.vault()?, self.ports.catalogue.load());
        let mut names: Vec<&ProviderId> = vault.iter().filter(|(id, _)| who.sees(id)).map(|(id, _)| id.provider()).collect();
        names.dedup();
        let known = names.into_iter().filter_map(|name| catalogue.get(name));
        Ok(known.map(|provider| Listed { name: provider.id.to_string(), auth_type: auth_type(provider) }).collect())
    }

    fn register_given(&self, asked: &Asked<App>, given: &Given) -> Result<Registered, Problem> {
        match self.provider(&asked.who, &given.name) {
            Ok(provider) => self.register_known(asked, &provider, given),
            Err(unknown) => self.register_new(asked, given, unknown),
        }
    }

    /// Registers at a service whose provider file is there.
    pub(in crate::gateway) fn register_known(
        &self,
        asked: &Asked<App>,
        provider: &Provider,
        given: &Given,
    ) -> Result<Registered, Problem> {
        let who = &asked.who;
        let id = ConnectionId::new(provider.id.clone(), None);
        let admin = who.kind() == Some(Kind::Admin);
        // What an app may learn or do is the same whether it may register or not, where there is nothing to register.
        if !admin && self.vault()?.get(&id).is_some() {
            return Err(registered_already(provider, given.is_app()));
        }
        let (scopes, empty) = (given.checked_scopes()?, given.is_empty());
        // Whoever may ask for everybody's may have a person asked.
        if !(admin || matches!(who, Who::Owner) || empty && who.acts_for(None)) {
            let message = "only administrators, and programs of the gateway's own user on its machine, register providers";
            return Err(Problem::forbidden("not_registrar", message));
        }
        if empty {
            return Err(self.to_be_typed(asked, provider, id));
        }
        let entry = given.entry(provider, &scopes, (self.ports.clock)())?;
        if !admin {
            self.leads_on(&*self.vault()?, provider, &entry)?;
        }
        asked.note_here(self, "gateway_registered", &[("connection", id.as_str())])?;
        let mut replaced = false;
        let stored = self.ports.store.register_if(&id, entry, |now| {
            replaced = now.is_some();
            admin || !replaced
        });
        match stored.map_err(|error| Problem::unreadable(&error))? {
            true => {
                let id = provider.id.to_string();
                Ok(Registered { provider_id: id.clone(), id, replaced, added: false })
            }
            false => Err(registered_already(provider, given.is_app())),
        }
    }

    /// The client never sends a key that was typed into it: says where to type it instead.
    fn to_be_typed(&self, asked: &Asked<App>, provider: &Provider, connection: ConnectionId) -> Problem {
        let Ok(id) = GatewayId::random() else { return Problem::internal() };
        let wanted = Question {
            id,
            asker: asked.who.asker().to_owned(),
            connection,
            scopes: Vec::new(),
            return_url: None,
            exclusive: false,
        };
        match self.ask_by_form(asked, provider, wanted) {
            Ok(question) => {
                let Begun { auth_url, connection_id, .. } = Begun::of(&question);
                let message = format!(
                    "the request holds no credential of {}, so nothing was stored; type it here, within the hour: {auth_url}",
                    provider.title
                );
                Problem::conflict("to_be_typed", message).with("authUrl", auth_url).with("connection_id", connection_id)
            }
            Err(problem) => problem,
        }
    }
}

fn registered_already(provider: &Provider, is_app: bool) -> Problem {
    let more = if is_app { " --app --client-id ID" } else { "" };
    let Provider { title, id, .. } = provider;
    let message = format!("{title} is registered already; an administrator can replace it: nexus register {id}{more}");
    Problem::conflict("registered", message)
}
