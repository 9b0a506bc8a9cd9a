//! What is inside a request body, where a credential may stand there: the whole body at hand, without what the caller put into the slots.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::forward::Outbound;
use super::refusal::Refusal;
use super::replay::Inflow;
use super::worker::Worker;
use crate::broker::Permit;
use crate::decide::Occupants;
use crate::head::{Malformed, check_trailers};
use crate::model::Target;
use crate::provider::{BodyError, InjectError, Plan, slots_in_body, strip_body};

/// How large a body may be that is looked into, and how long each next piece of it may take.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    size: usize,
    patience: Duration,
}

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    /// RFC 9110 §15.5.14.
    #[error("the body is too large to be looked into, which this service's credential needs")]
    TooLarge,
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
}

impl ContentError {
    /// What to do now.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::TooLarge => "Send a smaller one; the operator can change limits.content.",
            Self::Late | Self::Broken => "Send the whole request again.",
            Self::Unsignable(_) => {
                "Let the SDK sign with the placeholder keys of `nexus env`, or not at all; Nexus signs anew."
            }
            Self::Unreadable(_) => {
                "A credential may stand in the body of requests to this service, so Nexus reads it before it goes on."
            }
        }
    }
}

/// What the caller's own signature says, while it is still there.
pub(super) fn plan(permit: Option<&Permit>, target: &Target, headers: &HeaderMap) -> Result<Plan, Refusal> {
    let Some(permit) = permit else { return Ok(Plan::default()) };
    let plan = permit.prepared().plan(headers, &target.path, &target.authority.as_written(target.scheme));
    plan.map_err(|error| ContentError::Unsignable(error).into())
}

impl Worker {
    /// The body that goes on: `incoming` as it streams, or all of it with the slots in it empty and its length said anew.
    pub(super) async fn look_inside(
        &self,
        incoming: Inflow,
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
        if !needed && !slots_in_body(slots, &outbound.headers) {
            return Ok(incoming);
        }
        let settings = &self.proxy.settings;
        let body = gather(incoming, Bounds { size: settings.content, patience: settings.idle_timeout }).await?;
        let stripped = strip_body(slots, &outbound.headers, &body).map_err(ContentError::from)?;
        let body = stripped.map_or(body, owned);
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

/// Bytes that are wiped when the last copy is dropped.
pub(super) fn owned(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(bytes)
}

/// Reads all of `incoming`; trailers, which a body that may change can't keep, are checked and dropped.
async fn gather(incoming: Inflow, bounds: Bounds) -> Result<Bytes, Refusal> {
    let mut stream = match incoming {
        Inflow::Whole(bytes) if bytes.len() > bounds.size => return Err(ContentError::TooLarge.into()),
        Inflow::Whole(bytes) => return Ok(bytes),
        Inflow::Stream(stream) => stream,
    };
    let mut body = Zeroizing::new(Vec::new());
    while let Some(frame) = timeout(bounds.patience, stream.frame()).await.map_err(|_elapsed| ContentError::Late)? {
        let frame =
            frame.map_err(|cause| Malformed::in_chain(&cause).map_or(ContentError::Broken.into(), Refusal::Malformed))?;
        match frame.into_data() {
            Ok(data) if body.len() + data.len() > bounds.size => return Err(ContentError::TooLarge.into()),
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    check_trailers(&trailers)?;
                }
            }
        }
    }
    Ok(owned(body))
}
