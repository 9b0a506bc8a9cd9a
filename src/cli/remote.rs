//! `nexus list`, `show` and `remove` where a gateway keeps the connections.

use nexus::app::{AskError, Link};
use nexus::model::{ConnectionId, UserName};
use nexus::vault::Summary;
use serde_json::{Map, Value, json};

use super::arguments::Remove;
use super::context::Context;
use super::gateway::There;
use super::remove::Done;
use super::standing::{Standings, Told, app_in_words};
use super::terminal::Terminal;
use super::{list as own, node, when};

/// Where a connection lives, as columns and JSON have it.
const GATEWAY: &str = "gateway";
const HERE: &str = "here";

/// The connections of `there` and those of the vault here, those of `user` where one is named.
pub(super) fn list((context, terminal): (&Context, &Terminal), there: &There, user: Option<&UserName>) -> anyhow::Result<()> {
    let told = there.list()?;
    let theirs: Vec<&Value> = told.get("connections").and_then(Value::as_array).into_iter().flatten().collect();
    let of_user = |row: &&Value| {
        let owner: Option<UserName> = text_of(row, "user").and_then(|name| name.parse().ok());
        user.is_none() || UserName::same(owner.as_ref(), user)
    };
    let here = kept_here(context, terminal, user)?;
    let rows = theirs.iter().filter(|row| of_user(row)).map(|row| (GATEWAY, (*row).clone(), cells(row)));
    let own = here.iter().map(|row| (HERE, own::facts(row), own::cells(row)));
    let rows: Vec<(&str, Value, Vec<String>)> = rows.chain(own).collect();
    let all: Vec<Value> = rows.iter().map(|(place, row, _)| placed(row, place)).collect();
    terminal.either(&json!({ "connections": all, "gateway": there.url() }), || {
        let columns =
            ["Provider", "Auth type", "Client ID", "User", "Expires", "Registered", "Status", "Last used", "Renews", "Where"];
        let cells = rows.iter().map(|(place, _, cells)| [&cells[..], &[(*place).to_owned()]].concat());
        Terminal::table(&columns, cells.collect())
    })?;
    for (row, told) in &here {
        own::advice(row, told.status).into_iter().for_each(|advice| terminal.warn(&advice));
    }
    warn_of_unused(context, terminal, (&theirs, &here))?;
    if rows.is_empty() && !terminal.json {
        let whose = user.map(|user| format!(" of {user}")).unwrap_or_default();
        terminal.say(&format!("the gateway {} has none{whose}, nor has the vault here", there.url()));
    }
    Ok(())
}

/// The connections of the vault here. A home that is not set up has none.
fn kept_here(context: &Context, terminal: &Terminal, user: Option<&UserName>) -> anyhow::Result<Vec<(Summary, Told)>> {
    if !context.home.is_ready() {
        return Ok(Vec::new());
    }
    let (snapshot, standings) = (context.store()?.snapshot()?, Standings::look(context, terminal));
    let wanted = snapshot.iter().filter(|(id, _)| user.is_none() || UserName::same(id.user(), user));
    Ok(wanted.map(|(id, entry)| (Summary::of(id, entry), standings.of(id, entry))).collect())
}

/// On a node, what the gateway has or ever lent is not used from the vault here.
fn warn_of_unused(
    context: &Context,
    terminal: &Terminal,
    (theirs, here): (&[&Value], &[(Summary, Told)]),
) -> anyhow::Result<()> {
    if here.is_empty() || node::lender(context, &context.config()?)?.is_none() {
        return Ok(());
    }
    let named = theirs.iter().filter_map(|row| text_of(row, "connection")?.parse::<ConnectionId>().ok());
    let served: Vec<ConnectionId> = named.chain(Link::served(&context.home)?).collect();
    for (row, _) in here {
        let id = &row.connection;
        let same = |one: &ConnectionId| one.provider() == id.provider() && UserName::same(one.user(), id.user());
        if served.iter().any(same) {
            terminal.warn(&format!("{id} in the vault here is used by nobody: one of that name is the gateway's, or was"));
        }
    }
    Ok(())
}

