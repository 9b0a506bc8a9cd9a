//! `Holding`: the requests that wait for a person's word, as one who watches is told of them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::sampling::Sampling;
use crate::approval::{Approvals, Held};
use crate::audit::{Happened, Watched};

/// What somebody was told to wait, and when that is to be looked at anew.
#[derive(Debug)]
pub(super) struct Holding {
    changes: watch::Receiver<u64>,
    /// By its id, since when: another rule may ask about the same request.
    told: HashMap<Arc<str>, SystemTime>,
}

impl Holding {
    /// Nothing was told yet of what `approvals` have.
    pub(super) fn new(approvals: &Approvals) -> Self {
        Self { changes: approvals.changes(), told: HashMap::new() }
    }

    /// Waits until something else is held.
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The events that tell what is `watched` of it and was not told before. Ends of it are told whatever the sample.
    pub(super) fn news(&mut self, approvals: &Approvals, watched: &Watched, sampling: &mut Sampling) -> String {
        self.changes.mark_unchanged();
        let held = approvals.held();
        let mut text = String::new();
        // Writing to a String doesn't fail.
        self.told.retain(|id, _| {
            let holds = held.iter().any(|one| one.id == *id);
            if !holds {
                write!(text, "event: released\ndata: {}\n\n", json!({ "id": **id })).unwrap_or_default();
            }
            holds
        });
        for one in held {
            if self.told.get(&one.id) == Some(&one.asked_at) {
                continue;
            }
            let happened = Happened::waiting(&one.id, words(&one));
            if watched.has(&happened) {
                write!(text, "event: held\ndata: {}\n\n", happened.json).unwrap_or_default();
                sampling.note(&happened);
                self.told.insert(one.id, one.asked_at);
            }
        }
        text
    }
}

/// As the log would say it.
fn words(held: &Held) -> Map<String, Value> {
    let time = |time: SystemTime| Value::from(Timestamp::try_from(time).unwrap_or_default().to_string());
    let connection = held.connection.as_ref();
    let words = [
        ("event", Value::from("held")),
        ("id", (*held.id).into()),
        ("time", time(held.asked_at)),
        ("agent", held.agent.as_str().into()),
        ("method", held.method.as_str().into()),
        ("scheme", held.scheme.as_str().into()),
        ("host", held.host.as_str().into()),
        ("port", held.port.into()),
        ("path", held.path.as_str().into()),
        ("connection", connection.map(ToString::to_string).into()),
        ("provider", connection.map(|connection| connection.provider().to_string()).into()),
        ("verdict", "held".into()),
        ("rule", held.rule.as_str().into()),
        ("approval", (*held.id).into()),
        ("expires_at", time(held.expires_at)),
    ];
    let said = words.into_iter().filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| (name.to_owned(), value)).collect()
}
