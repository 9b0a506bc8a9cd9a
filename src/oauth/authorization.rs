//! The authorization code grant (RFC 6749 §4.1) with a proof key (RFC 7636): where a person consents, and what comes back from there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::asked::decoded;
use super::encoding::{Pair, form};
use super::id_token::Expected;
use super::issuer::Issuer;
use super::request::{Client, TokenRequest, Unready, grant};
use super::shown::shown;
use crate::model::{Secret, to_be_sealed};

/// The longest answer that is read, in bytes.
const QUERY_LIMIT: usize = 16 * 1024;

/// What is asked of a person (RFC 6749 §4.1.1).
#[derive(Debug)]
pub(crate) struct Authorization<'a> {
    /// The provider's page: https, perhaps with a query of its own.
    pub(crate) url: &'a str,
    /// `client_id`.
    pub(crate) client_id: &'a Secret<String>,
    /// Where the answer is to go, letter by letter.
    pub(crate) redirect_uri: &'a str,
    /// What is asked for; none = what the service gives by itself.
    pub(crate) scopes: &'a [String],
    /// What stands between them.
    pub(crate) separator: &'a str,
    /// Further parameters of the provider's.
    pub(crate) params: &'a [(String, String)],
    /// Whether a code challenge goes along (RFC 7636 §4.3).
    pub(crate) pkce: bool,
    /// Who must have answered.
    pub(crate) issuer: Issuer,
}

/// What nobody can guess: 256 random bits for each purpose.
#[derive(Debug)]
pub(crate) struct Unguessable {
    /// `state` (RFC 6749 §10.12).
    pub(crate) state: Secret<String>,
    /// `code_verifier` (RFC 7636 §4.1).
    pub(crate) verifier: Secret<String>,
    /// `nonce` (OpenID Connect Core §15.5.2).
    pub(crate) nonce: Secret<String>,
}

impl Unguessable {
    /// Draws them.
    ///
    /// # Errors
    /// When the machine has no random numbers.
    pub(crate) fn draw() -> Result<Self, Unready> {
        let one = || {
            let mut bytes = Zeroizing::new([0; 32]);
            getrandom::fill(bytes.as_mut_slice())?;
            Ok::<_, getrandom::Error>(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
        };
        Ok(Self { state: one()?, verifier: one()?, nonce: one()? })
    }
}

/// A consent that is waited for. Its answer consumes it, so that it is good for one. Whoever keeps it on disk seals it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Consent {
    #[serde(with = "to_be_sealed")]
    state: Secret<String>,
    #[serde(with = "to_be_sealed::if_any")]
    verifier: Option<Secret<String>>,
    redirect_uri: String,
    expected: Expected,
}

/// What came to the redirect URI.
#[derive(Debug)]
pub(crate) enum Callback {
    /// Not an answer to this consent, which goes on waiting.
    Strange(Consent, Strange),
    /// Its answer, and the end of it.
    Answer(Result<Code, Denied>),
}

/// Why something is no answer to a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Strange {
    /// Another page than the one that was asked for.
    #[error("it came to another address than the redirect URI")]
    Redirect,
    /// RFC 6749 §3.1: no parameter is there more than once.
    #[error("a parameter of it is there more than once")]
    Twice,
    /// No `state`, or one of another session.
    #[error("its state is not the one of this log-in")]
    State,
    /// RFC 6749 §4.1.2: an answer has the one or the other.
    #[error("it has neither a code nor an error")]
    NoCode,
    /// More than any service sends.
    #[error("it is too long")]
    Long,
}

/// Why a consent gave no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// `access_denied`: the person, or somebody who decides for them, said no.
    #[error("the consent was denied{0}")]
    Refused(String),
    /// Another error of RFC 6749 §4.1.2.1.
    #[error("the service refused to ask for consent: {0}")]
    Error(String),
    /// RFC 9207 §2.4: the answer of another authorization server.
    #[error("the answer came from another service ({0}) than the one that was asked; nothing was sent there")]
    Issuer(String),
}

/// An authorization code, and what it is redeemed with.
#[derive(Debug)]
pub(crate) struct Code {
    code: Secret<String>,
    verifier: Option<Secret<String>>,
    redirect_uri: String,
    expected: Expected,
}

