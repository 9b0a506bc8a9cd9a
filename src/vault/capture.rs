//! Connections that agents obtain by log-ins of their own: written as new ones, bounded, approved by a person or gone after a time.

use std::time::SystemTime;

use super::document::Document;
use super::entry::{Entry, Status};
use super::error::Error;
use super::store::{Store, check_fields, understood};
use crate::model::{AgentName, ConnectionId, ProviderId, UserName};

/// More numbers than an agent's log-ins at one provider take.
const NUMBERS: u32 = 10_000;

/// How many log-ins of one agent may wait for approval.
#[derive(Debug, Clone, Copy)]
pub struct PendingBound(pub usize);

/// Why a log-in was not stored.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The agent has as many as it may have.
    #[error("{0} log-ins of this agent wait for approval already")]
    TooMany(usize),
    /// Every number behind the agent's name is taken.
    #[error("this agent has too many connections of this provider")]
    NoName,
    /// The vault was not written.
    #[error("the log-in could not be stored")]
    Vault(#[from] Error),
}

/// Why a connection was not approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// It is one already.
    #[error("it does not wait for approval")]
    NotPending,
    /// What was to be changed of it could not be.
    #[error("it can't be used as it is")]
    Unfit,
    /// It is about to be taken out.
    #[error("nobody approved it in time; the program must log in again")]
    Lapsed,
}

impl Store {
    /// Writes `entry`, which must have been [captured](Entry::captured), as a new pending connection of its provider, and says which:
    /// never over one that is there, understood or not. Those that nobody approved by `now` go.
    ///
    /// # Errors
    /// As [`CaptureError`] says; then nothing was written.
    pub fn capture(&self, mut entry: Entry, now: SystemTime, bound: PendingBound) -> Result<ConnectionId, CaptureError> {
        entry.status = Status::Pending;
        entry.registered_at = Some(now);
        check_fields(&entry)?;
        let Some(agent) = entry.captured.as_ref().map(|captured| captured.agent.clone()) else {
            return Err(CaptureError::NoName);
        };
        let mut refused = None;
        let written = self.file.rewrite(|plain| {
            let mut document = Document::parse(self.file.path(), plain)?;
            remove_lapsed(&mut document, now);
            let waiting = waiting(&document, &agent);
            let free = free_id(&document, &entry.provider, &agent);
            let id = match free {
                _ if waiting >= bound.0 => {
                    refused = Some(CaptureError::TooMany(waiting));
                    return Ok(None);
                }
                Some(id) => id,
                None => {
                    refused = Some(CaptureError::NoName);
                    return Ok(None);
                }
            };
            document.set(&id, &entry);
            Ok(Some((document.render()?, id)))
        })?;
        written.ok_or_else(|| refused.unwrap_or(CaptureError::NoName))
    }

    /// Makes a pending connection one that its agent may use, unless `change` says that it is unfit; `None` when there is none of that name.
    ///
    /// # Errors
    /// As [`Store::register`]; what is not to be approved is the inner one, and then nothing was written.
    pub fn approve(
        &self,
        id: &ConnectionId,
        now: SystemTime,
        change: impl FnOnce(&mut Entry) -> bool,
    ) -> Result<Option<Result<(), NotApproved>>, Error> {
        let mut verdict = None;
        self.file.rewrite(|plain| {
            let mut document = Document::parse(self.file.path(), plain)?;
            let Some(mut entry) = understood(id, document.entry(id))? else { return Ok(None) };
            let refused = match entry.status {
                // Where nobody captured it a consent is waited for, which no approval stands in for.
                Status::Pending if entry.captured.is_some() => entry.has_lapsed(now).then_some(NotApproved::Lapsed),
                _ => Some(NotApproved::NotPending),
            };
            if let Some(refused) = refused {
                verdict = Some(Err(refused));
                return Ok(None);
            }
            if !change(&mut entry) {
                verdict = Some(Err(NotApproved::Unfit));
                return Ok(None);
            }
            check_fields(&entry)?;
            (entry.status, entry.registered_at) = (Status::Active, Some(now));
            entry.captured.iter_mut().for_each(|captured| captured.until = None);
            document.set(id, &entry);
            let text = document.render()?;
            verdict = Some(Ok(()));
            Ok(Some((text, ())))
        })?;
        Ok(verdict)
    }

