//! The tables of the rollups. Of many names in one step those with the most requests and the most bytes are told apart, and the others are
//! one row: whoever comes late and does much is seen, however many names somebody made up before.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _};

use super::histogram::Histogram;
use super::sum::{self, Sum};

/// Names of one dimension that a step tells apart: half of them by their requests, half by their bytes.
const NAMES: usize = 256;
const OF_PLACE: &str = "level = ?1 AND step = ?2 AND dimension = ?3";

const TABLES: &str = "
    CREATE TABLE times (level INTEGER, step INTEGER, slots BLOB, PRIMARY KEY (level, step)) WITHOUT ROWID;
    CREATE TABLE hosts (host TEXT PRIMARY KEY, time INTEGER, agent TEXT, provider TEXT) WITHOUT ROWID;
    CREATE INDEX reached ON hosts (time);
    CREATE TABLE alarms (time INTEGER, seq INTEGER, agent TEXT, host TEXT, place TEXT, refused INTEGER, PRIMARY KEY (time, seq)) WITHOUT ROWID;
";
pub(super) const CLEAR: &str = "DELETE FROM sums; DELETE FROM times; DELETE FROM hosts; DELETE FROM alarms;";

/// Of what a row is the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    /// All there is.
    All = 0,
    Provider = 1,
    Agent = 2,
    Host = 3,
}

/// Those that have names.
pub(super) const NAMED: [Dimension; 3] = [Dimension::Provider, Dimension::Agent, Dimension::Host];
/// What is added to a dimension for the sum of its names that are not told apart.
const OTHERS: u8 = 10;

/// Level, step, dimension.
pub(super) type Place = (u8, i64, u8);

/// All of them.
pub(super) fn tables() -> String {
    format!("{}{TABLES}", sum::table())
}

/// Adds to the rows of `place`.
pub(super) fn add(database: &Connection, place: Place, names: BTreeMap<&str, Sum>) -> rusqlite::Result<()> {
    let mut insert = database.prepare_cached(&sum::add())?;
    names.into_iter().try_for_each(|(name, sum)| sum.write(&mut insert, place, name))
}

/// Adds to the rows of `place`, and leaves those of its names that matter most; the rest is added to the others.
pub(super) fn merge(database: &Connection, place: Place, mut names: BTreeMap<&str, Sum>) -> rusqlite::Result<()> {
    let mut count = database.prepare_cached(&format!("SELECT count(*) FROM sums WHERE {OF_PLACE}"))?;
    if count.query_row(place, |row| row.get::<_, usize>(0))? + names.len() <= NAMES {
        return add(database, place, names);
    }
    let mut rows = database.prepare_cached(&sum::rows(OF_PLACE))?;
    let rows = rows.query_map(place, |row| Ok((row.get(2)?, Sum::read(row, 3)?)))?;
    let mut all: BTreeMap<String, Sum> = rows.collect::<Result<_, _>>()?;
    let stored: BTreeSet<String> = all.keys().cloned().collect();
    names.iter().for_each(|(name, sum)| *all.entry((*name).to_owned()).or_default() += *sum);
    let (level, step, dimension) = place;
    let mut delete = database.prepare_cached(&format!("DELETE FROM sums WHERE {OF_PLACE} AND name = ?4"))?;
    let mut others = Sum::default();
    for (name, sum) in least(all) {
        others += sum;
        names.remove(name.as_str());
        if stored.contains(&name) {
            delete.execute((level, step, dimension, name))?;
        }
    }
    add(database, place, names)?;
    add(database, (level, step, OTHERS + dimension), BTreeMap::from([("", others)]))
}

/// Those of `all` that are not told apart: neither among the first by requests, nor of the rest by bytes.
fn least(all: BTreeMap<String, Sum>) -> Vec<(String, Sum)> {
    let mut all: Vec<(String, Sum)> = all.into_iter().collect();
    all.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.requests));
    let mut rest = all.split_off(all.len().min(NAMES / 2));
    rest.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.bytes()));
    rest.split_off(rest.len().min(NAMES / 2))
}

/// Adds to how long the requests of a step took.
pub(super) fn add_times(database: &Connection, step: (u8, i64), times: &Histogram) -> rusqlite::Result<()> {
    let mut find = database.prepare_cached("SELECT slots FROM times WHERE level = ?1 AND step = ?2")?;
    let before: Option<Vec<u8>> = find.query_row(step, |row| row.get(0)).optional()?;
    let mut all = Histogram::read(&before.unwrap_or_default());
    all.add_all(times);
    let mut replace = database.prepare_cached("REPLACE INTO times VALUES (?1, ?2, ?3)")?;
    replace.execute((step.0, step.1, all.bytes())).map(drop)
}

/// The steps with more names than they should have.
pub(super) fn crowded(database: &Connection) -> rusqlite::Result<BTreeSet<Place>> {
    let text = "SELECT level, step, dimension FROM sums GROUP BY level, step, dimension HAVING count(*) > ?1";
    let mut places = database.prepare(text)?;
    places.query_map([NAMES], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Forgets the steps of `level` before number `step`.
pub(super) fn forget(database: &Connection, level: u8, step: i64) -> rusqlite::Result<()> {
    for table in ["sums", "times"] {
        database.execute(&format!("DELETE FROM {table} WHERE level = ?1 AND step < ?2"), (level, step))?;
    }
    Ok(())
}
