//! What a gate and those who stand on its other side tell each other.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use super::Malformed;

/// What became of the last request that wanted another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The service has not said yet.
    Open,
    /// It is still HTTP/1.1.
    Http,
    /// It is another protocol now.
    Raw,
}

const OPEN: u8 = 0;
const HTTP: u8 = 1;
const RAW: u8 = 2;

/// A request gate's side channel: how many requests it has released, which of them stands for a malformed one, and what
/// became of an upgrade.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    requests: AtomicU64,
    malformed: OnceLock<(u64, Malformed)>,
    decision: AtomicU8,
    waiting: Mutex<Option<Waker>>,
    incomplete: Mutex<Option<Instant>>,
}

impl Verdict {
    /// How many request heads the gate has handed on, the one that stands for a malformed head included.
    ///
    /// A service that counts its requests from 1 has request `n` in hand; with pipelining this may already be more.
    pub(crate) fn requests_seen(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// The number, from 1, of the request that stands for a malformed head, and what was wrong. No request follows it.
    pub(crate) fn malformed(&self) -> Option<(u64, Malformed)> {
        self.malformed.get().copied()
    }

    /// What was wrong, if request `number` (from 1) stands for a malformed head.
    pub(crate) fn malformed_at(&self, number: u64) -> Option<Malformed> {
        self.malformed().filter(|(at, _)| *at == number).map(|(_, malformed)| malformed)
    }

    /// Says that after request `number` (from 1) the connection is no longer HTTP/1.1: its upgrade is answered with 101, or its
    /// CONNECT with 2xx. All bytes from here on pass untouched. Call it before that answer is returned.
    pub(crate) fn raw(&self, number: u64) {
        self.decide(number, RAW);
    }

    /// Says that request `number` (from 1), which wanted an upgrade or a CONNECT, is answered otherwise; the next bytes are a
    /// request again. Needed for every such request that is not [`Self::raw`], else the connection stays held; for any other
    /// it does nothing.
    pub(crate) fn resume(&self, number: u64) {
        self.decide(number, HTTP);
    }

    /// Since when a head has been on its way without being complete. The gate sets no deadline itself; its owner looks here.
    pub(crate) fn incomplete_since(&self) -> Option<Instant> {
        *self.incomplete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some of a head is here; the time of its first byte counts.
    pub(super) fn wait_for_more(&self) {
        self.incomplete.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// A held request is the last one released, so a word about an earlier one is not about it.
    fn decide(&self, number: u64, decision: u8) {
        if number != self.requests_seen() {
            return;
        }
        self.decision.store(decision, Ordering::Release);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// The decision, or `waker` to be woken when there is one.
    pub(super) fn decision(&self, waker: &Waker) -> Decision {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match self.decision.load(Ordering::Acquire) {
            HTTP => Decision::Http,
            RAW => Decision::Raw,
            _ => {
                *waiting = Some(waker.clone());
                Decision::Open
            }
        }
    }

    /// One more request is handed on. If it wants another protocol, a decision about it is due.
    pub(super) fn released(&self) {
        self.decision.store(OPEN, Ordering::Release);
        *self.incomplete.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // Only the gate writes, so this needs no read-modify-write.
        self.requests.store(self.requests_seen() + 1, Ordering::Release);
    }

    /// The next request will be the one that stands for a malformed head.
    pub(super) fn refuse(&self, malformed: Malformed) {
        self.released();
        // Once only: nothing is read behind it.
        self.malformed.get_or_init(|| (self.requests_seen(), malformed));
    }
}

const EXPECTED: u8 = 1;
const SENT: u8 = 2;
const OF_HEAD: u8 = 4;
const OF_UPGRADE: u8 = 8;

/// A response gate's side channel: which response is due.
#[derive(Debug, Default)]
pub(crate) struct Expectation(AtomicU8);

impl Expectation {
    /// Says that the next request written is answered by one response, and how that must be read. Call it before every
    /// request is given to the engine, which sends one at a time.
    pub(crate) fn expect(&self, method_is_head: bool, upgrade_requested: bool) {
        let head = if method_is_head { OF_HEAD } else { 0 };
        let upgrade = if upgrade_requested { OF_UPGRADE } else { 0 };
        self.0.store(EXPECTED | head | upgrade, Ordering::Release);
    }

    /// Bytes of the request go out.
    pub(crate) fn sending(&self) {
        let now = self.0.load(Ordering::Acquire);
        if now & (EXPECTED | SENT) == EXPECTED {
            self.0.store(now | SENT, Ordering::Release);
        }
    }

    /// Whether a response may come now: not before the first byte of its request is out.
    pub(super) fn is_due(&self) -> bool {
        self.0.load(Ordering::Acquire) & (EXPECTED | SENT) == EXPECTED | SENT
    }

    pub(super) fn is_of_head(&self) -> bool {
        self.0.load(Ordering::Acquire) & OF_HEAD != 0
    }

    pub(super) fn is_of_upgrade(&self) -> bool {
        self.0.load(Ordering::Acquire) & OF_UPGRADE != 0
    }

    /// The final response is here.
    pub(super) fn answered(&self) {
        self.0.store(0, Ordering::Release);
    }
}
