//! Grants: ways to a token that is made from what a connection stores and is never stored by a person.

use std::time::Duration;

use super::rule::{ClientAuthentication, OAuth2, Provider, TokenBody};
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

/// How the credential of one connection is renewed.
#[derive(Debug, Clone, Copy)]
pub enum Renewal<'p> {
    /// The refresh token that a person's consent gave (RFC 6749 §6).
    Refresh(&'p OAuth2),
    /// A new token from what is stored.
    Grant(&'p Grant),
}

impl<'p> Renewal<'p> {
    /// Where its secrets are sent, as the file writes it; `None` where nobody is asked.
    pub fn token_url(self) -> Option<&'p str> {
        match self {
            Self::Refresh(oauth2) => Some(oauth2.renewal_url()),
            Self::Grant(grant) => grant.token_url.as_deref(),
        }
    }

    /// The fields that it fills, as [`GrantKind::makes`] says.
    pub fn makes(self) -> &'static [&'static str] {
        match self {
            Self::Refresh(_) => &["access_token"],
            Self::Grant(grant) => grant.kind.makes(),
        }
    }

    /// Life of a token whose reply does not tell.
    pub fn default_lifetime(self) -> Option<Duration> {
        match self {
            Self::Refresh(oauth2) => oauth2.default_lifetime,
            Self::Grant(grant) => grant.default_lifetime,
        }
    }
}

impl Provider {
    /// How a connection with these fields is renewed: by its refresh token, else by the first grant whose fields it has.
    pub fn renewal(&self, fields: Fields<'_>) -> Option<Renewal<'_>> {
        if let Some(oauth2) = self.oauth2.as_ref().filter(|_| present(fields, "refresh_token")) {
            return Some(Renewal::Refresh(oauth2));
        }
        self.grants.iter().find(|grant| grant.is_filled_by(fields)).map(Renewal::Grant)
    }

    /// Whether one of its grants makes tokens from the field called `name`: then no request carries it.
    pub fn spends(&self, name: &str) -> bool {
        self.grants.iter().any(|grant| grant.spends(name))
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Credential, Secret};
    use crate::provider::{GrantKind, Provider, Renewal, parse};

    fn provider() -> Provider {
        let text = r#"
            name = "acme"
            slots = ["authorization"]
            [oauth2]
            token_url = "https://auth.acme.example/token"
            [[grant]]
            kind = "account_credentials"
            params = { account_id = "{account_id}", audience = "https://{org|account_id}.acme.example/" }
            scopes = ["a", "b"]
            [[grant]]
            kind = "token_exchange"
            token_url = "https://auth.acme.example/{account_id}/exchange"
            client_authentication = "none"
            params = { subject_token_type = "urn:ietf:params:oauth:token-type:jwt" }
            [[field]]
            name = "account_id"
            prompt = "Account"
            secret = false
            [[field]]
            name = "org"
            prompt = "Organisation"
            secret = false
            [[field]]
            name = "subject_token"
            prompt = "Token of the other issuer"
            [[inject]]
            hosts = ["api.acme.example"]
            strategy = { bearer = "{access_token}" }
        "#;
        parse("acme.toml", text).expect("a provider")
    }

    fn credential(names: &[&str]) -> Credential {
        let mut credential = Credential::default();
        names.iter().for_each(|name| credential.set(name, Secret::new(format!("the-{name}"))));
        credential
    }

    #[test]
    fn a_refresh_token_goes_first_then_the_first_grant_whose_fields_are_there() {
        let provider = provider();
        let kind = |names: &[&str]| {
            let credential = credential(names);
            provider.renewal(&|name| credential.field(name)).map(|renewal| match renewal {
                Renewal::Refresh(_) => "refresh",
                Renewal::Grant(grant) => grant.kind.word(),
            })
        };
        assert_eq!(kind(&["refresh_token", "client_id", "client_secret", "account_id"]), Some("refresh"));
        assert_eq!(kind(&["client_id", "client_secret", "account_id", "subject_token"]), Some("account_credentials"));
        assert_eq!(kind(&["client_id", "account_id", "subject_token"]), Some("token_exchange"));
        assert_eq!(kind(&["client_id", "client_secret"]), None);
        assert_eq!(kind(&["access_token", "subject_token"]), None);
        let mut empty = credential(&["client_id", "account_id"]);
        empty.set("client_secret", Secret::new(String::new()));
        assert!(provider.renewal(&|name| empty.field(name)).is_none());
    }

    #[test]
    fn i2_what_makes_tokens_is_known_and_goes_on_no_request() {
        let provider = provider();
        assert!(["client_secret", "subject_token"].iter().all(|name| provider.spends(name)));
        assert!(!["client_id", "account_id", "org", "access_token", "refresh_token"].iter().any(|name| provider.spends(name)));
        assert_eq!(provider.grants[0].fields(), ["client_id", "client_secret", "account_id", "org"]);
        assert_eq!(provider.grants[1].fields(), ["subject_token", "account_id"]);
        assert_eq!(
            provider.token_endpoints().collect::<Vec<_>>(),
            [
                "https://auth.acme.example/token",
                "https://auth.acme.example/token",
                "https://auth.acme.example/{account_id}/exchange"
            ]
        );
    }

    #[test]
    fn parameters_are_filled_from_the_connection() {
        let provider = provider();
        let credential = credential(&["account_id", "org"]);
        let params = provider.grants[0].filled_params(&|name| credential.field(name)).expect("all there");
        let params: Vec<(&str, &str)> = params.iter().map(|(name, value)| (*name, value.expose().as_str())).collect();
        let audience = "https://the-org.acme.example/";
        assert_eq!(params, [("scope", "a b"), ("account_id", "the-account_id"), ("audience", audience)]);
        assert!(provider.grants[0].filled_params(&|_| None).is_none());
    }

    #[test]
    fn i1_callers_do_not_reach_the_token_endpoint_of_a_tenant() {
        let text = r#"
            name = "acme"
            slots = ["authorization"]
            [oauth2]
            token_url = "https://{site}.acme.example/oauth/{site}/token?x=y"
            [[field]]
            name = "site"
            prompt = "Site"
            secret = false
            [[inject]]
            hosts = ["api.acme.example", "{site}.acme.example"]
            strategy = { bearer = "{access_token}" }
            [[inject]]
            hosts = ["api.acme.example"]
            strategy = { bearer = "{api_key}" }
        "#;
        let provider = parse("acme.toml", text).expect("a provider");
        let post = http::Method::POST;
        let shut = |number: usize, path: &str| provider.inject.get(number).expect("a rule").mints(&post, path);
        assert!(shut(0, "/oauth/s1/token") && shut(0, "/OAuth/s2/%74oken?a=b") && !shut(0, "/oauth/token"));
        assert!(!shut(1, "/oauth/s1/token"));
    }

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<&str> = GrantKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), GrantKind::ALL.len());
    }
}
