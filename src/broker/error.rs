//! Why there is no credential for a request, and why a 401 stands.

use std::sync::Arc;
use std::time::Duration;

use super::port::Away;
use crate::model::{ConnectionId, ProviderId};
use crate::oauth::{Cause, Refused, Unready};
use crate::provider::InjectError;
use crate::vault::{CaptureError, Status};

/// Why a request gets no credential.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody registered it.
    #[error("no credential is registered for {connection}")]
    NotRegistered {
        /// The connection asked for.
        connection: ConnectionId,
    },
    /// The credential is dead and only a person can replace it.
    #[error("the credential of {connection} has expired and must be connected again")]
    AuthRequired {
        /// The connection asked for.
        connection: ConnectionId,
    },
    /// The service refuses the credential, which nothing renews: only a person can replace it.
    #[error("the service refuses the credential of {connection}, which must be connected again")]
    Refused {
        /// The connection asked for.
        connection: ConnectionId,
    },
    /// It comes from an agent's own log-in, which nobody has approved yet.
    #[error("{connection} waits for a person's approval")]
    Pending {
        /// The connection asked for.
        connection: ConnectionId,
    },
    /// It was revoked, its consent failed, or a newer Nexus says something of it that we can't read.
    #[error("{connection} is {}, so nothing goes with its credential", status.as_str())]
    Ended {
        /// The connection asked for.
        connection: ConnectionId,
        /// How it stands.
        status: Status,
    },
    /// The connection has none of the fields that the matching rules place.
    #[error("the credential of {connection} lacks the fields that this service needs")]
    MissingFields {
        /// The connection asked for.
        connection: ConnectionId,
    },
    /// A field cannot go on a request.
    #[error("the credential of {connection} does not fit on a request")]
    Unfit {
        /// The connection asked for.
        connection: ConnectionId,
        /// Which field, and why.
        #[source]
        cause: Arc<InjectError>,
    },
    /// The credential has expired and cannot be renewed just now.
    #[error("the credential of {connection} has expired and could not be renewed")]
    Renewal {
        /// The connection asked for.
        connection: ConnectionId,
        /// Why not.
        #[source]
        why: Why,
    },
    /// The vault cannot be read.
    #[error("cannot read the vault")]
    Vault(#[source] Cause),
    /// It is a gateway's, and its copy here is too old to be used.
    #[error("the gateway that holds the credential does not lend it now")]
    Away(#[source] Away),
}

/// What a look at the vault failed of.
pub(super) fn unseen(cause: Cause) -> Error {
    match cause.downcast_ref::<Away>() {
        Some(away) => Error::Away(away.clone()),
        None => Error::Vault(cause),
    }
}

impl Error {
    /// How long the caller should wait before it asks again, where that helps.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Renewal { why, .. } => why.retry_after(),
            _ => None,
        }
    }
}

/// Why the credential was not renewed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Why {
    /// The 401 says something about that one request, nothing about the credential.
    #[error("the service refused this request, not the credential")]
    NotOurs,
    /// There is nothing to renew it with.
    #[error("the connection holds nothing that it could be renewed with")]
    NoRefreshToken,
    /// The last renewal failed a moment ago.
    #[error("the last renewal failed; the next one may be tried in {} s", retry_after.as_secs())]
    CoolingDown {
        /// How long.
        retry_after: Duration,
    },
    /// The connection was renewed too often.
    #[error("the connection was renewed too often; the next renewal may be made in {} s", retry_after.as_secs())]
    RateLimited {
        /// How long.
        retry_after: Duration,
    },
    /// The connection is in `attention`; the verdict is there when it fell in this process.
    #[error("the token endpoint refused the credential for good")]
    Refused(#[source] Option<Arc<Refused>>),
    /// The token endpoint answered, but not with tokens.
    #[error("the token endpoint gave no tokens")]
    Unavailable(#[source] Arc<Refused>),
    /// The token endpoint could not be reached.
    #[error("the token endpoint could not be reached")]
    Unreachable(#[source] Cause),
    /// The token endpoint took too long.
    #[error("the token endpoint did not answer in time")]
    Late,
    /// No request can be made for this provider and connection.
    #[error("no renewal can be asked for")]
    Unready(#[source] Arc<Unready>),
    /// The provider's file names another token endpoint than those that were sealed with the credential.
    #[error(
        "{provider} now names a token endpoint that was not sealed with this credential; run `nexus providers trust {provider}` if it is right"
    )]
    NotSealed {
        /// Whose file it is.
        provider: ProviderId,
    },
    /// It answered with the tokens that we already had.
    #[error("the token endpoint gave the same tokens again")]
    Unchanged,
    /// The gateway whose the connection is could not be asked.
    #[error("the gateway that renews the credential could not be asked")]
    OwnerAway(#[source] Cause),
    /// It was asked, and can't renew the connection for the moment.
    #[error("the gateway cannot renew the credential for the moment")]
    OwnerWaits {
        /// How long, where it said so.
        retry_after: Option<Duration>,
    },
    /// The fresh tokens could not be stored, so they are not used.
    #[error("the vault could not be read or written")]
    Vault(#[source] Cause),
    /// Too many requests wait for this renewal.
    #[error("too many requests wait for this renewal")]
    Busy,
    /// This request has waited long enough; the renewal goes on.
    #[error("the renewal takes longer than this request can wait")]
    StillRenewing,
    /// The connection was removed, or no longer has what the rule places.
    #[error("the connection is gone")]
    Gone,
    /// Nexus is stopping.
    #[error("the renewal was stopped")]
    Stopped,
}

impl Why {
    /// One word for the record of a request.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::NoRefreshToken => "no_refresh_token",
            Self::CoolingDown { .. } => "cooling_down",
            Self::RateLimited { .. } => "rate_limited",
            Self::Refused(_) => "attention",
            Self::Unavailable(_) => "endpoint_unavailable",
            Self::Unreachable(_) => "endpoint_unreachable",
            Self::Late => "endpoint_late",
            Self::Unready(_) => "unready",
            Self::NotSealed { .. } => "not_sealed",
            Self::Unchanged => "unchanged",
            Self::OwnerAway(_) => "gateway_away",
            Self::OwnerWaits { .. } => "gateway_waits",
            Self::Vault(_) => "vault",
            Self::Busy => "busy",
            Self::StillRenewing => "still_renewing",
            Self::Gone => "gone",
            Self::Stopped => "stopped",
        }
    }

    /// How long to wait before another renewal can be tried, where that is known.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CoolingDown { retry_after } | Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Unavailable(refused) => match refused.as_ref() {
                Refused::Busy { retry_after, .. } => *retry_after,
                _ => None,
            },
            Self::OwnerWaits { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// Whether a flight that ended so should be followed by a pause.
    pub(super) fn calls_for_a_pause(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Unreachable(_) | Self::Late | Self::Unready(_) => true,
            Self::Unchanged | Self::OwnerAway(_) | Self::OwnerWaits { .. } | Self::Vault(_) | Self::Stopped => true,
            Self::NotSealed { .. }
            | Self::NotOurs
            | Self::NoRefreshToken
            | Self::CoolingDown { .. }
            | Self::RateLimited { .. } => false,
            Self::Refused(_) | Self::Busy | Self::StillRenewing | Self::Gone => false,
        }
    }
}

/// Why a log-in was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCaptured {
    /// The vault's word.
    #[error(transparent)]
    Store(#[from] CaptureError),
    /// Nexus is stopping.
    #[error("nexus is stopping")]
    Stopped,
}