    /// Takes out the connections that nobody approved by `now`, and says how many.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn remove_lapsed(&self, now: SystemTime) -> Result<usize, Error> {
        if !self.snapshot()?.iter().any(|(_, entry)| entry.has_lapsed(now)) {
            return Ok(0);
        }
        let removed = self.file.rewrite(|plain| {
            let mut document = Document::parse(self.file.path(), plain)?;
            match remove_lapsed(&mut document, now) {
                0 => Ok(None),
                count => Ok(Some((document.render()?, count))),
            }
        })?;
        Ok(removed.unwrap_or_default())
    }
}

fn remove_lapsed(document: &mut Document<'_>, now: SystemTime) -> usize {
    let lapsed = |(_key, entry): (&str, Result<(ConnectionId, Entry), _>)| {
        entry.ok().filter(|(_, entry)| entry.has_lapsed(now)).map(|(id, _)| id)
    };
    let lapsed: Vec<ConnectionId> = document.entries().filter_map(lapsed).collect();
    lapsed.into_iter().filter(|id| document.remove(id)).count()
}

/// How many log-ins of `agent` wait.
fn waiting(document: &Document<'_>, agent: &AgentName) -> usize {
    document.entries().filter_map(|(_key, entry)| entry.ok()).filter(|(_, entry)| entry.waits_for(agent)).count()
}

