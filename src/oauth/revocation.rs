//! Token revocation (RFC 7009).

use std::time::SystemTime;

use http::StatusCode;

use super::reply::{TokenReply, refusal};
use super::request::{Client, TokenRequest, Unready, post};
use super::verdict::Refused;
use crate::model::Secret;

/// RFC 7009 §2.1 `token_type_hint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// `refresh_token`.
    Refresh,
    /// `access_token`.
    Access,
}

/// The request that ends `token` at `url` (RFC 7009 §2.1).
///
/// # Errors
/// When `url` is not https.
pub(crate) fn revoke(
    url: String,
    client: &Client<'_>,
    (token, kind): (&Secret<String>, TokenKind),
) -> Result<TokenRequest, Unready> {
    let hint = match kind {
        TokenKind::Refresh => "refresh_token",
        TokenKind::Access => "access_token",
    };
    post(url, client, vec![("token", token.expose()), ("token_type_hint", hint)])
}

/// Reads the answer (RFC 7009 §2.2): 200, whose body says nothing; 204 and an empty body are as good.
///
/// # Errors
/// [`Refused`] where the token may still be good.
pub(crate) fn read_revocation(reply: &TokenReply, now: SystemTime) -> Result<(), Refused> {
    match refusal(reply, now) {
        Some(refused) => Err(refused),
        None if matches!(reply.status, StatusCode::OK | StatusCode::NO_CONTENT) => Ok(()),
        None => Err(Refused::Malformed { status: reply.status, reason: "the status is not 200" }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;
    use crate::oauth::{Authentication, Encoding};

    fn answer(status: u16, body: &str) -> Result<(), Refused> {
        let status = StatusCode::from_u16(status).expect("a status");
        let content_type = Some(HeaderValue::from_static("application/json"));
        let reply =
            TokenReply { status, content_type, retry_after: None, date: None, body: Secret::new(body.as_bytes().to_vec()) };
        read_revocation(&reply, UNIX_EPOCH)
    }

    #[test]
    fn the_example_of_rfc_7009_is_made() {
        // RFC 7009 §2.1; its client authenticates by Basic (RFC 6749 §2.3.1's example).
        let text = |text: &str| Secret::new(text.to_owned());
        let (id, secret, token) = (text("s6BhdRkqt3"), text("gX1fBat3bV"), text("45ghiukldjahdnhzdauz"));
        let client =
            Client { encoding: Encoding::Form, authentication: Authentication::Basic, id: Some(&id), secret: Some(&secret) };
        let request =
            revoke("https://server.example.com/revoke".into(), &client, (&token, TokenKind::Refresh)).expect("a request");
        assert_eq!(request.body(), "token=45ghiukldjahdnhzdauz&token_type_hint=refresh_token");
        let shown = request.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.as_bytes());
        assert_eq!(shown, Some(&b"Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"[..]));
        assert!(revoke("http://server.example.com/revoke".into(), &client, (&token, TokenKind::Access)).is_err());
    }

    #[test]
    fn only_a_success_without_an_error_inside_is_one() {
        for (status, body) in [(200, ""), (200, "{}"), (204, ""), (200, "null"), (200, "OK")] {
            assert_eq!(answer(status, body), Ok(()), "{status} {body}");
        }
        for (status, body) in [
            (200, r#"{"error":"invalid_client"}"#),
            (400, r#"{"error":"unsupported_token_type"}"#),
            (401, r#"{"error":"invalid_client"}"#),
            (302, ""),
            (404, ""),
            (503, ""),
        ] {
            assert!(answer(status, body).is_err(), "{status} {body}");
        }
    }
}
