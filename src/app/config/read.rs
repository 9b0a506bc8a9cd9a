//! From the text of `nexus.toml` and the variables that lay values over it to a [`Config`].

use super::{Config, check};
use crate::policy;
use crate::wording::{Mistake, in_words};

/// Why the configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, an unknown key or a wrong type. The text tells the place but never shows what stands there: a password may.
    #[error("{file} is not valid at line {line}, column {column}: {what}")]
    Syntax {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// An override that does not fit.
    #[error("{variable} is not valid: {what}")]
    Override {
        /// The environment variable.
        variable: String,
        /// What is wrong.
        what: String,
    },
    /// Two keys that contradict each other, or a value out of its range.
    #[error("{key}: {why}")]
    Value {
        /// `section.key`.
        key: &'static str,
        /// What is wrong and what would be right.
        why: String,
    },
}

impl Config {
    /// Parses `text`, lays `overrides` (`NEXUS__SECTION__KEY` and value) over it, and checks what belongs together.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn parse(file: &str, text: &str, overrides: &[(String, String)]) -> Result<Self, Error> {
        let syntax = |cause: toml::de::Error| {
            let Mistake { line, column, what } = Mistake::new(text, &cause);
            Error::Syntax { file: file.to_owned(), line, column, what }
        };
        let mut config: Self = toml::from_str(text).map_err(syntax)?;
        let mut table: toml::Table = toml::from_str(text).map_err(syntax)?;
        for (variable, value) in overrides {
            lay_over(&mut table, variable, value)?;
            let again = table.clone().try_into();
            config = again.map_err(|cause: toml::de::Error| Error::Override {
                variable: variable.clone(),
                what: in_words(cause.message()),
            })?;
        }
        let wrong = |Mistake { line, column, what }| Error::Syntax { file: file.to_owned(), line, column, what };
        policy::locate(&mut config.rule, text).map_err(wrong)?;
        check::check(&config)?;
        Ok(config)
    }
}

/// `NEXUS__PROXY__LISTEN=["0.0.0.0:1"]` -> `proxy.listen`; a value that is not TOML is taken as text.
fn lay_over(table: &mut toml::Table, variable: &str, value: &str) -> Result<(), Error> {
    let unknown = || Error::Value { key: "NEXUS__SECTION__KEY", why: format!("{variable} does not name a section and a key") };
    let path = variable.strip_prefix("NEXUS__").ok_or_else(unknown)?.to_ascii_lowercase();
    let (section, key) = path.split_once("__").ok_or_else(unknown)?;
    let parsed: Result<toml::Table, _> = toml::from_str(&format!("value = {value}"));
    let value =
        parsed.ok().and_then(|mut parsed| parsed.remove("value")).unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    section.as_table_mut().ok_or_else(unknown)?.insert(key.to_owned(), value);
    Ok(())
}
