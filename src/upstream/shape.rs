//! The form a request takes for the version, and the way, that it goes by.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Method, Request};
use zeroize::Zeroizing;

use super::Destination;
use super::dial::Through;

/// RFC 9113 §8.3.1: scheme and authority go into pseudo-fields, `Host` goes.
pub(super) fn to_http2<B>(to: &Destination<'_>, mut request: Request<B>) -> Request<B> {
    let authority = to.authority.as_written(to.scheme);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = to.scheme.as_str().parse().ok();
    parts.authority = authority.parse().ok();
    if let Ok(uri) = http::Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = http::Version::HTTP_2;
    request.headers_mut().remove(http::header::HOST);
    request.headers_mut().remove(http::header::CONNECTION);
    // No 100 is heard there: the body finds out otherwise whether it is wanted.
    request.headers_mut().remove(http::header::EXPECT);
    request
}

/// As a parent wants it. A request that comes back unsent keeps it: whatever goes to this authority goes through the same parent.
pub(super) fn to_absolute_form<B>(to: &Destination<'_>, through: &Through, request: &mut Request<B>) {
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    // OPTIONS of the whole service has no path in this form (RFC 9112 §3.2.4).
    let path = if path == "*" { "" } else { path };
    let authority = to.authority.as_written(to.scheme);
    if let Ok(uri) = format!("{}://{authority}{path}", to.scheme.as_str()).parse() {
        *request.uri_mut() = uri;
    }
    if let Some(value) = &through.authorization {
        request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, value.clone());
    }
}

/// The inverse, for a request that HTTP/2 gave back unsent. `TE` is the next hop's only (RFC 9110 §10.1.4).
pub(super) fn to_http1<B>(to: &Destination<'_>, request: &mut Request<B>) {
    let headers = request.headers_mut();
    if headers.contains_key(http::header::TE) && !headers.contains_key(http::header::CONNECTION) {
        headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("TE"));
    }
    if request.version() != http::Version::HTTP_2 {
        return;
    }
    let authority = to.authority.as_written(to.scheme);
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| http::Uri::from_static("/"), http::Uri::from);
    *request.version_mut() = http::Version::HTTP_11;
    if let Ok(value) = authority.parse() {
        request.headers_mut().insert(http::header::HOST, value);
    }
}

/// Most request heads are smaller.
const HEAD: usize = 2 * 1024;

/// The bytes of a request whose body is `whole` (RFC 9112 §2.1), wiped when they are dropped. Its fields frame it, or it has no body.
pub(crate) fn written<'f>(
    method: &Method,
    target: &str,
    fields: impl Iterator<Item = (&'f HeaderName, &'f HeaderValue)>,
    whole: &Bytes,
) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + target.len() + whole.len()));
    bytes.extend_from_slice(method.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(target.as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    let mut framed = whole.is_empty();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        framed |= *name == CONTENT_LENGTH;
    }
    if !framed {
        bytes.extend_from_slice(format!("content-length: {}\r\n", whole.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(whole);
    bytes
}

/// As [`written`], of a request as the engine would take it.
pub(crate) fn request_written<B>(request: &Request<B>, whole: &Bytes) -> Zeroizing<Vec<u8>> {
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    written(request.method(), target, request.headers().iter(), whole)
}
