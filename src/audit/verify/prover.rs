//! `Prover`: proves a log again and again, and reads what did not change but once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::walk::{State, Told, Walk};
use super::{Against, Signed, Verified};
use crate::audit::error::Error;
use crate::audit::head::Head;
use crate::audit::segment;
use crate::audit::taken::Taken;
use crate::audit::trailer::Link;

/// So often it is begun anew where a segment was given up meanwhile.
const AGAIN: usize = 3;

/// Remembers the closed segments that it has read. One whose file is the same, unchanged by the system's word, and that follows what it
/// followed then, is not read another time.
#[derive(Debug, Default)]
pub struct Prover {
    against: Against,
    known: BTreeMap<u32, Known>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Segments that are done.
    pub segments: usize,
    /// Of so many.
    pub of: usize,
    /// Lines in them.
    pub lines: u64,
}

/// A closed segment that was read.
#[derive(Debug)]
struct Known {
    file: Stamp,
    before: State,
    after: State,
    told: Told,
}

/// What the system says of a file. Whoever writes to it changes the time of the last change, which no program can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Prover {
    /// Of a log that is held against `against`.
    pub fn new(against: Against) -> Self {
        Self { against, known: BTreeMap::new() }
    }

    /// Forgets what it has read, so that all is read again.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Proves the log in `folder`. `progress` is told after each segment, and says whether to go on.
    ///
    /// # Errors
    /// As [`verify`](super::verify), and [`Error::Stopped`] where it was not to go on.
    pub fn prove(&mut self, folder: &Path, mut progress: impl FnMut(Progress) -> bool) -> Result<Verified, Error> {
        let mut again = 0;
        loop {
            match self.attempt(folder, &mut progress) {
                // What is not kept any longer is none of the segments when they are listed anew.
                Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound && again < AGAIN => again += 1,
                done => return done,
            }
        }
    }

    fn attempt(&mut self, folder: &Path, progress: &mut impl FnMut(Progress) -> bool) -> Result<Verified, Error> {
        let numbers = segment::numbers(folder)?;
        self.known.retain(|number, _| numbers.contains(number));
        let mut walk = Walk::new(&self.against, Taken::of(folder));
        let mut read = 0;
        for (index, &number) in numbers.iter().enumerate() {
            if numbers.first().is_some_and(|&first| u64::from(first) + index as u64 != u64::from(number)) {
                return Err(Error::Broken { segment: number, line: 1, what: "the segment before it is missing" });
            }
            walk.close()?;
            let last = index + 1 == numbers.len();
            read += usize::from(step(&mut self.known, &mut walk, (folder, number), last)?);
            if !progress(Progress { segments: index + 1, of: numbers.len(), lines: walk.all.lines }) {
                return Err(Error::Stopped);
            }
        }
        walk.end(numbers.first().copied())?;
        let end = walk.state.expected.unwrap_or(Link::FIRST);
        Ok(Verified {
            segments: numbers.len(),
            read,
            lines: walk.all.lines,
            first: walk.all.first.unwrap_or(0),
            last: end.seq - 1,
            head: Head::before(end),
            signed: walk.state.signed.map(|(line, time)| Signed { line, time, after: end.seq.saturating_sub(line + 1) }),
            given_up: numbers.first().filter(|&&first| first > 1).map(|_| !self.against.keys.is_empty()),
            carried: walk.all.carried,
            torn: walk.torn,
            waiting: walk.taken.waiting(folder),
        })
    }
}

/// Goes past one segment; says whether it had to be read.
fn step(
    known: &mut BTreeMap<u32, Known>,
    walk: &mut Walk<'_>,
    (folder, number): (&Path, u32),
    last: bool,
) -> Result<bool, Error> {
    let file = Stamp::of(folder, number).filter(|_| !last);
    if let Some(found) = known.get(&number)
        && Some(found.file) == file
        && found.before == walk.state
        && walk.is_certain()
    {
        walk.skip(number, (&found.after, &found.told));
        return Ok(false);
    }
    known.remove(&number);
    let before = walk.state.clone();
    let told = walk.segment(folder, number)?;
    let file = file.filter(|file| Stamp::of(folder, number) == Some(*file) && walk.is_certain());
    known.extend(file.map(|file| (number, Known { file, before, after: walk.state.clone(), told })));
    Ok(true)
}

impl Stamp {
    /// Of the file that segment `number` would be read from.
    fn of(folder: &Path, number: u32) -> Option<Self> {
        let about = fs::symlink_metadata(segment::path_of(folder, number));
        let about = about.or_else(|_packed| fs::symlink_metadata(segment::packed_path_of(folder, number))).ok()?;
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            written: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}
