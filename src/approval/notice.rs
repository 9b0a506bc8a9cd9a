//! What the webhook is told of questions, and replies to that: signed by the same key, each good for one answer.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::item::Shown;
use crate::attention::{Key, Notice};

/// How far the clock of whoever replies may be off, and how old a reply may be, in seconds. Standard Webhooks leaves it to the receiver;
/// this is what its libraries take.
const AGE: u64 = 5 * 60;

/// Where replies go, and what they are signed with.
#[derive(Debug)]
pub(crate) struct ReplyTo {
    /// The gateway's address, without a slash at the end.
    pub(crate) url: String,
    pub(crate) key: Arc<Key>,
}

/// A reply as it came.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    /// `webhook-id`.
    pub(crate) id: &'a str,
    /// `webhook-timestamp`.
    pub(crate) timestamp: &'a str,
    /// `webhook-signature`.
    pub(crate) signature: &'a str,
    pub(crate) body: &'a [u8],
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reply").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a reply is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAuthentic {
    /// No webhook is set.
    #[error("no webhook is set here, so there is nothing to reply to")]
    NoKey,
    /// Standard Webhooks, §Verifying.
    #[error("the reply is not signed with the key of the webhook")]
    Signature,
    /// Too old, or from the future.
    #[error("the reply's webhook-timestamp is more than five minutes off")]
    Age,
}

impl ReplyTo {
    /// Whether `reply` is from whoever has the key, and new.
    pub(crate) fn check(&self, reply: &Reply<'_>, now: SystemTime) -> Result<(), NotAuthentic> {
        if !self.key.signed(reply.id, reply.timestamp, reply.body, reply.signature) {
            return Err(NotAuthentic::Signature);
        }
        let said: u64 = reply.timestamp.parse().map_err(|_no_number: std::num::ParseIntError| NotAuthentic::Age)?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.abs_diff(said) <= AGE { Ok(()) } else { Err(NotAuthentic::Age) }
    }
}

/// What a reply to one notice must show, drawn for it.
pub(super) struct Token {
    text: Zeroizing<String>,
}

impl Token {
    /// `None` where the system has no random numbers: then there is no reply.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).ok()?;
        Some(Self { text: Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())) })
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        hash(&self.text)
    }
}

/// Whether `shown` is the text that was drawn.
pub(super) fn is_token(kept: &[u8; 32], shown: &str) -> bool {
    kept.ct_eq(&hash(shown)).into()
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// A question, and how it is answered.
#[derive(Serialize)]
struct Asked<'a> {
    #[serde(flatten)]
    item: &'a Shown,
    /// Where a signed reply goes.
    reply_url: Option<String>,
    /// What it must show.
    reply_token: Option<&'a str>,
}

/// That a person is asked.
pub(super) fn asked(item: &Shown, reply: Option<(&ReplyTo, &Token)>, now: SystemTime) -> Notice {
    let reply_url = reply.map(|(to, _)| format!("{}/api/approvals/{}/reply", to.url, item.id));
    let data = Asked { item, reply_url, reply_token: reply.map(|(_, token)| token.text.as_str()) };
    Notice::of("approval.asked", &item.id, &data, now)
}

/// That it has ended.
pub(super) fn settled(item: &Shown, now: SystemTime) -> Notice {
    Notice::of("approval.settled", &item.id, item, now)
}
