//! Whether an answer says that its credential is dead: by its head, or by the beginning of its body.

use std::collections::VecDeque;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::body::Peeked;
use super::replay::RequestBody;
use crate::broker::Permit;
use crate::provider::{Judgement, LOOKED_AT};
use crate::upstream::Sent;

/// An answer whose body takes longer to begin goes to the caller as it comes.
const PATIENCE: Duration = Duration::from_secs(2);

/// A service's answer, and what was read of its body.
pub(super) struct Judged {
    pub(super) sent: Box<Sent<RequestBody>>,
    pub(super) peeked: Peeked,
    /// Whether the credential is dead.
    pub(super) expired: bool,
}

/// Whether the head of an answer says that the credential of `permit` lives.
pub(super) fn is_alive(sent: &Sent<RequestBody>, permit: &Permit) -> bool {
    let signals = &permit.provider().signals;
    signals.judge(sent.response.status(), sent.response.headers(), None) == Judgement::Alive
}

impl Judged {
    /// Of a request without a credential.
    pub(super) fn unjudged(sent: Box<Sent<RequestBody>>) -> Self {
        Self { sent, peeked: VecDeque::new(), expired: false }
    }

    /// Of a request that was sent with the credential of `permit`.
    pub(super) async fn of(sent: Box<Sent<RequestBody>>, permit: &Permit) -> Self {
        let mut judged = Self::unjudged(sent);
        let (status, signals) = (judged.sent.response.status(), &permit.provider().signals);
        match signals.judge(status, judged.sent.response.headers(), None) {
            Judgement::Alive => {}
            Judgement::Expired => judged.expired = true,
            Judgement::Look => {
                let beginning = Box::pin(judged.peek()).await;
                let judgement = signals.judge(status, judged.sent.response.headers(), Some(&beginning));
                judged.expired = judgement == Judgement::Expired;
            }
        }
        judged
    }

    /// The first bytes of the body. A stream of events is not waited for.
    async fn peek(&mut self) -> Vec<u8> {
        let response = &mut self.sent.response;
        let events = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let mut beginning = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        let body = response.body_mut();
        while !events && !self.sent.bodiless && beginning.len() < LOOKED_AT && !body.is_end_stream() {
            let Ok(Some(frame)) = timeout_at(deadline, body.frame()).await else { break };
            let data = frame.as_ref().ok().and_then(|frame| frame.data_ref());
            beginning.extend(data.iter().flat_map(|data| data.iter()).take(LOOKED_AT - beginning.len()));
            let last = data.is_none();
            self.peeked.push_back(frame);
            if last {
                break;
            }
        }
        beginning
    }
}
