//! `Need`: one connection that one agent's requests were refused for, and why.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{AgentName, ConnectionId, UserName};

/// What is wrong with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AttentionReason)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// There is none.
    NotRegistered,
    /// Its credential is dead, and nothing renews it.
    Attention,
    /// The service refuses it, and nothing else says that it is dead.
    Refused,
    /// A person or the service ended it.
    Revoked,
    /// It lacks a field, or holds one that can't be sent.
    Unfit,
    /// It comes from an agent's own log-in, which nobody has approved.
    #[serde(rename = "pending_approval")]
    Pending,
}

impl Reason {
    /// The one that is called `word`.
    pub(super) fn of(word: &str) -> Option<Self> {
        let all = [Self::NotRegistered, Self::Attention, Self::Refused, Self::Revoked, Self::Unfit, Self::Pending];
        all.into_iter().find(|reason| reason.word() == word)
    }

    /// The word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NotRegistered => "not_registered",
            Self::Attention => "attention",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
            Self::Unfit => "unfit",
            Self::Pending => "pending_approval",
        }
    }

    /// Whether requests go on, and the service's answer is the caller's.
    pub(super) fn is_advice(self) -> bool {
        self == Self::Refused
    }

    /// What follows from it: `blocking` where requests are refused, `advisory` where they go on.
    pub(crate) fn urgency(self) -> &'static str {
        if self.is_advice() { "advisory" } else { "blocking" }
    }

    /// What is wrong, where nothing closer is known.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::NotRegistered => "No credential is registered.",
            Self::Attention => "The credential is dead and can't be renewed by itself.",
            Self::Refused => "The service answers 401 to the credential, and nothing renews it.",
            Self::Revoked => "The credential was revoked.",
            Self::Unfit => "The credential is not what this API needs.",
            Self::Pending => "The token of this log-in waits for a person's approval.",
        }
    }
}

/// What people are told of a need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// What is wrong, in a few words.
    pub(crate) title: String,
    /// What is wrong and what to do.
    pub(crate) content: String,
    /// What a person types.
    pub(crate) command: String,
}

impl Words {
    /// That `connection` of the service called `title` can't be used for `reason`, or more closely `why`; `client` says that one is
    /// registered by which a person's consent can be asked for.
    pub(crate) fn new(title: &str, connection: &ConnectionId, reason: Reason, why: Option<&str>, client: bool) -> Self {
        let why = why.unwrap_or(reason.why());
        let command = command(connection, reason, client);
        let pending = reason == Reason::Pending;
        let rest = match reason {
            Reason::Pending => "is not to be used with this log-in yet",
            Reason::Refused => "refuses its credential",
            Reason::NotRegistered | Reason::Attention | Reason::Revoked | Reason::Unfit => "needs a credential",
        };
        let anew = if pending { "" } else { ", without a credential of your own" };
        let content = format!("{why} Ask the operator to run `{command}`, then send the same request again{anew}.");
        Self { title: format!("{title} {rest}"), content, command }
    }
}

fn command(connection: &ConnectionId, reason: Reason, client: bool) -> String {
    if reason == Reason::Pending {
        return format!("nexus approve {connection}");
    }
    let verb = if client { "login" } else { "register" };
    let user = connection.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    format!("nexus {verb} {}{user}", connection.provider())
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
    /// What people are told.
    pub(crate) words: Words,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AttentionStatus)]
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
    /// The `request_id` of the first request that was refused; of one that a node refused with `@` and the node's name behind it.
    pub(crate) id: String,
    /// `open`, `resolved` or `lapsed`.
    pub(crate) status: State,
    /// `auth_required`.
    pub(crate) category: &'static str,
    /// `blocking`: requests are refused until it is done. `advisory`: they go on, and the service refuses them.
    pub(crate) urgency: &'static str,
    /// What is wrong, in a few words.
    pub(crate) title: String,
    /// What is wrong and what to do.
    pub(crate) content: String,
    /// What a person types.
    pub(crate) command: String,
    /// `not_registered`, `attention`, `refused`, `revoked`, `unfit` or `pending_approval`.
    pub(crate) reason: &'static str,
    /// Of which service.
    pub(crate) provider: String,
    /// `github`, or `github:alice`.
    pub(crate) connection: String,
    /// The node that refused, by the name of its key; null where this proxy did.
    pub(crate) node: Option<String>,
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
pub(crate) fn stamp(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_far| String::new(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
