//! `Scrubber`: one stream of bytes, in which spellings of secrets are replaced as it passes.

use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::needles::{Needles, Run};

/// What stands in place of a secret: a placeholder.
#[derive(Debug, Clone)]
pub(crate) struct StandIn {
    /// What credentials of this kind begin with.
    pub(crate) prefix: String,
    /// What says whose it is.
    pub(crate) tail: String,
}

impl StandIn {
    /// It in so many bytes; the tail is whole where it has room.
    pub(super) fn of_length(&self, length: usize) -> Vec<u8> {
        let Self { prefix, tail } = self;
        let padding = length.saturating_sub(prefix.len() + tail.len());
        let padded = prefix.bytes().chain(std::iter::repeat_n(b'0', padding)).chain(tail.bytes());
        let missing = (prefix.len() + tail.len()).saturating_sub(length);
        padded.skip(missing).take(length).collect()
    }
}

/// One stream of bytes on its way to a caller. As many bytes come out as went in.
#[derive(Debug)]
pub(crate) struct Scrubber {
    needles: Arc<Needles>,
    /// The end of what came, as far as it may be the beginning of a spelling; of that, so much has gone out.
    kept: Zeroizing<Vec<u8>>,
    gone: usize,
    hits: u32,
}

impl Scrubber {
    /// For a stream in which `needles` are looked for.
    pub(crate) fn new(needles: Arc<Needles>) -> Self {
        Self { needles, kept: Zeroizing::default(), gone: 0, hits: 0 }
    }

    /// One for another stream.
    pub(super) fn another(&self) -> Self {
        Self::new(Arc::clone(&self.needles))
    }

    /// How many spellings were replaced since this was last asked.
    pub(crate) fn take_hits(&mut self) -> u32 {
        std::mem::take(&mut self.hits)
    }

    /// Takes the next piece, and gives what can go out. `last`: no other follows, so nothing is held back.
    pub(crate) fn feed(&mut self, piece: Bytes, last: bool, stand_in: &dyn Fn() -> StandIn) -> Bytes {
        let text = if self.kept.is_empty() { piece } else { Bytes::from([self.kept.as_slice(), &piece].concat()) };
        let gone = std::mem::take(&mut self.gone);
        let runs = self.needles.find(&text);
        let after = runs.last().map_or(0, |run| run.end);
        let mut text = if runs.is_empty() { text } else { self.replaced(&text, &runs, gone, stand_in) };
        if last {
            self.kept = Zeroizing::default();
            return text.split_off(gone);
        }
        let tail = self.needles.tail(&text, after);
        let held = tail.held.max(gone);
        self.kept = Zeroizing::new(text.get(tail.kept..).unwrap_or_default().to_vec());
        self.gone = held - tail.kept.min(held);
        text.truncate(held);
        text.split_off(gone)
    }

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> usize {
        self.kept.len() - self.gone
    }

    /// What was held back; the stream has ended.
    pub(crate) fn finish(&mut self) -> Bytes {
        let kept = std::mem::take(&mut self.kept);
        let gone = std::mem::take(&mut self.gone);
        Bytes::copy_from_slice(kept.get(gone..).unwrap_or_default())
    }

    #[cold]
    fn replaced(&mut self, text: &[u8], runs: &[Run], gone: usize, stand_in: &dyn Fn() -> StandIn) -> Bytes {
        let stand_in = stand_in();
        let mut replaced = text.to_vec();
        for run in runs {
            let Some(form) = self.needles.form(*run) else { continue };
            // What has gone out already is known to be too little of it.
            let place = replaced.get_mut(run.start.max(gone)..run.end).unwrap_or_default();
            let text = form.stand_in(&stand_in, run.end - run.start);
            let rest = text.len().saturating_sub(place.len());
            place.iter_mut().zip(text.iter().skip(rest)).for_each(|(old, new)| *old = *new);
            self.hits = self.hits.saturating_add(1);
        }
        Bytes::from(replaced)
    }
}
