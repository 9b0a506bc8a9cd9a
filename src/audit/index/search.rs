//! What was asked for, looked up: kinds first, then the newest requests of each, then their lines in the segments.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::SystemTime;

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::feed::HOUR;
use super::{Index, path_of};
use crate::audit::error::Error;
use crate::audit::pack::Packed;
use crate::audit::segment::{self, MAX_LINE, Source};
use crate::audit::trailer::Trailer;

/// What to look for; conditions that are `None` hold for everything.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Who asked.
    pub agent: Option<String>,
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
                class.parse().ok().filter(|class| (1..=9).contains(class)).map(|class: u16| class * 100..=class * 100 + 99)
            }
            None => text.parse().ok().filter(|status| (100..=999).contains(status)).map(|status: u16| status..=status),
        };
        range.map(Self).ok_or(BadStatus)
    }
}

/// What was given is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a status is a number such as 404, or a class such as 5xx")]
pub struct BadStatus;

/// Brings the index of the log in `folder` up to date and looks for what `search` asks; the lines that were found, oldest first.
///
/// `progress` is told after every batch how many lines were indexed since; many on the first call for an old log.
///
/// # Errors
/// [`Error::Index`] where the index can't be used, [`Error::Io`] where a segment can't be read.
pub fn search(folder: &Path, search: &Search, mut progress: impl FnMut(u64)) -> Result<Vec<String>, Error> {
    let mut index = Index::open(folder)?;
    let mut indexed = 0;
    while let taken @ 1.. = index.advance()? {
        indexed += taken;
        progress(indexed);
    }
    let mut found = index.find(search).map_err(Error::index(&path_of(folder)))?;
    found.sort_unstable();
    read_lines(folder, &found)
}

/// A row that was found: its time, its line's number, and where that stands.
type Row = (i64, u64, u32, u64);

/// Within so many hours it is looked up which kinds there were; over a longer time nearly all that fit were there.
const HOURS: i64 = 24 * 7;
/// For kinds with a request between the values 1 and 2, in microseconds.
const WITHIN: &str = " AND id IN (SELECT kind FROM hours WHERE hour BETWEEN ?1 / 3600000000 - 1 AND ?2 / 3600000000)";

/// How many hours there are from `since` to `until`.
fn hours(since: i64, until: i64) -> i64 {
    until.div_euclid(HOUR).saturating_sub(since.div_euclid(HOUR))
}

/// The newest rows so far.
#[derive(Debug)]
struct Newest {
    /// The oldest of them on top.
    rows: BinaryHeap<Reverse<Row>>,
    limit: usize,
}

impl Newest {
    /// Takes `row` in if it is among the newest; says whether it was.
    fn keep(&mut self, row: Row) -> bool {
        if self.rows.len() >= self.limit {
            match self.rows.peek() {
                Some(Reverse(oldest)) if *oldest < row => drop(self.rows.pop()),
                _ => return false,
            }
        }
        self.rows.push(Reverse(row));
        true
    }

    /// Whether nothing from `last` or before it can be among them.
    fn are_after(&self, last: i64) -> bool {
        self.rows.len() >= self.limit && self.rows.peek().is_none_or(|Reverse(oldest)| oldest.0 > last)
    }
}

impl Index {
    /// The newest requests of all kinds that `search` names.
    fn find(&self, search: &Search) -> rusqlite::Result<Vec<Row>> {
        let limit = search.limit.unwrap_or(usize::MAX);
        let (since, until) = (micros(search.since).unwrap_or(i64::MIN), micros(search.until).unwrap_or(i64::MAX));
        let (condition, values) = conditions(search);
        let mut newest = Newest { rows: BinaryHeap::new(), limit };
        if let Some(lease) = &search.lease {
            let condition = format!("{condition} AND lease = ?{}", values.len() + 3);
            let values: Vec<Value> = values.into_iter().chain([Value::from(lease.clone())]).collect();
            for table in ["pending", "leased"] {
                self.among(table, (&condition, &values), since..=until, &mut newest)?;
            }
            return Ok(newest.rows.into_iter().map(|Reverse(row)| row).collect());
        }
        self.among("pending", (&condition, &values), since..=until, &mut newest)?;
        let within = if hours(since, until) <= HOURS { WITHIN } else { "" };
        let text = format!("SELECT id, last FROM kinds WHERE last >= ?1 AND ?2 >= ?1{condition}{within} ORDER BY last DESC");
        let mut kinds = self.database.prepare(&text)?;
        let values = [Value::from(since), Value::from(until)].into_iter().chain(values);
        let mut kinds = kinds.query(params_from_iter(values))?;
        let text = "SELECT time, seq, segment, offset FROM events WHERE kind = ?1 AND time BETWEEN ?2 AND ?3 \
                    ORDER BY time DESC, seq DESC LIMIT ?4";
        let mut events = self.database.prepare(text)?;
        while let Some(kind) = kinds.next()? {
            let (kind, last): (i64, i64) = (kind.get(0)?, kind.get(1)?);
            // Kinds come in the order of their newest: none that follows has anything newer.
            if newest.are_after(last) {
                break;
            }
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = events.query((kind, since, until, most))?;
            while let Some(row) = rows.next()? {
                let row = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                if !newest.keep(row) {
                    break;
                }
            }
        }
        Ok(newest.rows.into_iter().map(|Reverse(row)| row).collect())
    }

