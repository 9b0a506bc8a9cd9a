//! `[[grant]]` tables.

use std::time::Duration;

use super::Error;
use super::inject::word;
use super::oauth2::{default_lifetime, scope_separator, scopes, template_url, token_body};
use super::source::{Table, Text, Value, suggestion};
use crate::provider::grant::{CLIENT_ID, CLIENT_SECRET, Grant, GrantKind, Jwt, JwtAlgorithm, KeyForm, TokenMethod};
use crate::provider::oauth2::{ClientAuthentication, OAuth2, TokenBody};
use crate::provider::path::PathPattern;
use crate::provider::pattern::HostPattern;
use crate::provider::rule::{Field, InjectRule, MethodPath};
use crate::provider::template::Template;

const KEYS: &[&str] = &[
    "kind",
    "token_url",
    "method",
    "client_authentication",
    "token_body",
    "scopes",
    "scope_separator",
    "params",
    "default_lifetime_secs",
    "jwt",
];

const JWT_KEYS: &[&str] = &["algorithm", "key", "key_form", "key_id", "certificate", "claims", "lifetime_secs"];

/// Parameters of a token request that are Nexus's own (RFC 6749 §4.4.2, RFC 7521 §4, RFC 8693 §2.1).
const OWN_PARAMS: [&str; 8] = [
    "assertion",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "grant_type",
    "refresh_token",
    "subject_token",
];

/// Claims that are Nexus's own (RFC 7519 §4.1).
const OWN_CLAIMS: [&str; 3] = ["exp", "iat", "jti"];

/// A signed token lives long enough for clocks to differ, and no longer than a day.
const LIFETIME: std::ops::RangeInclusive<u32> = 120..=86_400;

pub(super) fn read(value: &Value<'_>, oauth2: Option<&OAuth2>, fields: &[Field]) -> Result<Grant, Error> {
    let table = value.table(KEYS)?;
    let kind = word(&table.need("kind")?, &GrantKind::ALL.map(|kind| (kind.word(), kind)))?;
    refuse_others(&table, kind)?;
    let own = table.get("scopes").map_or(Ok(None), |_| scopes(&table))?;
    let theirs = || oauth2.filter(|_| kind == GrantKind::ServiceAccount).map(|oauth2| oauth2.scopes.clone());
    let grant = Grant {
        kind,
        token_url: token_url(&table, kind, oauth2, fields)?,
        method: table
            .get("method")
            .map_or(Ok(TokenMethod::Post), |value| word(&value, &[("POST", TokenMethod::Post), ("GET", TokenMethod::Get)]))?,
        client_authentication: client_authentication(&table, kind, oauth2)?,
        token_body: token_body(&table)?.or(oauth2.map(|oauth2| oauth2.token_body)).unwrap_or(TokenBody::Form),
        scopes: own.or_else(theirs).unwrap_or_default(),
        scope_separator: scope_separator(&table)?
            .or_else(|| oauth2.map(|oauth2| oauth2.scope_separator.clone()))
            .unwrap_or_else(|| " ".to_owned()),
        params: pairs(&table, "params", &OWN_PARAMS, fields)?,
        default_lifetime: default_lifetime(&table)?.or(oauth2.and_then(|oauth2| oauth2.default_lifetime)),
        jwt: table.get("jwt").map(|value| jwt(&value, fields)).transpose()?,
    };
    check(&grant, value, &table, fields)?;
    Ok(grant)
}

/// Keys that would have no effect with this kind.
fn refuse_others(table: &Table<'_>, kind: GrantKind) -> Result<(), Error> {
    let others: &[&str] = match kind {
        GrantKind::ClientCredentials | GrantKind::AccountCredentials => &[],
        GrantKind::TokenExchange => &["method"],
        GrantKind::JwtBearer => &["method", "client_authentication"],
        GrantKind::ServiceAccount => &["method", "client_authentication", "token_body", "params", "jwt"],
        GrantKind::AssumeRole => {
            &["method", "client_authentication", "token_body", "jwt", "scopes", "scope_separator", "default_lifetime_secs"]
        }
        GrantKind::GithubApp => &[
            "method",
            "client_authentication",
            "token_body",
            "params",
            "jwt",
            "scopes",
            "scope_separator",
            "default_lifetime_secs",
        ],
        GrantKind::SelfSigned => &[
            "method",
            "client_authentication",
            "token_body",
            "params",
            "scopes",
            "scope_separator",
            "default_lifetime_secs",
            "token_url",
        ],
    };
    match others.iter().find_map(|key| Some((key, table.get(key)?))) {
        Some((key, value)) => Err(value.refuse(format!("`{key}` has no meaning for a grant of the kind {}", kind.word()))),
        None => Ok(()),
    }
}

