//! A door to the guard: secrets, and what of a stream reaches the caller.

use std::sync::Arc;

use bytes::Bytes;

use crate::guard::{Needles, Scrubber, StandIn};
use crate::model::Secret;

/// Secrets that are looked for.
#[derive(Debug, Clone)]
pub struct Scrubbing(Arc<Needles>);

impl Scrubbing {
    /// Compiles `secrets`; short ones are not looked for.
    pub fn of(secrets: &[&str]) -> Self {
        let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
        Self(Arc::new(Needles::new(&secrets)))
    }

    /// What reaches the caller of a stream that comes in these pieces, and how many secrets were replaced.
    pub fn scrub(&self, pieces: impl IntoIterator<Item = Bytes>, mut out: impl FnMut(Bytes)) -> u32 {
        let stand_in = || StandIn { prefix: "ghp_".to_owned(), tail: "PlaceholderPlaceholderPlaceholder012".to_owned() };
        let mut scrubber = Scrubber::new(Arc::clone(&self.0));
        for piece in pieces {
            out(scrubber.feed(piece, false, &stand_in));
        }
        out(scrubber.finish());
        scrubber.take_hits()
    }
}