    /// Requests of `table`: those that have no last line, or those of leases.
    fn among(
        &self,
        table: &str,
        (condition, values): (&str, &[Value]),
        times: RangeInclusive<i64>,
        newest: &mut Newest,
    ) -> rusqlite::Result<()> {
        let text = format!(
            "SELECT time, seq, segment, offset FROM {table} JOIN kinds ON kinds.id = {table}.kind WHERE time BETWEEN ?1 AND ?2{condition} \
             ORDER BY time DESC"
        );
        let mut pending = self.database.prepare(&text)?;
        let values = [*times.start(), *times.end()].map(Value::from).into_iter().chain(values.iter().cloned());
        let mut rows = pending.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let row: Row = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            if !newest.keep(row) {
                break;
            }
        }
        Ok(())
    }
}

/// What a kind must be, as a condition in SQL whose first value is number 3.
fn conditions(search: &Search) -> (String, Vec<Value>) {
    let (mut text, mut values) = (String::new(), Vec::new());
    let mut require = |condition: &str, value: Value| {
        values.push(value);
        text.push_str(&format!(" AND {condition} ?{}", values.len() + 2));
    };
    let suffix = |host: &String| host.strip_prefix("*.").map(|name| format!("*.{}", literal(name)));
    for (column, wanted) in [("agent", &search.agent), ("provider", &search.provider), ("verdict", &search.verdict)] {
        if let Some(wanted) = wanted {
            require(&format!("{column} ="), wanted.clone().into());
        }
    }
    if let Some(host) = &search.host {
        match suffix(host) {
            Some(pattern) => require("host GLOB", pattern.into()),
            None => require("host =", host.to_ascii_lowercase().into()),
        }
    }
    if let Some(StatusRange(range)) = &search.status {
        require("status >=", i64::from(*range.start()).into());
        require("status <=", i64::from(*range.end()).into());
    }
    (text, values)
}

/// A name in which nothing is a pattern.
fn literal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['*', '?', '['], "")
}

fn micros(time: Option<SystemTime>) -> Option<i64> {
    let time = jiff::Timestamp::try_from(time?).ok()?;
    Some(time.as_microsecond())
}

/// The lines of `rows`. One whose segment isn't kept any longer is left out.
fn read_lines(folder: &Path, rows: &[Row]) -> Result<Vec<String>, Error> {
    let mut open: HashMap<u32, Option<LineAt>> = HashMap::new();
    let mut lines = Vec::with_capacity(rows.len());
    for &(_time, seq, number, offset) in rows {
        if !open.contains_key(&number) {
            // Rows come by time, and so do segments: one or two are read at a time.
            open.retain(|other, _| number.abs_diff(*other) < 4);
            open.insert(number, found(LineAt::open(folder, number))?);
        }
        let Some(Some(segment)) = open.get_mut(&number) else { continue };
        let line = segment.read(offset)?;
        let ours = |line: &Vec<u8>| Trailer::read(line).is_some_and(|trailer| trailer.link.seq == seq);
        lines.extend(line.filter(ours).map(|line| String::from_utf8_lossy(&line).into_owned()));
    }
    Ok(lines)
}

fn found(opened: Result<LineAt, Error>) -> Result<Option<LineAt>, Error> {
    match opened {
        Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// A segment of which single lines are read.
#[derive(Debug)]
pub(super) struct LineAt {
    folder: std::path::PathBuf,
    number: u32,
    from: From,
}

#[derive(Debug)]
enum From {
    Plain(BufReader<File>),
    Packed(Packed),
}

impl LineAt {
    pub(super) fn open(folder: &Path, number: u32) -> Result<Self, Error> {
        let from = match segment::open_to_read(folder, number)? {
            Source::Plain(file) => From::Plain(BufReader::new(file)),
            Source::Packed(decoder) => {
                let packed = Packed::open(decoder.finish().into_inner());
                let path = segment::packed_path_of(folder, number);
                let packed = packed.map_err(Error::io("read", &path))?;
                let odd = || Error::io("look into", &path)(io::Error::from(io::ErrorKind::InvalidData));
                From::Packed(packed.ok_or_else(odd)?)
            }
        };
        Ok(Self { folder: folder.to_owned(), number, from })
    }

    /// The line that begins at `offset`, without its end.
    pub(super) fn read(&mut self, offset: u64) -> Result<Option<Vec<u8>>, Error> {
        let read = match &mut self.from {
            From::Plain(file) => plain_line(file, offset),
            From::Packed(packed) => packed.line_at(offset).map(|line| line.map(<[u8]>::to_vec)),
        };
        read.map_err(Error::io("read", &segment::path_of(&self.folder, self.number)))
    }
}

fn plain_line(file: &mut BufReader<File>, offset: u64) -> io::Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut line = Vec::new();
    file.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    Ok(line.pop_if(|byte| *byte == b'\n').map(|_| line))
}
