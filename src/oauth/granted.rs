//! What a token endpoint answers to a person's log-in: the tokens are taken out of it, worthless ones put in, and whatever else could be a
//! credential with them. Pure.

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::asked::decoded;
use super::cleaned::{Cleaner, StandIns, is_token_name};
use super::reply::{is_json, is_token, seconds};
use crate::model::Secret;

/// Bytes of such an answer that are read at most.
pub(crate) const GRANTED_LIMIT: usize = 256 * 1024;

/// Why tokens can't be taken out of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Odd {
    /// A form or JSON it is not, or one of another shape.
    #[error("it is neither a JSON object nor a form")]
    Format,
    /// It says that there is an error, and has tokens.
    #[error("it has tokens and an error")]
    TokensAndError,
    /// Tokens of other kinds only, or one that no header can carry.
    #[error("it has tokens, but no access token that a request could carry")]
    NoAccessToken,
    /// No token that we know as one, and something that could be.
    #[error("it has no access token, but may hold another credential")]
    Unknown,
    /// A token would still be in what the caller gets.
    #[error("its tokens are in it more than once")]
    Repeated,
}

/// An answer of a success status, as it was read.
pub(crate) enum Granted {
    /// No token is in it: an error, or that the person has not decided yet (RFC 8628 §3.5).
    Nothing,
    /// Tokens.
    Tokens(Box<Login>),
}

/// What a log-in gave. It has no `Debug`: all of it may be secret.
pub(crate) struct Login {
    /// RFC 6749 §5.1.
    pub(crate) access_token: Secret<String>,
    /// Where one was given.
    pub(crate) refresh_token: Option<Secret<String>>,
    /// Where the answer says how long the access token lives.
    pub(crate) expires_at: Option<SystemTime>,
    /// Where the answer says what was granted.
    pub(crate) scope: Option<String>,
    document: Document,
    form: bool,
}

/// The members of the answer, wiped when it goes.
struct Document(Map<String, Value>);

impl Drop for Document {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// Overwrites every text in `value`.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Reads the answer, which came at `now` and was decoded already.
///
/// # Errors
/// As [`Odd`] says: then it is not for the caller.
pub(crate) fn read_granted(kind: Option<&HeaderValue>, body: &[u8], now: SystemTime) -> Result<Granted, Odd> {
    if body.trim_ascii().is_empty() {
        return Ok(Granted::Nothing);
    }
    let (document, form) = parse(kind, body).ok_or(Odd::Format)?;
    let named = document.0.iter().any(|(name, value)| names_token(name, value));
    let says = |name: &str| document.0.get(name);
    let slacks = says("ok") == Some(&Value::Bool(false));
    if slacks || says("error").is_some_and(|error| !matches!(error, Value::Null | Value::Bool(false))) {
        return if named { Err(Odd::TokensAndError) } else { Ok(Granted::Nothing) };
    }
    // Slack's user tokens stand one level deeper, and are the only ones where nobody asked for a bot's.
    let nested = || document.0.values().filter_map(Value::as_object).find(|inner| text(inner, "access_token").is_some());
    let holder = if text(&document.0, "access_token").is_some() { Some(&document.0) } else { nested() };
    let Some(holder) = holder else {
        return match named {
            true => Err(Odd::NoAccessToken),
            false if is_clean(&document.0) => Ok(Granted::Nothing),
            false => Err(Odd::Unknown),
        };
    };
    let secret = |name: &str| text(holder, name).map(|text| Secret::new(text.to_owned()));
    let access_token = secret("access_token").filter(is_token).ok_or(Odd::NoAccessToken)?;
    let lifetime = holder.get("expires_in").and_then(|value| seconds(value).ok().flatten());
    let scope = text(holder, "scope").map(str::to_owned);
    let (refresh_token, expires_at) = (
        secret("refresh_token").filter(is_token),
        lifetime.and_then(|lifetime| now.checked_add(Duration::from_secs(lifetime))),
    );
    Ok(Granted::Tokens(Box::new(Login { access_token, refresh_token, expires_at, scope, document, form })))
}

/// Whether bytes that can't be read as an answer may hold a token all the same.
pub(crate) fn mentions_token(body: &[u8]) -> bool {
    // Letters of two bytes each (UTF-16): no text that we read.
    let wide = memchr::memchr(0, body).is_some();
    wide || [&b"access_token"[..], b"refresh_token", b"id_token"].iter().any(|name| memchr::memmem::find(body, name).is_some())
}

impl Login {
    /// The text of a member that is no secret for certain, such as the address of an instance.
    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        text(&self.document.0, name).filter(|_| !is_token_name(name))
    }

