//! Why a consent gave no connection.

use crate::model::{ConnectionId, ProviderId};
use crate::oauth::{Cause, Denied, Refused, Unacceptable, Unready};

/// Why a consent gave no connection. Nothing was stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Its file has no `[oauth2]`, or no page where a person consents.
    #[error("{0} has no log-in that Nexus knows")]
    NoLogin(String),
    /// Its file has no `device_url`.
    #[error("{0} has no log-in by device code")]
    NoDevice(String),
    /// The log-in is the vendor's, and the connection is for another server.
    #[error(
        "the log-in that Nexus knows of {0} is the vendor's own; for a server of your own register a token that it gave (nexus register)"
    )]
    OwnServer(String),
    /// Nobody registered an OAuth client, and none was given.
    #[error("{title} wants to know which app asks, and none is registered")]
    NoClient {
        /// Whose.
        provider: ProviderId,
        /// Its name for people.
        title: String,
        /// Where a person makes one.
        console: Option<String>,
    },
    /// The client's secret was registered for other token endpoints than the file names now.
    #[error("the client's secret of {0} was not sealed for the token endpoint that its provider file names now")]
    NotSealed(ConnectionId),
    /// An agent's own log-in is that agent's.
    #[error("{0} is the log-in of an agent, which no other log-in can replace")]
    OfAnAgent(ConnectionId),
    /// No request can be made of what is there.
    #[error("the log-in cannot be asked for")]
    Unready(#[source] Cause),
    /// The person or the service said no.
    #[error("no account was connected")]
    Denied(#[source] Cause),
    /// The code, or the device code, is not taken.
    #[error("the service gave no token")]
    Refused(#[source] Cause),
    /// The ID token is not for us.
    #[error("the tokens were thrown away")]
    IdToken(#[source] Cause),
    /// Nobody entered the device code while it was good.
    #[error("no account was connected: nobody entered the code in time")]
    Expired,
    /// The service is not reached.
    #[error("the service's token endpoint could not be asked")]
    Unreachable(#[source] Cause),
    /// It is reached and does not answer.
    #[error("the service's token endpoint did not answer in time")]
    Late,
    /// Its tokens may still be good.
    #[error("the service did not revoke the token")]
    NotRevoked(#[source] Cause),
}

impl Error {
    /// What a person can do about it, where the service's answer tells.
    pub fn advice(&self) -> Option<&'static str> {
        let refused = |cause: &Cause| cause.downcast_ref::<Refused>().and_then(on_refusal);
        match self {
            Self::Refused(cause) => refused(cause),
            Self::Denied(cause) => match cause.downcast_ref::<Denied>()? {
                Denied::Refused(_) => Some("nothing was stored; log in again when you want to consent"),
                Denied::Error(told) if told.starts_with("invalid_scope") => Some(SCOPE),
                Denied::Error(told) if told.starts_with("unauthorized_client") => Some(SWITCHED_OFF),
                _ => None,
            },
            Self::Unreachable(_) => {
                Some("a proxy on the way out is named by `upstream.proxy`, further roots by `upstream.extra_roots`")
            }
            Self::Late => Some("try again; a service that needs longer is given it by `renewal.timeout_secs`"),
            _ => None,
        }
    }
}

const SCOPE: &str = "name the scopes with --scope, or allow these in the app's settings at the service";
const SWITCHED_OFF: &str = "this kind of log-in is switched off for the app: allow it in its settings at the service";

fn on_refusal(refused: &Refused) -> Option<&'static str> {
    let (Refused::InvalidGrant { code } | Refused::InvalidClient { code }) = refused else { return None };
    match *code {
        "invalid_client" | "incorrect_client_credentials" | "invalid_client_id" | "bad_client_secret" | "invalid_auth" => Some(
            "the service does not know this client id with this secret: look at both in the app's settings, then log in with --client-id",
        ),
        "invalid_scope" => Some(SCOPE),
        "unauthorized_client" | "unsupported_grant_type" => Some(SWITCHED_OFF),
        "invalid_grant" | "invalid_code" | "bad_verification_code" => {
            Some("the code was used before, came too late, or the app has another redirect URI than this log-in: log in again")
        }
        _ => None,
    }
}

impl From<Unready> for Error {
    fn from(unready: Unready) -> Self {
        Self::Unready(std::sync::Arc::new(unready))
    }
}

impl Error {
    /// Whether somebody decided so: an error of the service, or an answer of another one, is nobody's no.
    pub fn is_a_no(&self) -> bool {
        matches!(self, Self::Denied(cause) if matches!(cause.downcast_ref(), Some(Denied::Refused(_))))
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self::Denied(std::sync::Arc::new(denied))
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Refused(std::sync::Arc::new(refused))
    }
}

impl From<Unacceptable> for Error {
    fn from(unacceptable: Unacceptable) -> Self {
        Self::IdToken(std::sync::Arc::new(unacceptable))
    }
}
