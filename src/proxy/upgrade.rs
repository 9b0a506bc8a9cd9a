//! Other protocols over the same stream: `Upgrade` (RFC 9110 §7.8) and extended CONNECT (RFC 8441), relayed as bytes.

use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request};
use hyper::ext::Protocol;
use tokio::io::{AsyncRead, AsyncWrite};

use super::activity::Busy;
use super::caller::Prefixed;
use super::replay::RequestBody;
use super::ruled::Taken;
use super::scrubbed::{Guard, Scrubbed};
use super::tunnel::{self, Leave};
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::Entry;
use crate::upstream::Lease;

/// The service's end of a stream that has switched protocols, and the record of it.
pub(super) struct Relay {
    pub(super) lease: Lease<RequestBody>,
    pub(super) entry: Entry,
    /// Whose stream it is.
    pub(super) agent: Arc<Agent>,
    pub(super) taken: Taken,
    /// What looks into what the service sends.
    pub(super) guard: Option<Box<Guard>>,
    pub(super) _busy: Busy,
}

/// Whether the request asks for another protocol.
pub(super) fn asked(parts: &request::Parts) -> bool {
    if parts.extensions.get::<Protocol>().is_some() {
        return true;
    }
    let named = |value: &HeaderValue| {
        value.as_bytes().split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    // Cleartext HTTP/2 is the one protocol that is offered and passed over: it would be spoken past every rule (threat 64).
    let offered = parts.headers.get(UPGRADE).is_some_and(|offer| !offer.as_bytes().trim_ascii().eq_ignore_ascii_case(b"h2c"));
    offered && parts.headers.get_all(CONNECTION).iter().any(named)
}

/// The fields that carry the wish to the service, taken before hop-by-hop fields are stripped. For extended CONNECT they are made.
pub(super) fn request_fields(headers: &HeaderMap, extensions: &Extensions) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = vec![(CONNECTION, HeaderValue::from_static("Upgrade"))];
    if let Some(protocol) = extensions.get::<Protocol>() {
        fields.extend(HeaderValue::from_str(protocol.as_str()).map(|value| (UPGRADE, value)));
        if let Some(key) = websocket_key() {
            fields.push((HeaderName::from_static("sec-websocket-key"), key));
        }
    } else if let Some(value) = headers.get(UPGRADE) {
        fields.push((UPGRADE, value.clone()));
    }
    fields
}

/// 16 random bytes (RFC 6455 §4.1).
fn websocket_key() -> Option<HeaderValue> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).ok()?;
    HeaderValue::from_str(&STANDARD.encode(nonce)).ok()
}

/// The fields of a 101 that the caller needs although they belong to the hop. The protocols are told in the caller's own words: of
/// what it offered, those that the service names (RFC 9110 §7.8). Whatever else stands there stays here. `None` if it names none:
/// nobody could say what the bytes behind this head mean.
pub(super) fn keep_fields(offer: &HeaderValue, headers: &HeaderMap) -> Option<[(HeaderName, HeaderValue); 2]> {
    let named = |offered: &&[u8]| {
        headers.get_all(UPGRADE).iter().flat_map(members).any(|answered| answered.eq_ignore_ascii_case(offered))
    };
    let chosen: Vec<&[u8]> = members(offer).filter(named).collect();
    let upgrade = HeaderValue::from_bytes(&chosen.join(&b", "[..])).ok().filter(|value| !value.is_empty())?;
    Some([(UPGRADE, upgrade), (CONNECTION, HeaderValue::from_static("Upgrade"))])
}

fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Turns a 101 into what extended CONNECT answers with (RFC 8441 §5): 200, without the fields of HTTP/1.1's handshake.
pub(super) fn to_http2(parts: &mut http::response::Parts) {
    parts.status = StatusCode::OK;
    let websocket = [SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS];
    let kept: Vec<_> =
        websocket.into_iter().filter_map(|name| parts.headers.get(&name).map(|value| (name, value.clone()))).collect();
    for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
        parts.headers.remove(name);
    }
    parts.headers.extend(kept);
}

/// Whether an extended CONNECT can be carried: only WebSocket has an HTTP/1.1 form.
pub(super) fn is_websocket(method: &Method, extensions: &Extensions) -> bool {
    *method == Method::CONNECT && extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket")
}

impl Worker {
    /// Relays bytes between the caller's stream and the service's, and closes the record.
    pub(super) async fn relay<S>(self: &Rc<Self>, caller: S, read_ahead: BytesMut, relay: Relay)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Relay { lease, mut entry, agent, mut taken, guard, _busy } = relay;
        let Some(upgraded) = lease.upgraded().await else {
            entry.note("broken_off");
            return;
        };
        let caller = Prefixed::new(read_ahead, caller);
        let hits = guard.as_ref().map(|guard| guard.hits());
        let service = Scrubbed::new(Prefixed::new(BytesMut::from(upgraded.prefix), upgraded.stream), guard);
        let over = self.proxy.until_over(&agent, taken.hours.take());
        let leave = Leave { idle: self.proxy.settings.idle_timeout, over };
        let (moved, outcome) = tunnel::relay(caller, service, leave).await;
        entry.sent(moved.up);
        entry.received(moved.down);
        entry.guard_hits(hits.map_or(0, |hits| hits.get()));
        taken.moved(moved.up.saturating_add(moved.down));
        if let Err(end) = outcome {
            tracing::debug!(%end, "an upgraded stream ended");
            end.cause().into_iter().for_each(|why| entry.note(why));
            entry.note(end.word());
        }
    }
}
