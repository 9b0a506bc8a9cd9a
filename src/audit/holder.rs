//! `Holder`: the one that chains, and what it knows.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Instant, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::clock::Clock;
use super::error::Error;
use super::line;
use super::log::Bell;
use super::recover::{Recovered, recover};
use super::segment::Segment;
use super::settings::{Fsync, Settings};
use super::shelf::Shelf;
use super::spool_file::{CANCEL, id_of, no_follow, path_of, sync_folder};
use super::trailer::Link;
use super::turn::{Pace, Turn};

/// How much of a spool is taken at once; a line that is longer isn't ours.
const CHUNK: usize = 64 * 1024;
/// Where a round takes so much, some thousand requests a second go through: what can wait, waits.
const HURRY: u64 = 256 * 1024;
/// Where it takes more than this, or an eighth of what the spools may hold, they grow faster than they are taken at a calm pace.
const BEHIND: u64 = 64 * 1024 * 1024;
/// How much of a file that goes is given back at once: some thousand pages take as long as a hundred requests.
const CUT: u64 = 512 * 1024;

/// Holds the chain: its lock, where it stands, and the spools it takes from.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) settings: Settings,
    /// How the names of this process's spools begin.
    own: String,
    /// Locked as long as this lives.
    _lock: File,
    pub(super) segment: Segment,
    /// When the segment was begun.
    pub(super) begun: SystemTime,
    /// How many lines the segment has; the first is its header.
    pub(super) lines: u64,
    pub(super) shelf: Shelf,
    pub(super) link: Link,
    /// The number of the line after the last head.
    pub(super) signed: u64,
    /// The first line that a process before left without a head, as long as that isn't told.
    pub(super) unsigned: Option<u64>,
    /// What is taken now was left by others, who are gone.
    pub(super) inheriting: bool,
    /// What they left is still to be looked at.
    new: bool,
    pub(super) head_due: Instant,
    /// Since when there is something that a power cut would lose.
    pub(super) unsynced: Option<Instant>,
    /// How far each spool is chained.
    pub(super) offsets: HashMap<String, u64>,
    /// The spools that are open.
    sources: HashMap<String, File>,
    pub(super) clock: Clock,
    /// How many bytes this round took.
    taken: u64,
    /// Many requests went through while it did.
    calm: bool,
    chunk: Vec<u8>,
    pub(super) out: Vec<u8>,
}

