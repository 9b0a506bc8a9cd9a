//! Credentials at rest: `nexus.enc`, encrypted, atomic, locked. Floor 1.
//!
//! The file is byte-compatible with JarvisCore's store: sealed JSON, an object by connection id. A file that does not open, for
//! whatever reason, is never written over; what we do not understand in one that does open is kept word for word.
//!
//! ```
//! use nexus::model::{Credential, Secret};
//! use nexus::seal::Passphrase;
//! use nexus::vault::{AuthType, Entry, Settings, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let home = folder.path();
//! let settings = Settings { file: home.join("nexus.enc"), salt: home.join(".salt") };
//! let store = Store::open(settings, &Passphrase::new("correct horse battery staple")?)?;
//!
//! let mut fields = Credential::default();
//! fields.set("api_key", Secret::new(String::from("sk_test_1")));
//! store.register(&"stripe".parse()?, Entry::new("stripe".parse()?, AuthType::ApiKey, fields))?;
//!
//! let info = store.auth_info(&"stripe".parse()?)?.ok_or("not registered")?;
//! assert_eq!(info.field("api_key").map(|key| key.expose().as_str()), Some("sk_test_1"));
//! # Ok(())
//! # }
//! ```

mod capture;
mod document;
mod entry;
mod error;
mod file;
mod import;
mod json;
mod seen;
mod snapshot;
mod store;
mod summary;
mod unlock;
mod used;

pub use capture::{CaptureError, NotApproved, PendingBound};
pub use entry::{AuthType, Captured, Entry, Lent, LentRenewal, Status, Unknown};
pub use error::Error;
pub use import::import_jarviscore;
pub use json::NotUnderstood;
pub(crate) use json::decode as read_entry;
pub(crate) use snapshot::written_anew;
pub use snapshot::{OwnConnection, OwnConnections, Snapshot, Stranger};
pub use store::{Settings, Store};
pub use summary::Summary;
pub use unlock::unlock;
pub use used::Uses;

/// The largest vault file that is read or written: room for many times the connections it is good for.
const MAX_LEN: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
