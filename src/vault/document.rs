//! `Document`: the whole vault as JSON, of which only what changes is written anew.

use std::io;
use std::path::Path;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::entry::Entry;
use super::error::Error;
use super::json::{self, Members, NotUnderstood};
use crate::model::{ConnectionId, UserName};

/// The members of the vault in their order. Everything borrows from the opened text, which is wiped when it goes.
pub(super) struct Document<'a> {
    members: Vec<(String, Member<'a>)>,
}

enum Member<'a> {
    Kept(&'a RawValue),
    Changed(&'a Entry),
}

impl<'a> Document<'a> {
    /// Reads the opened text of the vault `file`.
    pub(super) fn parse(file: &Path, plain: &'a [u8]) -> Result<Self, Error> {
        let Members(members) = serde_json::from_slice(plain).map_err(|cause| not_json(file, &cause))?;
        if let Some(found) = members.iter().find_map(|(_, value)| json::foreign_schema(value)) {
            return Err(Error::NewerSchema { file: file.to_owned(), found: found.chars().take(20).collect() });
        }
        Ok(Self { members: members.into_iter().map(|(key, value)| (key, Member::Kept(value))).collect() })
    }

    /// Every member with the connection it is of, where its name is one.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, Result<(ConnectionId, Entry), NotUnderstood>)> {
        self.kept().map(|(key, value)| {
            let entry = key.parse().map_err(NotUnderstood::Name).and_then(|id| Ok((id, json::decode(value)?)));
            (key, entry)
        })
    }

    /// The entry of `id` as it was read, if there is a member of that name.
    pub(super) fn entry(&self, id: &ConnectionId) -> Option<Result<Entry, NotUnderstood>> {
        match self.members.get(self.position(id)?)? {
            (_, Member::Kept(value)) => Some(json::decode(value)),
            (_, Member::Changed(_)) => None,
        }
    }

    /// What `id` is called here, its person by name or by number; `id` itself where it is not here.
    pub(super) fn meant(&self, id: &ConnectionId) -> ConnectionId {
        if id.user().is_none() || self.holds(id) {
            return id.clone();
        }
        let same = |named: &ConnectionId| named.provider() == id.provider() && UserName::same(named.user(), id.user());
        let mut named = self.members.iter().filter_map(|(key, _)| key.parse().ok());
        named.find(same).unwrap_or_else(|| id.clone())
    }

    /// Whether a member, understood or not, has the name of `id` in any spelling.
    pub(super) fn holds(&self, id: &ConnectionId) -> bool {
        self.position(id).is_some()
    }

    /// Writes `entry` in the place that `id` has, under the spelling it has there, or at the end.
    pub(super) fn set(&mut self, id: &ConnectionId, entry: &'a Entry) {
        let place = self.position(id).and_then(|at| self.members.get_mut(at));
        match place {
            Some((_, member)) => *member = Member::Changed(entry),
            None => self.members.push((id.to_string(), Member::Changed(entry))),
        }
    }

    /// Takes out every spelling of `id`; false when there was none.
    pub(super) fn remove(&mut self, id: &ConnectionId) -> bool {
        let before = self.members.len();
        self.members.retain(|(key, _)| !names(key, id));
        self.members.len() != before
    }

    /// The text, as Python's `json.dumps(.., indent=2)` lays it out.
    pub(super) fn render(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        // Measured first: a buffer that grows leaves secrets behind.
        let mut length = Length(0);
        let measured = serde_json::to_writer_pretty(&mut length, self);
        let mut text = Zeroizing::new(Vec::with_capacity(length.0));
        let rendered = measured.and_then(|()| serde_json::to_writer_pretty(&mut *text, self));
        // Without its cause, whose message may quote a secret.
        rendered.ok().ok_or(Error::Render)?;
        Ok(text)
    }

    fn kept(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().filter_map(|(key, member)| match member {
            Member::Kept(value) => Some((key.as_str(), *value)),
            Member::Changed(_) => None,
        })
    }

    /// Where `id` stands: its own spelling before others (`google-sheets`), and of several others the last.
    fn position(&self, id: &ConnectionId) -> Option<usize> {
        let exact = self.members.iter().rposition(|(key, _)| key == id.as_str());
        exact.or_else(|| self.members.iter().rposition(|(key, _)| names(key, id)))
    }
}

fn names(key: &str, id: &ConnectionId) -> bool {
    key.parse::<ConnectionId>().is_ok_and(|named| named == *id)
}

/// Keeps only the place: the message may quote the text.
fn not_json(file: &Path, cause: &serde_json::Error) -> Error {
    Error::NotJson { file: file.to_owned(), line: cause.line(), column: cause.column() }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.members.len()))?;
        for (key, member) in &self.members {
            match member {
                Member::Kept(value) => map.serialize_entry(key, value)?,
                Member::Changed(entry) => map.serialize_entry(key, entry)?,
            }
        }
        map.end()
    }
}

struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
