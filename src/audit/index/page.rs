//! `page`: a search answered piece by piece, in bounded time and memory.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::cursor::Cursor;
use super::lines::Reader;
use super::search::Search;
use super::text::{Words, names_rule};
use super::walk::{Order, Row, Walk};
use super::{BATCH, Index, path_of};
use crate::audit::error::Error;
use crate::audit::trailer::Trailer;
use crate::audit::turn::Pace;

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
    while index.advance(Pace::Brisk)? == BATCH {
        behind = paging.patience.is_some_and(|patience| begun.elapsed() >= patience);
        if behind {
            break;
        }
    }
    let mut place = Place { reached: paging.from, ..Place::default() };
    let ahead = if search.reads_lines() { LOOKED_UP } else { 1 };
    Ok(Page { behind, ..index.piece((search, paging.order), &mut place, (paging.limit, ahead), paging.patience)? })
}

/// A search whose pieces follow each other at once: what was looked up for one is kept for the next.
#[derive(Debug)]
pub(in crate::audit) struct Searching {
    index: Index,
    search: Search,
    order: Order,
    place: Place,
}

/// Where a search is.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Looked up, and not read yet.
    rows: VecDeque<Row>,
    /// The last that was read.
    read: Option<Cursor>,
    /// Where it is looked up on.
    reached: Option<Cursor>,
    /// Nothing is left to look up.
    over: bool,
}

impl Searching {
    /// Of what the index of the log in `folder` has now.
    pub(in crate::audit) fn begin(folder: &Path, search: Search, order: Order) -> Result<Self, Error> {
        Ok(Self { index: Index::open(folder)?, search, order, place: Place::default() })
    }

    /// The next piece, of at most `limit` requests.
    pub(in crate::audit) fn piece(&mut self, limit: usize, patience: Duration) -> Result<Page, Error> {
        self.index.piece((&self.search, self.order), &mut self.place, (limit, LOOKED_UP), Some(patience))
    }
}

impl Index {
    /// A piece of what the index has now, from `place` on, which moves. At least `ahead` requests are looked up at a time.
    pub(super) fn piece(
        &self,
        (search, order): (&Search, Order),
        place: &mut Place,
        (limit, ahead): (usize, usize),
        patience: Option<Duration>,
    ) -> Result<Page, Error> {
        let until = patience.map(|patience| Instant::now() + patience);
        let words = search.text.as_deref().and_then(Words::new);
        let walk = Walk::new(&self.database, search, order);
        let limit = limit.max(1);
        let rule = search.rule.as_deref();
        let mut found = Found { words, rule, limit, until, rows: Vec::new(), records: Vec::new(), bytes: 0, scanned: 0 };
        let mut reader = Reader::new(&self.folder);
        while !found.is_over() || found.scanned == 0 {
            if !place.rows.is_empty() {
                found.take(&mut reader, place)?;
                continue;
            }
            if place.over {
                break;
            }
            let most = ahead.max(limit - found.records.len());
            let batch = walk.batch(place.reached, most, until).map_err(Error::index(&path_of(&self.folder)))?;
            (place.rows, place.reached, place.over) = (batch.rows.into(), batch.rest, batch.rest.is_none());
            if place.rows.is_empty() && until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
        }
        let next = if place.rows.is_empty() { place.reached.filter(|_| !place.over) } else { place.read };
        let records = found.with_first_lines(&mut reader)?;
        Ok(Page { records, next, scanned: found.scanned, behind: false })
    }
}

/// What is in the piece so far.
#[derive(Debug)]
struct Found<'a> {
    words: Option<Words>,
    rule: Option<&'a str>,
    limit: usize,
    until: Option<Instant>,
    rows: Vec<Row>,
    records: Vec<Record>,
    bytes: usize,
    scanned: u64,
}

impl Found<'_> {
    /// Reads some of the rows at `place`, and takes what fits.
    fn take(&mut self, reader: &mut Reader, place: &mut Place) -> Result<(), Error> {
        let some: Vec<Row> = place.rows.iter().take(READ.min(self.lacking())).copied().collect();
        let places: Vec<_> = some.iter().map(|row| row.place).collect();
        let ruled = self.ruled(reader, &some)?;
        for ((row, line), ruled) in some.iter().zip(reader.lines(&places)?).zip(ruled) {
            place.rows.pop_front();
            place.read = Some(row.at);
            self.scanned += 1;
            // One whose segment isn't kept any longer is left out.
            let Some(line) = line.filter(|line| ruled && is(line, row)) else { continue };
            if self.words.as_ref().is_some_and(|words| !words.are_in(&line)) {
                continue;
            }
            self.bytes += line.len();
            self.rows.push(*row);
            self.records.push(Record { line: String::from_utf8_lossy(&line).into_owned(), opened: None });
            if self.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Of each of `rows` whether it is of the rule that is looked for, which its first line says.
    fn ruled(&self, reader: &mut Reader, rows: &[Row]) -> Result<Vec<bool>, Error> {
        let Some(rule) = self.rule else { return Ok(vec![true; rows.len()]) };
        let places: Vec<_> = rows.iter().map(|row| row.opened.unwrap_or(row.place)).collect();
        let lines = reader.lines(&places)?.into_iter();
        Ok(lines.map(|line| line.is_some_and(|line| names_rule(&line, rule))).collect())
    }

    /// How many rows may be read before it is full: those that something must be found in, any number.
    fn lacking(&self) -> usize {
        if self.words.is_some() || self.rule.is_some() { usize::MAX } else { self.limit - self.records.len().min(self.limit) }
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
