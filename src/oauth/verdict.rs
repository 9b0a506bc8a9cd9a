//! What a refusal of a token endpoint means for the connection.

use std::time::Duration;

use http::StatusCode;

/// Why a token endpoint gave no tokens. No text of the reply is kept: it could echo a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The refresh token is spent, revoked or expired, or an assertion is not taken (RFC 6749 §5.2, RFC 7523 §3.1): a person must
    /// consent or register again.
    #[error("the token endpoint no longer takes what the connection holds ({code})")]
    InvalidGrant {
        /// The error code, if it is one we know.
        code: &'static str,
    },
    /// The client or the request is refused for good (RFC 6749 §5.2): a person must look at the registration.
    #[error("the token endpoint refuses this client ({code})")]
    InvalidClient {
        /// The error code, if it is one we know.
        code: &'static str,
    },
    /// 408, 429, a 5xx or an error code that says "later".
    #[error("the token endpoint is busy (status {status})")]
    Busy {
        /// The status of the reply.
        status: StatusCode,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Not an answer a token endpoint gives.
    #[error("the token endpoint's reply is not understood: {reason} (status {status})")]
    Malformed {
        /// The status of the reply.
        status: StatusCode,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Refused {
    /// Whether asking again cannot help until a person acts.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::InvalidGrant { .. } | Self::InvalidClient { .. })
    }

    /// Whether the service says that somebody ended the grant. `invalid_grant` says less: spent, expired or ended.
    pub(crate) fn says_revoked(&self) -> bool {
        matches!(self, Self::InvalidGrant { code: REVOKED })
    }
}

/// What says that somebody ended the grant.
const REVOKED: &str = "token_revoked";

/// Codes that end a grant: RFC 6749 §5.2 and what some services say in its place.
const GRANT: &[&str] = &[
    "invalid_grant",
    "bad_refresh_token",
    "invalid_refresh_token",
    "refresh_token_expired",
    "token_expired",
    REVOKED,
    "account_inactive",
    "invalid_code",
];

/// Codes that a new attempt with the same client and request cannot change.
const CLIENT: &[&str] = &[
    "invalid_client",
    "unauthorized_client",
    "invalid_request",
    "invalid_scope",
    "unsupported_grant_type",
    "incorrect_client_credentials",
    "invalid_client_id",
    "bad_client_secret",
    "invalid_auth",
];

/// Codes that mean "later", whatever the status.
const LATER: &[&str] = &[
    "temporarily_unavailable",
    "server_error",
    "slow_down",
    "ratelimited",
    "rate_limited",
    "rate_limit_exceeded",
    "too_many_requests",
    "internal_error",
    "service_unavailable",
    "request_timeout",
    "access denied",
];

/// The meaning of a reply that carries the error words `words`; `None` = it carries none that decides anything.
///
/// An unknown code is final only where RFC 6749 §5.2 puts errors (400 and 401); elsewhere it may be anything.
pub(super) fn judge(status: StatusCode, words: &[&str], has_error: bool, retry_after: Option<Duration>) -> Option<Refused> {
    let later = || Refused::Busy { status, retry_after };
    if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
        return Some(later());
    }
    let known =
        |table: &[&'static str]| table.iter().copied().find(|code| words.iter().any(|word| word.eq_ignore_ascii_case(code)));
    if known(LATER).is_some() {
        return Some(later());
    }
    if let Some(code) = known(GRANT) {
        return Some(Refused::InvalidGrant { code });
    }
    if let Some(code) = known(CLIENT) {
        return Some(Refused::InvalidClient { code });
    }
    let rfc = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED);
    (rfc && has_error).then_some(Refused::InvalidClient { code: "an error code of its own" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i1_a_refusal_shows_no_word_of_the_reply() {
        let refused = judge(StatusCode::BAD_REQUEST, &["s3cr3t-refresh-token"], true, None).expect("a refusal");
        assert!(!format!("{refused} {refused:?}").contains("s3cr3t"));
    }

    #[test]
    fn t124_only_the_services_own_verdict_is_final() {
        for (status, word, last) in [
            (400, "invalid_grant", true),
            (401, "invalid_client", true),
            (400, "unauthorized_client", true),
            (200, "bad_refresh_token", true),
            (400, "BAD_REFRESH_TOKEN", true),
            (403, "invalid_grant", true),
            (400, "their_own", true),
            (500, "invalid_grant", false),
            (429, "invalid_grant", false),
            (400, "temporarily_unavailable", false),
            (400, "Access Denied", false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let refused = judge(status, &[word], true, None).expect("a refusal");
            assert_eq!(refused.is_final(), last, "{status} {word}");
        }
        assert_eq!(judge(StatusCode::OK, &["their_own"], true, None), None);
        assert_eq!(judge(StatusCode::FORBIDDEN, &["their_own"], true, None), None);
        assert_eq!(judge(StatusCode::BAD_REQUEST, &[], false, None), None);
    }
}
