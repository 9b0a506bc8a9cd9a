//! How a renewal is asked for, or made on the spot, from what a connection stores. Pure: time comes in as an argument.

use std::time::SystemTime;

use super::generation::present;
use crate::model::Secret;
use crate::oauth::{
    self, Assertion, Authentication, Client, Encoding, KeyFile, Life, Refused, Role, RoleKeys, TokenReply, TokenRequest,
    Tokens, Unready,
};
use crate::provider::{
    ClientAuthentication, Fields, Grant, GrantKind, Jwt, JwtAlgorithm, KeyForm, ROLE_FIELDS, Renewal, TokenBody, TokenMethod,
};
use crate::sign::jwt::{Algorithm, Encoding as Spelling};
use crate::vault::Entry;

/// `grant_type` of RFC 7523 §2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// `grant_type` of RFC 8693 §2.1.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// `client_assertion_type` of RFC 7523 §2.2.
const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What GitHub takes at most ("Generating a JSON Web Token (JWT) for a GitHub App").
const APP_TOKEN: std::time::Duration = std::time::Duration::from_secs(600);

/// What Google takes at most ("Using OAuth 2.0 for Server to Server Applications").
const SERVICE_ACCOUNT_TOKEN: std::time::Duration = std::time::Duration::from_secs(3600);

/// What the role's own log calls us by, where the file names nothing else.
const SESSION_NAME: &str = "nexus";

/// The next step of a renewal.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask a token endpoint.
    Ask(TokenRequest, Language),
    /// Nobody is asked.
    Made(Obtained),
}

/// What a renewal gave: fields to write, and when they end.
#[derive(Debug)]
pub(super) struct Obtained {
    pub(super) fields: Vec<(&'static str, Secret<String>)>,
    pub(super) expires_at: Option<SystemTime>,
}

impl From<Tokens> for Obtained {
    fn from(tokens: Tokens) -> Self {
        let refresh_token = tokens.refresh_token.map(|token| ("refresh_token", token));
        let fields = std::iter::once(("access_token", tokens.access_token)).chain(refresh_token).collect();
        Self { fields, expires_at: tokens.expires_at }
    }
}

impl From<RoleKeys> for Obtained {
    fn from(keys: RoleKeys) -> Self {
        let [id, key, token] = ROLE_FIELDS;
        let fields = vec![(id, keys.access_key_id), (key, keys.secret_access_key), (token, keys.session_token)];
        Self { fields, expires_at: Some(keys.expires_at) }
    }
}

/// How a token endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// RFC 6749 §5.
    OAuth,
    /// As [`Language::OAuth`]; a refresh token in it would be another grant than ours (RFC 6749 §4.4.3).
    Granted,
    /// GitHub's installation tokens.
    Installation,
    /// Keys of AWS.
    Role,
}

impl Language {
    /// Reads `reply`, which arrived at `now`.
    pub(super) fn read(self, reply: &TokenReply, now: SystemTime) -> Result<Obtained, Refused> {
        match self {
            Self::OAuth => oauth::read(reply, now).map(Into::into),
            Self::Granted => oauth::read(reply, now).map(|tokens| Tokens { refresh_token: None, ..tokens }.into()),
            Self::Installation => oauth::read_installation(reply, now).map(Into::into),
            Self::Role => oauth::read_role(reply, now).map(Into::into),
        }
    }
}

/// What `renewal` takes for `entry`.
///
/// # Errors
/// When a field of the connection is missing or not what it should be.
pub(super) fn step(renewal: Renewal<'_>, entry: &Entry, now: SystemTime) -> Result<Step, Unready> {
    let field = |name: &str| present(entry.fields.field(name));
    match renewal {
        Renewal::Refresh(oauth2) => {
            let token = field("refresh_token").ok_or(Unready::Incomplete)?;
            let url = oauth::endpoint(oauth2.renewal_url(), &field)?;
            let client = client(oauth2.client_authentication, oauth2.token_body, &field);
            Ok(Step::Ask(oauth::refresh(url, &client, token)?, Language::OAuth))
        }
        Renewal::Grant(grant) => Making { grant, field: &field, now }.step(),
    }
}

