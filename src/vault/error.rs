//! `Error`: why the vault could not be read or written. None of these ever leads to a write over the file.

use std::path::{Path, PathBuf};

use super::json::NotUnderstood;
use crate::model::ConnectionId;
use crate::{disk, seal};

/// Why the vault could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A link, a file open to others, one that is too large, a lock that does not come free, or what the system says.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A file of zero bytes, as a writer that was cut off leaves it.
    #[error("{} is empty; put a backup in its place, or remove it to begin anew", .0.display())]
    Empty(PathBuf),
    /// The sealed text ends too early.
    #[error("{} is cut short; put a backup in its place", .0.display())]
    Truncated(PathBuf),
    /// Not a sealed text at all.
    #[error("{} is not a vault: it is not base64", file.display())]
    NotBase64 {
        /// The vault.
        file: PathBuf,
        /// Where it is not.
        #[source]
        cause: seal::Error,
    },
    /// The tag does not fit; nothing can tell a wrong secret from changed bytes.
    #[error("{} does not open: NEXUS_SECRET is not the one it was sealed with, or the file is damaged", .0.display())]
    WrongSecretOrDamaged(PathBuf),
    /// It opened, but what is inside is no JSON object. Where, but not what: it may be secret.
    #[error("{} opens, but does not hold a JSON object (line {line}, column {column})", file.display())]
    NotJson {
        /// The vault.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// From 1; 0 at the start of a line.
        column: usize,
    },
    /// Written by a later Nexus, whose meaning we would destroy.
    #[error("{} was written by a newer Nexus (schema {found}); use that one", file.display())]
    NewerSchema {
        /// The vault.
        file: PathBuf,
        /// What stands there.
        found: String,
    },
    /// Without the salt the vault can't be opened, and a new salt would lose it for good.
    #[error("{} is missing, and {} can't be opened without it; put it back from a backup", salt.display(), file.display())]
    SaltMissing {
        /// The salt.
        salt: PathBuf,
        /// The vault.
        file: PathBuf,
    },
    /// A salt file that is not one.
    #[error("{} is not a salt file", salt.display())]
    Salt {
        /// The salt.
        salt: PathBuf,
        /// Why not.
        #[source]
        cause: seal::Error,
    },
    /// The new content could not be sealed.
    #[error("cannot seal the vault")]
    Seal(#[source] seal::Error),
    /// The new content could not be laid out as JSON.
    #[error("cannot write the vault as JSON")]
    Render,
    /// A write would make the file larger than we are willing to read.
    #[error("the vault would grow past {limit} bytes")]
    Full {
        /// The limit.
        limit: u64,
    },
    /// The entry in the file is not one that we can change without losing something.
    #[error("the entry of {connection} can't be changed; remove it first")]
    NotUnderstood {
        /// Whose entry.
        connection: ConnectionId,
        /// What is wrong with it.
        #[source]
        cause: NotUnderstood,
    },
    /// A credential field with a name that means something else in an entry.
    #[error("{0:?} can't be the name of a field: the vault uses it itself")]
    ReservedField(String),
    /// There is no vault in the folder.
    #[error("there is no {}", .0.display())]
    NothingToImport(PathBuf),
}

impl Error {
    /// What it means for the vault `file` that its text did not open.
    pub(super) fn unopened(file: &Path, cause: seal::Error) -> Self {
        let file = file.to_owned();
        match cause {
            seal::Error::Empty => Self::Empty(file),
            seal::Error::Truncated => Self::Truncated(file),
            seal::Error::NotBase64(_) => Self::NotBase64 { file, cause },
            seal::Error::WrongKeyOrDamaged => Self::WrongSecretOrDamaged(file),
            seal::Error::EmptyPassphrase | seal::Error::Salt | seal::Error::TooLong | seal::Error::Random(_) => {
                Self::Seal(cause)
            }
        }
    }
}