impl Holder {
    /// Takes the chain, unless another process has it.
    pub(super) fn claim(settings: &Settings, own: &str) -> Result<Option<Self>, Error> {
        let path = settings.folder.join("chain.lock");
        let lock = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(no_follow())
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(cause) => return Err(Error::io("lock", &path)(cause)),
        }
        let Recovered { segment, begun, lines, link, mut offsets, unsigned } = recover(settings)?;
        let spools = settings.spools();
        offsets.retain(|id, _| path_of(&spools, id).try_exists().unwrap_or(true));
        let begun = begun.unwrap_or_else(SystemTime::now);
        Ok(Some(Self {
            settings: settings.clone(),
            own: own.to_owned(),
            _lock: lock,
            shelf: Shelf::read(&settings.folder, segment.number, begun)?,
            segment,
            begun,
            lines,
            link,
            // What a dead process left has no head of its own.
            signed: 0,
            unsigned,
            inheriting: false,
            new: true,
            head_due: Instant::now(),
            unsynced: None,
            offsets,
            sources: HashMap::new(),
            clock: Clock::new(),
            taken: 0,
            calm: false,
            chunk: vec![0; CHUNK],
            out: Vec::with_capacity(2 * CHUNK),
        }))
    }

    /// Takes what every spool holds, older files of a writer before newer ones.
    pub(super) fn round(&mut self, bell: &Bell) -> Result<bool, Error> {
        if self.new {
            self.take_over()?;
            self.new = false;
        }
        self.taken = 0;
        let busy = self.gather(&Turn::begin(self.pace(bell)), |_, _, _| true)?;
        self.calm = (HURRY..self.behind()).contains(&self.taken);
        Ok(self.keep_house(self.taken >= HURRY, self.pace(bell))? | busy)
    }

    /// How to go about what can wait, until `bell` stops.
    pub(super) fn pace<'a>(&self, bell: &'a Bell) -> Pace<'a> {
        if self.calm { Pace::Calm(bell) } else { Pace::Brisk }
    }

    fn behind(&self) -> u64 {
        BEHIND.min(self.settings.spool_bytes / 8)
    }

    /// Takes what those spools hold that are `wanted`; says whether there was anything.
    pub(super) fn gather(&mut self, turn: &Turn<'_>, wanted: fn(&Self, &str, &File) -> bool) -> Result<bool, Error> {
        let folder = self.settings.spools();
        let entries = fs::read_dir(&folder).map_err(Error::io("list", &folder))?;
        let mut ids: Vec<String> =
            entries.flatten().filter_map(|entry| Some(id_of(entry.file_name().to_str()?)?.to_owned())).collect();
        ids.sort_unstable();
        self.sources.retain(|id, _| ids.binary_search(id).is_ok());
        let mut busy = false;
        for id in ids {
            let Some(source) = self.source(&id)? else { continue };
            if !wanted(self, &id, &source) {
                self.sources.insert(id, source);
                continue;
            }
            let drained = self.drain(&id, &source, turn);
            let over = drained.as_ref().is_ok_and(|drained| drained.over);
            self.sources.insert(id.clone(), source);
            busy |= drained?.any;
            if over {
                self.remove(&id, turn)?;
            }
        }
        Ok(busy)
    }

    /// Whether the writer of spool `id` was another process, which is gone.
    pub(super) fn is_left(&self, id: &str, source: &File) -> bool {
        !id.starts_with(&self.own) && flock(source, FlockOperation::NonBlockingLockExclusive).is_ok()
    }

    /// Whether there are other processes' spools.
    pub(super) fn serves_others(&self) -> bool {
        self.sources.keys().any(|id| !id.starts_with(&self.own))
    }

    /// The open spool `id`; none if it is gone or not a plain file of ours.
    fn source(&mut self, id: &str) -> Result<Option<File>, Error> {
        if let Some(source) = self.sources.remove(id) {
            return Ok(Some(source));
        }
        let path = path_of(&self.settings.spools(), id);
        match OpenOptions::new().read(true).custom_flags(no_follow()).open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Ok(None),
            Err(cause) => Err(Error::io("open", &path)(cause)),
        }
    }

    /// Takes all that `source` holds now.
    fn drain(&mut self, id: &str, source: &File, turn: &Turn<'_>) -> Result<Drained, Error> {
        let path = path_of(&self.settings.spools(), id);
        // Asked before the length: what a dead writer wrote is all there.
        let over = flock(source, FlockOperation::NonBlockingLockExclusive).is_ok();
        let length = source.metadata().map_err(Error::io("examine", &path))?.len();
        let start = self.offset(id);
        while self.offset(id) < length {
            if self.taken >= self.behind() {
                turn.hurry();
            }
            let mut chunk = std::mem::take(&mut self.chunk);
            let read = source.read_at(&mut chunk, self.offset(id)).map_err(Error::io("read", &path));
            let taken = read.and_then(|read| self.take(id, chunk.get(..read).unwrap_or_default(), (over, turn)));
            self.chunk = chunk;
            if !taken? {
                break;
            }
        }
        Ok(Drained { any: self.offset(id) > start, over })
    }

    fn offset(&self, id: &str) -> u64 {
        self.offsets.get(id).copied().unwrap_or(0)
    }

    /// Chains the whole lines of `chunk`, which comes next in the spool, and what else there is if it can't become a line any
    /// more. Says whether there was anything; where it fails, nothing is taken.
    fn take(&mut self, id: &str, chunk: &[u8], (over, turn): (bool, &Turn<'_>)) -> Result<bool, Error> {
        let whole = memchr::memrchr(b'\n', chunk).map_or(0, |end| end + 1);
        let hopeless = whole == 0 && (chunk.len() == CHUNK || over);
        let whole = if hopeless { chunk.len() } else { whole };
        let Some(lines) = chunk.get(..whole).filter(|lines| !lines.is_empty()) else { return Ok(false) };
        if self.segment.length == 0 || self.segment.length >= self.settings.segment_bytes {
            self.next_segment()?;
        }
        if self.inheriting {
            self.unsigned.get_or_insert(self.link.seq);
        }
        let before = self.link;
        self.out.clear();
        let mut end = self.offset(id);
        // What this process wrote ends with a brace or is cancelled; only what others left can be torn otherwise, by a power cut.
        let whole_line: fn(&[u8]) -> bool = if id.starts_with(&self.own) { |_| true } else { is_object };
        let last = (!lines.ends_with(b"\n")).then_some(lines.len());
        let mut start = 0;
        for stop in memchr::memchr_iter(b'\n', lines).map(|at| at + 1).chain(last) {
            let line = lines.get(start..stop).unwrap_or_default();
            end += line.len() as u64;
            self.link(id, end, line, whole_line);
            start = stop;
            turn.step();
        }
        let written = self.segment.append(&self.out).and_then(|()| match self.settings.fsync {
            Fsync::Always => self.segment.sync(),
            Fsync::Never | Fsync::Interval => Ok(()),
        });
        if let Err(error) = written {
            self.link = before;
            return Err(error);
        }
        self.unsynced.get_or_insert_with(Instant::now);
        self.lines += self.link.seq - before.seq;
        self.taken += lines.len() as u64;
        self.offsets.insert(id.to_owned(), end);
        Ok(true)
    }

    /// Links one line; what is not a line of ours is told as `torn`.
    fn link(&mut self, id: &str, end: u64, line: &[u8], whole: fn(&[u8]) -> bool) {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if line.ends_with(b"}\n") && whole(text) {
            return self.link.append(&mut self.out, text, id, end);
        }
        let text = text.strip_suffix(&[CANCEL]).unwrap_or(text);
        let shown = String::from_utf8_lossy(text.get(..text.len().min(512)).unwrap_or_default());
        let mut torn = Vec::new();
        line::write_event(&mut torn, "torn", &[("bytes", &text.len().to_string()), ("text", &shown)], &mut self.clock);
        self.link.append(&mut self.out, torn.trim_ascii_end(), id, end);
    }

    /// Removes a spool file that is chained to its end.
    fn remove(&mut self, id: &str, turn: &Turn<'_>) -> Result<(), Error> {
        if self.settings.fsync != Fsync::Never {
            self.sync()?;
        }
        let path = path_of(&self.settings.spools(), id);
        if let Some(source) = self.sources.get(id)
            && let Err(error) = cut(&path, source, turn)
        {
            tracing::debug!(%error, "a spool of the audit log goes in one piece");
        }
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        self.sources.remove(id);
        if self.settings.fsync != Fsync::Never {
            // Before the offset is forgotten, lest a power cut bring the file back.
            sync_folder(&self.settings.spools())?;
        }
        self.offsets.remove(id);
        Ok(())
    }
}

