//! `Ample`: large buffers for a few streams at a time, so that however many stand still, they hold little.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many streams may have large buffers for one purpose.
const FEW: usize = 16;

/// Leave to have a large buffer, as long as this lives.
#[derive(Debug)]
pub(crate) struct Ample {
    taken: &'static AtomicUsize,
}

impl Ample {
    /// Takes leave among those that are counted in `taken`, which is one purpose's; `None` where a few have it.
    pub(crate) fn take(taken: &'static AtomicUsize) -> Option<Self> {
        let more = |count: usize| (count < FEW).then_some(count + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_before| Self { taken })
    }
}

impl Drop for Ample {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_have_leave_at_a_time() {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let mut few: Vec<_> = (0..FEW).filter_map(|_| Ample::take(&TAKEN)).collect();
        assert_eq!((few.len(), Ample::take(&TAKEN).is_some()), (FEW, false));
        few.pop();
        assert!(Ample::take(&TAKEN).is_some(), "and that is given back at once");
        assert_eq!(TAKEN.load(Ordering::Relaxed), FEW - 1);
    }
}
