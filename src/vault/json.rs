//! One entry as JSON: JarvisCore's members flat, ours under names that it ignores.
//!
//! `provider`, `auth_type`, the credential's fields as strings, `registered_at` (RFC 3339); ours: `schema` (1), `hosts` and
//! `token_urls` (arrays of strings), `expires_at` (RFC 3339; Unix seconds are read too), `status` (any [`Status`] but
//! `active`), `captured_by`, `captured_for`, `captured_at`, `made_with` and `pending_until` (of an agent's own log-in), `app` (true),
//! `gateway_ids` (an array of UUIDs), each left out when there is nothing to say.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::entry::{AuthType, Captured, Entry, Status};
use crate::model::{self, Credential, GatewayId, IdError, ProviderId, Secret};

/// The version of what is ours.
const SCHEMA: &str = "1";

/// Names with a meaning of their own; no credential field may have one.
pub(super) const RESERVED: [&str; 15] = [
    "provider",
    "auth_type",
    "registered_at",
    "schema",
    "hosts",
    "token_urls",
    "expires_at",
    "status",
    CAPTURED_BY,
    CAPTURED_FOR,
    CAPTURED_AT,
    MADE_WITH,
    PENDING_UNTIL,
    APP,
    GATEWAY_IDS,
];

const CAPTURED_BY: &str = "captured_by";
const CAPTURED_FOR: &str = "captured_for";
const CAPTURED_AT: &str = "captured_at";
const MADE_WITH: &str = "made_with";
const PENDING_UNTIL: &str = "pending_until";
const APP: &str = "app";
const GATEWAY_IDS: &str = "gateway_ids";

