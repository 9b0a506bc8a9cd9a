//! `Feed`: lines of the log into rows of the index. A request that ends within the batch it began in leaves one row.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension as _};

use super::line::Line;
use super::rollup::Rollup;
use crate::audit::line;
use crate::audit::turn::Turn;

/// How many kinds are remembered; past it they are asked for anew.
const KINDS: usize = 50_000;

/// Microseconds.
pub(super) const HOUR: i64 = 60 * 60 * 1_000_000;

/// Where a line stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) seq: u64,
    pub(super) segment: u32,
    pub(super) offset: u64,
}

/// What is alike of many requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Kind {
    pub(super) event: String,
    pub(super) agent: String,
    pub(super) host: String,
    pub(super) provider: String,
    pub(super) verdict: String,
    pub(super) status: u16,
}

/// A request that has begun.
#[derive(Debug)]
struct Begun {
    /// Its first line, among [`Feed::opened`].
    line: Range<usize>,
    at: At,
}

/// What the last line of a request needs of its first one.
#[derive(Debug, Default)]
struct Beginning {
    provider: Option<String>,
    /// Its segment, and where it begins there.
    place: Option<(u32, u64)>,
}

/// A row of `events`: kind, time, number, segment, offset, and where its first line stands.
type Event = (i64, i64, u64, u32, u64, Option<i64>);

/// What is between lines and tables.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// The kinds that are known, and the time of the last request of each that is written.
    kinds: HashMap<Kind, (i64, i64), RandomState>,
    /// The hours in which there were requests of a kind, in this batch.
    hours: HashSet<(i64, i64), RandomState>,
    /// The events of this batch.
    events: Vec<Event>,
    begun: HashMap<String, Begun, RandomState>,
    /// The first lines of this batch, which are read only where no last one follows.
    opened: Vec<u8>,
    /// To look a kind up without an allocation.
    scratch: Kind,
    second: Second,
    rollup: Rollup,
}

/// The second that was read last, as text and as microseconds since 1970.
#[derive(Debug, Default)]
struct Second {
    text: String,
    begins: i64,
}

impl Feed {
    /// Begins a batch at `now`, in microseconds since 1970.
    pub(super) fn begin(&mut self, now: i64) {
        self.rollup.set_now(now);
    }

    /// Takes one line; one that only the chain needs, or that isn't ours, is nothing to search for.
    pub(super) fn take(&mut self, database: &Connection, bytes: &[u8], at: At) -> rusqlite::Result<()> {
        self.rollup.at(database, at.seq)?;
        if let Some(id) = line::opened(bytes) {
            let from = self.opened.len();
            self.opened.extend_from_slice(bytes);
            self.begun.insert(id.to_owned(), Begun { line: from..self.opened.len(), at });
            return Ok(());
        }
        let Some(line) = Line::read(bytes) else { return Ok(()) };
        let Some(time) = self.second.read(line.time) else { return Ok(()) };
        match (line.event, line.id) {
            ("segment" | "head", _) => Ok(()),
            (_, Some(id)) => {
                let began = self.end(database, id, &line)?;
                self.scratch.fill(&line, began.provider.as_deref().unwrap_or(&line.provider));
                self.event(database, time, (at, began.place), &line)
            }
            (_, None) => {
                self.scratch.fill(&line, &line.provider);
                self.event(database, time, (at, None), &line)
            }
        }
    }

