//! The form a request takes for the version, and the way, that it goes by.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE};
use http::{HeaderName, HeaderValue, Method, Request};

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
    request.headers_mut().remove(HOST);
    request.headers_mut().remove(CONNECTION);
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

/// The inverse, for a request that HTTP/2 gave back unsent.
pub(super) fn to_http1<B>(to: &Destination<'_>, request: &mut Request<B>) {
    let headers = request.headers_mut();
    if headers.contains_key(TE) && !headers.contains_key(CONNECTION) {
        headers.insert(CONNECTION, HeaderValue::from_static("TE"));
    }
    if request.version() != http::Version::HTTP_2 {
        return;
    }
    let authority = to.authority.as_written(to.scheme);
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| http::Uri::from_static("/"), http::Uri::from);
    *request.version_mut() = http::Version::HTTP_11;
    if let Ok(value) = authority.parse() {
        request.headers_mut().insert(HOST, value);
    }
}

/// Room for the version, the line ends, `Content-Length` and `Connection`.
const AROUND: usize = 96;

/// The bytes of a request, credential and all; wiped when they are dropped.
pub(crate) struct Written(Vec<u8>);

impl std::ops::Deref for Written {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // Whole vectors at a time: `Zeroizing` writes each byte by itself.
        self.0.fill(0);
        zeroize::optimization_barrier(self.0.as_slice());
    }
}

/// The bytes of a request whose body is `whole` (RFC 9112 §2.1). Its fields frame it, or it has no body; they are gone through twice.
pub(crate) fn written<'f, F>(method: &Method, target: &str, fields: impl Fn() -> F, whole: &Bytes) -> Written
where
    F: Iterator<Item = (&'f HeaderName, &'f HeaderValue)>,
{
    let method = method.as_str();
    // All the room it will need: what moves to a larger place leaves a copy behind.
    let room = fields().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    let mut bytes = Vec::with_capacity(method.len() + target.len() + room + whole.len() + AROUND);
    bytes.extend_from_slice(method.as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(target.as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    let (mut framed, mut te, mut connection) = (whole.is_empty(), false, false);
    for (name, value) in fields() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend(b"\r\n");
        framed |= *name == CONTENT_LENGTH;
        te |= *name == TE;
        connection |= *name == CONNECTION;
    }
    // RFC 9110 §10.1.4: `TE` is the next hop's only, and says so.
    if te && !connection {
        bytes.extend_from_slice(b"connection: TE\r\n");
    }
    if !framed {
        bytes.extend_from_slice(format!("content-length: {}\r\n", whole.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(whole);
    Written(bytes)
}

/// As [`written`], of a request as the engine would take it.
pub(crate) fn request_written<B>(request: &Request<B>, whole: &Bytes) -> Written {
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    written(request.method(), target, || request.headers().iter(), whole)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::model::{Authority, Scheme};
    use crate::upstream::Versions;

    #[test]
    fn what_http2_gave_back_is_written_with_its_host() {
        let authority: Authority = "api.acme.test:8443".parse().expect("an authority");
        let to = Destination {
            scheme: Scheme::Https,
            authority: &authority,
            versions: Versions::Any,
            agent: &"local".into(),
            progress: &Rc::new(Cell::new(0)),
            head_method: false,
            upgrade: false,
            whole: None,
            on_http2: &|| {},
        };
        let request = Request::builder().uri("/a?b").header(HOST, "api.acme.test:8443").header(TE, "trailers").body(());
        let mut request = to_http2(&to, request.expect("a request"));
        assert!(!request.headers().contains_key(HOST));
        to_http1(&to, &mut request);
        let text = String::from_utf8(request_written(&request, &Bytes::new()).to_vec()).expect("text");
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\n"), "{text}");
        for line in ["host: api.acme.test:8443\r\n", "te: trailers\r\n", "connection: TE\r\n"] {
            assert_eq!(text.matches(line).count(), 1, "{line}{text}");
        }
    }

    #[test]
    fn a_body_is_framed_once_and_what_held_the_request_never_moved() {
        let most = HeaderValue::from_bytes(&[b'a'; 2500]).expect("a value");
        for fields in [vec![(CONTENT_LENGTH, HeaderValue::from(4))], vec![(HOST, most)], Vec::new()] {
            let body = Bytes::from_static(b"body");
            let fields = || fields.iter().map(|(name, value)| (name, value));
            let written = written(&Method::OPTIONS, "*", fields, &body);
            let text = String::from_utf8_lossy(&written);
            assert_eq!(text.matches("content-length: 4\r\n").count(), 1, "{text}");
            assert!(text.ends_with("\r\n\r\nbody"));
            assert!(written.0.capacity() - written.len() <= AROUND, "its room was known beforehand");
        }
    }
}
