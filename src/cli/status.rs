//! `nexus status`: what works and what does not. Exit code 1 when a part is broken; a proxy that is not up is none.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anstyle::AnsiColor;
use nexus::app::Origin;
use nexus::app::registration::command;
use nexus::audit::{Since, Tail, describe, verify_chain};
use nexus::ca::describe as describe_root;
use nexus::model::ConnectionId;
use nexus::provider::Catalogue;
use nexus::vault::{Snapshot, Status};
use serde_json::{Value, json};

use super::approvals;
use super::attention;
use super::context::Context;
use super::control;
use super::standing::Standings;
use super::surroundings::{self, Reached, UNLOGGED};
use super::terminal::{Terminal, WEAK_SECRET};
use super::when;

/// A root with less time than this is worth a word.
const SOON: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// A clock that the log is ahead of by more than this has been set back.
const TOLERANCE: Duration = Duration::from_secs(120);
/// With less than this on its disk the log is about to fail.
const LEAST_FREE: u64 = 64 * 1024;
/// A log of more bytes than this is not read through here.
const READ_THROUGH: u64 = 256 * 1024 * 1024;

/// One part's health.
struct Part {
    name: &'static str,
    /// `None`: neither good nor bad.
    good: Option<bool>,
    text: String,
    value: Value,
}

impl Part {
    fn broken(name: &'static str, error: &anyhow::Error) -> Self {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        let text = causes.join(": ");
        Self { name, good: Some(false), value: json!({ "error": text }), text }
    }
}

pub(super) fn run(context: &Context, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    context.require_home()?;
    let up = reached(context);
    let unlogged = matches!(&up, Ok(Some(up)) if up.unlogged);
    let parts = [
        Part {
            name: "home",
            good: Some(true),
            text: context.home.path().display().to_string(),
            value: json!(context.home.path()),
        },
        look("config", || config(context)),
        look("proxy", || proxy(up?, context)),
        look("gateway", || gateway(context)),
        look("attention", || attention::look(context)),
        look("approvals", || approvals::look(context)),
        look("vault", || vault(context, terminal)),
        look("ca", || ca(context)),
        look("clock", || clock(context)),
        look("audit", || audit(context, unlogged)),
    ];
    let fine = parts.iter().all(|part| part.good != Some(false));
    let mut value = serde_json::Map::from_iter(parts.iter().map(|part| (part.name.to_owned(), part.value.clone())));
    value.insert("ok".to_owned(), json!(fine));
    terminal.either(&Value::Object(value), || {
        let rows: Vec<_> = parts.iter().map(|part| (part.name, format!("{}{}", mark(part.good), part.text))).collect();
        Terminal::pairs(&rows)
    })?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn mark(good: Option<bool>) -> String {
    let (word, colour) = match good {
        Some(true) => ("ok      ", AnsiColor::Green),
        Some(false) => ("broken  ", AnsiColor::Red),
        None => ("-       ", AnsiColor::Yellow),
    };
    let style = colour.on_default();
    format!("{style}{word}{style:#}")
}

fn look(name: &'static str, part: impl FnOnce() -> anyhow::Result<(Option<bool>, String, Value)>) -> Part {
    match part() {
        Ok((good, text, value)) => Part { name, good, text, value },
        Err(error) => Part::broken(name, &error),
    }
}

type Looked = anyhow::Result<(Option<bool>, String, Value)>;

fn config(context: &Context) -> Looked {
    let config = context.config()?;
    let weak = context.passphrase().is_ok_and(|(_, origin)| origin == Origin::Machine);
    nexus::app::check(&context.home, &config, weak)?;
    let listen: Vec<String> = config.proxy.listen.iter().map(ToString::to_string).collect();
    let agents = context.home.lasting()?.unwrap_or_default().len();
    let (_catalogue, mistakes) = Catalogue::with_user_folder(&context.home.providers());
    let wrong: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let frozen: Vec<String> = context.home.frozen()?.iter().map(|frozen| frozen.agent.to_string()).collect();
    let value = json!({ "listen": listen, "agents": agents, "frozen": frozen, "mistakes": wrong });
    let mut text = format!("listens on {}; agents: {agents}", listen.join(", "));
    if !frozen.is_empty() {
        text.push_str(&format!("; frozen: {} (`nexus agent thaw NAME`)", frozen.join(", ")));
    }
    if moved(context, &config.proxy.listen)? {
        text.push_str("\nthe proxy that is up listens elsewhere until it is started again");
    }
    let text = if wrong.is_empty() { text } else { wrong.join("\n") };
    Ok((Some(wrong.is_empty()), text, value))
}

/// Whether the configuration names an address that no proxy of this home listens on, while one is up. Port 0 means any.
fn moved(context: &Context, listen: &[std::net::SocketAddr]) -> anyhow::Result<bool> {
    let up = context.home.announced()?;
    let heard = |address: &std::net::SocketAddr| up.iter().any(|one| one.addresses.contains(address));
    Ok(!up.is_empty() && listen.iter().any(|address| address.port() != 0 && !heard(address)))
}

fn reached(context: &Context) -> anyhow::Result<Option<Reached>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(surroundings::running(context))
}

