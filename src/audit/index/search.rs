//! What is looked for, and the conditions that the index has for it.

use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::SystemTime;

use rusqlite::types::Value;

use super::Index;
use super::page::Place;
use super::walk::Order;
use crate::audit::error::Error;
use crate::audit::turn::Pace;

/// What to look for; conditions that are `None` hold for everything.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Who asked.
    pub agent: Option<String>,
    /// Who asked, as one of these.
    pub agents: Option<Vec<String>>,
    /// By which of its leases.
    pub lease: Option<String>,
    /// The host, or `*.example.com` for all names below it.
    pub host: Option<String>,
    /// Whose credential.
    pub provider: Option<String>,
    /// `inject`, `pass`, `tunnel`, `intercept`, `answer` or `refuse`.
    pub verdict: Option<String>,
    /// What the caller was answered.
    pub status: Option<StatusRange>,
    /// The rule of the policy that the record names. It stands in the first line of a request, which is read of what the other conditions
    /// leave. Only requests have one; a CONNECT that was opened is found where its verdict is asked for.
    pub rule: Option<String>,
    /// A text in any of the values that the last line of a request has, whatever the case of its letters. It is looked for in the lines that
    /// the other conditions leave, one by one.
    pub text: Option<String>,
    /// From then on.
    pub since: Option<SystemTime>,
    /// Until then.
    pub until: Option<SystemTime>,
    /// At most so many, the newest; `None` = all.
    pub limit: Option<usize>,
}

/// One status, or all of a class: `404`, `5xx` (RFC 9110 §15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRange(RangeInclusive<u16>);

impl FromStr for StatusRange {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, BadStatus> {
        let range = match text.strip_suffix("xx") {
            Some(class) => {
                class.parse().ok().filter(|class| (1..=5).contains(class)).map(|class: u16| class * 100..=class * 100 + 99)
            }
            None => text.parse().ok().filter(|status| (100..=999).contains(status)).map(|status: u16| status..=status),
        };
        range.map(Self).ok_or(BadStatus)
    }
}

/// What was given is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a status is a number such as 404, or a class from 1xx to 5xx")]
pub struct BadStatus;

impl Search {
    /// Whether lines have to be read to say what fits.
    pub(super) fn reads_lines(&self) -> bool {
        self.rule.is_some() || self.text.is_some()
    }

    /// From when to when, in microseconds since 1970.
    pub(super) fn times(&self) -> RangeInclusive<i64> {
        micros(self.since).unwrap_or(i64::MIN)..=micros(self.until).unwrap_or(i64::MAX)
    }
}

/// Brings the index of the log in `folder` up to date and looks for what `search` asks; the lines that were found, oldest first.
///
/// `progress` is told after every batch how many lines were indexed since; many on the first call for an old log.
///
/// # Errors
/// [`Error::Index`] where the index can't be used, [`Error::Io`] where a segment can't be read.
pub fn search(folder: &Path, search: &Search, mut progress: impl FnMut(u64)) -> Result<Vec<String>, Error> {
    let mut index = Index::open(folder)?;
    let mut indexed = 0;
    while let taken @ 1.. = index.advance(Pace::Brisk)? {
        indexed += taken;
        progress(indexed);
    }
    let mut found = Vec::new();
    let mut place = Place::default();
    let wanted = search.limit.unwrap_or(usize::MAX);
    let ahead = if search.reads_lines() { MOST } else { 1 };
    loop {
        let limit = (wanted - found.len()).min(MOST);
        let page = index.piece((search, Order::Newest), &mut place, (limit, ahead), None)?;
        found.extend(page.records.into_iter().map(|record| record.line));
        if page.next.is_none() || found.len() >= wanted {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// As many are looked up at a time.
const MOST: usize = 10_000;

/// What a kind must be, as a condition in SQL whose first value is number 3.
#[derive(Debug)]
pub(super) struct Condition {
    /// `` or ` AND …`.
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

impl Condition {
    pub(super) fn of(search: &Search) -> Self {
        let (mut text, mut values) = (String::new(), Vec::new());
        let mut require = |condition: &str, value: Value, end: &str| {
            values.push(value);
            text.push_str(&format!(" AND {condition} ?{}{end}", values.len() + 2));
        };
        let suffix = |host: &String| host.strip_prefix("*.").map(|name| format!("*.{}", literal(name)));
        for (column, wanted) in [("agent", &search.agent), ("provider", &search.provider), ("verdict", &search.verdict)] {
            if let Some(wanted) = wanted {
                require(&format!("{column} ="), wanted.clone().into(), "");
            }
        }
        if let Some(agents) = &search.agents {
            let all = serde_json::Value::from(agents.clone()).to_string();
            require("agent IN (SELECT value FROM json_each(", all.into(), "))");
        }
        if let Some(host) = &search.host {
            match suffix(host) {
                Some(pattern) => require("host GLOB", pattern.into(), ""),
                None => require("host =", host.to_ascii_lowercase().into(), ""),
            }
        }
        if search.rule.is_some() {
            require(
                "event IN ('open', 'close', 'refuse', 'tunnel_open', 'tunnel_close', 'tunnel_refuse') AND verdict <>",
                opened(search),
                "",
            );
        }
        if let Some(StatusRange(range)) = &search.status {
            require("status >=", i64::from(*range.start()).into(), "");
            require("status <=", i64::from(*range.end()).into(), "");
        }
        Self { text, values }
    }
}

/// The verdict that no request has that is looked for by its rule: of a CONNECT that was opened the requests inside name the rule.
fn opened(search: &Search) -> Value {
    if search.verdict.is_some() { String::new().into() } else { "intercept".to_owned().into() }
}

/// A name in which nothing is a pattern.
fn literal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['*', '?', '['], "")
}

fn micros(time: Option<SystemTime>) -> Option<i64> {
    let time = jiff::Timestamp::try_from(time?).ok()?;
    Some(time.as_microsecond())
}