/// Why a member of the vault is not an entry to us.
#[derive(Debug, thiserror::Error)]
pub enum NotUnderstood {
    /// The key is not a connection id.
    #[error("its name is not that of a connection")]
    Name(#[source] IdError),
    /// The value is not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// No `provider`, or it is not a string.
    #[error("it has no provider")]
    NoProvider,
    /// The `provider` is not a name.
    #[error("its provider is not one")]
    Provider(#[source] IdError),
    /// No `auth_type`, or it is not a string.
    #[error("it has no auth_type")]
    NoAuthType,
    /// Sealed hosts that we can't read must not count as none.
    #[error("its hosts are not a list of strings")]
    Hosts,
    /// Nor must sealed token endpoints.
    #[error("its token_urls are not a list of strings")]
    TokenUrls,
    /// What was one agent's must not become everybody's.
    #[error("whose log-in it comes from can't be read")]
    Captured,
}

/// The members of a JSON object, their values untouched in the text they were read from. Of equal names the last value
/// counts, in the first one's place, as in Python.
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members: Vec<(String, &'a RawValue)> = Vec::new();
        let mut places = HashMap::new();
        for (name, value) in model::Members::deserialize(deserializer)?.0 {
            let place = *places.entry(name.clone()).or_insert(members.len());
            match members.get_mut(place) {
                Some((_, overtaken)) => *overtaken = value,
                None => members.push((name, value)),
            }
        }
        Ok(Self(members))
    }
}

/// The text of a schema that is not ours, if the value is an object that names one.
pub(super) fn foreign_schema(value: &RawValue) -> Option<&str> {
    let members: Members<'_> = serde_json::from_str(value.get()).ok()?;
    let schema = members.0.iter().find(|(name, _)| name == "schema")?.1.get();
    (schema != SCHEMA).then_some(schema)
}

/// Reads one entry.
pub(crate) fn decode(value: &RawValue) -> Result<Entry, NotUnderstood> {
    if !value.get().starts_with('{') {
        return Err(NotUnderstood::NotAnObject);
    }
    let Ok(Members(members)) = serde_json::from_str(value.get()) else { return Err(NotUnderstood::NotAnObject) };
    let named = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let provider = provider(named("provider").ok_or(NotUnderstood::NoProvider)?)?;
    let auth_type = AuthType::from(named("auth_type").and_then(text).ok_or(NotUnderstood::NoAuthType)?.as_str());
    let mut entry = Entry::new(provider, auth_type, Credential::default());
    entry.captured = captured(&members)?;
    for (name, value) in &members {
        read_member(&mut entry, name, value)?;
    }
    Ok(entry)
}

/// Puts a member where it belongs; what has no meaning to us, or is not how we would write it, stays as it is.
fn read_member(entry: &mut Entry, name: &str, value: &RawValue) -> Result<(), NotUnderstood> {
    let understood = match name {
        "auth_type" | "schema" | CAPTURED_BY | CAPTURED_FOR | CAPTURED_AT | MADE_WITH | PENDING_UNTIL => true,
        "provider" => text(value).as_deref() == Some(entry.provider.as_str()),
        "hosts" => {
            entry.seal(serde_json::from_str(value.get()).ok().ok_or(NotUnderstood::Hosts)?);
            true
        }
        "token_urls" => {
            entry.token_urls = serde_json::from_str(value.get()).ok().ok_or(NotUnderstood::TokenUrls)?;
            true
        }
        "registered_at" => {
            entry.registered_at = time(value);
            entry.registered_at.is_some_and(|at| Rfc3339(at).is_written_as(value))
        }
        "expires_at" => {
            entry.expires_at = time(value);
            entry.expires_at.is_some_and(|at| Rfc3339(at).is_written_as(value))
        }
        "status" => {
            entry.status = text(value).map_or(Status::Unknown, |word| word.as_str().into());
            !matches!(entry.status, Status::Active | Status::Unknown)
        }
        APP => {
            entry.app = value.get() == "true";
            entry.app
        }
        GATEWAY_IDS => {
            entry.gateway_ids = gateway_ids(value).unwrap_or_default();
            !entry.gateway_ids.is_empty()
        }
        _ => read_field(entry, name, value),
    };
    if !understood {
        entry.other.0.push((name.to_owned(), Secret::new(value.get().to_owned())));
    }
    Ok(())
}

/// Whose log-in it comes from. A person's entry has none of these members.
fn captured(members: &[(String, &RawValue)]) -> Result<Option<Captured>, NotUnderstood> {
    let named = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let odd = || NotUnderstood::Captured;
    let Some(agent) = named(CAPTURED_BY) else {
        let stray = [CAPTURED_FOR, CAPTURED_AT, MADE_WITH, PENDING_UNTIL].iter().any(|name| named(name).is_some());
        return if stray { Err(odd()) } else { Ok(None) };
    };
    let agent = text(agent).and_then(|agent| agent.parse().ok()).ok_or_else(odd)?;
    let user = named(CAPTURED_FOR).map(|user| text(user).and_then(|user| user.parse().ok()).ok_or_else(odd)).transpose()?;
    let at = |name| named(name).map(|at| time(at).ok_or_else(odd)).transpose();
    let with = named(MADE_WITH).map(|with| text(with).and_then(|with| with.parse().ok()).ok_or_else(odd)).transpose()?;
    Ok(Some(Captured { agent, user, until: at(PENDING_UNTIL)?, since: at(CAPTURED_AT)?, made_with: with }))
}

/// Handles that can't be read are nobody's.
fn gateway_ids(value: &RawValue) -> Option<Vec<GatewayId>> {
    let texts: Vec<String> = serde_json::from_str(value.get()).ok()?;
    texts.iter().map(|text| text.parse().ok()).collect()
}

/// A string with something in it is a field of the credential.
fn read_field(entry: &mut Entry, name: &str, value: &RawValue) -> bool {
    let Some(secret) = text(value).filter(|text| !text.is_empty()) else { return false };
    entry.fields.set(name, Secret::new(secret));
    true
}

fn provider(value: &RawValue) -> Result<ProviderId, NotUnderstood> {
    text(value).ok_or(NotUnderstood::NoProvider)?.parse().map_err(NotUnderstood::Provider)
}

fn text(value: &RawValue) -> Option<String> {
    // Asking for a string only where there is one keeps other values from being read at all.
    if value.get().starts_with('"') { serde_json::from_str(value.get()).ok() } else { None }
}

/// RFC 3339, also without a zone (Python's `isoformat` of a naive time; taken as UTC), or Unix seconds.
fn time(value: &RawValue) -> Option<SystemTime> {
    let Some(text) = text(value) else {
        let seconds: f64 = serde_json::from_str(value.get()).ok()?;
        return UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?);
    };
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.into());
    }
    let naive: DateTime = text.parse().ok()?;
    naive.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().into())
}