fn proxy(up: Option<Reached>, context: &Context) -> Looked {
    let reached = up.is_some();
    let written = context.home.announced()?;
    let Some(one) = up.map(|up| up.announced).or_else(|| written.into_iter().next()) else {
        let text = "not up; `nexus up` starts it, `nexus run` starts a private one".to_owned();
        return Ok((None, text, json!({ "up": false })));
    };
    let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
    let (place, process) = (addresses.join(", "), one.process);
    let text = match reached {
        true => format!("up on {place} (process {process})"),
        false => format!("process {process} has {place} but does not answer: it drains, or hangs; `kill {process}` ends it"),
    };
    let mistake = one.in_force.and_then(|rules| rules.mistake);
    let text = mistake.iter().fold(text, |text, mistake| format!("{text}\n{mistake}"));
    let good = mistake.is_none().then_some(true).filter(|_| reached);
    Ok((good, text, json!({ "up": reached, "addresses": addresses, "process": process, "mistake": mistake })))
}

fn gateway(context: &Context) -> Looked {
    if let Some(node) = super::node::lender(context, &context.config()?)? {
        return super::node::standing(context, &node);
    }
    let keys = context.home.gateway_keys()?.unwrap_or_default().len();
    let Some(local) = context.home.local_gateway()? else {
        let off = if context.config()?.gateway.enabled { "`nexus up` starts it" } else { "gateway.enabled is false" };
        return Ok((None, format!("not up; {off}; keys: {keys}"), json!({ "up": false, "keys": keys })));
    };
    let asked = control::ask(context, &http::Method::GET, "/api/status", None)?;
    let good = asked.is_some_and(|answer| answer.status.is_success());
    let scheme = if local.tls { "https" } else { "http" };
    let (url, process) = (format!("{scheme}://{}", local.address), local.process);
    let text = match good {
        true => format!("up on {url} (process {process}); keys: {keys}"),
        false => format!("process {process} has {url} but does not answer as a gateway; its log says why"),
    };
    Ok((Some(good), text, json!({ "up": good, "url": url, "process": process, "keys": keys })))
}

fn vault(context: &Context, terminal: &Terminal) -> Looked {
    let (_passphrase, origin) = context.passphrase()?;
    if origin == Origin::Machine {
        terminal.warn(WEAK_SECRET);
    }
    let store = context.store()?;
    let snapshot = store.snapshot()?;
    let count = snapshot.len();
    let strangers = snapshot.strangers().len();
    let states = States::of(&snapshot, &Standings::look(context, terminal));
    let (catalogue, _mistakes) = Catalogue::with_user_folder(&context.home.providers());
    let widened = nexus::app::registration::widened(&catalogue, &snapshot);
    let stopped = widened.iter().any(nexus::app::registration::Widened::stops_renewals);
    let mut text = format!("opens; connections: {count}");
    states.tell(&mut text, (&catalogue, &snapshot));
    if strangers > 0 {
        text.push_str(&format!("; members that are not understood: {strangers}"));
    }
    if snapshot.rolled_back() {
        text.push_str("; older than what was last seen: somebody put back an old copy");
    }
    for one in &widened {
        text.push_str(&format!("\n{one}"));
    }
    let value = json!({
        "opens": true,
        "connections": count,
        "attention": named(&states.attention),
        "expired": named(&states.expired),
        "revoked": named(&states.revoked),
        "pending": named(&states.pending),
        "strangers": strangers,
        "widened": widened.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "rolled_back": snapshot.rolled_back(),
        "weak_secret": origin == Origin::Machine,
    });
    Ok((Some(states.attention.is_empty() && states.expired.is_empty() && !stopped && !snapshot.rolled_back()), text, value))
}

/// Connections that don't work, or not for everybody.
struct States {
    attention: Vec<ConnectionId>,
    expired: Vec<ConnectionId>,
    revoked: Vec<ConnectionId>,
    pending: Vec<ConnectionId>,
}

