//! `Shelf`: the folder of the user's own provider files, where a program adds one.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::catalogue::{named, user_files};
use super::parse::Error;
use crate::disk;
use crate::model::ProviderId;

/// The folder of the user's own provider files.
#[derive(Debug, Clone)]
pub struct Shelf(PathBuf);

impl Shelf {
    /// The one at `folder`, which need not be there yet.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The file of `id`, be its name another spelling or its text not understood.
    ///
    /// # Errors
    /// A folder that is not ours alone; what the system says.
    pub fn find(&self, id: &ProviderId) -> Result<Option<PathBuf>, Error> {
        Ok(user_files(&self.0)?.into_iter().find(|path| named(path).as_ref() == Some(id)))
    }

    /// Writes the file of a provider that has none, whole or not at all. What `text` says is not looked at here.
    ///
    /// # Errors
    /// [`Error::Exists`] where [`Shelf::find`] finds one; a folder that is not ours alone; what the system says.
    pub fn add(&self, id: &ProviderId, text: &str) -> Result<(), Error> {
        disk::create_private_dir(&self.0).map_err(Error::Unwritten)?;
        if let Some(file) = self.find(id)? {
            return Err(Error::Exists { file });
        }
        disk::write_first(&self.file(id), text.as_bytes(), disk::PRIVATE).map_err(|error| match error {
            disk::Error::Exists(file) => Error::Exists { file },
            error => Error::Unwritten(error),
        })
    }

    /// Takes away what [`Shelf::add`] wrote.
    ///
    /// # Errors
    /// What the system says, unless it is gone already.
    pub fn take_back(&self, id: &ProviderId) -> Result<(), Error> {
        let file = self.file(id);
        match fs::remove_file(&file) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::Unreadable { file, cause }),
            _ => Ok(()),
        }
    }

    fn file(&self, id: &ProviderId) -> PathBuf {
        self.0.join(format!("{id}.toml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i9_a_file_of_that_name_stays_however_it_is_spelled_and_whatever_is_in_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("providers");
        let shelf = Shelf::at(&folder);
        let (acme, my_api): (ProviderId, ProviderId) = ("acme".parse().unwrap(), "my_api".parse().unwrap());
        shelf.add(&acme, "one").unwrap();
        assert!(matches!(shelf.add(&acme, "two"), Err(Error::Exists { .. })));
        assert_eq!(fs::read_to_string(folder.join("acme.toml")).unwrap(), "one");
        disk::write_atomic(&folder.join("My-API.toml"), b"broken", disk::PRIVATE).unwrap();
        assert!(matches!(shelf.add(&my_api, "two"), Err(Error::Exists { .. })));
        shelf.take_back(&acme).unwrap();
        shelf.take_back(&acme).unwrap();
        assert!(!folder.join("acme.toml").exists() && !folder.join("my_api.toml").exists());
    }
}
