//! Why bytes are not a message we take.

use std::error::Error;
use std::io;

use http::StatusCode;

/// What is wrong with a head or a body. The text never repeats a byte of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// More bytes than a head may have (431).
    #[error("the head is too large")]
    HeadTooLarge,
    /// More fields than a head may have (431).
    #[error("the head has too many fields")]
    TooManyFields,
    /// A request-target beyond its limit (414).
    #[error("the request target is too long")]
    TargetTooLong,
    /// RFC 9112 §2.2: nothing goes before the start line.
    #[error("an empty line stands before the start line")]
    LeadingLine,
    /// RFC 9112 §2.2: lines end in CR LF; neither stands alone.
    #[error("a line does not end in carriage return and line feed")]
    LineEnd,
    /// NUL or another control character.
    #[error("the head holds a control character")]
    Control,
    /// A byte above 0x7f in a request, or in a field name.
    #[error("the head holds a byte that is not ASCII")]
    NotAscii,
    /// RFC 9112 §3: not `METHOD SP TARGET SP VERSION`.
    #[error("the request line is not a method, a target and a version with one space between")]
    RequestLine,
    /// RFC 9110 §9.1: the method is a token.
    #[error("the method is not a token")]
    Method,
    /// RFC 9112 §3.2: the target is none of the four forms, or not the one its method takes.
    #[error("the request target is not valid")]
    Target,
    /// RFC 9112 §2.3: neither `HTTP/1.1` nor `HTTP/1.0`.
    #[error("the version is neither HTTP/1.1 nor HTTP/1.0")]
    Version,
    /// RFC 9112 §4: not a status line, or a status below 100.
    #[error("the status line is not valid")]
    StatusLine,
    /// RFC 9112 §5.2: a line that begins with white space.
    #[error("a field line is folded")]
    Folding,
    /// RFC 9112 §5.1: the name is a token with the colon right behind it.
    #[error("a field name is not a token followed by a colon")]
    FieldName,
    /// RFC 9110 §8.6: not one plain decimal number.
    #[error("the content-length is not a plain decimal number")]
    ContentLength,
    /// A second content-length, equal or not.
    #[error("the content-length is given more than once")]
    ContentLengthRepeated,
    /// RFC 9112 §6.1: not exactly `chunked`, once, on HTTP/1.1.
    #[error("the transfer-encoding is not exactly chunked")]
    TransferEncoding,
    /// RFC 9112 §6.3: both framings at once.
    #[error("content-length and transfer-encoding are given together")]
    FramingConflict,
    /// RFC 9112 §3.2: none on HTTP/1.1, or more than one.
    #[error("the host field is not given exactly once")]
    HostCount,
    /// RFC 9110 §7.2: not a plain host with an optional port.
    #[error("the host is not a plain host and port")]
    Host,
    /// RFC 9110 §10.1.1: something other than `100-continue`.
    #[error("the expectation is unknown")]
    Expect,
    /// An upgrade to cleartext HTTP/2, or one on HTTP/1.0.
    #[error("the upgrade is not one that can be passed on")]
    Upgrade,
    /// A request that wants another protocol and brings a body.
    #[error("a request to connect or upgrade has a body")]
    UpgradeBody,
    /// RFC 9110 §7.6.1: `Connection` names the host or the framing.
    #[error("the connection field names a field that is not its own to name")]
    Connection,
    /// Two identities.
    #[error("the proxy-authorization is given more than once")]
    ProxyAuthorizationRepeated,
    /// RFC 9112 §7.1: 1 to 16 hexadecimal digits.
    #[error("a chunk size is not a plain hexadecimal number")]
    ChunkSize,
    /// RFC 9112 §7.1.1: not of its grammar, or too long.
    #[error("a chunk extension is not valid")]
    ChunkExtension,
    /// RFC 9112 §7.1: a chunk line or its data does not end in CR LF.
    #[error("a chunk does not end in carriage return and line feed")]
    ChunkEnd,
    /// RFC 9110 §6.5.1: a trailer that frames, routes or authenticates.
    #[error("a trailer field may not come after the body")]
    Trailer,
    /// More trailer fields or bytes than are taken.
    #[error("the trailer section is too large")]
    TrailersTooLarge,
    /// Response bytes without a request that waits for them.
    #[error("response bytes came without a request")]
    Unsolicited,
    /// RFC 9110 §15.2.2: 101 without an upgrade in the request.
    #[error("the service switches protocols unasked")]
    UnrequestedSwitch,
    /// More 1xx responses than one request can need.
    #[error("too many interim responses")]
    TooManyInterim,
    /// RFC 9113 §8.2.2: a field that belongs to one HTTP/1.1 connection.
    #[error("a connection-specific field came over http/2")]
    ConnectionSpecific,
    /// RFC 9113 §8.3.1: scheme, authority or path is missing, not valid or contradicted.
    #[error("the http/2 request line fields are not valid")]
    PseudoField,
    /// RFC 9113 §8.2.1: a name or value that HTTP/1.1 can't carry.
    #[error("an http/2 field name or value is not valid")]
    Field,
}

impl Malformed {
    /// One stable word for logs, records and metric labels.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyFields => "too_many_fields",
            Self::TargetTooLong => "target_too_long",
            Self::LeadingLine => "leading_line",
            Self::LineEnd => "line_end",
            Self::Control => "control",
            Self::NotAscii => "not_ascii",
            Self::RequestLine => "request_line",
            Self::Method => "method",
            Self::Target => "target",
            Self::Version => "version",
            Self::StatusLine => "status_line",
            Self::Folding => "folding",
            Self::FieldName => "field_name",
            Self::ContentLength => "content_length",
            Self::ContentLengthRepeated => "content_length_repeated",
            Self::TransferEncoding => "transfer_encoding",
            Self::FramingConflict => "framing_conflict",
            Self::HostCount => "host_count",
            Self::Host => "host",
            Self::Expect => "expect",
            Self::Upgrade => "upgrade",
            Self::UpgradeBody => "upgrade_body",
            Self::Connection => "connection",
            Self::ProxyAuthorizationRepeated => "proxy_authorization_repeated",
            Self::ChunkSize => "chunk_size",
            Self::ChunkExtension => "chunk_extension",
            Self::ChunkEnd => "chunk_end",
            Self::Trailer => "trailer",
            Self::TrailersTooLarge => "trailers_too_large",
            Self::Unsolicited => "unsolicited",
            Self::UnrequestedSwitch => "unrequested_switch",
            Self::TooManyInterim => "too_many_interim",
            Self::ConnectionSpecific => "connection_specific",
            Self::PseudoField => "pseudo_field",
            Self::Field => "field",
        }
    }

    /// The status a caller is told (RFC 9110 §15.5, RFC 6585 §5).
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::HeadTooLarge | Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether it is about a bound, not about the grammar.
    pub(crate) fn is_too_large(self) -> bool {
        self.status() != StatusCode::BAD_REQUEST
    }

    /// The malformed message at the root of `error`, if that is what it is about.
    ///
    /// An [`io::Error`] hides what it carries from [`Error::source`], so every link is also asked for its inside.
    pub(crate) fn in_chain(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut link = Some(error);
        while let Some(error) = link {
            let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let found = error.downcast_ref::<Self>().or_else(|| inside.and_then(|inside| inside.downcast_ref()));
            if found.is_some() {
                return found.copied();
            }
            link = error.source();
        }
        None
    }
}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}
