//! Doors to the readers of text that people write and of the vault, each with what it would write again.

use crate::app::Config;
use crate::policy;
use crate::provider;
use crate::vault;

/// What a text means, and the same written anew by another hand.
#[derive(Debug)]
pub struct Reading {
    /// All that was read.
    pub meaning: String,
    /// The keys in another order and layout, in as many words.
    pub again: String,
}

/// Reads a provider file.
///
/// # Errors
/// What a person would see.
pub fn provider_file(file: &str, text: &str) -> Result<Reading, String> {
    let mut provider = provider::parse(file, text).map_err(|error| error.to_string())?;
    // The order of keys in a table means nothing.
    provider.placeholders.sort_by(|one, two| one.variable.cmp(&two.variable));
    provider.oauth2.iter_mut().for_each(|oauth2| oauth2.authorize_params.sort());
    let by_name = |pairs: &mut Vec<(String, provider::Template)>| pairs.sort_by(|one, two| one.0.cmp(&two.0));
    for grant in &mut provider.grants {
        by_name(&mut grant.params);
        grant.jwt.iter_mut().for_each(|jwt| by_name(&mut jwt.claims));
    }
    // Token endpoints are shut in the order of their keys.
    provider.inject.iter_mut().for_each(|rule| rule.mints.sort_by_cached_key(|mint| format!("{mint:?}")));
    provider.inject.iter_mut().for_each(|rule| rule.headers.sort_by(|one, two| one.0.as_str().cmp(two.0.as_str())));
    written_anew(text, format!("{provider:?}"))
}

/// Reads a file of rules, and asks what they say of a request to some paths.
///
/// # Errors
/// What a person would see.
pub fn policy_file(file: &str, text: &str) -> Result<Reading, String> {
    let rows = policy::read(file, text).map_err(|error| error.to_string())?;
    let meaning = format!("{rows:?}");
    let rules = policy::gather(vec![(file.to_owned(), rows)]).map_err(|error| error.to_string())?;
    let said = super::decider::said(&policy::Policy::new(rules, true)).ok_or("no question")?;
    written_anew(text, format!("{meaning}\n{said}"))
}

/// What a GraphQL request does: `Reads`, `Changes` or `Anything`.
pub fn graphql(kind: &str, query: Option<&str>, body: &[u8]) -> String {
    format!("{:?}", policy::does(Some(kind.as_bytes()), query, body))
}

/// Reads a configuration with overrides.
///
/// # Errors
/// What a person would see.
pub fn config(text: &str, overrides: &[(String, String)]) -> Result<Reading, String> {
    let config = Config::parse("nexus.toml", text, overrides).map_err(|error| error.to_string())?;
    written_anew(text, format!("{config:?}"))
}

fn written_anew(text: &str, meaning: String) -> Result<Reading, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let again = toml::to_string(&table).map_err(|error| error.to_string())?;
    Ok(Reading { meaning, again })
}

/// What stands in the vault.
#[derive(Debug)]
pub struct Opened(vault::Snapshot);

impl Opened {
    /// Whether `other` holds the same connections with the same fields, and the same members that are none.
    pub fn same_as(&self, other: &Self) -> bool {
        let entry = |id| other.0.get(id);
        let strangers = |opened: &Self| format!("{:?}", opened.0.strangers());
        self.0.len() == other.0.len()
            && self.0.iter().all(|(id, known)| entry(id).is_some_and(|entry| entry.same_as(known)))
            && strangers(self) == strangers(other)
    }
}

/// Reads the opened text of a vault, and writes each of its connections anew.
///
/// # Errors
/// What a person would see.
pub fn vault_text(plain: &[u8]) -> Result<(Opened, Vec<u8>), String> {
    let (snapshot, again) = vault::written_anew(plain).map_err(|error| error.to_string())?;
    Ok((Opened(snapshot), again.to_vec()))
}
