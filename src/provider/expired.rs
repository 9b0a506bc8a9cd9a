//! Answers that mean that a credential is dead, where a service says so by something else than 401; and 401s that mean something else.

use std::fmt;

use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, StatusCode};

/// So much of a body is looked at, in bytes.
pub const LOOKED_AT: usize = 8 * 1024;

/// Authentication schemes (RFC 9110 §11.1) that ask for something else than a stored credential: a hash over a nonce, the user's
/// domain, a one-time password. A 401 that asks for nothing else says nothing about the credential.
const OTHER_SCHEMES: [&str; 4] = ["digest", "negotiate", "ntlm", "otp"];

/// One `[[expired]]` or `[[not_expired]]` table. All that it names must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Any of these; empty = any status.
    pub status: Vec<StatusCode>,
    /// A header whose value holds this text, in any letter case.
    pub header: Option<(HeaderName, String)>,
    /// Any of these stands in the first 8 KiB of the body, blanks aside; empty = whatever the body says.
    pub body: Vec<String>,
}

/// As a person would say it.
impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status: Vec<&str> = self.status.iter().map(StatusCode::as_str).collect();
        formatter.write_str(&status.join("/"))?;
        if let Some((name, text)) = &self.header {
            write!(formatter, " with {name}: …{text}…")?;
        }
        if self.body.is_empty() { Ok(()) } else { write!(formatter, " saying {}", self.body.join(" or ")) }
    }
}

/// What an answer says about the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It was taken, or the answer is about something else.
    Alive,
    /// It is dead.
    Expired,
    /// The beginning of the body decides.
    Look,
}

/// What a provider's answers mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// `[[expired]]`.
    pub expired: Vec<Signal>,
    /// `[[not_expired]]`; these win.
    pub not_expired: Vec<Signal>,
}

impl Signals {
    /// Whether a body is ever looked at.
    pub fn look_at_bodies(&self) -> bool {
        self.expired.iter().chain(&self.not_expired).any(|signal| !signal.body.is_empty())
    }

    /// Judges an answer by its head and, once it is there, the beginning of its body.
    pub fn judge(&self, status: StatusCode, headers: &HeaderMap, body: Option<&[u8]>) -> Judgement {
        let plain = body.map(without_blanks);
        let holds = |signal: &Signal| signal.holds(status, headers, plain.as_deref());
        let (alive, dead) = (strongest(self.not_expired.iter().map(holds)), strongest(self.expired.iter().map(holds)));
        let dead = if says_so(status, headers) { Some(true) } else { dead };
        match (alive, dead) {
            (Some(true), _) | (_, Some(false)) => Judgement::Alive,
            (Some(false), Some(true)) => Judgement::Expired,
            (None, _) | (_, None) => Judgement::Look,
        }
    }
}

/// gRPC over HTTP2, "Responses".
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What every service means by it: 401 (RFC 9110 §15.5.2), or gRPC's UNAUTHENTICATED in an answer that has no body.
fn says_so(status: StatusCode, headers: &HeaderMap) -> bool {
    let grpc = || headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let unauthenticated = || headers.get(GRPC_STATUS).is_some_and(|status| status == "16");
    match status {
        StatusCode::UNAUTHORIZED => !asks_for_another_scheme(headers),
        StatusCode::OK => grpc() && unauthenticated(),
        _ => false,
    }
}

fn asks_for_another_scheme(headers: &HeaderMap) -> bool {
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter().peekable();
    let other = |value: &http::HeaderValue| {
        let scheme = value.as_bytes().split(|byte| matches!(byte, b' ' | b',')).next().unwrap_or_default();
        OTHER_SCHEMES.iter().any(|other| scheme.eq_ignore_ascii_case(other.as_bytes()))
    };
    challenges.peek().is_some() && challenges.all(other)
}

/// Whether any holds; `None` where that can't be said yet and none does for sure.
fn strongest(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut sum = Some(false);
    for one in all {
        match one {
            Some(true) => return one,
            Some(false) => {}
            None => sum = None,
        }
    }
    sum
}

impl Signal {
    /// `None` where it depends on a body that is not there yet.
    fn holds(&self, status: StatusCode, headers: &HeaderMap, body: Option<&[u8]>) -> Option<bool> {
        let header = self.header.as_ref().is_none_or(|(name, text)| {
            let holds = |value: &http::HeaderValue| {
                value.as_bytes().to_ascii_lowercase().windows(text.len()).any(|part| part == text.as_bytes())
            };
            headers.get_all(name).iter().any(holds)
        });
        if !header || !(self.status.is_empty() || self.status.contains(&status)) {
            return Some(false);
        }
        if self.body.is_empty() {
            return Some(true);
        }
        let body = body?;
        Some(self.body.iter().any(|text| memchr::memmem::find(body, text.as_bytes()).is_some()))
    }
}

