//! What HTTP/2 lets through that no HTTP/1.1 service may see (RFC 9113 §8.2, §8.3).

use http::header::{CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use hyper::ext::Protocol;

use super::fields::{check, may_trail};
use super::grammar::{check_text, decimal, is_host_port, is_origin_form, is_token};
use super::{Limits, Malformed};

/// Checks a request that came over HTTP/2 by the rules that [`super::Gate`] keeps for HTTP/1.1, its
/// bounds among them: a head is as large as it would be there.
///
/// # Errors
/// [`Malformed`] for whatever could mean something else once it is written as HTTP/1.1.
pub(crate) fn check_h2_request(parts: &Parts, limits: &Limits) -> Result<(), Malformed> {
    check_size(parts, limits)?;
    check_pseudo_fields(parts)?;
    for (name, value) in &parts.headers {
        check_field(name, value)?;
    }
    check_single(&parts.headers)
}

/// What [`Limits`] allow, counted as HTTP/1.1 would write it.
fn check_size(parts: &Parts, limits: &Limits) -> Result<(), Malformed> {
    let within = |length: usize, limit: u32| u32::try_from(length).is_ok_and(|length| length <= limit);
    let target = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
    check(within(target, limits.target), Malformed::TargetTooLong)?;
    check(parts.headers.len() <= usize::from(limits.fields), Malformed::TooManyFields)?;
    let line = |length: usize, around: &str| length + around.len();
    let fields = parts.headers.iter().map(|(name, value)| line(name.as_str().len() + value.len(), ": \r\n"));
    let start = line(parts.method.as_str().len() + target, "  HTTP/1.1\r\n");
    let host = parts.uri.authority().map_or(0, |authority| line(authority.as_str().len(), "host: \r\n"));
    check(within(start + host + fields.sum::<usize>() + "\r\n".len(), limits.head), Malformed::HeadTooLarge)
}

/// Checks the trailers of a message that came over HTTP/2.
///
/// # Errors
/// [`Malformed`] for a field that may not follow a body, or that HTTP/1.1 can't carry.
pub(crate) fn check_trailers(trailers: &HeaderMap) -> Result<(), Malformed> {
    trailers.iter().try_for_each(|(name, value)| {
        check(may_trail(name.as_str().as_bytes()), Malformed::Trailer)?;
        check_bytes(name, value)
    })
}

/// RFC 9113 §8.3.1, and §8.5 for CONNECT, which is taken only in its extended form (RFC 8441 §4).
fn check_pseudo_fields(parts: &Parts) -> Result<(), Malformed> {
    check(is_token(parts.method.as_str().as_bytes()), Malformed::Method)?;
    let protocol = parts.extensions.get::<Protocol>();
    check((parts.method == Method::CONNECT) == protocol.is_some(), Malformed::Method)?;
    check(protocol.is_none_or(|protocol| is_token(protocol.as_str().as_bytes())), Malformed::PseudoField)?;
    check(parts.uri.scheme_str() == Some("https"), Malformed::PseudoField)?;
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    check(authority.is_some_and(is_host_port), Malformed::PseudoField)?;
    let path = parts.uri.path_and_query().map(|path| path.as_str().as_bytes()).unwrap_or_default();
    check(is_origin_form(path) || (path == b"*" && parts.method == Method::OPTIONS), Malformed::Target)?;
    match (authority, parts.headers.get(HOST)) {
        (Some(authority), Some(host)) => check(is_same_https(authority, host.as_bytes()), Malformed::Host),
        _ => Ok(()),
    }
}

/// The same host and port, 443 written or not.
fn is_same_https(left: &[u8], right: &[u8]) -> bool {
    let bare = |authority: &[u8]| authority.strip_suffix(b":443").unwrap_or(authority).to_ascii_lowercase();
    bare(left) == bare(right)
}

fn check_field(name: &HeaderName, value: &HeaderValue) -> Result<(), Malformed> {
    check_bytes(name, value)?;
    match name.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" | "http2-settings" => {
            Err(Malformed::ConnectionSpecific)
        }
        "te" => check(value.as_bytes().eq_ignore_ascii_case(b"trailers"), Malformed::ConnectionSpecific),
        "content-length" => check(decimal(value.as_bytes()).is_some(), Malformed::ContentLength),
        "expect" => check(value.as_bytes().eq_ignore_ascii_case(b"100-continue"), Malformed::Expect),
        _ => Ok(()),
    }
}

/// A name that is a token, a value of plain text. White space around it is let through although RFC 9113 §8.2.1 forbids it: curl
/// sends `Bearer ` with nothing behind it for an empty variable, and in HTTP/1.1's form it means nothing.
fn check_bytes(name: &HeaderName, value: &HeaderValue) -> Result<(), Malformed> {
    check(is_token(name.as_str().as_bytes()), Malformed::FieldName)?;
    check_text(value.as_bytes(), false).map_err(|_finer: Malformed| Malformed::Field)
}

/// Fields of which a second one could win over the first.
fn check_single(headers: &HeaderMap) -> Result<(), Malformed> {
    let repeated = |name: HeaderName| headers.get_all(name).iter().nth(1).is_some();
    check(!repeated(HOST), Malformed::HostCount)?;
    check(!repeated(CONTENT_LENGTH), Malformed::ContentLengthRepeated)?;
    check(!repeated(TE) && !repeated(EXPECT), Malformed::ConnectionSpecific)?;
    check(!repeated(PROXY_AUTHORIZATION), Malformed::ProxyAuthorizationRepeated)
}
