//! `Index`: where in the segments to find what, in SQLite. It is made from the segments and can always be made again.
//!
//! Requests that are alike (event, agent, host, provider, verdict, status) are of one kind, and there are few kinds: so any
//! combination of conditions is looked up among the kinds, and each kind's requests lie together, by time. Which kinds there were in an hour
//! is kept too, for whoever knows nothing but a time. A request is found by its
//! last line, which says where its first one stands; as long as it has none, by its first. Leases are many and short: what is done by them lies by lease besides.

mod cursor;
mod feed;
mod histogram;
mod indexer;
mod level;
mod line;
mod lines;
mod page;
mod reading;
mod rollup;
mod search;
mod stats;
mod steps;
mod sum;
mod text;
mod walk;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior};

use self::feed::{At, Feed};
use super::error::Error;
use super::segment::{self, Lines, Next};
use super::shelf::begun_at;
use super::spool_file::no_follow;
use super::trailer::Trailer;
use super::turn::{Pace, Turn};

pub use cursor::{BadCursor, Cursor};
pub(super) use indexer::Indexer;
pub(super) use page::Searching;
pub use page::{Page, Paging, Record, page};
pub use search::{BadStatus, Search, StatusRange, search};
#[cfg(test)]
pub(super) use stats::read as read_stats;
pub(crate) use stats::{Begun, MOST, Measure, Range, Stats, Wanted, stats};
pub use walk::Order;

/// Of the tables; an index of another is made anew.
const VERSION: i64 = 5;
/// How long a second process waits for the first one's batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines that one batch takes.
pub(super) const BATCH: u64 = 20_000;
/// The part of a batch that is one at a calm pace: whoever else writes or opens the index waits for its end.
const PART: u32 = 4;

/// Nothing here needs to survive a power cut.
const PREPARE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;";
const TABLES: &str = "
    CREATE TABLE place (only INTEGER PRIMARY KEY CHECK (only = 1), segment INTEGER, offset INTEGER, line INTEGER, seq INTEGER, first INTEGER);
    CREATE TABLE kinds (
        id INTEGER PRIMARY KEY, event TEXT, agent TEXT, host TEXT, provider TEXT, verdict TEXT, status INTEGER, last INTEGER,
        UNIQUE (event, agent, host, provider, verdict, status)
    );
    CREATE INDEX verdicts ON kinds (verdict, last);
    CREATE TABLE hours (hour INTEGER, kind INTEGER, PRIMARY KEY (hour, kind)) WITHOUT ROWID;
    CREATE TABLE events (
        kind INTEGER, time INTEGER, seq INTEGER, segment INTEGER, offset INTEGER, opened INTEGER, PRIMARY KEY (kind, time, seq)
    ) WITHOUT ROWID;
    CREATE TABLE leased (
        lease TEXT, time INTEGER, seq INTEGER, kind INTEGER, segment INTEGER, offset INTEGER, opened INTEGER, PRIMARY KEY (lease, time, seq)
    ) WITHOUT ROWID;
    CREATE TABLE pending (
        id TEXT PRIMARY KEY, kind INTEGER, time INTEGER, seq INTEGER, segment INTEGER, offset INTEGER, lease TEXT
    ) WITHOUT ROWID;
";

/// The index of one log, open.
#[derive(Debug)]
pub(super) struct Index {
    folder: PathBuf,
    database: Connection,
    /// Of the file, which somebody may remove to have it made anew.
    inode: u64,
    feed: Feed,
    /// Reads on where the last batch ended.
    reader: Option<(u32, Lines)>,
}

/// How far the log is indexed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    segment: u32,
    /// Where the next line begins.
    offset: u64,
    /// Where the last line began.
    line: u64,
    /// Its number; 0 where nothing is indexed.
    seq: u64,
    /// The oldest segment that was there.
    first: u32,
}

/// What a batch has done.
#[derive(Debug)]
struct Progress {
    place: Place,
    /// Lines, and how many at most.
    taken: u64,
    most: u64,
}

