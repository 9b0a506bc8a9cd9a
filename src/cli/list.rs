//! `nexus list` and `show`: connections without their secrets.

use std::sync::Arc;
use std::time::SystemTime;

use nexus::app::Link;
use nexus::model::{ConnectionId, UserName};
use nexus::vault::{Captured, Entry, Status, Summary};
use serde_json::{Map, Value, json};

use super::arguments::{List, One};
use super::context::{Context, Hint, connection};
use super::standing::{Standings, Told};
use super::terminal::Terminal;
use super::{gateway, node, remote, when};

pub(super) fn list(context: &Context, terminal: &Terminal, options: &List) -> anyhow::Result<()> {
    let user = options.user.as_ref();
    if let Some(there) = gateway::there(context, terminal)? {
        return remote::list((context, terminal), &there, user);
    }
    let snapshot = context.store()?.snapshot()?;
    let standings = Standings::look(context, terminal);
    let row = |(id, entry): (&ConnectionId, &Arc<Entry>)| (Summary::of(id, entry), standings.of(id, entry));
    let wanted = |(row, _): &(Summary, Told)| user.is_none() || UserName::same(row.connection.user(), user);
    let rows: Vec<_> = snapshot.iter().map(row).filter(wanted).collect();
    terminal.either(&json!({ "connections": rows.iter().map(facts).collect::<Vec<_>>() }), || {
        let columns = ["Provider", "Auth type", "Client ID", "User", "Expires", "Registered", "Status", "Last used", "Renews"];
        Terminal::table(&columns, rows.iter().map(cells).collect())
    })?;
    for (row, told) in &rows {
        advice(row, told.status).into_iter().for_each(|advice| terminal.warn(&advice));
    }
    if rows.is_empty() && !terminal.json {
        say_that_there_is_none(context, terminal, user)?;
    }
    Ok(())
}

pub(super) fn cells((row, told): &(Summary, Told)) -> Vec<String> {
    let known = vec![
        row.connection.provider().to_string(),
        row.auth_type.as_str().to_owned(),
        row.client_id.clone().unwrap_or_else(|| "-".to_owned()),
        row.connection.user().map_or_else(|| "-".to_owned(), ToString::to_string),
        when::minute(row.expires_at),
        when::minute(row.registered_at),
    ];
    [known, told.cells().to_vec()].concat()
}

/// What a person has to do about it; nothing where it works.
pub(super) fn advice(row: &Summary, status: Status) -> Option<String> {
    let id = &row.connection;
    let again = format!("log in again (`nexus login {id}`) or register it again");
    match status {
        Status::Active => None,
        Status::Attention => Some(format!("{id} needs attention: its last renewal was refused for good; {again}")),
        Status::Pending => Some(waits(row)),
        Status::Expired => Some(format!("{id} has expired, and there is nothing to renew it with; {again}")),
        Status::Revoked => Some(format!("{id} was revoked, so nothing goes with it; {again}, or remove it")),
        Status::Failed => Some(format!("{id} was never connected: its consent was denied or not given in time; {again}")),
        Status::Unknown => {
            Some(format!("{id} is in a state that only a newer Nexus knows, so nothing goes with it; use that one"))
        }
    }
}

pub(super) fn facts((row, told): &(Summary, Told)) -> Value {
    let mut facts = Map::from_iter([
        ("connection".to_owned(), json!(row.connection.as_str())),
        ("provider".to_owned(), json!(row.connection.provider().as_str())),
        ("auth_type".to_owned(), json!(row.auth_type.as_str())),
        ("client_id".to_owned(), json!(row.client_id)),
        ("user".to_owned(), json!(row.connection.user().map(UserName::as_str))),
        ("scopes".to_owned(), json!(row.scopes)),
        ("expires_at".to_owned(), json!(row.expires_at.map(when::show))),
        ("registered_at".to_owned(), json!(row.registered_at.map(when::show))),
    ]);
    told.write(&mut facts);
    obtained(row.captured.as_ref(), &mut facts);
    Value::Object(facts)
}

