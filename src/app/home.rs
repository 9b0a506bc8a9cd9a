//! `$NEXUS_HOME`: where every file lies, and how the ones that people edit are read.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::config::{self, Config};
use crate::agent;
use crate::disk;
use crate::model::AgentName;
use crate::policy;

const CONFIG_LIMIT: u64 = 1024 * 1024;
/// A hundred thousand agents, each with a few limits.
const AGENTS_LIMIT: u64 = 64 * 1024 * 1024;

/// Why a file of the home folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The file can't be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: disk::Error,
    },
    /// Not UTF-8.
    #[error("{0} is not UTF-8 text")]
    Text(PathBuf),
    /// A file that something relied on is not there any more, or nothing is left in it.
    #[error(
        "{0} is gone or empty; put it back (a comment alone means the shipped values, or no rules; `agent = []` means no agents)"
    )]
    Vanished(PathBuf),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// `gateway-keys.toml` is refused.
    #[error("{path} is not valid")]
    Keys {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: crate::gateway::KeysError,
    },
    /// A rule is refused.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// It would be too long to be read again.
    #[error("{0} would become too large; revoke agents that nobody needs")]
    Full(PathBuf),
    /// `agents.toml` or `passing.toml` is refused.
    #[error("{path} is not valid")]
    Agents {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: agent::Error,
    },
}

/// The home folder.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// The folder at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `nexus.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.0.join("nexus.toml")
    }

    /// `.env`.
    pub fn dotenv(&self) -> PathBuf {
        self.0.join(".env")
    }

    /// `agents.toml`: the lasting agents. Only `nexus agent add` and `revoke` write it.
    pub fn agents_file(&self) -> PathBuf {
        self.0.join("agents.toml")
    }

    /// `passing.toml`: the agents of commands that are under way.
    pub fn passing_file(&self) -> PathBuf {
        self.0.join("passing.toml")
    }

    /// `gateway-keys.toml`: keys of the gateway. Only `nexus gateway key` writes it.
    pub fn gateway_keys_file(&self) -> PathBuf {
        self.0.join("gateway-keys.toml")
    }

    /// `gateway-pending.enc`: what persons are being asked, sealed like the vault.
    pub fn gateway_pending(&self) -> PathBuf {
        self.0.join("gateway-pending.enc")
    }

    /// `gateway.addr`: where the gateway that is up listens, and the key of this machine's command line.
    pub fn gateway_file(&self) -> PathBuf {
        self.0.join("gateway.addr")
    }

    /// `open.html`: what leads a browser of this machine to the page, by a link that works once.
    pub fn open_file(&self) -> PathBuf {
        self.0.join("open.html")
    }

    /// `ca.pem`.
    pub fn ca(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// `ca.key.enc`, sealed like the vault.
    pub fn ca_key(&self) -> PathBuf {
        self.0.join("ca.key.enc")
    }

    /// `ca.next.pem`: the root that signs after a rotation.
    pub fn next_ca(&self) -> PathBuf {
        self.0.join("ca.next.pem")
    }

    /// `ca.next.key.enc`.
    pub fn next_ca_key(&self) -> PathBuf {
        self.0.join("ca.next.key.enc")
    }

    /// `ca.old.pem`: roots that signed before.
    pub fn retired_ca(&self) -> PathBuf {
        self.0.join("ca.old.pem")
    }

    /// `ca-bundle.pem`: system roots and ours.
    pub fn bundle(&self) -> PathBuf {
        self.0.join("ca-bundle.pem")
    }

    /// `env/`: helper files of `nexus env`.
    pub fn helpers(&self) -> PathBuf {
        self.0.join("env")
    }

    /// `providers/`: the user's own.
    pub fn providers(&self) -> PathBuf {
        self.0.join("providers")
    }

    /// `policies/`: files of rules besides those of `nexus.toml`.
    pub fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }

    /// `audit/`.
    pub fn audit(&self) -> PathBuf {
        self.0.join("audit")
    }

    /// `audit.key.enc`: what signs the heads of the log, sealed like the vault.
    pub fn audit_key(&self) -> PathBuf {
        self.0.join("audit.key.enc")
    }

    /// `locks/`: one file per connection that was ever renewed.
    pub fn locks(&self) -> PathBuf {
        self.0.join("locks")
    }

    /// `used.json`: when each connection was used last.
    pub fn uses(&self) -> crate::vault::Uses {
        crate::vault::Uses::new(self.0.join("used.json"))
    }

    /// `proxy.addr`: where the proxies that are up listen, for `nexus run` and `nexus status`.
    pub fn address_file(&self) -> PathBuf {
        self.0.join("proxy.addr")
    }

    /// `gateway-ca.pem`: who signed the certificate of the gateway that connections are taken from.
    pub fn gateway_ca(&self) -> PathBuf {
        self.0.join("gateway-ca.pem")
    }

    /// `node.json`: what that gateway served, and how the link to it stands.
    pub fn node_file(&self) -> PathBuf {
        self.0.join("node.json")
    }

    /// `attention.json`: what needs a person.
    pub fn attention_file(&self) -> PathBuf {
        self.0.join("attention.json")
    }

    /// Where the vault lies.
    pub fn vault(&self) -> crate::vault::Settings {
        crate::vault::Settings { file: self.0.join("nexus.enc"), salt: self.0.join(".salt") }
    }

    /// Whether `nexus init` has been here.
    pub fn is_ready(&self) -> bool {
        self.ca().exists() && self.ca_key().exists()
    }

    /// Reads `nexus.toml` under `overrides`; without the file everything is as shipped.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn config(&self, overrides: &[(String, String)]) -> Result<Config, HomeError> {
        self.parse_config(&self.config_text()?.unwrap_or_default(), overrides)
    }

    /// As [`Home::config`]; `None` where there is no file, or nothing in it.
    pub(super) fn written_config(&self, overrides: &[(String, String)]) -> Result<Option<Config>, HomeError> {
        self.config_text()?.map(|text| self.parse_config(&text, overrides)).transpose()
    }

    /// `nexus.toml` as it stands, if there is anything in it.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn config_text(&self) -> Result<Option<String>, HomeError> {
        Ok(read_text(&self.config_file(), CONFIG_LIMIT)?.filter(|text| !text.trim().is_empty()))
    }

    fn parse_config(&self, text: &str, overrides: &[(String, String)]) -> Result<Config, HomeError> {
        Ok(Config::parse(&self.config_file().display().to_string(), text, overrides)?)
    }

    /// All agents: those of `agents.toml`, then those of commands that are under way.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn agents(&self) -> Result<Vec<agent::Registered>, HomeError> {
        Ok([self.lasting()?.unwrap_or_default(), self.passing()?].concat())
    }

    /// The agents of `agents.toml`; `None` where there is no file.
    ///
    /// # Errors
    /// As [`HomeError`] says. We write no empty file, so that one is damaged.
    pub fn lasting(&self) -> Result<Option<Vec<agent::Registered>>, HomeError> {
        let file = self.agents_file();
        if read_text(&file, AGENTS_LIMIT)?.is_some_and(|text| text.trim().is_empty()) {
            return Err(HomeError::Vanished(file));
        }
        Ok(read_agents(&file)?.map(|rows| rows.into_iter().filter(|row| !row.ephemeral).collect()))
    }

    /// A digest of what `agents.toml` and `frozen.toml` say now, by which a command knows that a proxy has taken it.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn agents_digest(&self) -> Result<String, HomeError> {
        let mut hash = Sha256::new();
        for file in [self.agents_file(), self.frozen_file()] {
            let text = read_text(&file, AGENTS_LIMIT)?.unwrap_or_default();
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        Ok(agent::hex(&hash.finalize()))
    }

    /// Changes `agents.toml` under its lock: what another process wrote meanwhile is not lost. Where nothing changes nothing is written:
    /// a file that is gone must not come back as a list of no agents.
    ///
    /// # Errors
    /// As [`HomeError`] says; then the file is as it was.
    pub fn change_agents<T>(&self, change: impl FnOnce(&mut Vec<agent::Registered>) -> T) -> Result<T, HomeError> {
        change_file(&self.agents_file(), || Ok(self.lasting()?.unwrap_or_default()), change)
    }

    /// Takes `name` out of whichever file it stands in, and says whether it stood in one.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn revoke(&self, name: &AgentName) -> Result<bool, HomeError> {
        let without = |agents: &mut Vec<agent::Registered>| {
            let before = agents.len();
            agents.retain(|agent| agent.name != *name);
            agents.len() < before
        };
        Ok(self.change_agents(without)? || self.change_passing(without)?)
    }
}