impl Index {
    /// Opens the index of the log in `folder`, or begins one where there is none, or none of this log.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let opened = Self::try_open(folder).or_else(|error| {
            if is_busy(&error) {
                return Err(error);
            }
            // Whatever is wrong with it, a new one is right.
            tracing::debug!(error = &error as &dyn std::error::Error, "the index of the audit log is made anew");
            remove(folder)?;
            Self::try_open(folder)
        });
        let mut index = opened?;
        if !index.is_of_this_log()? {
            index.clear()?;
        }
        Ok(index)
    }

    fn try_open(folder: &Path) -> Result<Self, Error> {
        let path = path_of(folder);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(no_follow()).open(&path);
        let inode = file.and_then(|file| file.metadata()).map_err(Error::io("open", &path))?.ino();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut database = Connection::open_with_flags(&path, flags).map_err(Error::index(&path))?;
        prepare(&mut database).map_err(Error::index(&path))?;
        Ok(Self { folder: folder.to_owned(), database, inode, feed: Feed::default(), reader: None })
    }

    /// Whether its file is still the one in the folder.
    pub(super) fn is_there(&self) -> bool {
        fs::metadata(path_of(&self.folder)).is_ok_and(|file| file.ino() == self.inode)
    }

    /// Takes up to [`BATCH`] lines that were chained since, at a calm pace a part of that; says how many there were.
    pub(super) fn advance(&mut self, pace: Pace<'_>) -> Result<u64, Error> {
        let path = path_of(&self.folder);
        let numbers = segment::numbers(&self.folder)?;
        let transaction =
            Transaction::new_unchecked(&self.database, TransactionBehavior::Immediate).map_err(Error::index(&path))?;
        let before = read_place(&transaction).map_err(Error::index(&path))?;
        let most = batch(pace);
        let mut done = Progress { place: before, taken: 0, most };
        if let Some(&first) = numbers.first().filter(|&&first| first > before.first) {
            forget(&self.folder, &transaction, first)?;
            done.place.first = first;
        }
        let mut reader = self.reader.take();
        self.feed.begin(now());
        let turn = Turn::begin(pace);
        while done.taken < most {
            let Some(mut next) = follow(&self.folder, &numbers, &mut done.place, reader.take())? else { break };
            let number = next.0;
            let clean = take(&self.folder, (&mut self.feed, &turn), &transaction, &mut next, &mut done)?;
            reader = clean.then_some(next);
            if done.taken == most || numbers.last() == Some(&number) {
                break;
            }
            done.place = Place { segment: number + 1, offset: 0, ..done.place };
        }
        self.reader = reader;
        if done.place == before {
            return Ok(0);
        }
        self.feed.settle(&transaction, &turn).map_err(Error::index(&path))?;
        write_place(&transaction, done.place).map_err(Error::index(&path))?;
        transaction.commit().map_err(Error::index(&path))?;
        Ok(done.taken)
    }

    /// Whether the line that was indexed last still stands where it stood.
    fn is_of_this_log(&self) -> Result<bool, Error> {
        let place = read_place(&self.database).map_err(Error::index(&path_of(&self.folder)))?;
        let numbers = segment::numbers(&self.folder)?;
        let Some(first) = numbers.first().copied() else { return Ok(place.seq == 0) };
        if place.seq == 0 || place.segment < first {
            // Not begun, or nothing of it is kept any longer.
            return Ok(true);
        }
        // The next segment is begun by the chain, and by us before that.
        let begun = place.offset == 0 && place.segment > first;
        let number = if begun { place.segment - 1 } else { place.segment };
        let Ok(mut lines) = lines::LineAt::open(&self.folder, number) else { return Ok(false) };
        let line = lines.read(place.line)?;
        Ok(line.and_then(|line| Some(Trailer::read(&line)?.link.seq)) == Some(place.seq))
    }

    /// Begins anew, with all lines there are.
    fn clear(&mut self) -> Result<(), Error> {
        let text = "DELETE FROM place; DELETE FROM kinds; DELETE FROM hours; DELETE FROM events; DELETE FROM leased; DELETE FROM pending;";
        self.feed = Feed::default();
        self.database.execute_batch(&[text, steps::CLEAR].concat()).map_err(Error::index(&path_of(&self.folder)))
    }
}

/// Whether somebody else was writing for too long: nothing is wrong with the index then.
fn is_busy(error: &Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    let Error::Index { cause, .. } = error else { return false };
    let code = cause.downcast_ref().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(DatabaseBusy | DatabaseLocked))
}

/// How many lines a batch takes at `pace`.
fn batch(pace: Pace<'_>) -> u64 {
    match pace {
        Pace::Brisk => BATCH,
        Pace::Calm(_) => BATCH / u64::from(PART),
    }
}

/// In microseconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// How much later than a segment began a line of an earlier one may have been written, in microseconds.
const LATE: i64 = 3_600_000_000;

/// An index that somebody else keeps; `None` where there is none of ours yet.
fn open_to_read(folder: &Path) -> rusqlite::Result<Option<Connection>> {
    if !path_of(folder).exists() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let database = Connection::open_with_flags(path_of(folder), flags)?;
    database.busy_timeout(PATIENCE)?;
    let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((version == VERSION).then_some(database))
}

fn path_of(folder: &Path) -> PathBuf {
    folder.join("index.sqlite")
}

fn remove(folder: &Path) -> Result<(), Error> {
    for ending in ["", "-wal", "-shm"] {
        let path = folder.join(format!("index.sqlite{ending}"));
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", &path)(cause)),
            _ => {}
        }
    }
    Ok(())
}

fn prepare(database: &mut Connection) -> rusqlite::Result<()> {
    database.busy_timeout(PATIENCE)?;
    database.execute_batch(PREPARE)?;
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(&[TABLES, &steps::tables()].concat())?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    } else if version != VERSION {
        return Err(rusqlite::Error::InvalidQuery);
    }
    transaction.commit()
}

