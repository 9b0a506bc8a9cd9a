//! `nexus approvals`: requests that wait for a person's word, as the proxy that is up has them; `nexus approve` answers.

use std::collections::HashSet;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::arguments::{Approvals, ApprovalsAction, Approve};
use super::context::{Context, Hint};
use super::control;
use super::terminal::Terminal;

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_millis(500);

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Approvals) -> anyhow::Result<()> {
    context.require_home()?;
    match &options.action {
        Some(ApprovalsAction::Show { id }) => {
            let item = of(context, id)?;
            terminal.either(&item, || text(&item))
        }
        Some(ApprovalsAction::Revoke { id }) => {
            require_id(id)?;
            done(asked(context, &Method::DELETE, &format!("/api/approvals/grants/{id}"), None)?)?;
            terminal.either(&json!({ "revoked": id }), || format!("{id} lets nothing on any more\n"))
        }
        None if options.watch => watch(context, terminal),
        None => list(context, terminal),
    }
}

/// Whether what was typed is the name of a request and not that of a connection: those are in small letters.
pub(super) fn is_request(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

fn require_id(id: &str) -> anyhow::Result<()> {
    anyhow::ensure!(is_request(id), Hint::new(format!("{id:?} is not the id of a request"), "nexus approvals"));
    Ok(())
}

/// Lets the request go on that `options` names, or refuses it.
pub(super) fn answer(context: &Context, terminal: &Terminal, options: &Approve) -> anyhow::Result<()> {
    let id = &options.provider;
    anyhow::ensure!(
        options.user.is_none() && options.fields.is_empty(),
        "--user and --field are for connections, not for requests"
    );
    let item = of(context, id)?;
    terminal.talk(&text(&item));
    if terminal.can_ask() && !options.deny {
        anyhow::ensure!(
            terminal.confirm("Let it go on?")?,
            "nothing was answered: {id} waits until {}",
            cell(&item, "expires_at")
        );
    }
    let span = options.span.map(|span| span.as_secs());
    let decision = if options.deny { "deny" } else { "allow" };
    let body = json!({ "decision": decision, "for_secs": span, "pattern": options.pattern });
    let answered = done(asked(context, &Method::POST, &format!("/api/approvals/{id}"), Some(&body))?)?;
    terminal.either(&answered, || {
        let more = if options.span.is_some() || options.pattern.is_some() {
            format!("; `nexus approvals revoke {id}` ends it")
        } else {
            String::new()
        };
        format!("{} {}{more}\n", cell(&answered, "status"), cell(&answered, "title"))
    })
}

/// Its part of `nexus status`.
pub(super) fn look(context: &Context) -> anyhow::Result<(Option<bool>, String, Value)> {
    let Some(document) = ask(context)? else {
        return Ok((None, "no gateway is up to ask".to_owned(), json!({ "known": false })));
    };
    let waiting: Vec<&Value> = items(&document, "items").filter(|item| waits(item)).collect();
    let grants = items(&document, "grants").count();
    let mut words = match waiting.len() {
        0 => "no request waits for your word".to_owned(),
        1 => "1 request waits for your word; `nexus approvals` shows it".to_owned(),
        count => format!("{count} requests wait for your word; `nexus approvals` shows them"),
    };
    if grants > 0 {
        words.push_str(&format!("\nlet on for a time: {grants}"));
    }
    Ok((waiting.is_empty().then_some(true), words, json!({ "waiting": waiting.len(), "grants": grants })))
}

fn list(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let document = ask(context)?.ok_or_else(nobody)?;
    terminal.either(&document, || {
        let rows = items(&document, "items").map(|item| {
            let [id, status, title, connection, rule, by] =
                ["id", "status", "title", "connection", "rule", "by"].map(|name| cell(item, name));
            vec![id, status, title, connection, rule, until(item), by]
        });
        let questions = Terminal::table(&["Id", "Status", "What", "Connection", "Rule", "Until", "By"], rows.collect());
        let grants = || {
            items(&document, "grants").map(|grant| {
                ["id", "agent", "method", "host", "path", "connection", "rule", "until", "by"]
                    .map(|name| cell(grant, name))
                    .to_vec()
            })
        };
        match grants().next() {
            None => questions,
            Some(_) => {
                let head = ["Let on", "Agent", "Method", "Host", "Path", "Connection", "Rule", "Until", "By"];
                format!("{questions}\n{}", Terminal::table(&head, grants().collect()))
            }
        }
    })?;
    if !items(&document, "items").any(waits) && !terminal.json {
        terminal.say("no request waits for your word");
    }
    Ok(())
}

/// Shows each question as it comes, until it is interrupted or the gateway is gone.
fn watch(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let mut seen: HashSet<String> = HashSet::new();
    loop {
        let document = ask(context)?.ok_or_else(nobody)?;
        let all: HashSet<String> = items(&document, "items").map(|item| cell(item, "id")).collect();
        seen.retain(|id| all.contains(id));
        for item in items(&document, "items").filter(|item| waits(item)) {
            if !seen.insert(cell(item, "id")) {
                continue;
            }
            let shown = if terminal.json { format!("{item}\n") } else { format!("{}\n", text(item)) };
            if !terminal.more_data(&shown)? {
                return Ok(());
            }
        }
        std::thread::sleep(LOOK);
    }
}

fn of(context: &Context, id: &str) -> anyhow::Result<Value> {
    require_id(id)?;
    done(asked(context, &Method::GET, &format!("/api/approvals/{id}"), None)?)
}

/// `None` where no gateway is up.
fn ask(context: &Context) -> anyhow::Result<Option<Value>> {
    control::ask(context, &Method::GET, "/api/approvals", None)?.map(done).transpose()
}

fn asked(context: &Context, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<control::Answer> {
    control::ask(context, method, path, body)?.ok_or_else(nobody)
}

fn nobody() -> anyhow::Error {
    Hint::new("no gateway is up, so no request waits here".to_owned(), "nexus status").into()
}

fn done(answer: control::Answer) -> anyhow::Result<Value> {
    let why = || cell(&answer.body, "detail");
    match answer.status {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => Err(Hint::new(why(), "nexus approvals").into()),
        status => {
            anyhow::ensure!(status.is_success(), "the gateway answered {status}: {}", why());
            Ok(answer.body)
        }
    }
}

/// A question, as one who has to answer it reads it.
fn text(item: &Value) -> String {
    let body = member(item, "body");
    let known = |value: String| (value != "-").then_some(value);
    let size = member(body, "size").as_u64().map(|size| format!("{size} bytes"));
    let about: Vec<String> = [known(cell(body, "content_type")), size].into_iter().flatten().collect();
    let mut rows = vec![
        ("request", cell(item, "id")),
        ("status", cell(item, "status")),
        ("what", format!("{} {}{}", cell(item, "method"), cell(item, "host"), cell(item, "path"))),
        ("read as", methods_beside(item)),
        (
            "agent",
            known(cell(item, "user")).map_or_else(|| cell(item, "agent"), |user| format!("{} for {user}", cell(item, "agent"))),
        ),
        ("rule", cell(item, "rule")),
    ];
    rows.retain(|(name, value)| *name != "read as" || !value.is_empty());
    rows.extend(known(cell(item, "summary")).map(|summary| ("summary", summary)));
    rows.extend(known(cell(item, "provider")).map(|name| ("service", name)));
    rows.extend(known(cell(item, "connection")).map(|connection| ("connection", connection)));
    rows.extend(known(until(item)).map(|until| ("until", until)));
    rows.extend(known(cell(item, "by")).map(|by| ("by", by)));
    rows.extend((!about.is_empty()).then(|| ("body", about.join(", "))));
    let fields = fields(item);
    rows.extend((!fields.is_empty()).then_some(("fields", fields)));
    let heading = if member(body, "decoded") == true { "form" } else { "preview" };
    match member(body, "preview").as_str() {
        // A mark before each line, so that none is taken for one of ours.
        Some(preview) => {
            let lines: Vec<String> = preview.lines().map(|line| format!("| {}", printable(line))).collect();
            let more = if member(body, "cut") == true { "\n(there is more)" } else { "" };
            rows.push((heading, format!("{}{more}", lines.join("\n"))));
        }
        None => rows.extend(known(cell(body, "note")).map(|note| ("preview", format!("none: {note}")))),
    }
    Terminal::pairs(&rows)
}

/// The methods that it asks for beside its own, where a service reads one in a parameter or the body.
fn methods_beside(item: &Value) -> String {
    let methods = member(item, "methods_beside").as_array().map(Vec::as_slice).unwrap_or_default();
    let methods: Vec<String> = methods.iter().filter_map(Value::as_str).map(printable).collect();
    if methods.is_empty() { String::new() } else { format!("{} where a parameter or the body counts", methods.join(", ")) }
}

/// When what its status says ends: nobody's answer, or a yes.
fn until(item: &Value) -> String {
    cell(item, if waits(item) { "expires_at" } else { "allowed_until" })
}

/// What its header says, marked as the body is.
fn fields(item: &Value) -> String {
    let mut lines: Vec<String> =
        items(item, "fields").map(|field| format!("| {}: {}", cell(field, "name"), cell(field, "value"))).collect();
    if let Some(more) = member(item, "more_fields").as_u64().filter(|more| *more > 0) {
        lines.push(format!("({more} more are not shown)"));
    }
    lines.join("\n")
}

fn waits(item: &Value) -> bool {
    member(item, "status") == "waiting"
}

fn items<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    member(document, name).as_array().into_iter().flatten()
}

fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn cell(item: &Value, name: &str) -> String {
    member(item, name).as_str().map_or_else(|| "-".to_owned(), printable)
}

fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
