//! `Pending`: what persons were asked for, sealed in a file of its own, so that an answer finds its question after a restart, and once.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::begin::Question;
use super::flow::{Ending, Flow, Step, Wanted};
use super::return_url::ReturnUrl;
use crate::consent::{self, Code, Heard};
use crate::disk::{self, Lock};
use crate::model::{ConnectionId, GatewayId, Secret, UserName};
use crate::oauth::answered_state;
use crate::seal::{self, DataKey};

/// Questions that are kept at one time, and of one asker. One takes about two kilobytes.
const FLOWS: usize = 1_000;
const OF_ONE: usize = 200;
/// The largest file that is read or written, in bytes.
const MAX_LEN: u64 = 16 * 1024 * 1024;
/// What is left free for one question, so that a buffer with secrets never grows.
const ROOM: usize = 32 * 1024;

/// Why a question is not kept.
#[derive(Debug, thiserror::Error)]
pub enum PendingError {
    /// The file.
    #[error(
        "the consents under way could not be read or written; where their file is at fault, remove it, and they begin anew"
    )]
    Disk(#[from] disk::Error),
    /// Another secret, or damage.
    #[error("{} does not open; if the secret was changed, remove the file, and consents that were under way begin anew", .0.display())]
    Sealed(PathBuf, #[source] seal::Error),
    /// It is not what we write.
    #[error("{} is not what Nexus writes; remove it, and consents that were under way begin anew", .0.display())]
    Unreadable(PathBuf),
    /// Another gateway has it.
    #[error("another gateway of this home is up: it holds {}", .0.display())]
    InUse(PathBuf),
    /// As many as there may be, or as large.
    #[error("too many consents are under way")]
    Full,
}

/// What became of the wish to ask a person.
#[derive(Debug)]
pub(crate) enum Begun {
    /// The person can be sent to the page.
    Now(Shown),
    /// The person was sent there before, and has not answered.
    Already(Shown),
}

/// What the program is told, to send a person there.
#[derive(Debug)]
pub(crate) struct Shown {
    id: GatewayId,
    page: Secret<String>,
    state: Secret<String>,
}

impl Shown {
    fn of(flow: &Flow) -> Self {
        let state = flow.state().map_or_else(|| Secret::new(String::new()), Secret::duplicate);
        Self { id: flow.id.clone(), page: flow.page.duplicate(), state }
    }

    /// As a question about `connection`.
    pub(super) fn question(self, connection: ConnectionId, scopes: Vec<String>, asked_before: bool) -> Question {
        let Self { id, page, state } = self;
        Question { id, connection, page, state, scopes, asked_before }
    }
}

/// How a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A person is asked, or the answer is being acted on.
    Pending,
    /// Nothing came of it.
    Failed(Ending),
}

/// What came to the redirect URI.
#[derive(Debug)]
pub(crate) enum Answered {
    /// It is the answer to no question that waits.
    Unknown,
    /// It can't be read; the question waits on. Why, for people.
    Strange(String),
    /// The answer to this one, which is over.
    Flow(Box<Answer>, Box<Result<Code, consent::Error>>),
}

/// The question that an answer came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: GatewayId,
    /// The key that asked.
    pub(crate) asker: String,
    pub(crate) connection: ConnectionId,
    pub(crate) scopes: Vec<String>,
    pub(crate) return_url: Option<String>,
    /// For the program, which got it with the question.
    pub(crate) state: Secret<String>,
}

impl Answer {
    /// Where the person's browser goes from here, and what it tells the program there.
    pub(crate) fn way_back(&self, error: Option<&str>) -> Option<String> {
        let url = ReturnUrl::parse(self.return_url.as_deref()?).ok()?;
        let status = if error.is_some() { "error" } else { "success" };
        let provider = self.connection.provider().as_str();
        let mut pairs = vec![("status", status), ("connection_id", self.id.as_str()), ("provider", provider)];
        pairs.push(("state", self.state.expose()));
        pairs.extend(error.map(|error| ("error", error)));
        Some(url.with(&pairs))
    }
}

/// The questions of one home, which has one gateway. All calls may block on the disk.
pub(crate) struct Pending {
    file: PathBuf,
    key: DataKey,
    /// As the file has them; `None` where it is to be read again.
    flows: Mutex<Option<Vec<Flow>>>,
    alone: Lock,
}

impl Pending {
    /// Those of `file`. What was being acted on when the last gateway ended has failed: its code may be spent.
    ///
    /// # Errors
    /// As [`PendingError`] says; the file stays as it is.
    pub(crate) fn open(file: PathBuf, key: DataKey) -> Result<Self, PendingError> {
        let alone = Lock::try_acquire(&file)?.ok_or_else(|| PendingError::InUse(file.clone()))?;
        let pending = Self { file, key, flows: Mutex::new(None), alone };
        if pending.look(|flows| flows.iter().any(Flow::is_taken))? {
            pending.change(|flows| {
                flows.iter_mut().filter(|flow| flow.is_taken()).for_each(|flow| flow.fail(Ending::Failed));
                Ok(())
            })?;
        }
        Ok(pending)
    }

