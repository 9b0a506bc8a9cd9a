//! The device authorization grant (RFC 8628): a code that is typed on another device.

use std::time::{Duration, SystemTime};

use http::Uri;
use serde::Deserialize;
use serde_json::Value;

use super::reply::{TokenReply, Tokens, error_word, parse, read, refusal, seconds};
use super::request::{Client, TokenRequest, Unready, grant, post};
use super::shown::shown;
use super::verdict::Refused;
use crate::model::Secret;

/// RFC 8628 §3.4.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8628 §3.2: where the reply doesn't say.
const INTERVAL: Duration = Duration::from_secs(5);

/// RFC 8628 §3.5: how much longer after `slow_down`.
pub(crate) const SLOWER: Duration = Duration::from_secs(5);

/// The longest interval that is believed.
const INTERVAL_LIMIT: u64 = 5 * 60;

/// What the code lives at most, and where the reply doesn't say (RFC 8628 §3.2 wants it to).
const LIFE_LIMIT: u64 = 24 * 60 * 60;
const LIFE: u64 = 15 * 60;

/// The longest address and the longest code that is shown.
const URI_LIMIT: usize = 2048;
const CODE_LIMIT: usize = 64;

/// A device code, and what a person needs to enter it.
#[derive(Debug)]
pub(crate) struct Device {
    code: Secret<String>,
    /// What is typed.
    pub(crate) user_code: String,
    /// Where.
    pub(crate) verification_uri: String,
    /// The same with the code in it.
    pub(crate) complete: Option<String>,
    /// How long it can be entered.
    pub(crate) life: Duration,
    /// How long to wait between two questions.
    pub(crate) interval: Duration,
}

/// What a token endpoint answers to a device code.
#[derive(Debug)]
pub(crate) enum Poll {
    /// The person consented.
    Granted(Tokens),
    /// `authorization_pending`: ask again after the interval.
    Pending,
    /// `slow_down`, or too busy: ask again, more slowly from now on.
    Slower,
    /// `access_denied`.
    Denied,
    /// `expired_token`.
    Expired,
    /// Anything else.
    Failed(Refused),
}

/// The request for a device code at `url` (RFC 8628 §3.1).
///
/// # Errors
/// When `url` is not https.
pub(crate) fn ask_device(url: String, client: &Client<'_>, scope: &str) -> Result<TokenRequest, Unready> {
    let pairs = if scope.is_empty() { Vec::new() } else { vec![("scope", scope)] };
    post(url, client, pairs)
}

#[derive(Deserialize)]
struct Raw {
    device_code: Option<String>,
    user_code: Option<String>,
    verification_uri: Option<String>,
    /// Google's name for it, from before the standard.
    verification_url: Option<String>,
    verification_uri_complete: Option<String>,
    expires_in: Option<Value>,
    interval: Option<Value>,
}

/// Reads the answer (RFC 8628 §3.2).
///
/// # Errors
/// [`Refused`] for everything else.
pub(crate) fn read_device(reply: &TokenReply, now: SystemTime) -> Result<Device, Refused> {
    if let Some(refused) = refusal(reply, now) {
        return Err(refused);
    }
    let malformed = |reason| Refused::Malformed { status: reply.status, reason };
    let raw: Raw = parse(reply).map_err(malformed)?;
    let code = Secret::new(raw.device_code.filter(|code| !code.is_empty()).ok_or_else(|| malformed("it has no device code"))?);
    let user_code = raw.user_code.filter(|code| (1..=CODE_LIMIT).contains(&code.len()) && *code == shown(code));
    let uri = raw.verification_uri.or(raw.verification_url).filter(|uri| is_page(uri));
    let life = raw.expires_in.as_ref().map_or(Ok(None), seconds).map_err(malformed)?.unwrap_or(LIFE).min(LIFE_LIMIT);
    let interval = raw.interval.as_ref().map_or(Ok(None), seconds).map_err(malformed)?;
    Ok(Device {
        code,
        user_code: user_code.ok_or_else(|| malformed("it has no user code"))?,
        verification_uri: uri.ok_or_else(|| malformed("it names no page to enter the code on"))?,
        complete: raw.verification_uri_complete.filter(|uri| is_page(uri)),
        life: Duration::from_secs(life),
        interval: interval.map_or(INTERVAL, |interval| Duration::from_secs(interval.min(INTERVAL_LIMIT))),
    })
}

