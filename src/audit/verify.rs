//! Proves that the segments are as they were written, from the oldest that is kept to the last line.

mod prover;
mod unproven;
mod walk;

use std::path::Path;

pub use self::prover::{Progress, Prover};
use super::error::Error;
use super::head::{Head, PublicKey};

/// As many are named; a log that was carried on more often says so of the last ones.
const MAX_CARRIED: usize = 100;

/// What a log is held against, besides itself.
#[derive(Debug, Clone, Default)]
pub struct Against {
    /// The keys that may have signed it. Without any, heads are lines like others, and whatever says what is not kept is believed.
    pub keys: Vec<PublicKey>,
    /// A head that was noted elsewhere.
    pub head: Option<Head>,
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many segments there are.
    pub segments: usize,
    /// How many of them were read; the others were read by the same [`Prover`] before, and their files are as they were.
    pub read: usize,
    /// How many lines were held against each other.
    pub lines: u64,
    /// The number of the first line; 1 unless older segments were given up.
    pub first: u64,
    /// The number of the last line.
    pub last: u64,
    /// The last line and its hash. Whoever noted it elsewhere can tell that nothing was cut off the end.
    pub head: Head,
    /// Up to where it is signed; `None` where no key was given or nothing is signed.
    pub signed: Option<Signed>,
    /// Where segments are not kept: whether a key proves that the log itself gave them up.
    pub given_up: Option<bool>,
    /// Lines that had no head when another process went on with the log, the last times.
    pub carried: Vec<Carried>,
    /// The last line has no end: it is being written, or its writer died.
    pub torn: bool,
    /// How many bytes wait to be chained.
    pub waiting: u64,
}

/// The last head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Its number: nobody without the key changed a line up to it.
    pub line: u64,
    /// When it was signed: RFC 3339, UTC.
    pub time: String,
    /// How many lines come after it.
    pub after: u64,
}

/// Lines that were not signed while their writers lived: those of a process that was killed, or somebody's who added them afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The number of the first of them.
    pub from: u64,
    /// That of the last.
    pub through: u64,
    /// When they were found: RFC 3339, UTC.
    pub time: String,
}

/// Reads every segment in `folder` and checks each line's number and hash. What else can be proven is [`verify`]'s.
///
/// # Errors
/// As [`verify`].
pub fn verify_chain(folder: &Path) -> Result<Verified, Error> {
    verify(folder, &Against::default())
}

/// Reads every segment in `folder`, checks each line's number and hash, and holds the log against keys and a head.
///
/// Finds a line that was changed, removed, added or moved, and a segment that was removed, moved or put back; without a key, segments may
/// have been removed at the beginning, since anybody can say that they are not kept. What was made anew from
/// some line on shows against a key, if a head came after that line; a cut at the very end only against a head noted elsewhere.
///
/// # Errors
/// [`Error::Broken`] names the first line that doesn't fit; [`Error::Forgotten`] a head that is older than what is kept;
/// [`Error::Io`] where a segment can't be read.
pub fn verify(folder: &Path, against: &Against) -> Result<Verified, Error> {
    Prover::new(against.clone()).prove(folder, |_| true)
}