    /// Keeps `flow`, made for `wanted`, unless the same is waited for already. Where the same program wants the same connection otherwise
    /// than before, that question is over.
    ///
    /// # Errors
    /// As [`PendingError`] says; then nothing was kept.
    pub(crate) fn begin(&self, wanted: &Wanted, flow: Flow, now: SystemTime) -> Result<Begun, PendingError> {
        let same = |own: &&Flow| own.waits(now) && own.is_for(wanted);
        if let Some(shown) = self.look(|flows| flows.iter().find(same).map(Shown::of))? {
            return Ok(Begun::Already(shown));
        }
        self.change(|flows| {
            if let Some(same) = flows.iter().find(same) {
                return Ok(Begun::Already(Shown::of(same)));
            }
            make_room(flows, wanted, now)?;
            for replaced in flows.iter_mut().filter(|own| own.waits(now) && own.is_about(wanted)) {
                replaced.fail(Ending::Withdrawn);
            }
            let shown = Shown::of(&flow);
            flows.push(flow);
            Ok(Begun::Now(shown))
        })
    }

    /// How the question called `id` stands, and for which connection; `None` where there is none.
    ///
    /// # Errors
    /// As [`PendingError`] says.
    pub(crate) fn standing(&self, id: &GatewayId, now: SystemTime) -> Result<Option<(Standing, ConnectionId)>, PendingError> {
        self.look(|flows| {
            let flow = flows.iter().find(|flow| flow.id == *id && !flow.is_over(now))?;
            let standing = flow.ending(now).map_or(Standing::Pending, Standing::Failed);
            Some((standing, flow.connection.clone()))
        })
    }

    /// Whether `asker` began the question called `id`.
    ///
    /// # Errors
    /// As [`PendingError`] says.
    pub(crate) fn is_of(&self, asker: &str, id: &GatewayId) -> Result<bool, PendingError> {
        self.look(|flows| flows.iter().any(|flow| flow.id == *id && flow.asker == asker))
    }

    /// The name of the person whom `number` means, where that person is being asked.
    ///
    /// # Errors
    /// As [`PendingError`] says.
    pub(crate) fn named(&self, number: &UserName, now: SystemTime) -> Result<Option<UserName>, PendingError> {
        let means = |user: &&UserName| !user.looks_like_a_number() && user.is(number);
        self.look(|flows| {
            flows.iter().filter(|flow| flow.waits(now)).filter_map(|flow| flow.connection.user()).find(means).cloned()
        })
    }

    /// Reads what came to `redirect`. An answer is its question's end, on disk before anybody acts on it.
    ///
    /// # Errors
    /// As [`PendingError`] says; then it was not heard.
    pub(crate) fn hear(&self, redirect: &str, query: &str, now: SystemTime) -> Result<Answered, PendingError> {
        let Some(state) = answered_state(query) else { return Ok(Answered::Unknown) };
        // Strangers' guesses cost no more than this.
        if self.look(|flows| flows.iter().filter(|flow| flow.waits_for(&state, now)).count())? == 0 {
            return Ok(Answered::Unknown);
        }
        self.change(|flows| {
            let Some(flow) = waiting_for(flows, &state, now) else { return Ok(Answered::Unknown) };
            let waiting = match flow.take(now) {
                Step::Consent(waiting) => waiting,
                step => {
                    flow.step = step;
                    return Ok(Answered::Unknown);
                }
            };
            Ok(match waiting.hear(redirect, query) {
                Heard::Strange(waiting, why) => {
                    flow.step = Step::Consent(waiting);
                    Answered::Strange(why)
                }
                Heard::Answer(code) => {
                    match &code {
                        Ok(_code) => {}
                        Err(error) if error.is_a_no() => flow.fail(Ending::Denied),
                        Err(_) => flow.fail(Ending::Failed),
                    }
                    Answered::Flow(Box::new(answer(flow, &state)), Box::new(code))
                }
            })
        })
    }

    /// The form that `state` belongs to, if it waits to be filled in.
    ///
    /// # Errors
    /// As [`PendingError`] says.
    pub(crate) fn form(&self, state: &Secret<String>, now: SystemTime) -> Result<Option<Answer>, PendingError> {
        self.look(|flows| flows.iter().rfind(|flow| flow.is_form_for(state, now)).map(|flow| answer(flow, state)))
    }

    /// Takes the form that `state` belongs to: nobody else can.
    ///
    /// # Errors
    /// As [`PendingError`] says; then it was not taken.
    pub(crate) fn take_form(&self, state: &Secret<String>, now: SystemTime) -> Result<Option<Answer>, PendingError> {
        self.change(|flows| {
            let Some(flow) = flows.iter_mut().rfind(|flow| flow.is_form_for(state, now)) else { return Ok(None) };
            flow.take(now);
            Ok(Some(answer(flow, state)))
        })
    }

