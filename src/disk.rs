//! Private files: read with suspicion, replaced in one step, written by one at a time. Floor 0.
//!
//! A *private* file is a regular file of our own user that nobody else may read, with one name, in a folder where nobody else can
//! put another in its place. Everything here blocks; an async caller moves to a blocking thread first.

mod lock;
mod stamp;

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

pub use lock::Lock;
pub use stamp::{Stamp, stamp};

/// Permission bits of a private file.
pub const PRIVATE: u32 = 0o600;
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system said no.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A symbolic link can lead anywhere, and elsewhere the next moment.
    #[error("{} is a symbolic link; put the file itself there", .0.display())]
    Symlink(PathBuf),
    /// A folder, pipe, socket or device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Not a folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// Group or others have permissions.
    #[error("{} is open to other users (mode {mode:03o}); run chmod 600 on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else's.
    #[error("{} belongs to another user", .0.display())]
    ForeignOwner(PathBuf),
    /// The same file has a second name somewhere.
    #[error("{} has a second name (a hard link); copy it, then put the copy in its place", .0.display())]
    Linked(PathBuf),
    /// Others could put another file in its place.
    #[error("the folder {} can be written by other users", .0.display())]
    UnsafeFolder(PathBuf),
    /// Larger than the reader wants.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// The path ends in `..`, or is empty.
    #[error("{} does not name a file", .0.display())]
    NoName(PathBuf),
    /// Another process has held the lock for all of the time we were willing to wait.
    #[error("another process is writing {}", .0.display())]
    Locked(PathBuf),
}

impl Error {
    fn io(doing: &'static str, path: &Path, cause: impl Into<io::Error>) -> Self {
        Self::Io { doing, path: path.to_owned(), cause: cause.into() }
    }
}

/// Whose files are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Private,
    Anyone,
}

/// Reads a private file of at most `max_len` bytes; `None` when there is none.
///
/// # Errors
/// A link, a file that is not private, one that is too large, or what the system says.
pub fn read_private(path: &Path, max_len: u64) -> Result<Option<Vec<u8>>, Error> {
    Ok(read(path, max_len, Trust::Private)?.map(|(bytes, _)| bytes))
}

/// As [`read_private`], with the stamp that the file had just before it was read.
///
/// # Errors
/// As [`read_private`].
pub fn read_private_stamped(path: &Path, max_len: u64) -> Result<Option<(Vec<u8>, Stamp)>, Error> {
    read(path, max_len, Trust::Private)
}

/// Reads a regular file of at most `max_len` bytes whoever may read it too; `None` when there is none.
///
/// # Errors
/// A link, a file that is too large, or what the system says.
pub fn read_regular(path: &Path, max_len: u64) -> Result<Option<Vec<u8>>, Error> {
    Ok(read(path, max_len, Trust::Anyone)?.map(|(bytes, _)| bytes))
}

fn read(path: &Path, max_len: u64, trust: Trust) -> Result<Option<(Vec<u8>, Stamp)>, Error> {
    // NONBLOCK: opening a pipe must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(cause) => return Err(refused_open(path, cause)),
    };
    let metadata = file.metadata().map_err(|cause| Error::io("read", path, cause))?;
    if !metadata.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    if trust == Trust::Private {
        check_private(path, &metadata)?;
        check_folder(folder_of(path)?.0)?;
    }
    if metadata.len() > max_len {
        return Err(Error::TooLarge { path: path.to_owned(), limit: max_len });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    // One byte more than allowed, in case it grows under our hands.
    file.take(max_len.saturating_add(1)).read_to_end(&mut bytes).map_err(|cause| Error::io("read", path, cause))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max_len {
        return Err(Error::TooLarge { path: path.to_owned(), limit: max_len });
    }
    Ok(Some((bytes, Stamp::of(&metadata))))
}

/// NOFOLLOW answers LOOP for a link (MLINK on some BSDs).
fn refused_open(path: &Path, cause: Errno) -> Error {
    let link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    if link { Error::Symlink(path.to_owned()) } else { Error::io("open", path, cause) }
}

fn check_private(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::ForeignOwner(path.to_owned()));
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(Error::Exposed { path: path.to_owned(), mode: metadata.mode() & 0o777 });
    }
    // Zero when it was replaced since it was opened.
    if metadata.nlink() > 1 {
        return Err(Error::Linked(path.to_owned()));
    }
    Ok(())
}

/// Only we and root may exchange files in the folder; where the sticky bit is set, nobody can exchange ours.
fn check_folder(folder: &Path) -> Result<(), Error> {
    let metadata = std::fs::metadata(folder).map_err(|cause| Error::io("look into", folder, cause))?;
    let trusted = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
    let shared = metadata.mode() & OTHERS_WRITE != 0 && metadata.mode() & STICKY == 0;
    if trusted && !shared { Ok(()) } else { Err(Error::UnsafeFolder(folder.to_owned())) }
}

/// The folder a file lies in, and its name there.
fn folder_of(path: &Path) -> Result<(&Path, &OsStr), Error> {
    let name = path.file_name().ok_or_else(|| Error::NoName(path.to_owned()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, name))
}

