//! A line of the log, told to people.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// What one line says, as plain ASCII that can't do anything to a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// RFC 3339, UTC.
    pub time: String,
    /// `open`, `close`, `refuse`, `tunnel_open`, …, `refuse_many`, `start`, `stop`, `lost`, `torn`, `forget`, `carried`.
    pub event: String,
    /// The record's name, which both of its lines bear.
    pub id: Option<String>,
    /// Who asked; of what an operator did, the operator.
    pub agent: Option<String>,
    /// By which of its leases.
    pub lease: Option<String>,
    /// The process that asked, where it came by a Unix socket.
    pub process: Option<String>,
    /// `inject`, `pass`, `tunnel`, `intercept` or `refuse`.
    pub verdict: Option<String>,
    /// The account that was used.
    pub connection: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// `host`, with `:port` where it isn't the usual one.
    pub host: Option<String>,
    /// The path, without query values.
    pub path: Option<String>,
    /// What the caller was answered.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Option<Duration>,
    /// The refusal's kind, the steps on the way, and what else there is.
    pub notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Line<'a> {
    event: &'a str,
    time: &'a str,
    id: Option<&'a str>,
    #[serde(borrow)]
    agent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    lease: Option<Cow<'a, str>>,
    #[serde(borrow)]
    process: Option<Cow<'a, str>>,
    /// Of the gateway's lines: whose key it was, and who did it.
    #[serde(borrow)]
    by: Option<Cow<'a, str>>,
    #[serde(borrow)]
    verdict: Option<Cow<'a, str>>,
    #[serde(borrow)]
    connection: Option<Cow<'a, str>>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    host: Option<Cow<'a, str>>,
    port: Option<u16>,
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    status: Option<u16>,
    duration_us: Option<u64>,
    guard_hits: Option<u32>,
    #[serde(borrow, default)]
    notes: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    count: Option<Cow<'a, str>>,
    #[serde(borrow)]
    lines: Option<Cow<'a, str>>,
    #[serde(borrow)]
    bytes: Option<Cow<'a, str>>,
    #[serde(borrow)]
    from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    through: Option<Cow<'a, str>>,
}

/// Reads a line of the log; `None` where it isn't one, or one that only the chain needs.
pub fn describe(line: &str) -> Option<Summary> {
    let line: Line<'_> = serde_json::from_str(line).ok().filter(|line: &Line<'_>| !matches!(line.event, "segment" | "head"))?;
    let notes = notes(&line);
    let host = line.host.as_deref().map(|host| match line.port {
        None | Some(443) => plain(host),
        Some(port) => format!("{}:{port}", plain(host)),
    });
    let text = |value: &Option<Cow<'_, str>>| value.as_deref().map(plain);
    Some(Summary {
        time: plain(line.time),
        event: plain(line.event),
        id: line.id.map(plain),
        agent: text(&line.by).or_else(|| text(&line.agent)),
        lease: text(&line.lease),
        process: text(&line.process),
        verdict: text(&line.verdict),
        connection: text(&line.connection),
        method: text(&line.method),
        host,
        path: text(&line.path),
        status: line.status,
        duration: line.duration_us.map(Duration::from_micros),
        notes,
    })
}

/// The refusal's kind, the steps on the way, and what lines that are no request's count.
fn notes(line: &Line<'_>) -> Vec<String> {
    let refusal = line.refusal.iter().map(|kind| plain(kind));
    let hits = line.guard_hits.map(|hits| format!("{hits} reflected secrets replaced"));
    // What was done to it, where somebody else did it.
    let object = line.by.as_ref().and(line.agent.as_deref()).map(|agent| format!("agent {}", plain(agent)));
    let lost = line.lines.as_deref().map(|lines| format!("{} lines lost", plain(lines)));
    let forgotten = line.through.as_deref().map(|last| match line.from.as_deref() {
        Some(first) => format!("lines {} to {} had no signature and are carried on", plain(first), plain(last)),
        None => format!("segments up to {} are not kept", plain(last)),
    });
    let torn = line.bytes.as_deref().map(|bytes| format!("{} bytes of a torn line", plain(bytes)));
    let many = line.count.as_deref().filter(|_| line.event == "refuse_many");
    let many = many.map(|count| format!("{} more of {}", plain(count), plain(line.source.as_deref().unwrap_or_default())));
    refusal
        .chain(line.notes.iter().map(|note| plain(note)))
        .chain(hits)
        .chain(object)
        .chain(many)
        .chain(lost)
        .chain(torn)
        .chain(forgotten)
        .collect()
}

/// Printable ASCII stays; all else is shown as an escape.
fn plain(text: &str) -> String {
    let odd = |letter: char| !matches!(letter, ' '..='~');
    if !text.contains(odd) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if odd(letter) { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.time, self.event)?;
        let words = [&self.agent, &self.verdict, &self.connection, &self.method];
        for word in words.into_iter().flatten() {
            write!(formatter, " {word}")?;
        }
        if let Some(host) = &self.host {
            write!(formatter, " {host}{}", self.path.as_deref().unwrap_or_default())?;
        }
        if let Some(status) = self.status {
            write!(formatter, " {status}")?;
        }
        if let Some(duration) = self.duration {
            write!(formatter, " {:.1}ms", duration.as_secs_f64() * 1000.0)?;
        }
        for (name, value) in [("lease", &self.lease), ("process", &self.process)] {
            value.iter().try_for_each(|value| write!(formatter, " [{name} {value}]"))?;
        }
        for note in &self.notes {
            write!(formatter, " [{note}]")?;
        }
        Ok(())
    }
}
