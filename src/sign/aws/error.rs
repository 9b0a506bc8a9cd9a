//! Why a request cannot be signed. Nothing here shows a secret: an access key id is none.

use http::HeaderName;

/// Why a request cannot be signed for AWS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Two places, or twice the same.
    #[error("the request carries more than one AWS signature; send one, in the authorization header or in the query")]
    Twice,
    /// SigV4A signs for several regions with an elliptic curve.
    #[error(
        "the request is signed with SigV4A (AWS4-ECDSA-P256-SHA256), which can't be signed anew; \
         use the service's endpoint of one region and signature version 4"
    )]
    Asymmetric,
    /// AWS has retired it.
    #[error("the request is signed with AWS signature version 2; configure the SDK for signature version 4")]
    Version2,
    /// Neither of the above.
    #[error("the AWS signature names the algorithm {0:?}; only AWS4-HMAC-SHA256 can be signed anew")]
    Algorithm(String),
    /// The signature's form.
    #[error("the request's AWS signature can't be read: {0}")]
    Form(&'static str),
    /// Longer than a signature may live.
    #[error("the presigned URL asks to live {0} seconds; AWS allows 1 to 604800, so presign it for less")]
    Expires(String),
    /// An S3 directory bucket's own session keys.
    #[error(
        "the request is signed with the session keys of an S3 directory bucket; set AWS_S3_DISABLE_EXPRESS_SESSION_AUTH=true, \
         so that the SDK signs each request itself"
    )]
    ExpressSession,
    /// It would go unread into the text that is signed.
    #[error("{value:?} can't be an AWS {part}: it takes up to 64 letters, digits, - and _")]
    Word {
        /// `region` or `service`.
        part: &'static str,
        /// What was given.
        value: String,
    },
    /// Caller and host, or caller and rule, disagree.
    #[error(
        "the request is signed for the {part} {asked:?}, but {host} belongs to {ours:?}; use the endpoint of what is called"
    )]
    Mismatch {
        /// `region` or `service`.
        part: &'static str,
        /// The caller's.
        asked: String,
        /// The host called.
        host: String,
        /// What it stands for.
        ours: String,
    },
    /// No signature, no host name of AWS and no rule says it.
    #[error(
        "nothing says for which AWS {part} to sign a request to {host}; set it in the SDK, or register it with the connection"
    )]
    Unknown {
        /// `region` or `service`.
        part: &'static str,
        /// The host called.
        host: String,
    },
    /// Neither a hash nor one of the words for it.
    #[error(
        "x-amz-content-sha256 is {0:?}: it takes a SHA-256 in lower-case hex, UNSIGNED-PAYLOAD, \
         or one of the STREAMING- words for chunked uploads"
    )]
    ContentHash(String),
    /// Each message of it carries a signature of its own.
    #[error(
        "the body is an event stream whose every message is signed, which can't be signed anew; use the call without streaming input"
    )]
    EventStream,
    /// Chunk signatures start from the one in the header.
    #[error("a presigned URL can't carry a body in signed chunks; sign in the authorization header")]
    PresignedChunks,
    /// The signature asked for the body.
    #[error(
        "the signature covers the body, and the body was not kept; send x-amz-content-sha256 with its hash or UNSIGNED-PAYLOAD"
    )]
    NoBody,
    /// Cannot be part of the text that is signed.
    #[error("the header {0} is to be signed and holds bytes that are not UTF-8; percent-encode its value")]
    HeaderText(HeaderName),
    /// Cannot be part of the text that is signed.
    #[error("the query holds bytes that are not UTF-8; percent-encode its text as UTF-8")]
    QueryText,
    /// Longer than a signed target may become.
    #[error("the path and query are too long to sign: at most 60000 bytes once percent-encoded")]
    TooLong,
    /// It would go to AWS beside our keys.
    #[error("the caller's x-amz-security-token is still on the request; list it among the provider's slots")]
    LeftOver,
    /// Stored keys that no signature can be made with.
    #[error("the stored {0} is empty or holds a character that no AWS key has; register the connection again")]
    Keys(&'static str),
    /// Before 1970 or after 9999.
    #[error("the clock of this machine is wrong; set it, since AWS takes a signature for five minutes only")]
    Clock,
    /// The signer refuses.
    #[error("the request can't be signed")]
    Signer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A signed value that no header takes.
    #[error("the signature can't be written to the request")]
    Write(#[source] http::Error),
}
