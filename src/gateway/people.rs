//! Which person and which connection an app means by what it sends.

use std::sync::Arc;

use http::HeaderMap;

use super::access::Who;
use super::begin::not_kept;
use super::context::Gateway;
use super::keys::Kind;
use super::pending::Standing;
use super::problem::Problem;
use crate::model::{ConnectionId, GatewayId, ProviderId, UserName};
use crate::vault::{Entry, Snapshot};

/// The person that JarvisCore acts for, beside its handle.
const SUBJECT: &str = "x-nexus-subject";
/// What begins a handle that JarvisCore makes of a provider's name, and perhaps a person's before it.
pub(super) const RESOLVED: &str = "resolved:";

/// What a handle leads to.
#[derive(Debug)]
pub(super) enum Found {
    /// A question that was not answered yet, or in vain.
    Asked(GatewayId, Standing, ConnectionId),
    /// A connection.
    Held(ConnectionId, Arc<Entry>),
}

/// By whom, of whom, and by which handle something is asked for.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) who: Who,
    /// As it stands in the path.
    pub(super) text: String,
    /// Whom the program says it acts for.
    pub(super) subject: Option<String>,
}

impl Handle {
    /// `text`, as `who` sent it with `headers`.
    ///
    /// # Errors
    /// 400 where these name two persons, or none that can be read.
    pub(super) fn new(who: &Who, text: &str, headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self { who: who.clone(), text: text.to_owned(), subject: subject(headers)? })
    }
}

/// Whom a program says it acts for.
///
/// # Errors
/// 400 where that is two persons, or none that can be read.
pub(super) fn subject(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut subjects = headers.get_all(SUBJECT).iter();
    let subject = subjects.next().map(|value| value.to_str().map(str::to_owned)).transpose();
    match (subject, subjects.next()) {
        (Ok(subject), None) => Ok(subject),
        _ => Err(Problem::malformed("a request names one person in one field X-Nexus-Subject")),
    }
}

/// The same for what is not there and for what `who` may not see: nobody learns what exists.
pub(super) fn missing() -> Problem {
    Problem::missing("there is no such connection, or it is not for this key; POST /v1/request-connection asks for one")
}

impl Gateway {
    /// The vault as it is now.
    pub(super) fn vault(&self) -> Result<Arc<Snapshot>, Problem> {
        self.ports.store.snapshot().map_err(|error| Problem::unreadable(&error))
    }

    /// The person whom `text` means, by name or by number: one who is known by name goes by that.
    ///
    /// # Errors
    /// 400 for what is neither.
    pub(super) fn person(&self, vault: &Snapshot, who: &Who, text: &str) -> Result<UserName, Problem> {
        let rule = "user_id takes 1 to 128 letters, digits or - . _ ~ @ +, or a UUID";
        let named: UserName = text.parse().map_err(|_odd| Problem::malformed(rule))?;
        let agents = self.ports.agents.load_full();
        let agents = agents.agents().filter_map(|agent| agent.user.clone());
        let held = vault.iter().filter_map(|(id, _)| id.user().cloned());
        let mut known = who.bound_to().cloned().into_iter().chain(agents).chain(held);
        if let Some(known) = known.find(|known| !known.looks_like_a_number() && known.is(&named)) {
            return Ok(known);
        }
        if !named.looks_like_a_number() {
            return Ok(named);
        }
        let asked = self.ports.pending.named(&named, (self.ports.clock)()).map_err(|error| not_kept(&error))?;
        Ok(asked.unwrap_or(named))
    }

    /// The connection of `provider` for `user`, in whichever way the person is called in its name.
    pub(super) fn connection_of(vault: &Snapshot, provider: &ProviderId, user: Option<&UserName>) -> Option<ConnectionId> {
        vault.of_provider(provider).iter().find(|id| UserName::same(id.user(), user)).cloned()
    }

