//! Credentials at rest: `nexus.enc`, encrypted, atomic, locked. Floor 1.

mod entry;

pub use entry::{AuthType, Entry, Status};
