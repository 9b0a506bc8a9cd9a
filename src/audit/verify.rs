//! Proves that the segments are as they were written, from the oldest that is kept to the last line.

use std::path::Path;

use super::error::Error;
use super::segment::{self, Lines, Next};
use super::trailer::{Hash, Link, Trailer};

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
    /// The hash of the last line, in hex. Whoever noted it elsewhere can tell that nothing was cut off the end.
    pub head: String,
    /// The last line has no end: it is being written, or its writer died.
    pub torn: bool,
}

/// Reads every segment in `folder` and checks each line's number and hash.
///
/// Finds a line that was changed, removed, added or moved. A cut at the very end shows only against a head noted elsewhere.
///
/// # Errors
/// [`Error::Broken`] names the first line that doesn't fit; [`Error::Io`] where a segment can't be read.
pub fn verify_chain(folder: &Path) -> Result<Verified, Error> {
    let numbers = segment::numbers(folder)?;
    let mut walk = Walk::default();
    for (index, &number) in numbers.iter().enumerate() {
        if numbers.first().is_some_and(|&first| u64::from(first) + index as u64 != u64::from(number)) {
            return Err(Error::Broken { segment: number, line: 1, what: "the segment before it is missing" });
        }
        if walk.torn {
            return Err(Error::Broken { segment: number - 1, line: walk.line, what: "the line has no end" });
        }
        walk.segment(folder, number)?;
    }
    let mut head = Vec::new();
    super::text::hex(&mut head, &walk.expected.map_or([0; 32], |link| link.prev));
    Ok(Verified {
        segments: numbers.len(),
        lines: walk.lines,
        first: walk.first.unwrap_or(0),
        last: walk.expected.map_or(0, |link| link.seq - 1),
        head: String::from_utf8_lossy(&head).into_owned(),
        torn: walk.torn,
    })
}

#[derive(Debug, Default)]
struct Walk {
    /// What the next line must say.
    expected: Option<Link>,
    first: Option<u64>,
    lines: u64,
    /// The line in this segment.
    line: u64,
    torn: bool,
}

impl Walk {
    fn segment(&mut self, folder: &Path, number: u32) -> Result<(), Error> {
        let path = segment::path_of(folder, number);
        let mut lines = Lines::new(segment::open_to_read(folder, number)?);
        self.line = 0;
        loop {
            let next = lines.next().map_err(Error::io("read", &path))?;
            self.line += 1;
            let what = match next {
                Next::Line => self.check(&lines.line, number).err(),
                Next::TooLong => Some("the line is longer than any that was written"),
                Next::Torn => {
                    self.torn = true;
                    return Ok(());
                }
                Next::End => return Ok(()),
            };
            if let Some(what) = what {
                return Err(Error::Broken { segment: number, line: self.line, what });
            }
        }
    }

    fn check(&mut self, line: &[u8], segment: u32) -> Result<(), &'static str> {
        let link = Trailer::read(line).ok_or("the line is not a chained one")?.link;
        let expected = match self.expected {
            Some(expected) => expected,
            None if segment == 1 => Link::FIRST,
            None => link,
        };
        same_number(expected.seq, link.seq)?;
        same_hash(&expected.prev, &link.prev)?;
        self.first.get_or_insert(link.seq);
        self.lines += 1;
        self.expected = Some(Link::after(link.seq, line));
        Ok(())
    }
}

fn same_number(expected: u64, found: u64) -> Result<(), &'static str> {
    if expected == found { Ok(()) } else { Err("its number doesn't follow the line before") }
}

fn same_hash(expected: &Hash, found: &Hash) -> Result<(), &'static str> {
    if expected == found { Ok(()) } else { Err("the line before is not the one it was chained to") }
}
