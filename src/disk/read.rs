//! Reading with suspicion.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Error, Stamp, check_folder, check_private, folder_of, refused_open};

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
