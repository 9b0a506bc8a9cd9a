//! Credentials of connections: worthless ones of the right shape for apps, the true ones for proxies elsewhere (I11). The Nexus contract.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::broker;
use crate::gateway::access::{App, Asked};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::input::{InPath, InQuery};
use crate::gateway::keys::Kind;
use crate::gateway::pending::Standing;
use crate::gateway::people::{Found, Handle, RESOLVED, missing};
use crate::gateway::problem::{Document, Problem};
use crate::gateway::shape::{self, Credential};
use crate::model::{ConnectionId, UserName};
use crate::provider::Provider;
use crate::vault::{Entry, Status};

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(token)).routes(routes!(refresh)).routes(routes!(resolve))
}

/// A connection that can be used.
type Usable = (ConnectionId, Arc<Entry>, Arc<Provider>);

/// The credential of a connection. Every key but a proxy's gets a placeholder: the proxy puts the true one on the request.
#[utoipa::path(get, path = "/v1/token/{id}", tag = "connections",
    params(("id" = String, Path, description = "As it was given, or `provider[:user]`, or `resolved:[person:]provider`")),
    security(("key" = ["app", "node", "admin", "owner", "operator"])), responses(
    (status = 200, body = Credential, description = "Its shape, and its fields"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none, or it is not for this key"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "It can't be used: a person must act"),
))]
async fn token(
    State(gateway): State<Shared>,
    asked: Asked<App>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Json<Credential>, Problem> {
    let handle = Handle::new(&asked.who, &id, &headers)?;
    let usable = gateway.on_disk(move |gateway| gateway.usable(&handle)).await??;
    handed_out(&gateway, &asked, usable).await.map(Json)
}

/// What became of a hint to renew.
#[derive(Debug, Serialize, ToSchema)]
struct Refreshed {
    /// `active`.
    status: &'static str,
    /// Whether the credential is another one than before. One that is still good is left alone: it costs a refresh token.
    refreshed: bool,
}

/// A hint that a credential may be due for renewal. One that is still good is left alone.
///
/// A credential that its service refused is renewed by the proxy that met the refusal, before the app hears of it.
#[utoipa::path(post, path = "/v1/refresh/{id}", tag = "connections",
    params(("id" = String, Path, description = "As it was given, or `provider[:user]`, or `resolved:[person:]provider`")),
    security(("key" = ["app", "node", "admin", "owner", "operator"])), responses(
    (status = 200, body = Refreshed, description = "It is good now"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none, or it is not for this key"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "It can't be used: a person must act"),
))]
async fn refresh(
    State(gateway): State<Shared>,
    asked: Asked<App>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Json<Refreshed>, Problem> {
    let handle = Handle::new(&asked.who, &id, &headers)?;
    let (id, _, provider) = gateway.on_disk(move |gateway| gateway.usable(&handle)).await??;
    asked.note(&gateway, "gateway_refresh", &[("connection", id.as_str())]).await?;
    let refreshed = gateway.renewed(&id, &provider).await?;
    Ok(Json(Refreshed { status: Status::Active.as_str(), refreshed }))
}

/// Whose connection is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// The person, by name or by `uuid5(NAMESPACE_DNS, name)`.
    workspace_id: Option<String>,
    /// The service, or `resolved:[person:]provider`.
    provider_name: String,
}

impl Whose {
    /// As a handle that names the person where either member does; `None` where they name two.
    fn handle(self) -> Option<String> {
        let Self { workspace_id, provider_name } = self;
        let Some(person) = workspace_id else {
            let rest = provider_name.strip_prefix(RESOLVED).unwrap_or(&provider_name);
            return Some(format!("{RESOLVED}{rest}"));
        };
        match provider_name.strip_prefix(RESOLVED).map(|rest| (rest, rest.rsplit_once(':'))) {
            None => Some(format!("{RESOLVED}{person}:{provider_name}")),
            Some((rest, None)) => Some(format!("{RESOLVED}{person}:{rest}")),
            Some((_, Some((named, _)))) => {
                let (named, person): (UserName, UserName) = (named.parse().ok()?, person.parse().ok()?);
                named.is(&person).then_some(provider_name)
            }
        }
    }
}

/// The credential of a person's connection with a service, if there is one that can be used.
#[utoipa::path(get, path = "/v1/resolve", tag = "connections", params(Whose),
    security(("key" = ["app", "node", "admin", "owner", "operator"])), responses(
    (status = 200, body = Credential, description = "Its shape, and its fields"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none that can be used, or it is not for this key"),
))]
async fn resolve(
    State(gateway): State<Shared>,
    asked: Asked<App>,
    InQuery(whose): InQuery<Whose>,
    headers: HeaderMap,
) -> Result<Json<Credential>, Problem> {
    let text = whose.handle().ok_or_else(missing)?;
    let handle = Handle::new(&asked.who, &text, &headers)?;
    let usable = gateway.on_disk(move |gateway| gateway.usable(&handle)).await?;
    let usable = usable.map_err(|problem| match problem.status() {
        StatusCode::CONFLICT => {
            Problem::missing("this connection can't be used now; GET /v1/check-connection says how it stands")
        }
        _ => problem,
    });
    handed_out(&gateway, &asked, usable?).await.map(Json)
}

