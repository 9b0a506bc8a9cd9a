//! Grants: ways to a token that is made from what a connection stores and is never stored by a person.

use std::time::Duration;

use super::oauth2::{ClientAuthentication, TokenBody};
use super::rule::Provider;
use super::strategy::{Fields, present};
use super::template::{Piece, Template};
use crate::model::Secret;

/// `[[grant]]`: one way.
#[derive(Debug)]
pub struct Grant {
    /// Which one.
    pub kind: GrantKind,
    /// Where tokens are asked for, with a `{field}` for what differs by connection; `None` where nobody is asked.
    pub token_url: Option<String>,
    /// How.
    pub method: TokenMethod,
    /// How the client authenticates there.
    pub client_authentication: ClientAuthentication,
    /// How the token request is written.
    pub token_body: TokenBody,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Between two of them.
    pub scope_separator: String,
    /// Further parameters: `audience`, `resource`.
    pub params: Vec<(String, Template)>,
    /// Life of a token whose reply does not tell.
    pub default_lifetime: Option<Duration>,
    /// The token that is signed here: an assertion for the endpoint, or what the service takes.
    pub jwt: Option<Jwt>,
}

/// `kind = "client_credentials"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantKind {
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// The same with Zoom's own word for it ("Server-to-Server OAuth").
    AccountCredentials,
    /// RFC 7523 §2.1: a signed assertion buys the token.
    JwtBearer,
    /// The same with Google's key file.
    ServiceAccount,
    /// A signed token buys one for an installation of a GitHub App.
    GithubApp,
    /// RFC 8693: a token of another issuer buys this one's.
    TokenExchange,
    /// RFC 7519: the service takes what is signed here.
    SelfSigned,
    /// AWS STS: long-lived keys buy temporary ones of a role.
    AssumeRole,
}

/// How a token endpoint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenMethod {
    /// As RFC 6749 §3.2 has it.
    Post,
    /// The parameters in the query, the client in the `Authorization` field.
    Get,
}

/// A JSON Web Token (RFC 7519).
#[derive(Debug)]
pub struct Jwt {
    /// RFC 7518 §3.1.
    pub algorithm: JwtAlgorithm,
    /// The field that holds the key.
    pub key: String,
    /// How the key is written there.
    pub key_form: KeyForm,
    /// `kid`.
    pub key_id: Option<Template>,
    /// The field that holds the certificate of the key, for `x5t#S256`.
    pub certificate: Option<String>,
    /// All claims but `iat`, `exp` and `jti`.
    pub claims: Vec<(String, Template)>,
    /// From `iat` to `exp`.
    pub lifetime: Duration,
}

/// `algorithm = "RS256"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// HMAC with SHA-256.
    Hs256,
}

/// `key_form = "pem"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// A private key.
    Pem,
    /// The text's own bytes.
    Text,
    /// Hexadecimal.
    Hex,
    /// Standard base64.
    Base64,
    /// `ID:HEX`: the id becomes `kid`.
    IdAndHex,
}

/// Fields that some kinds of grant are about.
pub(super) const CLIENT_ID: &str = "client_id";
pub(super) const CLIENT_SECRET: &str = "client_secret";
const SERVICE_ACCOUNT: &str = "service_account_json";
const PRIVATE_KEY: &str = "private_key";
const APP_ID: &str = "app_id";
const SUBJECT: &str = "subject";
const SUBJECT_TOKEN: &str = "subject_token";

/// What an assumed role gives, besides the keys that it is assumed with: id, secret and session token.
pub const ROLE_FIELDS: [&str; 3] = ["role_access_key_id", "role_secret_access_key", "role_session_token"];

impl JwtAlgorithm {
    /// Its word in provider files and in a token's head.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
        }
    }
}

impl GrantKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ClientCredentials,
        Self::AccountCredentials,
        Self::JwtBearer,
        Self::ServiceAccount,
        Self::GithubApp,
        Self::TokenExchange,
        Self::SelfSigned,
        Self::AssumeRole,
    ];

    /// Its word in a provider file.
    pub fn word(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AccountCredentials => "account_credentials",
            Self::JwtBearer => "jwt_bearer",
            Self::ServiceAccount => "service_account",
            Self::GithubApp => "github_app",
            Self::TokenExchange => "token_exchange",
            Self::SelfSigned => "self_signed",
            Self::AssumeRole => "assume_role",
        }
    }

    /// Fields by these names are its own business: key, key file, token to exchange.
    fn own_fields(self) -> &'static [&'static str] {
        match self {
            Self::ServiceAccount => &[SERVICE_ACCOUNT],
            Self::GithubApp => &[APP_ID, PRIVATE_KEY],
            Self::TokenExchange => &[SUBJECT_TOKEN],
            Self::AssumeRole => &["access_key_id", "secret_access_key", "role_arn"],
            Self::ClientCredentials | Self::AccountCredentials | Self::JwtBearer | Self::SelfSigned => &[],
        }
    }

    /// The fields that it fills; while the last one is missing, the credential is yet to be fetched.
    pub fn makes(self) -> &'static [&'static str] {
        match self {
            Self::AssumeRole => &ROLE_FIELDS,
            _ => &["access_token"],
        }
    }

    /// Fields that it uses where they are there.
    fn optional_fields(self) -> &'static [&'static str] {
        match self {
            Self::ServiceAccount => &[SUBJECT],
            Self::AssumeRole => &["external_id", "region", "session_token"],
            _ => &[],
        }
    }

    /// Whether its endpoint is for us alone. STS is an API like others, whose callers sign with what was stored for them.
    pub fn has_private_endpoint(self) -> bool {
        self != Self::AssumeRole
    }

    /// Whether a client shows who it is, as RFC 6749 §2.3 has it.
    pub fn has_client(self) -> bool {
        matches!(self, Self::ClientCredentials | Self::AccountCredentials | Self::TokenExchange)
    }
}

