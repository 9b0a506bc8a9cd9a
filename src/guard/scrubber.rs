//! `Scrubber`: one stream of bytes, in which spellings of secrets are replaced as it passes.

use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::needles::{Needles, Run};

/// What stands in place of a secret: a placeholder.
#[derive(Debug, Clone, Default)]
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
    /// What stands in for these secrets, where that isn't for the stream to say.
    own: Option<StandIn>,
    /// What looks for others in what comes out of this.
    next: Option<Box<Self>>,
}

impl Scrubber {
    /// For a stream in which `needles` are looked for.
    pub(crate) fn new(needles: Arc<Needles>) -> Self {
        Self { needles, kept: Zeroizing::default(), gone: 0, hits: 0, own: None, next: None }
    }

    /// For a stream in which each of these is looked for; `None`: nothing is.
    pub(crate) fn each<'n>(own: impl Iterator<Item = &'n Arc<Needles>>) -> Option<Self> {
        own.fold(None, |next, needles| Some(Self { next: next.map(Box::new), ..Self::new(Arc::clone(needles)) }))
    }

    /// For a stream in which each of these is looked for, with what stands in for it, and what `before` looks for; `None`: nothing is.
    pub(crate) fn all(before: Option<Self>, others: Vec<(Arc<Needles>, StandIn)>) -> Option<Self> {
        others.into_iter().fold(before, |next, (needles, stand_in)| {
            Some(Self { own: Some(stand_in), next: next.map(Box::new), ..Self::new(needles) })
        })
    }

    /// What it looks for besides the stream's own, and what stands in for each.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&Needles, &StandIn)> {
        let all = std::iter::successors(Some(self), |one| one.next.as_deref());
        all.filter_map(|one| Some((&*one.needles, one.own.as_ref()?)))
    }

    /// One for another stream.
    pub(super) fn another(&self) -> Self {
        let next = self.next.as_ref().map(|next| Box::new(next.another()));
        Self { own: self.own.clone(), next, ..Self::new(Arc::clone(&self.needles)) }
    }

    /// How many spellings were replaced since this was last asked.
    pub(crate) fn take_hits(&mut self) -> u32 {
        let later = self.next.as_mut().map_or(0, |next| next.take_hits());
        std::mem::take(&mut self.hits).saturating_add(later)
    }

    /// Takes the next piece, and gives what can go out. `last`: no other follows, so nothing is held back.
    pub(crate) fn feed(&mut self, piece: Bytes, last: bool, stand_in: &dyn Fn() -> StandIn) -> Bytes {
        let piece = self.feed_this(piece, last, stand_in);
        match &mut self.next {
            Some(next) => next.feed(piece, last, stand_in),
            None => piece,
        }
    }

    fn feed_this(&mut self, piece: Bytes, last: bool, stand_in: &dyn Fn() -> StandIn) -> Bytes {
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
        self.kept.len() - self.gone + self.next.as_ref().map_or(0, |next| next.held())
    }

    /// What was held back; the stream has ended.
    pub(crate) fn finish(&mut self, stand_in: &dyn Fn() -> StandIn) -> Bytes {
        let rest = self.finish_this();
        match &mut self.next {
            Some(next) => next.feed(rest, true, stand_in),
            None => rest,
        }
    }

    fn finish_this(&mut self) -> Bytes {
        let kept = std::mem::take(&mut self.kept);
        let gone = std::mem::take(&mut self.gone);
        Bytes::copy_from_slice(kept.get(gone..).unwrap_or_default())
    }

    #[cold]
    fn replaced(&mut self, text: &[u8], runs: &[Run], gone: usize, stand_in: &dyn Fn() -> StandIn) -> Bytes {
        let stand_in = self.own.clone().unwrap_or_else(stand_in);
        self.hits = self.hits.saturating_add(u32::try_from(runs.len()).unwrap_or(u32::MAX));
        Bytes::from(self.needles.replace(text, runs, gone, &stand_in))
    }
}
