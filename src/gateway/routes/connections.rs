//! Connections: asked for and watched. The Nexus contract.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::broker;
use crate::gateway::access::{App, Asked};
use crate::gateway::begin::{Question, Request};
use crate::gateway::context::Shared;
use crate::gateway::input::{InBody, InPath};
use crate::gateway::pending::Standing;
use crate::gateway::people::{Found, Handle, subject};
use crate::gateway::problem::{Document, Problem};

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(request_connection)).routes(routes!(check_connection))
}

/// More scopes than any service knows, and more bytes of one.
const SCOPES: usize = 100;
const SCOPE_LEN: usize = 256;

/// Checks that they are scopes, of which several may stand in one text, and not more than a question has room for.
fn check(scopes: &[String]) -> Result<(), Problem> {
    if scopes.len() > SCOPES {
        return Err(Problem::malformed(format!("the member scopes has more than {SCOPES} parts")));
    }
    if scopes.iter().any(|scope| scope.len() > SCOPE_LEN) {
        return Err(Problem::malformed(format!("a scope of the member scopes is longer than {SCOPE_LEN} bytes")));
    }
    // RFC 6749 §3.3, and the blank between two of them.
    let known = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    match scopes.iter().all(|scope| scope.bytes().all(known)) {
        true => Ok(()),
        false => Err(Problem::malformed(
            "the member scopes holds what no scope does; letters, digits and marks but \" and \\ make one",
        )),
    }
}

/// Each of those that `given` names, of which several may stand in one text.
pub(super) fn each(given: &[String]) -> Result<Vec<String>, Problem> {
    check(given)?;
    let all: Vec<String> =
        given.iter().flat_map(|text| text.split(' ')).filter(|one| !one.is_empty()).map(str::to_owned).collect();
    check(&all)?;
    Ok(all)
}

/// As [`check`] takes them.
pub(super) fn scopes() -> Array {
    let scope = ObjectBuilder::new().schema_type(Type::String).max_length(Some(SCOPE_LEN)).pattern(Some(r"^[ !#-\[\]-~]*$"));
    ArrayBuilder::new()
        .items(scope)
        .max_items(Some(SCOPES))
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .build()
}

/// What an app asks for.
#[derive(Debug, Deserialize, ToSchema)]
struct Ask {
    /// For whom, by name or by `uuid5(NAMESPACE_DNS, name)`. Who may register connections may leave it out, for the provider's default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._~@+-]+$")]
    user_id: Option<String>,
    /// The service.
    provider_name: String,
    /// What the connection is to be good for; none = what is usual for the service.
    #[serde(default)]
    #[schema(schema_with = scopes)]
    scopes: Option<Vec<String>>,
    /// Where the person's browser goes in the end: one of `gateway.return_urls`, or `/oauth/callback` for nowhere, the gateway's own page
    /// being the last.
    #[serde(default)]
    return_url: Option<String>,
    /// Whether the question is handed to nobody else: who asks for the same gets one of their own. Programs that show no key are one asker.
    #[serde(default)]
    exclusive: bool,
}

/// Where a person is to be sent.
#[derive(Serialize, ToSchema)]
pub(super) struct Begun {
    /// The page where a person consents, or types what is asked for.
    #[serde(rename = "authUrl")]
    pub(super) auth_url: String,
    /// What the connection is called from now on.
    pub(super) connection_id: String,
    /// What comes back to `return_url` with the person.
    state: String,
    /// What was asked for.
    scopes: Vec<String>,
    /// The service.
    provider_id: String,
}

impl Begun {
    pub(super) fn of(question: &Question) -> Self {
        Self {
            auth_url: question.page.expose().clone(),
            connection_id: question.id.to_string(),
            state: question.state.expose().clone(),
            scopes: question.scopes.clone(),
            provider_id: question.connection.provider().to_string(),
        }
    }
}

/// Asks a person for a connection.
///
/// While the same key waits for the same answer, it is given the same question again, with 409, unless one of the two is `exclusive`.
#[utoipa::path(post, path = "/v1/request-connection", tag = "connections", request_body = Ask,
    security(("key" = ["app", "node", "admin", "owner", "operator"])), responses(
    (status = 200, body = Begun, description = "Send the person to authUrl, and watch the connection"),
    (status = 403, body = Document, content_type = "application/problem+json",
        description = "The key is another person's, or return_url is not on the list"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "No such provider"),
    (status = 409, body = Document, content_type = "application/problem+json",
        description = "A person is asked already: the members of a 200 are in it; or no app is registered, and the message says how"),
    (status = 429, body = Document, content_type = "application/problem+json", description = "Too many are being asked"),
))]
async fn request_connection(
    State(gateway): State<Shared>,
    asked: Asked<App>,
    headers: HeaderMap,
    InBody(ask): InBody<Ask>,
) -> Result<Response, Problem> {
    let Ask { user_id, provider_name, scopes, return_url, exclusive } = ask;
    let scopes = each(&scopes.unwrap_or_default())?;
    let wish = Request { provider: provider_name, user: user_id, subject: subject(&headers)?, scopes, return_url, exclusive };
    let question = gateway.on_disk(move |gateway| gateway.begin(&asked, wish)).await??;
    let begun = Begun::of(&question);
    if !question.asked_before {
        return Ok(Json(begun).into_response());
    }
    let message = "a person is being asked for this already: authUrl leads there";
    let problem = Problem::conflict("pending", message).with("authUrl", begun.auth_url);
    let problem = problem.with("connection_id", begun.connection_id).with("state", begun.state);
    Err(problem.with("scopes", begun.scopes).with("provider_id", begun.provider_id))
}

/// How a connection stands.
#[derive(Debug, Serialize, ToSchema)]
struct Checked {
    /// `pending`, `active`, `attention`, `revoked`, `expired` or `failed`; `unknown` where a newer Nexus wrote another word.
    status: &'static str,
    /// Why nothing came of it, where it is `failed`: `access_denied`, `expired` (nobody answered), `withdrawn` or `connection_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// How a connection stands.
#[utoipa::path(get, path = "/v1/check-connection/{id}", tag = "connections",
    params(("id" = String, Path, description = "As it was given, or `provider[:user]`")),
    security(("key" = ["app", "node", "admin", "owner", "operator"])), responses(
    (status = 200, body = Checked, description = "Its status"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "There is none, or it is not for this key"),
))]
async fn check_connection(
    State(gateway): State<Shared>,
    asked: Asked<App>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
) -> Result<Json<Checked>, Problem> {
    let handle = Handle::new(&asked.who, &id, &headers)?;
    let mut reason = None;
    let status = match gateway.on_disk(move |gateway| gateway.find(&handle)).await?? {
        Found::Asked(_, Standing::Pending, _) => "pending",
        Found::Asked(_, Standing::Failed(why), _) => {
            reason = Some(why.word());
            "failed"
        }
        Found::Held(id, entry) => {
            let catalogue = gateway.ports.catalogue.load();
            let provider = catalogue.get(id.provider()).map(AsRef::as_ref);
            broker::Standing::of(&entry, provider, (gateway.ports.clock)(), Duration::ZERO).status.as_str()
        }
    };
    Ok(Json(Checked { status, reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_scopes_in_one_text_are_several() {
        let each = |given: &[&str]| each(&given.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        assert_eq!(each(&["a b", "", " c "]).expect("scopes"), ["a", "b", "c"]);
        let many = "a ".repeat(120);
        assert!(each(&[&many]).is_err(), "more than a question has room for");
        assert!(each(&["a\nb"]).is_err() && each(&["a\"b"]).is_err());
    }
}
