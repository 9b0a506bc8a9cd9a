//! Signatures: credentials that are proven on a request and never shown.
//!
//! A signer is given the request as the service will get it, its slots empty, and says which header fields and which target it gets.

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod digest;
pub(crate) mod hmac;
pub(crate) mod jwt;
mod mac;
pub(crate) mod oauth1;
mod text;
mod time;

use std::fmt;
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
#[derive(Default)]
pub(crate) struct Signed {
    /// Header fields to set, each instead of all of its name; those that carry the signature are marked sensitive.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The target instead of the caller's, where the signature is in the query.
    pub(crate) target: Option<PathAndQuery>,
}

impl fmt::Debug for Signed {
    /// Names only: a target may carry the signature, or a stored one, in its query.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        formatter.debug_struct("Signed").field("headers", &names).field("new_target", &self.target.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i1_debug_never_shows_what_was_signed_with() {
        let headers = vec![(http::header::AUTHORIZATION, HeaderValue::from_static("hunter2"))];
        let signed = Signed { headers, target: Some(PathAndQuery::from_static("/?sig=hunter2")) };
        assert_eq!(format!("{signed:?}"), r#"Signed { headers: ["authorization"], new_target: true }"#);
    }
}
