//! `VaultFile`: `nexus.enc` on disk; what opens it, and the one way it is written.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use super::MAX_LEN;
use super::error::Error;
use super::seen::{self, Digest, Seen};
use crate::disk::{self, Lock, Stamp};
use crate::seal::{self, DataKey};

/// How long a proxy that is busy goes by its last look at the file.
pub(super) const GLANCE: Duration = Duration::from_millis(1);

pub(super) struct VaultFile {
    path: PathBuf,
    key: DataKey,
}

/// The file as it was read; nothing of it where there is none.
#[derive(Default)]
pub(super) struct Sealed {
    pub(super) stamp: Option<Stamp>,
    pub(super) digest: Option<Digest>,
    text: Option<Vec<u8>>,
}

/// New text for the file, and what its maker wants back when it is written.
pub(super) type Change<T> = (Zeroizing<Vec<u8>>, T);

impl VaultFile {
    pub(super) fn new(path: PathBuf, key: DataKey) -> Self {
        Self { path, key }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stamp(&self) -> Result<Option<Stamp>, Error> {
        Ok(disk::stamp(&self.path)?)
    }

    pub(super) fn read(&self) -> Result<Sealed, Error> {
        let Some((text, stamp)) = disk::read_private_stamped(&self.path, MAX_LEN)? else { return Ok(Sealed::default()) };
        Ok(Sealed { stamp: Some(stamp), digest: Some(seen::digest(&text)), text: Some(text) })
    }

    /// The JSON inside; that of an empty vault where there is no file.
    pub(super) fn open(&self, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Error> {
        let Some(text) = &sealed.text else { return Ok(Zeroizing::new(b"{}".to_vec())) };
        seal::open(&self.key, text).map_err(|cause| Error::unopened(&self.path, cause))
    }

    /// Replaces the file by what `change` makes of its opened text, under the lock; leaves it alone for `None` or an error. On return every
    /// [`Store::glance`](super::Store::glance) that begins sees it.
    pub(super) fn rewrite<T>(
        &self,
        change: impl FnOnce(&[u8]) -> Result<Option<Change<T>>, Error>,
    ) -> Result<Option<T>, Error> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            disk::create_private_dir(folder)?;
        }
        let lock = Lock::acquire(&self.path)?;
        let plain = self.open(&self.read()?)?;
        let Some((text, result)) = change(&plain)? else { return Ok(None) };
        let sealed = seal::seal(&self.key, &text).map_err(Error::Seal)?;
        if u64::try_from(sealed.len()).unwrap_or(u64::MAX) > MAX_LEN {
            return Err(Error::Full { limit: MAX_LEN });
        }
        self.remove_leftovers(&lock);
        disk::write_atomic(&self.path, sealed.as_bytes(), disk::PRIVATE)?;
        let remembered = Seen::read(&self.path).remember(&self.path, seen::digest(sealed.as_bytes()), &lock);
        if let Err(error) = remembered {
            tracing::warn!(%error, "the vault is written, but a rollback of it might go unnoticed");
        }
        // Whoever is told that it is written may rely on nobody using what was there before, and so may who comes next and finds it done.
        thread::sleep(2 * GLANCE);
        drop(lock);
        Ok(Some(result))
    }

    /// Lists a state that JarvisCore wrote (or a Nexus that was killed before it could), if nobody is writing just now.
    pub(super) fn note_foreign_write(&self, digest: Digest) {
        if let Err(error) = self.try_note(digest) {
            tracing::debug!(%error, "cannot remember this state of the vault");
        }
    }

    fn try_note(&self, digest: Digest) -> Result<(), Error> {
        let Some(lock) = Lock::try_acquire(&self.path)? else { return Ok(()) };
        let mut seen = Seen::read(&self.path);
        // Under the lock: it may have been listed, or the file replaced, since it was read.
        if self.read()?.digest != Some(digest) || seen.ends_with(&digest) || seen.has_passed(Some(&digest)) {
            return Ok(());
        }
        Ok(seen.remember(&self.path, digest, &lock)?)
    }

    /// What killed writers left; not being able to is no reason not to write.
    fn remove_leftovers(&self, lock: &Lock) {
        let list = disk::neighbour(&self.path, "seen");
        let removed = list.and_then(|list| disk::remove_leftovers(&list, lock));
        if let Err(error) = removed.and_then(|()| disk::remove_leftovers(&self.path, lock)) {
            tracing::debug!(%error, "cannot remove what an unfinished write left behind");
        }
    }
}
