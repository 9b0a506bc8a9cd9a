//! Signatures: credentials that are proven on a request and never shown.
//!
//! A signer is given the request as the service will get it, its slots empty, and says which header fields and which target it gets.

pub(crate) mod aws;
pub(crate) mod jwt;
mod mac;

use std::time::SystemTime;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A request as far as a signature can cover it.
pub(crate) struct Unsigned<'a> {
    /// The method as sent.
    pub(crate) method: &'a Method,
    /// `Host` as it is written on the wire: without a default port.
    pub(crate) host: &'a str,
    /// Path and query as sent, without what the caller signed with.
    pub(crate) target: &'a PathAndQuery,
    /// Header fields as sent, without what the caller signed with.
    pub(crate) headers: &'a HeaderMap,
    /// The body, where the signature asked for it.
    pub(crate) body: Option<&'a [u8]>,
    /// Now, by the wall clock.
    pub(crate) time: SystemTime,
}

/// What a signature adds.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    /// Header fields to set, each instead of all of its name; those that carry the signature are marked sensitive.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The target instead of the caller's, where the signature is in the query.
    pub(crate) target: Option<PathAndQuery>,
}