impl States {
    fn of(snapshot: &Snapshot, standings: &Standings) -> Self {
        let those = |wanted: Status| {
            let all = snapshot.iter().filter(|(id, entry)| standings.of(id, entry).status == wanted);
            all.map(|(id, _)| id.clone()).collect()
        };
        Self {
            attention: those(Status::Attention),
            expired: those(Status::Expired),
            revoked: those(Status::Revoked),
            pending: those(Status::Pending),
        }
    }

    /// What is dead is named with what a person types about it.
    fn tell(&self, text: &mut String, (catalogue, vault): (&Catalogue, &Snapshot)) {
        let mended = |id: &ConnectionId| match catalogue.get(id.provider()) {
            Some(provider) => format!("{id} (`{}`)", command(provider, vault, id)),
            None => id.to_string(),
        };
        for (what, which) in [
            ("connect again", self.attention.iter().map(mended).collect()),
            ("expired, connect again", self.expired.iter().map(mended).collect()),
            ("revoked", named(&self.revoked)),
            ("log-ins that wait for `nexus approve`", named(&self.pending)),
        ] {
            if !which.is_empty() {
                text.push_str(&format!("; {what}: {}", which.join(", ")));
            }
        }
    }
}

fn named(ids: &[ConnectionId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn ca(context: &Context) -> Looked {
    let root = nexus::app::open_root(&context.home, &context.key()?)?;
    let (now, end) = (SystemTime::now(), root.not_after());
    let enough = end.duration_since(now).is_ok_and(|left| left > SOON);
    let rotating = context.home.next_ca().exists();
    let more = if rotating { ", rotation under way" } else { "" };
    let advice = if enough { "" } else { "; `nexus ca rotate` begins with the next one" };
    let text = format!("until {}{more}{advice}\nSHA-256 {}", when::day(end, now), root.fingerprint_sha256());
    let value = json!({
        "sha256": root.fingerprint_sha256(),
        "not_before": when::show(root.not_before()),
        "not_after": when::show(end),
        "rotating": rotating,
    });
    Ok((Some(enough), text, value))
}

/// No time server is asked: our own files bear witness that the clock has not been set back.
fn clock(context: &Context) -> Looked {
    let now = SystemTime::now();
    let pem = nexus::app::trusted(&context.home)?.concat();
    let root = describe_root(&pem)?.into_iter().map(|about| about.not_before).max();
    let mut tail = Tail::open(&context.home.audit(), Since::Last(1))?;
    let line = tail.next_line(Duration::ZERO)?.and_then(|line| describe(&line));
    let last = line.and_then(|line| line.time.parse::<jiff::Timestamp>().ok()).map(SystemTime::from);
    let behind = [root, last].into_iter().flatten().filter_map(|then| then.duration_since(now).ok()).max().unwrap_or_default();
    let good = behind <= TOLERANCE;
    let text =
        if good { when::show(now) } else { format!("{}, behind our own files by {} s", when::show(now), behind.as_secs()) };
    Ok((Some(good), text, json!({ "now": when::show(now), "behind_secs": behind.as_secs() })))
}

/// The log's health; `unlogged` says that the proxy that is up can't write it.
fn audit(context: &Context, unlogged: bool) -> Looked {
    let folder = context.home.audit();
    let disk = rustix::fs::statvfs(&folder)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if unlogged || free < LEAST_FREE {
        let whose = if unlogged { format!("the proxy that is up {UNLOGGED}: ") } else { String::new() };
        let text =
            format!("{whose}{free} bytes are free on the disk of {}; the log of `nexus up` names the cause", folder.display());
        return Ok((Some(false), text, json!({ "refuses": unlogged, "free_bytes": free })));
    }
    let files = std::fs::read_dir(&folder)?.flatten().filter_map(|entry| entry.metadata().ok());
    let size: u64 = files.filter(std::fs::Metadata::is_file).map(|about| about.len()).sum();
    if size > READ_THROUGH {
        return Ok((None, format!("{size} bytes, not read through here"), json!({ "bytes": size })));
    }
    let found = verify_chain(&folder)?;
    let head = found.head.to_string();
    let text = match found.lines {
        0 => "empty".to_owned(),
        lines => format!("{lines} lines hold together (segments: {}); head {head}", found.segments),
    };
    let value = json!({
        "lines": found.lines,
        "segments": found.segments,
        "first": found.first,
        "last": found.last,
        "head": head,
        "torn": found.torn,
    });
    Ok((Some(true), text, value))
}
