//! `Stamp`: what changes about a file when its content does.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Error;

/// Filesystems take their time from a clock that ticks every 10 ms at worst; two writes within one tick look alike.
const TICK: Duration = Duration::from_millis(50);

/// A file's identity, size and times; equal stamps mean equal content, unless the stamp is [fresh](Stamp::is_fresh).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file changed so recently that one more change might not show in the stamp.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh_at(SystemTime::now())
    }

    fn is_fresh_at(&self, now: SystemTime) -> bool {
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1)) else {
            return false;
        };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        let age = now.duration_since(changed).unwrap_or_else(|ahead| ahead.duration());
        age < TICK
    }

    /// Whether both are states of one file, written in place.
    pub fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The stamp of the file at `path` (of the link, if it is one); `None` when there is none. One system call.
///
/// # Errors
/// What the system says.
pub fn stamp(path: &Path) -> Result<Option<Stamp>, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::io("look at", path, cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_fresh_for_a_tick_on_either_side() {
        let stamp = Stamp { device: 1, inode: 1, size: 1, modified: (1, 0), changed: (1_000, 500_000_000) };
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        assert!(stamp.is_fresh_at(at(1_000_500)) && stamp.is_fresh_at(at(1_000_549)) && stamp.is_fresh_at(at(1_000_451)));
        assert!(!stamp.is_fresh_at(at(1_000_550)) && !stamp.is_fresh_at(at(1_000_450)) && !stamp.is_fresh_at(at(0)));
    }
}