/// What came of a spool.
struct Drained {
    any: bool,
    /// Its writer is gone.
    over: bool,
}

/// Gives the pages of the file at `path` back a few at a time, if it is the one that is open as `source` and nobody has it by another name.
fn cut(path: &Path, source: &File, turn: &Turn<'_>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).custom_flags(no_follow()).open(path)?;
    let (found, known) = (file.metadata()?, source.metadata()?);
    if (found.dev(), found.ino(), found.nlink()) != (known.dev(), known.ino(), 1) {
        return Ok(());
    }
    let mut length = found.len();
    while let Some(left @ 1..) = length.checked_sub(CUT) {
        file.set_len(left)?;
        length = left;
        turn.long_step();
    }
    Ok(())
}

/// Whether `text` is one JSON object, so that a line torn by a power cut can't break those after it.
fn is_object(text: &[u8]) -> bool {
    text.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_file_itself_is_shortened_and_only_where_it_has_no_other_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        let turn = Turn::begin(Pace::Brisk);
        let length = || fs::metadata(&path).expect("there").len();
        fs::write(&path, vec![0; 5 * CUT as usize / 2]).expect("written");
        let source = File::open(&path).expect("open");
        fs::hard_link(&path, &other).expect("a link");
        cut(&path, &source, &turn).expect("looked at");
        assert_eq!(length(), 5 * CUT / 2, "somebody keeps it");
        fs::remove_file(&other).expect("removed");
        cut(&path, &source, &turn).expect("cut");
        assert_eq!(length(), CUT / 2);
        fs::rename(&path, &other).expect("renamed");
        fs::write(&path, vec![0; 2 * CUT as usize]).expect("written");
        cut(&path, &source, &turn).expect("looked at");
        assert_eq!(length(), 2 * CUT, "another file");
    }
}
