//! The form where a person types a key or a user name and password. The state in its address is the credential; it works once.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::broker::try_out;
use crate::gateway::access::{Asked, Page};
use crate::gateway::begin::{By, not_kept, told};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::flow::Ending;
use crate::gateway::input::{InBody, InQuery, whole};
use crate::gateway::page::{EndPage, FormPage};
use crate::gateway::pending::Answer;
use crate::gateway::problem::{Document, Problem};
use crate::model::{Credential, Secret};
use crate::oauth::form_decoded;
use crate::provider::Provider;
use crate::registration::{Form, Wanted, ways};
use crate::vault::Entry;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(capture_schema)).routes(routes!(capture_form, capture_credential))
}

/// Which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of the question.
    state: String,
}

/// What a person is to type, as a JSON Schema.
#[derive(Debug, Serialize, ToSchema)]
struct Schema {
    /// The service.
    provider: String,
    /// Its name for people.
    title: String,
    /// `object`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What is asked for; what must not be shown has the format `password`.
    properties: Map<String, Value>,
    /// All of them.
    required: Vec<String>,
}

/// What a person is to type, for a program that has a form of its own. It is sent to `POST /v1/capture-credential`.
#[utoipa::path(get, path = "/v1/capture-schema", tag = "pages", params(Which), responses(
    (status = 200, body = Schema, description = "What is asked for"),
    (status = 404, body = Document, content_type = "application/problem+json", description = "The state belongs to no form, or none any more"),
))]
async fn capture_schema(
    State(gateway): State<Shared>,
    _asked: Asked<Page>,
    InQuery(which): InQuery<Which>,
) -> Result<Json<Schema>, Problem> {
    let state = Secret::new(which.state);
    let (provider, _) = gateway.on_disk(move |gateway| gateway.form_of(&state)).await??.ok_or_else(no_form)?;
    let fields = asked_for(&provider);
    let property = |field: &Wanted| {
        let property = match field.secret {
            true => json!({ "type": "string", "title": field.prompt, "format": "password" }),
            false => json!({ "type": "string", "title": field.prompt }),
        };
        (field.name.clone(), property)
    };
    Ok(Json(Schema {
        provider: provider.id.to_string(),
        title: provider.title.clone(),
        kind: "object",
        properties: fields.iter().map(property).collect(),
        required: fields.into_iter().map(|field| field.name).collect(),
    }))
}

/// The form, for a person's browser.
#[utoipa::path(get, path = "/v1/capture-credential", tag = "pages", params(Which), responses(
    (status = 200, body = String, content_type = "text/html", description = "The form"),
    (status = 404, body = String, content_type = "text/html", description = "The state belongs to no form, or none any more"),
))]
async fn capture_form(
    State(gateway): State<Shared>,
    _asked: Asked<Page>,
    InQuery(which): InQuery<Which>,
) -> Result<Response, Problem> {
    let state = Secret::new(which.state);
    match gateway.on_disk(move |gateway| gateway.form_of(&state)).await?? {
        Some((provider, answer)) => Ok(filled(&provider, &answer, StatusCode::OK, None)),
        None => Ok(stale()),
    }
}

/// What a person typed.
#[derive(Deserialize, ToSchema)]
struct Typed {
    /// Of the question.
    state: String,
    /// The fields.
    credentials: std::collections::BTreeMap<String, String>,
}

/// What was typed, however it came.
struct Sent {
    state: Secret<String>,
    fields: Credential,
    cancelled: bool,
    /// A browser's form: it wants a page.
    by_form: bool,
}

/// A connection that is there now.
#[derive(Debug, Serialize, ToSchema)]
struct Captured {
    /// `active`.
    status: &'static str,
    /// As it was called when it was asked for.
    connection_id: String,
}

