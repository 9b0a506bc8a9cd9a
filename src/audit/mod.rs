//! The log of every request that leaves: opened before it goes, closed after it ended, chained so that a change shows. Floor 1.
//!
//! Each worker appends lines to a spool of its own (`spool`); one thread of one process links them into segments (`chain`).
//! Lines are ASCII JSON, one event each; they hold no header value, no query value and no body.

mod batch;
mod carried;
mod chain;
mod clock;
mod counted;
mod entry;
mod error;
mod export;
mod head;
mod holder;
mod id;
mod index;
mod line;
mod live;
mod log;
mod mask;
mod pack;
mod recent;
mod record;
mod recover;
mod rotation;
mod segment;
mod settings;
mod shelf;
mod span;
mod spool;
mod spool_file;
mod strangers;
mod summary;
mod tail;
mod taken;
mod text;
mod trailer;
mod turn;
mod verify;
mod vouched;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use entry::{EndedFor, Entry};
pub use error::Error;
pub use export::{Export, Format, FoundExport};
pub use head::{BadHead, BadKey, Head, HeadKey, PublicKey};
pub(crate) use id::Id;
pub use index::{BadCursor, BadStatus, Cursor, Order, Page, Paging, Record, Search, StatusRange, page, search};
pub(crate) use index::{Begun, MOST, Measure, Range, Stats, Wanted};
pub(crate) use live::{Happened, Live, TooMany, Watched, Watcher};
pub use log::Log;
pub(crate) use record::{Approval, Door, Kind, Verdict};
pub use settings::{Fsync, OnFailure, Settings};
pub(crate) use spool::{Opened, Spool};

pub use summary::{Summary, describe};
pub use tail::{Since, Tail, is_told};
pub use verify::{Against, Carried, Progress, Prover, Signed, Verified, verify, verify_chain};