impl Grant {
    /// What a connection must have, each as alternatives of which one is enough.
    fn needs(&self) -> Vec<Vec<&str>> {
        let mut needs: Vec<Vec<&str>> = self.kind.own_fields().iter().map(|name| vec![*name]).collect();
        match self.client_authentication {
            _ if !self.kind.has_client() => {}
            ClientAuthentication::Basic | ClientAuthentication::Post => needs.extend([vec![CLIENT_ID], vec![CLIENT_SECRET]]),
            ClientAuthentication::PrivateKeyJwt => needs.push(vec![CLIENT_ID]),
            ClientAuthentication::None => {}
        }
        needs.extend(self.token_url.iter().flat_map(|url| holes(url)).map(|name| vec![name]));
        let jwt = self.jwt.iter();
        needs.extend(
            jwt.clone().flat_map(|jwt| std::iter::once(&jwt.key).chain(&jwt.certificate)).map(|name| vec![name.as_str()]),
        );
        let signed = jwt.flat_map(|jwt| jwt.claims.iter().map(|(_, value)| value).chain(&jwt.key_id));
        let templates = self.params.iter().map(|(_, value)| value).chain(signed);
        needs.extend(templates.flat_map(Template::holes).map(|names| names.iter().map(AsRef::as_ref).collect()));
        needs
    }

    /// The names of the fields that it needs, each once; of alternatives the first.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields: Vec<&str> = Vec::new();
        for name in self.needs().iter().filter_map(|names| names.first()) {
            if !fields.contains(name) {
                fields.push(name);
            }
        }
        fields
    }

    /// Whether it looks at the field called `name` at all.
    pub fn reads(&self, name: &str) -> bool {
        self.kind.optional_fields().contains(&name) || self.needs().iter().flatten().any(|need| *need == name)
    }

    /// Secrets that make tokens and are seen by the token endpoint at most: no request carries one.
    pub fn spends(&self, name: &str) -> bool {
        let key = self.jwt.as_ref().is_some_and(|jwt| jwt.key == name);
        let client = name == CLIENT_SECRET && self.needs().iter().flatten().any(|need| *need == name);
        // Keys of AWS sign requests too, where there is no role.
        let own = !matches!(name, APP_ID) && self.kind != GrantKind::AssumeRole && self.kind.own_fields().contains(&name);
        key || client || own
    }

    /// Whether a connection with these fields can use it.
    pub fn is_filled_by(&self, fields: Fields<'_>) -> bool {
        self.needs().iter().all(|names| names.iter().any(|name| present(fields, name)))
    }

    /// `scope` and the further parameters; `None` where the connection lacks a field.
    pub fn filled_params(&self, fields: Fields<'_>) -> Option<Vec<(&str, Secret<String>)>> {
        let scope = (!self.scopes.is_empty()).then(|| ("scope", Secret::new(self.scopes.join(&self.scope_separator))));
        let params = self.params.iter().map(|(name, value)| Some((name.as_str(), fill(value, fields)?)));
        scope.into_iter().map(Some).chain(params).collect()
    }
}

impl Jwt {
    /// The claims that the file names; `None` where the connection lacks a field.
    pub fn filled_claims(&self, fields: Fields<'_>) -> Option<Vec<(&str, Secret<String>)>> {
        self.claims.iter().map(|(name, value)| Some((name.as_str(), fill(value, fields)?))).collect()
    }

    /// `kid`; `None` where the connection lacks a field.
    pub fn filled_key_id(&self, fields: Fields<'_>) -> Option<Option<Secret<String>>> {
        self.key_id.as_ref().map_or(Some(None), |template| fill(template, fields).map(Some))
    }
}

fn fill(template: &Template, fields: Fields<'_>) -> Option<Secret<String>> {
    let value = |name: &str| fields(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty());
    let fill = |piece: &'_ Piece| match piece {
        Piece::Text(text) => Some(text.to_string()),
        Piece::Field(names) => names.iter().find_map(|name| value(name)).map(str::to_owned),
    };
    let pieces: Option<zeroize::Zeroizing<Vec<String>>> =
        template.0.iter().map(fill).collect::<Option<_>>().map(zeroize::Zeroizing::new);
    Some(Secret::new(pieces?.concat()))
}

/// The names in the holes of a URL.
pub(super) fn holes(url: &str) -> impl Iterator<Item = &str> {
    url.split('{').skip(1).filter_map(|hole| Some(hole.split_once('}')?.0))
}

impl Provider {
    /// Whether one of its grants makes tokens from the field called `name`: then no request carries it.
    pub fn spends(&self, name: &str) -> bool {
        self.grants.iter().any(|grant| grant.spends(name))
    }
}

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
