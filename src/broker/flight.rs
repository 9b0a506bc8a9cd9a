//! `Flight`: one renewal, from the lock to the disk. Runs as a task of its own.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::error::{Error, Why};
use super::generation::{Live, is_renewal, present};
use super::making::{Obtained, Step, step};
use super::port::{Owner, Seen, Vault};
use crate::model::{ConnectionId, Secret};
use crate::oauth::{Cause, Refused, TokenReply, TokenRequest};
use crate::provider::{Provider, Renewal};
use crate::vault::{Entry, Status};

/// How a renewal ended, for all who waited for it.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// There is another credential than the one complained of.
    Fresh(Arc<Live>),
    /// The old one stays.
    Keep(Why),
}

/// Tokens on their way to the disk, and what they were obtained with.
#[derive(Debug)]
pub(super) struct Pending {
    basis: Basis,
    obtained: Obtained,
}

/// What a renewal is made with. Once the connection has something else, its outcome is no longer the connection's.
#[derive(Debug)]
enum Basis {
    /// A refresh token, which may be good for one use.
    RefreshToken(Secret<String>),
    /// What a person registered.
    Registration(Arc<Entry>),
}

impl Basis {
    fn of(entry: &Arc<Entry>, renewal: Renewal<'_>) -> Result<Self, Why> {
        match renewal {
            Renewal::Refresh(_) => {
                let token = present(entry.fields.field("refresh_token")).ok_or(Why::NoRefreshToken)?;
                Ok(Self::RefreshToken(token.duplicate()))
            }
            Renewal::Grant(_) => Ok(Self::Registration(Arc::clone(entry))),
        }
    }

    /// Whether `entry` is still what it was made with: nobody registered anew while we asked.
    fn holds_for(&self, entry: &Entry) -> bool {
        match self {
            Self::RefreshToken(spent) => entry.fields.field("refresh_token").is_some_and(|token| token.same(spent)),
            Self::Registration(old) => is_renewal(old, entry),
        }
    }
}

/// One renewal.
pub(super) struct Flight {
    connection: Arc<Connection>,
    seen: Arc<Live>,
    provider: Arc<Provider>,
    refused: bool,
}

impl Flight {
    pub(super) fn new(connection: Arc<Connection>, seen: Arc<Live>, provider: Arc<Provider>) -> Self {
        Self { connection, seen, provider, refused: false }
    }

    /// With what it is for: a service's 401, or an end that is near.
    pub(super) fn refused(self, refused: bool) -> Self {
        Self { refused, ..self }
    }

    /// Starts the task; the receiver hears the outcome once.
    pub(super) fn depart(self) -> watch::Receiver<Option<Outcome>> {
        let (sender, receiver) = watch::channel(None);
        let runtime = self.connection.shared.ports.runtime.clone();
        runtime.spawn(async move {
            let outcome = self.fly().await;
            self.arrive(&outcome);
            sender.send_replace(Some(outcome));
        });
        receiver
    }

    async fn fly(&self) -> Outcome {
        match self.renew().await {
            Ok(live) if live.generation.number != self.seen.generation.number => Outcome::Fresh(live),
            Ok(_same) => Outcome::Keep(Why::Unchanged),
            Err(why) => Outcome::Keep(why),
        }
    }

    /// Writes down what is to be remembered, and says once what a person should know.
    fn arrive(&self, outcome: &Outcome) {
        let connection = &self.connection;
        connection.shared.tally.count(outcome);
        let mut book = connection.book();
        book.flight = None;
        if let Outcome::Keep(why) = outcome
            && why.calls_for_a_pause()
        {
            book.failed(Instant::now(), why.retry_after(), &connection.shared.settings);
        }
        drop(book);
        match outcome {
            Outcome::Fresh(live) => {
                tracing::info!(connection = %connection.id, generation = live.generation.number, "renewed the credential");
            }
            Outcome::Keep(Why::Refused(refused)) => {
                let reason = refused.as_ref().map(tracing::field::display);
                tracing::error!(connection = %connection.id, reason, "the account must be connected again");
            }
            Outcome::Keep(why) => {
                let cause = std::error::Error::source(why).map(tracing::field::display);
                tracing::warn!(connection = %connection.id, reason = %why, cause, "kept the credential that was there");
            }
        }
    }

    async fn renew(&self) -> Result<Arc<Live>, Why> {
        if let Some(owner) = self.connection.shared.ports.vault.owner().filter(|_| self.seen.entry.lent.is_some()) {
            return self.ask_owner(owner).await;
        }
        let wait = self.connection.shared.settings.lock_wait;
        let _lock = self.on_disk(move |vault, id| vault.lock(id, wait)).await?;
        // Whoever held the lock may have renewed: a refresh token is spent once.
        let live = self.adopt(self.on_disk(|vault, id| vault.entry(id)).await?)?;
        if live.generation.number != self.seen.generation.number {
            self.connection.book().give_back(&self.connection.shared.settings);
            return Ok(live);
        }
        if !live.status().renews() {
            return Err(Why::Refused(None));
        }
        let renewal = live.renewal(&self.provider).ok_or(Why::NoRefreshToken)?;
        let basis = Basis::of(&live.entry, renewal)?;
        let pending = self.connection.book().pending.clone();
        if let Some(pending) = pending.filter(|pending| pending.basis.holds_for(&live.entry)) {
            return self.store(pending).await;
        }
        // The look above may have shown another entry than the one that was judged.
        if renewal.token_url().is_some_and(|url| !live.entry.may_renew_at(url)) {
            return Err(Why::NotSealed { provider: self.provider.id.clone() });
        }
        match self.obtain(renewal, &live.entry).await? {
            Ok(obtained) => self.store(Arc::new(Pending { basis, obtained })).await,
            Err(refused) if refused.is_final() => self.give_up(refused, basis).await,
            Err(refused) => Err(Why::Unavailable(Arc::new(refused))),
        }
    }

