//! AWS Signature Version 4: a request that was signed with placeholder keys is signed anew with the stored ones.
//!
//! [`Plan::of`] reads what the caller's own signature says, before the slots are emptied: for which region and service, in which place,
//! over which header fields, and how it states the body. [`sign`] then signs the request as it goes out. A body in signed chunks goes
//! through the [`Rechunk`] that comes with the signature.
//!
//! Source of the wire format: "AWS Signature Version 4 for API requests" in the IAM User Guide, and "Authenticating Requests" in the
//! Amazon S3 API Reference. The canonical request and its signature are made by `aws-sigv4`, AWS's own signer for Rust.

mod asked;
mod canonical;
mod chunked;
mod error;
mod hosts;
mod keys;
mod payload;
mod query;
mod scope;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName};

pub(crate) use asked::{Asked, Place};
pub(crate) use canonical::sign;
pub(crate) use chunked::{ChunkError, Rechunk};
pub(crate) use error::Error;
pub(crate) use keys::Keys;
pub(crate) use payload::{Body, Payload};
pub(crate) use scope::{Defaults, Scope};

/// How one request is to be signed. It holds for every sending of it.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What the caller's own signature says; none where it sent no signature.
    pub(crate) asked: Option<Asked>,
    /// Region and service to sign for.
    pub(crate) scope: Scope,
    /// How the signature covers the body.
    pub(crate) payload: Payload,
}

impl Plan {
    /// The plan for a request, as the caller sent it, to `host` (with or without a port).
    ///
    /// # Errors
    /// A signature that cannot be read or is of another kind, a scope that does not belong to the host or cannot be told, a body that
    /// is signed in a way that cannot be done anew.
    pub(crate) fn of(headers: &HeaderMap, target: &PathAndQuery, host: &str, defaults: &Defaults<'_>) -> Result<Self, Error> {
        if headers.contains_key(SESSION_HEADER) {
            return Err(Error::ExpressSession);
        }
        let asked = Asked::of(headers, target)?;
        let scope = Scope::of(asked.as_ref(), host, defaults)?;
        let place = asked.as_ref().map_or(Place::Header, |asked| asked.place);
        let payload = Payload::of(headers, target, place, &scope)?;
        Ok(Self { asked, scope, payload })
    }

    /// What [`sign`] needs of the body, and whether the body changes.
    pub(crate) fn body(&self) -> Body {
        self.payload.body()
    }

    /// Where the signature goes: where the caller's was, else in the header.
    pub(crate) fn place(&self) -> Place {
        self.asked.as_ref().map_or(Place::Header, |asked| asked.place)
    }

    /// Whether the signature covers the header field `name`.
    ///
    /// What the caller signed and, in the header form, all that AWS demands ("Create a canonical request": `host`, `content-type`, each
    /// `x-amz-*`); never a field that a proxy on the way may change. A presigned URL is signed for the fields it names and no others.
    fn covers(&self, name: &HeaderName) -> bool {
        if CHANGED_ON_THE_WAY.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
            return false;
        }
        match &self.asked {
            Some(asked) if asked.signed.contains(name) => true,
            Some(asked) => asked.place == Place::Header && name.as_str().starts_with("x-amz-"),
            None => name.as_str().starts_with("x-amz-") || matches!(name.as_str(), "content-type" | "content-md5"),
        }
    }
}

/// Carries the session of an S3 directory bucket, in place of `x-amz-security-token`.
const SESSION_HEADER: &str = "x-amz-s3session-token";

/// Hop-by-hop (RFC 9110 §7.6.1), or set anew by proxies and load balancers; AWS's own signers leave them out.
const CHANGED_ON_THE_WAY: [&str; 13] = [
    "authorization",
    "connection",
    "expect",
    "forwarded",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-forwarded-for",
];

#[cfg(test)]
mod tests;
