//! `Feed`: lines of the log into rows of the index. A request that ends within the batch it began in leaves one row.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Deserialize;

/// How many kinds are remembered; past it they are asked for anew.
const KINDS: usize = 50_000;

/// Where a line stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) seq: u64,
    pub(super) segment: u32,
    pub(super) offset: u64,
}

/// What a line says of what can be searched for.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    event: &'a str,
    time: &'a str,
    id: Option<&'a str>,
    #[serde(borrow, default)]
    agent: Cow<'a, str>,
    #[serde(borrow, default)]
    host: Cow<'a, str>,
    #[serde(borrow, default)]
    provider: Cow<'a, str>,
    #[serde(borrow, default)]
    connection: Cow<'a, str>,
    #[serde(borrow, default)]
    verdict: Cow<'a, str>,
    #[serde(default)]
    status: u16,
}

/// What is alike of many requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Kind {
    event: String,
    agent: String,
    host: String,
    provider: String,
    verdict: String,
    status: u16,
}

/// A request that has begun.
#[derive(Debug)]
struct Begun {
    kind: Kind,
    time: i64,
    at: At,
}

/// What is between lines and tables.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// The kinds that are known, and the time of the last request of each that is written.
    kinds: HashMap<Kind, (i64, i64), RandomState>,
    begun: HashMap<String, Begun, RandomState>,
    /// To look a kind up without an allocation.
    scratch: Kind,
}

impl Feed {
    /// Takes one line; one that only the chain needs, or that isn't ours, is nothing to search for.
    pub(super) fn take(&mut self, database: &Connection, line: &[u8], at: At) -> rusqlite::Result<()> {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return Ok(()) };
        let Ok(time) = line.time.parse::<jiff::Timestamp>() else { return Ok(()) };
        let time = time.as_microsecond();
        match (line.event, line.id) {
            ("segment" | "head", _) => Ok(()),
            ("open" | "tunnel_open", Some(id)) => {
                self.begun.insert(id.to_owned(), Begun { kind: line.kind(""), time, at });
                Ok(())
            }
            (_, Some(id)) => {
                let provider = self.provider(database, id, &line)?;
                self.scratch.fill(&line, &provider);
                self.event(database, time, at)
            }
            (_, None) => {
                self.scratch.fill(&line, &line.provider);
                self.event(database, time, at)
            }
        }
    }

    /// Writes what has begun and not ended, and when each kind was met last.
    pub(super) fn settle(&mut self, database: &Connection) -> rusqlite::Result<()> {
        for (id, Begun { kind, time, at }) in std::mem::take(&mut self.begun) {
            self.scratch = kind;
            let kind = self.kind(database, time)?;
            let mut insert = database.prepare_cached("REPLACE INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            insert.execute((id, kind, time, at.seq, at.segment, at.offset))?;
        }
        let mut update = database.prepare_cached("UPDATE kinds SET last = max(last, ?2) WHERE id = ?1")?;
        for (kind, last) in self.kinds.values_mut().filter(|(_, last)| *last > i64::MIN) {
            update.execute((*kind, *last))?;
            *last = i64::MIN;
        }
        if self.kinds.len() > KINDS {
            self.kinds.clear();
        }
        Ok(())
    }

    /// Whose credential it was: the first line says it, the last one names the connection at most.
    fn provider(&mut self, database: &Connection, id: &str, line: &Line<'_>) -> rusqlite::Result<String> {
        let begun = match self.begun.remove(id) {
            Some(begun) => Some(begun.kind.provider),
            None => ended(database, id)?,
        };
        let said = begun.filter(|provider| !provider.is_empty());
        Ok(said.unwrap_or_else(|| match line.provider.as_ref() {
            "" => line.connection.split(':').next().unwrap_or_default().to_owned(),
            provider => provider.to_owned(),
        }))
    }

    /// Writes a row of the kind in `scratch`.
    fn event(&mut self, database: &Connection, time: i64, at: At) -> rusqlite::Result<()> {
        let kind = self.kind(database, time)?;
        let mut insert = database.prepare_cached("INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5)")?;
        insert.execute((kind, time, at.seq, at.segment, at.offset)).map(drop)
    }

    /// The number of the kind in `scratch`, which was met at `time`.
    fn kind(&mut self, database: &Connection, time: i64) -> rusqlite::Result<i64> {
        if let Some((kind, last)) = self.kinds.get_mut(&self.scratch) {
            *last = (*last).max(time);
            return Ok(*kind);
        }
        let Kind { event, agent, host, provider, verdict, status } = &self.scratch;
        let values = (event, agent, host, provider, verdict, status);
        let text = "INSERT OR IGNORE INTO kinds (event, agent, host, provider, verdict, status, last) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, -9223372036854775808)";
        database.prepare_cached(text)?.execute(values)?;
        let text = "SELECT id FROM kinds \
                    WHERE event = ?1 AND agent = ?2 AND host = ?3 AND provider = ?4 AND verdict = ?5 AND status = ?6";
        let kind = database.prepare_cached(text)?.query_row(values, |row| row.get(0))?;
        self.kinds.insert(self.scratch.clone(), (kind, time));
        Ok(kind)
    }
}

/// The provider of a request that began in an earlier batch, and that now has ended.
fn ended(database: &Connection, id: &str) -> rusqlite::Result<Option<String>> {
    let text = "SELECT kinds.provider FROM pending JOIN kinds ON kinds.id = pending.kind WHERE pending.id = ?1";
    let provider = database.prepare_cached(text)?.query_row([id], |row| row.get(0)).optional()?;
    if provider.is_some() {
        database.prepare_cached("DELETE FROM pending WHERE id = ?1")?.execute([id])?;
    }
    Ok(provider)
}

impl Line<'_> {
    fn kind(&self, provider: &str) -> Kind {
        let mut kind = Kind::default();
        kind.fill(self, if provider.is_empty() { &self.provider } else { provider });
        kind
    }
}

impl Kind {
    fn fill(&mut self, line: &Line<'_>, provider: &str) {
        let put = |to: &mut String, from: &str| {
            to.clear();
            to.push_str(from);
        };
        put(&mut self.event, line.event);
        put(&mut self.agent, &line.agent);
        put(&mut self.host, &line.host);
        put(&mut self.provider, provider);
        put(&mut self.verdict, &line.verdict);
        self.status = line.status;
    }
}
