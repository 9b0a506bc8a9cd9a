//! Replacing in one step, and clearing up after those who could not.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Error, Lock, OTHERS, PRIVATE, check_folder, check_private, folder_of, neighbour_name, refused_open};

/// Replaces the file at `path` by `bytes` in one step: whoever reads, and whenever the power goes, it is the old file or the new.
///
/// The bytes are written beside it, made durable, given `mode`, and renamed over it. A file that only we may read is not written
/// into a folder where others could exchange it.
///
/// # Errors
/// A link or something else that is not a regular file in its place, an unsafe folder, or what the system says; then the old file
/// is as it was.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let (directory, name) = open_for(path, mode)?;
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

/// As [`write_atomic`], for a file that nobody has written yet.
///
/// # Errors
/// [`Error::Exists`] for whatever is in its place, by whomever and whenever it came there; else as [`write_atomic`].
pub fn write_first(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let (directory, name) = open_for(path, mode)?;
    let temporary = temporary_name(path, name)?;
    // A second name is refused where there is a first; a rename would replace it.
    let linked = write_new(path, &directory, &temporary, (bytes, mode)).and_then(|()| {
        let linked = rustix::fs::linkat(&directory, &temporary, &directory, name, AtFlags::empty());
        linked.map_err(
            |cause| if cause == Errno::EXIST { Error::Exists(path.to_owned()) } else { Error::io("write", path, cause) },
        )
    });
    rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty()).ok();
    linked?;
    directory.sync_all().map_err(|cause| Error::io("make durable the folder of", path, cause))
}

/// The folder of `path`, where a file of that `mode` may be written, and its name there.
fn open_for(path: &Path, mode: u32) -> Result<(File, &OsStr), Error> {
    let (folder, name) = folder_of(path)?;
    if mode & OTHERS == 0 {
        check_folder(folder)?;
    }
    Ok((open_folder(folder)?, name))
}

/// Adds `bytes` to the end of a private file, which is created if need be. Neither atomic nor durable: for notes that may be lost.
///
/// # Errors
/// As [`read_private`](super::read_private).
pub fn append_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    check_folder(folder_of(path)?.0)?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = rustix::fs::open(path, flags, Mode::from_raw_mode(PRIVATE as _));
    let mut file = File::from(opened.map_err(|cause| refused_open(path, cause))?);
    let metadata = file.metadata().map_err(|cause| Error::io("write", path, cause))?;
    if !metadata.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    check_private(path, &metadata)?;
    file.write_all(bytes).map_err(|cause| Error::io("write", path, cause))
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
