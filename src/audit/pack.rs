//! Closed segments, packed: Zstandard (RFC 8878) in frames of their own, so that a line is read without what stands before it.
//!
//! A table of the frames ends the file, in a frame that other readers skip (zstd's "seekable format"); `zstdcat` gives the segment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::Error;
use super::segment::{packed_path_of, path_of};
use super::spool_file::{no_follow, sync_folder};
use super::turn::{Pace, Turn};

/// How much of a segment becomes one frame.
const FRAME: usize = 256 * 1024;
const LEVEL: i32 = 1;
/// Of the frame that holds the table (RFC 8878 §3.1.2).
const SKIPPABLE: u32 = 0x184D_2A5E;
/// Ends the table.
const SEEKABLE: u32 = 0x8F92_EAB1;
const FOOTER: usize = 9;
const ENTRY: usize = 8;
/// No segment of ours has more frames; a longer table isn't ours.
const MAX_FRAMES: u32 = 1024 * 1024;

/// Packs the closed segment `number`, then removes the plain file. Says how large the packed one is.
///
/// Whatever the policy of syncs is, the packed file is on the disk before the plain one goes.
pub(super) fn pack(folder: &Path, number: u32, pace: Pace<'_>) -> Result<u64, Error> {
    let (plain, packed) = (path_of(folder, number), packed_path_of(folder, number));
    let beside = packed.with_extension("zst.tmp");
    let source = OpenOptions::new().read(true).custom_flags(no_follow()).open(&plain).map_err(Error::io("open", &plain))?;
    let written = write(&source, &beside, pace);
    let size = written.inspect_err(|_failed| drop(fs::remove_file(&beside))).map_err(Error::io("pack", &plain))?;
    fs::rename(&beside, &packed).map_err(Error::io("rename", &beside))?;
    sync_folder(folder)?;
    fs::remove_file(&plain).map_err(Error::io("remove", &plain))?;
    Ok(size)
}

fn write(source: &File, beside: &Path, pace: Pace<'_>) -> io::Result<u64> {
    let mut to =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow()).open(beside)?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let mut frames = Vec::new();
    let mut held = Vec::with_capacity(2 * FRAME);
    let turn = Turn::begin(pace);
    loop {
        let read = source.take(FRAME as u64).read_to_end(&mut held)?;
        // A frame ends with a line, as long as there are any.
        let end = memchr::memrchr(b'\n', &held).filter(|_| read > 0).map_or(held.len(), |at| at + 1);
        let frame = compressor.compress(held.get(..end).unwrap_or_default())?;
        if end > 0 {
            to.write_all(&frame)?;
            frames.push((size(frame.len())?, size(end)?));
        }
        held.drain(..end);
        turn.long_step();
        if read == 0 {
            break;
        }
    }
    to.write_all(&table(&frames)?)?;
    to.sync_all()?;
    to.stream_position()
}

fn size(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(io::Error::other)
}

fn table(frames: &[(u32, u32)]) -> io::Result<Vec<u8>> {
    let mut table = SKIPPABLE.to_le_bytes().to_vec();
    table.extend_from_slice(&size(frames.len() * ENTRY + FOOTER)?.to_le_bytes());
    for (packed, plain) in frames {
        table.extend_from_slice(&packed.to_le_bytes());
        table.extend_from_slice(&plain.to_le_bytes());
    }
    table.extend_from_slice(&size(frames.len())?.to_le_bytes());
    // No checksums: each frame has its own.
    table.push(0);
    table.extend_from_slice(&SEEKABLE.to_le_bytes());
    Ok(table)
}

/// A packed segment, to be read here and there.
#[derive(Debug)]
pub(super) struct Packed {
    file: File,
    frames: Vec<Frame>,
    /// The frame that was read last, and what it holds.
    held: Option<(usize, Vec<u8>)>,
}

/// Where a frame begins, packed and plain, and how long it is.
#[derive(Debug, Clone, Copy)]
struct Frame {
    at: u64,
    length: u32,
    plain_at: u64,
    plain: u32,
}