/// An https page that can be shown and opened as it is.
fn is_page(uri: &str) -> bool {
    let named = uri.parse::<Uri>().ok().is_some_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
    named && uri.len() <= URI_LIMIT && uri.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Device {
    /// The question whether the person has entered the code (RFC 8628 §3.4).
    ///
    /// # Errors
    /// When `url` is not https.
    pub(crate) fn poll(&self, url: String, client: &Client<'_>) -> Result<TokenRequest, Unready> {
        grant(url, client, GRANT, &[("device_code", &self.code)])
    }
}

/// Reads the answer to it (RFC 8628 §3.5).
pub(crate) fn read_poll(reply: &TokenReply, now: SystemTime) -> Poll {
    match error_word(reply).as_deref() {
        Some("authorization_pending") => return Poll::Pending,
        Some("slow_down") => return Poll::Slower,
        Some("access_denied" | "authorization_declined") => return Poll::Denied,
        Some("expired_token" | "code_expired" | "token_expired") => return Poll::Expired,
        _ => {}
    }
    match read(reply, now) {
        Ok(tokens) => Poll::Granted(tokens),
        Err(Refused::Busy { .. }) => Poll::Slower,
        Err(refused) => Poll::Failed(refused),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderValue, StatusCode};

    use super::*;
    use crate::oauth::{Authentication, Encoding};

    fn reply(status: u16, body: &str) -> TokenReply {
        TokenReply {
            status: StatusCode::from_u16(status).expect("a status"),
            content_type: Some(HeaderValue::from_static("application/json")),
            retry_after: None,
            date: None,
            body: Secret::new(body.as_bytes().to_vec()),
        }
    }

    fn device(body: &str) -> Result<Device, Refused> {
        read_device(&reply(200, body), UNIX_EPOCH)
    }

    const CLIENT: Client<'_> =
        Client { encoding: Encoding::Form, authentication: Authentication::None, id: None, secret: None };

    #[test]
    fn the_example_of_rfc_8628_is_read() {
        // RFC 8628 §3.2.
        let device = device(
            r#"{"device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS", "user_code": "WDJB-MJHT",
                "verification_uri": "https://example.com/device",
                "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT", "expires_in": 1800, "interval": 5}"#,
        )
        .expect("a device code");
        assert_eq!((device.user_code.as_str(), device.verification_uri.as_str()), ("WDJB-MJHT", "https://example.com/device"));
        assert_eq!(device.complete.as_deref(), Some("https://example.com/device?user_code=WDJB-MJHT"));
        assert_eq!((device.life, device.interval), (Duration::from_secs(1800), Duration::from_secs(5)));
        let request = device.poll("https://example.com/token".into(), &CLIENT).expect("a request");
        // RFC 8628 §3.4, without the client.
        let example = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS";
        assert_eq!(request.body(), example);
        assert!(!format!("{device:?}").contains("GmRhm"));
    }

    #[test]
    fn googles_older_name_and_what_is_left_out_are_read() {
        let device =
            device(r#"{"device_code":"d","user_code":"GQVQ-JKEC","verification_url":"https://www.google.com/device"}"#);
        let device = device.expect("a device code");
        assert_eq!(device.verification_uri, "https://www.google.com/device");
        assert_eq!((device.life, device.interval), (Duration::from_secs(900), Duration::from_secs(5)));
    }

    #[test]
    fn i7_pages_and_codes_that_a_terminal_or_browser_should_not_get_are_refused() {
        let page = |uri: &str| {
            let uri = serde_json::Value::from(uri);
            device(&format!(r#"{{"device_code":"d","user_code":"A","verification_uri":{uri}}}"#))
        };
        assert!(page("https://example.com/device").is_ok());
        for uri in
            ["http://example.com/device", "javascript:alert(1)", "file:///etc/passwd", "https://", "https://a b", "", "-x"]
        {
            assert!(page(uri).is_err(), "{uri}");
        }
        for code in ["\\u001b[2J", "", "\\u202e1234"] {
            let body = format!(r#"{{"device_code":"d","user_code":"{code}","verification_uri":"https://a.example"}}"#);
            assert!(device(&body).is_err(), "{code}");
        }
        let odd = r#"{"device_code":"d","user_code":"A","verification_uri":"https://a.example",
            "verification_uri_complete":"file:///x","expires_in":1e300,"interval":99999999}"#;
        let odd = device(odd).expect("a device code");
        assert_eq!((odd.complete, odd.interval), (None, Duration::from_secs(300)));
        assert_eq!(odd.life, Duration::from_secs(900), "no number of seconds: as where nothing is said");
    }

    #[test]
    fn errors_of_the_device_endpoint_are_errors_whatever_the_status() {
        for (status, body) in [
            (200, r#"{"error":"device_flow_disabled","error_description":"s3cr3t"}"#),
            (400, r#"{"error":"unauthorized_client"}"#),
            (404, "{}"),
            (302, ""),
            (200, "{}"),
            (200, "<html>"),
        ] {
            let refused = read_device(&reply(status, body), UNIX_EPOCH).expect_err(body);
            assert!(!format!("{refused} {refused:?}").contains("s3cr3t"));
        }
        let busy = read_device(&reply(503, "{}"), UNIX_EPOCH).expect_err("busy");
        assert!(matches!(busy, Refused::Busy { .. }));
    }

    #[test]
    fn each_word_of_rfc_8628_has_its_meaning_also_under_status_200() {
        for status in [200, 400, 403, 428] {
            let poll = |word: &str| read_poll(&reply(status, &format!(r#"{{"error":"{word}"}}"#)), UNIX_EPOCH);
            assert!(matches!(poll("authorization_pending"), Poll::Pending), "{status}");
            assert!(matches!(poll("slow_down"), Poll::Slower), "{status}");
            assert!(matches!(poll("access_denied"), Poll::Denied), "{status}");
            assert!(matches!(poll("expired_token"), Poll::Expired), "{status}");
            assert!(matches!(poll("invalid_grant"), Poll::Failed(_)), "{status}");
        }
        assert!(matches!(read_poll(&reply(503, ""), UNIX_EPOCH), Poll::Slower));
        let granted = read_poll(&reply(200, r#"{"access_token":"abc","token_type":"bearer","scope":"repo"}"#), UNIX_EPOCH);
        let Poll::Granted(tokens) = granted else { panic!("{granted:?}") };
        assert_eq!(tokens.scope.as_deref(), Some("repo"));
    }
}