    /// `connection` as it is called now: it may have come to be under the other of its person's names since it was asked for.
    pub(super) fn called_now(vault: &Snapshot, connection: &ConnectionId) -> ConnectionId {
        Self::connection_of(vault, connection.provider(), connection.user()).unwrap_or_else(|| connection.clone())
    }

    /// Whether `who` may end the question called `id`: its own, or an administrator.
    ///
    /// # Errors
    /// 404 for those of others.
    pub(super) fn may_end(&self, who: &Who, id: &GatewayId) -> Result<(), Problem> {
        let own = self.ports.pending.is_of(who.asker(), id).map_err(|error| not_kept(&error))?;
        if own || who.kind() == Some(Kind::Admin) { Ok(()) } else { Err(missing()) }
    }

    /// What `handle` leads to: a UUID that was given out, a connection's name, or `resolved:[PERSON:]PROVIDER`.
    ///
    /// # Errors
    /// 404 where there is nothing, or nothing for who asks.
    pub(super) fn find(&self, handle: &Handle) -> Result<Found, Problem> {
        let vault = self.vault()?;
        let id = match handle.text.parse::<GatewayId>() {
            Ok(given) => match vault.by_gateway_id(&given) {
                Some(id) => Some(id.clone()),
                None => return self.asked(&vault, handle, given),
            },
            Err(_other) => self.named(&vault, handle)?,
        };
        let id = id.filter(|id| handle.who.sees(id)).ok_or_else(missing)?;
        let entry = vault.get(&id).filter(|entry| entry.captured.is_none()).map(Arc::clone).ok_or_else(missing)?;
        self.of_subject(&vault, (&handle.who, handle.subject.as_deref()), id.user())?;
        Ok(Found::Held(id, entry))
    }

    fn asked(&self, vault: &Snapshot, handle: &Handle, given: GatewayId) -> Result<Found, Problem> {
        let found = self.ports.pending.standing(&given, (self.ports.clock)()).map_err(|error| not_kept(&error))?;
        let (standing, id) = found.filter(|(_, id)| handle.who.sees(id)).ok_or_else(missing)?;
        self.of_subject(vault, (&handle.who, handle.subject.as_deref()), id.user())?;
        Ok(Found::Asked(given, standing, id))
    }

    fn named(&self, vault: &Snapshot, handle: &Handle) -> Result<Option<ConnectionId>, Problem> {
        // What names nobody leads nowhere.
        let person = |text: &str| self.person(vault, &handle.who, text).map_err(|_odd| missing());
        if let Some(rest) = handle.text.strip_prefix(RESOLVED) {
            let (user, provider) = match rest.rsplit_once(':') {
                Some((user, provider)) => (Some(person(user)?), provider),
                None => (handle.subject.as_deref().map(person).transpose()?, rest),
            };
            let user = user.or_else(|| handle.who.bound_to().cloned());
            let provider: ProviderId = provider.parse().map_err(|_odd| missing())?;
            return Ok(Self::connection_of(vault, &provider, user.as_ref()));
        }
        let id: ConnectionId = handle.text.parse().map_err(|_odd| missing())?;
        // An administrator may mean an app, which is nobody's connection.
        if handle.who.kind() == Some(Kind::Admin) && vault.get(&id).is_some() {
            return Ok(Some(id));
        }
        let user = id.user().map(|user| person(user.as_str())).transpose()?;
        Ok(Self::connection_of(vault, id.provider(), user.as_ref()))
    }

    /// A program that says for whom it acts gets that person's and nobody's, whatever its key may see.
    ///
    /// # Errors
    /// 403 for what is another person's.
    pub(super) fn of_subject(
        &self,
        vault: &Snapshot,
        (who, subject): (&Who, Option<&str>),
        owner: Option<&UserName>,
    ) -> Result<(), Problem> {
        let (Some(owner), Some(subject)) = (owner, subject) else { return Ok(()) };
        match self.person(vault, who, subject) {
            Ok(subject) if owner.is(&subject) => Ok(()),
            _ => Err(Problem::forbidden("subject", "this is not of the person that X-Nexus-Subject names")),
        }
    }
}
