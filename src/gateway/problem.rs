//! `Problem`: why a request was not done. RFC 9457, with `code` and `message` for clients of the Nexus contract.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::head::Malformed;
use crate::model::Host;

/// What a refused or failed request is answered with.
#[derive(Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why a request was not done (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document {
    /// `urn:nexus:problem:CODE`.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// A word for programs.
    code: &'static str,
    /// As `detail`.
    message: String,
    /// More members, which a code may bring.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Problem {
    /// With a status, a word for programs, and what is wrong and what to do.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { status, code, message: message.into(), more: Map::new(), headers: Vec::new() }))
    }

    /// With one more member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The word for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    /// 400: it can't be read.
    pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// 400, 414 or 431: what came is no request that every reader takes alike.
    pub(super) fn unsound(malformed: Malformed) -> Self {
        let code = if malformed.is_too_large() { malformed.kind() } else { "malformed" };
        Self::new(malformed.status(), code, malformed.to_string()).with("reason", malformed.kind())
    }

    /// 404, also for what the caller may not see: nobody learns what exists.
    pub(crate) fn missing(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 409: it is there already, or not yet.
    pub(crate) fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 401: nobody showed a key, or one that is none (RFC 9110 §15.5.2). Basic is not offered: browsers would ask for it.
    pub(super) fn no_key(message: &'static str) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "no_key", message);
        problem.header(WWW_AUTHENTICATE, "Bearer realm=\"nexus\"")
    }

    /// 401: who was at the page is not any more, or never was.
    pub(super) fn signed_out() -> Self {
        let message = "you are not signed in, or not any more; `nexus open` on the gateway's machine makes a new link";
        let problem = Self::new(StatusCode::UNAUTHORIZED, "signed_out", message);
        problem.header(WWW_AUTHENTICATE, "Bearer realm=\"nexus\"")
    }

    /// 403: whoever asks may not.
    pub(crate) fn forbidden(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 421: the request names another host (RFC 9110 §15.5.20).
    pub(super) fn misdirected(host: &Host) -> Self {
        let message = format!("this gateway is not known as {host}; if it should be, add it to gateway.names in nexus.toml");
        Self::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", message)
    }

    /// 429: later.
    pub(crate) fn too_many_guesses() -> Self {
        let message = "too many wrong keys came from this address; wait a minute";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "wrong_keys", message).header(RETRY_AFTER, "60")
    }

    /// 500: our own fault; the log says which.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the gateway failed; its log says why")
    }

    /// 503: the vault or a file of the home can't be used. The cause goes to the log, not to the caller.
    pub(crate) fn unreadable(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "the gateway can't use the vault");
        let message = "the vault cannot be used now; `nexus status` on the gateway's machine says why";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "vault", message).header(RETRY_AFTER, "5")
    }

    /// 503: it would not be in the audit log.
    pub(super) fn unlogged() -> Self {
        let message = "refused, because the audit log cannot be written; `nexus status` on the gateway's machine says why";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "audit", message).header(RETRY_AFTER, "5")
    }

    /// 503: the audit log or its index can't be read. The cause goes to the log of this process, not to the caller.
    pub(super) fn unsearchable(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "the audit log can't be searched");
        let message = "the audit log cannot be searched now; the gateway's own log says why";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "audit", message).header(RETRY_AFTER, "5")
    }

    /// 503: every place is taken.
    pub(super) fn full() -> Self {
        let message = "the gateway has as many connections as it may; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "full", message).header(RETRY_AFTER, "1")
    }

    /// 503: it took too long, or the caller did.
    pub(super) fn late() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "late", "the request was not whole, or not done, in time; send it again")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { status, code, message, more, headers } = *self.0;
        let message = message.into_owned();
        let document = Document {
            kind: format!("urn:nexus:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: message.clone(),
            code,
            message,
            more,
        };
        let text = serde_json::to_string(&document).unwrap_or_default();
        let mut response = Response::new(text.into());
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.extend(headers);
        response.extensions_mut().insert(Code(code));
        response
    }
}

/// The word of the problem that a response is, for who counts them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code(pub(super) &'static str);

/// For a path that leads nowhere.
pub(super) async fn no_such_page() -> Problem {
    Problem::missing("there is nothing under this path; GET /api/openapi.json lists what there is")
}

/// For a path that has other methods; `Allow` is added to it (RFC 9110 §15.5.6).
pub(super) async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path has other methods; the field Allow lists them")
}