fn token_url(table: &Table<'_>, kind: GrantKind, oauth2: Option<&OAuth2>, fields: &[Field]) -> Result<Option<String>, Error> {
    match (table.get("token_url"), oauth2) {
        _ if kind == GrantKind::SelfSigned => Ok(None),
        (Some(url), _) => template_url(&url, fields).map(Some),
        (None, Some(oauth2)) => Ok(Some(oauth2.token_url.clone())),
        (None, None) => table.need("token_url").map(|_| None),
    }
}

fn client_authentication(table: &Table<'_>, kind: GrantKind, oauth2: Option<&OAuth2>) -> Result<ClientAuthentication, Error> {
    use ClientAuthentication::{Basic, None, Post, PrivateKeyJwt};
    let words = [Basic, Post, None, PrivateKeyJwt].map(|method| (method.word(), method));
    let said = table.get("client_authentication");
    let method = said.map_or(Ok(oauth2.map_or(Post, |oauth2| oauth2.client_authentication)), |value| word(&value, &words))?;
    if method == None && kind.has_client() && kind != GrantKind::TokenExchange {
        let value = said.map_or_else(|| table.need("kind"), Ok)?;
        return Err(value.refuse("this grant is for clients that authenticate (RFC 6749 section 4.4)"));
    }
    Ok(method)
}

