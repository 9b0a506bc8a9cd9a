//! `Alarm`: a placeholder that was seen where it does not belong, for whoever is to hear of it at once.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::json;

use super::need::stamp;
use super::notice::Notice;

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Alarm {
    /// `host`, `path`, `query`, `header`, `slot` or `body`.
    pub(crate) place: &'static str,
    /// Who sent it.
    pub(crate) agent: String,
    /// Whose it is; null where agent or connection is no more.
    pub(crate) owner: Option<String>,
    /// What it stands for.
    pub(crate) connection: Option<String>,
    /// Where it was sent.
    pub(crate) host: String,
    /// The record in the audit log.
    pub(crate) request_id: String,
    /// `alarm`, `refuse` or `freeze`.
    pub(crate) action: &'static str,
}

impl Alarm {
    /// Whether a person who was told of the one knows the other.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let told = |alarm: &Self| Self { request_id: String::new(), ..alarm.clone() };
        told(self) == told(other)
    }

    /// What the webhook is told.
    pub(super) fn notice(&self, now: SystemTime) -> Notice {
        let body = json!({ "type": "canary.seen", "timestamp": stamp(now), "data": self }).to_string();
        Notice { id: format!("msg_{}_canary", self.request_id), body }
    }
}
