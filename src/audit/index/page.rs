//! `page`: a search answered piece by piece, in bounded time and memory.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::cursor::Cursor;
use super::lines::Reader;
use super::search::Search;
use super::text::Words;
use super::walk::{Order, Row, Walk};
use super::{BATCH, Index, path_of};
use crate::audit::error::Error;
use crate::audit::trailer::Trailer;

/// Requests that are looked up at a time where their lines must be looked through: many, since each look-up asks every kind.
const LOOKED_UP: usize = 20_000;
/// Lines that are read at a time.
const READ: usize = 200;
/// Where so many bytes of lines are found, the piece ends: a line may have tens of thousands.
const BYTES: usize = 4 * 1024 * 1024;

/// Which piece.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    /// Which requests come first.
    pub order: Order,
    /// Where the piece before ended.
    pub from: Option<Cursor>,
    /// At most so many requests.
    pub limit: usize,
    /// How long may be looked; the piece ends early then. `None` = as long as it takes.
    pub patience: Option<Duration>,
}

/// A request or event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its last line, or its first as long as it has no other.
    pub line: String,
    /// Its first line, where it has two.
    pub opened: Option<String>,
}

impl Record {
    /// What both lines say: what the last one does goes before what the first one said, whose time is `opened_at`.
    pub fn told(&self) -> Map<String, Value> {
        let read = |line: &str| serde_json::from_str::<Map<String, Value>>(line).unwrap_or_default();
        let Some(mut told) = self.opened.as_deref().map(read) else { return read(&self.line) };
        let opened_at = told.get("time").cloned();
        told.extend(read(&self.line));
        told.extend(opened_at.map(|time| ("opened_at".to_owned(), time)));
        told
    }
}

/// A piece of what was found.
#[derive(Debug)]
pub struct Page {
    /// In the order that was asked for.
    pub records: Vec<Record>,
    /// Where the next piece begins; `None` where nothing is left.
    pub next: Option<Cursor>,
    /// How many requests were looked at.
    pub scanned: u64,
    /// Whether the index is behind the log: what it hasn't yet is not found.
    pub behind: bool,
}

/// Brings the index of the log in `folder` up to date, as far as there is time, and looks for a piece of what `search` asks.
///
/// # Errors
/// [`Error::Index`] where the index can't be used, [`Error::Io`] where a segment can't be read.
pub fn page(folder: &Path, search: &Search, paging: &Paging) -> Result<Page, Error> {
    let begun = Instant::now();
    let mut index = Index::open(folder)?;
    let mut behind = false;
    while index.advance()? == BATCH {
        behind = paging.patience.is_some_and(|patience| begun.elapsed() >= patience);
        if behind {
            break;
        }
    }
    Ok(Page { behind, ..index.page(search, paging)? })
}

impl Index {
    /// A piece of what the index has now.
    pub(super) fn page(&self, search: &Search, paging: &Paging) -> Result<Page, Error> {
        let until = paging.patience.map(|patience| Instant::now() + patience);
        let words = search.text.as_deref().and_then(Words::new);
        let walk = Walk::new(&self.database, search, paging.order);
        let mut found =
            Found { words, limit: paging.limit.max(1), until, rows: Vec::new(), records: Vec::new(), bytes: 0, scanned: 0 };
        let mut reader = Reader::new(&self.folder);
        let mut next = paging.from;
        loop {
            let most = if found.words.is_some() { LOOKED_UP.max(found.limit) } else { found.limit - found.records.len() };
            let batch = walk.batch(next, most, until).map_err(Error::index(&path_of(&self.folder)))?;
            next = match found.take(&mut reader, &batch.rows)? {
                Some(last) => {
                    Some(last).filter(|last| batch.rest.is_some() || batch.rows.last().is_some_and(|row| row.at != *last))
                }
                None => batch.rest,
            };
            if next.is_none() || found.is_over() {
                break;
            }
        }
        let records = found.with_first_lines(&mut reader)?;
        Ok(Page { records, next, scanned: found.scanned, behind: false })
    }
}

/// What is in the piece so far.
#[derive(Debug)]
struct Found {
    words: Option<Words>,
    limit: usize,
    until: Option<Instant>,
    rows: Vec<Row>,
    records: Vec<Record>,
    bytes: usize,
    scanned: u64,
}

impl Found {
    /// Takes what fits of `rows`. Says after which of them it ended, if it did not come to their end.
    fn take(&mut self, reader: &mut Reader, rows: &[Row]) -> Result<Option<Cursor>, Error> {
        for some in rows.chunks(READ) {
            let places: Vec<_> = some.iter().map(|row| row.place).collect();
            for (row, line) in some.iter().zip(reader.lines(&places)?) {
                self.scanned += 1;
                // One whose segment isn't kept any longer is left out.
                let Some(line) = line.filter(|line| is(line, row)) else { continue };
                if self.words.as_ref().is_some_and(|words| !words.are_in(&line)) {
                    continue;
                }
                self.bytes += line.len();
                self.rows.push(*row);
                self.records.push(Record { line: String::from_utf8_lossy(&line).into_owned(), opened: None });
                if self.is_full() {
                    return Ok(Some(row.at));
                }
            }
            if self.is_over() {
                return Ok(some.last().map(|row| row.at));
            }
        }
        Ok(None)
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.limit || self.bytes >= BYTES
    }

    fn is_over(&self) -> bool {
        self.is_full() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// The records, each with its first line where it has two.
    fn with_first_lines(&mut self, reader: &mut Reader) -> Result<Vec<Record>, Error> {
        let mut records = std::mem::take(&mut self.records);
        let opened: Vec<_> = self.rows.iter().map(|row| row.opened).collect();
        let places: Vec<_> = opened.iter().flatten().copied().collect();
        let mut lines = reader.lines(&places)?.into_iter();
        for (record, _) in records.iter_mut().zip(&opened).filter(|(_, opened)| opened.is_some()) {
            record.opened = lines.next().flatten().map(|line| String::from_utf8_lossy(&line).into_owned());
        }
        Ok(records)
    }
}

/// Whether `line` is the one that `row` was made of.
fn is(line: &[u8], row: &Row) -> bool {
    Trailer::read(line).and_then(|trailer| i64::try_from(trailer.link.seq).ok()) == Some(row.at.seq)
}