    /// Writes what has begun and not ended, and when each kind was met last.
    pub(super) fn settle(&mut self, database: &Connection, turn: &Turn<'_>) -> rusqlite::Result<()> {
        let opened = std::mem::take(&mut self.opened);
        for (id, begun) in std::mem::take(&mut self.begun) {
            let Some(line) = opened.get(begun.line).and_then(Line::read) else { continue };
            let Some(time) = self.second.read(line.time) else { continue };
            self.scratch.fill(&line, &line.provider);
            let kind = self.kind(database, time, time)?;
            let mut insert = database.prepare_cached("REPLACE INTO pending VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
            insert.execute((id, kind, time, begun.at.seq, begun.at.segment, begun.at.offset, line.lease))?;
        }
        self.rollup.write(database, false)?;
        // In the table's order, by one statement: looking that up costs as much as a row.
        self.events.sort_unstable();
        let mut insert = database.prepare_cached("INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for event in std::mem::take(&mut self.events) {
            insert.execute(event)?;
            turn.step();
        }
        let mut insert = database.prepare_cached("INSERT OR IGNORE INTO hours VALUES (?1, ?2)")?;
        for row in self.hours.drain() {
            insert.execute(row)?;
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

    /// Ends the request `id`. Its provider, where its last line doesn't say it: its first one may, or the connection's name.
    fn end(&mut self, database: &Connection, id: &str, line: &Line<'_>) -> rusqlite::Result<Beginning> {
        let mut began = match self.begun.remove(id) {
            Some(Begun { line: range, at }) => {
                let first = || self.opened.get(range).and_then(Line::read).map(|first| first.provider.into_owned());
                let provider = if line.provider.is_empty() { first() } else { None };
                Beginning { provider, place: Some((at.segment, at.offset)) }
            }
            None => ended(database, id)?,
        };
        if !line.provider.is_empty() {
            return Ok(Beginning { provider: None, ..began });
        }
        let said = began.provider.take().filter(|provider| !provider.is_empty());
        Ok(Beginning { provider: said.or_else(|| line.connection.split(':').next().map(str::to_owned)), ..began })
    }

    /// Notes a row of the kind in `scratch`, which began at the place of its first line.
    fn event(
        &mut self,
        database: &Connection,
        time: i64,
        (at, began): (At, Option<(u32, u64)>),
        line: &Line<'_>,
    ) -> rusqlite::Result<()> {
        let lasted = i64::try_from(line.duration_us).unwrap_or_default();
        let kind = self.kind(database, time, time.saturating_sub(lasted))?;
        self.rollup.count((kind, &self.scratch), time, line);
        if line.notes.canary {
            Rollup::alarm(database, (time, at.seq), &self.scratch, line)?;
        }
        let opened = began.and_then(|place| back(at.segment, place));
        self.hours.insert((time.div_euclid(HOUR), kind));
        self.events.push((kind, time, at.seq, at.segment, at.offset, opened));
        if line.lease.is_empty() {
            return Ok(());
        }
        let mut insert = database.prepare_cached("INSERT OR IGNORE INTO leased VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        insert.execute((&line.lease, time, at.seq, kind, at.segment, at.offset, opened)).map(drop)
    }

    /// The number of the kind in `scratch`, which was met at `time` in a request that had begun at `begun`.
    fn kind(&mut self, database: &Connection, time: i64, begun: i64) -> rusqlite::Result<i64> {
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
        self.rollup.reached(database, &self.scratch, begun)?;
        self.kinds.insert(self.scratch.clone(), (kind, time));
        Ok(kind)
    }
}

/// A request that began in an earlier batch, and that now has ended.
fn ended(database: &Connection, id: &str) -> rusqlite::Result<Beginning> {
    let mut delete = database.prepare_cached("DELETE FROM pending WHERE id = ?1 RETURNING kind, segment, offset")?;
    let found = delete.query_row([id], |row| Ok((row.get::<_, i64>(0)?, (row.get(1)?, row.get(2)?)))).optional()?;
    let Some((kind, place)) = found else { return Ok(Beginning::default()) };
    let mut provider = database.prepare_cached("SELECT provider FROM kinds WHERE id = ?1")?;
    Ok(Beginning { provider: provider.query_row([kind], |row| row.get(0)).optional()?, place: Some(place) })
}

/// Bits of a place within a segment, which has 64 GiB at most.
const WITHIN: u32 = 40;

/// The place of a first line as one number, which is small where both lines stand in one segment; `None` where it can't be written so.
fn back(segment: u32, (began, offset): (u32, u64)) -> Option<i64> {
    let distance = i64::from(segment.checked_sub(began)?);
    i64::try_from(offset)
        .ok()
        .filter(|offset| offset >> WITHIN == 0 && distance < 1 << 22)
        .map(|offset| distance << WITHIN | offset)
}

/// Reads what [`back`] made of the place of the first line of a request whose last one stands in `segment`.
pub(super) fn place_of_first(segment: u32, opened: i64) -> Option<(u32, u64)> {
    let began = segment.checked_sub(u32::try_from(opened >> WITHIN).ok()?)?;
    Some((began, u64::try_from(opened & ((1 << WITHIN) - 1)).ok()?))
}

impl Second {
    /// The time `text` (RFC 3339) in microseconds since 1970. Lines come by the thousand in one second.
    fn read(&mut self, text: &str) -> Option<i64> {
        let six = |digits: &&str| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let micros = |fraction: &str| fraction.strip_suffix('Z').filter(six)?.parse::<u32>().ok();
        let (second, fraction) = text.split_once('.').unwrap_or((text, ""));
        if let Some(micros) = micros(fraction).filter(|_| second == self.text) {
            return Some(self.begins + i64::from(micros));
        }
        let time = text.parse::<jiff::Timestamp>().ok()?.as_microsecond();
        if let Some(micros) = micros(fraction) {
            self.text.clear();
            self.text.push_str(second);
            self.begins = time - i64::from(micros);
        }
        Some(time)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_first_line_is_read_as_it_was_written() {
        for place in [(7, 0), (7, 12_345_678), (1, (1 << WITHIN) - 1), (0, 5)] {
            assert_eq!(back(7, place).and_then(|opened| place_of_first(7, opened)), Some(place));
        }
        assert_eq!((back(7, (8, 0)), back(7, (7, 1 << WITHIN))), (None, None));
        assert_eq!((place_of_first(3, 4 << WITHIN), place_of_first(3, -1)), (None, None));
    }

    #[test]
    fn a_time_is_the_same_read_alone_or_after_another() {
        let mut second = Second::default();
        for text in [
            "2026-11-23T01:02:03.000004Z",
            "2026-11-23T01:02:03.999999Z",
            "2026-11-23T01:02:04.5Z",
            "2026-11-23T01:02:03.999999Z",
            "2026-11-23T01:02:03+01:00",
            "2026-11-23T01:02:03.000004+01:00",
            "1969-12-31T23:59:59.250000Z",
            "1969-12-31T23:59:59.750000Z",
        ] {
            let alone = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond);
            assert!(alone.is_some());
            assert_eq!(second.read(text), alone, "{text}");
        }
        assert_eq!(second.read("1969-12-31T23:59:59.+00004Z"), None);
        assert_eq!(second.read("yesterday"), None);
    }
}