    /// What is lent is renewed by its owner, which knows what this takes and who else has asked.
    async fn ask_owner(&self, owner: &dyn Owner) -> Result<Arc<Live>, Why> {
        let renewed = owner.renew(&self.connection.id, &self.seen.entry, self.refused).await.map_err(Why::OwnerAway)?;
        let live = self.adopt(renewed.seen)?;
        match renewed.retry_after {
            _ if live.generation.number != self.seen.generation.number => Ok(live),
            _ if !live.status().renews() => Err(Why::Refused(None)),
            retry_after => Err(Why::OwnerWaits { retry_after }),
        }
    }

    /// Asks for what the renewal gives. Where the service refuses what was signed by a clock that is not its own, it is signed once more by
    /// its clock: a machine whose time is wrong by minutes needs no person. A refresh token is shown once, whatever the time.
    async fn obtain(&self, renewal: Renewal<'_>, entry: &Entry) -> Result<Result<Obtained, Refused>, Why> {
        let (answer, theirs) = self.ask(renewal, entry, None).await?;
        let again = match (&answer, renewal) {
            (Err(refused), Renewal::Grant(_)) if !matches!(refused, Refused::Busy { .. }) => theirs,
            _ => None,
        };
        let Some(theirs) = again else { return Ok(answer) };
        tracing::warn!(connection = %self.connection.id, "the token endpoint has another time than this machine; asking once more by its time");
        Ok(self.ask(renewal, entry, Some(theirs)).await?.0)
    }

    /// One step of it by our clock or at the time `at`: what came of it, and the service's time where that is another.
    async fn ask(
        &self,
        renewal: Renewal<'_>,
        entry: &Entry,
        at: Option<SystemTime>,
    ) -> Result<(Result<Obtained, Refused>, Option<SystemTime>), Why> {
        let clock = &self.connection.shared.ports.clock;
        let step = step(renewal, entry, at.unwrap_or_else(|| clock()));
        let (request, language) = match step.map_err(|unready| Why::Unready(Arc::new(unready)))? {
            Step::Ask(request, language) => (request, language),
            Step::Made(obtained) => return Ok((Ok(obtained), None)),
        };
        let reply = self.call(request).await?;
        let now = clock();
        let answer = language.read(&reply, now).map(|obtained| with_default_life(obtained, renewal, now));
        Ok((answer, reply.their_time(now)))
    }

    async fn call(&self, request: TokenRequest) -> Result<TokenReply, Why> {
        let shared = &self.connection.shared;
        let reply = timeout(shared.settings.call_deadline, shared.ports.endpoint.send(request)).await;
        reply.map_err(|_elapsed| Why::Late)?.map_err(Why::Unreachable)
    }

    /// Puts the tokens on disk, and only then into use. Should the disk fail, they are kept for the next attempt: the
    /// refresh token that they cost must not be spent twice.
    async fn store(&self, pending: Arc<Pending>) -> Result<Arc<Live>, Why> {
        let fresh = Arc::clone(&pending);
        let stored = self.on_disk(move |vault, id| vault.update(id, &mut |entry| fresh.write(entry))).await;
        self.connection.book().pending = stored.is_err().then_some(pending);
        self.adopt(stored?)
    }

    /// The verdict goes on disk, so that neither we nor another process asks again before a person acted.
    async fn give_up(&self, refused: Refused, basis: Basis) -> Result<Arc<Live>, Why> {
        let refused = Arc::new(refused);
        let status = if refused.says_revoked() { Status::Revoked } else { Status::Attention };
        let noted = self.on_disk(move |vault, id| {
            vault.update(id, &mut |entry| {
                if basis.holds_for(entry) {
                    entry.status = status;
                }
            })
        });
        let live = match noted.await {
            Ok(seen) => self.adopt(seen)?,
            Err(why) => {
                tracing::error!(connection = %self.connection.id, reason = %why, "cannot note that the account needs attention");
                Arc::clone(&self.seen)
            }
        };
        if live.generation.number != self.seen.generation.number {
            return Ok(live);
        }
        self.connection.book().refused = Some((live.generation.number, Arc::clone(&refused)));
        Err(Why::Refused(Some(refused)))
    }

    fn adopt(&self, seen: Seen) -> Result<Arc<Live>, Why> {
        self.connection.adopt(seen).map_err(|error| match error {
            Error::Vault(cause) => Why::Vault(cause),
            Error::Away(away) => Why::OwnerAway(Arc::new(away)),
            _ => Why::Gone,
        })
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Vault, &ConnectionId) -> Result<T, Cause> + Send + 'static,
    ) -> Result<T, Why> {
        let connection = Arc::clone(&self.connection);
        let task = move || work(connection.shared.ports.vault.as_ref(), &connection.id);
        let done = self.connection.shared.ports.runtime.spawn_blocking(task).await;
        done.map_err(|_stopped| Why::Stopped)?.map_err(Why::Vault)
    }
}

impl Pending {
    /// Writes the tokens into `entry`, unless a person registered anew while we asked.
    fn write(&self, entry: &mut Entry) {
        if !self.basis.holds_for(entry) {
            return;
        }
        for (name, value) in &self.obtained.fields {
            entry.fields.set(name, value.duplicate());
        }
        entry.expires_at = self.obtained.expires_at;
        entry.status = Status::Active;
    }
}

fn with_default_life(mut obtained: Obtained, renewal: Renewal<'_>, now: SystemTime) -> Obtained {
    let default = || now.checked_add(renewal.default_lifetime()?);
    obtained.expires_at = obtained.expires_at.or_else(default);
    obtained
}
