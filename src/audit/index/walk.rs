//! `Walk`: the requests that fit, in the order of their time, a batch at a time and from any place on.
//!
//! Few kinds fit most searches; then the next requests of each are looked up and merged. Where many do, hour by hour those of the kinds that
//! there were in the hour: that costs what the hours cost in which something is found, not what the whole log would.

use std::collections::BinaryHeap;
use std::ops::RangeInclusive;
use std::time::Instant;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::cursor::Cursor;
use super::feed::{HOUR, place_of_first};
use super::search::{Condition, Search};

/// Up to so many kinds are looked through one by one. Tests have few kinds.
const FEW: usize = if cfg!(test) { 6 } else { 20_000 };

/// Which requests come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

/// A request that was found: when, and where its lines stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) at: Cursor,
    /// Segment and offset of its last line.
    pub(super) place: (u32, u64),
    /// Those of its first line, where it has two.
    pub(super) opened: Option<(u32, u64)>,
}

/// What a batch found.
#[derive(Debug)]
pub(super) struct Batch {
    /// In the order that was asked for.
    pub(super) rows: Vec<Row>,
    /// Where it goes on; `None` where nothing is left.
    pub(super) rest: Option<Cursor>,
}

/// One search of an index, in one order.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    database: &'a Connection,
    wanted: Condition,
    lease: Option<&'a str>,
    times: RangeInclusive<i64>,
    order: Order,
}

/// From one place to another, both included.
type Stretch = RangeInclusive<Cursor>;

impl<'a> Walk<'a> {
    pub(super) fn new(database: &'a Connection, search: &'a Search, order: Order) -> Self {
        let wanted = Condition::of(search);
        Self { database, wanted, lease: search.lease.as_deref(), times: search.times(), order }
    }

    /// The next `most` requests from `from` on (`None` = from the beginning). Where `until` comes before there are so many, fewer.
    pub(super) fn batch(&self, from: Option<Cursor>, most: usize, until: Option<Instant>) -> rusqlite::Result<Batch> {
        let (low, high) =
            (Cursor { time: *self.times.start(), ..Cursor::FIRST }, Cursor { time: *self.times.end(), ..Cursor::LAST });
        let stretch = match self.order {
            Order::Newest => low..=from.map_or(high, |from| high.min(from.before())),
            Order::Oldest => from.map_or(low, |from| low.max(from.after()))..=high,
        };
        let mut nearest = Nearest { rows: BinaryHeap::new(), most: most.max(1), order: self.order, stretch };
        self.of_table("pending", &mut nearest)?;
        let reached = if self.lease.is_some() {
            self.of_table("leased", &mut nearest)?;
            None
        } else if let Some(kinds) = self.few_kinds(&nearest.stretch)? {
            self.of_kinds(&kinds, None, &mut nearest)?;
            None
        } else {
            self.hour_by_hour(&mut nearest, until)?
        };
        Ok(nearest.into_batch(reached))
    }