impl Authorization<'_> {
    /// The page's address, and what waits for the answer.
    ///
    /// # Errors
    /// When the page is not https.
    pub(crate) fn ask(self, unguessable: Unguessable) -> Result<(String, Consent), Unready> {
        if !self.url.starts_with("https://") {
            return Err(Unready::NotHttps);
        }
        let Unguessable { state, verifier, nonce } = unguessable;
        let scope = self.scopes.join(self.separator);
        let challenge = challenge(&verifier);
        let mut pairs: Vec<Pair<'_>> = vec![
            ("response_type", "code"),
            ("client_id", self.client_id.expose()),
            ("redirect_uri", self.redirect_uri),
            ("state", state.expose()),
        ];
        if !scope.is_empty() {
            pairs.push(("scope", &scope));
        }
        if self.pkce {
            pairs.extend([("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")]);
        }
        let nonce = self.scopes.iter().any(|scope| scope == "openid").then_some(nonce);
        pairs.extend(nonce.as_ref().map(|nonce| ("nonce", nonce.expose().as_str())));
        pairs.extend(self.params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let join = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{join}{}", self.url, String::from_utf8_lossy(&form(&pairs)));
        let expected = Expected { issuer: self.issuer, nonce };
        let verifier = self.pkce.then_some(verifier);
        Ok((url, Consent { state, verifier, redirect_uri: self.redirect_uri.to_owned(), expected }))
    }
}

/// RFC 7636 §4.2, method S256.
fn challenge(verifier: &Secret<String>) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()))
}

impl Consent {
    /// What its answer must bring along.
    pub(crate) fn state(&self) -> &Secret<String> {
        &self.state
    }

    /// Reads what came to `redirect`, an address without its query (RFC 6749 §4.1.2). Who does not know the state ends nothing.
    pub(crate) fn callback(self, redirect: &str, query: &str) -> Callback {
        let answer = match self.own_answer(redirect, query) {
            Ok(answer) => answer,
            Err(strange) => return Callback::Strange(self, strange),
        };
        let said = |name: &str| answer.get(name).filter(|value| !value.is_empty());
        if let Some(iss) = said("iss").filter(|iss| !self.expected.issuer.is(iss)) {
            return Callback::Answer(Err(Denied::Issuer(shown(iss))));
        }
        if let Some(error) = said("error") {
            let told = said("error_description").map(|text| shown(text));
            return Callback::Answer(Err(denied(error, told)));
        }
        let Some(code) = said("code") else { return Callback::Strange(self, Strange::NoCode) };
        let code = Secret::new(code.to_string());
        let Self { verifier, redirect_uri, expected, .. } = self;
        Callback::Answer(Ok(Code { code, verifier, redirect_uri, expected }))
    }

    fn own_answer(&self, redirect: &str, query: &str) -> Result<Answer, Strange> {
        if redirect != self.redirect_uri {
            return Err(Strange::Redirect);
        }
        let answer = Answer::read(query)?;
        match answer.get("state") {
            Some(state) if self.state.matches(state) => Ok(answer),
            _ => Err(Strange::State),
        }
    }
}

/// The `state` that an answer brings; `None` where it can't be read, or has none.
pub(crate) fn answered_state(query: &str) -> Option<Secret<String>> {
    let answer = Answer::read(query).ok()?;
    answer.get("state").filter(|state| !state.is_empty()).map(|state| Secret::new(state.to_string()))
}

fn denied(error: &str, told: Option<String>) -> Denied {
    match (error, told) {
        ("access_denied", told) => Denied::Refused(told.map(|told| format!(" ({told})")).unwrap_or_default()),
        (error, Some(told)) => Denied::Error(format!("{} ({told})", shown(error))),
        (error, None) => Denied::Error(shown(error)),
    }
}

/// The parameters of an answer, each there once.
struct Answer(Vec<(String, Zeroizing<String>)>);

impl Answer {
    fn read(query: &str) -> Result<Self, Strange> {
        if query.len() > QUERY_LIMIT {
            return Err(Strange::Long);
        }
        let mut answer = Self(Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).into_owned();
            if answer.get(&name).is_some() {
                return Err(Strange::Twice);
            }
            answer.0.push((name, Zeroizing::new(decoded(value).into_owned())));
        }
        Ok(answer)
    }

    fn get(&self, name: &str) -> Option<&Zeroizing<String>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl Code {
    /// The request that redeems it at `url` (RFC 6749 §4.1.3, RFC 7636 §4.5), and what an ID token in the reply must say.
    ///
    /// # Errors
    /// When `url` is not https.
    pub(crate) fn redeem(self, url: String, client: &Client<'_>) -> Result<(TokenRequest, Expected), Unready> {
        let redirect_uri = Secret::new(self.redirect_uri);
        let mut params = vec![("code", &self.code), ("redirect_uri", &redirect_uri)];
        params.extend(self.verifier.as_ref().map(|verifier| ("code_verifier", verifier)));
        Ok((grant(url, client, "authorization_code", &params)?, self.expected))
    }
}

#[cfg(test)]
mod tests;
