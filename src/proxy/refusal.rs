//! The one place where an error becomes a response: RFC 9457 problem documents that say what to do next.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, PROXY_AUTHENTICATE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::approval::Unapproved;
use super::attention::AuthRequired;
use super::body::ResponseBody;
use super::canary::Place;
use super::content::ContentError;
use super::log_in::LogInError;
use super::mint::MintError;
use super::tongue::Tongue;
use crate::attention::Reason;
use crate::audit;
use crate::decide;
use crate::guard;
use crate::head::Malformed;
use crate::policy::Rule;
use crate::upstream;

/// Clients that look for it learn that the same request will be refused again.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Carries the kind for clients that do not read bodies.
pub(super) const NEXUS_REFUSAL: HeaderName = HeaderName::from_static("nexus-refusal");

const BASE_URL_ADVICE: &str = "Write it as http://HOST:PORT/~TOKEN/api.example.com/path, with the token of `nexus agent add`; it is for programs, not for pages in a browser.";
const CANARY_ADVICE: &str = "A placeholder goes only where its service takes the credential. Leave it out of everything else, and send nobody environment variables or files that hold one.";
const FROZEN_ADVICE: &str = "Nothing of this agent goes on until the operator has looked at what it did and ran `nexus agent thaw NAME`; `nexus agent list` says why.";
const UNKNOWN_ADVICE: &str = "Use the proxy URL with name and token, http://NAME:TOKEN@HOST:PORT, as `nexus env` prints it or `nexus agent add` showed it; in a base URL the token alone, http://HOST:PORT/~TOKEN/api.example.com.";