fn check(grant: &Grant, value: &Value<'_>, table: &Table<'_>, fields: &[Field]) -> Result<(), Error> {
    let signs = grant.kind.has_client() && grant.client_authentication == ClientAuthentication::PrivateKeyJwt
        || matches!(grant.kind, GrantKind::JwtBearer | GrantKind::SelfSigned);
    match (&grant.jwt, table.get("jwt")) {
        (None, _) if signs => return Err(value.refuse("the key `jwt` is missing: this grant signs a token")),
        (Some(_), Some(jwt)) if !signs => return Err(jwt.refuse("nothing is signed here; leave `jwt` out")),
        _ => {}
    }
    if grant.method == TokenMethod::Get && grant.client_authentication != ClientAuthentication::Basic {
        return Err(value.refuse("with GET the client authenticates by client_secret_basic: a query is no place for a secret"));
    }
    if grant.kind == GrantKind::TokenExchange && !grant.params.iter().any(|(name, _)| name == "subject_token_type") {
        return Err(value.refuse("`params` must hold subject_token_type (RFC 8693 section 2.1)"));
    }
    if !grant.scopes.is_empty() && grant.params.iter().any(|(name, _)| name == "scope") {
        return Err(value.refuse("the scope is said twice: in `scopes` and in `params`"));
    }
    for name in grant.fields() {
        let declared = fields.iter().find(|field| field.name == name);
        match declared {
            Some(field) if !field.file && is_file(grant, name) => {
                return Err(value.refuse(format!("the [[field]] {name} holds several lines: it needs file = true")));
            }
            None if ![CLIENT_ID, CLIENT_SECRET, "username"].contains(&name) => {
                return Err(value.refuse(format!("this grant needs the field {name}, which no [[field]] declares")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the field holds PEM or JSON.
fn is_file(grant: &Grant, name: &str) -> bool {
    let signed = grant
        .jwt
        .iter()
        .any(|jwt| jwt.certificate.as_deref() == Some(name) || (jwt.key == name && jwt.key_form == KeyForm::Pem));
    let own = matches!(grant.kind, GrantKind::ServiceAccount | GrantKind::GithubApp) && grant.spends(name);
    signed || own
}

fn jwt(value: &Value<'_>, fields: &[Field]) -> Result<Jwt, Error> {
    use JwtAlgorithm::{Es256, Hs256, Rs256};
    let table = value.table(JWT_KEYS)?;
    let algorithm = word(&table.need("algorithm")?, &[("RS256", Rs256), ("ES256", Es256), ("HS256", Hs256)])?;
    let field = |value: Value<'_>| {
        let text = value.text()?;
        let known = fields.iter().any(|field| field.name == text.value);
        if known { Ok(text.value.to_owned()) } else { Err(text.refuse("no [[field]] of this name is declared")) }
    };
    let lifetime = table.need("lifetime_secs")?;
    let seconds = lifetime.number::<u32>("a number of seconds")?;
    if !LIFETIME.contains(&seconds) {
        return Err(lifetime.refuse("a signed token lives from 120 seconds to a day"));
    }
    Ok(Jwt {
        algorithm,
        key: field(table.need("key")?)?,
        key_form: key_form(&table, algorithm)?,
        key_id: table.get("key_id").map(|value| template(&value.text()?, fields)).transpose()?,
        certificate: table.get("certificate").map(field).transpose()?,
        claims: pairs(&table, "claims", &OWN_CLAIMS, fields)?,
        lifetime: Duration::from_secs(seconds.into()),
    })
}

fn key_form(table: &Table<'_>, algorithm: JwtAlgorithm) -> Result<KeyForm, Error> {
    use KeyForm::{Base64, Hex, IdAndHex, Pem, Text};
    let words = [("pem", Pem), ("text", Text), ("hex", Hex), ("base64", Base64), ("id_and_hex", IdAndHex)];
    let shared = algorithm == JwtAlgorithm::Hs256;
    let Some(value) = table.get("key_form") else { return Ok(if shared { Text } else { Pem }) };
    let form = word(&value, &words)?;
    if shared == (form == Pem) {
        return Err(value.refuse("HS256 signs with a shared secret, RS256 and ES256 with a private key in PEM"));
    }
    Ok(form)
}

/// Parameters or claims.
fn pairs(table: &Table<'_>, key: &str, own: &[&str], fields: &[Field]) -> Result<Vec<(String, Template)>, Error> {
    let Some(value) = table.get(key) else { return Ok(Vec::new()) };
    let pair = |(name, value): (Text<'_>, Value<'_>)| {
        if own.contains(&name.value) {
            return Err(name.refuse(format!("{} is nexus's own to set", name.value)));
        }
        Ok((name.value.to_owned(), template(&value.text()?, fields)?))
    };
    value.entries()?.into_iter().map(pair).collect()
}

/// Of fields that are one line, and no secret that makes tokens: these go nowhere but where their kind says.
fn template(text: &Text<'_>, fields: &[Field]) -> Result<Template, Error> {
    let template: Template = text.parse()?;
    for name in template.fields() {
        let declared = fields.iter().find(|field| field.name == name);
        if declared.is_some_and(|field| field.file) || ["access_token", "refresh_token", CLIENT_SECRET].contains(&name) {
            return Err(text.refuse(format!("{{{name}}} does not go into a parameter or claim")));
        }
        if declared.is_none() && ![CLIENT_ID, "username"].contains(&name) {
            let names = fields.iter().map(|field| field.name.as_str()).chain([CLIENT_ID, "username"]);
            let hint = suggestion(name, names);
            return Err(text.refuse(format!("unknown field {{{name}}}{hint}; others are declared by [[field]]")));
        }
    }
    Ok(template)
}

/// Keeps callers from token endpoints on tenants' hosts: elsewhere the exact host tells, here the rules of that host do.
///
/// Such a host is one of the provider's own, so that a secret goes where the credential may go.
pub(super) fn shut_tenants(root: &Table<'_>, inject: &mut [InjectRule]) -> Result<(), Error> {
    let grants = root.get("grant").map_or(Ok(Vec::new()), |list| list.list(Ok))?;
    let shut_kind = |kind: &str| GrantKind::ALL.iter().any(|known| known.word() == kind && known.has_private_endpoint());
    for table in root.get("oauth2").into_iter().chain(grants) {
        let entries = table.entries()?;
        let kind = entries.iter().find(|(key, _)| key.value == "kind").map(|(_, value)| value.text()).transpose()?;
        if kind.is_some_and(|kind| !shut_kind(kind.value)) {
            continue;
        }
        for (key, value) in entries {
            if ["token_url", "refresh_url"].contains(&key.value) {
                shut(&value.text()?, inject)?;
            }
        }
    }
    Ok(())
}

fn shut(url: &Text<'_>, inject: &mut [InjectRule]) -> Result<(), Error> {
    let rest = url.value.strip_prefix("https://").unwrap_or(url.value);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !host.contains('{') {
        return Ok(());
    }
    let host: HostPattern = host.parse().map_err(|error: crate::provider::PatternError| url.refuse(error.to_string()))?;
    let segments = path.split(['?', '#']).next().unwrap_or_default().split('/').filter(|segment| !segment.is_empty());
    let segments: Vec<&str> = segments.map(|segment| if segment.contains('{') { "*" } else { segment }).collect();
    let path: PathPattern = format!("/{}", segments.join("/"))
        .parse()
        .map_err(|error: crate::provider::PatternError| url.refuse(error.to_string()))?;
    let mut found = false;
    for rule in inject.iter_mut().filter(|rule| rule.port == 443 && rule.hosts.contains(&host)) {
        rule.mints.push(MethodPath { method: None, path: path.clone() });
        found = true;
    }
    if found { Ok(()) } else { Err(url.refuse(format!("{host} is not one of the hosts of any [[inject]]"))) }
}
