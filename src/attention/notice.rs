//! `Notice`: what a webhook is told, and its signature as Standard Webhooks 1.0.0 has it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde_json::json;
use sha2::Sha256;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::need::{Shown, stamp};
use crate::model::Secret;

/// Keys of other lengths are refused, as Standard Webhooks says: from 24 to 64 bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// A message has one signature for each key that is good at the moment.
const MOST_SIGNATURES: usize = 8;
/// What is kept of an error's text.
const ERROR_TEXT: usize = 300;

/// What has happened to an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Opened,
    Resolved,
    Lapsed,
}

impl Event {
    fn word(self) -> &'static str {
        match self {
            Self::Opened => "attention.opened",
            Self::Resolved => "attention.resolved",
            Self::Lapsed => "attention.lapsed",
        }
    }
}

/// One message; the same however often it is sent.
#[derive(Debug)]
pub(crate) struct Notice {
    /// `webhook-id`.
    pub(crate) id: String,
    /// The JSON text.
    pub(crate) body: String,
}

impl Notice {
    /// Of `event`, which has just happened to `item`.
    pub(super) fn new(event: Event, item: &Shown, now: SystemTime) -> Self {
        Self::of(event.word(), &item.id, item, now)
    }

    /// Of what has just happened to the thing called `id`: `kind` is `room.event`.
    pub(crate) fn of(kind: &'static str, id: &str, data: &impl Serialize, now: SystemTime) -> Self {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        // Standard Webhooks: no full stop in it, which the name of a node may have.
        let (id, event) = (id.replace('.', "_"), kind.rsplit('.').next().unwrap_or(kind));
        let body = json!({ "type": kind, "timestamp": stamp(now), "data": data }).to_string();
        Self { id: format!("msg_{id}_{event}_{millis}"), body }
    }
}

/// What notices are signed with.
pub(crate) struct Key(Secret<Zeroizing<Vec<u8>>>);

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(..)")
    }
}

impl Key {
    /// Reads `whsec_` and base64; `None` for what is none, or of another length than 24 to 64 bytes.
    pub(crate) fn parse(text: &Secret<String>) -> Option<Self> {
        let text = text.expose().trim();
        let bytes = Zeroizing::new(STANDARD.decode(text.strip_prefix("whsec_")?).ok()?);
        KEY_BYTES.contains(&bytes.len()).then(|| Self(Secret::new(bytes)))
    }

    /// `webhook-signature` of `notice`, sent at `timestamp` (seconds since 1970).
    pub(crate) fn sign(&self, notice: &Notice, timestamp: u64) -> String {
        let mac = self.mac(&notice.id, &timestamp.to_string(), notice.body.as_bytes());
        mac.map_or_else(String::new, |mac| format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }

    /// Whether one of the `signatures` of a message, `v1,…` with blanks between them, is by this key.
    pub(crate) fn signed(&self, id: &str, timestamp: &str, body: &[u8], signatures: &str) -> bool {
        let Some(mac) = self.mac(id, timestamp, body) else { return false };
        let shown = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
        shown.take(MOST_SIGNATURES).any(|shown| mac.clone().verify_slice(&shown).is_ok())
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of every length, so this cannot fail.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(mac)
    }
}

/// How the notices fare, for who looks at the status.
#[derive(Debug, Default)]
pub(crate) struct Delivery(Mutex<Fared>);

/// How notices have fared since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fared {
    /// Taken by the receiver.
    pub(crate) delivered: u64,
    /// Given up after the last try.
    pub(crate) failed: u64,
    /// Not sent, since too many were waiting.
    pub(crate) dropped: u64,
    /// Why the last try failed; null once one has succeeded.
    pub(crate) error: Option<String>,
}

impl Delivery {
    /// How they have fared until now.
    pub(crate) fn fared(&self) -> Fared {
        self.lock().clone()
    }

    /// One was taken.
    pub(crate) fn delivered(&self) {
        let mut fared = self.lock();
        (fared.delivered, fared.error) = (fared.delivered + 1, None);
    }

    /// A try failed; `last` = there will be no other.
    pub(crate) fn failed(&self, why: &str, last: bool) {
        let mut fared = self.lock();
        fared.failed += u64::from(last);
        fared.error = Some(why.chars().filter(|letter| !letter.is_control()).take(ERROR_TEXT).collect());
    }

    pub(super) fn dropped(&self) {
        self.lock().dropped += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Fared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
