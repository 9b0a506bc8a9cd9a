//! Step 8: what comes back is stripped, scrubbed, counted, and closes its record at the end.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use http::header::{CONNECTION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use memchr::memmem;
use zeroize::Zeroizing;

use super::activity::Busy;
use super::guarded::Guarded;
use super::replay::Replay;
use super::ruled::Taken;
use crate::audit::Entry;
use crate::broker::Permit;
use crate::guard;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Secrets shorter than this would be found in innocent text.
const SHORTEST_SECRET: usize = 16;

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
        match (frame.into_trailers(), &self.permit) {
            (Ok(mut trailers), permit) => {
                strip_hop_by_hop(&mut trailers);
                if let Some(permit) = permit {
                    entry.guard_hits(scrub(&mut trailers, permit));
                }
                if let Some(guarded) = &self.guarded {
                    entry.guard_hits(guarded.drop_others(&mut trailers));
                }
                Frame::trailers(trailers)
            }
            (Err(frame), _permit) => frame,
        }
    }

    /// What the guard gives of what came.
    ///
    /// # Errors
    /// What came can't be decoded.
    pub(super) fn guarded_piece(&mut self) -> Result<Option<Bytes>, guard::Error> {
        let Some(guarded) = &mut self.guarded else { return Ok(None) };
        let piece = guarded.next(self.permit.as_ref());
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
        self.guarded.as_mut().map_or(Ok(None), |guarded| guarded.rest(self.permit.as_ref()))
    }

    /// The body has ended as it should: the record is closed now.
    pub(super) fn complete(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.sent(self.replay.received());
            self.replay.note_in(&mut entry);
            self.taken.moved(self.replay.received());
            self.replay.finish(self.linger);
        }
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

/// What a response from an injected host may not bring: sessions that outlive the credential, other ways to the service, secrets.
pub(super) fn clean_injected(headers: &mut HeaderMap, permit: &Permit) -> u32 {
    let keeps_cookies = permit.provider().inject.get(permit.rule()).is_some_and(|rule| rule.set_cookie);
    if !keeps_cookies {
        headers.remove(SET_COOKIE);
    }
    scrub(headers, permit)
}

/// Drops every field whose name or value holds the injected secret, as it is, in hexadecimal or in base64, behind any percent or JSON
/// escapes; says how many.
pub(super) fn scrub(headers: &mut HeaderMap, permit: &Permit) -> u32 {
    let longest = headers.iter().map(|(name, value)| value.len().max(name.as_str().len())).max().unwrap_or(0);
    if longest < SHORTEST_SECRET {
        return 0;
    }
    let mut guilty: Vec<HeaderName> = Vec::new();
    for secret in permit.prepared().secrets() {
        let secret = secret.expose().as_bytes();
        if secret.len() < SHORTEST_SECRET || secret.len() > longest {
            continue;
        }
        let finder = memmem::Finder::new(secret);
        let holds = |value: &[u8]| finder.find(value).is_some() || holds_encoded(value, secret);
        let lower = Zeroizing::new(secret.to_ascii_lowercase());
        // Names are in lower case but for what their escapes hide.
        let names = |name: &[u8]| memmem::find(&name.to_ascii_lowercase(), &lower).is_some();
        let guilty_name =
            |name: &[u8]| memmem::find(name, &lower).is_some() || (name.contains(&b'%') && behind_escapes(name, &names));
        let guilty_field = |name: &HeaderName, value: &HeaderValue| {
            (value.len() >= secret.len() && behind_escapes(value.as_bytes(), &holds)) || guilty_name(name.as_str().as_bytes())
        };
        guilty.extend(headers.iter().filter(|(name, value)| guilty_field(name, value)).map(|(name, _)| name.clone()));
    }
    for name in &guilty {
        headers.remove(name);
    }
    u32::try_from(guilty.len()).unwrap_or(u32::MAX)
}

/// A URL in a URL in a URL is the most that honest services write.
const ESCAPES: usize = 4;

/// Whether `text` holds it as it stands, or once its escapes are undone, and those that then stand there.
fn behind_escapes(text: &[u8], holds: &dyn Fn(&[u8]) -> bool) -> bool {
    if holds(text) {
        return true;
    }
    let mut undone = unescaped(text);
    for _ in 0..ESCAPES {
        let Some(text) = undone else { return false };
        if holds(&text) {
            return true;
        }
        undone = unescaped(&text);
    }
    false
}