/// Takes what a person typed, as JSON or as the form sends it, once.
#[utoipa::path(post, path = "/v1/capture-credential", tag = "pages", request_body = Typed, responses(
    (status = 200, description = "It is stored", content((Captured = "application/json"), (String = "text/html"))),
    (status = 404, description = "The state belongs to no form, or none any more",
        content((Document = "application/problem+json"), (String = "text/html"))),
    (status = 422, description = "What was typed makes no credential; it can be typed again",
        content((Document = "application/problem+json"), (String = "text/html"))),
))]
async fn capture_credential(State(gateway): State<Shared>, asked: Asked<Page>, request: Request) -> Result<Response, Problem> {
    let Sent { state, fields, cancelled, by_form } = sent(&gateway, request).await?;
    let state = Arc::new(state);
    let shown = Arc::clone(&state);
    let Some((provider, answer)) = gateway.on_disk(move |gateway| gateway.form_of(&shown)).await?? else {
        return if by_form { Ok(stale()) } else { Err(no_form()) };
    };
    if cancelled {
        let id = answer.id.clone();
        gateway
            .on_disk(move |gateway| gateway.ports.pending.fail(&id, Ending::Denied))
            .await?
            .map_err(|error| not_kept(&error))?;
        return Ok(over(&answer, "Cancelled", "Nothing was stored.", Some("access_denied")));
    }
    let (typed, whose, asker) = (Arc::clone(&provider), answer.id.clone(), answer.asker.clone());
    let stored = gateway.on_disk(move |gateway| gateway.store_typed(&asked, (&typed, &asker), &state, &fields)).await?;
    match stored {
        Ok(()) if by_form => {
            let text = format!("The credential of {} is stored. Programs can use it through Nexus now.", provider.title);
            Ok(over(&answer, "Stored", &text, None))
        }
        Ok(()) => Ok(Json(Captured { status: "active", connection_id: whose.to_string() }).into_response()),
        Err(Refused::Typed(why)) if by_form => Ok(filled(&provider, &answer, StatusCode::UNPROCESSABLE_ENTITY, Some(&why))),
        Err(Refused::Typed(why)) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "credential", why)),
        Err(Refused::Gone) if by_form => Ok(stale()),
        Err(Refused::Gone) => Err(no_form()),
        Err(Refused::Other(problem)) => Err(problem),
    }
}

/// Why nothing was stored.
enum Refused {
    /// It makes no credential; why, for people.
    Typed(String),
    /// Somebody else was faster.
    Gone,
    Other(Problem),
}

impl Gateway {
    /// The form that `state` belongs to, and for which service it is.
    fn form_of(&self, state: &Secret<String>) -> Result<Option<(Arc<Provider>, Answer)>, Problem> {
        let answer = self.ports.pending.form(state, (self.ports.clock)()).map_err(|error| not_kept(&error))?;
        let Some(answer) = answer else { return Ok(None) };
        if self.is_overtaken(&answer, self.vault()?.get(&answer.connection).map(AsRef::as_ref)) {
            return Ok(None);
        }
        let provider = self.ports.catalogue.load().get(answer.connection.provider()).cloned();
        Ok(Some((provider.ok_or_else(|| Problem::missing("the provider's file is gone"))?, answer)))
    }

    /// Stores what was typed. What makes no credential leaves the form as it is; else nobody can use it again.
    fn store_typed(
        &self,
        asked: &Asked<Page>,
        (provider, asker): (&Provider, &str),
        state: &Secret<String>,
        typed: &Credential,
    ) -> Result<(), Refused> {
        let known: Vec<Wanted> = ways(provider).into_iter().flatten().collect();
        if let Some(odd) = typed.names().find(|name| !known.iter().any(|field| field.name == *name)) {
            return Err(Refused::Typed(format!("{} takes no field {odd}", provider.title)));
        }
        let fields = trimmed(typed, &known);
        let now = (self.ports.clock)();
        let form = Form { provider, fields, expires_at: None, app: false };
        let mut entry = form.entry(try_out, now).map_err(|error| Refused::Typed(for_a_form(&told(&error))))?;
        let vault = self.vault().map_err(Refused::Other)?;
        if !self.is_admin(asker) {
            // Who asked has the form's address too, and may be who types.
            self.leads_on(&vault, provider, &entry).map_err(|led| Refused::Typed(led.to_string()))?;
        }
        let pending = &self.ports.pending;
        let taken = pending.take_form(state, now).map_err(|error| Refused::Other(not_kept(&error)))?;
        let answer = taken.ok_or(Refused::Gone)?;
        entry.answer_to(answer.id.clone());
        let noted = asked.note_here(self, "gateway_typed", &[("connection", answer.connection.as_str())]);
        match noted.and_then(|()| self.write_typed(&answer, entry)) {
            Ok(true) => {}
            Ok(false) => {
                pending.fail(&answer.id, Ending::Failed).map_err(|error| Refused::Other(not_kept(&error)))?;
                return Err(Refused::Gone);
            }
            Err(problem) => {
                pending.give_back(&answer).map_err(|error| Refused::Other(not_kept(&error)))?;
                return Err(Refused::Other(problem));
            }
        }
        // The connection is there, and found by its handle before the question is.
        pending
            .finish(&answer.id)
            .unwrap_or_else(|error| tracing::warn!("an answered question stays written down: {}", told(&error)));
        Ok(())
    }

    /// False where the question is overtaken, by what is on disk now.
    fn write_typed(&self, answer: &Answer, entry: Entry) -> Result<bool, Problem> {
        let stored = self.ports.store.register_if(&answer.connection, entry, |now| !self.is_overtaken(answer, now));
        stored.map_err(|error| Problem::unreadable(&error))
    }

