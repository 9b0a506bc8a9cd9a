//! What a node asks its gateway, and what it tells it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Method;

use super::error::Error;
use super::held::{Copies, Held};
use crate::attention::Report;
use crate::broker::{Owner, Renewed, Vault as _};
use crate::loan::{self, Ask, Used};
use crate::model::ConnectionId;
use crate::oauth::{BoxFuture, Cause};
use crate::vault::Entry;

/// Where a gateway is asked for another credential.
const RENEW: &str = "/v1/node/renew";

/// Where it hears when its connections were used last, of so many at a time.
const USED: &str = "/v1/node/used";
const AT_ONCE: usize = 400;

/// Where it hears what was refused here for want of a credential.
const ATTENTION: &str = "/v1/node/attention";

impl Owner for Held {
    fn renew<'a>(&'a self, id: &'a ConnectionId, entry: &'a Entry, refused: bool) -> BoxFuture<'a, Result<Renewed, Cause>> {
        Box::pin(async move {
            let version = entry.lent.as_ref().map(|lent| lent.version.to_string()).unwrap_or_default();
            let ask = Ask { id: id.to_string(), version, refused };
            let asked = tokio::time::timeout(self.settings.answer, self.ask(&ask)).await;
            let retry_after = asked.unwrap_or(Err(Error::Silent)).map_err(|error| -> Cause { Arc::new(error) })?;
            Ok(Renewed { seen: self.entry(id)?, retry_after })
        })
    }
}

impl Held {
    /// Tells the gateway when its connections were used last, of those that it has not been told of since. What can't be told now is told
    /// the next time.
    pub(crate) async fn report(&self, latest: &[(ConnectionId, SystemTime)]) {
        let mut all = self.unreported(latest);
        while !all.is_empty() && !self.pulse.is_down() {
            let rest = all.split_off(all.len().min(AT_ONCE));
            let unix_secs = all.iter().map(|(id, at)| (id.to_string(), *at)).collect();
            let body = Bytes::from(serde_json::to_vec(&Used { unix_secs }).unwrap_or_default());
            let told = tokio::time::timeout(self.settings.answer, self.door.ask(Method::POST, USED, Some(body))).await;
            if let Err(error) = told.unwrap_or(Err(Error::Silent)) {
                return tracing::debug!(error = &error as &dyn std::error::Error, "the gateway does not hear what was used");
            }
            self.copies().reported.extend(all);
            all = rest;
        }
    }

    /// Tells the gateway what was refused here.
    ///
    /// # Errors
    /// As [`Error`] says; then it is to be told again.
    pub(crate) async fn tell_needs(&self, report: &Report) -> Result<(), Error> {
        let body = Bytes::from(serde_json::to_vec(report).unwrap_or_default());
        let told = tokio::time::timeout(self.settings.answer, self.door.ask(Method::POST, ATTENTION, Some(body))).await;
        told.unwrap_or(Err(Error::Silent)).map(drop)
    }

    fn unreported(&self, latest: &[(ConnectionId, SystemTime)]) -> Vec<(ConnectionId, u64)> {
        let mut copies = self.copies();
        let Copies { entries, reported, .. } = &mut *copies;
        reported.retain(|id, _| entries.contains_key(id));
        let seconds = |at: &SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let all = latest.iter().filter(|(id, _)| entries.contains_key(id)).map(|(id, at)| (id.clone(), seconds(at)));
        all.filter(|(id, at)| reported.get(id) != Some(at)).collect()
    }

    async fn ask(&self, ask: &Ask) -> Result<Option<Duration>, Error> {
        let body = Bytes::from(serde_json::to_vec(ask).unwrap_or_default());
        let answer = match self.door.ask(Method::POST, RENEW, Some(body)).await {
            Ok(text) => loan::read_answer(&text)?,
            Err(error) if error.is_missing() => {
                // It was removed there; the stream will say so too.
                ask.id.parse().iter().for_each(|id| self.remove(id));
                return Ok(None);
            }
            Err(error) => {
                if error.is_a_denial() {
                    self.denied();
                }
                return Err(error);
            }
        };
        if answer.id.as_str() == ask.id {
            self.put(answer.id, Arc::from(answer.entry));
        }
        Ok(answer.retry_after)
    }
}
