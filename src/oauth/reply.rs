//! The answer of a token endpoint (RFC 6749 §5.1 and §5.2), read strictly.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::verdict::{Refused, judge};
use crate::model::Secret;

/// Bytes of a reply that are read at most; a longer one is refused.
pub(crate) const REPLY_LIMIT: usize = 64 * 1024;

/// The longest `Retry-After` that is believed.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The longest life of an access token that is believed; a longer one is as good as unlimited.
const LIFETIME_LIMIT: u64 = 10 * 366 * 24 * 60 * 60;

/// The longest token that is believed.
const TOKEN_LIMIT: usize = 16 * 1024;

/// What came back, of which the sender has read up to one byte more than [`REPLY_LIMIT`].
#[derive(Debug)]
pub(crate) struct TokenReply {
    /// The final status.
    pub(crate) status: StatusCode,
    /// `Content-Type`, if sent.
    pub(crate) content_type: Option<HeaderValue>,
    /// `Retry-After`, if sent.
    pub(crate) retry_after: Option<HeaderValue>,
    /// `Date`, if sent.
    pub(crate) date: Option<HeaderValue>,
    /// The body, which carries tokens.
    pub(crate) body: Secret<Vec<u8>>,
}

/// Fresh tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// The new access token.
    pub(crate) access_token: Secret<String>,
    /// The new refresh token; `None` = the one that was sent stays good (RFC 6749 §6).
    pub(crate) refresh_token: Option<Secret<String>>,
    /// When the access token dies, where the reply says so.
    pub(crate) expires_at: Option<SystemTime>,
    /// What was granted, where the reply says so; without it, what was asked for (RFC 6749 §5.1).
    pub(crate) scope: Option<String>,
    /// OpenID Connect Core §3.1.3.3.
    pub(crate) id_token: Option<Secret<String>>,
}

/// Reads the reply to a grant; `now` is when it arrived.
///
/// # Errors
/// [`Refused`] for everything but a 200 or 201 whose body is one JSON object with a usable access token and no error.
pub(crate) fn read(reply: &TokenReply, now: SystemTime) -> Result<Tokens, Refused> {
    let status = reply.status;
    let malformed = |reason| Refused::Malformed { status, reason };
    let parsed: Result<Raw, _> = parse(reply);
    if let Some(refused) = refused(reply, parsed.as_ref().ok(), now) {
        return Err(refused);
    }
    let raw = parsed.map_err(malformed)?;
    if !good(status) {
        return Err(malformed("the status is not 200"));
    }
    raw.tokens(now).map_err(malformed)
}

/// Why the reply is none of success, whatever is asked there: it redirects, carries an error under whatever status, or has a status that
/// decides by itself. Its shape and its other statuses are the reader's to judge.
pub(super) fn refusal(reply: &TokenReply, now: SystemTime) -> Option<Refused> {
    refused(reply, parse(reply).ok().as_ref(), now)
}

/// The error word of the reply (RFC 6749 §5.2), whatever the status.
pub(super) fn error_word(reply: &TokenReply) -> Option<String> {
    let raw: Raw = parse(reply).ok()?;
    raw.error?.as_str().map(str::to_owned)
}

fn refused(reply: &TokenReply, raw: Option<&Raw>, now: SystemTime) -> Option<Refused> {
    let status = reply.status;
    if status.is_redirection() {
        return Some(Refused::Malformed { status, reason: "it redirects" });
    }
    let words = raw.map(Raw::words).unwrap_or_default();
    let has_error = raw.is_some_and(|raw| raw.error.is_some());
    judge(status, &words, has_error, retry_after(reply, now)).filter(|_| has_error || !good(status))
}

/// Reads the reply to a request for an installation token ("Create an installation access token for an app", GitHub): 201 with `token`
/// and `expires_at` in RFC 3339.
///
/// # Errors
/// [`Refused`] for everything else. A 401 or 404 is final only in GitHub's own words, a `message` beside its `documentation_url`: the key,
/// the app or the installation is gone.
pub(crate) fn read_installation(reply: &TokenReply, now: SystemTime) -> Result<Tokens, Refused> {
    let status = reply.status;
    let malformed = |reason| Refused::Malformed { status, reason };
    let retry_after = retry_after(reply, now);
    if status.is_redirection() {
        return Err(malformed("it redirects"));
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || retry_after.is_some() {
        return Err(Refused::Busy { status, retry_after });
    }
    let raw: Installation = parse(reply).map_err(malformed)?;
    let theirs = raw.message.is_some() && raw.documentation_url.is_some();
    match status {
        StatusCode::CREATED => {
            let tokens = raw.tokens().map_err(malformed)?;
            Ok(Tokens { expires_at: tokens.expires_at.map(|end| reply.by_our_clock(end, now)), ..tokens })
        }
        StatusCode::UNAUTHORIZED if theirs => Err(Refused::InvalidClient { code: "401, the app's key" }),
        StatusCode::NOT_FOUND if theirs => Err(Refused::InvalidGrant { code: "404, no such installation" }),
        _ => Err(malformed("the status is not 201")),
    }
}

#[derive(Deserialize)]
struct Installation {
    #[serde(default, deserialize_with = "text_at_most")]
    token: Option<Secret<String>>,
    expires_at: Option<String>,
    message: Option<String>,
    documentation_url: Option<String>,
}

impl Installation {
    fn tokens(self) -> Result<Tokens, &'static str> {
        let access_token = self.token.filter(is_token).ok_or("it has no usable token")?;
        let end = self.expires_at.as_deref().map(str::parse::<jiff::Timestamp>).transpose();
        let end = end.map_err(|_not_a_time: jiff::Error| "its expires_at is not a time of RFC 3339")?;
        Ok(Tokens { access_token, refresh_token: None, expires_at: end.map(SystemTime::from), scope: None, id_token: None })
    }
}

