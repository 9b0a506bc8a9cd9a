//! The guard on one response: the secrets that its request was sent with don't reach the caller in its body.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::worker::Proxy;
use crate::agent::Agent;
use crate::broker::Permit;
use crate::guard::{Scrubber, StandIn};

/// What is looked at of a body that doesn't say that it is text. A caller can often choose the type.
const LOOKED_AT: u64 = 8 * 1024 * 1024;

/// A body on its way through the guard.
pub(super) struct Guarded {
    scrubber: Scrubber,
    owner: Owner,
    /// How much more is looked at; `None`: all of it.
    left: Option<u64>,
    /// What came and was not looked at yet, and whether it is the last of the body.
    input: Bytes,
    last: bool,
}

/// Whose placeholder stands in for a secret.
struct Owner {
    proxy: Arc<Proxy>,
    agent: Arc<Agent>,
}

impl Owner {
    fn stand_in(&self, permit: &Permit) -> StandIn {
        let Self { proxy, agent } = self;
        let made = |placeholder: &&crate::provider::Placeholder| !placeholder.fixed && placeholder.file.is_none();
        let prefix = permit.provider().placeholders.iter().find(made).map(|placeholder| placeholder.prefix.clone());
        let tail = proxy.placeholders.tail_since(&agent.name, permit.connection(), permit.captured_since());
        StandIn { prefix: prefix.unwrap_or_default(), tail }
    }
}

impl Guarded {
    /// A response with these fields to a request of `agent` with `permit`; `None` where nothing is looked for.
    pub(super) fn new(proxy: &Arc<Proxy>, agent: Arc<Agent>, permit: &Permit, headers: &HeaderMap) -> Option<Box<Self>> {
        let needles = permit.prepared().needles();
        if needles.is_empty() {
            return None;
        }
        let scrubber = Scrubber::new(Arc::clone(needles));
        let left = (!is_text(headers)).then_some(LOOKED_AT);
        let owner = Owner { proxy: Arc::clone(proxy), agent };
        Some(Box::new(Self { scrubber, owner, left, input: Bytes::new(), last: false }))
    }

    /// Takes what came; `last`: it is the end of the body.
    pub(super) fn push(&mut self, data: Bytes, last: bool) {
        debug_assert!(self.input.is_empty(), "what came before has been looked at");
        (self.input, self.last) = (data, last);
    }

    /// The next piece for the caller of what came; `None` once more must come.
    pub(super) fn next(&mut self, permit: &Permit) -> Option<Bytes> {
        while !self.input.is_empty() {
            let piece = std::mem::take(&mut self.input);
            let piece = self.scrub(piece, permit);
            if !piece.is_empty() {
                return Some(piece);
            }
        }
        None
    }

    /// How many secrets were replaced since this was last asked.
    pub(super) fn take_hits(&mut self) -> u32 {
        self.scrubber.take_hits()
    }

    /// What was held back; no more data will come.
    pub(super) fn rest(&mut self) -> Option<Bytes> {
        Some(self.scrubber.finish()).filter(|rest| !rest.is_empty())
    }

    /// How many bytes of what came have not gone to the caller.
    pub(super) fn held(&self) -> usize {
        self.input.len() + self.scrubber.held()
    }

    fn scrub(&mut self, piece: Bytes, permit: &Permit) -> Bytes {
        let over = match &mut self.left {
            Some(0) => return piece,
            Some(left) => {
                *left = left.saturating_sub(piece.len() as u64);
                *left == 0
            }
            None => false,
        };
        self.scrubber.feed(piece, over || self.last, &|| self.owner.stand_in(permit))
    }
}

/// Whether a body says that it is text, or messages with text in them.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return true };
    let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    const WORDS: [&[u8]; 9] =
        [b"json", b"xml", b"script", b"urlencoded", b"event-stream", b"yaml", b"graphql", b"grpc", b"multipart/"];
    kind.starts_with(b"text/") || WORDS.iter().any(|word| memchr::memmem::find(&kind, word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_known_by_its_type() {
        let says = |kind: &'static str| is_text(&HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(kind))]));
        for kind in [
            "text/plain; charset=utf-8",
            "Application/JSON",
            "application/problem+json",
            "application/atom+xml",
            "text/event-stream",
            "application/javascript",
            "application/x-www-form-urlencoded",
            "application/x-ndjson",
            "application/grpc+proto",
        ] {
            assert!(says(kind), "{kind}");
        }
        for kind in ["application/octet-stream", "image/png", "application/zip", "video/mp4", "application/pdf"] {
            assert!(!says(kind), "{kind}");
        }
        assert!(is_text(&HeaderMap::new()), "who says nothing may send text");
    }
}