/// As the texts of a [`Signal`] are kept: `"error": "x"` and `"error":"x"` are one.
pub(super) fn without_blanks(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn signal(status: &[u16], header: Option<(&'static str, &str)>, body: &[&str]) -> Signal {
        Signal {
            status: status.iter().map(|status| StatusCode::from_u16(*status).expect("a status")).collect(),
            header: header.map(|(name, text)| (HeaderName::from_static(name), text.to_owned())),
            body: body.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_401_means_that_it_is_dead_unless_it_asks_for_something_else() {
        let judge = |challenges: &[&'static str]| {
            let headers = challenges.iter().map(|value| (WWW_AUTHENTICATE, HeaderValue::from_static(value))).collect();
            Signals::default().judge(StatusCode::UNAUTHORIZED, &headers, None)
        };
        for challenges in [&[][..], &["Bearer realm=\"x\""], &["Basic"], &["Digest x", "Bearer"], &["", "OTP"]] {
            assert_eq!(judge(challenges), Judgement::Expired, "{challenges:?}");
        }
        for challenges in [&["Digest realm=\"x\", nonce=\"y\""][..], &["OTP"], &["NTLM", "negotiate"]] {
            assert_eq!(judge(challenges), Judgement::Alive, "{challenges:?}");
        }
        assert_eq!(Signals::default().judge(StatusCode::FORBIDDEN, &HeaderMap::new(), None), Judgement::Alive);
    }

    #[test]
    fn grpc_says_it_in_a_field() {
        let judge = |fields| Signals::default().judge(StatusCode::OK, &headers(fields), None);
        assert_eq!(judge(&[("content-type", "application/grpc+proto"), ("grpc-status", "16")]), Judgement::Expired);
        assert_eq!(judge(&[("content-type", "application/grpc"), ("grpc-status", "7")]), Judgement::Alive);
        assert_eq!(judge(&[("content-type", "text/html"), ("grpc-status", "16")]), Judgement::Alive);
    }

    #[test]
    fn a_body_is_looked_at_only_where_status_and_header_fit() {
        let slack =
            signal(&[200], Some(("content-type", "json")), &["\"error\":\"token_expired\"", "\"error\":\"invalid_auth\""]);
        let signals = Signals { expired: vec![slack], not_expired: Vec::new() };
        let json = headers(&[("content-type", "Application/JSON; charset=utf-8")]);
        let judge = |status, headers: &HeaderMap, body| signals.judge(status, headers, body);
        assert_eq!(judge(StatusCode::OK, &json, None), Judgement::Look);
        assert_eq!(judge(StatusCode::CREATED, &json, None), Judgement::Alive);
        assert_eq!(judge(StatusCode::OK, &HeaderMap::new(), None), Judgement::Alive);
        assert_eq!(judge(StatusCode::OK, &json, Some(b"{\"ok\" : false,\n \"error\": \"token_expired\"}")), Judgement::Expired);
        assert_eq!(judge(StatusCode::OK, &json, Some(b"{\"ok\":true}")), Judgement::Alive);
        assert_eq!(judge(StatusCode::UNAUTHORIZED, &json, None), Judgement::Expired);
    }

    #[test]
    fn what_is_not_expired_wins() {
        let dance = signal(&[401], Some(("www-authenticate", "service=")), &[]);
        let named = signal(&[401], None, &["step-up"]);
        let signals = Signals { expired: Vec::new(), not_expired: vec![dance, named] };
        let registry = headers(&[("www-authenticate", "Bearer realm=\"https://a.test/token\",service=\"r\"")]);
        assert_eq!(signals.judge(StatusCode::UNAUTHORIZED, &registry, None), Judgement::Alive);
        assert_eq!(signals.judge(StatusCode::UNAUTHORIZED, &HeaderMap::new(), None), Judgement::Look);
        assert_eq!(signals.judge(StatusCode::UNAUTHORIZED, &HeaderMap::new(), Some(b"step-up needed")), Judgement::Alive);
        assert_eq!(signals.judge(StatusCode::UNAUTHORIZED, &HeaderMap::new(), Some(b"expired")), Judgement::Expired);
        assert_eq!(signals.judge(StatusCode::OK, &HeaderMap::new(), None), Judgement::Alive);
    }
}
