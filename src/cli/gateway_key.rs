//! `nexus gateway key`: who may ask the gateway.

use std::time::SystemTime;

use anyhow::Context as _;
use nexus::agent::Token;
use nexus::app::{GatewayKey, GatewayKeyKind};
use nexus::model::{AgentName, ProviderId};
use serde_json::json;

use super::arguments::{AddKey, GatewayKey as Action, KeyKind};
use super::context::{Context, Hint};
use super::terminal::Terminal;
use super::{providers, surroundings, when};

pub(super) fn run(context: &Context, terminal: &Terminal, action: &Action) -> anyhow::Result<()> {
    context.require_home()?;
    match action {
        Action::Add(options) => add(context, terminal, options),
        Action::List => list(context, terminal),
        Action::Revoke { name } => revoke(context, terminal, name),
    }
}

fn add(context: &Context, terminal: &Terminal, options: &AddKey) -> anyhow::Result<()> {
    let now = SystemTime::now();
    let name = &options.name;
    anyhow::ensure!(
        options.user.is_none() || options.kind == KeyKind::App,
        "--user binds keys of apps only: a node carries everybody's requests, an administrator sees everything"
    );
    anyhow::ensure!(
        options.providers.is_empty() || options.kind != KeyKind::Admin,
        "--providers binds keys of apps and nodes only: an administrator sees everything"
    );
    let catalogue = context.catalogue(terminal);
    let provider = |text: &String| Ok(providers::find(&catalogue, &text.parse()?)?.id.clone());
    let providers: Vec<ProviderId> = options.providers.iter().map(provider).collect::<anyhow::Result<_>>()?;
    let key = Token::key().context("the system gives no random numbers")?;
    let row = GatewayKey {
        name: name.clone(),
        kind: kind(options.kind),
        key_sha256: key.hash(),
        user: options.user.clone(),
        providers: (!providers.is_empty()).then_some(providers),
        expires: options.expires,
        created: Some(now),
    };
    let added = context.home.change_gateway_keys(|keys| {
        let taken = keys.iter().any(|key| key.name == *name);
        if !taken {
            keys.push(row.clone());
        }
        !taken
    })?;
    let hint = || {
        let message = format!("there is a key called {name} already, and it can't be shown again");
        Hint::new(message, format!("nexus gateway key revoke {name}"))
    };
    anyhow::ensure!(added, hint());
    show_once(context, terminal, &row, &key).or_else(|error| {
        // A key that nobody has seen is nobody's.
        take_back(context, name)?;
        Err(error.context(format!("the key could not be shown, so {name} was not added")))
    })
}

/// The one time that the key is seen.
fn show_once(context: &Context, terminal: &Terminal, row: &GatewayKey, key: &Token) -> anyhow::Result<()> {
    let config = context.config()?.gateway;
    let scheme = if config.tls_cert.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", surroundings::reachable(config.listen));
    let (name, text) = (&row.name, key.text().expose());
    let value = json!({ "key": name.as_str(), "kind": row.kind.as_str(), "secret": text, "gateway": url, "expires_at": row.expires.map(when::show) });
    terminal.either(&value, || {
        let way = match row.kind {
            GatewayKeyKind::App => format!("for a program that speaks to Nexus:\n  NEXUS_GATEWAY_URL={url}/k/{text}\n"),
            GatewayKeyKind::Node => format!("for a proxy elsewhere:\n  NEXUS_GATEWAY_URL={url}\n  NEXUS_GATEWAY_KEY={text}\n"),
            GatewayKeyKind::Admin => format!("in a request:\n  curl -H 'X-API-Key: {text}' {url}/api/status\n"),
        };
        format!("key {name}, shown this once:\n  {text}\n{way}")
    })
}

fn list(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let keys = context.home.gateway_keys()?.unwrap_or_default();
    let now = SystemTime::now();
    let names =
        |key: &GatewayKey| key.providers.as_ref().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let value: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "key": key.name.as_str(),
                "kind": key.kind.as_str(),
                "user": key.user.as_ref().map(ToString::to_string),
                "providers": names(key),
                "expires_at": key.expires.map(when::show),
                "created_at": key.created.map(when::show),
                "expired": key.expired(now),
            })
        })
        .collect();
    terminal.either(&json!({ "keys": value }), || {
        let cells = keys.iter().map(|key| {
            vec![
                key.name.to_string(),
                key.kind.as_str().to_owned(),
                key.user.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                names(key).map_or_else(|| "all".to_owned(), |names| names.join(", ")),
                key.expires.map_or_else(|| "never".to_owned(), |end| when::ends(end, now)),
                when::minute(key.created),
            ]
        });
        Terminal::table(&["Key", "Kind", "User", "Providers", "Expires", "Created"], cells.collect())
    })?;
    if keys.is_empty() && !terminal.json {
        terminal.hint(
            "no keys: programs of your own user on this machine need none; `nexus gateway key add NAME --kind app` makes one",
        );
    }
    Ok(())
}

fn revoke(context: &Context, terminal: &Terminal, name: &AgentName) -> anyhow::Result<()> {
    let unknown = || Hint::new(format!("there is no key called {name}"), "nexus gateway key list");
    anyhow::ensure!(take_back(context, name)?, unknown());
    terminal.either(&json!({ "revoked": name.as_str() }), || format!("revoked {name}\n"))
}

fn take_back(context: &Context, name: &AgentName) -> anyhow::Result<bool> {
    let without = |keys: &mut Vec<GatewayKey>| {
        let before = keys.len();
        keys.retain(|key| key.name != *name);
        keys.len() < before
    };
    Ok(context.home.change_gateway_keys(without)?)
}

fn kind(kind: KeyKind) -> GatewayKeyKind {
    match kind {
        KeyKind::App => GatewayKeyKind::App,
        KeyKind::Node => GatewayKeyKind::Node,
        KeyKind::Admin => GatewayKeyKind::Admin,
    }
}
