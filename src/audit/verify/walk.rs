//! `Walk`: reads segments line by line, and holds each line against the one before it, the key and a head.

use std::path::Path;

use super::{Against, Carried, MAX_CARRIED};
use crate::audit::error::Error;
use crate::audit::head::time_of;
use crate::audit::segment::{self, Lines, Next};
use crate::audit::taken::Taken;
use crate::audit::text::hex;
use crate::audit::trailer::{Hash, Link, Trailer};
use crate::audit::vouched::Vouched;

/// Where a line stands: its segment and its number there.
type Position = (u32, u64);

/// What a line depends on that stands before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    /// What the next line must say.
    pub(super) expected: Option<Link>,
    /// The last head that a key proves.
    pub(super) signed: Option<(u64, String)>,
}

/// What lines tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// The number of the first.
    pub(super) first: Option<u64>,
    /// How many there are.
    pub(super) lines: u64,
    /// Up to which segment they say that none are kept.
    forgotten: u32,
    pub(super) carried: Vec<Carried>,
}

impl Told {
    /// And then what `more` tells.
    fn and(&mut self, more: &Self) {
        self.first = self.first.or(more.first);
        self.lines += more.lines;
        self.forgotten = self.forgotten.max(more.forgotten);
        self.carried.extend_from_slice(&more.carried);
        self.carried.drain(..self.carried.len().saturating_sub(MAX_CARRIED));
    }
}

/// Reads segments, each after the one before it.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    against: &'a Against,
    pub(super) state: State,
    /// By all segments so far.
    pub(super) all: Told,
    at: Position,
    pub(super) torn: bool,
    /// Two lines that don't fit, of which the next one tells which was changed.
    doubt: Option<Doubt>,
    pub(super) taken: Taken,
}

impl<'a> Walk<'a> {
    pub(super) fn new(against: &'a Against, taken: Taken) -> Self {
        let (state, all) = (State::default(), Told::default());
        Self { against, state, all, at: (0, 0), torn: false, doubt: None, taken }
    }

    /// Whether what follows is judged by [`State`] alone.
    pub(super) fn is_certain(&self) -> bool {
        self.doubt.is_none() && !self.torn
    }

    /// Goes past segment `number`, which was read before from the same state on.
    pub(super) fn skip(&mut self, number: u32, (after, told): (&State, &Told)) {
        self.at = (number, told.lines);
        self.state = after.clone();
        self.all.and(told);
    }

    /// Reads segment `number`; says what it tells.
    pub(super) fn segment(&mut self, folder: &Path, number: u32) -> Result<Told, Error> {
        let before = std::mem::take(&mut self.all);
        self.read(folder, number)?;
        let told = std::mem::replace(&mut self.all, before);
        self.all.and(&told);
        Ok(told)
    }

    fn read(&mut self, folder: &Path, number: u32) -> Result<(), Error> {
        let path = segment::path_of(folder, number);
        let mut lines = Lines::new(segment::open_to_read(folder, number)?);
        let mut line = 0;
        loop {
            let next = lines.next().map_err(Error::io("read", &path))?;
            if next == Next::End {
                return Ok(());
            }
            line += 1;
            let before = std::mem::replace(&mut self.at, (number, line));
            match next {
                Next::Line => self.check(&lines.line, before)?,
                Next::TooLong => return Err(self.broken("the line is longer than any that was written")),
                Next::Torn | Next::End => {
                    self.torn = true;
                    return Ok(());
                }
            }
        }
    }

    fn check(&mut self, line: &[u8], before: Position) -> Result<(), Error> {
        let trailer = Trailer::read(line).ok_or_else(|| self.broken("the line is not a chained one"))?;
        let link = trailer.link;
        let expected = match self.state.expected {
            Some(expected) => expected,
            None if self.at.0 == 1 => Link::FIRST,
            None => link,
        };
        if let Some(doubt) = &self.doubt {
            return Err(doubt.judge(Some(&link.prev)));
        }
        if expected.seq != link.seq {
            return Err(self.broken("its number doesn't follow the line before"));
        }
        self.state.expected = Some(Link::after(link.seq, line));
        if expected.prev != link.prev {
            let mended = Link::after(link.seq, &mended(line, &expected.prev)).prev;
            // There is no line before the very first.
            let first = if before.1 == 0 { self.at } else { before };
            self.doubt = Some(Doubt { first, second: self.at, mended });
            return Ok(());
        }
        self.all.first.get_or_insert(link.seq);
        self.all.lines += 1;
        self.taken.note(line, &trailer);
        if let Some((said, _)) = Vouched::chained(line) {
            self.heed(said, line, link)?;
        }
        self.is_noted(link.seq)
    }