/// `text` with its percent escapes (RFC 3986 §2.1) and JSON escapes (RFC 8259 §7) undone; `None` if it has none.
fn unescaped(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    memchr::memchr2(b'%', b'\\', text)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let undone = match first {
            b'%' => after.split_at_checked(2).and_then(|(digits, after)| Some((byte(digits)?, after))),
            b'\\' => json_escape(after),
            _ => None,
        };
        let (letter, after) = undone.unwrap_or((*first, after));
        plain.push(letter);
        rest = after;
    }
    (plain.len() < text.len()).then_some(plain)
}

/// What follows a backslash: the letter itself, or `u00` and two digits. Secrets are ASCII, so that no other `\u` can be one's.
fn json_escape(after: &[u8]) -> Option<(u8, &[u8])> {
    match after.split_first()? {
        (b'u', digits) => {
            let (digits, after) = digits.split_at_checked(4)?;
            Some((byte(digits.strip_prefix(b"00")?)?, after))
        }
        (letter @ (b'/' | b'\\' | b'"'), after) => Some((*letter, after)),
        _ => None,
    }
}

/// Two hexadecimal digits.
fn byte(digits: &[u8]) -> Option<u8> {
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(value(high)? * 16 + value(low)?).ok()
}

/// Hexadecimal in either case, or base64. Base64 at each of its three alignments: the middle of the encoding does not depend on
/// what stands around the secret.
fn holds_encoded(value: &[u8], secret: &[u8]) -> bool {
    if value.len() < secret.len() * 4 / 3 {
        return false;
    }
    if value.len() >= secret.len() * 2 {
        let hexadecimal: Zeroizing<String> = Zeroizing::new(secret.iter().map(|byte| format!("{byte:02x}")).collect());
        if memmem::find(&value.to_ascii_lowercase(), hexadecimal.as_bytes()).is_some() {
            return true;
        }
    }
    (0..3).any(|skip| {
        let aligned = secret.get(skip..).unwrap_or_default();
        let whole = aligned.get(..aligned.len() / 3 * 3).unwrap_or_default();
        let encoded = Zeroizing::new(STANDARD.encode(whole));
        let url_safe = Zeroizing::new(URL_SAFE.encode(whole));
        whole.len() >= 12
            && (memmem::find(value, encoded.as_bytes()).is_some() || memmem::find(value, url_safe.as_bytes()).is_some())
    })
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

    #[test]
    fn t41_escapes_are_undone_layer_by_layer_and_broken_ones_stay() {
        let undone = |text: &[u8]| unescaped(text).map(|plain| String::from_utf8_lossy(&plain).into_owned());
        assert_eq!(undone(b"nothing to do"), None);
        assert_eq!(undone(b"a%2fb%2Fc%5cu0064"), Some("a/b/c\\u0064".into()));
        assert_eq!(undone(br#"{\"k\":\"a\/b\u002D\u00e9"#).map(|text| text.len()), Some(13));
        for odd in [&b"100%"[..], b"%", b"%2", b"%zz", br"\", br"\u", br"\u00", br"\u12ff", br"\x", b"%+1", br"\u00+1"] {
            assert_eq!(undone(odd), None, "{odd:?}");
        }
        let secret = b"abc/def+0123456789==";
        let holds = |text: &[u8]| memmem::find(text, secret).is_some();
        let mut text = secret.to_vec();
        for layer in 0..=ESCAPES {
            assert!(behind_escapes(&text, &holds), "{layer}");
            text = text.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect();
        }
        assert!(!behind_escapes(&text, &holds), "there is a bound");
    }

    #[test]
    fn encoded_secrets_are_found_at_every_alignment() {
        let secret = b"ghs_0123456789abcdefghijklmnop";
        for before in ["", "x", "xy", "user:"] {
            let text = [before.as_bytes(), secret, b"tail"].concat();
            assert!(holds_encoded(STANDARD.encode(&text).as_bytes(), secret), "{before:?}");
            assert!(holds_encoded(URL_SAFE.encode(&text).as_bytes(), secret), "{before:?}");
        }
        assert!(!holds_encoded(b"bm90aGluZyB0byBzZWUgaGVyZSBhdCBhbGwsIG1vdmUgb24=", secret));
    }
}
