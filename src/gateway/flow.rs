//! `Flow`: a connection that a program asked for, from then until a person answered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::consent::Waiting;
use crate::model::{ConnectionId, GatewayId, Secret, UserName, to_be_sealed};

/// How long a person has to answer, and how long the end of it is remembered.
pub(super) const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// How long an answer may be acted on: several times what a token endpoint may take.
pub(super) const ACTION: Duration = Duration::from_secs(5 * 60);

/// A connection that a program asked for. Its file is sealed: with what is in it, its answer could be taken by another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// What the program calls it, and the connection from when it is there.
    #[serde(with = "as_text")]
    pub(crate) id: GatewayId,
    /// The key that asked.
    pub(crate) asker: String,
    /// What is to come of it.
    #[serde(with = "as_text")]
    pub(crate) connection: ConnectionId,
    /// What it is to be good for, as the program said.
    pub(crate) scopes: Vec<String>,
    /// Where the person's browser goes in the end.
    pub(crate) return_url: Option<String>,
    /// The page where the person answers.
    #[serde(with = "to_be_sealed")]
    pub(crate) page: Secret<String>,
    /// When the answer is too late, in seconds since 1970.
    ends: u64,
    /// When nothing comes of an answer any more that is acted on, in seconds since 1970.
    #[serde(default)]
    acted_on_until: u64,
    pub(super) step: Step,
    /// It is handed to nobody who asks for the same.
    #[serde(default)]
    exclusive: bool,
    /// Why nothing came of it, where it failed.
    #[serde(default)]
    pub(super) why: Ending,
}

/// Why nothing came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// The person, or who decides for them, said no.
    Denied,
    /// Nobody answered in time.
    Late,
    /// Who asked took it back, or asked otherwise.
    Withdrawn,
    /// It went wrong.
    #[default]
    Failed,
}

impl Ending {
    /// A word for programs; the first is that of RFC 6749 §4.1.2.1.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Denied => "access_denied",
            Self::Late => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Failed => "connection_failed",
        }
    }
}

/// How far it has come.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// A person is at the service's page.
    Consent(Waiting),
    /// A person is at ours.
    Form(#[serde(with = "to_be_sealed")] Secret<String>),
    /// The answer came and is acted on. It can't be answered again, whatever becomes of that.
    Taken,
    /// Nothing came of it.
    Failed,
}

impl Flow {
    /// A new one, which `step` waits for.
    pub(super) fn new(wanted: &Wanted, page: Secret<String>, step: Step, now: SystemTime) -> Self {
        Self {
            id: wanted.id.clone(),
            asker: wanted.asker.clone(),
            connection: wanted.connection.clone(),
            scopes: wanted.scopes.clone(),
            return_url: wanted.return_url.clone(),
            page,
            ends: seconds(now + PATIENCE),
            acted_on_until: 0,
            step,
            exclusive: wanted.exclusive,
            why: Ending::default(),
        }
    }

    /// What its answer must bring along; `None` where none is waited for.
    pub(crate) fn state(&self) -> Option<&Secret<String>> {
        match &self.step {
            Step::Consent(waiting) => Some(waiting.state()),
            Step::Form(state) => Some(state),
            Step::Taken | Step::Failed => None,
        }
    }

    /// Whether a person can still answer.
    pub(crate) fn waits(&self, now: SystemTime) -> bool {
        self.state().is_some() && seconds(now) < self.ends
    }

    /// Whether nothing came of it, and nothing will.
    pub(crate) fn has_failed(&self, now: SystemTime) -> bool {
        self.ending(now).is_some()
    }

    /// Why nothing came of it, and nothing will; `None` while something may.
    pub(crate) fn ending(&self, now: SystemTime) -> Option<Ending> {
        match self.step {
            Step::Failed => Some(self.why),
            Step::Taken => (seconds(now) >= self.acted_on_until).then_some(Ending::Failed),
            Step::Consent(_) | Step::Form(_) => (seconds(now) >= self.ends).then_some(Ending::Late),
        }
    }

    /// Nothing came of it; the first reason for that stands.
    pub(super) fn fail(&mut self, why: Ending) {
        if !matches!(self.step, Step::Failed) {
            (self.step, self.why) = (Step::Failed, why);
        }
    }

    /// Whether nobody needs to know of it any more.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        seconds(now) >= self.ends.saturating_add(PATIENCE.as_secs())
    }

    /// Takes what it waited for: from now on its answer is acted on, for a while.
    pub(super) fn take(&mut self, now: SystemTime) -> Step {
        self.acted_on_until = seconds(now + ACTION);
        std::mem::replace(&mut self.step, Step::Taken)
    }

    /// Whether its answer is acted on.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.step, Step::Taken)
    }

    /// Whether an answer with `state` is one to it.
    pub(super) fn waits_for(&self, state: &Secret<String>, now: SystemTime) -> bool {
        self.waits(now) && self.state().is_some_and(|own| own.same(state))
    }

    /// Whether it is a form that `state` opens.
    pub(super) fn is_form_for(&self, state: &Secret<String>, now: SystemTime) -> bool {
        matches!(self.step, Step::Form(_)) && self.waits_for(state, now)
    }

    /// Whether `wanted` asks for the same in every respect.
    pub(super) fn is_for(&self, wanted: &Wanted) -> bool {
        self.is_about(wanted) && self.scopes == wanted.scopes && self.return_url == wanted.return_url
    }

    /// Whether `wanted` would have the same connection for the same program, its person by name or by number. Of programs that share a name
    /// no other has anything to do with a question that is exclusive.
    pub(super) fn is_about(&self, wanted: &Wanted) -> bool {
        let (own, other) = (&self.connection, &wanted.connection);
        let same = own.provider() == other.provider() && UserName::same(own.user(), other.user());
        same && self.asker == wanted.asker && !self.exclusive && !wanted.exclusive
    }
}

/// What a program asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What it is to be called.
    pub(crate) id: GatewayId,
    /// The key that asks.
    pub(crate) asker: String,
    /// What is to come of it.
    pub(crate) connection: ConnectionId,
    /// What it is to be good for.
    pub(crate) scopes: Vec<String>,
    /// Where the person's browser goes in the end.
    pub(crate) return_url: Option<String>,
    /// Whether it is to be handed to nobody else who asks for the same.
    pub(crate) exclusive: bool,
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A name as its text.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
