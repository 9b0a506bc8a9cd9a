//! Where the chain stands: read from its last segment by whoever takes it over.

use std::collections::HashMap;
use std::time::SystemTime;

use serde::Deserialize;

use super::error::Error;
use super::line::CHAIN;
use super::segment::{self, Lines, Next, Segment};
use super::settings::Settings;
use super::shelf::told_time;
use super::trailer::{Link, Trailer};
use super::vouched::Vouched;

/// What the segments say.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The segment to go on with, without a torn line at its end.
    pub(super) segment: Segment,
    /// When that was begun; `None` where it is empty.
    pub(super) begun: Option<SystemTime>,
    /// How many lines it has.
    pub(super) lines: u64,
    /// What the next line will be given.
    pub(super) link: Link,
    /// How far each spool is chained.
    pub(super) offsets: HashMap<String, u64>,
    /// The first line behind the last one that the key of this log signed, if there is any.
    pub(super) unsigned: Option<u64>,
}

/// How many segments are searched for the last line that was signed. One ends with a head, unless nobody who had the key ended it.
const SEARCHED: usize = 2;

/// The first line of a segment, as far as it is needed here: how far each spool was chained before it.
#[derive(Debug, Deserialize)]
struct Header {
    spools: Vec<String>,
}

/// Reads the last segment that has a line; a log without one begins. A packed segment is never written again.
pub(super) fn recover(settings: &Settings) -> Result<Recovered, Error> {
    let listed = segment::listed(&settings.folder)?;
    let numbers = segment::numbers(&settings.folder)?;
    let last = listed.last().map_or(1, |&(number, packed)| if packed { number.saturating_add(1) } else { number });
    let (mut begun, mut lines) = (None, 0);
    let (mut found, mut unsigned, mut searched) = (None, None, 0);
    for &number in numbers.iter().rev() {
        let scanned = scan(settings, number)?;
        if number == last {
            (begun, lines) = (scanned.begun, scanned.lines);
            cut_torn(settings, number, scanned.end)?;
        }
        let Some(link) = scanned.link else { continue };
        found.get_or_insert((link, scanned.offsets));
        unsigned = scanned.signed.map(|signed| signed + 1).or(scanned.first);
        searched += 1;
        if scanned.signed.is_some() || settings.head_key.is_none() || searched == SEARCHED {
            break;
        }
    }
    let (link, offsets) = found.unwrap_or((Link::FIRST, HashMap::new()));
    let unsigned = unsigned.filter(|&unsigned| unsigned < link.seq && settings.head_key.is_some());
    Ok(Recovered { segment: Segment::open(&settings.folder, last)?, begun, lines, link, offsets, unsigned })
}

/// Cuts off what stands after the last whole line.
fn cut_torn(settings: &Settings, number: u32, end: u64) -> Result<(), Error> {
    let mut last = Segment::open(&settings.folder, number)?;
    if last.length > end {
        tracing::warn!(segment = number, bytes = last.length - end, "a torn line at the end of the audit log is cut off");
        last.truncate(end)?;
    }
    Ok(())
}

/// What one segment says.
#[derive(Debug, Default)]
struct Scanned {
    /// What the next line after it is given.
    link: Option<Link>,
    offsets: HashMap<String, u64>,
    begun: Option<SystemTime>,
    lines: u64,
    /// Where its last whole line ends.
    end: u64,
    /// The number of its first line.
    first: Option<u64>,
    /// The number of the last line that the key of this log signed.
    signed: Option<u64>,
}

fn scan(settings: &Settings, number: u32) -> Result<Scanned, Error> {
    let mut lines = Lines::new(segment::open_to_read(&settings.folder, number)?);
    let path = segment::path_of(&settings.folder, number);
    let mut scanned = Scanned::default();
    let key = settings.head_key.as_ref().map(|key| key.public());
    let (mut seq, mut last) = (None, Vec::new());
    loop {
        match lines.next().map_err(Error::io("read", &path))? {
            Next::Line => {}
            Next::TooLong => continue,
            Next::Torn | Next::End => break,
        }
        scanned.lines += 1;
        // A line that isn't ours is for `verify` to report, not for the chain to stumble over.
        let Some(trailer) = Trailer::read(&lines.line) else { continue };
        if seq.is_none() {
            scanned.offsets.extend(earlier(&lines.line));
            scanned.begun = told_time(&lines.line);
            scanned.first = Some(trailer.link.seq);
        }
        if let Some(key) = key.filter(|_| trailer.source == CHAIN && Vouched::of(&lines.line).is_some())
            && key.proves(&lines.line, trailer.link)
        {
            scanned.signed = Some(trailer.link.seq);
        }
        match scanned.offsets.get_mut(trailer.source) {
            Some(offset) => *offset = trailer.offset,
            None => drop(scanned.offsets.insert(trailer.source.to_owned(), trailer.offset)),
        }
        seq = Some(trailer.link.seq);
        last.clone_from(&lines.line);
    }
    scanned.end = lines.offset;
    scanned.link = seq.map(|seq| Link::after(seq, &last));
    Ok(scanned)
}

/// The offsets in a segment's header.
pub(super) fn earlier(line: &[u8]) -> Vec<(String, u64)> {
    let Ok(header) = serde_json::from_slice::<Header>(line) else { return Vec::new() };
    let offset = |entry: &String| entry.split_once(':').and_then(|(id, offset)| Some((id.to_owned(), offset.parse().ok()?)));
    header.spools.iter().filter_map(offset).collect()
}
