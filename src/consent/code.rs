//! The authorization code flow: a page, an answer, a code, tokens.

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::error::Error;
use super::obtained::Obtained;
use super::ports::Ports;
use crate::model::Secret;
use crate::oauth::{self, Authorization, Callback, Consent, Strange, Unguessable};

/// A consent that is waited for. Its answer consumes it. Whoever keeps it on disk seals it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Waiting {
    consent: Consent,
    scope: String,
}

/// An authorization code, good for one request.
#[derive(Debug)]
pub struct Code {
    code: oauth::Code,
    scope: String,
}

/// What came to the redirect URI.
#[derive(Debug)]
pub enum Heard {
    /// Not an answer to this consent, which goes on waiting; why, for people.
    Strange(Waiting, String),
    /// Its answer, and the end of it.
    Answer(Result<Code, Error>),
}

impl Account {
    /// The address of the page where a person consents, and what waits for the answer at `redirect_uri`.
    ///
    /// # Errors
    /// No such page, or a field that its address needs is missing.
    pub fn ask(&self, redirect_uri: &str) -> Result<(String, Waiting), Error> {
        let oauth2 = self.oauth2()?;
        let page = oauth2.authorize_url.as_deref().ok_or_else(|| Error::NoLogin(self.provider.title.clone()))?;
        let authorization = Authorization {
            url: &self.address(page)?,
            client_id: self.client_id()?,
            redirect_uri,
            scopes: &self.scopes,
            separator: &oauth2.scope_separator,
            params: &oauth2.authorize_params,
            pkce: oauth2.pkce,
            issuer: self.issuer()?,
        };
        let (url, consent) = authorization.ask(Unguessable::draw()?)?;
        Ok((url, Waiting { consent, scope: self.scope()? }))
    }

    /// Redeems `code`.
    ///
    /// # Errors
    /// As [`Error`] says; the code is spent.
    pub async fn redeem(&self, code: Code, ports: &Ports) -> Result<Obtained, Error> {
        let Code { code, scope } = code;
        let url = self.address(&self.oauth2()?.token_url)?;
        let (request, expected) = code.redeem(url, &self.client()?)?;
        let reply = ports.send(request).await?;
        let now = ports.now();
        let tokens = oauth::read(&reply, now)?;
        self.obtained(tokens, scope, (&expected, now))
    }
}

impl Waiting {
    /// What its answer must bring along (RFC 6749 §10.12).
    pub(crate) fn state(&self) -> &Secret<String> {
        self.consent.state()
    }

    /// Reads what came to `redirect`, an address without its query. Who does not know the state of this consent ends nothing.
    pub fn hear(self, redirect: &str, query: &str) -> Heard {
        let Self { consent, scope } = self;
        match consent.callback(redirect, query) {
            Callback::Strange(consent, strange) => Heard::Strange(Self { consent, scope }, for_people(strange)),
            Callback::Answer(answer) => Heard::Answer(answer.map(|code| Code { code, scope }).map_err(Error::from)),
        }
    }
}

fn for_people(strange: Strange) -> String {
    format!("this is not the answer that Nexus waits for: {strange}")
}
