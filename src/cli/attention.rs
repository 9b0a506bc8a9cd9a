//! `nexus attention`: what requests were refused for until a person acts, as whoever knows most has it: the gateway
//! that lends to this machine, the one of this home, or the file of a proxy without either.

use http::Method;
use serde_json::{Value, json};

use super::context::{Context, Hint};
use super::control;
use super::terminal::Terminal;

/// The list, and where it comes from.
struct Found {
    document: Value,
    /// The gateway that lends to this machine.
    lender: Option<String>,
    /// Why it is only what was written down here.
    kept: Option<String>,
}

pub(super) fn run(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    context.require_home()?;
    let Some(found) = find(context)? else {
        anyhow::bail!(Hint::new("no proxy is up, so nobody knows what requests were refused for", "nexus status"));
    };
    let document = &found.document;
    terminal.either(&found.value(), || {
        let rows = items(document).map(|item| {
            let cell = |name: &str| text(item, name);
            let count = member(item, "count").as_u64().unwrap_or_default().to_string();
            vec![cell("status"), cell("title"), cell("node"), cell("agent"), count, cell("last_seen"), cell("command")]
        });
        Terminal::table(&["Status", "What", "Node", "Agent", "Requests", "Last", "To do"], rows.collect())
    })?;
    if items(document).next().is_none() && !terminal.json {
        terminal.say("nothing needs you");
    }
    if !terminal.json {
        found.origin().iter().for_each(|words| terminal.say(words));
    }
    if let Some(error) = error(document) {
        terminal.warn(&format!("the webhook did not take the last notice: {error}"));
    }
    Ok(())
}

/// Its part of `nexus status`: how good, in words, and for programs.
pub(super) fn look(context: &Context) -> anyhow::Result<(Option<bool>, String, Value)> {
    let Some(found) = find(context)? else {
        return Ok((None, "no proxy is up to ask".to_owned(), json!({ "known": false })));
    };
    let document = &found.document;
    let open: Vec<&Value> = items(document).filter(|item| *member(item, "status") == "open").collect();
    let (held, error) = (member(document, "held").as_u64().unwrap_or_default(), error(document));
    let mut words = match open.len() {
        0 => "nothing needs you".to_owned(),
        count => format!("{count} open; `nexus attention` shows all"),
    };
    for item in open.iter().take(5) {
        let node = member(item, "node").as_str().map(|_| format!(", node {}", text(item, "node"))).unwrap_or_default();
        let line = format!("\n{} (agent {}{node}): `{}`", text(item, "title"), text(item, "agent"), text(item, "command"));
        words.push_str(&line);
    }
    if held > 0 {
        words.push_str(&format!("\nrequests that wait for it: {held}"));
    }
    if let Some(error) = error {
        words.push_str(&format!("\nthe webhook did not take the last notice: {error}"));
    }
    found.origin().iter().for_each(|origin| words.push_str(&format!("\n{origin}")));
    let good = if error.is_some() { Some(false) } else { open.is_empty().then_some(true) };
    let mut value = json!({ "open": open, "held": held, "webhook": member(document, "webhook") });
    found.mark(&mut value);
    Ok((good, words, value))
}

/// The list of whoever knows most: the gateway that lends to this machine, the gateway of this home, or what a proxy that is up wrote down.
/// `None` where nobody is up.
fn find(context: &Context) -> anyhow::Result<Option<Found>> {
    if let Some(node) = super::node::lender(context, &context.config()?)? {
        let lender = Some(node.url());
        return match super::node::attention(context, &node) {
            Ok(document) => Ok(Some(Found { document, lender, kept: None })),
            Err(error) => Ok(Some(Found { document: context.home.attention()?, lender, kept: Some(format!("{error:#}")) })),
        };
    }
    if let Some(document) = ask(context)? {
        return Ok(Some(Found { document, lender: None, kept: None }));
    }
    if context.home.announced()?.is_empty() {
        return Ok(None);
    }
    let kept = Some("no gateway is up".to_owned());
    Ok(Some(Found { document: context.home.attention()?, lender: None, kept }))
}

impl Found {
    /// Whose list it is, where that is not the gateway of this home.
    fn origin(&self) -> Option<String> {
        match (&self.lender, &self.kept) {
            (None, None) => None,
            (Some(lender), None) => Some(format!("as the gateway at {lender} has it, which lends to this machine")),
            (Some(lender), Some(why)) => Some(format!(
                "as this machine's proxy wrote it down; the gateway at {lender}, which lends to it, can't be asked: {}",
                plain(why)
            )),
            (None, Some(why)) => Some(format!("as this machine's proxy wrote it down; {}", plain(why))),
        }
    }

    fn value(&self) -> Value {
        let mut value = self.document.clone();
        self.mark(&mut value);
        value
    }

    /// Says in `value` where it comes from, where that is not the gateway of this home.
    fn mark(&self, value: &mut Value) {
        let Some(value) = value.as_object_mut() else { return };
        if let Some(lender) = &self.lender {
            value.insert("gateway".to_owned(), json!(lender));
        }
        if let Some(why) = &self.kept {
            value.insert("written_down".to_owned(), json!(why));
        }
    }
}

/// `None` where no gateway of this home is up.
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
    plain(member(item, name).as_str().unwrap_or("-"))
}

fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
