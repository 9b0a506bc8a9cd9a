//! `Obtained`: what a consent gave, and how it becomes an entry of the vault.

use std::time::SystemTime;

use super::account::{Account, copy, present};
use super::error::Error;
use crate::model::{Credential, Secret};
use crate::oauth::{Expected, Person, Tokens, Unacceptable, read_id_token};
use crate::vault::{AuthType, Entry, Status};

/// The field that says whose tokens an entry holds, where the service said so.
const SUBJECT: &str = "subject";

/// What a consent gave.
#[derive(Debug)]
pub struct Obtained {
    tokens: Tokens,
    /// Scopes, a blank between two.
    scope: String,
    person: Option<Person>,
    at: SystemTime,
}

impl Obtained {
    /// What was granted.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split(' ').filter(|scope| !scope.is_empty())
    }

    /// What the account calls itself, where the service said so.
    pub fn person(&self) -> Option<&str> {
        self.person.as_ref().map(|person| person.name.as_str())
    }

    /// Whether it can be renewed.
    pub fn is_renewable(&self) -> bool {
        self.tokens.refresh_token.is_some()
    }
}

impl Account {
    pub(super) fn obtained(
        &self,
        tokens: Tokens,
        asked: String,
        (expected, now): (&Expected, SystemTime),
    ) -> Result<Obtained, Error> {
        let openid = self.scopes.iter().any(|scope| scope == "openid");
        let token = tokens.id_token.as_ref().filter(|_| openid);
        if openid && token.is_none() && expected.nonce.is_some() && !self.oauth2()?.pkce {
            // Where no proof key binds the code to this log-in, the nonce has to.
            return Err(Unacceptable::MISSING.into());
        }
        let person = token.map(|token| read_id_token(token, expected, self.client_id()?, now).map_err(Error::from));
        let scope = tokens.scope.clone().filter(|scope| !scope.trim().is_empty()).unwrap_or(asked);
        // Some write commas whatever they were asked with.
        let word = |scope: &&str| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic());
        let scope = scope.split([' ', ',']).filter(word).collect::<Vec<_>>().join(" ");
        Ok(Obtained { tokens, scope, person: person.transpose()?, at: now })
    }

    /// An entry with its client and tenants, and no token yet.
    pub fn fresh(&self) -> Entry {
        let mut fields = Credential::default();
        self.fields.names().for_each(|name| copy(&self.fields, name, &mut fields));
        let mut entry = Entry::new(self.provider.id.clone(), AuthType::OAuth2, fields);
        entry.app = true;
        entry
    }

    /// Writes what was obtained into `entry`. What it has besides stays, a refresh token of the same client and person
    /// too, where none came.
    pub fn write(&self, obtained: &Obtained, entry: &mut Entry) {
        let Obtained { tokens, scope, at, person } = obtained;
        let same_client = match (present(&entry.fields, "client_id"), present(&self.fields, "client_id")) {
            (Some(old), Some(new)) => old.same(new),
            _ => true,
        };
        if self.leaves(entry) {
            // What belongs to one tenant is not for the other.
            entry.fields = Credential::default();
        } else if !same_client {
            let old = std::mem::take(&mut entry.fields);
            for name in old.names().filter(|name| !matches!(*name, "refresh_token" | "client_secret")) {
                copy(&old, name, &mut entry.fields);
            }
        }
        for name in self.fields.names() {
            copy(&self.fields, name, &mut entry.fields);
        }
        let another = |person: &Person| present(&entry.fields, SUBJECT).is_some_and(|known| !known.matches(&person.subject));
        if person.as_ref().is_some_and(another) {
            // Renewed with it, this person's requests would become the other's.
            entry.fields.remove("refresh_token");
        }
        if let Some(person) = person {
            entry.fields.set(SUBJECT, Secret::new(person.subject.clone()));
        }
        entry.fields.set("access_token", tokens.access_token.duplicate());
        if let Some(token) = &tokens.refresh_token {
            entry.fields.set("refresh_token", token.duplicate());
        }
        if !scope.is_empty() {
            entry.fields.set("scope", Secret::new(scope.clone()));
        }
        let usual = || at.checked_add(self.provider.oauth2.as_ref()?.default_lifetime?);
        entry.expires_at = tokens.expires_at.or_else(usual);
        entry.auth_type = AuthType::OAuth2;
        entry.app = true;
        entry.status = Status::Active;
        // Else the tokens would look like those of a renewal.
        entry.registered_at = Some(*at);
    }
}
