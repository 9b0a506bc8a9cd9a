//! Who is at the page: a link that works once, the session that it becomes, and the end of that.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gateway::access::{Admin, Asked, Page, SignedIn, Who};
use crate::gateway::context::Shared;
use crate::gateway::input::InBody;
use crate::gateway::problem::{Document, Problem};
use crate::gateway::session::{Refused, Role, Session};
use crate::gateway::shown::cookie_name;
use crate::model::AgentName;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(invite, sign_everybody_out)).routes(routes!(sign_in, signed_in, sign_out))
}

/// Whom a link is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invited {
    /// Their name, which stands in the audit log beside all that they do.
    #[schema(max_length = 64)]
    name: String,
    /// What they may do.
    role: Role,
}

/// A link to the page.
#[derive(Serialize, ToSchema)]
struct Invitation {
    /// Where to go. It works once, and is not shown again.
    url: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// What stood behind the `#` of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Link {
    /// It works once.
    #[schema(max_length = 128)]
    link: String,
}

/// A session, for the page that has it.
#[derive(Serialize, ToSchema)]
struct Signed {
    /// What the page shows in the field `Nexus-Page` with everything that it asks; with the cookie it stands for a key.
    page: String,
    #[serde(flatten)]
    person: Person,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
struct Person {
    /// Their name.
    name: String,
    /// What they may do.
    role: Role,
    /// When they are signed out in any case.
    #[schema(format = DateTime)]
    ends_at: String,
    /// After how many seconds in which they do nothing.
    idle_secs: u64,
    /// Of Nexus.
    version: &'static str,
}

/// Who was signed out.
#[derive(Debug, Serialize, ToSchema)]
struct SignedOut {
    /// Sessions, and links that nobody followed.
    ended: usize,
}

/// Makes a link that signs somebody in at the page: it works once, within five minutes.
#[utoipa::path(post, path = "/api/sessions", tag = "pages", security(("key" = ["admin", "operator"])), request_body = Invited,
    responses(
        (status = 201, body = Invitation, description = "The link, which is not shown again"),
        (status = 409, body = Document, content_type = "application/problem+json", description = "There are as many links as there may be"),
        (status = 422, body = Document, content_type = "application/problem+json", description = "That is no name"),
    ),
)]
async fn invite(
    State(gateway): State<Shared>,
    asked: Asked<Admin>,
    InBody(Invited { name, role }): InBody<Invited>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    let name: AgentName =
        name.parse().map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "name", format!("name: {error}")))?;
    asked.note(&gateway, "page_invited", &[("name", name.as_str()), ("role", role.as_str())]).await?;
    let (token, ends) = gateway.sessions.invite(name, role, (gateway.ports.clock)()).map_err(|error| refused(&error))?;
    // Behind the # it goes to no server, no log and no Referer; and who looks at links before a person does, uses none up.
    let url = format!("{}/sign-in#{}", gateway.settings.url, token.text().expose());
    Ok((StatusCode::CREATED, Json(Invitation { url, expires_at: time(ends)? })))
}

/// Signs everybody out, and makes links worthless that nobody has followed.
#[utoipa::path(delete, path = "/api/sessions", tag = "pages", security(("key" = ["admin", "operator"])), responses(
    (status = 200, body = SignedOut, description = "How many"),
))]
async fn sign_everybody_out(State(gateway): State<Shared>, asked: Asked<Admin>) -> Result<Json<SignedOut>, Problem> {
    asked.note(&gateway, "page_signed_out", &[("name", "everybody")]).await?;
    Ok(Json(SignedOut { ended: gateway.sessions.end_all() }))
}

/// Signs in whoever followed a link. The other half of the session is a cookie that no script can read.
#[utoipa::path(post, path = "/api/session", tag = "pages", request_body = Link, responses(
    (status = 200, body = Signed, description = "Who they are"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "The link was followed already, or its time is up"),
    (status = 409, body = Document, content_type = "application/problem+json", description = "There are as many people here as there may be"),
    (status = 429, body = Document, content_type = "application/problem+json", description = "Too many links that were none"),
))]
async fn sign_in(
    State(gateway): State<Shared>,
    asked: Asked<Page>,
    InBody(Link { link }): InBody<Link>,
) -> Result<Response, Problem> {
    let (now, source) = ((gateway.ports.clock)(), asked.source.ip());
    // A right one works whatever others of this address have tried.
    let begun = gateway.sessions.begin(&link, now).map_err(|error| refused(&error))?.ok_or_else(|| {
        if gateway.guesses.exhausted(source, gateway.settings.wrong_keys_per_minute) {
            return Problem::too_many_guesses();
        }
        gateway.guesses.wrong(source);
        Problem::missing("this link was followed already, or its time is up; `nexus open` makes a new one")
    })?;
    let session = &begun.session;
    let details = [("name", session.name.as_str()), ("role", session.role.as_str())];
    if let Err(problem) = asked.note(&gateway, "page_signed_in", &details).await {
        gateway.sessions.end(session);
        return Err(problem);
    }
    let signed = Signed { page: begun.page.text().expose().clone(), person: person(&gateway, session)? };
    let mut response = Json(signed).into_response();
    response.headers_mut().append(SET_COOKIE, cookie(&gateway, begun.cookie.text().expose())?);
    Ok(response)
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/session", tag = "pages", security(("key" = ["operator", "approver", "auditor"])), responses(
    (status = 200, body = Person, description = "Who they are"),
))]
async fn signed_in(State(gateway): State<Shared>, asked: Asked<SignedIn>) -> Result<Json<Person>, Problem> {
    person(&gateway, of(&asked)?).map(Json)
}

/// Signs out.
#[utoipa::path(delete, path = "/api/session", tag = "pages", security(("key" = ["operator", "approver", "auditor"])), responses(
    (status = 204, description = "They are signed out"),
))]
async fn sign_out(State(gateway): State<Shared>, asked: Asked<SignedIn>) -> Result<Response, Problem> {
    let session = of(&asked)?;
    // Whether it can be noted or not: nobody stays against their will.
    gateway.sessions.end(session);
    asked.note(&gateway, "page_signed_out", &[("name", session.name.as_str())]).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().append(SET_COOKIE, cookie(&gateway, "")?);
    Ok(response)
}

fn of(asked: &Asked<SignedIn>) -> Result<&Session, Problem> {
    if let Who::Session(session) = &asked.who { Ok(session) } else { Err(Problem::internal()) }
}

fn person(gateway: &Shared, session: &Session) -> Result<Person, Problem> {
    Ok(Person {
        name: session.name.to_string(),
        role: session.role,
        ends_at: time(session.ends)?,
        idle_secs: gateway.settings.sessions.idle.as_secs(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Without an end, so that it goes with the browser; an empty one takes it back.
fn cookie(gateway: &Shared, value: &str) -> Result<HeaderValue, Problem> {
    let tls = gateway.settings.url.starts_with("https://");
    let (name, secure) = (cookie_name(tls), if tls { "; Secure" } else { "" });
    let over = if value.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{over}");
    let mut field = HeaderValue::try_from(text).map_err(|_never| Problem::internal())?;
    field.set_sensitive(true);
    Ok(field)
}

fn refused(error: &Refused) -> Problem {
    match error {
        Refused::TooMany => Problem::conflict("too_many", error.to_string()),
        Refused::Random(_) => Problem::internal(),
    }
}

fn time(time: SystemTime) -> Result<String, Problem> {
    let time = Timestamp::try_from(time).map_err(|_never| Problem::internal())?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
