//! What the log tells of the last days, as far back as may be read at once.

use std::path::Path;
use std::time::SystemTime;

use super::error::Error;
use super::segment;
use super::shelf::begun_at;
use super::tail::Tail;

/// How much a packed segment is larger once it is read.
const PACKED: u64 = 8;

impl Tail {
    /// A reader that begins with the segment in which `since` lies, or later where from there on there would be more than `most` bytes; says
    /// whether nothing of that time is missing.
    ///
    /// # Errors
    /// [`Error::Io`] where a segment can't be read.
    pub(crate) fn recent(folder: &Path, since: SystemTime, most: u64) -> Result<(Self, bool), Error> {
        let mut files = segment::listed(folder)?;
        // Where both are there somebody packs it just now.
        files.dedup_by_key(|(number, _packed)| *number);
        let (mut first, mut bytes) = (None, 0_u64);
        for (number, packed) in files.into_iter().rev() {
            let path = if packed { segment::packed_path_of(folder, number) } else { segment::path_of(folder, number) };
            // One that went meanwhile is not kept any longer, and none before it.
            let Ok(about) = std::fs::metadata(&path) else { break };
            bytes = bytes.saturating_add(about.len().saturating_mul(if packed { PACKED } else { 1 }));
            if first.is_some() && bytes > most {
                return Ok((Self::from_segment(folder, first.unwrap_or(number))?, false));
            }
            first = Some(number);
            if begun_at(folder, number)?.is_some_and(|begun| begun <= since) {
                break;
            }
        }
        Ok((Self::from_segment(folder, first.unwrap_or(1))?, true))
    }
}
