//! From secret and salt file to the key.

use std::path::Path;
use std::time::Instant;

use super::error::Error;
use super::store::Settings;
use crate::disk::{self, Lock};
use crate::seal::{DataKey, Passphrase, Salt};

/// The largest salt file that is read.
const MAX_LEN: u64 = 1024;

/// Derives the vault's key, making the salt if this is the beginning. Slow on purpose: once per process.
///
/// # Errors
/// [`Error::SaltMissing`] when there is a vault without its salt (a new one would lose it), [`Error::Salt`], [`Error::Disk`].
pub fn unlock(settings: &Settings, passphrase: &Passphrase) -> Result<DataKey, Error> {
    let salt = match read_salt(&settings.salt)? {
        Some(salt) => salt,
        None => create_salt(settings)?,
    };
    let began = Instant::now();
    let key = DataKey::derive(passphrase, &salt);
    // The bulk of every start by design, so it is told apart from the rest.
    tracing::debug!(micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX), "the key is derived");
    Ok(key)
}

fn read_salt(path: &Path) -> Result<Option<Salt>, Error> {
    disk::read_private(path, MAX_LEN)?.map(|bytes| parse_salt(path, &bytes)).transpose()
}

/// Reads the text of the salt file `path`.
pub(super) fn parse_salt(path: &Path, bytes: &[u8]) -> Result<Salt, Error> {
    let text = String::from_utf8_lossy(bytes);
    text.parse().map_err(|cause| Error::Salt { salt: path.to_owned(), cause })
}

fn create_salt(settings: &Settings) -> Result<Salt, Error> {
    for folder in folders(settings) {
        disk::create_private_dir(folder)?;
    }
    let _lock = Lock::acquire(&settings.file)?;
    // Another process may have begun while we waited.
    if let Some(salt) = read_salt(&settings.salt)? {
        return Ok(salt);
    }
    if disk::stamp(&settings.file)?.is_some() {
        return Err(Error::SaltMissing { salt: settings.salt.clone(), file: settings.file.clone() });
    }
    let salt = Salt::random().map_err(Error::Seal)?;
    disk::write_atomic(&settings.salt, salt.to_string().as_bytes(), disk::PRIVATE)?;
    Ok(salt)
}

fn folders(settings: &Settings) -> impl Iterator<Item = &Path> {
    let parents = [&settings.file, &settings.salt].into_iter().filter_map(|file| file.parent());
    parents.filter(|folder| !folder.as_os_str().is_empty())
}
