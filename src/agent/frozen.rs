//! The format of `frozen.toml`: agents that get nothing until a person thaws them.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::Error;
use crate::model::AgentName;
use crate::wording::Mistake;

/// An agent that gets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Which.
    pub agent: AgentName,
    /// Since when.
    pub since: SystemTime,
    /// Why, in a sentence.
    pub why: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    frozen: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    agent: String,
    since: Timestamp,
    why: String,
}

/// Reads the text of such a file.
///
/// # Errors
/// As [`Error`] says; nothing is skipped.
pub fn read_frozen(text: &str) -> Result<Vec<Frozen>, Error> {
    let document: Document = toml::from_str(text).map_err(|cause| Mistake::new(text, &cause))?;
    let row = |row: Row| Ok(Frozen { agent: row.agent.parse()?, since: SystemTime::from(row.since), why: row.why });
    document.frozen.into_iter().map(row).collect()
}

/// Writes the text of such a file.
///
/// # Errors
/// If TOML cannot hold a value.
pub fn write_frozen(frozen: &[Frozen]) -> Result<String, Error> {
    let row = |frozen: &Frozen| Row {
        agent: frozen.agent.to_string(),
        since: Timestamp::try_from(frozen.since).unwrap_or(Timestamp::UNIX_EPOCH),
        why: frozen.why.clone(),
    };
    Ok(toml::to_string_pretty(&Document { frozen: frozen.iter().map(row).collect() })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let frozen = [Frozen { agent: "ci".parse().expect("a name"), since: SystemTime::UNIX_EPOCH, why: "a \"why\"".into() }];
        let text = write_frozen(&frozen).expect("a text");
        assert_eq!(read_frozen(&text).expect("a file"), frozen);
        assert_eq!(read_frozen(&write_frozen(&[]).expect("a text")).expect("a file"), []);
        assert!(read_frozen("[[frozen]]\nagent = \"no name\"\nsince = \"x\"\nwhy = \"\"\n").is_err());
    }
}
