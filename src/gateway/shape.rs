//! What a program that insists on holding a credential is given: its shape, and where it goes on a request.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::access::Who;
use super::context::Gateway;
use crate::agent::Agent;
use crate::model::{AgentName, ConnectionId};
use crate::provider::{InjectRule, Placement, Provider, Template};
use crate::vault::{AuthType, Entry};

/// A credential as the Nexus contract has it: all values are strings.
#[derive(Serialize, ToSchema)]
pub(super) struct Credential {
    /// `oauth2`, `api_key` or `basic_auth`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// How it goes on a request.
    strategy: Strategy,
    /// Its fields. For every key but a proxy's they are worthless: the proxy puts the true ones on.
    credentials: BTreeMap<String, String>,
    /// When it ends (RFC 3339); null for what is worthless, which doesn't.
    expires_at: Option<String>,
    /// The connection's name.
    connection: String,
    /// Its service.
    provider: String,
    /// Whether it is worthless.
    placeholder: bool,
}

/// How a credential goes on a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Strategy {
    /// As that of the credential.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `header_name` with `value_prefix`, or `param_name`; `credential_field`; and `base_url`, where the service is.
    config: BTreeMap<&'static str, String>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Credential").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// The agent that `who` acts as, where a proxy has one of that name; who shows no key of their own is our user.
fn app(who: &Who) -> Option<AgentName> {
    match who {
        Who::Key(key) => Some(key.name.clone()),
        Who::Agent(_) => None,
        Who::Anyone | Who::Owner | Who::CommandLine | Who::Session(_) => Agent::local().map(|local| local.name),
    }
}

/// A worthless credential of the shape that `provider`'s have, which this machine's proxy and the nodes know as `who`'s for `id`.
pub(super) fn placeholder(
    gateway: &Gateway,
    who: &Who,
    (id, entry): (&ConnectionId, &Entry),
    provider: &Provider,
) -> Credential {
    let tail = app(who).map(|app| gateway.ports.apps.own().tail_of_app(&app, id)).unwrap_or_default();
    let fields = |name: &str| entry.fields.field(name);
    let hosts = provider.hosts_of(entry.sealed_hosts(), &fields);
    let shaped = provider.placeholders.iter().find(|shape| !shape.fixed && shape.file.is_none());
    let value = shaped.map_or_else(|| tail.clone(), |shape| shape.value(&tail, &fields, &hosts));
    let kind = kind(entry);
    let names: &[&str] = match kind {
        "oauth2" => &["access_token"],
        "basic_auth" => &["username", "password"],
        _ => &["api_key"],
    };
    let credentials = names.iter().map(|name| ((*name).to_owned(), value.clone())).collect();
    shaped_as(kind, credentials, None, (id, entry), provider)
}

/// The true credential, which only a proxy elsewhere is given (I11).
pub(super) fn true_one((id, entry): (&ConnectionId, &Entry), provider: &Provider) -> Credential {
    let spent = provider.spends("client_secret");
    let templates = provider.inject.iter().flat_map(|rule| &rule.placements).flat_map(Placement::templates);
    let placed: BTreeSet<&str> = templates.flat_map(Template::fields).collect();
    // Neither what only a renewal needs, nor what is known of it.
    let value = |name: &str| entry.placed_field(name, spent).map(|value| (name.to_owned(), value.expose().clone()));
    let credentials = placed.into_iter().filter_map(value).collect();
    let expires_at = entry.expires_at.and_then(|at| jiff::Timestamp::try_from(at).ok());
    // Whole seconds, down: older readers of ISO 8601 take no more than six digits of a fraction.
    let expires_at = expires_at.and_then(|at| jiff::Timestamp::from_second(at.as_second()).ok());
    let expires_at = expires_at.map(|at| at.display_with_offset(jiff::tz::Offset::UTC).to_string());
    let shape = shaped_as(kind(entry), credentials, expires_at, (id, entry), provider);
    Credential { placeholder: false, ..shape }
}

fn shaped_as(
    kind: &'static str,
    credentials: BTreeMap<String, String>,
    expires_at: Option<String>,
    (id, entry): (&ConnectionId, &Entry),
    provider: &Provider,
) -> Credential {
    let mut config = placement(kind, entry, provider);
    let mut credentials = credentials;
    // Where a client that knows no host of the service may send it.
    let fields = |name: &str| entry.fields.field(name);
    let hosts = provider.hosts_of(entry.sealed_hosts(), &fields);
    let base = hosts.iter().find(|host| !host.contains('*')).map(|host| format!("https://{host}"));
    if config.is_empty() && kind == "api_key" {
        // There is no place that a client could put it: the field that names the connection to the proxy, and nothing to the service.
        credentials.insert("connection".to_owned(), id.to_string());
        let named = [("header_name", "Nexus-Connection"), ("credential_field", "connection")];
        config = named.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    }
    config.extend(base.map(|base| ("base_url", base)));
    let (connection, provider) = (id.to_string(), provider.id.to_string());
    let strategy = Strategy { kind, config };
    Credential { kind, strategy, credentials, expires_at, connection, provider, placeholder: true }
}

/// The word of the contract. It has three; a client that meets a fourth would go with a secret of its own.
fn kind(entry: &Entry) -> &'static str {
    match &entry.auth_type {
        AuthType::OAuth2 => "oauth2",
        AuthType::BasicAuth => "basic_auth",
        AuthType::ApiKey | AuthType::Other(_) => "api_key",
    }
}

/// Where the first rule that takes the entry puts it, if that is one place that the contract has words for.
fn placement(kind: &str, entry: &Entry, provider: &Provider) -> BTreeMap<&'static str, String> {
    let spent = provider.spends("client_secret");
    let fields = |name: &str| entry.placed_field(name, spent);
    let rule: Option<&InjectRule> = provider.inject.iter().find(|rule| rule.accepts(&fields));
    let words = rule.and_then(|rule| rule.placements.first()).and_then(|placement| words(placement, kind));
    words.unwrap_or_default().into_iter().collect()
}

/// How the contract says where a placement puts `field`.
fn words(placement: &Placement, kind: &str) -> Option<Vec<(&'static str, String)>> {
    let field = if kind == "oauth2" { "access_token" } else { "api_key" }.to_owned();
    let in_header = |name: &str, prefix: String| {
        vec![("header_name", name.to_owned()), ("value_prefix", prefix), ("credential_field", field.clone())]
    };
    match placement {
        _ if kind == "basic_auth" => None,
        Placement::Bearer(_) => Some(in_header("Authorization", "Bearer ".to_owned())),
        // What stands there is found by the proxy, and put right.
        Placement::Basic { .. } => Some(in_header("Authorization", "Bearer ".to_owned())),
        Placement::Header { name, value } => Some(in_header(name.as_str(), prefix(value))),
        Placement::Query { name, .. } => Some(vec![("param_name", name.clone()), ("credential_field", field)]),
        Placement::Cookie { .. }
        | Placement::Path { .. }
        | Placement::Json { .. }
        | Placement::Form { .. }
        | Placement::Sign(_) => None,
    }
}

/// What stands before the first hole: `Token `.
fn prefix(template: &Template) -> String {
    let text = template.to_string();
    text.split('{').next().unwrap_or_default().to_owned()
}