fn client<'a>(method: ClientAuthentication, body: TokenBody, field: Fields<'a>) -> Client<'a> {
    let authentication = match method {
        ClientAuthentication::Basic => Authentication::Basic,
        ClientAuthentication::Post => Authentication::Post,
        ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => Authentication::None,
    };
    let encoding = match body {
        TokenBody::Form => Encoding::Form,
        TokenBody::Json => Encoding::Json,
    };
    Client { encoding, authentication, id: field("client_id"), secret: field("client_secret") }
}

/// One grant for one connection at one moment.
struct Making<'a> {
    grant: &'a Grant,
    field: Fields<'a>,
    now: SystemTime,
}

impl<'a> Making<'a> {
    fn step(&self) -> Result<Step, Unready> {
        match self.grant.kind {
            GrantKind::ClientCredentials => self.ask("client_credentials", None),
            GrantKind::AccountCredentials => self.ask("account_credentials", None),
            GrantKind::TokenExchange => {
                let token = self.need("subject_token")?.duplicate();
                self.ask(TOKEN_EXCHANGE, Some(("subject_token", token)))
            }
            GrantKind::JwtBearer => {
                let assertion = self.signed(self.jwt()?, Some(&self.url()?), Vec::new())?;
                self.ask(JWT_BEARER, Some(("assertion", assertion)))
            }
            GrantKind::ServiceAccount => {
                let assertion = self.service_account()?;
                self.buy(JWT_BEARER, &[("assertion", &assertion)])
            }
            GrantKind::GithubApp => {
                let request = oauth::bearing(self.url()?, &self.app_token()?)?;
                Ok(Step::Ask(request, Language::Installation))
            }
            GrantKind::SelfSigned => self.made(),
            GrantKind::AssumeRole => self.assume_role(),
        }
    }

