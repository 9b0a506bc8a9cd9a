//! `Tail`: reads the segments line by line and waits for more.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::error::Error;
use super::segment::{self, Lines, MAX_LINE, Next, Source};
use super::vouched::HEAD;

const CHUNK: usize = 64 * 1024;
/// How often to look for more.
const POLL: Duration = Duration::from_millis(50);

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// With the oldest line.
    Start,
    /// With what comes next.
    End,
    /// With the last so many lines, the chain's own not counted.
    Last(usize),
}

/// A reader of the log that follows it from segment to segment.
#[derive(Debug)]
pub struct Tail {
    folder: PathBuf,
    at: Option<Place>,
    held: Vec<u8>,
    /// How much of `held` was handed out.
    used: usize,
}

#[derive(Debug)]
struct Place {
    number: u32,
    source: Source,
    offset: u64,
}

impl Place {
    /// Reads on from `offset`: a plain segment may have grown since its end was met.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.source {
            Source::Plain(file) => file.read_at(into, self.offset)?,
            packed @ Source::Packed(_) => packed.read(into)?,
        };
        self.offset += read as u64;
        Ok(read)
    }
}

impl Tail {
    /// A reader of the log in `folder`, which needn't be there yet.
    ///
    /// # Errors
    /// [`Error::Io`] where a segment can't be read.
    pub fn open(folder: &Path, since: Since) -> Result<Self, Error> {
        let numbers = segment::numbers(folder)?;
        let at = match since {
            Since::Start => None,
            Since::End => last_lines(folder, &numbers, 0)?,
            Since::Last(count) => last_lines(folder, &numbers, count)?,
        };
        Ok(Self { folder: folder.to_owned(), at, held: Vec::new(), used: 0 })
    }

    /// A reader that begins with segment `number`, or with the next one that is there.
    pub(super) fn from_segment(folder: &Path, number: u32) -> Result<Self, Error> {
        let at = match segment::open_to_read(folder, number) {
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => None,
            opened => Some(Place { number, source: opened?, offset: 0 }),
        };
        Ok(Self { folder: folder.to_owned(), at, held: Vec::new(), used: 0 })
    }

    /// The next line, waiting up to `timeout` for it; `None` when none came.
    ///
    /// # Errors
    /// [`Error::Io`] where a segment can't be read.
    pub fn next_line(&mut self, timeout: Duration) -> Result<Option<String>, Error> {
        let since = Instant::now();
        loop {
            if let Some(line) = self.held_line() {
                return Ok(Some(line));
            }
            if self.read_more()? {
                continue;
            }
            let left = timeout.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            thread::sleep(left.min(POLL));
        }
    }

    fn held_line(&mut self) -> Option<String> {
        let rest = self.held.get(self.used..)?;
        let end = memchr::memchr(b'\n', rest)?;
        let line = String::from_utf8_lossy(rest.get(..end)?).into_owned();
        self.used += end + 1;
        Some(line)
    }

    /// Reads on, in this segment or the next; says whether there was anything.
    fn read_more(&mut self) -> Result<bool, Error> {
        if self.fill()? {
            return Ok(true);
        }
        let current = self.at.as_ref().map(|place| place.number);
        let next = segment::numbers(&self.folder)?.into_iter().find(|&number| current.is_none_or(|current| number > current));
        let Some(number) = next else { return Ok(false) };
        // The next one is there, so this one is finished: what came in between is the last of it.
        if self.fill()? {
            return Ok(true);
        }
        self.held.clear();
        self.used = 0;
        let source = match segment::open_to_read(&self.folder, number) {
            // It isn't kept any longer.
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        self.at = Some(Place { number, source, offset: 0 });
        Ok(true)
    }

    fn fill(&mut self) -> Result<bool, Error> {
        let Some(place) = &mut self.at else { return Ok(false) };
        self.held.drain(..self.used);
        self.used = 0;
        if self.held.len() > MAX_LINE {
            // Not a line of ours; `verify` reports it.
            self.held.clear();
        }
        let start = self.held.len();
        self.held.resize(start + CHUNK, 0);
        let read = place.read(self.held.get_mut(start..).unwrap_or_default());
        self.held.truncate(start + read.as_ref().copied().unwrap_or(0));
        let read = match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            read => read.map_err(Error::io("read", &segment::path_of(&self.folder, place.number)))?,
        };
        Ok(read > 0)
    }
}

