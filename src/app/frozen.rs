//! `frozen.toml`: agents that get nothing until a person thaws them, whatever starts or stops meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use super::home::{Home, HomeError, read_text, write};
use super::reload::Reload;
use crate::agent::{Agents, Frozen, read_frozen, write_frozen};
use crate::disk;
use crate::model::AgentName;

const LIMIT: u64 = 1024 * 1024;

impl Home {
    /// Where they are written down.
    pub fn frozen_file(&self) -> PathBuf {
        self.path().join("frozen.toml")
    }

    /// The agents that get nothing.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn frozen(&self) -> Result<Vec<Frozen>, HomeError> {
        Ok(self.written_frozen()?.unwrap_or_default())
    }

    /// `None` where there is no file.
    fn written_frozen(&self) -> Result<Option<Vec<Frozen>>, HomeError> {
        let file = self.frozen_file();
        let invalid = |cause| HomeError::Agents { path: file.clone(), cause };
        read_text(&file, LIMIT)?.map(|text| read_frozen(&text)).transpose().map_err(invalid)
    }

    /// Lets `frozen` get nothing; false = so it is already.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn freeze(&self, frozen: &Frozen) -> Result<bool, HomeError> {
        self.change_frozen(|all| {
            let new = all.iter().all(|other| other.agent != frozen.agent);
            if new {
                all.push(frozen.clone());
            }
        })
    }

    /// Lets the agent called `name` get what it may again; false = it was not frozen.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn thaw(&self, name: &AgentName) -> Result<bool, HomeError> {
        self.change_frozen(|all| all.retain(|frozen| frozen.agent != *name))
    }

    /// Changes them under a lock, and says whether that changed anything. The last one leaves an empty file: one that is gone is damaged.
    fn change_frozen(&self, change: impl FnOnce(&mut Vec<Frozen>)) -> Result<bool, HomeError> {
        let file = self.frozen_file();
        let _held = disk::Lock::acquire(&file).map_err(|cause| HomeError::File { path: file.clone(), cause })?;
        let before = self.frozen()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(false);
        }
        let text = write_frozen(&after).map_err(|cause| HomeError::Agents { path: file.clone(), cause })?;
        write(&file, text.as_bytes(), disk::PRIVATE).map(|()| true)
    }
}

/// Takes what the file says now; one that can't be used, or is gone, leaves those frozen that were. Says whether it could be used.
pub(super) fn again(home: &Home, agents: &Agents) -> bool {
    match home.written_frozen() {
        Ok(Some(frozen)) => agents.store_frozen(frozen),
        Ok(None) => write_again(home, &agents.frozen()),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "who is frozen was not taken; those who were stay so");
            return false;
        }
    }
    true
}

/// A file that is gone thaws nobody, at the next start neither: who was in it is written down anew, so that commands find them.
fn write_again(home: &Home, frozen: &[Frozen]) {
    if frozen.is_empty() {
        return;
    }
    let gone = HomeError::Vanished(home.frozen_file());
    match frozen.iter().try_for_each(|frozen| home.freeze(frozen).map(drop)) {
        Ok(()) => tracing::error!("who is frozen was written down again, `nexus agent thaw` thaws: {gone}"),
        Err(error) => tracing::error!(
            error = &error as &dyn std::error::Error,
            "who is frozen is so only until the next start, and can't be written down again: {gone}"
        ),
    }
}

/// Writes down whom the proxy froze, as soon as it did.
pub(super) async fn write_down(reload: Arc<Reload>) {
    let mut changes = reload.proxy.agents.changes();
    loop {
        let unsaved = reload.proxy.agents.unsaved();
        if !unsaved.is_empty() {
            let home = reload.home.clone();
            let writing = tokio::task::spawn_blocking(move || {
                unsaved.iter().try_for_each(|frozen| home.freeze(frozen).map(drop)).map(|()| unsaved)
            });
            match writing.await {
                Ok(Ok(written)) => reload.proxy.agents.saved(&written),
                Ok(Err(error)) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an agent is frozen only until the next start: it can't be written down"
                ),
                Err(_panic) => return,
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::agent::{Bounds, Registry};

    #[test]
    fn i9_a_file_that_is_taken_away_thaws_nobody_and_is_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path().join("home"));
        disk::create_private_dir(home.path()).expect("a home");
        let agents = Agents::new(Registry::default(), Bounds::default());
        again(&home, &agents);
        assert!(!home.frozen_file().exists(), "nobody is frozen");
        let name: AgentName = "ci".parse().expect("a name");
        let frozen = Frozen { agent: name.clone(), since: SystemTime::UNIX_EPOCH, why: "a test".into() };
        assert!(home.freeze(&frozen).expect("written"));
        again(&home, &agents);
        std::fs::remove_file(home.frozen_file()).expect("removed");
        again(&home, &agents);
        assert!(agents.is_frozen(&name));
        assert_eq!(home.frozen().expect("a file"), [frozen], "and a restart finds it");
        assert!(home.thaw(&name).expect("written"));
        again(&home, &agents);
        assert!(!agents.is_frozen(&name) && home.frozen().expect("a file").is_empty());
    }
}
