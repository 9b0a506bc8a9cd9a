//! `import jarviscore`: what JarvisCore stored, whichever of its two ciphers it used.

use std::path::Path;

use super::MAX_LEN;
use super::document::Document;
use super::entry::Entry;
use super::error::Error;
use super::unlock::parse_salt;
use crate::disk;
use crate::model::ConnectionId;
use crate::seal::{self, DataKey, Passphrase};

/// Reads the connections in JarvisCore's folder (`~/.jarviscore`, with `nexus.enc` and `.salt`) and changes nothing there.
///
/// JarvisCore leaves its files' permissions to the umask, so they may be readable by others. Members that are not connections are
/// passed over with a warning.
///
/// # Errors
/// [`Error::NothingToImport`], [`Error::SaltMissing`], and all that a vault that does not open can be.
pub fn import_jarviscore(folder: &Path, passphrase: &Passphrase) -> Result<Vec<(ConnectionId, Entry)>, Error> {
    let (file, salt) = (folder.join("nexus.enc"), folder.join(".salt"));
    let sealed = disk::read_regular(&file, MAX_LEN)?.ok_or_else(|| Error::NothingToImport(file.clone()))?;
    let Some(salt_text) = disk::read_regular(&salt, MAX_LEN)? else { return Err(Error::SaltMissing { salt, file }) };
    let key = DataKey::derive(passphrase, &parse_salt(&salt, &salt_text)?);
    let opened = match seal::open(&key, &sealed) {
        Err(seal::Error::WrongKeyOrDamaged) => seal::open_stream_cipher(&key, &sealed),
        opened => opened,
    };
    let plain = opened.map_err(|cause| Error::unopened(&file, cause))?;
    let document = Document::parse(&file, &plain)?;
    let mut imported = Vec::new();
    for (key, entry) in document.entries() {
        match entry {
            Ok(entry) => imported.push(entry),
            Err(cause) => tracing::warn!(key, %cause, "not imported"),
        }
    }
    Ok(imported)
}
