//! The rules that people wrote: those of `nexus.toml`, then those of each file of `policies/` in the order of their names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::config::Config;
use super::home::{Home, HomeError, read_text};
use super::parts::BuildError;
use crate::agent::hex;
use crate::disk;
use crate::policy::{self, Row, Rule};
use crate::provider::Catalogue;

/// The largest file of rules.
const MAX_FILE: u64 = 256 * 1024;
/// More files than this are not a person's rules.
const MAX_FILES: usize = 200;

/// Reads all rules, and holds the providers and presets that they name against `catalogue`.
///
/// # Errors
/// The first mistake: a part of the rules would mean something else.
pub(super) fn rules(home: &Home, config: &Config, catalogue: &Catalogue) -> Result<Vec<Arc<Rule>>, BuildError> {
    let mut files = vec![(home.config_file().display().to_string(), config.rule.clone())];
    for path in files_of(home)? {
        files.push((path.display().to_string(), rows(&path)?));
    }
    let rules = policy::gather(files).map_err(HomeError::from)?;
    for rule in &rules {
        check(rule, catalogue)?;
    }
    Ok(rules)
}

/// The rules in `home`, in their order.
///
/// # Errors
/// The first mistake.
pub fn policy_of(home: &Home, config: &Config) -> Result<Vec<Arc<Rule>>, BuildError> {
    rules(home, config, &Catalogue::with_user_folder(&home.providers()).0)
}

/// By which two sets of rules, and what holds where none of them fits, are known to be the same.
pub fn rules_digest(rules: &[Arc<Rule>], config: &Config) -> String {
    let default = serde_json::to_vec(&config.policy.default).unwrap_or_default();
    let all = rules.iter().fold(Sha256::new().chain_update(default), |all, rule| all.chain_update(rule.digest()));
    hex(&all.finalize())
}

fn rows(path: &Path) -> Result<Vec<Row>, HomeError> {
    let text = read_text(path, MAX_FILE)?.filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| HomeError::Vanished(path.to_owned()))?;
    Ok(policy::read(&path.display().to_string(), &text)?)
}

/// A file that rules of `before` stand in, and that is gone: editors take a file away before they put the new one there, and that moment
/// must open nothing.
pub(super) fn vanished(before: &[Arc<Rule>]) -> Option<PathBuf> {
    before.iter().map(|rule| PathBuf::from(rule.place().0)).find(|file| !file.exists())
}

fn files_of(home: &Home) -> Result<Vec<PathBuf>, HomeError> {
    let folder = home.policies();
    let failed = |cause| HomeError::File { path: folder.clone(), cause: disk::Error::io("read", &folder, cause) };
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    if files.len() > MAX_FILES {
        let most = std::io::Error::other("there are more than 200 files of rules in it");
        return Err(failed(most));
    }
    files.sort();
    Ok(files)
}

/// A rule for a service that nobody knows would never speak of anything.
fn check(rule: &Rule, catalogue: &Catalogue) -> Result<(), BuildError> {
    let wrong = |why: String| {
        let (file, line) = rule.place();
        BuildError::Rule { file: file.to_owned(), line, why }
    };
    for id in rule.providers() {
        if catalogue.get(id).is_none() {
            return Err(wrong(format!("the catalogue has no provider called {id} (`nexus providers list`)")));
        }
    }
    for (id, preset) in rule.presets() {
        if catalogue.get(id).is_none_or(|provider| !provider.presets.offers(preset)) {
            let word = preset.word();
            return Err(wrong(format!(
                "{id} has no preset `{word}`: its requests can't be told apart by method and path; write rules with `paths`"
            )));
        }
    }
    Ok(())
}
