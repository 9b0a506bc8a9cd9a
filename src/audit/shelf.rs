//! `Shelf`: the closed segments, oldest first: which are to be packed, which are not kept any longer.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::error::Error;
use super::head::time_of;
use super::pack::pack;
use super::segment::{self, Lines, Next};
use super::settings::Settings;
use super::turn::Pace;

/// The closed segments of a log.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    closed: VecDeque<Closed>,
    /// Those from which on none could be packed; tried again when one more is closed.
    unpackable: bool,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    number: u32,
    /// When the next one was begun.
    ended: SystemTime,
    bytes: u64,
    packed: bool,
}

impl Shelf {
    /// The segments before number `current`, as they lie in the folder.
    pub(super) fn read(folder: &Path, current: u32, begun: SystemTime) -> Result<Self, Error> {
        let mut closed = VecDeque::new();
        let mut ended = begun;
        let mut files = segment::listed(folder)?;
        files.retain(|(number, _packed)| *number < current);
        // Where both are there somebody died between: the plain one, which comes first, is packed again.
        files.dedup_by_key(|(number, _packed)| *number);
        for (number, packed) in files.into_iter().rev() {
            let path = if packed { segment::packed_path_of(folder, number) } else { segment::path_of(folder, number) };
            let bytes = fs::metadata(&path).map_err(Error::io("examine", &path))?.len();
            closed.push_front(Closed { number, ended, bytes, packed });
            ended = begun_at(folder, number)?.unwrap_or(ended);
        }
        Ok(Self { closed, unpackable: false })
    }

    /// Takes in a segment that was closed.
    pub(super) fn add(&mut self, number: u32, bytes: u64, ended: SystemTime) {
        self.closed.push_back(Closed { number, ended, bytes, packed: false });
        self.unpackable = false;
    }

    /// How many wait to be packed, and how many bytes.
    pub(super) fn unpacked(&self) -> (usize, u64) {
        let waiting = self.closed.iter().rev().take_while(|closed| !closed.packed);
        waiting.fold((0, 0), |(count, bytes), closed| (count + 1, bytes + closed.bytes))
    }

    /// Packs the oldest segment that isn't; says whether there was one. A failure is told and leaves the segment as it is.
    pub(super) fn pack_one(&mut self, folder: &Path, pace: Pace<'_>) -> bool {
        let Some(next) = self.closed.iter_mut().find(|closed| !closed.packed).filter(|_| !self.unpackable) else {
            return false;
        };
        match pack(folder, next.number, pace) {
            Ok(bytes) => (next.bytes, next.packed) = (bytes, true),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a closed segment of the audit log stays unpacked");
                self.unpackable = true;
            }
        }
        true
    }

    /// The last segment that isn't kept any longer at `now`, with all before it.
    pub(super) fn surplus(&self, settings: &Settings, now: SystemTime) -> Option<u32> {
        let mut count = self.closed.len() + 1;
        let mut bytes: u64 = self.closed.iter().map(|closed| closed.bytes).sum();
        let too_many = |count: usize| settings.keep_segments.is_some_and(|keep| count > keep.max(1) as usize);
        let too_large = |bytes: u64| settings.keep_bytes.is_some_and(|keep| bytes > keep);
        let too_old = |age: Duration| settings.keep_age.is_some_and(|keep| age > keep);
        let mut last = None;
        for closed in &self.closed {
            let age = now.duration_since(closed.ended).unwrap_or_default();
            if !too_many(count) && !too_large(bytes) && !too_old(age) {
                break;
            }
            (count, bytes, last) = (count - 1, bytes - closed.bytes, Some(closed.number));
        }
        last
    }

    /// Removes the segments up to number `last`.
    pub(super) fn forget(&mut self, folder: &Path, last: u32) -> Result<(), Error> {
        while let Some(oldest) = self.closed.pop_front_if(|closed| closed.number <= last) {
            for path in [segment::path_of(folder, oldest.number), segment::packed_path_of(folder, oldest.number)] {
                let removed = fs::remove_file(&path);
                if let Err(cause) = removed.or_else(|error| if gone(&error) { Ok(()) } else { Err(error) }) {
                    self.closed.push_front(oldest);
                    return Err(Error::io("remove", &path)(cause));
                }
            }
        }
        Ok(())
    }
}

fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// When segment `number` was begun, as its first line tells.
pub(super) fn begun_at(folder: &Path, number: u32) -> Result<Option<SystemTime>, Error> {
    let mut lines = Lines::new(segment::open_to_read(folder, number)?);
    let first = lines.next().map_err(Error::io("read", &segment::path_of(folder, number)))?;
    Ok(if first == Next::Line { told_time(&lines.line) } else { None })
}

/// The time in a chained line of ours.
pub(super) fn told_time(line: &[u8]) -> Option<SystemTime> {
    time_of(line)?.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(ages: &[u64]) -> Shelf {
        let closed = |(index, age): (usize, &u64)| Closed {
            number: index as u32 + 1,
            ended: SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age),
            bytes: 10,
            packed: true,
        };
        Shelf { closed: ages.iter().enumerate().map(closed).collect(), unpackable: false }
    }

    #[test]
    fn the_oldest_go_by_number_by_size_or_by_age() {
        let shelf = shelf(&[90, 60, 30]);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let all = Settings::shipped("/a".into());
        let surplus = |settings: Settings| shelf.surplus(&settings, now);
        assert_eq!(surplus(all.clone()), None);
        assert_eq!(surplus(Settings { keep_segments: Some(3), ..all.clone() }), Some(1), "the one that is written counts");
        assert_eq!(surplus(Settings { keep_segments: Some(0), ..all.clone() }), Some(3), "and stays");
        assert_eq!(surplus(Settings { keep_bytes: Some(20), ..all.clone() }), Some(1));
        assert_eq!(surplus(Settings { keep_bytes: Some(19), ..all.clone() }), Some(2));
        assert_eq!(surplus(Settings { keep_age: Some(Duration::from_secs(60)), ..all.clone() }), Some(1));
        assert_eq!(surplus(Settings { keep_age: Some(Duration::from_secs(59)), keep_segments: Some(2), ..all }), Some(2));
    }
}
