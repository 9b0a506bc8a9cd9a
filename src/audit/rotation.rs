//! What a [`Holder`] does by the clock and by size: the next segment, heads, packing, forgetting, syncs.

use std::time::{Instant, SystemTime};

use super::error::Error;
use super::head::Head;
use super::holder::Holder;
use super::line::{self, CHAIN};
use super::segment::Segment;
use super::settings::Fsync;
use super::spool_file::sync_folder;
use super::turn::Pace;

/// So many closed segments wait to be packed for a time with fewer requests; packing costs as much as all else that is done for the log.
const LATER: usize = 8;
/// And at most about so many bytes, where segments are large.
const LATER_BYTES: u64 = 1024 * 1024 * 1024;

impl Holder {
    /// What is due now, and what could wait if there is no `hurry`. Says whether there was something that more of may follow.
    pub(super) fn keep_house(&mut self, hurry: bool, pace: Pace<'_>) -> Result<bool, Error> {
        if self.lines > 1 && self.age() >= self.settings.segment_age {
            self.next_segment()?;
        }
        if self.head_due <= Instant::now() {
            self.sign_news()?;
        }
        if self.settings.fsync == Fsync::Interval
            && self.unsynced.is_some_and(|since| since.elapsed() >= self.settings.sync_every)
        {
            self.sync()?;
        }
        self.forget()?;
        // Where only so many bytes are kept, what isn't packed drives out what is older.
        let (waiting, bytes) = self.shelf.unpacked();
        let later = hurry && self.settings.keep_bytes.is_none() && waiting < LATER && bytes < LATER_BYTES;
        Ok(self.settings.pack && !later && self.shelf.pack_one(&self.settings.folder, pace))
    }

    /// The last head, and the last sync.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.sign_news()?;
        self.tell_head();
        if self.settings.fsync == Fsync::Never { Ok(()) } else { self.sync() }
    }

    /// Forces the segment to the disk.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        self.segment.sync()?;
        self.unsynced = None;
        Ok(())
    }

    /// Begins the next segment, or the first, with a line that says how far each spool is chained.
    pub(super) fn next_segment(&mut self) -> Result<(), Error> {
        if self.segment.length > 0 {
            self.sign()?;
            self.tell_head();
            sync_as_told(self)?;
            let next = Segment::open(&self.settings.folder, self.segment.number.saturating_add(1))?;
            let closed = std::mem::replace(&mut self.segment, next);
            self.shelf.add(closed.number, closed.length, SystemTime::now());
        }
        (self.begun, self.lines) = (SystemTime::now(), 0);
        let header = self.header();
        self.append_own(&header)?;
        if self.settings.fsync != Fsync::Never {
            sync_folder(&self.settings.folder)?;
        }
        Ok(())
    }

    /// The log of the process often leaves the host, and a head that did is what a later cut can be held against.
    fn tell_head(&self) {
        tracing::info!(head = %Head::before(self.link), "the audit log stands here");
    }

    fn age(&self) -> std::time::Duration {
        self.begun.elapsed().unwrap_or_default()
    }

    fn header(&mut self) -> Vec<u8> {
        let mut header = Vec::new();
        let number = self.segment.number.to_string();
        line::write_event(&mut header, "segment", &[("segment", &number)], &mut self.clock);
        header.truncate(header.len().saturating_sub(2));
        header.extend_from_slice(br#","spools":["#);
        let entries: Vec<String> = self.offsets.iter().map(|(id, offset)| format!("\"{id}:{offset}\"")).collect();
        header.extend_from_slice(entries.join(",").as_bytes());
        header.extend_from_slice(b"]}");
        header
    }

    /// As [`sign`](Self::sign), unless the segment has nothing but its header: a log in which nothing happens doesn't grow.
    fn sign_news(&mut self) -> Result<(), Error> {
        if self.lines > 1 { self.sign() } else { Ok(()) }
    }

    /// Signs what was chained since the last head, if anything was.
    fn sign(&mut self) -> Result<(), Error> {
        self.head_due = Instant::now() + self.settings.head_every;
        let Some(key) = self.settings.head_key.clone().filter(|_| self.link.seq > self.signed) else { return Ok(()) };
        self.carry()?;
        let mut head = Vec::new();
        key.write(&mut head, self.link, &mut self.clock);
        self.append_own(&head)?;
        self.signed = self.link.seq;
        Ok(())
    }

    /// Removes what isn't kept any longer, and says so first: a segment that is missing for no reason is one that was taken away.
    fn forget(&mut self) -> Result<(), Error> {
        let Some(last) = self.shelf.surplus(&self.settings, SystemTime::now()) else { return Ok(()) };
        let mut text = Vec::new();
        line::write_event(&mut text, "forget", &[("through", &last.to_string())], &mut self.clock);
        self.append_signed(text)?;
        sync_as_told(self)?;
        self.shelf.forget(&self.settings.folder, last)
    }

    /// Chains an event of the chain's own, with a signature where there is a key: without one it would be anybody's word.
    pub(super) fn append_signed(&mut self, mut event: Vec<u8>) -> Result<(), Error> {
        event.truncate(event.trim_ascii_end().len());
        if let Some(key) = &self.settings.head_key {
            key.sign(&mut event, self.link);
        }
        self.append_own(&event)
    }

    /// Chains a line of the chain's own.
    fn append_own(&mut self, text: &[u8]) -> Result<(), Error> {
        let mut link = self.link;
        self.out.clear();
        link.append(&mut self.out, text, CHAIN, 0);
        self.segment.append(&self.out)?;
        self.unsynced.get_or_insert_with(Instant::now);
        self.lines += 1;
        self.link = link;
        Ok(())
    }
}

/// Forces what must not be lost to the disk, unless nothing is.
pub(super) fn sync_as_told(holder: &mut Holder) -> Result<(), Error> {
    if holder.settings.fsync == Fsync::Never { Ok(()) } else { holder.sync() }
}
