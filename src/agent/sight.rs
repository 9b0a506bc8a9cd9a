//! Where placeholders could be in a text: at the end of long runs of letters and digits. Nearly no text has any.

use super::placeholder::TAIL;

/// The last 36 bytes of each run of at least as many letters and digits.
///
/// It looks at the end of each window first, and goes on behind what can't be in a run: a fifth of the bytes of ordinary text are looked at.
pub(crate) fn tails(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let window = text.get(at..)?.get(..TAIL)?;
            if let Some(last) = window.iter().rposition(|byte| !byte.is_ascii_alphanumeric()) {
                at += last + 1;
                continue;
            }
            let rest = text.get(at + TAIL..).unwrap_or_default();
            let more = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let end = at + TAIL + more;
            at = end;
            return text.get(end - TAIL..end);
        }
    })
}

/// The same for a text that comes in pieces, a run over their borders included.
#[derive(Debug, Default)]
pub(crate) struct Runs(Vec<u8>);

impl Runs {
    /// Takes the next piece, and shows `see` what ends in it. A run that goes on is shown as far as it is there: the last piece of a text
    /// says nothing of being the last.
    pub(crate) fn feed(&mut self, piece: &[u8], mut see: impl FnMut(&[u8])) {
        let mut text = piece;
        if !self.0.is_empty() {
            let more = piece.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(piece.len());
            let (run, rest) = piece.split_at_checked(more).unwrap_or((piece, &[]));
            self.keep(run);
            if self.0.len() == TAIL && !run.is_empty() {
                see(&self.0);
            }
            if rest.is_empty() {
                return;
            }
            self.0.clear();
            text = rest;
        }
        tails(text).for_each(&mut see);
        let start = text.iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |last| last + 1);
        self.keep(text.get(start..).unwrap_or_default());
    }

    /// The end of the run so far.
    fn keep(&mut self, run: &[u8]) {
        self.0.extend_from_slice(run.get(run.len().saturating_sub(TAIL)..).unwrap_or_default());
        self.0.drain(..self.0.len().saturating_sub(TAIL));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "Abcdefghijklmnopqrstuvwxyz0123456789";

    fn seen(text: &str) -> Vec<String> {
        tails(text.as_bytes()).map(|tail| String::from_utf8_lossy(tail).into_owned()).collect()
    }

    #[test]
    fn the_end_of_every_long_run_is_seen_and_nothing_else() {
        for text in [
            ONE.to_owned(),
            format!("ghp_{ONE}"),
            format!("ATATT{ONE}\n"),
            format!("{{\"a\":\"x-{ONE}\"}}"),
            format!("{}.{ONE}.x", &ONE[1..]),
        ] {
            assert_eq!(seen(&text), [ONE], "{text}");
        }
        assert_eq!(seen(&format!("{ONE},{ONE}")).len(), 2);
        for text in ["", "a", &ONE[1..], "to be or not to be, that is the question; whether it is nobler in the mind"] {
            assert_eq!(seen(text), [""; 0], "{text}");
        }
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_a_placeholder_in_it_is_seen(
            before in "[ -~]{0,80}", after in "([^a-zA-Z0-9][ -~]{0,80})?", cuts in prop::collection::vec(0_usize..200, 0..6),
        ) {
            let text = format!("{before}{ONE}{after}");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let mut runs = Runs::default();
            let mut found = false;
            for pair in cuts.windows(2) {
                runs.feed(&text.as_bytes()[pair[0]..pair[1]], |tail| found |= tail == ONE.as_bytes());
            }
            prop_assert!(found, "{text}");
            prop_assert!(tails(text.as_bytes()).any(|tail| tail == ONE.as_bytes()));
        }
    }
}
