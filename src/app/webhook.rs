//! The webhook that is told what needs a person: signed as Standard Webhooks 1.0.0 has it, tried a few times, never waited for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::config::Config;
use super::endpoint::{Call, call};
use super::home::Home;
use super::parts::BuildError;
use super::settings;
use crate::attention::{Attention, Key, Notice};
use crate::upstream::Dialler;

/// How often one notice is sent, at most.
const TRIES: u32 = 6;
/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause after the first try that failed; it is doubled after each.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, whatever the receiver asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Where notices go, and what they are signed with.
#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) key: Arc<Key>,
}

/// Notices that somebody is to be told of.
pub(super) struct Outbox {
    pub(super) webhook: Webhook,
    notices: mpsc::Receiver<Notice>,
}

/// The list of what needs a person, and what tells of it.
pub(super) fn prepare(home: &Home, config: &Config) -> Result<(Arc<Attention>, Option<Outbox>), BuildError> {
    let webhook = settings::webhook(home, config)?;
    let (attention, notices) = Attention::new(settings::attention(config));
    Ok((attention, webhook.map(|webhook| Outbox { webhook, notices })))
}

/// Why a try failed, and how long the receiver wants to be left alone.
struct Failed {
    why: String,
    pause: Option<Duration>,
}

impl Failed {
    fn because(why: impl fmt::Display) -> Self {
        Self { why: why.to_string(), pause: None }
    }
}

/// Sends notices one after the other, until the proxy stops.
pub(super) async fn deliver(
    mut outbox: Outbox,
    dialler: Arc<Dialler>,
    attention: Arc<Attention>,
    mut stopping: watch::Receiver<bool>,
) {
    let work = async {
        while let Some(notice) = outbox.notices.recv().await {
            send(&outbox.webhook, &dialler, &attention, &notice).await;
        }
    };
    tokio::select! {
        () = work => {}
        _stopped = stopping.wait_for(|stopping| *stopping) => {}
    }
}

/// Sends one notice until it is taken, or given up.
async fn send(webhook: &Webhook, dialler: &Dialler, attention: &Attention, notice: &Notice) {
    let mut pause = PAUSE;
    for number in 1..=TRIES {
        let failed = match timeout(PATIENCE, post(webhook, dialler, notice)).await {
            Ok(Ok(())) => return attention.delivery.delivered(),
            Ok(Err(failed)) => failed,
            Err(_elapsed) => Failed::because("it did not answer in time"),
        };
        let last = number == TRIES;
        attention.delivery.failed(&failed.why, last);
        if last {
            return tracing::warn!(notice = notice.id, error = failed.why, "the webhook did not take a notice; it is given up");
        }
        tracing::debug!(notice = notice.id, error = failed.why, "the webhook did not take a notice yet");
        sleep(failed.pause.unwrap_or(pause).clamp(pause, LONGEST_PAUSE)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// One try. What is taken is answered with 2xx; a redirect is not followed.
async fn post(webhook: &Webhook, dialler: &Dialler, notice: &Notice) -> Result<(), Failed> {
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let text = |text: &str| HeaderValue::from_str(text).map_err(Failed::because);
    let headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (USER_AGENT, HeaderValue::from_static("nexus-webhook/1")),
        (ID, text(&notice.id)?),
        (TIMESTAMP, HeaderValue::from(timestamp)),
        (SIGNATURE, text(&webhook.key.sign(notice, timestamp))?),
    ];
    let body = Bytes::from(notice.body.clone());
    let answer = call(dialler, Call { method: Method::POST, url: &webhook.url, headers, body, on_loopback: false }).await;
    let answer = answer.map_err(|error| Failed::because(with_causes(&*error)))?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(Failed { why: format!("it answered {}", answer.status()), pause: retry_after(answer.headers()) })
}

/// RFC 9110 §10.2.3, in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
