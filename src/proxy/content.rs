//! What is inside a request body, where a credential may stand there: the whole body at hand, without what the caller put into the slots.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::canary::Place;
use super::load::Room;
use super::outbound::Outbound;
use super::refusal::Refusal;
use super::replay::{Fault, Inflow};
use super::worker::Worker;
use crate::broker::Permit;
use crate::decide::{Occupants, Reason};
use crate::head::{Malformed, check_trailers};
use crate::model::Target;
use crate::provider::{BodyError, ChunkError, InjectError, Plan, Slot, slots_in_body, strip_body};

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    /// RFC 9110 §15.5.14.
    #[error("the body is too large to be looked into, which this service's credential needs")]
    TooLarge,
    /// The same of what a token endpoint is asked.
    #[error("a token request is at most 64 KiB")]
    LongTokenRequest,
    /// RFC 9110 §15.5.9.
    #[error("the body did not come in time")]
    Late,
    /// It ended before its end.
    #[error("the body broke off")]
    Broken,
    /// It can't be looked into.
    #[error(transparent)]
    Unreadable(#[from] BodyError),
    /// The caller's own signature can't be made anew.
    #[error("the request can't be signed; {0}")]
    Unsignable(#[source] InjectError),
    /// The same of the signed chunks of its body.
    #[error("the request can't be signed; {0}")]
    Chunks(#[source] ChunkError),
}

impl ContentError {
    /// The stable word of the refusal.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::TooLarge | Self::LongTokenRequest => "limit",
            Self::Late => "timeout",
            Self::Broken | Self::Unreadable(_) | Self::Unsignable(_) | Self::Chunks(_) => "malformed",
        }
    }

    /// RFC 9110 §15.5.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge | Self::LongTokenRequest => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Unreadable(_) | Self::Unsignable(_) | Self::Chunks(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// What to do now.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::TooLarge => "Send a smaller one; the operator can change limits.content.",
            Self::LongTokenRequest => {
                "Nexus obtains and renews the tokens itself: send the grant alone, or no token request at all."
            }
            Self::Late | Self::Broken => "Send the whole request again.",
            Self::Unsignable(_) => {
                "Let the SDK sign with the placeholder keys of `nexus env`, or not at all; Nexus signs anew."
            }
            Self::Chunks(_) => "Let the SDK send it again, or send a body that is not in signed chunks.",
            Self::Unreadable(_) => {
                "A credential may stand in the body of requests to this service, so Nexus reads it before it goes on."
            }
        }
    }
}

/// Bodies up to this size are read whole where one that holds a placeholder is refused: of what is at hand nothing needs to leave first.
const SMALL: u64 = 64 * 1024;

fn is_small(body: &Inflow) -> bool {
    body.length().is_some_and(|length| length > 0 && length <= SMALL)
}

/// What the caller's own signature says, while it is still there.
pub(super) fn plan(permit: Option<&Permit>, target: &Target, headers: &HeaderMap) -> Result<Plan, Refusal> {
    let Some(permit) = permit else { return Ok(Plan::default()) };
    permit.prepared().plan(headers, target).map_err(|error| ContentError::Unsignable(error).into())
}

impl Worker {
    /// Room for what is held of the bodies of `agent`.
    pub(super) fn room(&self, agent: &Arc<str>) -> Room {
        self.proxy.loads.of(agent).room(self.proxy.settings.content.saturating_mul(AT_ONCE))
    }

