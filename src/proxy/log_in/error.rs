//! Why a log-in was not made, and what to do then.

use http::StatusCode;

use super::Answer;
use crate::broker::NotCaptured;
use crate::oauth::Odd;
use crate::proxy::refusal::Blame;

/// Why a log-in was not made, or its answer is not for the caller.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum LogInError {
    #[error("log-ins of programs are refused here")]
    Refused,
    #[error("no rule puts a token of a log-in at {0} on requests")]
    NoUse(String),
    #[error("{0} log-ins of this agent wait for approval, which is as many as may")]
    TooMany(usize),
    #[error("the answer of the token endpoint was kept back: {0}")]
    Kept(#[source] Odd),
    #[error("the answer of the token endpoint was kept back: it is {0}")]
    Unread(&'static str),
    #[error("the log-in could not be stored, so its tokens were dropped")]
    NotStored(#[source] NotCaptured),
}

impl LogInError {
    /// The stable word of the refusal.
    pub(in crate::proxy) fn kind(&self) -> &'static str {
        match self {
            Self::Refused | Self::NoUse(_) => "policy",
            Self::TooMany(_) => "limit",
            Self::Kept(_) | Self::Unread(_) => "upstream",
            Self::NotStored(_) => "vault",
        }
    }

    /// RFC 9110 §15.
    pub(in crate::proxy) fn status(&self) -> StatusCode {
        match self {
            Self::Refused | Self::NoUse(_) => StatusCode::FORBIDDEN,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Kept(_) | Self::Unread(_) => StatusCode::BAD_GATEWAY,
            Self::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For the record.
    pub(in crate::proxy) fn word(&self) -> &'static str {
        match self {
            Self::Refused => "log_in",
            Self::NoUse(_) => "log_in_of_no_use",
            Self::TooMany(_) => "too_many_pending",
            Self::Kept(_) | Self::Unread(_) => "not_captured",
            Self::NotStored(_) => "not_stored",
        }
    }

    /// Whether such an answer, in which no token is named, may be that of another request than a log-in, which may be of any kind.
    pub(super) fn is_of_no_log_in(&self, answer: Answer) -> bool {
        match self {
            // What is in it, nobody saw.
            Self::Unread("compressed") => answer == Answer::Failure,
            Self::Kept(_) | Self::Unread(_) => answer != Answer::Success(true),
            Self::Refused | Self::NoUse(_) | Self::TooMany(_) | Self::NotStored(_) => false,
        }
    }

    /// Who has to act.
    pub(in crate::proxy) fn blame(&self) -> Blame {
        match self {
            Self::Refused | Self::NoUse(_) | Self::TooMany(_) => Blame::Downstream,
            Self::Kept(_) | Self::Unread(_) => Blame::Upstream,
            Self::NotStored(_) => Blame::Nexus,
        }
    }

    /// What to do now.
    pub(in crate::proxy) fn advice(&self) -> String {
        match self {
            Self::Refused => "Ask the operator to register the credential (`nexus register`), and call the API without one.",
            Self::NoUse(_) => {
                "Ask the operator to register a credential for it (`nexus register`); with proxy.log_ins = \"pass\" programs log in by themselves."
            }
            Self::TooMany(_) => {
                "Ask the operator to look at `nexus list`, and to approve (`nexus approve`) or remove (`nexus remove`) what waits there; then log in again."
            }
            Self::Kept(_) | Self::Unread(_) => {
                "A token that can't be told from the rest is not given away. Log in again; if that fails too, ask the operator to register the credential (`nexus register`)."
            }
            Self::NotStored(_) => "The operator should look at the log of Nexus and run `nexus status`; then log in again.",
        }
        .to_owned()
    }
}
