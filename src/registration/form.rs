//! `Form`: the fields that a person filled in, and the entry that comes of them.

use std::time::SystemTime;

use super::error::{Error, NotMade};
use super::reach::{Reach, to_be_fetched};
use crate::model::{Credential, Secret};
use crate::oauth::Unready;
use crate::provider::{Provider, Renewal, prepare};
use crate::vault::{AuthType, Entry};

/// Services take no longer header fields; most stop at 8 KiB.
const FIELD_LIMIT: usize = 32 * 1024;

/// Whether a renewal can be made from an entry at all; sends nothing. The broker knows.
pub(super) type Trial = fn(Renewal<'_>, &Entry, SystemTime) -> Result<(), Unready>;

/// What a person hands over for a connection of one provider.
#[derive(Debug)]
pub struct Form<'a> {
    /// Whose.
    pub provider: &'a Provider,
    /// What was filled in.
    pub fields: Credential,
    /// When it ends, where the person knows.
    pub expires_at: Option<SystemTime>,
    /// Whether a client without a token is an app that people log in by. JarvisCore's users store personal tokens as a client's secret.
    pub app: bool,
}

impl Form<'_> {
    /// Makes the entry and seals the hosts that its fields bind and the token endpoints of the provider.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub(crate) fn entry(self, trial: Trial, now: SystemTime) -> Result<Entry, Error> {
        let Self { provider, mut fields, expires_at, app } = self;
        provider.derive_fields(&mut fields);
        let renewable = provider.renewal(&|name| fields.field(name)).is_some();
        let auth_type = if renewable { AuthType::OAuth2 } else { auth_type(&fields) };
        let mut entry = Entry::new(provider.id.clone(), auth_type, fields);
        if app && is_for_log_ins(provider, &entry) {
            return of_an_app(provider, entry);
        }
        let is_spent = provider.spends("client_secret");
        let usable = provider.inject.iter().any(|rule| rule.accepts(&|name| entry.placed_field(name, is_spent)));
        if !usable && !renewable && entry.fields.field("refresh_token").is_none() {
            return Err(Error::other_fields(provider));
        }
        sendable(provider, &entry)?;
        if let Some(renewal) = provider.renewal(&|name| entry.fields.field(name)) {
            trial(renewal, &entry, now).map_err(|unready| Error::NoToken(NotMade(unready)))?;
        }
        Reach::named(provider, &entry)?.seal(&mut entry);
        if entry.hosts.is_empty() {
            return Err(Error::other_fields(provider));
        }
        entry.expires_at = expires_at;
        Ok(entry)
    }
}

/// Whether `entry` holds a client by which a person's consent can be asked for.
pub(crate) fn is_client(provider: &Provider, entry: &Entry) -> bool {
    // The client of a lent one is with its owner.
    entry.lent.as_ref().is_some_and(|lent| lent.client) || provider.has_client(&|name| entry.fields.field(name))
}

/// Whether all that was filled in is such a client.
fn is_for_log_ins(provider: &Provider, entry: &Entry) -> bool {
    let has = |name: &str| entry.fields.field(name).is_some_and(|value| !value.matches(""));
    is_client(provider, entry) && !has("access_token") && !has("refresh_token") && !provider.spends("client_secret")
}

/// An entry of an app alone, sealed for where the tokens of its log-ins will go.
fn of_an_app(provider: &Provider, mut entry: Entry) -> Result<Entry, Error> {
    entry.app = true;
    sendable(provider, &entry)?;
    entry.fields.set("access_token", to_be_fetched());
    let reach = Reach::named(provider, &entry)?;
    entry.fields.remove("access_token");
    reach.seal(&mut entry);
    if entry.hosts.is_empty() { Err(Error::other_fields(provider)) } else { Ok(entry) }
}

/// Refuses now what each request would fail at later.
fn sendable(provider: &Provider, entry: &Entry) -> Result<(), Error> {
    let is_file = |name: &str| provider.fields.iter().any(|field| field.name == name && field.file);
    for name in entry.fields.names().filter(|name| !is_file(name)) {
        if entry.fields.field(name).is_some_and(Secret::has_control) {
            return Err(Error::Control(name.to_owned()));
        }
        if entry.fields.field(name).is_some_and(|value| value.is_longer_than(FIELD_LIMIT)) {
            return Err(Error::Long(name.to_owned()));
        }
    }
    let is_spent = provider.spends("client_secret");
    let fields = |name: &str| entry.placed_field(name, is_spent);
    for rule in provider.inject.iter().filter(|rule| rule.accepts(&fields)) {
        prepare(&rule.placements, &fields).map_err(Error::Unfit)?;
    }
    Ok(())
}

fn auth_type(fields: &Credential) -> AuthType {
    let has = |name: &str| fields.field(name).is_some();
    if has("client_id") || has("access_token") || has("refresh_token") {
        AuthType::OAuth2
    } else if has("username") || has("password") {
        AuthType::BasicAuth
    } else {
        AuthType::ApiKey
    }
}
