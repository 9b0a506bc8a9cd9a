//! The line a head begins with (RFC 9112 §3 and §4).

use http::Version;

use super::fields::check;
use super::grammar::{is_host_port, is_origin_form, is_token, split_at_byte};
use super::{Limits, Malformed};

/// The form of a request-target (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `/path?query`.
    Origin,
    /// `http://host/path`.
    Absolute,
    /// `host:port`, of CONNECT.
    Authority,
    /// `*`, of OPTIONS.
    Asterisk,
}

/// A start line, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Request {
        method: u16,
        target: u32,
        form: Form,
    },
    Status(u16),
    /// Trailers have none.
    None,
}

/// RFC 9112 §3: `method SP request-target SP HTTP-version`.
pub(super) fn request_line(line: &[u8], limits: &Limits) -> Result<(Start, Version), Malformed> {
    let (method, rest) = split_at_byte(line, b' ').ok_or(Malformed::RequestLine)?;
    check(is_token(method), Malformed::Method)?;
    let (target, version) = split_at_byte(rest, b' ').ok_or(Malformed::RequestLine)?;
    check(!target.is_empty() && !version.contains(&b' '), Malformed::RequestLine)?;
    check(target.len() <= limits.target as usize, Malformed::TargetTooLong)?;
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        _ => return Err(Malformed::Version),
    };
    let form = target_form(method, target)?;
    let method = u16::try_from(method.len()).ok().ok_or(Malformed::Method)?;
    let target = u32::try_from(target.len()).ok().ok_or(Malformed::TargetTooLong)?;
    Ok((Start::Request { method, target, form }, version))
}

/// RFC 9112 §3.2. Methods are case-sensitive, so only `CONNECT` itself takes the authority form.
fn target_form(method: &[u8], target: &[u8]) -> Result<Form, Malformed> {
    let (fits, form) = match (method, target.first()) {
        (b"CONNECT", _) => (is_host_port(target), Form::Authority),
        (b"OPTIONS", Some(b'*')) => (target.len() == 1, Form::Asterisk),
        (_, Some(b'/')) => (is_origin_form(target), Form::Origin),
        _ => (is_absolute_form(target), Form::Absolute),
    };
    check(fits, Malformed::Target)?;
    Ok(form)
}

/// `http://host[:port]/…` or `https://…`: no other scheme, no userinfo (RFC 9112 §3.2.2, RFC 9110 §4.2.4).
fn is_absolute_form(target: &[u8]) -> bool {
    let after = |scheme: &[u8]| target.split_at_checked(scheme.len()).filter(|(start, _)| start.eq_ignore_ascii_case(scheme));
    let Some((_, rest)) = after(b"http://").or_else(|| after(b"https://")) else { return false };
    // A query right behind the host has no path to forward; a careful client writes the `/` (RFC 9110 §4.2.3).
    let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    let Some((authority, path)) = rest.split_at_checked(end) else { return false };
    is_host_port(authority) && (path.is_empty() || is_origin_form(path))
}

/// RFC 9112 §4. Real services leave out the space before an empty reason, and some have statuses of their own above 599 (LinkedIn's
/// 999), which a caller takes for a 5xx (RFC 9110 §15) and may know by number.
pub(super) fn status_line(line: &[u8]) -> Result<(Start, Version), Malformed> {
    let version = match line.get(..9) {
        Some(b"HTTP/1.1 ") => Version::HTTP_11,
        Some(b"HTTP/1.0 ") => Version::HTTP_10,
        _ => return Err(Malformed::StatusLine),
    };
    let digits = line.get(9..12).filter(|digits| digits.iter().all(u8::is_ascii_digit)).ok_or(Malformed::StatusLine)?;
    check(matches!(line.get(12), None | Some(b' ')), Malformed::StatusLine)?;
    let status = digits.iter().fold(0_u16, |status, digit| status * 10 + u16::from(digit - b'0'));
    check(status >= 100, Malformed::StatusLine)?;
    Ok((Start::Status(status), version))
}
