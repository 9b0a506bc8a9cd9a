//! `Body`: what callers and services of a test send: nothing, bytes at once, or bytes as the test hands them out.

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// No body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// These bytes, with their length.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of unknown length that the test feeds; it ends when the sender is dropped and breaks when it aborts.
pub(crate) fn channel() -> (Sender<Bytes, BoxError>, Body) {
    let (sender, body) = Channel::new(4);
    (sender, body.boxed_unsync())
}
