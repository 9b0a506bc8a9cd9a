//! `Lock`: one writer of a file at a time, over all processes.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::{Error, PRIVATE, neighbour, refused_open};

/// How long [`Lock::acquire`] waits: a write takes milliseconds, so whoever holds it this long is stuck.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two tries; flock(2) itself knows no deadline.
const PAUSE: Duration = Duration::from_millis(2);

/// The right to write a file, held until dropped or until the process dies.
///
/// It is an advisory lock (flock(2)) on the hidden file `.NAME.lock` beside it, which stays (see [`Lock::remove_file`]): a lock on the file itself would be
/// lost when the file is replaced. Two locks in one process exclude each other, too.
#[derive(Debug)]
pub struct Lock {
    _held: OwnedFd,
}

impl Lock {
    /// Waits up to ten seconds for the lock of `path`.
    ///
    /// # Errors
    /// [`Error::Locked`] when the time is up, or what the system says.
    pub fn acquire(path: &Path) -> Result<Self, Error> {
        Self::acquire_within(path, DEADLINE)
    }

    /// Waits up to `patience` for the lock of `path`.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn acquire_within(path: &Path, patience: Duration) -> Result<Self, Error> {
        let file = open(path)?;
        let begun = Instant::now();
        while !locked(path, &file)? {
            if begun.elapsed() >= patience {
                return Err(Error::Locked(path.to_owned()));
            }
            thread::sleep(PAUSE);
        }
        Ok(Self { _held: file })
    }

    /// Takes the lock of `path` if it is free now.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>, Error> {
        let file = open(path)?;
        Ok(locked(path, &file)?.then_some(Self { _held: file }))
    }

    /// Takes away the file behind the lock of `path`; only for a `path` that nobody will lock again.
    ///
    /// # Errors
    /// What the system says, unless there is none.
    pub fn remove_file(path: &Path) -> Result<(), Error> {
        let beside = neighbour(path, "lock")?;
        match rustix::fs::unlink(&beside) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(cause) => Err(Error::io("remove", &beside, cause)),
        }
    }
}

fn open(path: &Path) -> Result<OwnedFd, Error> {
    let beside = neighbour(path, "lock")?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file =
        rustix::fs::open(&beside, flags, Mode::from_raw_mode(PRIVATE as _)).map_err(|cause| refused_open(&beside, cause))?;
    let found = rustix::fs::fstat(&file).map_err(|cause| Error::io("look at", &beside, cause))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(Error::NotAFile(beside));
    }
    Ok(file)
}

fn locked(path: &Path, file: &OwnedFd) -> Result<bool, Error> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(cause) => Err(Error::io("lock", path, cause)),
    }
}
