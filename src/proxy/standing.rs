//! Programs that don't wait for a person's word: what they are answered, and what they are told of their question when they come back.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::body::ResponseBody;
use super::exchange::Stop;
use crate::approval::{Approved, Shown, State};
use crate::audit::{Entry, Verdict};

/// RFC 7240 §3.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// So that no program takes our 202 for the service's.
const NEXUS_APPROVAL: HeaderName = HeaderName::from_static("nexus-approval");

/// RFC 7240 §4.1: the caller would rather come back.
pub(super) fn prefers_async(headers: &HeaderMap) -> bool {
    let wants = |preference: &[u8]| {
        let name = preference.split(|byte| matches!(byte, b';' | b'=')).next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"respond-async")
    };
    headers.get_all("prefer").iter().any(|value| value.as_bytes().split(|byte| *byte == b',').any(wants))
}

/// 202: a person is asked, and the caller comes back for the answer.
pub(super) async fn accepted(shown: &Shown, entry: &mut Entry) -> Result<Approved, Stop> {
    let text = format!("{}\n", standing(shown));
    entry.verdict(Verdict::Answer);
    entry.note("approval_asked");
    entry.status(StatusCode::ACCEPTED.as_u16());
    entry.received(text.len() as u64);
    entry.open().await?;
    let mut response = Response::new(ResponseBody::full(text));
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("respond-async"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    for (name, value) in [(LOCATION, status_url(shown)), (NEXUS_APPROVAL, shown.id.clone())] {
        headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
    }
    Err(Stop::Answered(Box::new(response)))
}

fn status_url(shown: &Shown) -> String {
    format!("http://nexus.internal/approvals/{}", shown.id)
}

/// What the program that asked is told of its question: how it stands and what to do, and not who answers.
pub(super) fn standing(shown: &Shown) -> Value {
    let waits = shown.status == State::Waiting;
    json!({
        "id": shown.id,
        "status": shown.status,
        "title": shown.title,
        "rule": shown.rule,
        "detail": detail(shown.status, shown.respond_async),
        "expires_at": waits.then_some(&shown.expires_at),
        "allowed_until": shown.allowed_until,
        "status_url": status_url(shown),
    })
}

/// A request that is held (`away` is false) needs nothing more of its program than to wait.
fn detail(state: State, away: bool) -> &'static str {
    match (state, away) {
        (State::Waiting, true) => {
            "A person is asked. Look here again in a few seconds; once it is allowed, send the same request again."
        }
        (State::Waiting, false) => {
            "A person is asked. The request is held, and goes on by itself once it is allowed: keep waiting."
        }
        (State::Allowed, true) => {
            "A person said yes: send the same request again now, before `allowed_until`. It goes on if nothing in it was changed."
        }
        (State::Allowed, false) => "A person said yes, and the request went on.",
        (State::Denied, _) => "A person said no. Do not send it again.",
        (State::TimedOut, _) => "Nobody answered in time. Tell the operator before you send it again.",
        (State::Left, true) => {
            "A person said yes, and it was not sent again in time. Send it anew, and a person is asked anew."
        }
        (State::Left, false) => {
            "Its caller hung up before a person had answered, so nothing of it went on. Send it anew and wait longer, or with `Prefer: respond-async`."
        }
        (State::Used, _) => "It was sent again, and went on.",
    }
}
