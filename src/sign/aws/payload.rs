//! How a signature covers the body, as `x-amz-content-sha256` states it.

use http::HeaderMap;
use http::uri::PathAndQuery;

use super::asked::Place;
use super::error::Error;
use super::query;
use super::scope::Scope;

/// The field, and by another case of letters the query parameter, that states the payload.
pub(super) const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// How a signature covers the body (S3 API Reference, "Authenticating Requests: Using the Authorization Header").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    /// The SHA-256 that the caller states, in lower-case hex. The service checks it.
    Hash(String),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks without signatures, a checksum at the end.
    UnsignedTrailer,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, and the same with `-TRAILER`.
    Chunked {
        /// Whether signed trailers follow the last chunk.
        trailers: bool,
    },
    /// Nothing stated: the SHA-256 of the body, which must be at hand.
    Whole,
}

/// What signing needs of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing: it streams as it is.
    Streamed,
    /// All of it, before the head goes out.
    Whole,
    /// It streams through the [`super::Rechunk`] that comes with the signature.
    Chunked,
}

impl Payload {
    /// How the signature of a request covers its body.
    ///
    /// # Errors
    /// A statement that is doubled or unknown, or that cannot be signed anew.
    pub(super) fn of(headers: &HeaderMap, target: &PathAndQuery, place: Place, scope: &Scope) -> Result<Self, Error> {
        let in_header = headers.get_all(CONTENT_SHA256).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        // A presigned URL states it in its query (the JavaScript SDK does). Elsewhere the parameter is the service's own.
        let presigned = matches!(place, Place::Query { .. });
        let in_query = query::values(target, CONTENT_SHA256).take_while(|_| presigned);
        let mut stated = in_header.chain(in_query);
        let first = stated.next();
        if let Some(second) = stated.next() {
            return Err(Error::ContentHash(format!("{}, {second}", first.unwrap_or_default())));
        }
        match first {
            Some(word) => Self::parse(&word, presigned),
            None if scope.leaves_payload() => Ok(Self::Unsigned),
            None => Ok(Self::Whole),
        }
    }

    fn parse(word: &str, presigned: bool) -> Result<Self, Error> {
        match word {
            "UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::UnsignedTrailer),
            _ if word.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") && presigned => Err(Error::PresignedChunks),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::Chunked { trailers: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::Chunked { trailers: true }),
            "STREAMING-AWS4-HMAC-SHA256-EVENTS" => Err(Error::EventStream),
            _ if word.starts_with("STREAMING-AWS4-ECDSA-") => Err(Error::Asymmetric),
            _ if word.len() == 64 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                Ok(Self::Hash(word.to_owned()))
            }
            _ => Err(Error::ContentHash(word.chars().take(80).collect())),
        }
    }

    /// What signing needs of the body.
    pub(crate) fn body(&self) -> Body {
        match self {
            Self::Hash(_) | Self::Unsigned | Self::UnsignedTrailer => Body::Streamed,
            Self::Whole => Body::Whole,
            Self::Chunked { .. } => Body::Chunked,
        }
    }
}
