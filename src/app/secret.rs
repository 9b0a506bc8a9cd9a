//! `NEXUS_SECRET`: from the environment, a file, systemd's credentials folder or `$NEXUS_HOME/.env`; else JarvisCore's fallback.

use std::path::{Path, PathBuf};

use super::home::{Home, HomeError, read_text};
use crate::disk;
use crate::model::Secret;
use crate::seal::{self, Passphrase};

const LIMIT: u64 = 64 * 1024;

/// Where the secret came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `NEXUS_SECRET` or a file that was named.
    Given,
    /// `$NEXUS_HOME/.env`.
    Dotenv,
    /// This machine's hardware address: guessable, so it is warned about and refused beyond loopback.
    Machine,
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A file that was named can't be read.
    #[error("cannot read the secret from {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: disk::Error,
    },
    /// A descriptor that was handed down can't be read.
    #[error("cannot read the secret from {path}")]
    Descriptor {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file that was named is not there.
    #[error("there is no secret at {0}")]
    Missing(PathBuf),
    /// Empty or not text.
    #[error("the secret is not usable")]
    Unusable(#[source] seal::Error),
    /// The home folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// None was given and the machine has no hardware address.
    #[error("NEXUS_SECRET is not set and this machine has no hardware address to fall back on")]
    None,
}

/// Finds the secret. `variable` reads the environment.
///
/// # Errors
/// As [`SecretError`] says: a source that is named but broken is never skipped.
pub fn passphrase(home: &Home, variable: &dyn Fn(&str) -> Option<String>) -> Result<(Passphrase, Origin), SecretError> {
    let given = |text: String| Passphrase::new(text).map_err(SecretError::Unusable);
    if let Some(text) = variable("NEXUS_SECRET").filter(|text| !text.is_empty()) {
        return Ok((given(text)?, Origin::Given));
    }
    if let Some(text) = handed_down(variable)? {
        return Ok((given(text.expose().clone())?, Origin::Given));
    }
    if let Some(path) = variable("NEXUS_SECRET_FILE").filter(|path| !path.is_empty()) {
        return Ok((given(read(Path::new(&path))?)?, Origin::Given));
    }
    if let Some(folder) = variable("CREDENTIALS_DIRECTORY") {
        let path = Path::new(&folder).join("NEXUS_SECRET");
        if path.exists() {
            return Ok((given(read(&path)?)?, Origin::Given));
        }
    }
    if let Some(text) = dotenv_value(home, "NEXUS_SECRET")? {
        return Ok((given(text.expose().clone())?, Origin::Dotenv));
    }
    Passphrase::of_this_machine().map(|passphrase| (passphrase, Origin::Machine)).ok_or(SecretError::None)
}

/// The secret in the descriptor that `NEXUS_SECRET_FD` names. A pipe can be read once, so nothing stays in it.
///
/// # Errors
/// [`SecretError::Descriptor`], and [`SecretError::Missing`] for what is no number.
pub fn handed_down(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Secret<String>>, SecretError> {
    let number = variable("NEXUS_SECRET_FD").filter(|number| !number.is_empty());
    number.map(|number| read_descriptor(&number).map(Secret::new)).transpose()
}

/// Whether somebody named a secret other than the one in `$NEXUS_HOME/.env`.
pub(super) fn is_given(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let named = |name| variable(name).is_some_and(|value| !value.is_empty());
    let folder = variable("CREDENTIALS_DIRECTORY").is_some_and(|folder| Path::new(&folder).join("NEXUS_SECRET").exists());
    folder || ["NEXUS_SECRET", "NEXUS_SECRET_FD", "NEXUS_SECRET_FILE"].into_iter().any(named)
}

fn read_descriptor(number: &str) -> Result<String, SecretError> {
    use std::io::Read as _;
    let path = Path::new("/dev/fd")
        .join(number.parse::<u16>().map_err(|_not_a_number| SecretError::Missing(number.into()))?.to_string());
    let failed = |cause| SecretError::Descriptor { path: path.clone(), cause };
    let mut text = zeroize::Zeroizing::new(String::new());
    std::fs::File::open(&path).map_err(failed)?.take(LIMIT).read_to_string(&mut text).map_err(failed)?;
    Ok(std::mem::take(&mut *text))
}

/// A secret mounted into a container is often readable by its group, so only its size and kind are checked here.
fn read(path: &Path) -> Result<String, SecretError> {
    let bytes = disk::read_regular(path, LIMIT).map_err(|cause| SecretError::File { path: path.to_owned(), cause })?;
    let bytes = bytes.ok_or_else(|| SecretError::Missing(path.to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|_not_text| SecretError::Home(HomeError::Text(path.to_owned())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The value of `name` in `$NEXUS_HOME/.env`: `NAME=value` lines, `#` comments, optional quotes and `export`.
///
/// # Errors
/// As [`HomeError`] says.
pub fn dotenv_value(home: &Home, name: &str) -> Result<Option<Secret<String>>, HomeError> {
    let Some(text) = read_text(&home.dotenv(), LIMIT)?.map(Secret::new) else { return Ok(None) };
    let value = text.expose().lines().filter_map(parse_line).find(|(found, _value)| *found == name);
    Ok(value.map(|(_name, value)| Secret::new(value.to_owned())))
}

fn parse_line(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let value = value.trim();
    let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some((name.trim(), unquoted.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_dotenv_file_are_read() {
        for (line, value) in [
            ("NEXUS_SECRET=abc", Some("abc")),
            ("export NEXUS_SECRET=\"a b\"", Some("a b")),
            (" NEXUS_SECRET = 'x=y' ", Some("x=y")),
            ("# NEXUS_SECRET=abc", None),
            ("", None),
        ] {
            assert_eq!(parse_line(line).map(|(_name, value)| value), value, "{line}");
        }
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_not_a_fallback() {
        let home = Home::new("/nonexistent");
        let variable = |name: &str| (name == "NEXUS_SECRET_FILE").then(|| "/nonexistent/secret".to_owned());
        assert!(matches!(passphrase(&home, &variable), Err(SecretError::Missing(_))));
    }
}
