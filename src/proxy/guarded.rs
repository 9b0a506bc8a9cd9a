//! The guard on one response: the secrets that its request was sent with don't reach the caller in its body.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SEC_WEBSOCKET_EXTENSIONS, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::coded;
use super::fields;
use super::outbound::Outbound;
use super::refusal::Refusal;
use super::replay::RequestBody;
use super::scrubbed::Guard;
use super::worker::{Proxy, Worker};
use crate::agent::Agent;
use crate::audit::Entry;
use crate::broker::Permit;
use crate::guard::{Decoder, Error, Needles, Scrubber, StandIn};
use crate::upstream::Sent;

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
    /// Where it is coded.
    decoder: Option<Box<Decoder>>,
    /// All that came is decoded, and nothing is missing.
    settled: bool,
    found: bool,
}

/// Whose placeholder stands in for a secret.
pub(super) struct Owner {
    pub(super) proxy: Arc<Proxy>,
    pub(super) agent: Arc<Agent>,
}

impl Owner {
    /// What looks for the secrets of `permit`, and for others of the agent where that is wanted; `None` where nothing is looked for.
    pub(super) fn scrubber(&self, permit: Option<&Permit>) -> Option<Scrubber> {
        let Self { proxy, agent } = self;
        if !proxy.guards(agent, permit) {
            return None;
        }
        let needles = || permit.into_iter().flat_map(Permit::needles);
        let own = Scrubber::each(needles());
        if !proxy.settings.scrub_for_agent {
            return own;
        }
        let is_own = |other: &Arc<Needles>| needles().any(|own| Arc::ptr_eq(own, other));
        Scrubber::all(own, proxy.carried.others(agent, is_own))
    }

    /// The agent's request goes out with `permit`.
    pub(super) fn note(&self, permit: &Permit) {
        if self.proxy.settings.scrub_for_agent {
            self.proxy.carried.note(&self.agent, permit.prepared().needles(), || self.stand_in(Some(permit)));
        }
    }

    pub(super) fn stand_in(&self, permit: Option<&Permit>) -> StandIn {
        // Each scrubber of another permit's has its own.
        permit.map_or_else(StandIn::default, |permit| self.proxy.stand_in(&self.agent, permit))
    }
}

impl Proxy {
    /// What `agent` sees in place of a secret of `permit`.
    pub(super) fn stand_in(&self, agent: &Agent, permit: &Permit) -> StandIn {
        let made = |placeholder: &&crate::provider::Placeholder| !placeholder.fixed && placeholder.file.is_none();
        let prefix = permit.provider().placeholders.iter().find(made).map(|placeholder| placeholder.prefix.clone());
        let tail = self.placeholders.tail_since(&agent.name, permit.connection(), permit.captured_since());
        StandIn { prefix: prefix.unwrap_or_default(), tail }
    }
}

impl Guarded {
    /// A response with these fields to a request with `permit`; `None` where nothing is looked for.
    pub(super) fn new(
        owner: Owner,
        permit: Option<&Permit>,
        decoder: Option<Box<Decoder>>,
        headers: &HeaderMap,
    ) -> Option<Box<Self>> {
        let scrubber = owner.scrubber(permit)?;
        let left = (!is_text(headers)).then_some(LOOKED_AT);
        Some(Box::new(Self { scrubber, owner, left, input: Bytes::new(), last: false, decoder, settled: true, found: false }))
    }

    /// Takes what came; `last`: it is the end of the body.
    pub(super) fn push(&mut self, data: Bytes, last: bool) {
        self.last = last;
        match &mut self.decoder {
            Some(decoder) => decoder.push(data),
            None => self.input = data,
        }
        self.settled = false;
    }

