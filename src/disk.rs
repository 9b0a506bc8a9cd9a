//! Private files: read with suspicion, replaced in one step, written by one at a time. Floor 0.
//!
//! A *private* file is a regular file of our own user that nobody else may read, with one name, in a folder where nobody else can
//! put another in its place. Everything here blocks; an async caller moves to a blocking thread first.

mod lock;
mod read;
mod stamp;
mod write;

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub use lock::Lock;
pub use read::{read_private, read_private_stamped, read_regular};
pub use stamp::{Stamp, stamp};
pub use write::{append_private, remove_leftovers, write_atomic, write_first};

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
    /// Nothing is written over it.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// Another process has held the lock for all of the time we were willing to wait.
    #[error("another process is writing {}", .0.display())]
    Locked(PathBuf),
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path, cause: impl Into<io::Error>) -> Self {
        Self::Io { doing, path: path.to_owned(), cause: cause.into() }
    }
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

#[cfg(test)]
mod tests;
