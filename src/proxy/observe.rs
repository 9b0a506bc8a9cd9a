//! Step 8: what comes back is stripped, scrubbed, counted, and closes its record at the end.

use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;

use bytes::Bytes;
use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName};
use http_body::Frame;

use super::activity::Busy;
use super::fields;
use super::guarded::Guarded;
use super::replay::Replay;
use super::ruled::Taken;
use crate::audit::Entry;
use crate::broker::Permit;
use crate::guard::{self, StandIn};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The account of one exchange, from its opened record to the end of its body.
pub(super) struct Observation {
    pub(super) entry: Option<Entry>,
    pub(super) replay: Rc<Replay>,
    pub(super) permit: Option<Permit>,
    /// What looks for its secrets in the body.
    pub(super) guarded: Option<Box<Guarded>>,
    /// The caller's stream is HTTP/1.1: it can't be told to stop sending.
    pub(super) linger: bool,
    pub(super) taken: Taken,
    pub(super) busy: Busy,
}

impl Observation {
    /// Counts a frame on its way to the caller, and scrubs trailers.
    pub(super) fn frame(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        self.busy.moved();
        let Some(entry) = &mut self.entry else { return frame };
        if let Some(data) = frame.data_ref() {
            entry.received(data.len() as u64);
            self.taken.moved(data.len() as u64);
            return frame;
        }
        match frame.into_trailers() {
            Ok(mut trailers) => {
                strip_hop_by_hop(&mut trailers);
                let (permit, guarded) = (self.permit.as_ref(), self.guarded.as_ref());
                if let Some(permit) = permit {
                    // Where bodies are not looked into, nobody is kept who could say whose placeholder it would be.
                    let stand_in = || guarded.map_or_else(StandIn::default, |guarded| guarded.stand_in(Some(permit)));
                    entry.guard_hits(fields::scrub(&mut trailers, permit, &stand_in));
                }
                if let Some(guarded) = guarded {
                    entry.guard_hits(guarded.scrub_others(&mut trailers));
                }
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }
    }

    /// Whether the time is over for which a rule let it on.
    pub(super) fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let Some(hours) = &mut self.taken.hours else { return false };
        if Pin::new(hours).poll(context).is_pending() {
            return false;
        }
        self.taken.hours = None;
        self.entry.iter_mut().for_each(|entry| entry.note("rule_over"));
        true
    }

    /// What the guard gives of what came.
    ///
    /// # Errors
    /// What came can't be decoded.
    pub(super) fn guarded_piece(&mut self) -> Result<Option<Bytes>, guard::Error> {
        let Some(guarded) = &mut self.guarded else { return Ok(None) };
        let piece = guarded.next(self.permit.as_ref()).inspect_err(|why| undecodable(&mut self.entry, why));
        let hits = guarded.take_hits();
        if hits > 0
            && let Some(entry) = &mut self.entry
        {
            if guarded.is_first_find() {
                tracing::warn!(id = entry.id().as_str(), "a service shows a credential; its caller gets a placeholder");
            }
            entry.guard_hits(hits);
        }
        piece
    }

    /// What the guard held back of a body whose data has ended.
    ///
    /// # Errors
    /// What came is not whole.
    pub(super) fn guarded_rest(&mut self) -> Result<Option<Bytes>, guard::Error> {
        let rest = self.guarded.as_mut().map_or(Ok(None), |guarded| guarded.rest(self.permit.as_ref()));
        rest.inspect_err(|why| undecodable(&mut self.entry, why))
    }

    /// The body has ended as it should: the record is closed now.
    pub(super) fn complete(&mut self) {
        let mut entry = self.account();
        entry.iter_mut().for_each(Entry::ends_well);
    }

    /// The record, with what the exchange took in it: nothing more of it goes to the caller.
    pub(super) fn account(&mut self) -> Option<Entry> {
        let mut entry = self.entry.take()?;
        entry.sent(self.replay.received());
        self.replay.note_in(&mut entry);
        self.taken.moved(self.replay.received());
        self.replay.finish(self.linger);
        Some(entry)
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.sent(self.replay.received());
            self.replay.note_in(entry);
            self.taken.moved(self.replay.received());
            entry.note("broken_off");
        }
    }
}

#[cold]
fn undecodable(entry: &mut Option<Entry>, why: &guard::Error) {
    if let Some(entry) = entry {
        entry.note(why.word());
    }
}

/// Removes what belongs to one hop (RFC 9110 §7.6.1), including whatever `Connection` names. Framing is the engine's business.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Most messages have none of it: one look at the names costs less than a search for each.
    if headers.keys().any(is_hop_by_hop) {
        remove_hop_by_hop(headers);
    }
}

/// Whether a field belongs to one hop, or is `Connection` itself.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    match name.as_str().as_bytes().first() {
        Some(b'c' | b'h' | b'k' | b't' | b'u') => {
            matches!(name.as_str(), "connection" | "keep-alive" | "te" | "transfer-encoding" | "upgrade" | "http2-settings")
        }
        Some(b'p') => is_proxys(name),
        _ => false,
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .collect();
    let proxys: Vec<HeaderName> = headers.keys().filter(|name| is_proxys(name)).cloned().collect();
    for name in named.iter().chain(&proxys).chain(&[CONNECTION, KEEP_ALIVE, TRANSFER_ENCODING, UPGRADE, HTTP2_SETTINGS]) {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|te| !te.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        headers.remove(TE);
    }
}

/// RFC 7540 §3.2.1.
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// `Proxy-Authorization` and its kin, and `Proxy`, which CGI programs take for their own proxy setting.
fn is_proxys(name: &HeaderName) -> bool {
    name.as_str().strip_prefix("proxy").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn i3_what_connection_names_goes_and_framing_with_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-a, Keep-Alive"),
            ("connection", "authorization"),
            ("x-a", "1"),
            ("authorization", "Bearer mine"),
            ("keep-alive", "5"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("x-b", "2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-b"]);
    }
}