    /// The kinds that fit, unless there are too many of them.
    fn few_kinds(&self, stretch: &Stretch) -> rusqlite::Result<Option<Vec<i64>>> {
        let (Condition { text, values }, few) = (&self.wanted, FEW + 1);
        let hours = [hour(stretch.start()), hour(stretch.end())].map(Value::from);
        let bounds = hours.iter().chain(values);
        let there = format!("SELECT count(*) FROM (SELECT 1 FROM hours WHERE hour BETWEEN ?1 AND ?2 LIMIT {few})");
        let there: usize = self.database.query_row(&there, params_from_iter(&hours), |row| row.get(0))?;
        let (text, bounds): (_, Vec<&Value>) = if there <= FEW {
            let text = format!("SELECT DISTINCT kind FROM hours JOIN kinds ON id = kind WHERE hour BETWEEN ?1 AND ?2{text}");
            (text, bounds.collect())
        } else {
            // A kind's last hour is known: what has ended before is passed over.
            let text = format!("SELECT id FROM kinds WHERE last / {HOUR} >= ?1 AND ?2 >= ?1{text} LIMIT {few}");
            (text, bounds.collect())
        };
        let mut kinds = self.database.prepare(&text)?;
        let found: Vec<i64> = kinds.query_map(params_from_iter(bounds), |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(Some(found).filter(|found| found.len() <= FEW))
    }

    /// Says how far it came where it did not come to the end.
    fn hour_by_hour(&self, nearest: &mut Nearest, until: Option<Instant>) -> rusqlite::Result<Option<Cursor>> {
        let next = match self.order {
            Order::Newest => "SELECT max(hour) FROM hours WHERE hour BETWEEN ?1 AND ?2",
            Order::Oldest => "SELECT min(hour) FROM hours WHERE hour BETWEEN ?1 AND ?2",
        };
        let mut next = self.database.prepare(next)?;
        let text = format!("SELECT kind FROM hours JOIN kinds ON id = kind WHERE hour = ?1 AND ?2 = ?1{}", self.wanted.text);
        let mut kinds = self.database.prepare(&text)?;
        let (mut low, mut high) = (hour(nearest.stretch.start()), hour(nearest.stretch.end()));
        while low <= high {
            let Some(hour) = next.query_row([low, high], |row| row.get::<_, Option<i64>>(0)).optional()?.flatten() else {
                break;
            };
            let values = [Value::from(hour), Value::from(hour)].into_iter().chain(self.wanted.values.iter().cloned());
            let found: Vec<i64> = kinds.query_map(params_from_iter(values), |row| row.get(0))?.collect::<Result<_, _>>()?;
            self.of_kinds(&found, Some(hour), nearest)?;
            match self.order {
                Order::Newest => high = hour - 1,
                Order::Oldest => low = hour + 1,
            }
            // The stretch ends with the last row once there are enough.
            (low, high) = (low.max(self::hour(nearest.stretch.start())), high.min(self::hour(nearest.stretch.end())));
            if low <= high && until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Some(match self.order {
                    Order::Newest => Cursor { time: (high + 1) * HOUR, seq: 0 },
                    Order::Oldest => Cursor { time: low * HOUR - 1, ..Cursor::LAST },
                }));
            }
        }
        Ok(None)
    }

    /// The nearest requests of `kinds`, of one hour or of all: of each the first one, then what follows of those that come first.
    fn of_kinds(&self, kinds: &[i64], hour: Option<i64>, nearest: &mut Nearest) -> rusqlite::Result<()> {
        const NEWEST: &str = "SELECT time, seq, segment, offset, opened FROM events \
                              WHERE kind = ?1 AND (time, seq) >= (?2, ?3) AND (time, seq) <= (?4, ?5) ORDER BY time DESC, seq DESC";
        const OLDEST: &str = "SELECT time, seq, segment, offset, opened FROM events \
                              WHERE kind = ?1 AND (time, seq) >= (?2, ?3) AND (time, seq) <= (?4, ?5) ORDER BY time, seq";
        let mut events = self.database.prepare(if self.order == Order::Newest { NEWEST } else { OLDEST })?;
        let mut firsts = Vec::with_capacity(kinds.len());
        let Some((low, high)) = within(hour, &nearest.stretch) else { return Ok(()) };
        for &kind in kinds {
            let mut rows = events.query((kind, low.time, low.seq, high.time, high.seq))?;
            if let Some(row) = rows.next()? {
                firsts.push((nearest.rank(Cursor { time: row.get(0)?, seq: row.get(1)? }), kind));
            }
        }
        firsts.sort_unstable();
        for (rank, kind) in firsts {
            if nearest.is_past(rank) {
                return Ok(());
            }
            nearest.take(&mut events.query((kind, low.time, low.seq, high.time, high.seq))?)?;
        }
        Ok(())
    }

    /// Requests that have no last line, or those of a lease.
    fn of_table(&self, table: &str, nearest: &mut Nearest) -> rusqlite::Result<()> {
        let (low, high) = (*nearest.stretch.start(), *nearest.stretch.end());
        let opened = if table == "pending" { "NULL" } else { "opened" };
        let Condition { text, values } = &self.wanted;
        let lease = if self.lease.is_some() { format!(" AND lease = ?{}", values.len() + 3) } else { String::new() };
        let direction = if self.order == Order::Newest { "DESC" } else { "ASC" };
        // The conditions of kinds have the numbers from 3 on.
        let text = format!(
            "SELECT time, seq, segment, offset, {opened} FROM {table} JOIN kinds ON kinds.id = {table}.kind \
             WHERE time BETWEEN ?1 AND ?2{text}{lease} ORDER BY time {direction}, seq {direction}"
        );
        let times = [low.time, high.time].map(Value::from);
        let values =
            times.into_iter().chain(values.iter().cloned()).chain(self.lease.map(|lease| Value::from(lease.to_owned())));
        let mut rows = self.database.prepare(&text)?;
        nearest.take(&mut rows.query(params_from_iter(values))?)
    }
}

