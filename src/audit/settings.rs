//! What the log is told at start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::head::HeadKey;

/// How the log behaves and where its bounds are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the segments lie, and the spools in a folder within; made with mode 0700 where missing.
    pub folder: PathBuf,
    /// What an opening line that can't be written means for its request.
    pub on_failure: OnFailure,
    /// What survives a power cut.
    pub fsync: Fsync,
    /// How old a line may get before it is on the disk, with [`Fsync::Interval`].
    pub sync_every: Duration,
    /// What signs heads; without it there are none.
    pub head_key: Option<Arc<HeadKey>>,
    /// How often a head is signed while there is something new.
    pub head_every: Duration,
    /// Bound of the network's text in one line, in bytes; what is longer is cut and marked.
    pub max_line: usize,
    /// Refusals of callers without an agent that are a line each, of one address in a minute.
    pub stranger_lines: u32,
    /// A segment that has grown to this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// A segment that is this old is followed by a new one, if anything happened in it.
    pub segment_age: Duration,
    /// Whether closed segments are packed.
    pub pack: bool,
    /// Whether the thread that chains keeps an index as well.
    pub index: bool,
    /// How many segments are kept; `None` keeps all. The oldest go first.
    pub keep_segments: Option<u32>,
    /// How many bytes of closed segments are kept.
    pub keep_bytes: Option<u64>,
    /// How long closed segments are kept.
    pub keep_age: Option<Duration>,
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
    /// Chained lines now and then, a segment when it is full, and before a spool file that it was made from goes.
    Interval,
    /// Every batch of opening lines, before its requests leave.
    Always,
}

impl Settings {
    /// The shipped values, for a log in `folder`.
    pub fn shipped(folder: PathBuf) -> Self {
        Self {
            folder,
            on_failure: OnFailure::Refuse,
            fsync: Fsync::Interval,
            sync_every: Duration::from_secs(5),
            head_key: None,
            head_every: Duration::from_secs(60),
            max_line: 8 * 1024,
            stranger_lines: 120,
            segment_bytes: 64 * 1024 * 1024,
            segment_age: Duration::from_hours(24),
            pack: true,
            index: true,
            keep_segments: None,
            keep_bytes: None,
            keep_age: None,
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
