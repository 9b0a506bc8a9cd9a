//! Proves that the segments are as they were written, from the oldest that is kept to the last line.

use std::path::Path;

use super::error::Error;
use super::head::{Head, PublicKey, time_of};
use super::segment::{self, Lines, Next};
use super::taken::Taken;
use super::trailer::{Hash, Link, Trailer};
use super::vouched::Vouched;

/// As many are named; a log that was carried on more often says so of the last ones.
const MAX_CARRIED: usize = 100;

/// What a log is held against, besides itself.
#[derive(Debug, Clone, Default)]
pub struct Against {
    /// The keys that may have signed it. Without any, heads are lines like others, and whatever says what is not kept is believed.
    pub keys: Vec<PublicKey>,
    /// A head that was noted elsewhere.
    pub head: Option<Head>,
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many segments there are.
    pub segments: usize,
    /// How many lines were held against each other.
    pub lines: u64,
    /// The number of the first line; 1 unless older segments were given up.
    pub first: u64,
    /// The number of the last line.
    pub last: u64,
    /// The last line and its hash. Whoever noted it elsewhere can tell that nothing was cut off the end.
    pub head: Head,
    /// Up to where it is signed; `None` where no key was given or nothing is signed.
    pub signed: Option<Signed>,
    /// Where segments are not kept: whether a key proves that the log itself gave them up.
    pub given_up: Option<bool>,
    /// Lines that had no head when another process went on with the log, the last times.
    pub carried: Vec<Carried>,
    /// The last line has no end: it is being written, or its writer died.
    pub torn: bool,
    /// How many bytes wait to be chained.
    pub waiting: u64,
}

/// The last head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its number: nobody without the key changed a line up to it.
    pub line: u64,
    /// When it was signed: RFC 3339, UTC.
    pub time: String,
    /// How many lines come after it.
    pub after: u64,
}

/// Lines that were not signed while their writers lived: those of a process that was killed, or somebody's who added them afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The number of the first of them.
    pub from: u64,
    /// That of the last.
    pub through: u64,
    /// When they were found: RFC 3339, UTC.
    pub time: String,
}

/// Reads every segment in `folder` and checks each line's number and hash. What else can be proven is [`verify`]'s.
///
/// # Errors
/// As [`verify`].
pub fn verify_chain(folder: &Path) -> Result<Verified, Error> {
    verify(folder, &Against::default())
}

/// Reads every segment in `folder`, checks each line's number and hash, and holds the log against keys and a head.
///
/// Finds a line that was changed, removed, added or moved, and a segment that was removed, moved or put back; without a key, segments may
/// have been removed at the beginning, since anybody can say that they are not kept. What was made anew from
/// some line on shows against a key, if a head came after that line; a cut at the very end only against a head noted elsewhere.
///
/// # Errors
/// [`Error::Broken`] names the first line that doesn't fit; [`Error::Forgotten`] a head that is older than what is kept;
/// [`Error::Io`] where a segment can't be read.
pub fn verify(folder: &Path, against: &Against) -> Result<Verified, Error> {
    let numbers = segment::numbers(folder)?;
    let mut walk = Walk::new(against, Taken::of(folder));
    for (index, &number) in numbers.iter().enumerate() {
        if numbers.first().is_some_and(|&first| u64::from(first) + index as u64 != u64::from(number)) {
            return Err(Error::Broken { segment: number, line: 1, what: "the segment before it is missing" });
        }
        walk.close()?;
        walk.segment(folder, number)?;
    }
    walk.end(numbers.first().copied())?;
    let end = walk.expected.unwrap_or(Link::FIRST);
    Ok(Verified {
        segments: numbers.len(),
        lines: walk.lines,
        first: walk.first.unwrap_or(0),
        last: end.seq - 1,
        head: Head::before(end),
        signed: walk.signed.map(|(line, time)| Signed { line, time, after: end.seq.saturating_sub(line + 1) }),
        given_up: numbers.first().filter(|&&first| first > 1).map(|_| !against.keys.is_empty()),
        carried: walk.carried,
        torn: walk.torn,
        waiting: walk.taken.waiting(folder),
    })
}

