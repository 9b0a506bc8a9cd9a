//! `Taken`: how far the spools that are there are chained, as the log says.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::line::CHAIN;
use super::recover::earlier;
use super::spool_file::id_of;
use super::trailer::Trailer;

/// How the first line of a segment begins.
const HEADER: &[u8] = br#"{"v":1,"event":"segment""#;

/// By the names of the spools.
#[derive(Debug)]
pub(super) struct Taken(HashMap<String, u64>);

impl Taken {
    /// Nothing yet, of each spool of the log in `folder`.
    pub(super) fn of(folder: &Path) -> Self {
        Self(spools(folder).into_iter().map(|(id, _length)| (id, 0)).collect())
    }

    /// Takes in a line of the log.
    pub(super) fn note(&mut self, line: &[u8], trailer: &Trailer<'_>) {
        if let Some(offset) = self.0.get_mut(trailer.source) {
            *offset = trailer.offset;
        }
        if trailer.source == CHAIN && line.starts_with(HEADER) {
            for (id, offset) in earlier(line) {
                self.0.entry(id).and_modify(|found| *found = offset);
            }
        }
    }

    /// How many bytes of the spools in `folder` are not chained.
    pub(super) fn waiting(&self, folder: &Path) -> u64 {
        let chained = |id: &str| self.0.get(id).copied().unwrap_or(0);
        spools(folder).into_iter().map(|(id, length)| length.saturating_sub(chained(&id))).sum()
    }
}

/// The spools of a log and their lengths; one that can't be seen is none.
fn spools(folder: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(folder.join("spool")).into_iter().flatten().flatten();
    let spool = |entry: fs::DirEntry| {
        let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((id_of(entry.file_name().to_str()?)?.to_owned(), about.len()))
    };
    entries.filter_map(spool).collect()
}
