//! Where services send people back to: the state in the address is the credential, and is good for one answer.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{Method, StatusCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::consent::{Account, Code, Error};
use crate::gateway::access::{Asked, Page};
use crate::gateway::begin::{By, account, not_kept, told};
use crate::gateway::context::{Gateway, Shared};
use crate::gateway::flow::Ending;
use crate::gateway::keep::keep_unless;
use crate::gateway::page::EndPage;
use crate::gateway::pending::{Answer, Answered};
use crate::gateway::problem::Problem;
use crate::model::ConnectionId;
use crate::vault::Entry;

/// Its operations.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(oauth_callback))
}

/// How a consent ended, for people and programs.
#[derive(Debug)]
enum End {
    Connected,
    /// The person, or who decides for them, said no.
    Denied(String),
    /// It went wrong.
    Failed(String),
}

/// Where a service sends a person back to (RFC 6749 §4.1.2). Its state is the credential; it works once.
#[utoipa::path(get, path = "/oauth/callback", tag = "pages",
    params(
        ("state" = Option<String>, Query, description = "Of the question"),
        ("code" = Option<String>, Query, description = "What tokens are obtained with"),
        ("error" = Option<String>, Query, description = "Why there is none"),
        ("iss" = Option<String>, Query, description = "Who answers (RFC 9207)"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/html", description = "It is done, and there is nowhere to go back to"),
        (status = 303, description = "It is over; back to the program, with status, connection_id, provider and state"),
        (status = 404, body = String, content_type = "text/html", description = "This answers no question, or none any more"),
    ))]
async fn oauth_callback(
    State(gateway): State<Shared>,
    method: Method,
    asked: Asked<Page>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    // Who looks at a link before a person does answers nothing (RFC 9110 §9.2.1).
    if method == Method::HEAD {
        return Ok(StatusCode::OK.into_response());
    }
    let query = query.unwrap_or_default();
    // To the end also where the browser leaves: a question whose answer was heard has to be over in one way or the other.
    let work = tokio::spawn(async move { hear(&gateway, &asked, query).await });
    work.await.unwrap_or_else(|_stopped| Err(Problem::internal()))
}

/// Acts on what a browser brought.
async fn hear(gateway: &Shared, asked: &Asked<Page>, query: String) -> Result<Response, Problem> {
    let heard = gateway.on_disk(move |gateway| {
        let now = (gateway.ports.clock)();
        gateway.ports.pending.hear(&gateway.redirect_uri(), &query, now)
    });
    match heard.await?.map_err(|error| not_kept(&error))? {
        Answered::Unknown => {
            Ok(stale("This address belongs to no log-in that Nexus waits for: it was used already, or its time is up."))
        }
        Answered::Strange(why) => Ok(stale(&why)),
        Answered::Flow(answer, code) => {
            let end = match *code {
                Ok(code) => connect(gateway, asked, &answer, code).await,
                Err(error) => Ok(ended(&error)),
            };
            if !matches!(end, Ok(End::Connected)) {
                let id = answer.id.clone();
                let why = if matches!(end, Ok(End::Denied(_))) { Ending::Denied } else { Ending::Failed };
                let failed = gateway.on_disk(move |gateway| gateway.ports.pending.fail(&id, why)).await?;
                failed.map_err(|error| not_kept(&error))?;
            }
            Ok(told_to_both(&answer, &end?))
        }
    }
}

/// Redeems the code and stores what came of it. A task of its own, so that nothing that goes wrong in it is the end of the question too.
async fn connect(gateway: &Shared, asked: &Asked<Page>, answer: &Answer, code: Code) -> Result<End, Problem> {
    asked.note(gateway, "gateway_consented", &[("connection", answer.connection.as_str())]).await?;
    let (gateway, id) = (Arc::clone(gateway), answer.id.clone());
    let (connection, scopes, asker) = (answer.connection.clone(), answer.scopes.clone(), answer.asker.clone());
    let work = tokio::spawn(async move {
        let whose = connection.clone();
        let account = match gateway.on_disk(move |gateway| gateway.account_now(&whose, scopes)).await?? {
            Ok(account) => account,
            Err(error) => return Ok(ended(&error)),
        };
        let obtained = match account.redeem(code, &gateway.consents()).await {
            Ok(obtained) => obtained,
            Err(error) => return Ok(ended(&error)),
        };
        let kept = gateway.on_disk(move |gateway| {
            let in_use = |now: &Entry| gateway.is_in_use(&asker, account.connection(), Some(now), By::Consent);
            let kept = keep_unless(&gateway.ports.store, &account, (&obtained, Some(&id)), in_use);
            Ok::<_, Problem>(kept.map(|_hosts| gateway.ports.pending.finish(&id)))
        });
        Ok(match kept.await?? {
            Ok(forgotten) => {
                // The connection is there, and found by its handle before the question is.
                forgotten.unwrap_or_else(|error| tracing::warn!("an answered question stays written down: {}", told(&error)));
                End::Connected
            }
            Err(error) => {
                tracing::error!(%connection, "what a consent gave was not stored: {}", told(&error));
                End::Failed(told(&error))
            }
        })
    });
    work.await.unwrap_or_else(|_stopped| Err(Problem::internal()))
}

impl Gateway {
    /// The account of `connection`, as that is called now.
    fn account_now(&self, connection: &ConnectionId, scopes: Vec<String>) -> Result<Result<Account, Error>, Problem> {
        let provider = self.ports.catalogue.load().get(connection.provider()).cloned();
        let provider = provider.ok_or_else(|| Problem::missing("the provider's file is gone"))?;
        let vault = self.vault()?;
        Ok(account(&vault, &provider, &Self::called_now(&vault, connection), scopes))
    }
}

fn ended(error: &Error) -> End {
    tracing::info!("no account was connected: {}", told(error));
    if error.is_a_no() { End::Denied(told(error)) } else { End::Failed(told(error)) }
}

/// Back to the program where it has a place for it, else a page.
fn told_to_both(answer: &Answer, end: &End) -> Response {
    let error = match end {
        End::Connected => None,
        End::Denied(_) => Some("access_denied"),
        End::Failed(_) => Some("connection_failed"),
    };
    if let Some(back) = answer.way_back(error) {
        return Redirect::to(&back).into_response();
    }
    let page = |status, title, text: &str| EndPage { status, title, text, back: None }.answer();
    match end {
        End::Connected => page(StatusCode::OK, "Connected", "Programs can use this account through Nexus now."),
        End::Denied(why) => page(StatusCode::OK, "Not connected", why),
        End::Failed(why) => page(StatusCode::OK, "Not connected", why),
    }
}

fn stale(text: &str) -> Response {
    EndPage { status: StatusCode::NOT_FOUND, title: "Nothing to do here", text, back: None }.answer()
}