/// What is handed to who asks, noted before.
async fn handed_out(gateway: &Shared, asked: &Asked<App>, (id, entry, provider): Usable) -> Result<Credential, Problem> {
    if asked.who.kind() != Some(Kind::Node) {
        asked.note(gateway, "gateway_placeholder", &[("connection", id.as_str())]).await?;
        return Ok(shape::placeholder(gateway, &asked.who, (&id, &entry), &provider));
    }
    asked.note(gateway, "gateway_credential", &[("connection", id.as_str())]).await?;
    gateway.renewed(&id, &provider).await?;
    let name = id.clone();
    let fresh = gateway.on_disk(move |gateway| gateway.vault().map(|vault| vault.get(&name).cloned())).await??;
    Ok(shape::true_one((&id, fresh.as_ref().unwrap_or(&entry)), &provider))
}

impl Gateway {
    /// The connection that `handle` leads to, where it can be used.
    fn usable(&self, handle: &Handle) -> Result<Usable, Problem> {
        let (id, entry) = match self.find(handle)? {
            Found::Held(id, entry) => (id, entry),
            Found::Asked(_, Standing::Pending, _) => return Err(unusable(Status::Pending)),
            Found::Asked(_, Standing::Failed(_), _) => {
                return Err(Problem::conflict("failed", "nobody consented; POST /v1/request-connection asks again"));
            }
        };
        let provider = self.provider(&handle.who, id.provider().as_str())?;
        match entry.status {
            status if status.renews() => Ok((id, entry, provider)),
            status => Err(unusable(status)),
        }
    }

    /// Renews the credential of `id` where that is due, and says whether it did.
    async fn renewed(&self, id: &ConnectionId, provider: &Arc<Provider>) -> Result<bool, Problem> {
        let rules: Vec<usize> = (0..provider.inject.len()).collect();
        let permit = self.ports.broker.authorize(id, provider, &rules, broker::Whose::default()).await;
        Ok(permit.map_err(|error| not_live(&error))?.step() == Some("renewed"))
    }
}

fn unusable(status: Status) -> Problem {
    let code = match status {
        Status::Attention => "attention_required",
        status => status.as_str(),
    };
    let message =
        format!("this connection is {}: a person must consent; POST /v1/request-connection asks one", status.as_str());
    Problem::conflict(code, message)
}

fn not_live(error: &broker::Error) -> Problem {
    use broker::Error;
    match error {
        Error::NotRegistered { .. } => Problem::missing("the connection was removed meanwhile"),
        Error::AuthRequired { .. } | Error::Refused { .. } => unusable(Status::Attention),
        Error::Pending { .. } => unusable(Status::Pending),
        Error::MissingFields { .. } | Error::Unfit { .. } => {
            let message =
                "no account is connected: the credential lacks what the service needs; POST /v1/request-connection asks for it";
            Problem::conflict("incomplete", message)
        }
        Error::Renewal { .. } => {
            tracing::warn!(error = error as &dyn std::error::Error, "a credential was not renewed for the gateway");
            let message = "the service did not renew the credential now; try again later";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_renewed", message).header(RETRY_AFTER, "30")
        }
        error => Problem::unreadable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i6_who_is_named_beside_the_handle_is_never_dropped() {
        let handle = |person: Option<&str>, provider: &str| {
            Whose { workspace_id: person.map(str::to_owned), provider_name: provider.to_owned() }.handle()
        };
        let alice = "alice".parse::<UserName>().expect("a name").uuid();
        for (person, provider, wanted) in [
            (None, "acme", Some("resolved:acme")),
            (None, "resolved:acme", Some("resolved:acme")),
            (None, "resolved:bob:acme", Some("resolved:bob:acme")),
            (Some("alice"), "acme", Some("resolved:alice:acme")),
            (Some("alice"), "resolved:acme", Some("resolved:alice:acme")),
            (Some("alice"), "resolved:alice:acme", Some("resolved:alice:acme")),
            (Some(alice.as_str()), "resolved:alice:acme", Some("resolved:alice:acme")),
            (Some("alice"), "resolved:bob:acme", None),
            (Some("a b"), "resolved:alice:acme", None),
        ] {
            assert_eq!(handle(person, provider).as_deref(), wanted, "{person:?} {provider}");
        }
    }
}