    /// A line of the chain's own.
    fn heed(&mut self, said: Vouched, line: &[u8], link: Link) -> Result<(), Error> {
        let time = time_of(line).unwrap_or_default().to_owned();
        if !self.against.keys.is_empty() {
            if !self.against.keys.iter().any(|key| key.proves(line, link)) {
                return Err(self.broken(said.unsigned()));
            }
            self.state.signed = Some((link.seq, time.clone()));
        }
        match said {
            Vouched::Head => {}
            Vouched::Forget(through) => self.all.forgotten = self.all.forgotten.max(through),
            Vouched::Carried(from, through) => {
                if self.all.carried.len() == MAX_CARRIED {
                    self.all.carried.remove(0);
                }
                self.all.carried.push(Carried { from, through, time });
            }
        }
        Ok(())
    }

    /// Holds the line that was just read against the head that was noted.
    fn is_noted(&self, seq: u64) -> Result<(), Error> {
        let (Some(noted), Some(next)) = (self.against.head, self.state.expected) else { return Ok(()) };
        if noted.seq == seq && noted.hash != next.prev {
            return Err(self.broken("it is not the line that the head was noted of: the log was made anew before it"));
        }
        Ok(())
    }

    /// Before the next segment: this one is finished.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        if self.torn {
            return Err(self.broken("the line has no end"));
        }
        let last = self.state.expected.map_or(0, |link| link.seq - 1);
        match &self.state.signed {
            Some((line, _time)) if *line != last && self.doubt.is_none() => {
                Err(self.broken("the segment ends without a head, although heads were signed before"))
            }
            _ => Ok(()),
        }
    }

    /// After the last segment.
    pub(super) fn end(&mut self, first: Option<u32>) -> Result<(), Error> {
        if let Some(doubt) = &self.doubt {
            return Err(doubt.judge(None));
        }
        if let Some(first) = first.filter(|&first| first > 1 && self.all.forgotten < first - 1) {
            let what = "the segments before it are gone, and the log doesn't say that they are not kept";
            return Err(Error::Broken { segment: first, line: 1, what });
        }
        let Some(noted) = self.against.head else { return Ok(()) };
        if self.state.expected.map_or(1, |next| next.seq) <= noted.seq {
            return Err(self.broken("the log ends here, before the line that the head was noted of: it was cut"));
        }
        match self.all.first {
            Some(first) if noted.seq < first => Err(Error::Forgotten { head: noted.seq, first }),
            _ => Ok(()),
        }
    }

    fn broken(&self, what: &'static str) -> Error {
        Error::Broken { segment: self.at.0, line: self.at.1, what }
    }
}

/// A line, and one after it that says it was another.
#[derive(Debug)]
struct Doubt {
    first: Position,
    second: Position,
    /// The hash of the second if it had said what it should.
    mended: Hash,
}

impl Doubt {
    /// By what the line after the two says of the second: it may be the second's word alone that was changed.
    fn judge(&self, said: Option<&Hash>) -> Error {
        let (segment, line) = if said == Some(&self.mended) { self.second } else { self.first };
        Error::Broken { segment, line, what: CHANGED }
    }
}

/// `line`, which is a chained one, as if the line before it had the hash `prev`.
fn mended(line: &[u8], prev: &Hash) -> Vec<u8> {
    let end = line.len().saturating_sub(2 + 2 * prev.len());
    let mut mended = line.get(..end).unwrap_or_default().to_vec();
    hex(&mut mended, prev);
    mended.extend_from_slice(b"\"}");
    mended
}

const CHANGED: &str = "it is not the line that the one after it was chained to: it was changed";
