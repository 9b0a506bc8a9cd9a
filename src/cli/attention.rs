//! `nexus attention`: what requests were refused for until a person acts, as the proxy that is up has it.

use http::Method;
use serde_json::{Value, json};

use super::context::{Context, Hint};
use super::control;
use super::terminal::Terminal;

pub(super) fn run(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    context.require_home()?;
    let Some(document) = ask(context)? else {
        anyhow::bail!(Hint::new("no gateway is up, so nobody knows what requests were refused for", "nexus status"));
    };
    terminal.either(&document, || {
        let rows = items(&document).map(|item| {
            let cell = |name: &str| text(item, name);
            let count = member(item, "count").as_u64().unwrap_or_default().to_string();
            vec![cell("status"), cell("title"), cell("agent"), count, cell("last_seen"), cell("command")]
        });
        Terminal::table(&["Status", "What", "Agent", "Requests", "Last", "To do"], rows.collect())
    })?;
    if items(&document).next().is_none() && !terminal.json {
        terminal.say("nothing needs you");
    }
    if let Some(error) = error(&document) {
        terminal.warn(&format!("the webhook did not take the last notice: {error}"));
    }
    Ok(())
}

/// Its part of `nexus status`: how good, in words, and for programs.
pub(super) fn look(context: &Context) -> anyhow::Result<(Option<bool>, String, Value)> {
    let Some(document) = ask(context)? else {
        return Ok((None, "no gateway is up to ask".to_owned(), json!({ "known": false })));
    };
    let open: Vec<&Value> = items(&document).filter(|item| *member(item, "status") == "open").collect();
    let (held, error) = (member(&document, "held").as_u64().unwrap_or_default(), error(&document));
    let mut words = match open.len() {
        0 => "nothing needs you".to_owned(),
        count => format!("{count} open; `nexus attention` shows all"),
    };
    for item in open.iter().take(5) {
        words.push_str(&format!("\n{} (agent {}): `{}`", text(item, "title"), text(item, "agent"), text(item, "command")));
    }
    if held > 0 {
        words.push_str(&format!("\nrequests that wait for it: {held}"));
    }
    if let Some(error) = error {
        words.push_str(&format!("\nthe webhook did not take the last notice: {error}"));
    }
    let good = if error.is_some() { Some(false) } else { open.is_empty().then_some(true) };
    Ok((good, words, json!({ "open": open, "held": held, "webhook": member(&document, "webhook") })))
}

/// `None` where no gateway is up.
fn ask(context: &Context) -> anyhow::Result<Option<Value>> {
    let Some(answer) = control::ask(context, &Method::GET, "/api/attention", None)? else { return Ok(None) };
    let why = text(&answer.body, "detail");
    anyhow::ensure!(answer.status.is_success(), "the gateway answered {}: {why}", answer.status);
    Ok(Some(answer.body))
}

fn items(document: &Value) -> impl Iterator<Item = &Value> {
    member(document, "items").as_array().into_iter().flatten()
}

/// Why the webhook did not take the last notice.
fn error(document: &Value) -> Option<&str> {
    member(member(document, "webhook"), "error").as_str()
}

fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// A provider's file may say anything: a terminal gets letters only.
fn text(item: &Value, name: &str) -> String {
    member(item, name).as_str().unwrap_or("-").chars().filter(|letter| !letter.is_control()).collect()
}
