//! What the log is told at start.

use std::path::PathBuf;
use std::time::Duration;

/// How the log behaves and where its bounds are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the segments lie, and the spools in a folder within; made with mode 0700 where missing.
    pub folder: PathBuf,
    /// What an opening line that can't be written means for its request.
    pub on_failure: OnFailure,
    /// What survives a power cut.
    pub fsync: Fsync,
    /// Bound of the network's text in one line, in bytes; what is longer is cut and marked.
    pub max_line: usize,
    /// Refusals of callers without an agent that are a line each, of one address in a minute.
    pub stranger_lines: u32,
    /// A segment that has grown to this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// How many segments are kept; `None` keeps all. The oldest go first.
    pub keep_segments: Option<u32>,
    /// A spool file that has grown to this many bytes is followed by a new one, and removed once it is chained.
    pub spool_file_bytes: u64,
    /// Bound of all spool files together: past it `on_failure` applies.
    pub spool_bytes: u64,
    /// How long a closing line may wait for company.
    pub linger: Duration,
    /// How often the chaining thread looks while there is something to do.
    pub poll: Duration,
}

/// What happens to a request whose opening line can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It doesn't leave.
    Refuse,
    /// It leaves; the line is kept for later as far as memory bounds allow, and a `lost` event counts the rest.
    Warn,
}

/// When written lines are forced to the disk. Any policy survives the death of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// When the system likes.
    Never,
    /// A segment when it is full, and before a spool file that it was made from goes.
    Rotate,
    /// Every batch of opening lines, before its requests leave.
    Always,
}

impl Settings {
    /// The shipped values, for a log in `folder`.
    pub fn shipped(folder: PathBuf) -> Self {
        Self {
            folder,
            on_failure: OnFailure::Refuse,
            fsync: Fsync::Rotate,
            max_line: 8 * 1024,
            stranger_lines: 120,
            segment_bytes: 64 * 1024 * 1024,
            keep_segments: None,
            spool_file_bytes: 8 * 1024 * 1024,
            spool_bytes: 1024 * 1024 * 1024,
            linger: Duration::from_millis(50),
            poll: Duration::from_millis(100),
        }
    }

    /// The folder of the spools.
    pub(super) fn spools(&self) -> PathBuf {
        self.folder.join("spool")
    }
}
