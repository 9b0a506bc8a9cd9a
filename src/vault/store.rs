//! `Store`: the vault file, read when it changes and written by one at a time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use zeroize::Zeroizing;

use super::document::Document;
use super::entry::Entry;
use super::error::Error;
use super::file::{GLANCE, Sealed, VaultFile};
use super::json::{NotUnderstood, RESERVED};
use super::seen::{Digest, Seen};
use super::snapshot::Snapshot;
use super::summary::Summary;
use super::unlock::unlock;
use crate::disk::Stamp;
use crate::model::{ConnectionId, Credential};
use crate::seal::{DataKey, Passphrase};

/// How often, and how far apart, a file is read again that JarvisCore is about to write in place.
const UNSETTLED_READS: u32 = 10;
const UNSETTLED_PAUSE: Duration = Duration::from_millis(5);

/// Where the vault lies.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `nexus.enc`.
    pub file: PathBuf,
    /// `.salt`.
    pub salt: PathBuf,
}

/// The vault. Everything here may block on the disk, writes for tens of milliseconds; async callers use a blocking thread.
pub struct Store {
    pub(super) file: VaultFile,
    cache: ArcSwapOption<Cached>,
    /// One thread reads a changed file, the others wait for it.
    reading: Mutex<()>,
    generations: AtomicU64,
    born: Instant,
    /// When the file was last [looked at](Store::glance), in microseconds since `born`; [`NEVER`] is later than all.
    looked: AtomicU64,
}

/// Before the first look.
const NEVER: u64 = u64::MAX;

/// What was read last, and of which file.
struct Cached {
    stamp: Option<Stamp>,
    /// Whether an equal stamp proves equal content.
    settled: bool,
    digest: Option<Digest>,
    snapshot: Arc<Snapshot>,
}

impl Store {
    /// Opens the vault, deriving the key; makes salt and folder if this is the beginning. The vault itself is first read by
    /// [`Store::snapshot`], so a wrong secret shows there.
    ///
    /// # Errors
    /// As [`unlock`].
    pub fn open(settings: Settings, passphrase: &Passphrase) -> Result<Self, Error> {
        let key = unlock(&settings, passphrase)?;
        Ok(Self::with_key(settings, key))
    }

    /// Opens the vault with a key from [`unlock`], so that one derivation serves the whole process.
    pub fn with_key(settings: Settings, key: DataKey) -> Self {
        let (cache, reading) = (ArcSwapOption::empty(), Mutex::new(()));
        let file = VaultFile::new(settings.file, key);
        let (generations, born, looked) = (AtomicU64::new(0), Instant::now(), AtomicU64::new(NEVER));
        Self { file, cache, reading, generations, born, looked }
    }

