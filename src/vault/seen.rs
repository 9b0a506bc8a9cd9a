//! `Seen`: the states of the vault that we know of, so that an old one coming back is noticed.
//!
//! `.nexus.enc.seen` holds the SHA-256 of the sealed files seen last, oldest first, one in base64 per line. Sealing is randomised,
//! so no two writes give the same file: a state that is listed, but not last, has been put back. A counter inside the vault would
//! raise false alarms, since JarvisCore writes the file too and would not count. What this can't notice: a state older than
//! the list, one that no Nexus ever read, and the list put back together with the file.

use std::path::Path;

use base64::engine::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use sha2::{Digest as _, Sha256};

use crate::disk;

/// States that are remembered at least; twice as many at most.
const KEPT: usize = 512;
/// Room for all of them, at 45 bytes each.
const MAX_LEN: u64 = 64 * 1024;

/// The SHA-256 of a sealed file.
pub(super) type Digest = [u8; 32];

pub(super) fn digest(sealed: &[u8]) -> Digest {
    Sha256::digest(sealed).into()
}

#[derive(Default)]
pub(super) struct Seen(Vec<Digest>);

impl Seen {
    /// Reads the list of the vault `file`. One that can't be read costs a warning, not the vault.
    pub(super) fn read(file: &Path) -> Self {
        let bytes = disk::neighbour(file, "seen").and_then(|path| disk::read_private(&path, MAX_LEN));
        match bytes {
            Ok(bytes) => Self::parse(&bytes.unwrap_or_default()),
            Err(error) => {
                tracing::warn!(%error, "cannot tell whether the vault was rolled back");
                Self::default()
            }
        }
    }

    fn parse(bytes: &[u8]) -> Self {
        let digests = bytes.split(|byte| *byte == b'\n').filter_map(|line| URL_SAFE.decode(line).ok()?.try_into().ok());
        Self(digests.collect())
    }

    /// Whether this state is the last one known.
    pub(super) fn ends_with(&self, state: &Digest) -> bool {
        self.0.last() == Some(state)
    }

    /// Whether this state (or having no file) was followed by another.
    pub(super) fn has_passed(&self, state: Option<&Digest>) -> bool {
        match state {
            Some(state) => !self.ends_with(state) && self.0.contains(state),
            None => !self.0.is_empty(),
        }
    }

    /// Adds the state that the vault `file` now has. Only for the holder of its lock, else the order is a lie.
    pub(super) fn remember(&mut self, file: &Path, state: Digest, _held: &disk::Lock) -> Result<(), disk::Error> {
        let list = disk::neighbour(file, "seen")?;
        let line = |digest: &Digest| URL_SAFE.encode(digest) + "\n";
        self.0.push(state);
        // One short write at the end, which need not survive a power cut: it would be listed again when it is read.
        if self.0.len() <= KEPT * 2 {
            return disk::append_private(&list, line(&state).as_bytes());
        }
        self.0.drain(..KEPT);
        let lines: String = self.0.iter().map(line).collect();
        disk::write_atomic(&list, lines.as_bytes(), disk::PRIVATE)
    }
}
