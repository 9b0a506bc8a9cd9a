//! A node's key: where it is, and how it is read.

use std::path::{Path, PathBuf};

use super::{LIMIT, NodeError};
use crate::app::home::{Home, HomeError};
use crate::app::secret::dotenv_value;
use crate::disk;
use crate::model::Secret;

/// A key that is in a file.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// All that it holds.
    File(PathBuf),
    /// `.env` of the home folder.
    Dotenv,
}

/// From the environment, a file, systemd's credentials folder or `.env`, in this order.
pub(super) fn key(home: &Home, given: &dyn Fn(&str) -> Option<String>) -> Result<Option<Found>, NodeError> {
    if let Some(key) = given("NEXUS_GATEWAY_KEY") {
        return Ok(Some((Secret::new(key), None)));
    }
    if let Some(path) = given("NEXUS_GATEWAY_KEY_FILE").map(PathBuf::from) {
        let place = Place::File(path.clone());
        return Ok(Some((place.key(home)?.ok_or(NodeError::Missing(path))?, Some(place))));
    }
    if let Some(folder) = given("CREDENTIALS_DIRECTORY") {
        let place = Place::File(Path::new(&folder).join("NEXUS_GATEWAY_KEY"));
        if let Some(key) = place.key(home)? {
            return Ok(Some((key, Some(place))));
        }
    }
    Ok(Place::Dotenv.key(home)?.map(|key| (key, Some(Place::Dotenv))))
}

/// A key, and where it is if it may change there.
pub(super) type Found = (Secret<String>, Option<Place>);

impl Place {
    pub(super) fn key(&self, home: &Home) -> Result<Option<Secret<String>>, NodeError> {
        match self {
            Self::File(path) => read(path),
            Self::Dotenv => Ok(dotenv_value(home, "NEXUS_GATEWAY_KEY")?.filter(|key| !key.matches(""))),
        }
    }
}

fn read(path: &Path) -> Result<Option<Secret<String>>, NodeError> {
    let bytes = disk::read_regular(path, LIMIT).map_err(|cause| NodeError::File { path: path.to_owned(), cause })?;
    let text = bytes.map(String::from_utf8).transpose();
    let text = text.map_err(|_not_text| HomeError::Text(path.to_owned()))?.map(Secret::new);
    Ok(text.map(|text| Secret::new(text.expose().trim().to_owned())))
}