/// Writes one entry; the order is that of JarvisCore, then ours, then what we do not know.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.kept("provider").filter(|kept| provider(kept).is_ok_and(|kept| kept == self.provider)) {
            Some(kept) => map.serialize_entry("provider", kept)?,
            None => map.serialize_entry("provider", self.provider.as_str())?,
        }
        map.serialize_entry("auth_type", self.auth_type.as_str())?;
        for name in self.fields.names() {
            map.serialize_entry(name, &self.fields.field(name).map(Secret::expose))?;
        }
        if let Some(at) = self.registered_at {
            self.serialize_time(&mut map, "registered_at", at)?;
        }
        map.serialize_entry("schema", &1)?;
        if let Some(hosts) = self.sealed_hosts() {
            map.serialize_entry("hosts", hosts)?;
        }
        if !self.token_urls.is_empty() {
            map.serialize_entry("token_urls", &self.token_urls)?;
        }
        if let Some(at) = self.expires_at {
            self.serialize_time(&mut map, "expires_at", at)?;
        }
        if !matches!(self.status, Status::Active | Status::Unknown) {
            map.serialize_entry("status", self.status.as_str())?;
        }
        if let Some(captured) = &self.captured {
            captured.serialize_into(&mut map)?;
        }
        if self.app {
            map.serialize_entry(APP, &true)?;
        }
        if !self.gateway_ids.is_empty() {
            let ids: Vec<&str> = self.gateway_ids.iter().map(GatewayId::as_str).collect();
            map.serialize_entry(GATEWAY_IDS, &ids)?;
        }
        for (name, value) in self.other.0.iter().filter(|(name, _)| !self.says(name)) {
            let raw: &RawValue = serde_json::from_str(value.expose()).map_err(serde::ser::Error::custom)?;
            map.serialize_entry(name, raw)?;
        }
        map.end()
    }
}

impl Captured {
    fn serialize_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(CAPTURED_BY, self.agent.as_str())?;
        if let Some(user) = &self.user {
            map.serialize_entry(CAPTURED_FOR, user.as_str())?;
        }
        if let Some(since) = self.since {
            map.serialize_entry(CAPTURED_AT, &Rfc3339(since))?;
        }
        if let Some(with) = &self.made_with {
            map.serialize_entry(MADE_WITH, with.as_str())?;
        }
        self.until.map_or(Ok(()), |until| map.serialize_entry(PENDING_UNTIL, &Rfc3339(until)))
    }
}

impl Entry {
    /// Writes a time as it was written, while it means the same.
    fn serialize_time<M: SerializeMap>(&self, map: &mut M, name: &str, at: SystemTime) -> Result<(), M::Error> {
        match self.kept(name).filter(|kept| time(kept) == Some(at)) {
            Some(kept) => map.serialize_entry(name, kept),
            None => map.serialize_entry(name, &Rfc3339(at)),
        }
    }

    /// The member called `name` word for word, if it is one we keep so.
    fn kept(&self, name: &str) -> Option<&RawValue> {
        let (_, value) = self.other.0.iter().find(|(kept, _)| kept == name)?;
        serde_json::from_str(value.expose()).ok()
    }

    /// Whether a member called `name` is written from what we know, so that the unknown one has been overtaken.
    fn says(&self, name: &str) -> bool {
        match name {
            "provider" | "auth_type" | "schema" => true,
            "hosts" => self.sealed_hosts().is_some(),
            "token_urls" => !self.token_urls.is_empty(),
            // A kept time that can be read was known, so its absence now is what we say.
            "registered_at" => self.registered_at.is_some() || self.kept(name).and_then(time).is_some(),
            "expires_at" => self.expires_at.is_some() || self.kept(name).and_then(time).is_some(),
            // A word that was kept holds until somebody sets another state.
            "status" => match self.status {
                Status::Unknown => false,
                Status::Active => self.kept(name).and_then(text).is_none_or(|word| word != Status::Active.as_str()),
                _ => true,
            },
            APP => self.app,
            GATEWAY_IDS => !self.gateway_ids.is_empty(),
            field => self.fields.field(field).is_some(),
        }
    }
}

/// A time as RFC 3339 in UTC, written `+00:00`, which every Python reads; what lies outside its years is moved to their edge.
struct Rfc3339(SystemTime);

impl Rfc3339 {
    fn is_written_as(&self, value: &RawValue) -> bool {
        serde_json::to_string(self).is_ok_and(|text| text == value.get())
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let edge = if self.0 < UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        let at = Timestamp::try_from(self.0).unwrap_or(edge);
        serializer.collect_str(&at.display_with_offset(Offset::UTC))
    }
}
