//! What every command needs: the home folder, the environment, the vault.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use nexus::app::{Config, Home, InitError, Origin, check_key, dotenv_value, handed_down, passphrase};
use nexus::model::{ConnectionId, Secret};
use nexus::provider::Catalogue;
use nexus::seal::{DataKey, Passphrase};
use nexus::vault::{self, Store};

use super::conceal;
use super::terminal::{Terminal, WEAK_SECRET};

/// Variables that Nexus itself reads, besides those it [conceals](conceal::OTHERS); another `NEXUS_*` name is a mistake worth telling.
const KNOWN: [&str; 12] = [
    "NEXUS_HOME",
    "NEXUS_SECRET_FD",
    "NEXUS_SECRET",
    "NEXUS_SECRET_FILE",
    "NEXUS_GATEWAY_URL",
    "NEXUS_RETURN_URL",
    "NEXUS_GATEWAY_KEY",
    "NEXUS_GATEWAY_KEY_FD",
    "NEXUS_GATEWAY_KEY_FILE",
    "NEXUS_GATEWAY_CA",
    "NEXUS_DATABASE_URL",
    "NEXUS_LOG",
];

/// The surroundings of one command.
pub(crate) struct Context {
    pub(crate) home: Home,
    /// What came through descriptors, which can be read once.
    handed_down: Option<Secret<String>>,
    handed_key: Option<Secret<String>>,
    key: OnceCell<DataKey>,
}

impl Context {
    /// `$NEXUS_HOME`, else `~/.nexus`. A `.env` in the working folder is never read.
    pub(crate) fn new(home: Option<PathBuf>) -> anyhow::Result<Self> {
        refuse_what_is_no_text()?;
        // A variable that is set to nothing is not set, as everywhere.
        let named = || std::env::var_os("NEXUS_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = match home.or_else(named) {
            Some(path) => std::path::absolute(path)?,
            None => std::env::home_dir().context("there is no home folder; set NEXUS_HOME")?.join(".nexus"),
        };
        let renamed = |name: &str| Self::variable(if name == "NEXUS_SECRET_FD" { "NEXUS_GATEWAY_KEY_FD" } else { name });
        let (handed_down, handed_key) = (handed_down(&Self::variable)?, handed_down(&renamed)?);
        Ok(Self { home: Home::new(home), handed_down, handed_key, key: OnceCell::new() })
    }

    /// One variable of the environment.
    pub(crate) fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// One variable of the environment, or the secret that was taken out of it (`conceal.rs`).
    pub(crate) fn variable_or_secret(&self, name: &str) -> Option<String> {
        match (name, &self.handed_down, &self.handed_key) {
            ("NEXUS_SECRET", Some(secret), _) | ("NEXUS_GATEWAY_KEY", _, Some(secret)) => Some(secret.expose().clone()),
            ("NEXUS_SECRET_FD", ..) => None,
            _ => Self::variable(name),
        }
    }