/// The requests of a stretch that come first.
#[derive(Debug)]
struct Nearest {
    /// The one that comes last on top.
    rows: BinaryHeap<Ranked>,
    most: usize,
    order: Order,
    /// What may still be among them.
    stretch: Stretch,
}

/// By how far it is from where the search begins.
#[derive(Debug)]
struct Ranked(i128, Row);

impl Nearest {
    /// Takes rows of one order in, until one isn't among the nearest.
    fn take(&mut self, rows: &mut rusqlite::Rows<'_>) -> rusqlite::Result<()> {
        while let Some(row) = rows.next()? {
            let at = Cursor { time: row.get(0)?, seq: row.get(1)? };
            let past = match self.order {
                Order::Newest => at < *self.stretch.start(),
                Order::Oldest => at > *self.stretch.end(),
            };
            if past {
                return Ok(());
            }
            if self.stretch.contains(&at) {
                let segment = row.get(2)?;
                let opened = row.get::<_, Option<i64>>(4)?.and_then(|opened| place_of_first(segment, opened));
                self.keep(Row { at, place: (segment, row.get(3)?), opened });
            }
        }
        Ok(())
    }

    fn keep(&mut self, row: Row) {
        self.rows.push(Ranked(self.rank(row.at), row));
        if self.rows.len() > self.most {
            self.rows.pop();
        }
        // Whatever comes after the last of them is none of them.
        if self.rows.len() == self.most
            && let Some(Ranked(_, last)) = self.rows.peek()
        {
            self.stretch = match self.order {
                Order::Newest => last.at..=*self.stretch.end(),
                Order::Oldest => *self.stretch.start()..=last.at,
            };
        }
    }

    /// Whether there are enough that come before what has `rank`.
    fn is_past(&self, rank: i128) -> bool {
        self.rows.len() == self.most && self.rows.peek().is_some_and(|Ranked(last, _)| rank > *last)
    }

    fn rank(&self, at: Cursor) -> i128 {
        let place = i128::from(at.time) << 64 | i128::from(at.seq);
        if self.order == Order::Newest { -place } else { place }
    }

    /// `reached` is where the looking ended, if it did not come to the end.
    fn into_batch(self, reached: Option<Cursor>) -> Batch {
        let (most, newest) = (self.most, self.order == Order::Newest);
        let mut rows: Vec<Row> = self.rows.into_sorted_vec().into_iter().map(|Ranked(_, row)| row).collect();
        if let Some(reached) = reached {
            rows.retain(|row| if newest { row.at >= reached } else { row.at <= reached });
            return Batch { rows, rest: Some(reached) };
        }
        let rest = rows.last().map(|row| row.at).filter(|_| rows.len() == most);
        Batch { rows, rest }
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// What of `stretch` lies in an hour, where one is named.
fn within(hour: Option<i64>, stretch: &Stretch) -> Option<(Cursor, Cursor)> {
    let (mut low, mut high) = (*stretch.start(), *stretch.end());
    if let Some(begins) = hour.map(|hour| hour.saturating_mul(HOUR)) {
        low = low.max(Cursor { time: begins, ..Cursor::FIRST });
        high = high.min(Cursor { time: begins.saturating_add(HOUR - 1), ..Cursor::LAST });
    }
    (low <= high).then_some((low, high))
}

fn hour(at: &Cursor) -> i64 {
    at.time.div_euclid(HOUR)
}
