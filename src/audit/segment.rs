//! `Segment`: one file of the chained log, `00000001.jsonl` and on, written by whoever holds the chain. A closed one may be packed.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::spool_file::no_follow;

/// The longest line a reader takes; the rest of a longer one is passed over. No line of ours comes near.
pub(super) const MAX_LINE: usize = 1024 * 1024;
const SUFFIX: &str = ".jsonl";
const PACKED: &str = ".jsonl.zst";

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    pub(super) length: u64,
    file: File,
    /// Whether a failed write may have left something past `length`.
    ragged: bool,
}

impl Segment {
    /// Opens or makes segment `number`.
    pub(super) fn open(folder: &Path, number: u32) -> Result<Self, Error> {
        let path = path_of(folder, number);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(no_follow())
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let length = file.metadata().map_err(Error::io("examine", &path))?.len();
        Ok(Self { number, path, length, file, ragged: false })
    }

    /// Appends whole lines; where that fails, none of them.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), Error> {
        self.cut(self.length)?;
        self.ragged = true;
        if let Err(cause) = self.file.write_all(lines) {
            self.cut(self.length)?;
            return Err(Error::io("write", &self.path)(cause));
        }
        self.ragged = false;
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Takes off what follows `length` if a write failed.
    fn cut(&mut self, length: u64) -> Result<(), Error> {
        if self.ragged {
            self.truncate(length)?;
        }
        Ok(())
    }

    /// Takes off what follows `length`: the part of a line whose writer died.
    pub(super) fn truncate(&mut self, length: u64) -> Result<(), Error> {
        self.file.set_len(length).map_err(Error::io("shorten", &self.path))?;
        (self.length, self.ragged) = (length, false);
        Ok(())
    }

    /// Forces it to the disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }
}

/// The path of segment `number`, unless it is packed.
pub(super) fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}{SUFFIX}"))
}

/// The path of segment `number` once it is packed.
pub(super) fn packed_path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}{PACKED}"))
}

/// The numbers of all segments in `folder`, in order; none where there is no folder.
pub(super) fn numbers(folder: &Path) -> Result<Vec<u32>, Error> {
    let mut numbers: Vec<u32> = listed(folder)?.into_iter().map(|(number, _packed)| number).collect();
    numbers.dedup();
    Ok(numbers)
}

/// The files of all segments in `folder`, in order, each with whether it is the packed one.
pub(super) fn listed(folder: &Path) -> Result<Vec<(u32, bool)>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("list", folder)(cause)),
    };
    let mut found: Vec<_> = entries.flatten().filter_map(|entry| numbered(entry.file_name().to_str()?)).collect();
    found.sort_unstable();
    Ok(found)
}

fn numbered(name: &str) -> Option<(u32, bool)> {
    let (digits, packed) = match name.strip_suffix(PACKED) {
        Some(digits) => (digits, true),
        None => (name.strip_suffix(SUFFIX)?, false),
    };
    let plain = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| plain)?, packed))
}

/// Opens segment `number` to read it.
pub(super) fn open_to_read(folder: &Path, number: u32) -> Result<Source, Error> {
    let (plain, packed) = (path_of(folder, number), packed_path_of(folder, number));
    let open = |path: &Path| OpenOptions::new().read(true).custom_flags(no_follow()).open(path);
    // In this order: the plain file goes only after the packed one has come.
    match open(&plain) {
        Ok(file) => return Ok(Source::Plain(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(Error::io("open", &plain)(cause)),
    }
    let file = match open(&packed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::io("open", &plain)(error)),
        opened => opened.map_err(Error::io("open", &packed))?,
    };
    zstd::Decoder::new(file).map(|decoder| Source::Packed(Box::new(decoder))).map_err(Error::io("unpack", &packed))
}

/// A segment's bytes, as they were before it was packed.
pub(super) enum Source {
    Plain(File),
    Packed(Box<zstd::Decoder<'static, BufReader<File>>>),
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(into),
            Self::Packed(decoder) => decoder.read(into),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Packed(_) => "Packed",
        })
    }
}

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A whole line, without its end.
    Line,
    /// A line that is longer than any of ours.
    TooLong,
    /// A line without an end, at the end of the file.
    Torn,
    /// Nothing.
    End,
}

/// Reads a segment line by line, in bounded memory.
#[derive(Debug)]
pub(super) struct Lines {
    reader: BufReader<Source>,
    /// The line that was read.
    pub(super) line: Vec<u8>,
    /// Where the last whole line ended.
    pub(super) offset: u64,
}

impl Lines {
    pub(super) fn new(source: Source) -> Self {
        Self { reader: BufReader::with_capacity(128 * 1024, source), line: Vec::new(), offset: 0 }
    }

    /// Passes over what stands before `offset`, which is where a line begins. Nothing may have been read yet.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        if let Source::Plain(file) = self.reader.get_mut() {
            file.seek(SeekFrom::Start(offset))?;
        } else {
            io::copy(&mut (&mut self.reader).take(offset), &mut io::sink())?;
        }
        self.offset = offset;
        Ok(())
    }

    /// Reads on.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        self.line.clear();
        let read = (&mut self.reader).take(MAX_LINE as u64).read_until(b'\n', &mut self.line)?;
        if self.line.pop_if(|byte| *byte == b'\n').is_some() {
            self.offset += read as u64;
            return Ok(Next::Line);
        }
        if read < MAX_LINE {
            return Ok(if read == 0 { Next::End } else { Next::Torn });
        }
        let mut skipped = read as u64;
        loop {
            let held = self.reader.fill_buf()?;
            let (end, used) = memchr::memchr(b'\n', held).map_or((held.is_empty(), held.len()), |at| (true, at + 1));
            let torn = held.is_empty();
            self.reader.consume(used);
            skipped += used as u64;
            if end {
                self.offset += if torn { 0 } else { skipped };
                return Ok(if torn { Next::Torn } else { Next::TooLong });
            }
        }
    }
}
