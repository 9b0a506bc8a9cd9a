//! `SpoolFile`: append-only files of one writer, each followed by a new one when it has grown, locked while the writer lives.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::error::Error;
use super::settings::{Fsync, Settings};

/// Ends a line of which only a part could be written: readers take it for torn. It occurs in no line.
pub(super) const CANCEL: u8 = 0x18;
/// How long a full spool isn't measured again.
const FULL_FOR: Duration = Duration::from_millis(100);
/// How many names are tried for a new file.
const ATTEMPTS: u32 = 16;
const SUFFIX: &str = ".spool";

/// Why lines were not written, and how many bytes of them were.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) written: usize,
    pub(super) error: Error,
}

/// The files of one writer; the last of them is open.
#[derive(Debug)]
pub(super) struct SpoolFile {
    folder: PathBuf,
    owner: String,
    part: u32,
    file: Arc<File>,
    length: u64,
    torn: bool,
    full: Option<(Instant, u64)>,
    file_bytes: u64,
    bound: u64,
    fsync: Fsync,
}

impl SpoolFile {
    /// Makes the first file of writer number `worker` of the process `run`.
    pub(super) fn create(settings: &Settings, run: u64, worker: u32) -> Result<Self, Error> {
        let (folder, owner) = (settings.spools(), format!("{run:016x}-{worker:04}"));
        let (file, part) = create_locked(&folder, &owner, 1, settings.fsync)?;
        let (file_bytes, bound, fsync) = (settings.spool_file_bytes, settings.spool_bytes, settings.fsync);
        Ok(Self { folder, owner, part, file, length: 0, torn: false, full: None, file_bytes, bound, fsync })
    }

    /// Appends whole lines with one `write(2)`, more only where the system takes less than all of it.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), Failed> {
        self.make_room().map_err(|error| Failed { written: 0, error })?;
        if self.torn {
            let (written, result) = write_counted(&self.file, &[CANCEL, b'\n']);
            self.torn = written < 2;
            self.length += written as u64;
            result.map_err(|cause| self.failed(0, cause))?;
        }
        let (written, result) = write_counted(&self.file, lines);
        self.length += written as u64;
        result.map_err(|cause| {
            self.torn = lines.get(..written).and_then(<[u8]>::last).is_some_and(|&byte| byte != b'\n');
            self.failed(written, cause)
        })
    }

    /// The open file, for one who syncs it elsewhere.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Its path, for errors.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(file_name(&self.owner, self.part))
    }

    /// Starts a new file when this one has grown, unless all spools together have reached their bound.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.length < self.file_bytes {
            return Ok(());
        }
        if let Some((since, held)) = self.full
            && since.elapsed() < FULL_FOR
        {
            return Err(Error::Full { held, bound: self.bound });
        }
        let held = held_bytes(&self.folder)?;
        self.full = (held >= self.bound).then(|| (Instant::now(), held));
        if self.full.is_some() {
            return Err(Error::Full { held, bound: self.bound });
        }
        let (file, part) = create_locked(&self.folder, &self.owner, self.part + 1, self.fsync)?;
        (self.file, self.part, self.length, self.torn) = (file, part, 0, false);
        Ok(())
    }

    fn failed(&self, written: usize, cause: io::Error) -> Failed {
        Failed { written, error: Error::io("write", &self.path())(cause) }
    }
}

/// Writes until all is written or the system fails; says how much was written.
fn write_counted(mut file: &File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// The name of a spool without its suffix; names sort by writer, then by age.
pub(super) fn id_of(name: &str) -> Option<&str> {
    let id = name.strip_suffix(SUFFIX)?;
    let plain = (1..=48).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    plain.then_some(id)
}

/// The path of the spool called `id`.
pub(super) fn path_of(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}{SUFFIX}"))
}

fn file_name(owner: &str, part: u32) -> String {
    format!("{owner}-{part:08}{SUFFIX}")
}

/// Makes and locks a new file. Whoever chains may lock and remove it in between, taking it for a dead process's: then the next.
fn create_locked(folder: &Path, owner: &str, from: u32, fsync: Fsync) -> Result<(Arc<File>, u32), Error> {
    let mut part = from;
    loop {
        let path = folder.join(file_name(owner, part));
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(no_follow())
            .open(&path)
            .map_err(Error::io("create", &path))?;
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked.is_ok() && file.metadata().map_err(Error::io("examine", &path))?.nlink() > 0 {
            if fsync == Fsync::Always {
                sync_folder(folder)?;
            }
            return Ok((Arc::new(file), part));
        }
        if part - from == ATTEMPTS {
            locked.map_err(Error::io("lock", &path))?;
            return Err(Error::io("keep", &path)(io::Error::from(io::ErrorKind::NotFound)));
        }
        part += 1;
    }
}

/// Makes new and vanished names in `folder` survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
}

/// `O_NOFOLLOW` as the standard library takes it.
pub(super) fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default()
}

fn held_bytes(folder: &Path) -> Result<u64, Error> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    Ok(entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum())
}