/// Reads a file of agents; `None` where there is none.
pub(super) fn read_agents(file: &Path) -> Result<Option<Vec<agent::Registered>>, HomeError> {
    let invalid = |cause| HomeError::Agents { path: file.to_owned(), cause };
    read_text(file, AGENTS_LIMIT)?.map(|text| agent::read(&text)).transpose().map_err(invalid)
}

/// Changes the agents that `read` finds in `file`, under its lock.
pub(super) fn change_file<T>(
    file: &Path,
    read: impl FnOnce() -> Result<Vec<agent::Registered>, HomeError>,
    change: impl FnOnce(&mut Vec<agent::Registered>) -> T,
) -> Result<T, HomeError> {
    let _held = disk::Lock::acquire(file).map_err(|cause| HomeError::File { path: file.to_owned(), cause })?;
    let before = read()?;
    let mut agents = before.clone();
    let result = change(&mut agents);
    if agents != before {
        let text = agent::write(&agents).map_err(|cause| HomeError::Agents { path: file.to_owned(), cause })?;
        if u64::try_from(text.len()).is_ok_and(|length| length > AGENTS_LIMIT) {
            return Err(HomeError::Full(file.to_owned()));
        }
        write(file, text.as_bytes(), disk::PRIVATE)?;
    }
    Ok(result)
}

/// Reads a private text file; `None` where there is none.
pub(super) fn read_text(file: &Path, limit: u64) -> Result<Option<String>, HomeError> {
    let bytes = disk::read_private(file, limit).map_err(|cause| HomeError::File { path: file.to_owned(), cause })?;
    let text = bytes.map(String::from_utf8).transpose();
    text.map_err(|_not_text| HomeError::Text(file.to_owned()))
}

/// Writes a file whole or not at all.
pub(super) fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<(), HomeError> {
    disk::write_atomic(file, bytes, mode).map_err(|cause| HomeError::File { path: file.to_owned(), cause })
}

/// Reads a file that anybody may read, such as a certificate.
pub(super) fn read_public_text(file: &Path) -> Result<Option<String>, HomeError> {
    let bytes = disk::read_regular(file, AGENTS_LIMIT).map_err(|cause| HomeError::File { path: file.to_owned(), cause })?;
    let text = bytes.map(String::from_utf8).transpose();
    text.map_err(|_not_text| HomeError::Text(file.to_owned()))
}
