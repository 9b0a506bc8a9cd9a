//! Where the chain stands: read from its last segment by whoever takes it over.

use std::collections::HashMap;

use serde::Deserialize;

use super::error::Error;
use super::segment::{self, Lines, Next, Segment};
use super::settings::Settings;
use super::trailer::{Link, Trailer};

/// What the segments say.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The segment to go on with, without a torn line at its end.
    pub(super) segment: Segment,
    /// What the next line will be given.
    pub(super) link: Link,
    /// How far each spool is chained.
    pub(super) offsets: HashMap<String, u64>,
}

/// The first line of a segment, as far as it is needed here: how far each spool was chained before it.
#[derive(Debug, Deserialize)]
struct Header {
    spools: Vec<String>,
}

/// Reads the last segment that has a line; a log without one begins.
pub(super) fn recover(settings: &Settings) -> Result<Recovered, Error> {
    let numbers = segment::numbers(&settings.folder)?;
    let mut found = (Link::FIRST, HashMap::new());
    for &number in numbers.iter().rev() {
        let (state, end) = scan(settings, number)?;
        if Some(&number) == numbers.last() {
            let mut last = Segment::open(&settings.folder, number)?;
            if last.length > end {
                tracing::warn!(
                    segment = number,
                    bytes = last.length - end,
                    "a torn line at the end of the audit log is cut off"
                );
                last.truncate(end)?;
            }
        }
        if let Some(state) = state {
            found = state;
            break;
        }
    }
    let segment = Segment::open(&settings.folder, numbers.last().copied().unwrap_or(1))?;
    Ok(Recovered { segment, link: found.0, offsets: found.1 })
}

type State = (Link, HashMap<String, u64>);

/// Reads one segment; also says where its last whole line ends.
fn scan(settings: &Settings, number: u32) -> Result<(Option<State>, u64), Error> {
    let mut lines = Lines::new(segment::open_to_read(&settings.folder, number)?);
    let path = segment::path_of(&settings.folder, number);
    let mut link = None;
    let mut offsets = HashMap::new();
    let mut last = Vec::new();
    loop {
        match lines.next().map_err(Error::io("read", &path))? {
            Next::Line => {}
            Next::TooLong => continue,
            Next::Torn | Next::End => break,
        }
        // A line that isn't ours is for `verify` to report, not for the chain to stumble over.
        let Some(trailer) = Trailer::read(&lines.line) else { continue };
        if link.is_none() {
            offsets.extend(earlier(&lines.line));
        }
        match offsets.get_mut(trailer.source) {
            Some(offset) => *offset = trailer.offset,
            None => drop(offsets.insert(trailer.source.to_owned(), trailer.offset)),
        }
        link = Some(trailer.link.seq);
        last.clone_from(&lines.line);
    }
    Ok((link.map(|seq| (Link::after(seq, &last), offsets)), lines.offset))
}

/// The offsets in a segment's header.
fn earlier(line: &[u8]) -> Vec<(String, u64)> {
    let Ok(header) = serde_json::from_slice::<Header>(line) else { return Vec::new() };
    let offset = |entry: &String| entry.split_once(':').and_then(|(id, offset)| Some((id.to_owned(), offset.parse().ok()?)));
    header.spools.iter().filter_map(offset).collect()
}
