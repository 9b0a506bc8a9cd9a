//! What a log-in needs of an application that need not run: a way to the provider's endpoints, and a place in the vault.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::config::Config;
use super::endpoint::Endpoint;
use super::home::Home;
use super::parts::{self, BuildError};
use super::settings;
use crate::upstream::Dialler;
use crate::vault::Entry;

pub use crate::consent::{Account, Code, DeviceCode, Error, Heard, Obtained, Ports, Revoked, Waiting, Wish, revoke};
pub use crate::gateway::{Ended, KeepError, can_end, can_keep, end, end_here, keep};
pub use crate::oauth::shown;

/// The way to providers' endpoints, by the dialler that proxies have.
///
/// # Errors
/// As [`BuildError`] says.
pub fn ports(home: &Home, config: &Config) -> Result<Ports, BuildError> {
    let dialler = Dialler::new(settings::upstream(home, config)?, &parts::crypto())?;
    let endpoint = Arc::new(Endpoint(Arc::new(dialler)));
    Ok(Ports::new(endpoint, Arc::new(SystemTime::now), Duration::from_secs(config.renewal.timeout_secs)))
}

/// What `obtained` is as a connection of its own, for a vault elsewhere to take in.
pub fn fresh(account: &Account, obtained: &Obtained) -> Entry {
    let mut entry = account.fresh();
    account.write(obtained, &mut entry);
    entry
}
