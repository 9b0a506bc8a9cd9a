//! What a search finds, handed over: oldest first, a piece at a time, whatever there is of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Account, Form, Format};
use crate::audit::error::Error;
use crate::audit::index::{Order, Paging, Record, Search, Searching, page};
use crate::audit::shelf::told_time;

/// Requests of one piece.
const AT_ONCE: usize = 500;
/// How long a piece may be looked for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Gives what `search` finds, piece by piece, oldest first.
#[derive(Debug)]
pub struct FoundExport {
    folder: PathBuf,
    search: Search,
    form: Form,
    state: State,
    /// How many may still be told.
    left: usize,
}

#[derive(Debug)]
enum State {
    /// Before everything, the names of columns too.
    Start,
    /// What the log has isn't all in the index yet.
    Behind,
    On(Box<Searching>),
    End,
}

impl FoundExport {
    /// What `search` finds in the log in `folder`, at most its `limit`. What ends later than now is not waited for.
    pub fn new(folder: &Path, format: Format, mut search: Search, now: SystemTime) -> Self {
        search.until = Some(search.until.map_or(now, |until| until.min(now)));
        let left = search.limit.unwrap_or(usize::MAX);
        Self { folder: folder.to_owned(), search, form: Form::new(format), state: State::Start, left }
    }

    /// The next piece, which may be empty where much had to be looked through; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Index`] where the index can't be used, [`Error::Io`] where a segment can't be read.
    pub fn next_piece(&mut self) -> Result<Option<String>, Error> {
        let found = match &mut self.state {
            State::Start => {
                self.state = State::Behind;
                return Ok(Some(self.form.begins().unwrap_or_default()));
            }
            State::Behind => {
                let any = Paging { order: Order::Oldest, from: None, limit: 1, patience: Some(PATIENCE) };
                if !page(&self.folder, &Search::default(), &any)?.behind {
                    let searching = Searching::begin(&self.folder, self.search.clone(), Order::Oldest)?;
                    self.state = State::On(Box::new(searching));
                }
                return Ok(Some(String::new()));
            }
            State::On(searching) => searching.piece(self.left.min(AT_ONCE), PATIENCE)?,
            State::End => return Ok(None),
        };
        self.left -= found.records.len().min(self.left);
        let mut piece = String::new();
        found.records.iter().for_each(|record| self.tell(record, &mut piece));
        if found.next.is_none() || self.left == 0 {
            piece.extend(self.form.ends());
            self.state = State::End;
        }
        Ok(Some(piece))
    }

    fn tell(&mut self, record: &Record, piece: &mut String) {
        if self.form.format == Format::Lines {
            // Both, so that the hash of either can be looked for in the log.
            return record.opened.iter().chain([&record.line]).for_each(|line| {
                piece.push_str(line);
                piece.push('\n');
            });
        }
        let read = |line: &String| Account::read(line, told_time(line.as_bytes())?);
        let Some(last) = read(&record.line) else { return };
        let account = match record.opened.as_ref().and_then(read) {
            Some(opened) => opened.ended_by(last),
            None => last,
        };
        piece.extend(self.form.tell(&account));
    }
}