/// Where a line stands: its segment and its number there.
type Position = (u32, u64);

#[derive(Debug)]
struct Walk<'a> {
    against: &'a Against,
    /// What the next line must say.
    expected: Option<Link>,
    first: Option<u64>,
    lines: u64,
    at: Position,
    torn: bool,
    /// Two lines that don't fit, of which the next one tells which was changed.
    doubt: Option<Doubt>,
    /// The last head that a key proves.
    signed: Option<(u64, String)>,
    /// Up to which segment the log says that none are kept.
    forgotten: u32,
    carried: Vec<Carried>,
    taken: Taken,
}

impl<'a> Walk<'a> {
    fn new(against: &'a Against, taken: Taken) -> Self {
        Self {
            against,
            expected: None,
            first: None,
            lines: 0,
            at: (0, 0),
            torn: false,
            doubt: None,
            signed: None,
            forgotten: 0,
            carried: Vec::new(),
            taken,
        }
    }

    fn segment(&mut self, folder: &Path, number: u32) -> Result<(), Error> {
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
        let expected = match self.expected {
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
        self.expected = Some(Link::after(link.seq, line));
        if expected.prev != link.prev {
            let mended = Link::after(link.seq, &mended(line, &expected.prev)).prev;
            // There is no line before the very first.
            let first = if before.1 == 0 { self.at } else { before };
            self.doubt = Some(Doubt { first, second: self.at, mended });
            return Ok(());
        }
        self.first.get_or_insert(link.seq);
        self.lines += 1;
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
            self.signed = Some((link.seq, time.clone()));
        }
        match said {
            Vouched::Head => {}
            Vouched::Forget(through) => self.forgotten = self.forgotten.max(through),
            Vouched::Carried(from, through) => {
                if self.carried.len() == MAX_CARRIED {
                    self.carried.remove(0);
                }
                self.carried.push(Carried { from, through, time });
            }
        }
        Ok(())
    }

    /// Holds the line that was just read against the head that was noted.
    fn is_noted(&self, seq: u64) -> Result<(), Error> {
        let (Some(noted), Some(next)) = (self.against.head, self.expected) else { return Ok(()) };
        if noted.seq == seq && noted.hash != next.prev {
            return Err(self.broken("it is not the line that the head was noted of: the log was made anew before it"));
        }
        Ok(())
    }

    /// Before the next segment: this one is finished.
    fn close(&mut self) -> Result<(), Error> {
        if self.torn {
            return Err(self.broken("the line has no end"));
        }
        let last = self.expected.map_or(0, |link| link.seq - 1);
        match &self.signed {
            Some((line, _time)) if *line != last && self.doubt.is_none() => {
                Err(self.broken("the segment ends without a head, although heads were signed before"))
            }
            _ => Ok(()),
        }
    }

    /// After the last segment.
    fn end(&mut self, first: Option<u32>) -> Result<(), Error> {
        if let Some(doubt) = &self.doubt {
            return Err(doubt.judge(None));
        }
        if let Some(first) = first.filter(|&first| first > 1 && self.forgotten < first - 1) {
            let what = "the segments before it are gone, and the log doesn't say that they are not kept";
            return Err(Error::Broken { segment: first, line: 1, what });
        }
        let Some(noted) = self.against.head else { return Ok(()) };
        if self.expected.map_or(1, |next| next.seq) <= noted.seq {
            return Err(self.broken("the log ends here, before the line that the head was noted of: it was cut"));
        }
        match self.first {
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
    super::text::hex(&mut mended, prev);
    mended.extend_from_slice(b"\"}");
    mended
}

const CHANGED: &str = "it is not the line that the one after it was chained to: it was changed";