fn good(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED)
}

/// How long the reply asks to wait.
pub(super) fn retry_after(reply: &TokenReply, now: SystemTime) -> Option<Duration> {
    let theirs = reply.their_time(now).unwrap_or(now);
    reply.retry_after.as_ref().and_then(|value| wait(value, theirs))
}

/// Delay in seconds or HTTP date (RFC 9110 §10.2.3), bounded.
fn wait(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let seconds = || Some(Duration::from_secs(text.parse().ok()?));
    let date = || {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(SystemTime::from(at).duration_since(now).unwrap_or_default())
    };
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than fit are still a wish to wait long.
    let wait = if all_digits { seconds().or(Some(RETRY_AFTER_LIMIT)) } else { date() };
    wait.map(|wait| wait.min(RETRY_AFTER_LIMIT))
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(reply: &TokenReply) -> Result<T, &'static str> {
    let body = reply.body.expose();
    if body.len() > REPLY_LIMIT {
        return Err("it is larger than 64 KiB");
    }
    if !reply.content_type.as_ref().is_none_or(is_json) {
        return Err("its content type is not JSON");
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("it is not a JSON object");
    }
    // The parser's own message quotes what it stumbled over, which may be a token.
    serde_json::from_slice(body).map_err(|_quotes: serde_json::Error| "it is not a JSON object of the right types")
}

/// `text/plain` is let through: refusing it would lose a rotated token over a label.
pub(super) fn is_json(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let plain = ["application/json", "text/json", "text/javascript", "application/javascript", "text/plain", ""];
    plain.contains(&essence.as_str()) || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The members we look at; serde refuses one that comes twice.
#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "text")]
    access_token: Option<Secret<String>>,
    /// Where there is no `access_token` ("Token Authentication Specification" of the CNCF's distribution project).
    #[serde(default, deserialize_with = "text_at_most")]
    token: Option<Secret<String>>,
    #[serde(default, deserialize_with = "text")]
    refresh_token: Option<Secret<String>>,
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
    scope: Option<Value>,
    #[serde(default, deserialize_with = "text")]
    id_token: Option<Secret<String>>,
    error: Option<Value>,
    code: Option<Value>,
    status: Option<Value>,
    /// Slack's tokens of a person ("oauth.v2.access"), where no bot's were asked for.
    authed_user: Option<Box<Self>>,
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

/// What is not ours to refuse: other services may mean something else by the name.
fn text_at_most<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(Secret::new(text)),
        _ => None,
    })
}

impl Raw {
    /// The words that may say what is wrong: RFC 6749 §5.2 puts one in `error`, some services in `code` or `status`.
    fn words(&self) -> Vec<&str> {
        [&self.error, &self.code, &self.status].into_iter().filter_map(|value| value.as_ref()?.as_str()).collect()
    }

    fn tokens(mut self, now: SystemTime) -> Result<Tokens, &'static str> {
        if let Some(inner) = self.authed_user.take_if(|_| self.access_token.is_none()) {
            return inner.tokens(now);
        }
        let access_token = self.access_token.or(self.token).ok_or("it has no access token")?;
        let refresh_token = self.refresh_token.filter(|token| !token.expose().is_empty());
        if ![Some(&access_token), refresh_token.as_ref()].into_iter().flatten().all(is_token) {
            return Err("a token has bytes that no token has");
        }
        if !self.token_type.as_deref().is_none_or(is_bearer) {
            return Err("its token type is not a bearer token");
        }
        let lifetime = self.expires_in.as_ref().map_or(Ok(None), seconds)?;
        let expires_at = lifetime.and_then(|lifetime| now.checked_add(Duration::from_secs(lifetime)));
        let scope = self.scope.as_ref().and_then(Value::as_str).map(str::to_owned);
        Ok(Tokens { access_token, refresh_token, expires_at, scope, id_token: self.id_token })
    }
}

/// RFC 6749 appendix A.12 and A.17: visible ASCII; a blank is in the grammar and in no token.
pub(super) fn is_token(token: &Secret<String>) -> bool {
    let text = token.expose();
    (1..=TOKEN_LIMIT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// RFC 6749 §7.1: a type we do not understand must not be used. Some services name the holder instead of the type.
fn is_bearer(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.contains("bearer") || ["", "token", "bot", "user", "oauth", "oauth2", "access_token"].contains(&kind.as_str())
}

/// Whole seconds, also as text or with a fraction; zero and less is how some services say "unlimited".
pub(super) fn seconds(value: &Value) -> Result<Option<u64>, &'static str> {
    let odd = "its expires_in is not a number of seconds";
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64().ok_or(odd)?,
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse::<f64>().map_err(|_not_a_number: std::num::ParseFloatError| odd)?,
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(odd),
    };
    if !number.is_finite() {
        return Err(odd);
    }
    // `as` saturates: what is too large becomes the largest and is then no limit at all.
    Ok(Some(number as u64).filter(|seconds| (1..=LIFETIME_LIMIT).contains(seconds)))
}

#[cfg(test)]
mod tests;