/// Of an agent's own log-in, or of a key that it made.
fn obtained(captured: Option<&Captured>, facts: &mut Map<String, Value>) {
    let made_with = captured.and_then(|captured| captured.made_with.as_ref());
    facts.insert("agent".to_owned(), json!(captured.map(|captured| captured.agent.as_str())));
    facts.insert("made_with".to_owned(), json!(made_with.map(ConnectionId::as_str)));
    facts.insert("pending_until".to_owned(), json!(until(captured).map(when::show)));
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

fn say_that_there_is_none(context: &Context, terminal: &Terminal, user: Option<&UserName>) -> anyhow::Result<()> {
    let lends = node::lender(context, &context.config()?)?.is_some();
    let lent = if lends { Link::served(&context.home)?.len() } else { 0 };
    match user {
        _ if lent > 0 => {
            terminal.hint(&format!("{lent} connections are at the gateway; `nexus status` says how it stands with it"));
        }
        Some(user) => terminal.hint(&format!("{user} has no connection; `nexus list` shows those of everybody")),
        None => terminal.hint("nothing is registered yet; run `nexus register github`, or see `nexus providers list`"),
    }
    Ok(())
}

pub(super) fn show(context: &Context, terminal: &Terminal, options: &One) -> anyhow::Result<()> {
    let named = connection(&options.provider, options.user.as_deref())?;
    match gateway::there(context, terminal)? {
        Some(there) if remote::show(&there, terminal, &named)? => return Ok(()),
        Some(there) => {
            terminal.say(&format!("nexus: the gateway {} has none of that name; this is the vault here", there.url()));
        }
        None => gateway::not_shown_here(context, &named)?,
    }
    show_here(context, terminal, &named)
}

fn show_here(context: &Context, terminal: &Terminal, named: &ConnectionId) -> anyhow::Result<()> {
    let store = context.store()?;
    let id = store.snapshot()?.meant(named);
    let entry = store.get(&id)?.ok_or_else(|| missing(id.as_str()))?;
    let told = Standings::look(context, terminal).of(&id, &entry);
    let fields: Vec<&str> = entry.fields.names().collect();
    let scopes = Summary::of(&id, &entry).scopes;
    let mut facts = Map::from_iter([
        ("connection".to_owned(), json!(id.as_str())),
        ("auth_type".to_owned(), json!(entry.auth_type.as_str())),
        ("fields".to_owned(), json!(fields)),
        ("hosts".to_owned(), json!(entry.hosts)),
        ("token_urls".to_owned(), json!(entry.token_urls)),
        ("scopes".to_owned(), json!(scopes)),
        ("expires_at".to_owned(), json!(entry.expires_at.map(when::show))),
        ("registered_at".to_owned(), json!(entry.registered_at.map(when::show))),
    ]);
    told.write(&mut facts);
    obtained(entry.captured.as_ref(), &mut facts);
    terminal.either(&Value::Object(facts), || {
        let mut pairs = vec![
            ("Connection", id.to_string()),
            ("Auth type", entry.auth_type.as_str().to_owned()),
            ("Fields", fields.join(", ")),
            ("Hosts", hosts(&entry)),
            ("Renewed at", if entry.token_urls.is_empty() { "-".to_owned() } else { entry.token_urls.join(", ") }),
            ("Expires", when::or_dash(entry.expires_at)),
            ("Registered", when::or_dash(entry.registered_at)),
        ];
        pairs.extend(told.lines());
        if !scopes.is_empty() {
            pairs.push(("Scopes", scopes.join(" ")));
        }
        if let Some(captured) = &entry.captured {
            pairs.push(("Obtained by", captured.agent.to_string()));
            pairs.extend(captured.made_with.as_ref().map(|with| ("Made with", with.to_string())));
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
