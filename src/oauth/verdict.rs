//! What a refusal of a token endpoint means for the connection.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// Why a token endpoint gave no tokens. No text of the reply is kept but the [`Word`] of an error: it could echo a secret.
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
    /// It refuses with an error of its own.
    #[error("the token endpoint answers with an error that we do not know: {word} (status {status})")]
    Unknown {
        /// The status of the reply.
        status: StatusCode,
        /// What it calls the error.
        word: Word,
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
    /// Whether asking again cannot help until a person acts. An unknown error is final only where RFC 6749 §5.2 puts errors; elsewhere it
    /// may be anything.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::InvalidGrant { .. } | Self::InvalidClient { .. } => true,
            Self::Unknown { status, .. } => matches!(*status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED),
            Self::Busy { .. } | Self::Malformed { .. } => false,
        }
    }

    /// Whether the service says that somebody ended the grant. `invalid_grant` says less: spent, expired or ended.
    pub(crate) fn says_revoked(&self) -> bool {
        matches!(self, Self::InvalidGrant { code: REVOKED })
    }
}

/// What a service calls an error that we do not know, as a person may see it: of letters as RFC 6749 §5.2 has them, and built as codes are.
/// Anything else is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(Option<Box<str>>);

/// No code is longer, nor a part of one.
const CODE: usize = 64;
const PART: usize = 20;

impl Word {
    /// The first of `words`, which is that of the error itself.
    fn of(words: &[&str]) -> Self {
        Self(words.first().copied().filter(|word| is_code(word)).map(Box::from))
    }
}

impl fmt::Display for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_deref().unwrap_or("one that is no word"))
    }
}

/// `bad_verification_code`, `OAUTH_APP_BLOCKED`, `Access Denied`: short words of letters. No key looks so.
fn is_code(text: &str) -> bool {
    let part = |part: &str| {
        let tail = part.get(1..).unwrap_or_default();
        let one_case = part.bytes().all(|byte| byte.is_ascii_uppercase()) || tail.bytes().all(|byte| byte.is_ascii_lowercase());
        part.len() <= PART && one_case && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    (1..=CODE).contains(&text.len()) && text.split(['_', '-', '.', ':', ' ']).all(part)
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
    "bad_verification_code",
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
    has_error.then(|| Refused::Unknown { status, word: Word::of(words) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i1_a_refusal_shows_no_word_of_the_reply() {
        for echoed in [
            "s3cr3t-refresh-token",
            "gho_16C7e42F292c6912E7710c838347Ae178B4a",
            "tGzv3JOkF0XG5Qx2TlKWIA",
            "aBcDefGhIjKlMnOpQrStUv",
            "abcdefghijklmnopqrstuvwxyz",
            "12345678-1234-1234-1234-123456789012",
            "hunter2",
            "987654",
            "x\u{1b}[2J",
            "über",
            "quoted\"",
            &"long_".repeat(20),
            "",
        ] {
            let refused = judge(StatusCode::BAD_REQUEST, &[echoed], true, None).expect("a refusal");
            assert_eq!(refused, Refused::Unknown { status: StatusCode::BAD_REQUEST, word: Word(None) }, "{echoed}");
        }
    }

    #[test]
    fn an_error_that_we_do_not_know_is_named() {
        for word in ["incorrect_thing", "OAUTH_APP_BLOCKED", "Access Refused", "x", "not.a-known:one"] {
            for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN] {
                let refused = judge(status, &[word, "failed"], true, None).expect("a refusal");
                let said = format!("the token endpoint answers with an error that we do not know: {word} (status {status})");
                assert_eq!((refused.to_string(), refused.is_final()), (said, status == StatusCode::BAD_REQUEST));
            }
        }
    }

    #[test]
    fn t124_only_the_services_own_verdict_is_final() {
        for (status, word, last) in [
            (400, "invalid_grant", true),
            (401, "invalid_client", true),
            (400, "unauthorized_client", true),
            (200, "bad_refresh_token", true),
            (200, "bad_verification_code", true),
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
        for status in [StatusCode::OK, StatusCode::FORBIDDEN] {
            assert!(judge(status, &["their_own"], true, None).is_some_and(|refused| !refused.is_final()), "{status}");
        }
        assert_eq!(judge(StatusCode::OK, &["their_own"], false, None), None);
        assert_eq!(judge(StatusCode::BAD_REQUEST, &[], false, None), None);
    }
}
