//! How needs stand in the vault: which were met, and which can't be any more.

use std::sync::Arc;
use std::time::SystemTime;

use super::authorize::Broker;
use super::port::{Listed, Moment};
use crate::attention::{Attention, Need, Reason, Standing};
use crate::model::ConnectionId;
use crate::vault::{Entry, Status};

impl Broker {
    /// Settles the open needs that are met, and lets held requests try again where the vault has changed; `seen` is its version at the
    /// last look. May read the disk.
    pub(crate) fn look_after_needs(&self, attention: &Attention, seen: &mut Option<u64>) {
        let open = attention.open();
        let listed = open.first().and_then(|(_, first)| self.vault_of(first));
        let found = listed.as_ref().map(|listed| self.all_standing(&open, listed)).unwrap_or_default();
        attention.settle(&found, SystemTime::now());
        if let Some(listed) = listed
            && seen.replace(listed.version) != Some(listed.version)
        {
            attention.vault_changed();
        }
    }

    /// The same for whoever shows them to people, who need not tell one version from another.
    pub(crate) fn settle_needs(&self, attention: &Attention) {
        let open = attention.open();
        let listed = open.first().and_then(|(_, first)| self.vault_of(first));
        let found = listed.map(|listed| self.all_standing(&open, &listed)).unwrap_or_default();
        attention.settle(&found, SystemTime::now());
    }

    /// The same for the item called `id` alone.
    pub(crate) fn look_after_need(&self, attention: &Attention, id: &str) {
        let Some((need, _)) = attention.find(id) else { return };
        if let Some(listed) = self.vault_of(&need) {
            attention.settle(&[(Arc::from(id), self.stands(&need, &listed))], SystemTime::now());
        }
    }

    /// `None` while the vault can't be read: whoever needs it for a request says so aloud.
    fn vault_of(&self, need: &Need) -> Option<Listed> {
        self.connections_of(need.connection.provider()).ok()
    }

    fn all_standing(&self, open: &[(Arc<str>, Arc<Need>)], listed: &Listed) -> Vec<(Arc<str>, Standing)> {
        open.iter().map(|(id, need)| (Arc::clone(id), self.stands(need, listed))).collect()
    }

    /// What a gateway may still have is not gone.
    fn stands(&self, need: &Need, listed: &Listed) -> Standing {
        let known = Known { works: self.works(&need.connection), now: (self.shared.ports.clock)() };
        match standing(need, &*listed.moment, known) {
            Standing::Gone if self.entry(&need.connection).is_err() => Standing::Open,
            standing => standing,
        }
    }

    /// Whether requests of this process work with it, as far as they were answered.
    fn works(&self, connection: &ConnectionId) -> bool {
        self.known(connection).is_some_and(|connection| connection.works())
    }
}

/// What the vault doesn't say of a connection.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Whether requests of this process work with it.
    works: bool,
    now: SystemTime,
}

/// How `need` stands in the vault of `moment`.
fn standing(need: &Need, moment: &dyn Moment, known: Known) -> Standing {
    let own = moment.entry(&need.connection);
    let stands = |met: bool| if met { Standing::Met } else { Standing::Open };
    match (need.reason, own) {
        (Reason::NotRegistered, Some(own)) if is_usable(own) => Standing::Met,
        (Reason::NotRegistered, _) if need.named => Standing::Open,
        (Reason::NotRegistered, _) => {
            let existing = moment.connections(need.connection.provider());
            let preferred = ConnectionId::preferred(&existing, need.user.as_ref());
            stands(preferred.and_then(|id| moment.entry(id)).is_some_and(|entry| is_usable(entry)))
        }
        (_, None) => Standing::Gone,
        (_, Some(own)) if !is_usable(own) => Standing::Open,
        (Reason::Revoked | Reason::Pending, Some(_)) => Standing::Met,
        (_, Some(own)) if own.registered_at != need.registered_at => Standing::Met,
        (Reason::Unfit, Some(_)) => Standing::Open,
        // A service refused it, and the vault knows nothing of that.
        (Reason::Refused, Some(_)) => stands(known.works),
        (Reason::Attention, Some(own)) => stands(known.works || own.expires_at.is_none_or(|end| end > known.now)),
    }
}