    /// What the caller gets, and its type: the same members in the same form, nothing of worth in them.
    ///
    /// # Errors
    /// [`Odd::Repeated`] where a credential that was taken out would still be there.
    pub(crate) fn answer(&self, stand_ins: &StandIns<'_>) -> Result<(String, &'static str), Odd> {
        let mut cleaner = Cleaner::new(stand_ins);
        let members = cleaner.object(&self.document.0, 0);
        let shown: Vec<&str> = texts(&members).collect();
        let own = [Some(&self.access_token), self.refresh_token.as_ref()];
        let known = own.into_iter().flatten().map(Secret::expose).chain(cleaner.certain.iter().map(|taken| &**taken));
        let mut known = known.filter(|secret| secret.len() >= SHORTEST);
        if known.any(|secret| shown.iter().any(|text| text.contains(secret.as_str()))) {
            return Err(Odd::Repeated);
        }
        let text = if self.form { form(&members) } else { Value::Object(members).to_string() };
        Ok((text, if self.form { "application/x-www-form-urlencoded; charset=utf-8" } else { "application/json" }))
    }
}

/// Every name and text.
pub(super) fn texts(members: &Map<String, Value>) -> Box<dyn Iterator<Item = &str> + '_> {
    fn inside(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
        match value {
            Value::String(text) => Box::new(std::iter::once(text.as_str())),
            Value::Array(items) => Box::new(items.iter().flat_map(inside)),
            Value::Object(members) => texts(members),
            Value::Null | Value::Bool(_) | Value::Number(_) => Box::new(std::iter::empty()),
        }
    }
    Box::new(members.iter().flat_map(|(name, value)| std::iter::once(name.as_str()).chain(inside(value))))
}

/// Shorter ones would be found in innocent text.
pub(super) const SHORTEST: usize = 8;

/// Whether nothing would be taken out of it.
fn is_clean(members: &Map<String, Value>) -> bool {
    let stand_ins = StandIns { access_token: "", refresh_token: "", other: "", signature: &|_algorithm| String::new() };
    let mut cleaner = Cleaner::new(&stand_ins);
    let cleaned = cleaner.object(members, 0);
    cleaner.taken.is_empty() && cleaner.certain.is_empty() && cleaned == *members
}

/// Whether a member, or one inside it, is called a token and has a text.
fn names_token(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty() && is_token_name(name),
        Value::Array(items) => items.iter().any(|item| names_token(name, item)),
        Value::Object(members) => members.iter().any(|(name, value)| names_token(name, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    members.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// JSON, or a form as GitHub answers to who does not ask for JSON. What calls itself plain text, HTML or nothing is what it looks like.
fn parse(kind: Option<&HeaderValue>, body: &[u8]) -> Option<(Document, bool)> {
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let said = |kind: &str| HeaderValue::from_str(kind).is_ok_and(|kind| is_json(&kind));
    let looks_json = body.trim_ascii_start().starts_with(b"{");
    if looks_json && (said(essence) || essence == "text/html") {
        let members = serde_json::from_slice(body).ok()?;
        return Some((Document(members), false));
    }
    if looks_json || !matches!(essence, "application/x-www-form-urlencoded" | "text/plain" | "text/html" | "") {
        return None;
    }
    let text =
        std::str::from_utf8(body.trim_ascii()).ok().filter(|text| text.contains('=') && !text.contains(['<', '\n', ';']))?;
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pair = |(name, value): (&str, &str)| (decoded(name).into_owned(), Value::String(decoded(value).into_owned()));
    Some((Document(pairs.map(pair).collect()), true))
}

/// RFC 6749 appendix B. Only texts come out of a form.
fn form(members: &Map<String, Value>) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pair = |(name, value): (&String, &Value)| {
        let value = Zeroizing::new(value.as_str().unwrap_or_default().to_owned());
        format!("{}={}", encoded(name), encoded(&value))
    };
    members.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
#[path = "granted_tests.rs"]
mod tests;
