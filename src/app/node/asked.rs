//! `Typed`: what a gateway is asked to store, and why it did not do what it was asked.

use std::collections::BTreeMap;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::NodeError;
use crate::model::{ConnectionId, Credential};
use crate::node;
use crate::upstream;

/// A credential that is to be stored at a gateway.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// Under which name.
    pub connection: &'a ConnectionId,
    /// What a person handed over.
    pub fields: &'a Credential,
    /// When it ends, where that is known.
    pub expires_at: Option<SystemTime>,
    /// Whether a client without a token is an app that people log in by.
    pub app: bool,
    /// Whether one that is there is replaced.
    pub replace: bool,
    /// Whether it keeps the fields that are not among these.
    pub merge: bool,
}

impl Typed<'_> {
    /// Measured first: a buffer that grows leaves secrets behind.
    pub(super) fn json(&self) -> Zeroizing<Vec<u8>> {
        let fields: BTreeMap<&str, &str> =
            self.fields.names().filter_map(|name| Some((name, self.fields.field(name)?.expose().as_str()))).collect();
        let expires_at = self.expires_at.and_then(|at| jiff::Timestamp::try_from(at).ok()).map(|at| at.to_string());
        let length = fields.values().map(|value| value.len() * 6 + 100).sum::<usize>() + 1024;
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        #[derive(serde::Serialize)]
        struct Written<'a> {
            connection: &'a str,
            fields: BTreeMap<&'a str, &'a str>,
            expires_at: Option<String>,
            app: bool,
            replace: bool,
            merge: bool,
        }
        let (connection, Self { app, replace, merge, .. }) = (self.connection.as_str(), *self);
        let written = Written { connection, fields, expires_at, app, replace, merge };
        // Strings and a map of strings can always be written.
        drop(serde_json::to_writer(&mut *text, &written));
        text
    }
}

/// Why a gateway did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// What names it can't be used.
    #[error(transparent)]
    Named(#[from] NodeError),
    /// Nobody is there.
    #[error("the gateway does not answer: {0}")]
    Away(String),
    /// Its answer is none of a gateway.
    #[error("what answers there is no gateway of Nexus, or an older one")]
    NoGateway,
    /// It said no.
    #[error("{why}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// Its word for why; empty where it said none.
        code: String,
        /// Why, and what to do.
        why: String,
    },
    /// Its certificate can't be verified.
    #[error("{0}")]
    Untrusted(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl AskError {
    pub(super) fn new(error: node::Error) -> Self {
        let text = match error.advice() {
            Some(advice) => format!("{}; {advice}", node::told(&error)),
            None => node::told(&error),
        };
        let told = node::told(&error);
        match error {
            error if error.is_away() => Self::Away(text),
            node::Error::Refused { status, code, .. } => Self::Refused { status: status.as_u16(), code, why: text },
            node::Error::Unreachable(upstream::Error::Tls { .. }) => Self::Untrusted(told),
            _ => Self::Failed(text),
        }
    }
}