impl Packed {
    /// Reads the table at the end of `file`; `None` where there is none.
    pub(super) fn open(mut file: File) -> io::Result<Option<Self>> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut footer = [0; FOOTER];
        let Some(at) = length.checked_sub(FOOTER as u64) else { return Ok(None) };
        file.read_exact_at(&mut footer, at)?;
        let [a, b, c, d, descriptor, magic @ ..] = footer;
        let count = u32::from_le_bytes([a, b, c, d]);
        let entries = u64::from(count) * ENTRY as u64;
        let Some(start) = at.checked_sub(entries).filter(|_| count <= MAX_FRAMES && descriptor == 0) else { return Ok(None) };
        if u32::from_le_bytes(magic) != SEEKABLE {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(entries).unwrap_or_default()];
        file.read_exact_at(&mut bytes, start)?;
        Ok(Some(Self { file, frames: frames(&bytes), held: None }))
    }

    /// The line that begins at `offset` of the plain segment, without its end; `None` where no line does.
    pub(super) fn line_at(&mut self, offset: u64) -> io::Result<Option<&[u8]>> {
        let after = self.frames.partition_point(|frame| frame.plain_at <= offset);
        let Some((index, frame)) = after.checked_sub(1).and_then(|index| Some((index, *self.frames.get(index)?))) else {
            return Ok(None);
        };
        if self.held.as_ref().is_none_or(|(held, _)| *held != index) {
            self.held = Some((index, self.unpack(frame)?));
        }
        let held = self.held.as_ref().map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
        let rest = usize::try_from(offset - frame.plain_at).ok().and_then(|at| held.get(at..)).unwrap_or_default();
        Ok(memchr::memchr(b'\n', rest).and_then(|end| rest.get(..end)))
    }

    fn unpack(&self, frame: Frame) -> io::Result<Vec<u8>> {
        // A table that lies costs no more than a frame of ours.
        if frame.plain as usize > 2 * FRAME || frame.length as usize > 4 * FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut packed = vec![0; frame.length as usize];
        self.file.read_exact_at(&mut packed, frame.at)?;
        zstd::bulk::decompress(&packed, frame.plain as usize)
    }
}

fn frames(table: &[u8]) -> Vec<Frame> {
    let (mut at, mut plain_at) = (0_u64, 0_u64);
    let entries = table.as_chunks::<ENTRY>().0.iter().map(|[a, b, c, d, e, f, g, h]| {
        let (length, plain) = (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]));
        let frame = Frame { at, length, plain_at, plain };
        (at, plain_at) = (at + u64::from(length), plain_at + u64::from(plain));
        frame
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(text: &[u8]) -> (tempfile::TempDir, Packed) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(path_of(folder.path(), 1), text).expect("written");
        let size = pack(folder.path(), 1, Pace::Brisk).expect("packed");
        assert!(!path_of(folder.path(), 1).exists());
        let path = packed_path_of(folder.path(), 1);
        assert_eq!(fs::metadata(&path).expect("there").len(), size);
        assert_eq!(zstd::decode_all(File::open(&path).expect("open")).expect("whole"), text, "to every other reader");
        let read = Packed::open(File::open(&path).expect("open")).expect("read").expect("a table");
        (folder, read)
    }

    #[test]
    fn every_line_is_found_where_it_was() {
        let lines: Vec<String> =
            (0..30_000).map(|number| format!("{{\"n\":{number},\"x\":\"{}\"}}", "y".repeat(number % 60))).collect();
        let (_folder, mut read) = packed((lines.join("\n") + "\n").as_bytes());
        assert!(read.frames.len() > 3);
        let mut offset = 0;
        for line in &lines {
            assert_eq!(read.line_at(offset).expect("read"), Some(line.as_bytes()));
            offset += line.len() as u64 + 1;
        }
        assert_eq!(read.line_at(offset).expect("read"), None);
        assert_eq!(read.line_at(7).expect("read"), lines[0].get(7..).map(str::as_bytes), "a place is taken as it is");
    }

    #[test]
    fn odd_segments_are_packed_too() {
        for text in ["", "no end", "\n", "a\nno end"] {
            packed(text.as_bytes());
        }
        let (_folder, mut read) = packed(&vec![b'x'; 3 * FRAME]);
        assert_eq!(read.line_at(0).expect("read"), None);
    }

    #[test]
    fn i7_a_table_that_lies_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        for text in [table(&[(u32::MAX, u32::MAX)]).expect("a table"), vec![0xff; 9], b"short".to_vec()] {
            fs::write(&path, text).expect("written");
            if let Some(mut read) = Packed::open(File::open(&path).expect("open")).expect("read") {
                assert!(read.line_at(0).is_err());
            }
        }
    }
}