    /// The body that goes on: `incoming` as it streams, or all of it with the slots in it empty and its length said anew. What was not
    /// taken when it fails is left in `incoming`.
    pub(super) async fn look_inside(
        &self,
        incoming: &mut Option<Inflow>,
        outbound: &mut Outbound,
        occupants: Option<&Occupants>,
        permit: Option<&Permit>,
    ) -> Result<Inflow, Refusal> {
        if permit.is_some_and(|permit| permit.provider().signals.look_at_bodies()) {
            // The answer will be judged by its text.
            outbound.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let slots = occupants.map(|occupants| occupants.slots.as_slice()).unwrap_or_default();
        let needed = permit.is_some_and(|permit| permit.prepared().needs_body(&outbound.headers, &outbound.plan));
        let rule = permit.and_then(|permit| permit.provider().inject.get(permit.rule()));
        let named = rule.is_some_and(|rule| rule.needs_body_for_actions(&outbound.headers, outbound.plan.service()));
        let small = self.would_refuse() && incoming.as_ref().is_some_and(|body| !body.is_whole() && is_small(body));
        if needed || named || small || slots_in_body(slots, &outbound.headers) {
            // Rare, and its state is large.
            return Box::pin(self.take_whole(incoming, outbound, slots, permit)).await;
        }
        if rule.is_some_and(|rule| rule.mints_by_content(&outbound.headers, b"")) {
            return Err(Refusal::Policy(Reason::Mint));
        }
        incoming.take().ok_or(Refusal::Draining)
    }

    async fn take_whole(
        &self,
        incoming: &mut Option<Inflow>,
        outbound: &mut Outbound,
        slots: &[Slot],
        permit: Option<&Permit>,
    ) -> Result<Inflow, Refusal> {
        let settings = &self.proxy.settings;
        let mut room = self.room(&outbound.agent);
        let gathering = gather(incoming.as_mut().ok_or(Refusal::Draining)?, settings.content, &mut room);
        let body = timeout(settings.idle_timeout, gathering).await.map_err(|_elapsed| ContentError::Late)??;
        let rule = permit.and_then(|permit| permit.provider().inject.get(permit.rule()));
        if rule.is_some_and(|rule| rule.mints_by_content(&outbound.headers, &body)) {
            return Err(Refusal::Policy(Reason::Mint));
        }
        let stripped = strip_body(slots, &outbound.headers, &body).map_err(ContentError::from)?;
        let body = held(stripped.unwrap_or(body), room);
        // Told now, while it can be said what is wrong with the request.
        if let Some(Err(InjectError::Body(why))) = permit.map(|permit| permit.prepared().body(&outbound.headers, &body)) {
            return Err(ContentError::Unreadable(why).into());
        }
        if !body.is_empty() || outbound.headers.contains_key(CONTENT_LENGTH) {
            outbound.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        Ok(Inflow::Whole(body))
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed(malformed) => Self::Malformed(malformed),
            Fault::Chunks(error) => ContentError::Chunks(error).into(),
            Fault::Canary => Self::Canary(Place::Body),
            Fault::Room => Self::Limit("bytes of this agent's request bodies at once"),
        }
    }
}

/// A body at hand, and the room that it takes.
struct Held {
    bytes: Zeroizing<Vec<u8>>,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that are wiped when the last copy is dropped.
pub(super) fn owned(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(bytes)
}

/// The same, of a body that takes `room` until then.
pub(super) fn held(bytes: Zeroizing<Vec<u8>>, room: Room) -> Bytes {
    Bytes::from_owner(Held { bytes, _room: room })
}

/// How many bodies of the largest size an agent may have gathered at once.
const AT_ONCE: usize = 4;
/// Of this much it is told whether it says enough.
const BEGINNING: usize = 256;
/// More members, items or fields cost more than their bytes.
const MAX_PIECES: usize = 1_000_000;

/// Reads all of `incoming`; trailers, which a body that may change can't keep, are checked and dropped.
pub(super) async fn gather(incoming: &mut Inflow, limit: usize, room: &mut Room) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut body = Zeroizing::new(Vec::new());
    gather_into(&mut body, incoming, limit, room).await?;
    let pieces = memchr::memchr3_iter(b',', b'&', b';', &body).take(MAX_PIECES + 1).count();
    if pieces > MAX_PIECES { Err(ContentError::TooLarge.into()) } else { Ok(body) }
}

/// Whether the beginning of a body says enough.
pub(super) type Enough<'e> = &'e dyn Fn(&[u8]) -> bool;

/// How far a body was read.
pub(super) enum Gathered {
    All,
    /// Its beginning says enough.
    Enough,
}

/// The same into `body`, which has all that was read whatever comes of it: at most one piece more than `limit`.
pub(super) async fn gather_into(
    body: &mut Zeroizing<Vec<u8>>,
    incoming: &mut Inflow,
    limit: usize,
    room: &mut Room,
) -> Result<(), Refusal> {
    gather_while(body, incoming, (limit, &|_first| false), room).await.map(drop)
}

/// The same, until `enough` says that nothing more has to be known.
pub(super) async fn gather_while(
    body: &mut Zeroizing<Vec<u8>>,
    incoming: &mut Inflow,
    (limit, enough): (usize, Enough<'_>),
    room: &mut Room,
) -> Result<Gathered, Refusal> {
    let mut take = |data: &[u8]| {
        let fits = room.grow(data.len());
        body.extend_from_slice(data);
        match body.len() {
            size if size > limit => Err(Refusal::from(ContentError::TooLarge)),
            _ if !fits => Err(Fault::Room.into()),
            _ => Ok(enough(body.get(..BEGINNING).unwrap_or(body))),
        }
    };
    if take(incoming.at_hand())? {
        return Ok(Gathered::Enough);
    }
    match incoming {
        Inflow::Whole(_) => {}
        Inflow::Stream(stream) | Inflow::Begun(_, stream) => {
            while let Some(frame) = stream.frame().await {
                let frame = frame
                    .map_err(|cause| Malformed::in_chain(&cause).map_or(ContentError::Broken.into(), Refusal::Malformed))?;
                match frame.into_data() {
                    Ok(data) if take(&data)? => return Ok(Gathered::Enough),
                    Ok(_data) => {}
                    Err(frame) => frame.into_trailers().map_or(Ok(()), |trailers| check_trailers(&trailers))?,
                }
            }
        }
    }
    Ok(Gathered::All)
}
