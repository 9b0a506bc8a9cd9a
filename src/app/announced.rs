//! `proxy.addr`: where the proxies of a home listen. Each writes its own lines and takes only those back.

use std::net::SocketAddr;

use rustix::process::{Pid, test_kill_process};

use super::home::{Home, HomeError, read_text, write};
use crate::disk;

const LIMIT: u64 = 64 * 1024;

/// A proxy that is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its process.
    pub process: i32,
    /// Where it listens, in the order of its configuration: `proxy.listen`, then `proxy.agent_listen`.
    pub addresses: Vec<SocketAddr>,
}

impl Announced {
    fn alive(&self) -> bool {
        (self.process > 0)
            .then(|| Pid::from_raw(self.process))
            .flatten()
            .is_some_and(|process| test_kill_process(process).is_ok())
    }

    /// The process in one line, then one line for each address.
    fn lines(&self) -> String {
        self.addresses.iter().fold(format!("{}\n", self.process), |text, address| format!("{text}{address}\n"))
    }
}

impl Home {
    /// Writes down where this process listens, for `nexus run` and `nexus status`, after the proxies that are up already.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn announce(&self, addresses: &[SocketAddr]) -> Result<(), HomeError> {
        let ours = Announced { process: std::process::id().cast_signed(), addresses: addresses.to_vec() };
        self.change_announced(|all| all.push(ours))
    }

    /// What the running proxies wrote down, the oldest first; those whose process is gone are left out. Only they are ours to believe:
    /// the file is private.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn announced(&self) -> Result<Vec<Announced>, HomeError> {
        let text = read_text(&self.address_file(), LIMIT)?.unwrap_or_default();
        let mut all: Vec<Announced> = Vec::new();
        for line in text.lines() {
            if let Ok(process) = line.parse() {
                all.push(Announced { process, addresses: Vec::new() });
            } else if let (Some(last), Ok(address)) = (all.last_mut(), line.parse()) {
                last.addresses.push(address);
            }
        }
        all.retain(|one| one.alive() && !one.addresses.is_empty());
        Ok(all)
    }

    /// Takes back what this process wrote.
    pub fn unannounce(&self) {
        if let Err(error) = self.change_announced(|_others| ()) {
            tracing::debug!(error = &error as &dyn std::error::Error, "the address file stays as it is");
        }
    }

    /// Changes the list of the others under a lock; an empty one leaves no file.
    fn change_announced(&self, change: impl FnOnce(&mut Vec<Announced>)) -> Result<(), HomeError> {
        let file = self.address_file();
        let fail = |cause| HomeError::File { path: file.clone(), cause };
        let _held = disk::Lock::acquire(&file).map_err(fail)?;
        let ours = std::process::id().cast_signed();
        let mut all = self.announced()?;
        all.retain(|one| one.process != ours);
        change(&mut all);
        if !all.is_empty() {
            let text: String = all.iter().map(Announced::lines).collect();
            return write(&file, text.as_bytes(), disk::PRIVATE);
        }
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::debug!(%error, "the address file was gone already");
        }
        Ok(())
    }
}