/// The hidden neighbour `.NAME.ENDING` of `NAME` (a dot that NAME begins with is not doubled).
fn neighbour_name(name: &OsStr, ending: &str) -> OsString {
    let mut neighbour = OsString::new();
    if !name.as_encoded_bytes().starts_with(b".") {
        neighbour.push(".");
    }
    neighbour.push(name);
    neighbour.push(".");
    neighbour.push(ending);
    neighbour
}

/// The path of the hidden file `.NAME.ENDING` beside `path`.
///
/// # Errors
/// [`Error::NoName`].
pub fn neighbour(path: &Path, ending: &str) -> Result<PathBuf, Error> {
    let (folder, name) = folder_of(path)?;
    Ok(folder.join(neighbour_name(name, ending)))
}

/// Creates a folder that only we may enter (0700), with its parents, or accepts one of our own that nobody else may write.
///
/// # Errors
/// A link, something that is not a folder, another user's folder, one that others may write, or what the system says.
pub fn create_private_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|cause| Error::io("create", path, cause))?;
    let metadata = std::fs::symlink_metadata(path).map_err(|cause| Error::io("look into", path, cause))?;
    if metadata.is_symlink() {
        return Err(Error::Symlink(path.to_owned()));
    }
    if !metadata.is_dir() {
        return Err(Error::NotAFolder(path.to_owned()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::ForeignOwner(path.to_owned()));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err(Error::UnsafeFolder(path.to_owned()));
    }
    Ok(())
}

/// Replaces the file at `path` by `bytes` in one step: whoever reads, and whenever the power goes, it is the old file or the new.
///
/// The bytes are written beside it, made durable, given `mode`, and renamed over it. A file that only we may read is not written
/// into a folder where others could exchange it.
///
/// # Errors
/// A link or something else that is not a regular file in its place, an unsafe folder, or what the system says; then the old file
/// is as it was.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let (folder, name) = folder_of(path)?;
    if mode & OTHERS == 0 {
        check_folder(folder)?;
    }
    let directory = open_folder(folder)?;
    check_target(path, &directory, name)?;
    let temporary = temporary_name(path, name)?;
    let replaced = write_new(path, &directory, &temporary, (bytes, mode)).and_then(|()| {
        rustix::fs::renameat(&directory, &temporary, &directory, name).map_err(|cause| Error::io("replace", path, cause))
    });
    if let Err(error) = replaced {
        // The first error is the one to tell; a leftover is removed by the next writer.
        rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty()).ok();
        return Err(error);
    }
    directory.sync_all().map_err(|cause| Error::io("make durable the folder of", path, cause))
}

/// Removes what writers of `path` left behind when they were killed. Only for the holder of its [`Lock`].
///
/// # Errors
/// What the system says.
pub fn remove_leftovers(path: &Path, _held: &Lock) -> Result<(), Error> {
    let (folder, name) = folder_of(path)?;
    let beginning = neighbour_name(name, "");
    let entries = std::fs::read_dir(folder).map_err(|cause| Error::io("look into", folder, cause))?;
    for entry in entries.flatten().filter(|entry| is_temporary(&entry.file_name(), &beginning)) {
        std::fs::remove_file(entry.path()).map_err(|cause| Error::io("remove", &entry.path(), cause))?;
    }
    Ok(())
}

/// Whether `name` was made by [`temporary_name`] for the file whose neighbours' names begin so.
fn is_temporary(name: &OsStr, beginning: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(beginning.as_encoded_bytes());
    let random = rest.and_then(|rest| rest.strip_suffix(b".tmp"));
    random.is_some_and(|random| random.len() == 16 && random.iter().all(u8::is_ascii_hexdigit))
}

fn open_folder(folder: &Path) -> Result<File, Error> {
    rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map(File::from)
        .map_err(|cause| Error::io("open", folder, cause))
}

fn check_target(path: &Path, directory: &File, name: &OsStr) -> Result<(), Error> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(cause) => Err(Error::io("look at", path, cause)),
        Ok(found) => match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => Ok(()),
            FileType::Symlink => Err(Error::Symlink(path.to_owned())),
            _ => Err(Error::NotAFile(path.to_owned())),
        },
    }
}

fn temporary_name(path: &Path, name: &OsStr) -> Result<OsString, Error> {
    let random = getrandom::u64().map_err(|cause| Error::io("find a temporary name for", path, cause))?;
    Ok(neighbour_name(name, &format!("{random:016x}.tmp")))
}

fn write_new(path: &Path, directory: &File, name: &OsStr, (bytes, mode): (&[u8], u32)) -> Result<(), Error> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let created = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(PRIVATE as _));
    let mut file = File::from(created.map_err(|cause| Error::io("write beside", path, cause))?);
    let mode = Mode::from_raw_mode(mode as _);
    file.write_all(bytes)
        .and_then(|()| Ok(rustix::fs::fchmod(&file, mode)?))
        .and_then(|()| file.sync_all())
        .map_err(|cause| Error::io("write beside", path, cause))
}

#[cfg(test)]
mod tests;
