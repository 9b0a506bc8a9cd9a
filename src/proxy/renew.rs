//! Step 7 of the request path: whether an answer is the last word, and what follows where it is not.

use std::rc::Rc;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::choose::reaches;
use super::exchange::Way;
use super::forward::Sending;
use super::judge::{Judged, is_alive};
use super::refusal::Refusal;
use super::replay::RequestBody;
use super::worker::Worker;
use crate::audit::Entry;
use crate::broker::{Permit, Renewal, Why};
use crate::provider::ReplayRule;
use crate::upstream::Sent;

/// In the log, where the answer to a 401 is a person's.
const ATTENTION: &str = "attention";

/// Whether `sent` is the caller's answer as its head stands: no 401, and nothing that its credential's service may say instead.
pub(super) fn is_final(sent: &Sent<RequestBody>, way: &Way) -> bool {
    sent.response.status() != StatusCode::UNAUTHORIZED && way.permit().is_none_or(|permit| is_alive(sent, permit))
}

impl Worker {
    /// For an answer that may not be the last word.
    pub(super) async fn judge_and_renew(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        way: Way,
        (sent, sent_at): (Box<Sent<RequestBody>>, Instant),
        entry: &mut Entry,
    ) -> Result<(Judged, Option<Permit>), Refusal> {
        let refused = sent.response.status() == StatusCode::UNAUTHORIZED;
        match way {
            Way::Unregistered(provider, wanted) if refused => Err(self.unregistered(&provider, sending.agent, wanted)),
            Way::Plain | Way::Stripped(_) | Way::Unregistered(..) => Ok((Judged::unjudged(sent), None)),
            Way::Permitted(permit, _) => {
                if refused && permit.prepared().challenged(sent.response.headers(), sending.signed.get()) {
                    return self.answer_challenge(sending, permit, sent, entry).await;
                }
                let judged = Judged::of(sent, &permit).await;
                if judged.expired {
                    return self.renew_and_replay(sending, permit, (judged, sent_at), entry).await;
                }
                if !refused {
                    permit.answered(judged.sent.response.status(), sent_at);
                }
                Ok((judged, Some(permit)))
            }
        }
    }

    /// The service has said what it wants the request to be signed with (RFC 7616 §3.3): that is the one second send.
    async fn answer_challenge(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        permit: Permit,
        sent: Box<Sent<RequestBody>>,
        entry: &mut Entry,
    ) -> Result<(Judged, Option<Permit>), Refusal> {
        let stops = match () {
            () if !reaches(&permit, &sending.outbound.target) => Some("not_sealed"),
            () if !self.proxy.still_known(sending.agent) => Some("agent_revoked"),
            () if !sending.replay.repeatable() => Some("not_replayable"),
            () => None,
        };
        if let Some(why) = stops {
            entry.note(why);
            return Ok((Judged::unjudged(sent), Some(permit)));
        }
        drain(sent, sending.replay.sent());
        entry.note("challenged");
        let sent_at = Instant::now();
        let sent = self.forward(sending, Some(&permit)).await?;
        if sent.response.status() != StatusCode::UNAUTHORIZED {
            permit.answered(sent.response.status(), sent_at);
        }
        Ok((Judged::unjudged(sent), Some(permit)))
    }

    /// After a 401 or what this service says instead: a fresh permit and the one second send, or the answer as it is. Where a person has to
    /// act first, it is the refusal that says how.
    async fn renew_and_replay(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        permit: Permit,
        (judged, sent_at): (Judged, Instant),
        entry: &mut Entry,
    ) -> Result<(Judged, Option<Permit>), Refusal> {
        let fresh = match permit.renew(sent_at).await {
            Renewal::Fresh(fresh) => fresh,
            Renewal::Keep(why) => {
                entry.note(why.word());
                return Ok((judged, Some(permit)));
            }
            Renewal::Doubtful(why) => {
                entry.note(why.word());
                self.note_doubt(&permit, &why, sending.agent, entry);
                return Ok((judged, Some(permit)));
            }
            Renewal::Dead(error) => {
                entry.note(ATTENTION);
                drain(judged.sent, sending.replay.sent());
                return Err(self.no_permit((permit.provider(), sending.agent), permit.connection(), error, entry));
            }
        };
        entry.note("renewed");
        // While the service's answer was on its way, another tenant's account may have been registered, or the agent revoked.
        let stops = match () {
            () if !reaches(&fresh, &sending.outbound.target) => Some("not_sealed"),
            () if !self.proxy.still_known(sending.agent) => Some("agent_revoked"),
            () => None,
        };
        if let Some(why) = stops {
            entry.note(why);
            return Ok((judged, Some(permit)));
        }
        if !may_replay(&fresh, &sending.outbound.target.method) || !sending.replay.repeatable() {
            entry.note("not_replayable");
            return Ok((judged, Some(permit)));
        }
        drain(judged.sent, sending.replay.sent());
        Ok((self.replay(sending, &fresh, entry).await?, Some(fresh)))
    }

    /// The second send, which is the last one whatever comes of it.
    async fn replay(self: &Rc<Self>, sending: &Sending<'_>, fresh: &Permit, entry: &mut Entry) -> Result<Judged, Refusal> {
        entry.note("replayed");
        let sent_at = Instant::now();
        let judged = Judged::of(self.forward(sending, Some(fresh)).await?, fresh).await;
        let status = judged.sent.response.status();
        if !judged.expired && status != StatusCode::UNAUTHORIZED {
            fresh.answered(status, sent_at);
        } else if let Renewal::Doubtful(why) = fresh.doubt(sent_at, Why::NotOurs) {
            self.note_doubt(fresh, &why, sending.agent, entry);
        }
        Ok(judged)
    }
}

fn may_replay(permit: &Permit, method: &Method) -> bool {
    match permit.provider().inject.get(permit.rule()).map(|rule| rule.replay) {
        Some(ReplayRule::All) => true,
        Some(ReplayRule::Safe) => method.is_safe(),
        Some(ReplayRule::Never) | None => false,
    }
}

/// Reads a refused answer's short body away, so that its connection can be used again, if the request was `whole` on it.
fn drain(sent: Box<Sent<RequestBody>>, whole: bool) {
    if !whole {
        return;
    }
    use http_body_util::{BodyExt as _, Limited};
    const LIMIT: usize = 64 * 1024;
    let (body, mut lease) = (sent.response.into_body(), sent.lease);
    tokio::task::spawn_local(async move {
        let reading = Limited::new(body, LIMIT).collect();
        if let Ok(Ok(_bytes)) = tokio::time::timeout(std::time::Duration::from_secs(5), reading).await {
            lease.release();
        }
    });
}