    fn need(&self, name: &str) -> Result<&'a Secret<String>, Unready> {
        (self.field)(name).ok_or(Unready::Incomplete)
    }

    fn jwt(&self) -> Result<&'a Jwt, Unready> {
        self.grant.jwt.as_ref().ok_or(Unready::Incomplete)
    }

    fn url(&self) -> Result<String, Unready> {
        oauth::endpoint(self.grant.token_url.as_deref().ok_or(Unready::Incomplete)?, self.field)
    }

    /// Asks with the parameters of the file, one more, and the client.
    fn ask(&self, grant_type: &str, more: Option<(&str, Secret<String>)>) -> Result<Step, Unready> {
        let mut params = self.grant.filled_params(self.field).ok_or(Unready::Incomplete)?;
        params.extend(more);
        if self.grant.kind.has_client() && self.grant.client_authentication == ClientAuthentication::PrivateKeyJwt {
            let id = self.need("client_id")?;
            let claims = vec![("iss", id.duplicate()), ("sub", id.duplicate())];
            params.push(("client_assertion_type", Secret::new(CLIENT_ASSERTION.to_owned())));
            params.push(("client_assertion", self.signed(self.jwt()?, Some(&self.url()?), claims)?));
        }
        let params: Vec<(&str, &Secret<String>)> = params.iter().map(|(name, value)| (*name, value)).collect();
        self.buy(grant_type, &params)
    }

    fn buy(&self, grant_type: &str, params: &[(&str, &Secret<String>)]) -> Result<Step, Unready> {
        let client = self.client();
        let request = match self.grant.method {
            TokenMethod::Post => oauth::grant(self.url()?, &client, grant_type, params)?,
            TokenMethod::Get => oauth::grant_by_get(&self.url()?, &client, grant_type, params)?,
        };
        Ok(Step::Ask(request, Language::Granted))
    }

    fn client(&self) -> Client<'a> {
        let client = client(self.grant.client_authentication, self.grant.token_body, self.field);
        if self.grant.kind.has_client() {
            return client;
        }
        // An assertion says who asks; a client beside it would be a second opinion (RFC 7521 §4.1).
        Client { authentication: Authentication::None, id: None, secret: None, ..client }
    }

    /// Signs what the file says; its claims go before `usual` ones of the same name. `audience` marks an assertion: it has an audience and
    /// an id of its own (RFC 7523 §3).
    fn signed(
        &self,
        jwt: &'a Jwt,
        audience: Option<&str>,
        usual: Vec<(&'a str, Secret<String>)>,
    ) -> Result<Secret<String>, Unready> {
        let mut claims = jwt.filled_claims(self.field).ok_or(Unready::Incomplete)?;
        let audience = audience.map(|url| ("aud", Secret::new(url.to_owned())));
        let id = audience.as_ref().map(|_| oauth::random_id().map(|id| ("jti", id))).transpose()?;
        for claim in usual.into_iter().chain(audience).chain(id) {
            if !claims.iter().any(|(name, _)| *name == claim.0) {
                claims.push(claim);
            }
        }
        let key_id = jwt.filled_key_id(self.field).ok_or(Unready::Incomplete)?;
        let certificate = jwt.certificate.as_deref().map(|name| self.need(name)).transpose()?;
        let assertion = Assertion { key: self.need(&jwt.key)?, form: form(jwt), key_id: key_id.as_ref(), certificate, claims };
        oauth::sign(&assertion, Life { now: self.now, span: jwt.lifetime })
    }

    fn service_account(&self) -> Result<Secret<String>, Unready> {
        let url = self.url()?;
        let file = KeyFile::read(self.need("service_account_json")?, &url)?;
        let mut claims = vec![("iss", file.client_email.duplicate())];
        claims.extend((self.field)("subject").map(|subject| ("sub", subject.duplicate())));
        claims.extend(self.grant.filled_params(self.field).ok_or(Unready::Incomplete)?);
        claims.push(("aud", Secret::new(url)));
        let assertion = Assertion {
            key: &file.private_key,
            form: oauth::KeyForm::Pem(Algorithm::Rs256),
            key_id: file.private_key_id.as_ref(),
            certificate: None,
            claims,
        };
        oauth::sign(&assertion, Life { now: self.now, span: SERVICE_ACCOUNT_TOKEN })
    }

    fn app_token(&self) -> Result<Secret<String>, Unready> {
        let assertion = Assertion {
            key: self.need("private_key")?,
            form: oauth::KeyForm::Pem(Algorithm::Rs256),
            key_id: None,
            certificate: None,
            claims: vec![("iss", self.need("app_id")?.duplicate())],
        };
        oauth::sign(&assertion, Life { now: self.now, span: APP_TOKEN })
    }

    fn made(&self) -> Result<Step, Unready> {
        let jwt = self.jwt()?;
        let access_token = self.signed(jwt, None, Vec::new())?;
        let expires_at = Life { now: self.now, span: jwt.lifetime }.end();
        Ok(Step::Made(Obtained { fields: vec![("access_token", access_token)], expires_at }))
    }

    fn assume_role(&self) -> Result<Step, Unready> {
        let mut params = self.grant.filled_params(self.field).ok_or(Unready::Incomplete)?;
        params.push(("RoleArn", self.need("role_arn")?.duplicate()));
        params.extend((self.field)("external_id").map(|id| ("ExternalId", id.duplicate())));
        if !params.iter().any(|(name, _)| *name == "RoleSessionName") {
            params.push(("RoleSessionName", Secret::new(SESSION_NAME.to_owned())));
        }
        let params: Vec<(&str, &Secret<String>)> = params.iter().map(|(name, value)| (*name, value)).collect();
        let role = Role {
            access_key_id: self.need("access_key_id")?,
            secret_access_key: self.need("secret_access_key")?,
            session_token: (self.field)("session_token"),
            region: (self.field)("region"),
            params: &params,
        };
        Ok(Step::Ask(oauth::assume_role(&self.url()?, &role, self.now)?, Language::Role))
    }
}

fn form(jwt: &Jwt) -> oauth::KeyForm {
    let algorithm = match jwt.algorithm {
        JwtAlgorithm::Rs256 => Algorithm::Rs256,
        JwtAlgorithm::Es256 => Algorithm::Es256,
        JwtAlgorithm::Hs256 => Algorithm::Hs256,
    };
    match jwt.key_form {
        KeyForm::Pem => oauth::KeyForm::Pem(algorithm),
        KeyForm::Text => oauth::KeyForm::Shared(Spelling::Utf8),
        KeyForm::Hex => oauth::KeyForm::Shared(Spelling::Hex),
        KeyForm::Base64 => oauth::KeyForm::Shared(Spelling::Base64),
        KeyForm::IdAndHex => oauth::KeyForm::IdAndHex,
    }
}

/// Whether a renewal of `entry` can be made from its fields at all; sends nothing.
///
/// # Errors
/// What would keep it from being made: a key that is none, a key file of another service.
pub(crate) fn try_out(renewal: Renewal<'_>, entry: &Entry, now: SystemTime) -> Result<(), Unready> {
    step(renewal, entry, now).map(drop)
}
