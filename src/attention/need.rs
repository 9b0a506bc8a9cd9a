//! `Need`: one connection that one agent's requests were refused for, and why.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{AgentName, ConnectionId, UserName};

/// What is wrong with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is none.
    NotRegistered,
    /// Its credential is dead, and nothing renews it.
    Attention,
    /// A person or the service ended it.
    Revoked,
    /// It lacks a field, or holds one that can't be sent.
    Unfit,
    /// It comes from an agent's own log-in, which nobody has approved.
    Pending,
}

impl Reason {
    /// The word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NotRegistered => "not_registered",
            Self::Attention => "attention",
            Self::Revoked => "revoked",
            Self::Unfit => "unfit",
            Self::Pending => "pending_approval",
        }
    }
}

/// What a person has to see to. Never a secret, and nothing of the request but who asked for which connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// Who was refused.
    pub(crate) agent: AgentName,
    /// For whom that agent acts.
    pub(crate) user: Option<UserName>,
    /// What it needs.
    pub(crate) connection: ConnectionId,
    /// The request named the connection: no other will do.
    pub(crate) named: bool,
    /// Why it was refused.
    pub(crate) reason: Reason,
    /// When the connection that would not do was registered.
    pub(crate) registered_at: Option<SystemTime>,
    /// What is wrong, in a few words.
    pub(crate) title: String,
    /// What is wrong and what to do.
    pub(crate) content: String,
    /// What a person types.
    pub(crate) command: String,
}

impl Need {
    /// Whether both are met by the same act of a person.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.agent == other.agent
            && self.reason == other.reason
            && self.connection == other.connection
            && self.user == other.user
            && self.named == other.named
    }
}

/// How a need stands, as the vault has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As it was.
    Open,
    /// The connection can be used.
    Met,
    /// The connection is gone: nothing is to be done about that one.
    Gone,
}

/// What has become of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// A person has to act.
    Open,
    /// One has.
    Resolved,
    /// Nobody has asked for it for an hour, or the connection is gone.
    Lapsed,
}

/// An item as people and programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AttentionItem)]
pub(crate) struct Shown {
    /// The `request_id` of the first request that was refused.
    pub(crate) id: String,
    /// `open`, `resolved` or `lapsed`.
    pub(crate) status: State,
    /// `auth_required`.
    pub(crate) category: &'static str,
    /// `blocking`: requests are refused until it is done.
    pub(crate) urgency: &'static str,
    /// What is wrong, in a few words.
    pub(crate) title: String,
    /// What is wrong and what to do.
    pub(crate) content: String,
    /// What a person types.
    pub(crate) command: String,
    /// `not_registered`, `attention`, `revoked`, `unfit` or `pending_approval`.
    pub(crate) reason: &'static str,
    /// Of which service.
    pub(crate) provider: String,
    /// `github`, or `github:alice`.
    pub(crate) connection: String,
    /// Who was refused.
    pub(crate) agent: String,
    /// For whom that agent acts.
    pub(crate) user: Option<String>,
    /// RFC 3339.
    pub(crate) first_seen: String,
    /// RFC 3339.
    pub(crate) last_seen: String,
    /// Requests that were refused for it.
    pub(crate) count: u64,
    /// When it lapses unless it is asked for again; RFC 3339, null once it is settled.
    pub(crate) lapses_at: Option<String>,
}

/// As RFC 3339 has it, to the second.
pub(super) fn stamp(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_far| String::new(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
