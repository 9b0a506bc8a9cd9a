//! A door to the guard: secrets, and what of a stream reaches the caller.

use std::sync::Arc;

use bytes::Bytes;

use crate::guard::{Coding, Decoder, Frames, Needles, Scrubber, StandIn};
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
        let mut scrubber = Scrubber::new(Arc::clone(&self.0));
        for piece in pieces {
            out(scrubber.feed(piece, false, &stand_in));
        }
        out(scrubber.finish(&stand_in));
        scrubber.take_hits()
    }

    /// The same for WebSocket frames; `None` where they can't be read.
    pub fn frames(&self, pieces: impl IntoIterator<Item = Bytes>) -> Option<(Vec<u8>, u32)> {
        let mut frames = Frames::new(Scrubber::new(Arc::clone(&self.0)));
        let mut out = Vec::new();
        for piece in pieces {
            frames.feed(piece, &mut out, &stand_in).ok()?;
        }
        frames.finish(&mut out, &stand_in);
        Some((out, frames.take_hits()))
    }
}

fn stand_in() -> StandIn {
    StandIn { prefix: "ghp_".to_owned(), tail: "PlaceholderPlaceholderPlaceholder012".to_owned() }
}

/// What `bytes`, coming in pieces of `size`, are behind the content coding of this name, up to 1 MiB; `None` where they are nothing, or more.
pub fn decoded(coding: &str, bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(&[Coding::named(coding.as_bytes())??])?;
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(piece) = decoder.next().ok()? {
            out.extend_from_slice(&piece);
            if out.len() > 1024 * 1024 {
                return None;
            }
        }
    }
    decoder.finish().ok()?;
    Some(out)
}
