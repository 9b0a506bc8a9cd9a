//! `Consent`: an account that a gateway elsewhere is to connect, asked for from here.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{ANSWER, AskError, Node};
use crate::app::config::Config;
use crate::app::home::Home;
use crate::model::{ConnectionId, Secret};
use crate::node;

/// Where the browser is to end: at the gateway's own page.
const NOWHERE: &str = "/oauth/callback";

/// A question to a person that the gateway waits for the answer to.
#[derive(Debug)]
pub struct Consent {
    /// What the gateway calls the connection.
    pub id: String,
    /// Where the person answers. Who knows it could answer in the person's place.
    pub page: Secret<String>,
    /// The same was asked for before, by whoever has the same key, and nobody has answered.
    pub asked_before: bool,
}

impl Consent {
    fn read(text: &[u8], asked_before: bool) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        let member = |name: &str| value.get(name)?.as_str().filter(|text| !text.chars().any(char::is_control));
        let id = member("connection_id").filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))?;
        let page = member("authUrl").filter(|page| page.starts_with("https://") || page.starts_with("http://"))?;
        Some(Self { id: id.to_owned(), page: Secret::new(page.to_owned()), asked_before })
    }
}

impl Node {
    /// Has it ask a person for `connection`, good for `scopes`; none are those that are usual for the service.
    ///
    /// # Errors
    /// As [`AskError`] says.
    pub async fn ask_consent(
        &self,
        (home, config): (&Home, &Config),
        connection: &ConnectionId,
        scopes: &[String],
    ) -> Result<Consent, AskError> {
        let provider = connection.provider().as_str();
        let mut wish = json!({ "provider_name": provider, "scopes": scopes, "return_url": NOWHERE, "exclusive": true });
        if let (Some(user), Some(wish)) = (connection.user(), wish.as_object_mut()) {
            wish.insert("user_id".to_owned(), user.as_str().into());
        }
        let (door, body) = (self.door(home, config)?, Bytes::from(wish.to_string()));
        let asked = timeout(ANSWER, door.answer(Method::POST, "/v1/request-connection", Some(body))).await;
        let (head, text) = asked.unwrap_or(Err(node::Error::Silent)).map_err(AskError::new)?;
        if head.status.is_success() {
            return Consent::read(&text, false).ok_or(AskError::NoGateway);
        }
        match node::refused(&head, &text) {
            node::Error::Refused { code, .. } if code == "pending" => Consent::read(&text, true).ok_or(AskError::NoGateway),
            error => Err(AskError::new(error)),
        }
    }

    /// Takes the question back: nobody can answer it any more. What was answered already stays.
    ///
    /// # Errors
    /// As [`AskError`] says.
    pub async fn withdraw(&self, place: (&Home, &Config), consent: &Consent) -> Result<Value, AskError> {
        let path = format!("/v1/connections/{}?pending=true", consent.id);
        self.ask(place, Method::DELETE, &path, None).await
    }
}