fn read_place(database: &Connection) -> rusqlite::Result<Place> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Place { segment: row.get(0)?, offset: row.get(1)?, line: row.get(2)?, seq: row.get(3)?, first: row.get(4)? })
    };
    let found = database.query_row("SELECT segment, offset, line, seq, first FROM place", [], read).optional()?;
    Ok(found.unwrap_or_default())
}

fn write_place(database: &Connection, place: Place) -> rusqlite::Result<()> {
    let values = (place.segment, place.offset, place.line, place.seq, place.first);
    database.execute("REPLACE INTO place VALUES (1, ?1, ?2, ?3, ?4, ?5)", values).map(drop)
}

/// Takes what `lines`, a segment's, still holds, up to the end of the batch. Says whether they can be read on.
fn take(
    folder: &Path,
    (feed, turn): (&mut Feed, &Turn<'_>),
    database: &Connection,
    (number, lines): &mut (u32, Lines),
    done: &mut Progress,
) -> Result<bool, Error> {
    let (path, index) = (segment::path_of(folder, *number), path_of(folder));
    while done.taken < done.most {
        let begin = lines.offset;
        match lines.next().map_err(Error::io("read", &path))? {
            Next::Line => {}
            Next::TooLong => continue,
            Next::End => return Ok(true),
            Next::Torn => return Ok(false),
        }
        done.taken += 1;
        done.place.offset = lines.offset;
        if let Some(seq) = Trailer::seq(&lines.line) {
            (done.place.line, done.place.seq) = (begin, seq);
            let at = At { seq: done.place.seq, segment: *number, offset: begin };
            feed.take(database, &lines.line, at).map_err(Error::index(&index))?;
            turn.step();
        }
    }
    Ok(true)
}

/// Forgets what was in segments before number `first`.
fn forget(folder: &Path, database: &Connection, first: u32) -> Result<(), Error> {
    let begun = begun_at(folder, first)?.and_then(|begun| jiff::Timestamp::try_from(begun).ok());
    let late = begun.map_or(i64::MIN, |begun| begun.as_microsecond().saturating_add(LATE));
    let run = || -> rusqlite::Result<()> {
        let mut kinds = database.prepare("SELECT id FROM kinds")?;
        let kinds: Vec<i64> = kinds.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut delete = database.prepare("DELETE FROM events WHERE kind = ?1 AND time < ?2 AND segment < ?3")?;
        for kind in kinds {
            delete.execute((kind, late, first))?;
        }
        let gone = "DELETE FROM hours WHERE hour <= ?1 / 3600000000 AND NOT EXISTS (SELECT 1 FROM events WHERE events.kind = hours.kind \
                    AND time BETWEEN hour * 3600000000 AND hour * 3600000000 + 3599999999)";
        database.execute(gone, [late])?;
        database.execute("DELETE FROM leased WHERE time < ?1 AND segment < ?2", (late, first))?;
        database.execute("DELETE FROM pending WHERE segment < ?1", [first]).map(drop)
    };
    run().map_err(Error::index(&path_of(folder)))
}

/// What reads on at `place`, which moves to the next segment that is there; `None` where there is none.
fn follow(
    folder: &Path,
    numbers: &[u32],
    place: &mut Place,
    reader: Option<(u32, Lines)>,
) -> Result<Option<(u32, Lines)>, Error> {
    let Some(&number) = numbers.iter().find(|&&number| number >= place.segment) else { return Ok(None) };
    if number != place.segment {
        *place = Place { segment: number, offset: 0, ..*place };
    }
    if let Some(reader) = reader.filter(|(held, lines)| *held == number && lines.offset == place.offset) {
        return Ok(Some(reader));
    }
    let mut lines = Lines::new(segment::open_to_read(folder, number)?);
    lines.skip_to(place.offset).map_err(Error::io("read", &segment::path_of(folder, number)))?;
    Ok(Some((number, lines)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_another_writes_is_busy_and_one_that_is_none_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path_of(folder.path());
        let writer = Index::open(folder.path()).expect("an index");
        let writing = Transaction::new_unchecked(&writer.database, TransactionBehavior::Immediate).expect("a transaction");
        let mut other = Connection::open(&path).expect("open");
        other.busy_timeout(Duration::ZERO).expect("set");
        let refused = other.transaction_with_behavior(TransactionBehavior::Immediate).map(drop).map_err(Error::index(&path));
        assert!(is_busy(&refused.expect_err("locked")));
        drop(writing);
        let none = folder.path().join("none");
        fs::write(&none, "no database".repeat(100)).expect("written");
        let broken = Connection::open(&none).expect("open").execute_batch(TABLES).map_err(Error::index(&none));
        assert!(!is_busy(&broken.expect_err("no database")));
    }
}