/// `github:ci.1`, or the first after it that is free.
fn free_id(document: &Document<'_>, provider: &ProviderId, agent: &AgentName) -> Option<ConnectionId> {
    let named = |number| format!("{agent}.{number}").parse::<UserName>().ok();
    let mut ids = (1..=NUMBERS).filter_map(named).map(|user| ConnectionId::new(provider.clone(), Some(user)));
    ids.find(|id| !document.holds(id))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::{AuthType, Captured, Settings};
    use super::*;
    use crate::disk;
    use crate::model::{Credential, Secret};
    use crate::seal::DataKey;

    const DAY: Duration = Duration::from_secs(86_400);

    fn store(folder: &tempfile::TempDir) -> Store {
        let home = folder.path().join("home");
        disk::create_private_dir(&home).expect("a folder");
        let settings = Settings { file: home.join("nexus.enc"), salt: home.join(".salt") };
        Store::with_key(settings, DataKey::from_bytes([7; 32]))
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn entry(agent: &str, token: &str) -> Entry {
        let mut fields = Credential::default();
        fields.set("access_token", Secret::new(token.to_owned()));
        let mut entry = Entry::new("github".parse().expect("a name"), AuthType::OAuth2, fields);
        let agent = agent.parse().expect("a name");
        let user = Some("alice".parse().expect("a name"));
        let made_with = Some("github".parse().expect("a handle"));
        entry.captured = Some(Captured { agent, user, until: Some(now() + DAY), since: Some(now()), made_with });
        entry.seal(vec!["api.github.com".to_owned()]);
        entry
    }

    fn id(text: &str) -> ConnectionId {
        text.parse().expect("a handle")
    }

    fn token(store: &Store, connection: &str) -> String {
        let entry = store.get(&id(connection)).expect("a vault").expect("an entry");
        entry.fields.field("access_token").expect("a token").expose().clone()
    }

    #[test]
    fn i6_a_log_in_is_a_new_connection_and_never_replaces_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        let person = |name: &str| store.register(&id(name), Entry { captured: None, ..entry("x", name) }).expect("registered");
        person("github");
        person("github:ci.1");
        let made: Vec<String> = ["one", "two"]
            .map(|token| store.capture(entry("ci", token), now(), PendingBound(8)).expect("captured").to_string())
            .to_vec();
        assert_eq!(made, ["github:ci.2", "github:ci.3"]);
        let all = ["github", "github:ci.1", "github:ci.2", "github:ci.3"].map(|name| token(&store, name));
        assert_eq!(all, ["github", "github:ci.1", "one", "two"]);
        let snapshot = store.snapshot().expect("a vault");
        let open = snapshot.of_provider(&"github".parse().expect("a name"));
        assert_eq!(open.iter().map(ConnectionId::as_str).collect::<Vec<_>>(), ["github", "github:ci.1"]);
        assert_eq!(snapshot.all_of(&"github".parse().expect("a name")).1.iter().filter(|own| own.pending).count(), 2);
    }

    #[test]
    fn i6_i9_what_is_not_understood_keeps_its_name_and_its_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        let strange = r#"{"GitHub:ci.1": [1, 2], "github:ci.2": {"provider": "github", "auth_type": "x", "captured_by": 7}}"#;
        store.file.rewrite(|_plain| Ok(Some((zeroize::Zeroizing::new(strange.into()), ())))).expect("written");
        assert!(store.snapshot().expect("a vault").get(&id("github:ci.2")).is_none(), "whose it is can't be read");
        assert_eq!(store.capture(entry("ci", "one"), now(), PendingBound(8)).expect("captured").as_str(), "github:ci.3");
        assert_eq!(store.snapshot().expect("a vault").strangers().len(), 2);
    }

    #[test]
    fn i7_an_agent_has_only_so_many_that_wait_and_those_that_lapsed_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        let bound = PendingBound(2);
        for token in ["one", "two"] {
            store.capture(entry("ci", token), now(), bound).expect("captured");
        }
        let third = store.capture(entry("ci", "three"), now(), bound);
        assert!(matches!(third, Err(CaptureError::TooMany(2))), "{third:?}");
        store.capture(entry("other", "four"), now(), bound).expect("another agent's own bound");
        assert_eq!(store.approve(&id("github:ci.1"), now(), |_| true).expect("a vault"), Some(Ok(())));
        store.capture(entry("ci", "five"), now() + DAY / 2, bound).expect("one less waits");
        assert_eq!(store.remove_lapsed(now() + DAY / 2).expect("a vault"), 0);
        let lapsed = store.approve(&id("github:ci.2"), now() + DAY, |_| true).expect("a vault");
        assert_eq!(lapsed, Some(Err(NotApproved::Lapsed)));
        assert_eq!(store.remove_lapsed(now() + DAY).expect("a vault"), 3);
        assert_eq!(store.list().expect("a vault"), [id("github:ci.1")]);
    }

    #[test]
    fn what_is_known_of_its_making_is_kept_and_another_of_the_same_name_is_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        let since = |entry: Entry| {
            let id = store.capture(entry, now(), PendingBound(8)).expect("captured");
            let own = store.snapshot().expect("a vault").all_of(id.provider()).1;
            let captured = store.get(&id).expect("a vault").expect("an entry").captured.clone().expect("captured");
            assert_eq!(captured.made_with, Some(self::id("github")));
            assert_eq!(captured.since, own.first().expect("one").since);
            (id, captured.since)
        };
        let (first, then) = since(entry("ci", "one"));
        assert!(store.delete(&first).expect("a vault"));
        let mut later = entry("ci", "two");
        later.captured.as_mut().expect("captured").since = Some(now() + DAY);
        let (second, later) = since(later);
        assert_eq!(first, second);
        assert!(then < later);
    }

    #[test]
    fn an_approved_one_is_its_agents_and_no_default() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        let made = store.capture(entry("ci", "one"), now(), PendingBound(8)).expect("captured");
        let pending = store.get(&made).expect("a vault").expect("an entry");
        assert_eq!((pending.status, pending.registered_at), (Status::Pending, Some(now())));
        assert!(store.snapshot().expect("a vault").sealed_with("api.github.com").is_empty());
        let later = now() + DAY / 2;
        assert_eq!(store.approve(&made, later, |_| false).expect("a vault"), Some(Err(NotApproved::Unfit)));
        assert_eq!(store.approve(&made, later, |_| true).expect("a vault"), Some(Ok(())));
        assert_eq!(store.approve(&made, later, |_| true).expect("a vault"), Some(Err(NotApproved::NotPending)));
        assert_eq!(store.approve(&id("github:nobody"), later, |_| true).expect("a vault"), None);
        let snapshot = store.snapshot().expect("a vault");
        assert!(snapshot.of_provider(&"github".parse().expect("a name")).is_empty());
        let own = snapshot.all_of(&"github".parse().expect("a name")).1;
        let own = own.first().expect("one");
        assert_eq!((own.agent.as_str(), own.pending, own.id.as_str()), ("ci", false, "github:ci.1"));
        assert_eq!(snapshot.get(&made).and_then(|entry| entry.registered_at), Some(later));
    }
}