    /// `NEXUS__SECTION__KEY` variables, and names that look like ours but are not.
    pub(crate) fn overrides() -> (Vec<(String, String)>, Vec<String>) {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let ours = std::env::vars_os().filter_map(text).filter(|(name, _)| name.starts_with("NEXUS_"));
        let (overrides, others): (Vec<_>, Vec<_>) = ours.partition(|(name, _)| name.starts_with("NEXUS__"));
        let known = |name: &str| KNOWN.iter().chain(&conceal::OTHERS).any(|known| *known == name);
        let unknown = others.into_iter().map(|(name, _)| name).filter(|name| !known(name));
        (overrides, unknown.collect())
    }

    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        Ok(self.home.config(&Self::overrides().0)?)
    }

    pub(crate) fn passphrase(&self) -> anyhow::Result<(Passphrase, Origin)> {
        Ok(passphrase(&self.home, &|name| self.variable_or_secret(name))?)
    }

    /// The vault's key: takes a tenth of a second, once. A home that is not there is not begun by looking into it.
    pub(crate) fn key(&self) -> anyhow::Result<DataKey> {
        if let Some(key) = self.key.get() {
            return Ok(key.duplicate());
        }
        self.require_home()?;
        let (passphrase, _origin) = self.passphrase()?;
        let key = vault::unlock(&self.home.vault(), &passphrase)?;
        check_key(&self.home, &key)?;
        Ok(self.key.get_or_init(|| key).duplicate())
    }

    /// As [`Context::key`], where `NEXUS_SECRET` is another vault's: the secret in `$NEXUS_HOME/.env` goes first.
    pub(crate) fn own_key(&self) -> anyhow::Result<DataKey> {
        if dotenv_value(&self.home, "NEXUS_SECRET")?.is_none() {
            return self.key();
        }
        let masked = |name: &str| self.variable_or_secret(name).filter(|_| name != "NEXUS_SECRET");
        let (passphrase, _origin) = passphrase(&self.home, &masked)?;
        Ok(vault::unlock(&self.home.vault(), &passphrase)?)
    }

    /// What is written under JarvisCore's fallback is as good as open to whoever has the file.
    pub(crate) fn warn_if_guessable(&self, terminal: &Terminal) -> anyhow::Result<()> {
        if self.passphrase()?.1 == Origin::Machine {
            terminal.warn(WEAK_SECRET);
        }
        Ok(())
    }

    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::with_key(self.home.vault(), self.key()?))
    }

    /// All providers; a person's file with a mistake is told of and left out.
    pub(crate) fn catalogue(&self, terminal: &Terminal) -> Catalogue {
        let (catalogue, mistakes) = Catalogue::with_user_folder(&self.home.providers());
        for mistake in &mistakes {
            terminal.warn(&mistake.to_string());
        }
        catalogue
    }

    /// Whether only what callers may read of the home is here, and nothing can be written: so `nexus run` shows it.
    fn is_shut_out(&self) -> bool {
        use rustix::fs::StatVfsMountFlags;
        let mount = rustix::fs::statvfs(self.home.path());
        mount.is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY)) && !self.home.vault().salt.exists()
    }

    /// Refuses to go on without `nexus init`.
    pub(crate) fn require_home(&self) -> anyhow::Result<()> {
        match (self.home.ca().exists(), self.home.ca_key().exists()) {
            (true, false) if self.is_shut_out() => anyhow::bail!(
                "{} is shut out here, as it is for a command of `nexus run`; type this outside of it",
                self.home.path().display()
            ),
            (true, false) => anyhow::bail!(InitError::HalfCa("ca.key.enc")),
            (false, true) => anyhow::bail!(InitError::HalfCa("ca.pem")),
            _ => {}
        }
        anyhow::ensure!(self.home.is_ready(), Hint::new(format!("{} is not set up", self.home.path().display()), "nexus init"));
        Ok(())
    }
}

/// The connection that `provider` and `--user` name together.
pub(crate) fn connection(provider: &str, user: Option<&str>) -> anyhow::Result<ConnectionId> {
    let id: ConnectionId = provider.parse()?;
    match (id.user(), user) {
        (_, None) => Ok(id),
        (None, Some(user)) => Ok(ConnectionId::new(id.provider().clone(), Some(user.parse()?))),
        (Some(_), Some(_)) => anyhow::bail!("the person is named twice: in {provider} and by --user"),
    }
}

/// The same as it is in `store`, where a person may go by another name: a number.
pub(crate) fn known(store: &Store, provider: &str, user: Option<&str>) -> anyhow::Result<ConnectionId> {
    let named = connection(provider, user)?;
    Ok(store.snapshot()?.meant(&named))
}

/// A variable of ours that can't be read as text would be passed over, and something else used instead: another secret, say.
fn refuse_what_is_no_text() -> anyhow::Result<()> {
    // A path need not be text.
    let ours = std::env::vars_os().filter(|(name, _)| name != "NEXUS_HOME" && name.as_bytes().starts_with(b"NEXUS_"));
    for (name, value) in ours {
        let name = name.to_string_lossy();
        let hint = || Hint::new(format!("{name} is not UTF-8 text; set it anew"), format!("unset {name}"));
        anyhow::ensure!(value.to_str().is_some(), hint());
    }
    Ok(())
}

/// An error with the next command to type.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Hint {
    message: String,
    pub(crate) command: String,
}

impl Hint {
    pub(crate) fn new(message: impl Into<String>, command: impl Into<String>) -> Self {
        Self { message: message.into(), command: command.into() }
    }
}
