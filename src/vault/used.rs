//! `Uses`: when each connection was used last. Beside the vault, in a file of its own: it holds no secret, and the vault is not written
//! for it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::model::ConnectionId;

/// Connections that are remembered at most; those used last stay.
const KEPT: usize = 20_000;
/// Room for as many, with long names.
const MAX_LEN: u64 = 8 * 1024 * 1024;

/// The file `used.json`: `{"unix_secs": {"github:alice": 1800000000}}`.
#[derive(Debug, Clone)]
pub struct Uses(PathBuf);

#[derive(Default, Serialize, Deserialize)]
struct Document {
    unix_secs: BTreeMap<String, u64>,
}

impl Uses {
    /// The file at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// What is known, to the second. A file that is none tells nothing.
    ///
    /// # Errors
    /// As the disk says.
    pub fn read(&self) -> Result<HashMap<ConnectionId, SystemTime>, disk::Error> {
        let known = self.document()?.unix_secs.into_iter();
        Ok(known
            .filter_map(|(id, secs)| Some((id.parse().ok()?, UNIX_EPOCH.checked_add(Duration::from_secs(secs))?)))
            .collect())
    }

    /// Notes `latest`, beside what other processes noted. Those that `exists` says no to go; a time that lies ahead of `now` is that of a
    /// clock that was wrong, and does not stay. Where nothing changes nothing is written.
    ///
    /// # Errors
    /// As the disk says; then the file is as it was.
    pub fn note(
        &self,
        latest: &[(ConnectionId, SystemTime)],
        now: SystemTime,
        exists: impl Fn(&ConnectionId) -> bool,
    ) -> Result<(), disk::Error> {
        let _held = disk::Lock::acquire(&self.0)?;
        let before = self.document()?.unix_secs;
        let now = seconds(now);
        let known = before.iter().map(|(id, at)| (id.clone(), *at)).filter(|(_, at)| *at <= now);
        let mut after: BTreeMap<String, u64> = known.collect();
        for (id, at) in latest {
            let at = seconds(*at).min(now);
            after.entry(id.to_string()).and_modify(|known| *known = at.max(*known)).or_insert(at);
        }
        after.retain(|id, _| id.parse().is_ok_and(|id| exists(&id)));
        forget_the_oldest(&mut after);
        if after == before {
            return Ok(());
        }
        // Names and numbers always make a text.
        let Ok(text) = serde_json::to_vec(&Document { unix_secs: after }) else { return Ok(()) };
        disk::write_atomic(&self.0, &text, disk::PRIVATE)
    }

    fn document(&self) -> Result<Document, disk::Error> {
        let bytes = disk::read_private(&self.0, MAX_LEN)?.unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Document::default());
        }
        Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(file = %self.0.display(), %error, "when connections were used last is forgotten");
            Document::default()
        }))
    }
}

fn forget_the_oldest(known: &mut BTreeMap<String, u64>) {
    let mut times: Vec<u64> = known.values().copied().collect();
    times.sort_unstable_by(|one, other| other.cmp(one));
    // Those of the same second as the first that has no place go too.
    if let Some(limit) = times.get(KEPT) {
        known.retain(|_, at| *at > *limit);
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn id(text: &str) -> ConnectionId {
        text.parse().expect("a handle")
    }

    fn told(uses: &Uses) -> Vec<(String, u64)> {
        let mut told: Vec<_> = uses.read().expect("a file").iter().map(|(id, at)| (id.to_string(), seconds(*at))).collect();
        told.sort();
        told
    }

    #[test]
    fn the_latest_use_of_all_processes_stays_as_long_as_the_connection() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("home");
        disk::create_private_dir(&home).expect("a folder");
        let uses = Uses::new(home.join("used.json"));
        assert!(told(&uses).is_empty());
        let note = |latest: &[(&str, u64)], now: u64, gone: &str| {
            let latest: Vec<_> = latest.iter().map(|(name, secs)| (id(name), at(*secs))).collect();
            uses.note(&latest, at(now), |id| id.as_str() != gone).expect("written");
        };
        note(&[], 100, "");
        assert!(!home.join("used.json").exists(), "nothing to say");
        note(&[("github", 90), ("github:alice", 95)], 100, "");
        note(&[("github", 80), ("stripe", 99)], 100, "");
        assert_eq!(told(&uses), [("github".into(), 90), ("github:alice".into(), 95), ("stripe".into(), 99)]);
        // The clock went back: what lies ahead was no time.
        note(&[("github", 50), ("stripe", 70)], 60, "github:alice");
        assert_eq!(told(&uses), [("github".into(), 50), ("stripe".into(), 60)]);
        disk::write_atomic(&home.join("used.json"), b"{\"unix_secs\": 7", disk::PRIVATE).expect("written");
        assert!(told(&uses).is_empty());
        note(&[("github", 61)], 62, "");
        assert_eq!(told(&uses), [("github".into(), 61)]);
    }

    #[test]
    fn i7_only_so_many_are_remembered() {
        let mut known: BTreeMap<String, u64> = (0..KEPT as u64 + 5).map(|number| (format!("a:{number}"), number)).collect();
        forget_the_oldest(&mut known);
        assert_eq!((known.len(), known.values().min()), (KEPT, Some(&5)));
    }
}
