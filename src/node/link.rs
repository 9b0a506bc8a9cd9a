//! The link: one stream from the gateway, begun again with growing pauses whenever it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::door::{Door, Opened, refused};
use super::error::Error;
use super::held::{First, Held};
use crate::loan::{Change, Lines, Malformed, read};
use crate::model::ConnectionId;
use crate::vault::Entry;

/// Where a gateway tells its connections.
const STREAM: &str = "/v1/node/stream";

/// Where it ends when it has told them.
const ONCE: &str = "/v1/node/stream?once=true";

/// From the request to the head of the answer, and from there to the first line.
const HEAD: Duration = Duration::from_secs(10);

/// So many heartbeats may be missed.
const MISSED: u32 = 3;

/// The pause after the first failure; doubles with each in a row.
const PAUSE: Duration = Duration::from_millis(250);

/// The most that it doubles to.
const LONGEST: Duration = Duration::from_secs(15);

/// The most of a refusal that is read.
const REFUSAL: usize = 64 * 1024;

/// Copies that are taken in one round.
const MOST: usize = 100_000;

/// Keeps what `held` holds as the gateway has it, for as long as it is polled.
pub(crate) async fn keep_up(held: Arc<Held>) {
    let mut failures = 0;
    let mut told_last = String::new();
    loop {
        let mut round = Round::new(&held);
        let Err(error) = round.run().await;
        if round.synced {
            (failures, told_last) = (0, String::new());
        }
        let text = told(&error);
        if text != told_last {
            let advice = error.advice();
            // A gateway that answers is not away: nothing outlives a no.
            let grace_secs = if error.is_a_denial() { 0 } else { held.settings.grace.as_secs() };
            tracing::warn!(gateway = %held.settings.url, error = %text, advice, grace_secs, "the link to the gateway is down");
            told_last.clone_from(&text);
        }
        if error.is_a_denial() {
            held.denied();
        }
        held.lost(text);
        tokio::time::sleep(pause(failures, error.is_a_mistake())).await;
        if error.is_a_denial() {
            // A person may have put another one there.
            let held = Arc::clone(&held);
            drop(tokio::task::spawn_blocking(move || held.door.read_key_again()).await);
        }
        failures += 1;
    }
}

/// An error and its causes in one line.
pub(crate) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What the gateway lends at this moment.
///
/// # Errors
/// As [`Error`] says.
pub(crate) async fn look_once(door: &Door) -> Result<BTreeMap<ConnectionId, Arc<Entry>>, Error> {
    let opened = door.open(Method::GET, ONCE, None).await?;
    if !opened.response.status().is_success() {
        return Err(why(opened).await);
    }
    let Opened { response, driver: _driver } = opened;
    let (mut body, mut lines) = (response.into_body(), Lines::default());
    let (mut told, mut synced) = (BTreeMap::new(), false);
    while let Some(frame) = body.frame().await {
        let piece = frame?.into_data().unwrap_or_default();
        lines.push(&piece, |line| {
            match read(line)? {
                Change::Put(..) if told.len() >= MOST => return Err(Error::Long),
                Change::Put(id, entry) => drop(told.insert(id, Arc::from(entry))),
                Change::Synced => synced = true,
                Change::Hello(_) | Change::Gone(_) | Change::Alive => {}
            }
            Ok(())
        })?;
    }
    if synced { Ok(told) } else { Err(Error::Ended) }
}

/// Somewhere between half of it and all, so that the nodes of a gateway that starts again don't come in one moment.
fn pause(failures: u32, is_a_mistake: bool) -> Duration {
    let longest = PAUSE.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(LONGEST);
    let longest = if is_a_mistake { longest.max(PAUSE * 4) } else { longest };
    let share = getrandom::u32().map_or(512, |random| random % 512);
    longest / 2 + longest / 1024 * share
}

/// One stream, from its beginning to its end.
struct Round<'a> {
    held: &'a Held,
    /// What has been told before `synced`.
    told: BTreeMap<ConnectionId, Arc<Entry>>,
    heartbeat: Duration,
    synced: bool,
}

impl<'a> Round<'a> {
    fn new(held: &'a Held) -> Self {
        Self { held, told: BTreeMap::new(), heartbeat: HEAD, synced: false }
    }

    async fn run(&mut self) -> Result<std::convert::Infallible, Error> {
        let opened =
            timeout(HEAD, self.held.door.open(Method::GET, STREAM, None)).await.map_err(|_elapsed| Error::Silent)??;
        if !opened.response.status().is_success() {
            return Err(timeout(HEAD, why(opened)).await.unwrap_or(Error::Silent));
        }
        let Opened { response, driver: _driver } = opened;
        let mut body = response.into_body();
        let mut lines = Lines::default();
        loop {
            let piece = self.piece(&mut body).await?;
            lines.push(&piece, |line| self.take(line))?;
        }
    }

    async fn piece(&self, body: &mut Incoming) -> Result<bytes::Bytes, Error> {
        let frame = timeout(self.heartbeat * MISSED, body.frame()).await.map_err(|_elapsed| Error::Silent)?;
        let frame = frame.ok_or(Error::Ended)??;
        Ok(frame.into_data().unwrap_or_default())
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Error> {
        let change = match read(line) {
            Ok(change) => change,
            // One connection that a newer gateway writes otherwise is no reason to lose the others.
            Err(error @ (Malformed::Name(_) | Malformed::Entry(_))) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a connection of the gateway is left out");
                Change::Alive
            }
            Err(error) => return Err(error.into()),
        };
        match change {
            Change::Hello(hello) => {
                self.heartbeat = hello.heartbeat;
                self.held.apps.lend(hello.placeholders);
            }
            Change::Put(id, entry) if self.synced => self.held.put(id, Arc::from(entry)),
            Change::Put(id, entry) => {
                if self.told.len() >= MOST {
                    return Err(Error::Long);
                }
                self.told.insert(id, Arc::from(entry));
            }
            Change::Gone(id) if self.synced => self.held.remove(&id),
            Change::Gone(id) => drop(self.told.remove(&id)),
            Change::Synced => self.sync(),
            Change::Alive => {}
        }
        // Until everything has been told what we hold is what it was.
        if self.synced {
            self.held.pulse.beat();
        }
        Ok(())
    }

    fn sync(&mut self) {
        self.synced = true;
        self.held.pulse.beat();
        let connections = self.told.len();
        self.held.replace(std::mem::take(&mut self.told));
        self.held.first.send_replace(First::Heard);
        tracing::info!(gateway = %self.held.settings.url, connections, "took the gateway's connections");
    }
}

async fn why(opened: Opened) -> Error {
    let (head, body) = opened.response.into_parts();
    let body = http_body_util::Limited::new(body, REFUSAL).collect().await;
    refused(&head, &body.map(http_body_util::Collected::to_bytes).unwrap_or_default())
}