/// How the lines begin that only the chain needs.
const OWN: [&[u8]; 2] = [HEAD, br#"{"v":1,"event":"segment""#];

/// Whether `line` tells of something: it is not one that only the chain needs.
pub fn is_told(line: &str) -> bool {
    tells(line.as_bytes())
}

fn tells(line: &[u8]) -> bool {
    !OWN.iter().any(|own| line.starts_with(own))
}

/// The place from which `count` lines that are told follow, counted back over the segments.
fn last_lines(folder: &Path, numbers: &[u32], count: usize) -> Result<Option<Place>, Error> {
    let mut wanted = count;
    for &number in numbers.iter().rev() {
        let mut source = segment::open_to_read(folder, number)?;
        let path = segment::path_of(folder, number);
        let found = match &source {
            Source::Plain(file) => count_back(file, &mut wanted),
            Source::Packed(_) => count_through(source, &mut wanted),
        };
        if let Some(offset) = found.map_err(Error::io("read", &path))? {
            source = segment::open_to_read(folder, number)?;
            if let Source::Packed(decoder) = &mut source {
                let skipped = io::copy(&mut decoder.take(offset), &mut io::sink());
                skipped.map_err(Error::io("read", &path))?;
            }
            return Ok(Some(Place { number, source, offset }));
        }
    }
    Ok(None)
}

/// The offset after the line end that comes before the last `wanted` lines; where there are fewer, `wanted` is what is missing.
fn count_back(file: &File, wanted: &mut usize) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; CHUNK];
    let mut end = file.metadata()?.len();
    // Where the line after the last line end met begins; what follows the very last is no line yet.
    let mut begin = None;
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let size = usize::try_from(end - start).unwrap_or(CHUNK);
        let Some(part) = chunk.get_mut(..size) else { break };
        file.read_exact_at(part, start)?;
        for at in memchr::memrchr_iter(b'\n', part) {
            let next = start + at as u64 + 1;
            if counts(file, next, begin)? {
                *wanted = wanted.saturating_sub(1);
            }
            begin = Some(next);
            if *wanted == 0 {
                return Ok(begin);
            }
        }
        end = start;
    }
    // The first line of the file has no line end before it.
    if counts(file, 0, begin)? {
        *wanted = wanted.saturating_sub(1);
    }
    Ok((*wanted == 0).then_some(0))
}

/// Whether there is a line between the two that is told.
fn counts(file: &File, from: u64, to: Option<u64>) -> io::Result<bool> {
    let to = to.unwrap_or(from);
    let mut beginning = [0; 32];
    let length = usize::try_from(to - from).unwrap_or(usize::MAX).min(beginning.len());
    let Some(beginning) = beginning.get_mut(..length).filter(|beginning| !beginning.is_empty()) else { return Ok(false) };
    file.read_exact_at(beginning, from)?;
    Ok(tells(beginning))
}

/// As [`count_back`], for what can only be read forward.
fn count_through(source: Source, wanted: &mut usize) -> io::Result<Option<u64>> {
    let mut lines = Lines::new(source);
    let mut begins = VecDeque::new();
    loop {
        let begin = lines.offset;
        match lines.next()? {
            Next::Line if tells(&lines.line) => begins.push_back(begin),
            Next::Line | Next::TooLong => {}
            Next::Torn | Next::End => break,
        }
        if begins.len() > *wanted {
            begins.pop_front();
        }
    }
    *wanted -= begins.len();
    Ok((*wanted == 0).then(|| begins.front().copied().unwrap_or(lines.offset)))
}
