//! `Connection`: one account, its live credential, and at most one renewal in flight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::book::Book;
use super::error::{Error, Why, unseen};
use super::flight::{Flight, Outcome};
use super::generation::{Birth, Generation, Live, Origin, Ready, Way, is_renewal, same_credential};
use super::port::{Ports, Seen};
use super::settings::Settings;
use super::tally::Tally;
use crate::model::ConnectionId;
use crate::provider::Provider;
use crate::vault::Entry;

/// In the nanoseconds of [`Shared::mark`].
const SECOND: u64 = 1_000_000_000;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ports: Ports,
    pub(super) settings: Settings,
    epoch: Instant,
    numbers: AtomicU64,
    pub(super) tally: Tally,
}

impl Shared {
    pub(super) fn new(ports: Ports, settings: Settings) -> Self {
        Self { ports, settings, epoch: Instant::now(), numbers: AtomicU64::new(1), tally: Tally::default() }
    }

    /// `at` as a number that fits into an atomic; 0 is before everything.
    pub(super) fn mark(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX - 1) + 1
    }

    fn generation(&self, entry: &Entry, renewed: Option<&Live>) -> Arc<Generation> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        // Up to a quarter less, so that many machines with one token do not renew in one second. No randomness, no jitter.
        let share = getrandom::u32().map_or(0, |random| random % 256);
        let ahead = self.settings.renew_ahead - self.settings.renew_ahead / 1024 * share;
        let birth = Birth { now: Instant::now(), time: (self.ports.clock)(), ahead };
        let origin = if renewed.is_some() { Origin::Renewed } else { Origin::Registered };
        let made = Generation::new(number, origin, entry, birth);
        Arc::new(match renewed {
            Some(old) => made.after(&old.generation, old.entry.expires_at, birth),
            None => made,
        })
    }
}

/// One account.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) shared: Arc<Shared>,
    live: ArcSwap<Live>,
    /// The version of the vault at which `live` was last found to be what it holds.
    looked: AtomicU64,
    /// The second of the last use, counted from 1; 0 = none yet.
    used: AtomicU64,
    book: Mutex<Book>,
    seats: Semaphore,
}

/// A 401: what was on the request, and when it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Complaint<'a> {
    pub(super) ready: &'a Ready,
    pub(super) sent_at: Instant,
}

enum Boarding {
    Landed(Arc<Live>),
    Aboard(watch::Receiver<Option<Outcome>>),
}