/// An app that nobody has logged in by is no credential, whatever its status.
fn is_usable(entry: &Entry) -> bool {
    entry.status == Status::Active && !entry.is_app_alone()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::attention::Words;
    use crate::model::{Credential, Secret};
    use crate::seal::DataKey;
    use crate::vault::{AuthType, Settings, Store};

    fn vault(entries: &[(&str, Status)]) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { file: folder.path().join("nexus.enc"), salt: folder.path().join(".salt") };
        let store = Store::with_key(settings, DataKey::from_bytes([7; 32]));
        for (id, status) in entries {
            let id: ConnectionId = id.parse().unwrap();
            let mut fields = Credential::default();
            fields.set("api_key", Secret::new("a key".to_owned()));
            let mut entry = Entry::new(id.provider().clone(), AuthType::ApiKey, fields);
            entry.status = *status;
            entry.registered_at = Some(registered());
            store.register(&id, entry).unwrap();
        }
        (folder, store)
    }

    fn registered() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn need(connection: &str, reason: Reason, named: bool) -> Need {
        let connection: ConnectionId = connection.parse().unwrap();
        Need {
            agent: "ci".parse().unwrap(),
            user: connection.user().cloned(),
            connection,
            named,
            reason,
            registered_at: Some(registered()),
            words: Words { title: String::new(), content: String::new(), command: String::new() },
        }
    }

    fn known(works: bool) -> Known {
        Known { works, now: registered() }
    }

    #[test]
    fn what_a_service_refuses_is_met_by_a_request_that_works_or_by_another_registration() {
        use Reason::{Attention, Refused};
        let (_folder, store) = vault(&[("acme", Status::Active)]);
        let stands = |need: &Need, works| standing(need, &*store.snapshot().unwrap(), known(works));
        assert_eq!(stands(&need("acme", Refused, true), false), Standing::Open);
        assert_eq!(stands(&need("acme", Refused, true), true), Standing::Met);
        let before = Need { registered_at: None, ..need("acme", Refused, true) };
        assert_eq!(stands(&before, false), Standing::Met);
        // It has ended by the clock, and the service has said so too.
        let ends = |end| store.update(&"acme".parse().unwrap(), |entry| entry.expires_at = Some(end));
        ends(registered() - Duration::from_secs(1)).unwrap();
        assert_eq!(stands(&need("acme", Attention, true), false), Standing::Open);
        assert_eq!(stands(&need("acme", Attention, true), true), Standing::Met);
        ends(registered() + Duration::from_secs(1)).unwrap();
        assert_eq!(stands(&need("acme", Attention, true), false), Standing::Met);
    }

    #[test]
    fn an_app_without_a_log_in_meets_no_need() {
        let (_folder, store) = vault(&[("acme:alice", Status::Active)]);
        let mut fields = Credential::default();
        fields.set("client_id", Secret::new("a client".to_owned()));
        let mut app = Entry::new("acme".parse().unwrap(), AuthType::OAuth2, fields);
        app.app = true;
        store.register(&"acme".parse().unwrap(), app).unwrap();
        let reasons = [Reason::NotRegistered, Reason::Attention, Reason::Revoked, Reason::Refused, Reason::Unfit];
        let stands = |reason, named| standing(&need("acme", reason, named), &*store.snapshot().unwrap(), known(false));
        let all: Vec<_> = reasons.into_iter().flat_map(|reason| [stands(reason, false), stands(reason, true)]).collect();
        assert_eq!(all, [Standing::Open; 10]);
    }

    #[test]
    fn a_need_is_met_by_what_would_be_chosen_and_by_nothing_else() {
        use Reason::{Attention, NotRegistered, Pending, Revoked, Unfit};
        use Standing::{Gone, Met, Open};
        let (active, dead, waits) = (Status::Active, Status::Attention, Status::Pending);
        for (entries, wanted, reason, named, expected) in [
            (&[][..], "acme", NotRegistered, false, Open),
            (&[("acme", active)], "acme", NotRegistered, false, Met),
            (&[("acme", dead)], "acme", NotRegistered, false, Open),
            (&[("acme:bob", active)], "acme:alice", NotRegistered, false, Open),
            (&[("acme:alice", active)], "acme:alice", NotRegistered, true, Met),
            // The default one is not for who acts for a person.
            (&[("acme", active)], "acme:alice", NotRegistered, false, Open),
            (&[("acme", active)], "acme:alice", NotRegistered, true, Open),
            (&[("acme", dead)], "acme", Attention, true, Open),
            (&[("acme", active)], "acme", Attention, true, Met),
            (&[], "acme", Attention, true, Gone),
            (&[("acme", Status::Revoked)], "acme", Revoked, true, Open),
            (&[("acme", active)], "acme", Revoked, true, Met),
            (&[("acme:ci.1", waits)], "acme:ci.1", Pending, true, Open),
            (&[("acme:ci.1", active)], "acme:ci.1", Pending, true, Met),
            (&[], "acme:ci.1", Pending, true, Gone),
            // It was of no use before, too.
            (&[("acme", active)], "acme", Unfit, true, Open),
        ] {
            let (_folder, store) = vault(entries);
            let found = standing(&need(wanted, reason, named), &*store.snapshot().unwrap(), known(false));
            assert_eq!(found, expected, "{entries:?} {wanted} {reason:?} {named}");
        }
        let (_folder, store) = vault(&[("acme", active)]);
        let later = Need { registered_at: None, ..need("acme", Unfit, true) };
        assert_eq!(standing(&later, &*store.snapshot().unwrap(), known(false)), Met);
    }
}
