//! `Entry`: a record that can't be forgotten.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use http::HeaderMap;

use super::error::Error;
use super::line::Moment;
use super::record::{Kind, Record, Verdict};
use super::spool::{Opened, Spool};

/// Why what is under way on a stream is ended by us, once it is: a word for [`Record::note`].
pub(crate) type EndedFor = Rc<Cell<Option<&'static str>>>;

/// A record and its spool. Dropping it writes the last line: the closing one if it was opened, else that it never left.
#[derive(Debug)]
pub(crate) struct Entry {
    spool: Spool,
    /// On the heap: it goes through many hands.
    record: Box<Record>,
    opened: bool,
    discarded: bool,
    /// Its record is another entry's now, which counts.
    lent: bool,
    ended_for: Option<EndedFor>,
}

impl Entry {
    pub(super) fn new(spool: Spool, record: Record) -> Self {
        Self { spool, record: Box::new(record), opened: false, discarded: false, lent: false, ended_for: None }
    }

    /// It is under way on a stream that tells here why it ends, if it does not end by itself.
    pub(crate) fn ends_with(&mut self, stream: &EndedFor) {
        self.ended_for = Some(Rc::clone(stream));
    }

    /// It has ended as it should, whatever becomes of its stream.
    pub(crate) fn ends_well(&mut self) {
        self.ended_for = None;
    }

    /// Writes the opening line, as [`Spool::open`].
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub(crate) async fn open(&mut self) -> Result<Opened, Error> {
        // First, so that an entry dropped while it waits ends with a closing line: its opening one may be written already.
        self.opened = true;
        let opened = self.spool.open(&mut self.record).await;
        self.opened = opened.is_ok();
        opened
    }

    /// The request came with `headers`: it is a span of their trace, or begins one, where spans go anywhere.
    pub(crate) fn begin_span(&mut self, headers: &HeaderMap) {
        if let Some(traces) = self.spool.recorder().traces() {
            self.record.span = traces.begin(headers);
        }
    }

    /// Takes the record out, for a task that outlives the request. What stays behind says nothing when it is dropped.
    pub(crate) fn lend(&mut self) -> Self {
        let mut empty =
            Self::new(self.spool.clone(), Record::new(self.record.id(), self.record.kind, self.record.began(), Vec::new(), 0));
        (empty.discarded, empty.lent) = (true, true);
        std::mem::replace(self, empty)
    }

    /// Ends a record of something that is told elsewhere: a CONNECT whose requests have records of their own. One that was opened
    /// is closed all the same.
    pub(crate) fn discard(mut self) {
        self.discarded = true;
    }
}

impl Deref for Entry {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl DerefMut for Entry {
    fn deref_mut(&mut self) -> &mut Record {
        &mut self.record
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.lent {
            self.spool.recorder().over(self.record.kind.into());
        }
        let ended_for = self.ended_for.as_ref().and_then(|why| why.get()).filter(|why| !self.record.notes.contains(why));
        let moment = match (self.opened, self.discarded) {
            (true, _) => Some(Moment::Close),
            (false, true) => None,
            (false, false) => Some(Moment::Refuse),
        };
        let why = match moment {
            Some(Moment::Close) => {
                let left = self.record.kind == Kind::Request && self.record.status.is_none();
                ended_for.or(left.then_some("caller_left"))
            }
            Some(_) if self.record.verdict != Some(Verdict::Refuse) => Some(ended_for.unwrap_or("abandoned")),
            Some(_) | None => None,
        };
        why.into_iter().for_each(|why| self.record.note(why));
        self.record.took = Some(self.record.started.elapsed());
        if moment.is_some() {
            let recorder = self.spool.recorder();
            recorder.ended(&self.record.ended());
            if let Some((span, traces)) = self.record.span.as_deref().zip(recorder.traces()) {
                traces.take(self.record.span(span));
            }
        }
        self.spool.end(moment, &mut self.record);
    }
}
