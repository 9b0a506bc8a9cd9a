//! `Ring`: what happened last, in few bytes, for readers that each go at their own pace.

use std::collections::VecDeque;
use std::sync::Arc;

use super::happened::Happened;

/// How much is kept.
const EVENTS: usize = 8_192;
const BYTES: usize = 8 * 1024 * 1024;

/// The last things that happened, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    kept: VecDeque<Arc<Happened>>,
    bytes: usize,
    /// The place of the oldest.
    from: u64,
    /// The number of the last line that is not among them any more, or was before they began.
    before: u64,
    /// The number of the newest line.
    newest: u64,
}

impl Ring {
    /// Lines from number `seq` on will follow, some of which may be here: begins anew where others are missing between.
    pub(super) fn resume(&mut self, seq: u64) {
        if seq > self.newest.saturating_add(1) || self.newest == 0 {
            self.clear();
            self.before = seq.saturating_sub(1);
        }
    }

    /// Forgets all. Who reads goes on at the same place.
    pub(super) fn clear(&mut self) {
        self.from += self.kept.len() as u64;
        self.kept = VecDeque::new();
        (self.bytes, self.before, self.newest) = (0, 0, 0);
    }

    /// Takes in what is not here yet.
    pub(super) fn push(&mut self, happened: Happened) {
        if happened.seq <= self.newest {
            return;
        }
        self.newest = happened.seq;
        self.bytes += size(&happened);
        self.kept.push_back(Arc::new(happened));
        while self.kept.len() > EVENTS || self.bytes > BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= size(&oldest);
            (self.from, self.before) = (self.from + 1, oldest.seq);
        }
    }

    /// The place behind the newest.
    pub(super) fn end(&self) -> u64 {
        self.from + self.kept.len() as u64
    }

    /// The place of the last `count`, or of the oldest that is here: nobody was promised what was before.
    pub(super) fn last(&self, count: u64) -> u64 {
        self.end().saturating_sub(count).max(self.from)
    }

    /// Up to `most` from place `at` on, and how many of those before are not kept any more.
    pub(super) fn read(&self, at: u64, most: usize) -> (Vec<Arc<Happened>>, u64) {
        let lost = self.from.saturating_sub(at);
        let skip = usize::try_from(at.saturating_sub(self.from)).unwrap_or(usize::MAX);
        (self.kept.iter().skip(skip).take(most).cloned().collect(), lost)
    }

    /// The place behind line number `seq`, and whether all that came after it is here.
    pub(super) fn after(&self, seq: u64) -> (u64, bool) {
        let known = self.kept.partition_point(|happened| happened.seq <= seq);
        (self.from + known as u64, seq >= self.before)
    }
}

/// About what it takes: its words are in it twice.
fn size(happened: &Happened) -> usize {
    2 * happened.json.len() + 512
}

#[cfg(test)]
mod tests {
    use super::super::happened::Joiner;
    use super::*;

    fn happened(seq: u64, more: usize) -> Happened {
        let line = format!(
            r#"{{"v":1,"event":"refuse","id":"I{seq}","path":"/{}","src":"a:1","seq":{seq},"prev":"{}"}}"#,
            "x".repeat(more),
            "0".repeat(64)
        );
        Joiner::default().take(&line).expect("a request")
    }

    #[test]
    fn i7_it_is_bounded_and_says_what_is_lost() {
        let mut ring = Ring::default();
        for seq in 1..=EVENTS as u64 + 10 {
            ring.push(happened(2 * seq, 0));
        }
        let (read, lost) = ring.read(3, 5);
        assert_eq!((read.len(), read[0].seq, lost), (5, 22, 7));
        assert_eq!(ring.read(ring.end(), 5).0.len(), 0);
        for seq in 0..100 {
            ring.push(happened(100_000 + seq, 200_000));
        }
        assert!(ring.bytes <= BYTES && !ring.kept.is_empty() && ring.end() == EVENTS as u64 + 110);
    }

    #[test]
    fn what_was_forgotten_before_somebody_came_is_no_gap() {
        let mut ring = Ring::default();
        for seq in 1..=20 {
            ring.push(happened(seq, 0));
        }
        ring.clear();
        for seq in 101..=103 {
            ring.push(happened(seq, 0));
        }
        let (read, lost) = ring.read(ring.last(1_000), 50);
        assert_eq!((read.len(), lost, ring.last(2), ring.last(0)), (3, 0, 21, 23));
        // What was missed by who watched is one.
        assert_eq!(ring.read(15, 50).1, 5);
    }

    #[test]
    fn who_comes_back_goes_on_where_they_were() {
        let mut ring = Ring::default();
        ring.resume(101);
        for seq in [103, 105, 110] {
            ring.push(happened(seq, 0));
        }
        assert_eq!((ring.after(100), ring.after(99)), ((0, true), (0, false)));
        assert_eq!((ring.after(104), ring.after(110), ring.after(500)), ((1, true), (3, true), (3, true)));
        ring.resume(90);
        ring.push(happened(105, 0));
        assert_eq!(ring.end(), 3, "the same again");
        ring.resume(200);
        assert_eq!((ring.after(110), ring.end()), ((3, false), 3));
    }
}