    /// All connections as the file has them now. One system call when it has not changed.
    ///
    /// # Errors
    /// All that a file can be that is not a vault of this key. A missing file is an empty vault.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        if let Some(snapshot) = self.cached()? {
            return Ok(snapshot);
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        match self.cached()? {
            Some(snapshot) => Ok(snapshot),
            None => self.reload(),
        }
    }

    /// All connections as the file had them within the last millisecond, which every writer of ours waits for before it returns. No system
    /// call where many ask.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn glance(&self) -> Result<Arc<Snapshot>, Error> {
        let now = u64::try_from(self.born.elapsed().as_micros()).unwrap_or(NEVER);
        let looked = self.looked.load(Ordering::Acquire);
        if now.checked_sub(looked).is_some_and(|ago| u128::from(ago) < GLANCE.as_micros())
            && let Some(cached) = &*self.cache.load()
            && cached.settled
        {
            return Ok(Arc::clone(&cached.snapshot));
        }
        let snapshot = self.snapshot()?;
        // As of before it was looked.
        self.looked.store(now, Ordering::Release);
        Ok(snapshot)
    }

    /// Writes `entry` as the connection `id`, or as what that is called in the file, its person by name or by number. It replaces what is
    /// there. An entry without a time of registration gets one.
    ///
    /// # Errors
    /// [`Error::ReservedField`], [`Error::NotUnderstood`] where an entry would be lost that we can't read, and as
    /// [`Store::snapshot`]; then nothing was written.
    pub fn register(&self, id: &ConnectionId, entry: Entry) -> Result<(), Error> {
        self.register_if(id, entry, |_now| true).map(drop)
    }

    /// As [`Store::register`], where `may` says so of what the connection is on disk now, which nobody changes meanwhile. False where
    /// it doesn't; then nothing was written.
    ///
    /// # Errors
    /// As [`Store::register`].
    pub fn register_if(
        &self,
        id: &ConnectionId,
        entry: Entry,
        may: impl FnOnce(Option<&Entry>) -> bool,
    ) -> Result<bool, Error> {
        let mut entry = entry;
        entry.registered_at.get_or_insert_with(SystemTime::now);
        check_fields(&entry)?;
        let written = self.file.rewrite(|plain| {
            let mut document = Document::parse(self.file.path(), plain)?;
            let id = &document.meant(id);
            let replaced = understood(id, document.entry(id))?;
            if !may(replaced.as_ref()) {
                return Ok(None);
            }
            if let Some(replaced) = replaced {
                // Programs that hold its handle mean this account, whatever credential it has.
                let handles = replaced.gateway_ids.into_iter().chain(std::mem::take(&mut entry.gateway_ids));
                handles.collect::<Vec<_>>().into_iter().for_each(|handle| entry.answer_to(handle));
            }
            document.set(id, &entry);
            Ok(Some((document.render()?, ())))
        })?;
        Ok(written.is_some())
    }

    /// Changes the entry of `id` as it is on disk now, and writes it; `None` when there is none.
    ///
    /// On return the change is on disk, or it is an error and nothing was written.
    ///
    /// # Errors
    /// As [`Store::register`].
    pub fn update(&self, id: &ConnectionId, change: impl FnOnce(&mut Entry)) -> Result<Option<Arc<Entry>>, Error> {
        let written = self.file.rewrite(|plain| {
            let mut document = Document::parse(self.file.path(), plain)?;
            let Some(mut entry) = understood(id, document.entry(id))? else { return Ok(None) };
            change(&mut entry);
            check_fields(&entry)?;
            document.set(id, &entry);
            let text = document.render()?;
            Ok(Some((text, Arc::new(entry))))
        })?;
        let Some(written) = written else { return Ok(None) };
        // The write has succeeded, whatever happens to the file from here on.
        let shared = self.snapshot().ok().and_then(|snapshot| snapshot.get(id).filter(|now| now.same_as(&written)).cloned());
        Ok(Some(shared.unwrap_or(written)))
    }

    /// Changes the entry of `id` as it is on disk now, or `fresh` where there is none, and writes it. What `id` is called is looked up there
    /// too: two log-ins of one person, by name and by number, are one connection.
    ///
    /// # Errors
    /// As [`Store::register`], and what `change` refuses; then nothing was written.
    pub fn put<E: From<Error>>(
        &self,
        id: &ConnectionId,
        fresh: Entry,
        change: impl FnOnce(&mut Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut refused = None;
        self.file.rewrite(|plain| {
            let mut document = Document::parse(self.file.path(), plain)?;
            let id = &document.meant(id);
            let mut entry = understood(id, document.entry(id))?.unwrap_or(fresh);
            if let Err(error) = change(&mut entry) {
                refused = Some(error);
                return Ok(None);
            }
            entry.registered_at.get_or_insert_with(SystemTime::now);
            check_fields(&entry)?;
            document.set(id, &entry);
            Ok(Some((document.render()?, ())))
        })?;
        refused.map_or(Ok(()), Err)
    }

    /// Removes the connection `id`, under every spelling; false when there was none.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn delete(&self, id: &ConnectionId) -> Result<bool, Error> {
        let removed = self.file.rewrite(|plain| {
            let mut document = Document::parse(self.file.path(), plain)?;
            let removed = document.remove(id);
            if removed { Ok(Some((document.render()?, ()))) } else { Ok(None) }
        })?;
        Ok(removed.is_some())
    }

    /// The entry of `id`.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn get(&self, id: &ConnectionId) -> Result<Option<Arc<Entry>>, Error> {
        Ok(self.snapshot()?.get(id).cloned())
    }

    /// The ids of all connections, in order.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn list(&self) -> Result<Vec<ConnectionId>, Error> {
        Ok(self.snapshot()?.iter().map(|(id, _)| id.clone()).collect())
    }

    /// What may be shown of all connections, in the order of their ids; never a secret.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn summary(&self) -> Result<Vec<Summary>, Error> {
        Ok(self.snapshot()?.iter().map(|(id, entry)| Summary::of(id, entry)).collect())
    }

    /// The fields a program needs to authenticate as `id` by itself; see [`Entry::auth_info`].
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn auth_info(&self, id: &ConnectionId) -> Result<Option<Credential>, Error> {
        Ok(self.get(id)?.map(|entry| entry.auth_info()))
    }

    /// The last snapshot, if the file has certainly not changed since.
    pub(super) fn cached(&self) -> Result<Option<Arc<Snapshot>>, Error> {
        let stamp = self.file.stamp()?;
        let cached = self.cache.load();
        let current = cached.as_ref().filter(|cached| cached.settled && cached.stamp == stamp);
        Ok(current.map(|cached| Arc::clone(&cached.snapshot)))
    }

    fn reload(&self) -> Result<Arc<Snapshot>, Error> {
        let previous = self.cache.load_full();
        // Read before the file: what is listed by now can't be newer than what the file holds.
        let seen = Seen::read(self.file.path());
        let (sealed, plain) = self.read_settled(previous.as_deref())?;
        let rolled_back = seen.has_passed(sealed.digest.as_ref());
        if rolled_back && !previous.as_ref().is_some_and(|previous| previous.snapshot.rolled_back()) {
            tracing::error!(
                file = %self.file.path().display(),
                "the vault is older than the one that was last seen: somebody put back an old copy"
            );
        }
        let unchanged = previous
            .as_ref()
            .filter(|previous| previous.digest == sealed.digest && previous.snapshot.rolled_back() == rolled_back);
        let snapshot = if let Some(previous) = unchanged {
            Arc::clone(&previous.snapshot)
        } else {
            let document = Document::parse(self.file.path(), &plain)?;
            let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
            Arc::new(Snapshot::of(&document, generation, rolled_back, previous.as_ref().map(|previous| &*previous.snapshot)))
        };
        if let Some(digest) = sealed.digest.filter(|digest| !rolled_back && !seen.ends_with(digest)) {
            self.file.note_foreign_write(digest);
        }
        let settled = !sealed.stamp.is_some_and(|stamp| stamp.is_fresh());
        let cached = Cached { stamp: sealed.stamp, settled, digest: sealed.digest, snapshot: Arc::clone(&snapshot) };
        self.cache.store(Some(Arc::new(cached)));
        Ok(snapshot)
    }

    /// Reads and opens the file. JarvisCore writes in place: a file that was good and is being written is given some time.
    fn read_settled(&self, previous: Option<&Cached>) -> Result<(Sealed, Zeroizing<Vec<u8>>), Error> {
        let before = previous.and_then(|previous| previous.stamp);
        for _ in 0..UNSETTLED_READS {
            let sealed = self.file.read()?;
            match self.file.open(&sealed) {
                Ok(plain) => return Ok((sealed, plain)),
                Err(_) if in_place(before, sealed.stamp) => thread::sleep(UNSETTLED_PAUSE),
                Err(error) => return Err(error),
            }
        }
        let sealed = self.file.read()?;
        let plain = self.file.open(&sealed)?;
        Ok((sealed, plain))
    }
}

/// Whether a file that was good is being written in place this very moment.
fn in_place(before: Option<Stamp>, now: Option<Stamp>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => now.same_file(&before) && now.is_fresh(),
        _ => false,
    }
}

pub(super) fn check_fields(entry: &Entry) -> Result<(), Error> {
    let reserved = entry.fields.names().find(|name| RESERVED.contains(name));
    reserved.map_or(Ok(()), |name| Err(Error::ReservedField(name.to_owned())))
}

pub(super) fn understood(id: &ConnectionId, entry: Option<Result<Entry, NotUnderstood>>) -> Result<Option<Entry>, Error> {
    entry.transpose().map_err(|cause| Error::NotUnderstood { connection: id.clone(), cause })
}