impl Connection {
    pub(super) fn new(shared: &Arc<Shared>, id: &ConnectionId, version: u64, entry: Arc<Entry>) -> Self {
        let generation = shared.generation(&entry, None);
        Self {
            id: id.clone(),
            shared: Arc::clone(shared),
            live: ArcSwap::from_pointee(Live { version, entry, generation }),
            looked: AtomicU64::new(version),
            used: AtomicU64::new(0),
            book: Mutex::new(Book::new(Instant::now(), &shared.settings)),
            seats: Semaphore::new(shared.settings.waiters.min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Notes that a request went with it at `mark`. It is written once a second at most: the threads share it.
    pub(super) fn used(&self, mark: u64) {
        let second = mark / SECOND + 1;
        if self.used.load(Ordering::Relaxed) < second {
            self.used.store(second, Ordering::Relaxed);
        }
    }

    /// When a request went with it last, to the second; `None` where this process has seen none.
    pub(super) fn used_at(&self) -> Option<SystemTime> {
        let second = self.used.load(Ordering::Relaxed).checked_sub(1)?;
        let ago = self.shared.epoch.elapsed().saturating_sub(Duration::from_secs(second));
        (self.shared.ports.clock)().checked_sub(ago)
    }

    /// The credential as of this moment, the vault looked at.
    pub(super) fn refresh(&self) -> Result<Arc<Live>, Error> {
        let seen = self.shared.ports.vault.entry(&self.id).map_err(unseen)?;
        let version = seen.version;
        let live = self.adopt(seen)?;
        self.looked.fetch_max(version, Ordering::AcqRel);
        Ok(live)
    }

    /// The credential as of `version` of the vault, which was looked at a moment ago.
    pub(super) fn current(&self, version: Option<u64>) -> Result<Arc<Live>, Error> {
        if version == Some(self.looked.load(Ordering::Acquire)) { Ok(self.live.load_full()) } else { self.refresh() }
    }

    /// Takes over what the vault showed, unless something newer is known.
    pub(super) fn adopt(&self, seen: Seen) -> Result<Arc<Live>, Error> {
        let live = self.live.load();
        match seen.entry {
            Some(entry) if Arc::ptr_eq(&entry, &live.entry) => Ok(Arc::clone(&live)),
            _ if seen.version < live.version => Ok(Arc::clone(&live)),
            Some(entry) => Ok(self.replace(seen.version, entry)),
            None => Err(Error::NotRegistered { connection: self.id.clone() }),
        }
    }

    fn replace(&self, version: u64, entry: Arc<Entry>) -> Arc<Live> {
        let mut book = self.book();
        let old = self.live.load_full();
        if version < old.version || Arc::ptr_eq(&entry, &old.entry) {
            return old;
        }
        // A person ended what no renewal could: whatever the tokens are, nothing that was learned of them counts.
        let revived = !old.status().renews() && entry.status.renews();
        let generation = if same_credential(&old.entry, &entry) && !revived {
            Arc::clone(&old.generation)
        } else if is_renewal(&old.entry, &entry) && !revived {
            book.renewed();
            self.shared.generation(&entry, Some(&old))
        } else {
            book.registered(Instant::now(), &self.shared.settings);
            self.shared.generation(&entry, None)
        };
        let live = Arc::new(Live { version, entry, generation });
        self.live.store(Arc::clone(&live));
        live
    }

    /// Renews what `seen` shows, or joins the renewal in flight; a request that leaves meanwhile stops nothing.
    pub(super) async fn renew(
        self: &Arc<Self>,
        seen: &Arc<Live>,
        provider: &Arc<Provider>,
        complaint: Option<Complaint<'_>>,
        patience: Duration,
    ) -> Outcome {
        let mut flight = match self.board(seen, provider, complaint) {
            Ok(Boarding::Landed(live)) => return Outcome::Fresh(live),
            Ok(Boarding::Aboard(flight)) => flight,
            Err(why) => return Outcome::Keep(why),
        };
        let Ok(_seat) = self.seats.try_acquire() else { return Outcome::Keep(Why::Busy) };
        match timeout(patience, flight.wait_for(Option::is_some)).await {
            Ok(Ok(landed)) => landed.clone().unwrap_or(Outcome::Keep(Why::Stopped)),
            Ok(Err(_runtime_is_gone)) => Outcome::Keep(Why::Stopped),
            Err(_elapsed) => Outcome::Keep(Why::StillRenewing),
        }
    }

    fn board(
        self: &Arc<Self>,
        seen: &Arc<Live>,
        provider: &Arc<Provider>,
        complaint: Option<Complaint<'_>>,
    ) -> Result<Boarding, Why> {
        let mut book = self.book();
        let live = self.live.load_full();
        if live.generation.number != seen.generation.number {
            return Ok(Boarding::Landed(live));
        }
        self.judge(&book, &live, provider, complaint).inspect_err(|why| book.tell_once(&self.id, live.version, why))?;
        // A flight whose runtime stopped under it will never land.
        if let Some(flight) = book.flight.as_ref().filter(|flight| flight.has_changed().is_ok()) {
            return Ok(Boarding::Aboard(flight.clone()));
        }
        let now = Instant::now();
        if let Some(retry_after) = book.pause_left(now) {
            return Err(Why::CoolingDown { retry_after });
        }
        book.take(now, &self.shared.settings).map_err(|retry_after| Why::RateLimited { retry_after })?;
        if complaint.is_some() {
            let generation = &live.generation;
            book.complained(generation.origin == Origin::Renewed && !generation.has_succeeded());
        }
        let flight = Flight::new(Arc::clone(self), live, Arc::clone(provider)).refused(complaint.is_some()).depart();
        book.flight = Some(flight.clone());
        Ok(Boarding::Aboard(flight))
    }

    /// Whether a renewal could be the answer at all.
    fn judge(&self, book: &Book, live: &Live, provider: &Provider, complaint: Option<Complaint<'_>>) -> Result<(), Why> {
        if let Some(Complaint { ready, sent_at }) = complaint {
            let on_trial = live.generation.is_on_trial(Instant::now(), book.trial(&self.shared.settings));
            // Of what is dead anyhow there is nothing to be tried.
            if on_trial && live.status().renews() || ready.worked_after(self.shared.mark(sent_at)) {
                return Err(Why::NotOurs);
            }
        }
        let url = match live.way(provider).ok_or(Why::NoRefreshToken)? {
            Way::Here(renewal) => renewal.token_url(),
            Way::Owner => None,
        };
        if url.is_some_and(|url| !live.entry.may_renew_at(url)) {
            return Err(Why::NotSealed { provider: provider.id.clone() });
        }
        let refused = book.refused.as_ref().filter(|(number, _)| *number == live.generation.number);
        if !live.status().renews() || refused.is_some() {
            return Err(Why::Refused(refused.map(|(_, refused)| Arc::clone(refused))));
        }
        Ok(())
    }

    /// Whether the service refuses the credential where `ready` leads, and nothing renews it. It is asked again once in a while for each
    /// `agent`: a caller who asks for what it may not have must not shut out all others.
    pub(super) fn is_refused(&self, ready: &Ready, agent: &str) -> bool {
        ready.is_refused() && !ready.try_again(agent, self.shared.mark(Instant::now()), self.shared.settings.trial)
    }

    /// Whether requests of this process work with it.
    pub(super) fn works(&self) -> bool {
        self.live.load().generation.works()
    }

    /// What the connection remembers; never held across an await.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a renewal is in flight.
    #[cfg(test)]
    pub(super) fn is_renewing(&self) -> bool {
        self.book().flight.as_ref().is_some_and(|flight| flight.has_changed().is_ok())
    }

    /// Waits until no renewal is in flight.
    pub(super) async fn land(&self) {
        let flight = self.book().flight.clone();
        if let Some(mut flight) = flight {
            // An error says that the flight's runtime is gone, and the flight with it.
            drop(flight.wait_for(Option::is_some).await);
        }
    }
}
