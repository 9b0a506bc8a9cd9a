//! `nexus list` and `show`: connections without their secrets.

use std::time::SystemTime;

use nexus::model::UserName;
use nexus::vault::{Captured, Entry, Status, Summary};
use serde_json::{Value, json};

use super::arguments::{List, One};
use super::context::{Context, Hint, known};
use super::terminal::Terminal;
use super::when;

pub(super) fn list(context: &Context, terminal: &Terminal, options: &List) -> anyhow::Result<()> {
    let user: Option<UserName> = options.user.as_deref().map(str::parse).transpose()?;
    let rows: Vec<_> = context
        .store()?
        .summary()?
        .into_iter()
        .filter(|row| user.is_none() || UserName::same(row.connection.user(), user.as_ref()))
        .collect();
    terminal.either(&json!({ "connections": rows.iter().map(facts).collect::<Vec<_>>() }), || {
        let cells = rows.iter().map(|row| {
            vec![
                row.connection.provider().to_string(),
                row.auth_type.as_str().to_owned(),
                row.client_id.clone().unwrap_or_else(|| "-".to_owned()),
                row.connection.user().map_or_else(|| "-".to_owned(), ToString::to_string),
                when::minute(row.expires_at),
                when::minute(row.registered_at),
            ]
        });
        Terminal::table(&["Provider", "Auth type", "Client ID", "User", "Expires", "Registered"], cells.collect())
    })?;
    for row in rows.iter().filter(|row| row.status == Status::Attention) {
        let id = &row.connection;
        terminal.warn(&format!(
            "{id} needs attention: its last renewal was refused for good; log in again (`nexus login {id}`) or register it again"
        ));
    }
    for row in rows.iter().filter(|row| row.status == Status::Pending) {
        terminal.warn(&waits(row));
    }
    if rows.is_empty() && !terminal.json {
        say_that_there_is_none(terminal, user.as_ref());
    }
    Ok(())
}

fn facts(row: &Summary) -> Value {
    json!({
        "connection": row.connection.as_str(),
        "provider": row.connection.provider().as_str(),
        "auth_type": row.auth_type.as_str(),
        "client_id": row.client_id,
        "user": row.connection.user().map(UserName::as_str),
        "status": row.status.as_str(),
        "scopes": row.scopes,
        "agent": row.captured.as_ref().map(|captured| captured.agent.as_str()),
        "pending_until": until(row.captured.as_ref()).map(when::show),
        "expires_at": row.expires_at.map(when::show),
        "registered_at": row.registered_at.map(when::show),
    })
}

/// When nobody can approve it any more.
fn until(captured: Option<&Captured>) -> Option<SystemTime> {
    captured.and_then(|captured| captured.until)
}

fn waits(row: &Summary) -> String {
    let id = &row.connection;
    let agent = row.captured.as_ref().map_or("somebody", |captured| captured.agent.as_str());
    let (since, end) = (when::minute(row.registered_at), when::minute(until(row.captured.as_ref())));
    format!(
        "{id} is used by nobody: {agent} obtained it at {since}, and it waits until {end} for `nexus approve {id}` or `nexus remove {id}`"
    )
}

fn say_that_there_is_none(terminal: &Terminal, user: Option<&UserName>) {
    match user {
        Some(user) => terminal.hint(&format!("{user} has no connection; `nexus list` shows those of everybody")),
        None => terminal.hint("nothing is registered yet; run `nexus register github`, or see `nexus providers list`"),
    }
}

pub(super) fn show(context: &Context, terminal: &Terminal, options: &One) -> anyhow::Result<()> {
    let store = context.store()?;
    let id = known(&store, &options.provider, options.user.as_deref())?;
    let entry = store.get(&id)?.ok_or_else(|| missing(id.as_str()))?;
    let fields: Vec<&str> = entry.fields.names().collect();
    let scopes = Summary::of(&id, &entry).scopes;
    let value = json!({
        "connection": id.as_str(),
        "auth_type": entry.auth_type.as_str(),
        "fields": fields,
        "hosts": entry.hosts,
        "token_urls": entry.token_urls,
        "status": entry.status.as_str(),
        "scopes": scopes,
        "agent": entry.captured.as_ref().map(|captured| captured.agent.as_str()),
        "pending_until": until(entry.captured.as_ref()).map(when::show),
        "expires_at": entry.expires_at.map(when::show),
        "registered_at": entry.registered_at.map(when::show),
    });
    terminal.either(&value, || {
        let mut pairs = vec![
            ("Connection", id.to_string()),
            ("Auth type", entry.auth_type.as_str().to_owned()),
            ("Fields", fields.join(", ")),
            ("Hosts", hosts(&entry)),
            ("Renewed at", if entry.token_urls.is_empty() { "-".to_owned() } else { entry.token_urls.join(", ") }),
            ("Status", entry.status.as_str().to_owned()),
            ("Expires", when::or_dash(entry.expires_at)),
            ("Registered", when::or_dash(entry.registered_at)),
        ];
        if !scopes.is_empty() {
            pairs.push(("Scopes", scopes.join(" ")));
        }
        if let Some(captured) = &entry.captured {
            pairs.push(("Obtained by", captured.agent.to_string()));
            pairs.extend(captured.until.map(|until| ("Waits until", when::show(until))));
        }
        Terminal::pairs(&pairs)
    })
}

fn hosts(entry: &Entry) -> String {
    match entry.sealed_hosts() {
        None => "those of the provider".to_owned(),
        Some([]) => "none".to_owned(),
        Some(hosts) => hosts.join(", "),
    }
}

pub(super) fn missing(id: &str) -> Hint {
    Hint::new(format!("{id} is not registered"), "nexus list")
}