    /// Gives a form back that was taken, and of which nothing was stored.
    ///
    /// # Errors
    /// As [`PendingError`] says.
    pub(crate) fn give_back(&self, answer: &Answer) -> Result<(), PendingError> {
        self.with(&answer.id, |flow| flow.step = Step::Form(answer.state.duplicate()))
    }

    /// Says that nothing came of the question called `id`, and why.
    ///
    /// # Errors
    /// As [`PendingError`] says.
    pub(crate) fn fail(&self, id: &GatewayId, why: Ending) -> Result<(), PendingError> {
        self.with(id, |flow| flow.fail(why))
    }

    /// Forgets the question called `id`: the connection is there, and is called so itself.
    ///
    /// # Errors
    /// As [`PendingError`] says.
    pub(crate) fn finish(&self, id: &GatewayId) -> Result<(), PendingError> {
        self.change(|flows| {
            flows.retain(|flow| flow.id != *id);
            Ok(())
        })
    }

    fn with(&self, id: &GatewayId, work: impl FnOnce(&mut Flow)) -> Result<(), PendingError> {
        self.change(|flows| {
            if let Some(flow) = flows.iter_mut().find(|flow| flow.id == *id) {
                work(flow);
            }
            Ok(())
        })
    }

    /// Finds something in them.
    fn look<T>(&self, find: impl FnOnce(&[Flow]) -> T) -> Result<T, PendingError> {
        let mut known = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(self.fetch()?);
        }
        Ok(find(known.as_deref().unwrap_or_default()))
    }

    /// Changes them on disk. What `work` refuses it has not begun; what can't be written has not happened.
    fn change<T>(&self, work: impl FnOnce(&mut Vec<Flow>) -> Result<T, PendingError>) -> Result<T, PendingError> {
        let mut known = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut flows = match known.take() {
            Some(flows) => flows,
            None => self.fetch()?,
        };
        let done = work(&mut flows);
        if done.is_ok() {
            self.write(&flows)?;
        }
        *known = Some(flows);
        done
    }

    fn fetch(&self) -> Result<Vec<Flow>, PendingError> {
        let Some(sealed) = disk::read_private(&self.file, MAX_LEN)? else { return Ok(Vec::new()) };
        let text = seal::open(&self.key, &sealed).map_err(|cause| PendingError::Sealed(self.file.clone(), cause))?;
        serde_json::from_slice(&text).ok().ok_or_else(|| PendingError::Unreadable(self.file.clone()))
    }

    fn write(&self, flows: &[Flow]) -> Result<(), PendingError> {
        let mut text = Zeroizing::new(Vec::with_capacity(flows.len().saturating_add(1).saturating_mul(ROOM)));
        let written = serde_json::to_writer(&mut *text, flows);
        // Without its cause, whose message may quote a secret.
        written.ok().ok_or_else(|| PendingError::Unreadable(self.file.clone()))?;
        let sealed = seal::seal(&self.key, &text).map_err(|cause| PendingError::Sealed(self.file.clone(), cause))?;
        // What can't be read again would be the end of all of them.
        if u64::try_from(sealed.len()).is_ok_and(|len| len > MAX_LEN) {
            return Err(PendingError::Full);
        }
        disk::remove_leftovers(&self.file, &self.alone)?;
        Ok(disk::write_atomic(&self.file, sealed.as_bytes(), disk::PRIVATE)?)
    }
}

/// Drops what nobody needs any more; of too many, those that failed, which wait for nobody.
fn make_room(flows: &mut Vec<Flow>, wanted: &Wanted, now: SystemTime) -> Result<(), PendingError> {
    let needed = flows.iter().filter(|flow| !flow.is_over(now) && !flow.has_failed(now)).count();
    let own = flows.iter().filter(|own| own.asker == wanted.asker && own.waits(now)).count();
    if needed >= FLOWS || own >= OF_ONE {
        return Err(PendingError::Full);
    }
    flows.retain(|flow| !flow.is_over(now));
    if flows.len() >= FLOWS {
        flows.retain(|flow| !flow.has_failed(now));
    }
    Ok(())
}

/// All are compared, each in constant time.
fn waiting_for<'a>(flows: &'a mut [Flow], state: &Secret<String>, now: SystemTime) -> Option<&'a mut Flow> {
    flows.iter_mut().filter(|flow| flow.waits_for(state, now)).last()
}

fn answer(flow: &Flow, state: &Secret<String>) -> Answer {
    Answer {
        id: flow.id.clone(),
        asker: flow.asker.clone(),
        connection: flow.connection.clone(),
        scopes: flow.scopes.clone(),
        return_url: flow.return_url.clone(),
        state: state.duplicate(),
    }
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
