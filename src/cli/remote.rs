//! `nexus list` and `nexus remove` where a gateway keeps the connections.

use nexus::app::AskError;
use nexus::model::{ConnectionId, UserName};
use serde_json::{Value, json};

use super::gateway::There;
use super::terminal::Terminal;
use super::when;

/// The connections of `there`, those of `user` where one is named.
pub(super) fn list(there: &There, terminal: &Terminal, user: Option<&UserName>) -> anyhow::Result<()> {
    let told = there.list()?;
    let rows: Vec<&Value> = told.get("connections").and_then(Value::as_array).into_iter().flatten().collect();
    let wanted = |row: &&Value| {
        let theirs: Option<UserName> = text_of(row, "user").and_then(|name| name.parse().ok());
        user.is_none() || UserName::same(theirs.as_ref(), user)
    };
    let rows: Vec<&Value> = rows.into_iter().filter(wanted).collect();
    terminal.either(&json!({ "connections": rows, "gateway": there.url() }), || {
        let cells = rows.iter().map(|row| {
            let text = |name: &str| text_of(row, name).map_or_else(|| "-".to_owned(), plain);
            let time =
                |name: &str| when::minute(text_of(row, name).and_then(|at| at.parse::<jiff::Timestamp>().ok()).map(Into::into));
            vec![
                text("provider"),
                text("auth_type"),
                text("client_id"),
                text("user"),
                time("expires_at"),
                time("registered_at"),
                text("status"),
                time("last_used_at"),
            ]
        });
        let columns = ["Provider", "Auth type", "Client ID", "User", "Expires", "Registered", "Status", "Last used"];
        Terminal::table(&columns, cells.collect())
    })?;
    if rows.is_empty() && !terminal.json {
        let whose = user.map(|user| format!(" of {user}")).unwrap_or_default();
        terminal.say(&format!("the gateway {} has none{whose}", there.url()));
    }
    Ok(())
}

/// Takes `id` out of `there`; false where it has none of that name, which may then be in the vault here.
pub(super) fn remove(there: &There, terminal: &Terminal, id: &ConnectionId) -> anyhow::Result<bool> {
    let told = match there.remove(id) {
        Ok(told) => told,
        Err(AskError::Refused { status: 404, .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let revoked = told.get("revoked").and_then(Value::as_bool) == Some(true);
    terminal.either(&json!({ "removed": id.as_str(), "revoked": revoked, "gateway": there.url() }), || {
        let ended = if revoked { ", and its tokens are ended at the service" } else { "" };
        format!("removed {id} at the gateway {}{ended}\n", there.url())
    })?;
    Ok(true)
}

/// What comes from elsewhere must not steer a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

fn text_of<'v>(row: &'v Value, name: &str) -> Option<&'v str> {
    row.get(name)?.as_str()
}
