//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the log could not be written or read. Cheap to copy: every request of a batch gets the one error of their write.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: Arc<io::Error>,
    },
    /// The folder is a symlink, or others can read it.
    #[error("the audit folder {} must be a plain folder that only its owner can read (chmod 700)", path.display())]
    Exposed {
        /// The folder.
        path: PathBuf,
    },
    /// Lines came in faster than they could be chained, or nobody chains them.
    #[error("the audit spool holds {held} bytes, more than its bound of {bound}")]
    Full {
        /// Bytes in all spool files.
        held: u64,
        /// `Settings::spool_bytes`.
        bound: u64,
    },
    /// The chain doesn't hold.
    #[error("the audit log is broken at line {line} of segment {segment}: {what}")]
    Broken {
        /// The segment's number.
        segment: u32,
        /// The line in the segment, from 1.
        line: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A head that was noted names a line that isn't kept any longer.
    #[error("the head is of line {head}, and the oldest line that is kept is {first}: note a newer head")]
    Forgotten {
        /// The line of the head.
        head: u64,
        /// The oldest line.
        first: u64,
    },
    /// The key that signs heads can't be used.
    #[error("cannot use {}, the sealed key of the audit log; where it is lost, move it away and a new one is made", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The index can't be used.
    #[error("cannot use {}, the index of the audit log; it may be removed, and is made anew", path.display())]
    Index {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A spool was asked for outside a runtime.
    #[error("an audit spool needs a running tokio runtime")]
    NoRuntime,
    /// The log was stopped before.
    #[error("the audit log is stopped")]
    Stopped,
}

impl Error {
    /// For `map_err`: the sealed key at `path`.
    pub(super) fn key<E: std::error::Error + Send + Sync + 'static>(path: &Path) -> impl FnOnce(E) -> Self {
        move |cause| Self::Key { path: path.to_owned(), cause: Arc::new(cause) }
    }

    /// For `map_err`: the index at `path`.
    pub(super) fn index<E: std::error::Error + Send + Sync + 'static>(path: &Path) -> impl FnOnce(E) -> Self {
        move |cause| Self::Index { path: path.to_owned(), cause: Arc::new(cause) }
    }

    /// For `map_err`: what was being done, to which file.
    pub(super) fn io<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |cause| Self::Io { doing, path: path.to_owned(), cause: Arc::new(cause.into()) }
    }
}
