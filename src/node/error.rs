//! Why the gateway gave nothing.

use http::StatusCode;

use crate::loan::Malformed;
use crate::upstream;

/// Why the gateway gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection, or no valid TLS.
    #[error("the gateway cannot be reached")]
    Unreachable(#[from] upstream::Error),
    /// A name that was thought to be this machine's.
    #[error("the gateway's name leads to another machine, and http:// is for this one only")]
    Elsewhere,
    /// It answered no.
    #[error("the gateway answered {status}{reason}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its word for programs.
        code: String,
        /// `: ` and why, where it said so.
        reason: String,
    },
    /// Somebody else answered no, such as a proxy in front of it.
    #[error("something in front of the gateway, or in its place, answered {status}{reason}")]
    Stranger {
        /// Its status.
        status: StatusCode,
        /// `: ` and why, where it said so.
        reason: String,
    },
    /// It broke off, or doesn't speak HTTP.
    #[error("the gateway broke off")]
    Broken(#[from] hyper::Error),
    /// It ended its answer, which has no end.
    #[error("the gateway ended the stream")]
    Ended,
    /// It sent other things than it should.
    #[error("the gateway's answer is not understood")]
    Malformed(#[from] Malformed),
    /// More than fits, or less than was announced.
    #[error("the gateway's answer is too long or broke off")]
    Long,
    /// It says nothing any more.
    #[error("the gateway did not answer in time")]
    Silent,
}

impl Error {
    /// Whether only a person can change it: the key, the address or the trust are wrong.
    pub(crate) fn is_a_mistake(&self) -> bool {
        match self {
            Self::Refused { status, .. } | Self::Stranger { status, .. } => {
                matches!(
                    *status,
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                )
            }
            Self::Unreachable(upstream::Error::Tls { .. }) | Self::Elsewhere => true,
            _ => false,
        }
    }

    /// Whether it knows this node and lends it nothing: the key was revoked, or is of another kind. Nobody else's word ends the copies.
    pub(crate) fn is_a_denial(&self) -> bool {
        let Self::Refused { status, code, .. } = self else { return false };
        matches!((*status, code.as_str()), (StatusCode::UNAUTHORIZED, "no_key") | (StatusCode::FORBIDDEN, "key_kind"))
    }

    /// Whether it says that there is no such connection for this node.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, code, .. } if code == "not_found")
    }

    /// Whether nobody is there.
    pub(crate) fn is_away(&self) -> bool {
        use upstream::Error::{ConnectTimeout, NoSuchHost, ParentUnreachable, Unreachable};
        let unreached = |error: &upstream::Error| {
            matches!(error, Unreachable { .. } | ConnectTimeout { .. } | NoSuchHost { .. } | ParentUnreachable { .. })
        };
        matches!(self, Self::Unreachable(error) if unreached(error))
    }

    /// What a person should do about it.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Refused { status: StatusCode::UNAUTHORIZED, .. } => Some(
                "what NEXUS_GATEWAY_KEY (or its file) holds is not one of its keys; `nexus gateway key add`, typed there, makes one",
            ),
            Self::Refused { status: StatusCode::FORBIDDEN, code, .. } if code == "key_kind" => Some(
                "what NEXUS_GATEWAY_KEY (or its file) holds is of another kind; `nexus gateway key add NAME --kind …`, typed there, makes one: node for a proxy, admin for a person",
            ),
            Self::Stranger { status, .. } if status.is_client_error() => Some(
                "NEXUS_GATEWAY_URL leads to something that is no gateway of Nexus; a proxy in front of one must let its paths through",
            ),
            Self::Refused { status: StatusCode::METHOD_NOT_ALLOWED, .. } => {
                Some("NEXUS_GATEWAY_URL leads to something that is no gateway of Nexus, or an older one")
            }
            Self::Unreachable(upstream::Error::Tls { .. }) => {
                Some("its certificate can't be verified: `nexus gateway trust URL` shows who signed it and asks")
            }
            _ => None,
        }
    }
}