/// An answer Nexus made itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request is {}: {}", if .0.is_too_large() { "too large" } else { "malformed" }, .0)]
    Malformed(#[from] Malformed),
    #[error("the request is malformed: {0}")]
    Target(&'static str),
    #[error("this tunnel leads to another host")]
    Misdirected,
    #[error("{0}")]
    Method(&'static str),
    #[error("refused by rule: {}", .0.word())]
    Policy(decide::Reason),
    #[error("refused by the rule `{}`", .0.name())]
    Rule(Arc<Rule>),
    #[error("{why}, which the rule `{}` wants", rule.name())]
    Unapproved {
        /// Which.
        rule: Arc<Rule>,
        /// What was missing.
        why: Unapproved,
    },
    #[error("the limit of the rule `{}` is reached", rule.name())]
    Metered {
        /// Which.
        rule: Arc<Rule>,
        /// Until there is room again.
        wait: Duration,
    },
    #[error("this agent's rate is reached")]
    Rate {
        /// Until there is room again.
        wait: Duration,
    },
    #[error("this lease has no calls left")]
    LeaseSpent,
    #[error("the token endpoint of {0} is not for callers")]
    TokenEndpoint(String),
    #[error("the connection {0} is not yours to use")]
    Connection(&'static str),
    #[error("the credential of {0} was not registered for this host")]
    NotSealed(String),
    #[error("the token endpoint of {0} is not the one that its credential was registered with")]
    EndpointNotSealed(String),
    #[error("{}", .0.need.words.title)]
    AuthRequired(Box<AuthRequired>),
    #[error(transparent)]
    LogIn(#[from] LogInError),
    #[error(transparent)]
    Mint(#[from] MintError),
    #[error("a placeholder stands where it does not belong: {}", .0.word())]
    Canary(Place),
    #[error("this caller is frozen")]
    Frozen,
    #[error("the proxy does not know this caller")]
    UnknownAgent,
    #[error("too many {0}")]
    Limit(&'static str),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("the credential cannot be read now")]
    Vault(#[source] crate::broker::Error),
    /// The copy of a gateway's connection is too old to be used.
    #[error("the gateway that holds the credential does not lend it now")]
    Away(#[source] crate::broker::Error),
    #[error("the credential has expired and can't be renewed now")]
    Renewal(#[source] crate::broker::Error),
    #[error("the audit log cannot be written")]
    Audit(#[from] audit::Error),
    #[error("the proxy is shutting down")]
    Draining,
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    #[error("the service answered a WebSocket handshake without switching protocols")]
    NotSwitched,
    #[error("the service's answer is under a content coding that can't be searched for the credential")]
    Coding,
    #[error("the service's answer can't be searched for the credential: {0}")]
    Undecodable(guard::Error),
    #[error("no page of that name at nexus.internal")]
    NoSuchPage,
}

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    Downstream,
    Upstream,
    Nexus,
}

impl Refusal {
    /// The stable word of `Nexus-Refusal` and of the record.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) if malformed.is_too_large() => "too-large",
            Self::Malformed(_) | Self::Target(_) => "malformed",
            Self::Misdirected => "misdirected",
            Self::Content(error) => error.kind(),
            Self::Method(_) => "method",
            Self::Policy(_) | Self::Rule(_) | Self::TokenEndpoint(_) | Self::Connection(_) | Self::LeaseSpent => "policy",
            Self::NotSealed(_) | Self::EndpointNotSealed(_) | Self::Unapproved { .. } => "policy",
            Self::AuthRequired(_) => "auth_required",
            Self::LogIn(error) => error.kind(),
            Self::Mint(error) => error.kind(),
            Self::Canary(_) => "canary",
            Self::Frozen => "frozen",
            Self::UnknownAgent => "unknown-agent",
            Self::Limit(_) | Self::Metered { .. } | Self::Rate { .. } => "limit",
            Self::Vault(_) => "vault",
            Self::Away(_) => "gateway",
            Self::Renewal(_) => "renewal",
            Self::Audit(_) => "audit",
            Self::Draining => "draining",
            Self::NoSuchPage => "not-found",
            Self::NotSwitched | Self::Coding | Self::Undecodable(_) => "upstream",
            Self::Upstream(error) => upstream_kind(error),
        }
    }

    /// The status (RFC 9110 §15), by kind; never 401, never a 5xx for a decision (508 aside).
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(malformed) => malformed.status(),
            Self::Target(_) => StatusCode::BAD_REQUEST,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Content(error) => error.status(),
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Policy(_) | Self::TokenEndpoint(_) | Self::Connection(_) | Self::AuthRequired(_) => StatusCode::FORBIDDEN,
            Self::Rule(_) | Self::NotSealed(_) | Self::EndpointNotSealed(_) | Self::LeaseSpent => StatusCode::FORBIDDEN,
            Self::Canary(_) | Self::Frozen | Self::Unapproved { .. } => StatusCode::FORBIDDEN,
            Self::LogIn(error) => error.status(),
            Self::Mint(error) => error.status(),
            Self::UnknownAgent => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Self::Limit(_) | Self::Metered { .. } | Self::Rate { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Vault(_) | Self::Away(_) | Self::Audit(_) | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Renewal(_) => StatusCode::BAD_GATEWAY,
            Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::NotSwitched | Self::Coding | Self::Undecodable(_) => StatusCode::BAD_GATEWAY,
            Self::Upstream(error) => match error {
                upstream::Error::Forbidden { .. } => StatusCode::FORBIDDEN,
                upstream::Error::Loop { .. } => StatusCode::LOOP_DETECTED,
                upstream::Error::ConnectTimeout { .. }
                | upstream::Error::HeadTimeout { .. }
                | upstream::Error::UploadTooSlow { .. } => StatusCode::GATEWAY_TIMEOUT,
                upstream::Error::UnknownNames => StatusCode::TOO_MANY_REQUESTS,
                upstream::Error::Tls { .. }
                | upstream::Error::NoSuchHost { .. }
                | upstream::Error::Unreachable { .. }
                | upstream::Error::Parent { .. }
                | upstream::Error::ParentUnreachable { .. }
                | upstream::Error::ParentAnswer { .. }
                | upstream::Error::ParentPassword
                | upstream::Error::Broken { .. }
                | upstream::Error::Unprocessed { .. }
                | upstream::Error::Stale { .. } => StatusCode::BAD_GATEWAY,
                upstream::Error::Unsendable { .. } => StatusCode::BAD_REQUEST,
            },
        }
    }

    /// Puts it into the record: kind and status, and which rule it was.
    pub(super) fn record_in(&self, entry: &mut audit::Entry) {
        entry.refusal(self.kind(), self.status().as_u16());
        if let Self::Rule(rule) | Self::Metered { rule, .. } | Self::Unapproved { rule, .. } = self {
            entry.rule(rule.name());
        }
        let which = match self {
            Self::Policy(reason) => reason.word(),
            Self::Rule(_) | Self::Metered { .. } => "rule",
            Self::Rate { .. } => "rate",
            Self::Unapproved { why, .. } => why.word(),
            Self::LeaseSpent => "lease_spent",
            Self::TokenEndpoint(_) => "token_endpoint",
            Self::Connection(_) => "connection",
            Self::NotSealed(_) | Self::EndpointNotSealed(_) => "not_sealed",
            Self::AuthRequired(missing) if missing.need.reason == Reason::Pending => "pending",
            Self::LogIn(error) => error.word(),
            Self::Mint(error) => error.word(),
            Self::Coding => "unknown_coding",
            _ => return,
        };
        entry.note(which);
    }

    /// Who is to blame: decides whether trying again makes sense.
    pub(super) fn blame(&self) -> Blame {
        match self {
            Self::Upstream(
                upstream::Error::Forbidden { .. } | upstream::Error::Loop { .. } | upstream::Error::Unsendable { .. },
            ) => Blame::Downstream,
            Self::LogIn(error) => error.blame(),
            Self::Mint(error) => error.blame(),
            Self::Upstream(_) | Self::NotSwitched | Self::Coding | Self::Undecodable(_) | Self::Renewal(_) => Blame::Upstream,
            Self::Vault(_) | Self::Away(_) | Self::Audit(_) | Self::Draining => Blame::Nexus,
            Self::Malformed(_)
            | Self::Target(_)
            | Self::Misdirected
            | Self::Content(_)
            | Self::Method(_)
            | Self::Policy(_)
            | Self::Rule(_)
            | Self::Metered { .. }
            | Self::Rate { .. }
            | Self::Unapproved { .. }
            | Self::LeaseSpent
            | Self::TokenEndpoint(_)
            | Self::Connection(_)
            | Self::NotSealed(_)
            | Self::EndpointNotSealed(_)
            | Self::AuthRequired(_)
            | Self::Canary(_)
            | Self::Frozen
            | Self::UnknownAgent
            | Self::Limit(_)
            | Self::NoSuchPage => Blame::Downstream,
        }
    }

    /// RFC 9110 §10.2.3, in seconds.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Limit(_) | Self::Draining => Some(1),
            Self::Away(_) => Some(10),
            // Rounded up: who comes too early is refused again.
            Self::Metered { wait, .. } | Self::Rate { wait } => {
                Some(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1))
            }
            Self::Upstream(upstream::Error::UnknownNames) => Some(60),
            Self::Renewal(error) => error.retry_after().map(|wait| wait.as_secs().max(1)).or(Some(1)),
            _ => None,
        }
    }

    /// What the reader, often an LLM, should do now. Nothing of the request is echoed.
    fn advice(&self) -> String {
        match self {
            Self::Target(text) if text.contains("base URL") => BASE_URL_ADVICE.into(),
            Self::Malformed(malformed) if malformed.is_too_large() => {
                "Send less; the operator can change limits.head_size, limits.head_fields and limits.target_size.".into()
            }
            Self::Malformed(_) | Self::Target(_) => "Send a request that follows RFC 9110 and RFC 9112; the proxy rejects what it would have to repair.".into(),
            Self::Misdirected => "A request goes to one host: its Host, and the one in a full URL, must be that of its CONNECT or of its URL. Open a new CONNECT for another host.".into(),
            Self::Content(error) => error.advice().into(),
            Self::Method(_) => "Use another method.".into(),
            Self::Policy(reason) => reason.advice().into(),
            Self::Rule(rule) => rule_advice(rule),
            Self::Metered { rule, .. } => format!("Wait as Retry-After says.{}", said(rule)),
            Self::Unapproved { rule, why } => format!("{}{}", why.advice(), said(rule)),
            Self::TokenEndpoint(provider) => {
                format!("Call the API itself and leave credentials out: Nexus obtains and renews the tokens of {provider}.")
            }
            Self::LeaseSpent => "Ask the program that gave you this token for another.".into(),
            Self::Connection(_) => "Leave Nexus-Connection and placeholders of other connections out, or ask the operator for this connection.".into(),
            Self::NotSealed(provider) => format!(
                "The hosts of this credential were sealed when it was registered. If this host is a site or region of its own, the operator registers the credential with that field (`nexus providers show {provider}`); if its provider file is newer, `nexus providers trust {provider}` takes the host in."
            ),
            Self::EndpointNotSealed(provider) => format!(
                "The credential has expired, and its token endpoint was sealed when it was registered. Ask the operator to run `nexus providers trust {provider}` if the new one is right."
            ),
            Self::LogIn(error) => error.advice(),
            Self::Mint(error) => error.advice(),
            Self::AuthRequired(missing) => missing.need.words.content.clone(),
            Self::Canary(_) => CANARY_ADVICE.into(),
            Self::Frozen => FROZEN_ADVICE.into(),
            Self::UnknownAgent => UNKNOWN_ADVICE.into(),
            Self::Limit(_) | Self::Rate { .. } => "Wait as Retry-After says, and send fewer requests at once.".into(),
            Self::Vault(_) => "The operator should look at the log of Nexus and run `nexus status`.".into(),
            Self::Away(_) => "Send the same request again later, as Retry-After says. This proxy takes its credentials from a gateway; the operator should look at `nexus status` here, whether the gateway is up, and whether it still takes this proxy's key.".into(),
            Self::Renewal(_) => "Its token endpoint gave no new token. Send the same request again later, as Retry-After says.".into(),
            Self::Audit(_) => "No request leaves that the audit log does not name. The operator should look at the disk of Nexus.".into(),
            Self::Draining => "Try again in a moment.".into(),
            Self::NoSuchPage => "Known pages: /ca.pem, /ca-bundle.pem, /env, /whoami.".into(),
            Self::NotSwitched | Self::Coding | Self::Undecodable(_) => self.about_answer().into(),
            Self::Upstream(error) => upstream_advice(error),
        }
    }

    /// The advice about an answer that can't go to the caller.
    fn about_answer(&self) -> &'static str {
        match self {
            Self::Coding => {
                "Ask for gzip, deflate, br, zstd or no coding (Accept-Encoding), and for a part of a body (Range) without one."
            }
            Self::Undecodable(_) => {
                "Send the same request again; if that doesn't help, ask for no coding (Accept-Encoding: identity)."
            }
            _ => "This path of the service is no WebSocket endpoint; check the URL.",
        }
    }

    /// What is wrong and what to do now.
    pub(super) fn detail(&self) -> String {
        // What a caller's own signature got wrong says itself what to do about it.
        let joint = if matches!(self, Self::Content(ContentError::Unsignable(_))) { "." } else { ":" };
        format!("{}{joint} {}", sentence(&self.to_string()), self.advice())
    }

    /// The response. `request_id` is the one in the audit log.
    pub(super) fn response(&self, request_id: &str) -> Response<ResponseBody> {
        self.response_in(Tongue::Problem, request_id)
    }

    /// As [`response`](Self::response), in the words that the caller reads.
    pub(super) fn response_in(&self, tongue: Tongue, request_id: &str) -> Response<ResponseBody> {
        let (kind, status) = (self.kind(), self.status());
        let mut document = json!({
            "type": format!("urn:nexus:refusal:{kind}"),
            "title": self.to_string(),
            "status": status.as_u16(),
            "detail": self.detail(),
            "request_id": request_id,
        });
        if let Some(members) = document.as_object_mut() {
            self.add_members(members);
        }
        if let (Tongue::AwsJson, Some(members)) = (tongue, document.as_object_mut()) {
            members.insert("__type".into(), json!(format!("NexusRefusal.{kind}")));
            members.insert("message".into(), json!(self.detail()));
        }
        let xml = tongue.xml(kind, &self.detail(), request_id);
        let form = if xml.is_some() { "application/xml" } else { "application/problem+json" };
        let mut response = Response::new(ResponseBody::full(xml.unwrap_or_else(|| document.to_string())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(NEXUS_REFUSAL, HeaderValue::from_static(kind));
        if self.blame() == Blame::Downstream && !matches!(self, Self::Limit(_) | Self::Metered { .. } | Self::Rate { .. }) {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::UnknownAgent) {
            headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"nexus\""));
        }
        response
    }

    /// What the document has for this kind of refusal besides.
    fn add_members(&self, members: &mut serde_json::Map<String, serde_json::Value>) {
        if let Self::Rule(rule) | Self::Metered { rule, .. } | Self::Unapproved { rule, .. } = self {
            members.insert("rule".into(), json!(**rule.name()));
        }
        if let Self::AuthRequired(missing) = self {
            members.extend(missing.members());
        }
    }
}

fn upstream_kind(error: &upstream::Error) -> &'static str {
    match error {
        upstream::Error::Forbidden { .. } => "private-address",
        upstream::Error::Loop { .. } => "loop",
        upstream::Error::ConnectTimeout { .. }
        | upstream::Error::HeadTimeout { .. }
        | upstream::Error::UploadTooSlow { .. } => "timeout",
        upstream::Error::UnknownNames => "limit",
        upstream::Error::Tls { .. } => "upstream-tls",
        upstream::Error::NoSuchHost { .. }
        | upstream::Error::Unreachable { .. }
        | upstream::Error::Parent { .. }
        | upstream::Error::ParentUnreachable { .. }
        | upstream::Error::ParentAnswer { .. }
        | upstream::Error::ParentPassword
        | upstream::Error::Broken { .. }
        | upstream::Error::Unprocessed { .. }
        | upstream::Error::Stale { .. } => "upstream",
        upstream::Error::Unsendable { .. } => "malformed",
    }
}

/// What the person who wrote the rule says, if anything.
fn said(rule: &Rule) -> String {
    rule.reason().map(|reason| format!(" {reason}")).unwrap_or_default()
}

fn rule_advice(rule: &Rule) -> String {
    format!("The operator's policy does not let this request go on.{} Do it another way, or ask the operator.", said(rule))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn tls_advice(fault: Option<&str>) -> String {
    let Some(fault) = fault else {
        return "The handshake failed before any certificate was in doubt, and nothing was sent: the service may not speak TLS on this port.".into();
    };
    let more = if fault.contains("authority that") { " A private CA goes into upstream.extra_roots." } else { "" };
    format!("The service's certificate {fault}, so nothing was sent.{more}")
}

fn upstream_advice(error: &upstream::Error) -> String {
    match error {
        upstream::Error::UnknownNames => "Wait as Retry-After says, and ask for names that exist.".into(),
        upstream::Error::NoSuchHost { .. } => "Check the spelling of the host name, or the name server of the proxy.".into(),
        upstream::Error::Forbidden { reason: upstream::METADATA, .. } => {
            "It hands out credentials of the machine to whoever asks, so no setting lets callers reach it.".into()
        }
        upstream::Error::Forbidden { .. } => {
            "Private and local addresses are not reached through the proxy; the operator can allow a range in upstream.allow_private.".into()
        }
        upstream::Error::Loop { .. } => "The proxy is not reached through itself; call http://nexus.internal/ for its own pages.".into(),
        upstream::Error::Tls { cause, .. } => tls_advice(upstream::certificate_fault(cause)),
        upstream::Error::ConnectTimeout { .. } | upstream::Error::HeadTimeout { .. } => "The service may be overloaded; try again later.".into(),
        upstream::Error::UploadTooSlow { .. } => "Send the body faster; the operator can change limits.upload_rate.".into(),
        upstream::Error::Unprocessed { .. } => "The service did not act on the request: send it again.".into(),
        upstream::Error::Unsendable { cause, .. } => format!("{}.", sentence(&cause.to_string())),
        upstream::Error::Parent { status: 400..=499, .. } => {
            "That proxy decides which hosts may be reached. Its operator can allow this one; the operator of Nexus can reach it directly by upstream.proxy_except.".into()
        }
        upstream::Error::ParentUnreachable { .. } => {
            "Nothing is wrong with the service: the operator of Nexus should look at upstream.proxy and whether that proxy is up.".into()
        }
        upstream::Error::ParentAnswer { .. } => {
            "Nothing is wrong with the service: the operator of Nexus should see whether upstream.proxy names the port of an HTTP proxy, and whether that proxy is well.".into()
        }
        upstream::Error::ParentPassword => "Nothing leaves until the operator of Nexus has set them right in upstream.proxy_auth_file.".into(),
        upstream::Error::Unreachable { .. } | upstream::Error::Parent { .. } => "The service cannot be reached from the proxy; try again later.".into(),
        upstream::Error::Broken { .. } | upstream::Error::Stale { .. } => {
            "The service broke off its answer; whether it acted on the request is unknown.".into()
        }
    }
}
