//! What a service says over HTTP/2 about a request that it has not acted on.

use std::error::Error as _;

/// Why the request that met `cause` may be sent again, whatever its method: the service guarantees that it did not process it
/// (RFC 9113 §8.7). The word is for the record.
pub(super) fn why(cause: &hyper::Error) -> Option<&'static str> {
    let cause = cause.source()?.downcast_ref::<h2::Error>()?;
    if !cause.is_remote() {
        return None;
    }
    if cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM) {
        return Some("refused_stream");
    }
    // A GOAWAY ends only the streams above the last one that it names; the others go on.
    cause.is_go_away().then_some("goaway")
}