fn placed(row: &Value, place: &str) -> Value {
    let mut row = row.as_object().cloned().unwrap_or_default();
    row.insert("where".to_owned(), json!(place));
    Value::Object(row)
}

fn cells(row: &Value) -> Vec<String> {
    let minute = |name: &str| when::minute(time(row, name));
    vec![
        text(row, "provider"),
        text(row, "auth_type"),
        text(row, "client_id"),
        text(row, "user"),
        minute("expires_at"),
        minute("registered_at"),
        if is_app(row) { "app".to_owned() } else { text(row, "status") },
        minute("last_used_at"),
        minute("next_renewal_at"),
    ]
}

/// Shows `id` of `there`; false where it has none of that name, which may then be in the vault here.
pub(super) fn show(there: &There, terminal: &Terminal, id: &ConnectionId) -> anyhow::Result<bool> {
    let Some(row) = there.shown(id)? else { return Ok(false) };
    let mut facts = row.as_object().cloned().unwrap_or_default();
    facts.extend(Map::from_iter([("where".to_owned(), json!(GATEWAY)), ("gateway".to_owned(), json!(there.url()))]));
    let when = |name: &str| when::or_dash(time(&row, name));
    terminal.either(&Value::Object(facts), || {
        let mut pairs = vec![
            ("Connection", text(&row, "connection")),
            ("Kept at", there.url()),
            ("Auth type", text(&row, "auth_type")),
            ("Fields", words(&row, "fields", ", ")),
            ("Hosts", words(&row, "hosts", ", ")),
            ("Renewed at", words(&row, "token_urls", ", ")),
            ("Expires", when("expires_at")),
            ("Registered", when("registered_at")),
            ("Status", if is_app(&row) { app_in_words() } else { text(&row, "status") }),
            ("Last used", when("last_used_at")),
            ("Renews", when::minute(time(&row, "next_renewal_at"))),
            ("Scopes", words(&row, "scopes", " ")),
        ];
        if text_of(&row, "agent").is_some() {
            pairs.push(("Obtained by", text(&row, "agent")));
        }
        Terminal::pairs(&pairs)
    })?;
    Ok(true)
}

/// Takes `id` out of `there`; false where it has none of that name, which may then be in the vault here.
pub(super) fn remove(there: &There, terminal: &Terminal, id: &ConnectionId, options: &Remove) -> anyhow::Result<bool> {
    let told = match there.remove(id, (options.keep, !options.no_revoke)) {
        Ok(told) => told,
        Err(AskError::Refused { status: 404, .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if let Some(why) = text_of(&told, "warning") {
        terminal.warn(&format!("the tokens of {id} may still be good: {}", plain(why)));
    }
    let is = |name: &str| told.get(name).and_then(Value::as_bool) == Some(true);
    let at = (GATEWAY, Some(format!(" at the gateway {}", there.url())));
    Done { id: id.as_str(), kept: is("kept"), revoked: is("revoked"), at }.tell(terminal)?;
    Ok(true)
}

/// What comes from elsewhere must not steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

/// Whether it is an app that people log in by, and no credential.
pub(super) fn is_app(row: &Value) -> bool {
    row.get("app").and_then(Value::as_bool) == Some(true)
}

fn text(row: &Value, name: &str) -> String {
    text_of(row, name).map_or_else(|| "-".to_owned(), plain)
}

fn words(row: &Value, name: &str, between: &str) -> String {
    let words = row.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let words: Vec<String> = words.map(plain).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(between) }
}

fn time(row: &Value, name: &str) -> Option<std::time::SystemTime> {
    Some(text_of(row, name)?.parse::<jiff::Timestamp>().ok()?.into())
}

fn text_of<'v>(row: &'v Value, name: &str) -> Option<&'v str> {
    row.get(name)?.as_str()
}
