//! Lines that the index names, read from their segments.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::audit::error::Error;
use crate::audit::pack::Packed;
use crate::audit::segment::{self, MAX_LINE, Source};

/// Segments that are open at a time: places come by time, and so do segments.
const OPEN: usize = 4;

/// Reads lines here and there in the segments of one log.
#[derive(Debug)]
pub(super) struct Reader {
    folder: PathBuf,
    /// `None` for one that isn't kept any longer.
    open: HashMap<u32, Option<LineAt>>,
}

impl Reader {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: HashMap::new() }
    }

    /// The line at `offset` of segment `number`, without its end; `None` where there is none, or the segment isn't kept any longer.
    pub(super) fn line(&mut self, (number, offset): (u32, u64)) -> Result<Option<Vec<u8>>, Error> {
        if !self.open.contains_key(&number) {
            if self.open.len() >= OPEN {
                let furthest = self.open.keys().copied().max_by_key(|held| held.abs_diff(number));
                furthest.and_then(|held| self.open.remove(&held));
            }
            self.open.insert(number, found(LineAt::open(&self.folder, number))?);
        }
        let Some(Some(segment)) = self.open.get_mut(&number) else { return Ok(None) };
        segment.read(offset)
    }

    /// The lines at `places`, in the order of those; read as they lie in the segments, since what is packed is unpacked piece by piece.
    pub(super) fn lines(&mut self, places: &[(u32, u64)]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_unstable_by_key(|&index| places.get(index).copied());
        let mut lines = vec![None; places.len()];
        for index in order {
            if let (Some(&place), Some(line)) = (places.get(index), lines.get_mut(index)) {
                *line = self.line(place)?;
            }
        }
        Ok(lines)
    }
}

fn found(opened: Result<LineAt, Error>) -> Result<Option<LineAt>, Error> {
    match opened {
        Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// A segment of which single lines are read.
#[derive(Debug)]
pub(super) struct LineAt {
    folder: PathBuf,
    number: u32,
    from: From,
}

#[derive(Debug)]
enum From {
    Plain(BufReader<File>),
    Packed(Packed),
}

impl LineAt {
    pub(super) fn open(folder: &Path, number: u32) -> Result<Self, Error> {
        let from = match segment::open_to_read(folder, number)? {
            Source::Plain(file) => From::Plain(BufReader::new(file)),
            Source::Packed(decoder) => {
                let packed = Packed::open(decoder.finish().into_inner());
                let path = segment::packed_path_of(folder, number);
                let packed = packed.map_err(Error::io("read", &path))?;
                let odd = || Error::io("look into", &path)(io::Error::from(io::ErrorKind::InvalidData));
                From::Packed(packed.ok_or_else(odd)?)
            }
        };
        Ok(Self { folder: folder.to_owned(), number, from })
    }

    /// The line that begins at `offset`, without its end.
    pub(super) fn read(&mut self, offset: u64) -> Result<Option<Vec<u8>>, Error> {
        let read = match &mut self.from {
            From::Plain(file) => plain_line(file, offset),
            From::Packed(packed) => packed.line_at(offset).map(|line| line.map(<[u8]>::to_vec)),
        };
        read.map_err(Error::io("read", &segment::path_of(&self.folder, self.number)))
    }
}

fn plain_line(file: &mut BufReader<File>, offset: u64) -> io::Result<Option<Vec<u8>>> {
    // What is read ahead is kept where the next line stands in it.
    let distance = file.stream_position().ok().and_then(|at| i64::try_from(offset).ok()?.checked_sub(i64::try_from(at).ok()?));
    match distance {
        Some(distance) => file.seek_relative(distance)?,
        None => drop(file.seek(SeekFrom::Start(offset))?),
    }
    let mut line = Vec::new();
    file.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    Ok(line.pop_if(|byte| *byte == b'\n').map(|_| line))
}
