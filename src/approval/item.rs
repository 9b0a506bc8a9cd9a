//! `Item`: a question on the list, and what has become of it.

use std::sync::Arc;
use std::time::SystemTime;

use http::uri::PathAndQuery;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::fields::Field;
use super::question::{Body, Print, Question};
use super::waiting::Word;
use crate::attention::stamp;

/// How a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalState)]
pub(crate) enum State {
    /// Nobody has answered.
    Waiting,
    /// A person said yes.
    Allowed,
    /// A person said no.
    Denied,
    /// Nobody answered in time, which is a no.
    TimedOut,
    /// The program did not wait, or did not come back.
    Left,
    /// A person said yes, and the request has been sent again since.
    Used,
}

/// Who is to be told of the answer.
#[derive(Debug)]
pub(super) enum Asker {
    /// A request that waits.
    Held(oneshot::Sender<Word>),
    /// A program that will send the same request again: all of it but its body, and all of it.
    Away { head: Print, whole: Print },
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: Arc<str>,
    pub(super) question: Question,
    pub(super) asker: Option<Asker>,
    pub(super) away: bool,
    pub(super) state: State,
    /// Somebody is about to answer.
    pub(super) claimed: bool,
    pub(super) asked_at: SystemTime,
    pub(super) expires_at: SystemTime,
    /// Until when a yes holds that is for more than a request that waits.
    pub(super) allowed_until: Option<SystemTime>,
    /// When this state ends.
    pub(super) until: Instant,
    pub(super) settled_at: Option<SystemTime>,
    pub(super) by: Option<Arc<str>>,
    /// Of the word that a reply to the notice must show.
    pub(super) token: Option<[u8; 32]>,
}

impl Item {
    /// What is settled keeps nothing of the body or the query, and no word that would answer it. What was shown of the header stays: it
    /// says what was answered.
    pub(super) fn settle(&mut self, state: State, now: SystemTime) {
        (self.state, self.settled_at, self.token) = (state, Some(now), None);
        self.question.body.preview = None;
        self.question.target.path = PathAndQuery::from_static("/");
        if state != State::Allowed {
            (self.asker, self.allowed_until) = (None, None);
        }
    }

    /// Whether it takes one of the places that there are.
    pub(super) fn takes_room(&self) -> bool {
        self.state == State::Waiting || (self.state == State::Allowed && self.asker.is_some())
    }

    pub(super) fn shown(&self) -> Shown {
        let question = &self.question;
        let target = &question.target;
        Shown {
            id: self.id.to_string(),
            status: self.state,
            title: question.title(),
            agent: question.agent.name.to_string(),
            user: question.agent.user.as_ref().map(ToString::to_string),
            rule: question.rule.name().to_string(),
            summary: question.rule.summary().map(str::to_owned),
            method: target.method.to_string(),
            methods_beside: question.methods_beside(),
            host: target.authority.as_written(target.scheme),
            path: question.path.clone(),
            provider: question.provider.clone(),
            connection: question.connection.as_ref().map(ToString::to_string),
            fields: question.fields.shown.clone(),
            more_fields: question.fields.more,
            body: question.body.clone(),
            respond_async: self.away,
            asked_at: stamp(self.asked_at),
            expires_at: stamp(self.expires_at),
            allowed_until: self.allowed_until.map(stamp),
            by: self.by.as_ref().map(ToString::to_string),
            settled_at: self.settled_at.map(stamp),
        }
    }
}

/// A question as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalItem)]
pub(crate) struct Shown {
    /// The `request_id` of the request.
    pub(crate) id: String,
    /// `waiting`, `allowed`, `denied`, `timed_out`, `left` or `used`.
    pub(crate) status: State,
    /// Who wants what, in one line.
    pub(crate) title: String,
    /// Who asks.
    pub(crate) agent: String,
    /// For whom that agent acts.
    pub(crate) user: Option<String>,
    /// The rule that wants a person's word.
    pub(crate) rule: String,
    /// What such requests do, as that rule says it.
    pub(crate) summary: Option<String>,
    /// How.
    pub(crate) method: String,
    /// The methods that a parameter or the body puts in that one's place, for services that read it so; `other`: none of the usual ones,
    /// `any`: nobody has read all of the body.
    pub(crate) methods_beside: Vec<&'static str>,
    /// Where to.
    pub(crate) host: String,
    /// To what there; the query without its values.
    pub(crate) path: String,
    /// What the service is called.
    pub(crate) provider: Option<String>,
    /// The connection whose credential it would go with.
    pub(crate) connection: Option<String>,
    /// What its header says of what it does; at most 24 fields.
    pub(crate) fields: Vec<Field>,
    /// How many fields are not shown.
    pub(crate) more_fields: usize,
    /// What it carries.
    pub(crate) body: Body,
    /// The program did not wait: it will send the request again.
    pub(crate) respond_async: bool,
    /// RFC 3339.
    pub(crate) asked_at: String,
    /// When it is refused unless somebody says yes; RFC 3339.
    pub(crate) expires_at: String,
    /// Once it is allowed: until when its program may send it again, or until when requests like it go on; RFC 3339.
    pub(crate) allowed_until: Option<String>,
    /// Who answered.
    pub(crate) by: Option<String>,
    /// When it ended; RFC 3339.
    pub(crate) settled_at: Option<String>,
}