    /// Everybody's credential was registered after a program asked for it: only an administrator's question replaces that, or what serves
    /// a person. What an agent got by its own log-in nobody replaces.
    fn is_overtaken(&self, answer: &Answer, now: Option<&Entry>) -> bool {
        let everybodys = now.is_some() && answer.connection.user().is_none() && !self.is_admin(&answer.asker);
        let captured = now.is_some_and(|now| now.captured.is_some());
        captured || everybodys || self.is_in_use(&answer.asker, &answer.connection, now, By::Form)
    }
}

/// Reads a JSON body, or the form of our page.
async fn sent(gateway: &Shared, request: Request) -> Result<Sent, Problem> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/x-www-form-urlencoded" {
        let InBody(Typed { state, credentials }) = InBody::from_request(request, gateway).await?;
        let mut fields = Credential::default();
        for (name, value) in credentials.into_iter().filter(|(_, value)| !value.is_empty()) {
            fields.set(&name, Secret::new(value));
        }
        return Ok(Sent { state: Secret::new(state), fields, cancelled: false, by_form: false });
    }
    let body = whole(request).await?;
    let text = std::str::from_utf8(&body).map_err(|_odd| Problem::malformed("the form is not UTF-8"))?;
    let mut sent = Sent { state: Secret::new(String::new()), fields: Credential::default(), cancelled: false, by_form: true };
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = Secret::new(form_decoded(value).into_owned());
        match form_decoded(name).as_ref() {
            "state" => sent.state = value,
            "cancel" => sent.cancelled = true,
            // Browsers write a line's end of a text area as CR LF.
            name if !value.matches("") => sent.fields.set(name.strip_prefix("f-").unwrap_or(name), lines(&value)),
            _ => {}
        }
    }
    Ok(sent)
}

fn lines(typed: &Secret<String>) -> Secret<String> {
    Secret::new(typed.expose().replace("\r\n", "\n").trim_end_matches('\n').to_owned())
}

/// A key that was copied brings a blank or the line's end along. A password may begin and end with what it likes, and so may a file.
fn trimmed(typed: &Credential, known: &[Wanted]) -> Credential {
    let mut fields = Credential::default();
    for name in typed.names() {
        let Some(value) = typed.field(name) else { continue };
        let whole = name == "password" || known.iter().any(|field| field.name == name && field.file);
        fields.set(name, if whole { value.duplicate() } else { Secret::new(value.expose().trim().to_owned()) });
    }
    fields
}

/// What is wrong, in words for who has the form before them: nothing is registered yet.
fn for_a_form(why: &str) -> String {
    why.replace("register it again", "enter it again")
}

/// What is asked for: the usual way.
fn asked_for(provider: &Provider) -> Vec<Wanted> {
    ways(provider).into_iter().next().unwrap_or_default()
}

fn filled(provider: &Provider, answer: &Answer, status: StatusCode, wrong: Option<&str>) -> Response {
    let fields = asked_for(provider);
    // Nobody has looked at what its file says but who wrote it.
    let hosts: Vec<String> = provider.hosts().map(ToString::to_string).collect();
    let hosts = (!provider.verified).then(|| hosts.join(", "));
    let page = FormPage {
        title: &provider.title,
        asker: &answer.asker,
        user: answer.connection.user().filter(|user| !user.looks_like_a_number()).map(crate::model::UserName::as_str),
        console: provider.console.as_deref(),
        hosts: hosts.as_deref(),
        fields: &fields,
        state: answer.state.expose(),
        wrong,
    };
    page.answer(status)
}

/// The last page. The way back is a link: a form's answer may not send a browser elsewhere (CSP `form-action`).
fn over(answer: &Answer, title: &str, text: &str, error: Option<&str>) -> Response {
    let back = answer.way_back(error);
    EndPage { status: StatusCode::OK, title, text, back: back.as_deref() }.answer()
}

fn stale() -> Response {
    let text = "This form was used already, or its time is up. The program can ask for a new one.";
    EndPage { status: StatusCode::NOT_FOUND, title: "Nothing to do here", text, back: None }.answer()
}

fn no_form() -> Problem {
    Problem::missing("this state belongs to no form, or none any more; POST /v1/request-connection asks for a new one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_key_loses_what_is_around_it_and_a_password_nothing() {
        let field = |name: &str, file| Wanted { name: name.to_owned(), prompt: String::new(), secret: true, file };
        let known = [field("api_key", false), field("password", false), field("private_key", true)];
        let mut typed = Credential::default();
        for name in ["api_key", "password", "private_key"] {
            typed.set(name, Secret::new(" k y \n".to_owned()));
        }
        let fields = trimmed(&typed, &known);
        let is = |name: &str, text: &str| fields.field(name).is_some_and(|value| value.matches(text));
        assert!(is("api_key", "k y") && is("password", " k y \n") && is("private_key", " k y \n"));
        assert_eq!(for_a_form("x holds a blank; register it again without it"), "x holds a blank; enter it again without it");
    }
}
