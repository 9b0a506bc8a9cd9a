//! `Credential`: the secret fields of one account, by the names that provider files use.

use std::collections::BTreeMap;

use super::secret::Secret;

/// The fields of one connection (`access_token`, `api_key`, `username`, `site`, …), each secret until proven otherwise.
#[derive(Debug, Default)]
pub struct Credential {
    fields: BTreeMap<Box<str>, Secret<String>>,
}

impl Credential {
    /// The field called `name`, if the connection has it and it is not empty.
    pub fn field(&self, name: &str) -> Option<&Secret<String>> {
        self.fields.get(name)
    }

    /// Sets the field called `name`.
    pub fn set(&mut self, name: &str, value: Secret<String>) {
        self.fields.insert(name.into(), value);
    }

    /// Takes the field called `name` out, where there is one.
    pub fn remove(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// The names of the fields it has, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(AsRef::as_ref)
    }
}

/// Whether `name` can name a field of a credential.
pub(crate) fn is_field_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
