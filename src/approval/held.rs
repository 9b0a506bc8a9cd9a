//! `Held`: a request that waits for a person's word, in the words in which the log will tell of it.

use std::sync::Arc;
use std::time::SystemTime;

use super::item::Item;
use crate::model::{ConnectionId, Scheme};

/// A request that is held. The log has no line of it until it goes on or is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its own in the log, and the one that it is answered by.
    pub(crate) id: Arc<str>,
    pub(crate) agent: String,
    pub(crate) method: String,
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the log has it.
    pub(crate) path: String,
    /// What it would go with.
    pub(crate) connection: Option<ConnectionId>,
    /// Which rule asks.
    pub(crate) rule: String,
    pub(crate) asked_at: SystemTime,
    pub(crate) expires_at: SystemTime,
}

impl Held {
    pub(super) fn of(item: &Item) -> Self {
        let question = &item.question;
        let target = &question.target;
        Self {
            id: Arc::clone(&item.id),
            agent: question.agent.name.to_string(),
            method: target.method.to_string(),
            scheme: target.scheme,
            host: target.authority.host.to_string(),
            port: target.authority.port,
            path: question.path.clone(),
            connection: question.connection.clone(),
            rule: question.rule.name().to_string(),
            asked_at: item.asked_at,
            expires_at: item.expires_at,
        }
    }
}
