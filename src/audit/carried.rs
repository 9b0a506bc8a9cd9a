//! What a [`Holder`] finds when it takes the chain over: lines that no head covers. They are signed from now on, so it is said first.
//!
//! A process that is killed leaves such lines, and so does whoever adds some while no proxy is up: one can't be told from the other.

use super::error::Error;
use super::holder::Holder;
use super::line;
use super::rotation::sync_as_told;
use super::turn::{Pace, Turn};

impl Holder {
    /// Takes what dead processes left, and tells of all that was not signed.
    pub(super) fn take_over(&mut self) -> Result<(), Error> {
        if self.settings.head_key.is_none() {
            return Ok(());
        }
        self.inheriting = true;
        let taken = self.gather(&Turn::begin(Pace::Brisk), |holder, id, source| holder.is_left(id, source));
        self.inheriting = false;
        taken?;
        self.carry()
    }

    /// Says which lines have no head, before one is signed that covers them.
    pub(super) fn carry(&mut self) -> Result<(), Error> {
        let Some(from) = self.unsigned.filter(|&from| from < self.link.seq) else { return Ok(()) };
        let through = self.link.seq - 1;
        if self.segment.length == 0 {
            self.next_segment()?;
        }
        let (first, last) = (from.to_string(), through.to_string());
        let mut text = Vec::new();
        line::write_event(&mut text, "carried", &[("from", &first), ("through", &last)], &mut self.clock);
        self.append_signed(text)?;
        self.unsigned = None;
        sync_as_told(self)?;
        tracing::warn!(
            from,
            through,
            "lines of the audit log were not signed when they were found, and are carried on: a proxy was killed, or somebody added them"
        );
        Ok(())
    }
}