    /// The next piece for the caller of what came; `None` once more must come.
    ///
    /// # Errors
    /// What came can't be decoded.
    pub(super) fn next(&mut self, permit: Option<&Permit>) -> Result<Option<Bytes>, Error> {
        while !self.settled {
            let piece = match &mut self.decoder {
                None => Some(std::mem::take(&mut self.input)),
                Some(decoder) => decoder.next()?,
            };
            let piece = match piece {
                Some(piece) => self.scrub(piece, permit),
                None if self.last => return self.rest(permit),
                None => break,
            };
            self.settled = self.decoder.is_none();
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// What was held back; no more data will come.
    ///
    /// # Errors
    /// What came is not whole.
    pub(super) fn rest(&mut self, permit: Option<&Permit>) -> Result<Option<Bytes>, Error> {
        self.decoder.as_ref().map_or(Ok(()), |decoder| decoder.finish())?;
        self.settled = true;
        let owner = &self.owner;
        Ok(Some(self.scrubber.finish(&|| owner.stand_in(permit))).filter(|rest| !rest.is_empty()))
    }

    /// Puts placeholders where fields hold a secret of another request of the agent's; those of its own are the observer's.
    pub(super) fn scrub_others(&self, headers: &mut HeaderMap) -> u32 {
        let others = self.scrubber.others();
        others.fold(0, |hits, (needles, own)| hits.saturating_add(fields::replace(headers, needles, &|| own.clone())))
    }

    /// What stands in for a secret of `permit`.
    pub(super) fn stand_in(&self, permit: Option<&Permit>) -> StandIn {
        self.owner.stand_in(permit)
    }

    /// How many secrets were replaced since this was last asked.
    pub(super) fn take_hits(&mut self) -> u32 {
        self.scrubber.take_hits()
    }

    /// Whether nobody has been told of a find yet.
    pub(super) fn is_first_find(&mut self) -> bool {
        !std::mem::replace(&mut self.found, true)
    }

    /// Whether all that came has gone to the caller.
    pub(super) fn is_settled(&self) -> bool {
        self.settled && self.scrubber.held() == 0
    }

    /// How many bytes will go to the caller of what came; `None` where that can't be known.
    pub(super) fn held(&self) -> Option<usize> {
        self.decoder.is_none().then(|| self.input.len() + self.scrubber.held())
    }

    fn scrub(&mut self, piece: Bytes, permit: Option<&Permit>) -> Bytes {
        let over = match &mut self.left {
            Some(0) => return piece,
            Some(left) => {
                *left = left.saturating_sub(piece.len() as u64);
                *left == 0
            }
            None => false,
        };
        self.scrubber.feed(piece, over || (self.last && self.decoder.is_none()), &|| self.owner.stand_in(permit))
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

impl Worker {
    /// Lets a service answer only in a coding that can be searched, where the guard will look.
    pub(super) fn look_out(&self, agent: &Arc<Agent>, permit: Option<&Permit>, outbound: &mut Outbound) {
        if let Some(permit) = permit.filter(|_| self.proxy.settings.scrub_for_agent) {
            Owner { proxy: Arc::clone(&self.proxy), agent: Arc::clone(agent) }.note(permit);
        }
        if self.proxy.guards(agent, permit) {
            coded::ask_for_known(&mut outbound.headers);
        }
    }

    /// What decodes the body that a guard is to look into.
    pub(super) fn decoder(
        &self,
        sent: &Sent<RequestBody>,
        permit: Option<&Permit>,
        agent: &Agent,
    ) -> Result<Option<Box<Decoder>>, Refusal> {
        if !self.proxy.guards(agent, permit) {
            return Ok(None);
        }
        match coded::decoder(sent.response.status(), sent.response.headers()) {
            // What is not sent needs no decoding.
            Err(_unknown) if sent.bodiless => Ok(None),
            decoder => decoder,
        }
    }

    /// What looks into the body.
    pub(super) fn guard(
        &self,
        agent: Arc<Agent>,
        (permit, decoder): (Option<&Permit>, Option<Box<Decoder>>),
        headers: &mut HeaderMap,
        entry: &mut Entry,
    ) -> Option<Box<Guarded>> {
        if !self.proxy.guards(&agent, permit) {
            return None;
        }
        let guarded = Guarded::new(Owner { proxy: Arc::clone(&self.proxy), agent }, permit, decoder, headers)?;
        entry.guard_hits(guarded.scrub_others(headers));
        Some(guarded)
    }

    /// What looks into a stream that switches to the protocol of `fields`. Extensions of WebSocket were not asked for.
    pub(super) fn guard_switched(
        &self,
        agent: &Arc<Agent>,
        permit: Permit,
        fields: &[(HeaderName, HeaderValue)],
        headers: &mut HeaderMap,
    ) -> Option<Box<Guard>> {
        let owner = Owner { proxy: Arc::clone(&self.proxy), agent: Arc::clone(agent) };
        let is_websocket =
            fields.iter().any(|(name, value)| *name == UPGRADE && value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let guard = Guard::new(owner, permit, is_websocket)?;
        headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        Some(guard)
    }
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
