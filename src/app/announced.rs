//! `proxy.addr`: where the proxies of a home listen. Each writes its own lines and takes only those back.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::alive::is_alive;
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
    /// The rules that it obeys; `None` where it did not say so.
    pub in_force: Option<InForce>,
}

/// Which rules a proxy obeys, and which agents it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Of all that they say; see [`super::rules_digest`].
    pub digest: String,
    /// Since when; RFC 3339.
    pub since: String,
    /// Why what was written since was not taken.
    pub mistake: Option<String>,
    /// Of the files of agents that were taken last; see [`Home::agents_digest`].
    #[serde(default)]
    pub agents: String,
}

impl Announced {
    /// The process in one line, then one line for each address, then its rules.
    fn lines(&self) -> String {
        let addresses = self.addresses.iter().map(|address| format!("{address}\n"));
        let rules = self.in_force.iter().filter_map(|rules| serde_json::to_string(rules).ok()).map(|rules| rules + "\n");
        std::iter::once(format!("{}\n", self.process)).chain(addresses).chain(rules).collect()
    }
}

impl Home {
    /// Writes down where this process listens and which rules it obeys, for `nexus run`, `nexus status` and `nexus policy check`, after the
    /// proxies that are up already.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn announce(&self, addresses: &[SocketAddr], rules: InForce) -> Result<(), HomeError> {
        let process = std::process::id().cast_signed();
        let ours = Announced { process, addresses: addresses.to_vec(), in_force: Some(rules) };
        self.change_announced(|all| {
            all.retain(|one| one.process != process);
            all.push(ours);
        })
    }

    /// Writes down which rules this process obeys now, if it is announced.
    pub(super) fn announce_rules(&self, rules: &InForce) -> Result<(), HomeError> {
        let process = std::process::id().cast_signed();
        if !self.announced()?.iter().any(|one| one.process == process) {
            return Ok(());
        }
        self.change_announced(|all| {
            let ours = all.iter_mut().filter(|one| one.process == process);
            ours.for_each(|one| one.in_force = Some(rules.clone()));
        })
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
                all.push(Announced { process, addresses: Vec::new(), in_force: None });
            } else if let (Some(last), Ok(address)) = (all.last_mut(), line.parse()) {
                last.addresses.push(address);
            } else if let (Some(last), Ok(rules)) = (all.last_mut(), serde_json::from_str(line)) {
                last.in_force = Some(rules);
            }
        }
        all.retain(|one| is_alive(one.process) && !one.addresses.is_empty());
        Ok(all)
    }

    /// Takes back what this process wrote.
    pub fn unannounce(&self) {
        let ours = std::process::id().cast_signed();
        if let Err(error) = self.change_announced(|all| all.retain(|one| one.process != ours)) {
            tracing::debug!(error = &error as &dyn std::error::Error, "the address file stays as it is");
        }
    }

    /// Changes the list under a lock; an empty one leaves no file.
    fn change_announced(&self, change: impl FnOnce(&mut Vec<Announced>)) -> Result<(), HomeError> {
        let file = self.address_file();
        let fail = |cause| HomeError::File { path: file.clone(), cause };
        let _held = disk::Lock::acquire(&file).map_err(fail)?;
        let mut all = self.announced()?;
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
