//! What one provider file says, parsed: every name is a type, every path and host a pattern.

use http::{HeaderName, HeaderValue, Method};

use super::pattern::{HostPattern, PathPattern};
use super::strategy::Placement;
use crate::model::ProviderId;

/// A service Nexus knows.
#[derive(Debug)]
pub struct Provider {
    /// `github`; also the file's name.
    pub id: ProviderId,
    /// `GitHub`, for people.
    pub title: String,
    /// `development`, for people.
    pub category: String,
    /// The page where a person makes the app or key.
    pub console: Option<String>,
    /// Every place where this provider takes a credential; all are stripped from what a caller sends.
    pub slots: Vec<Slot>,
    /// The OAuth 2.0 endpoints, where it has them.
    pub oauth2: Option<OAuth2>,
    /// Where and how to inject; the first rule that matches host, port and path, and whose fields the connection has, wins.
    pub inject: Vec<InjectRule>,
    /// Variables that its SDKs insist on, and the shape of their values.
    pub placeholders: Vec<Placeholder>,
    /// `false` where the facts were recalled, not read at the vendor's.
    pub verified: bool,
}

/// One place in a request that can carry a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// A header field: `authorization`.
    Header(HeaderName),
    /// A query parameter, written `query:access_token`.
    Query(String),
    /// A cookie, written `cookie:session`.
    Cookie(String),
}

/// RFC 6749 endpoints and habits of one provider.
#[derive(Debug)]
pub struct OAuth2 {
    /// RFC 6749 §3.1.
    pub authorize_url: Option<String>,
    /// RFC 6749 §3.2; https only.
    pub token_url: String,
    /// Where refreshes go if not to `token_url`.
    pub refresh_url: Option<String>,
    /// RFC 8628 §3.1.
    pub device_url: Option<String>,
    /// Default scopes.
    pub scopes: Vec<String>,
    /// `" "` (RFC 6749 §3.3) or `","`.
    pub scope_separator: String,
    /// How the client authenticates at the token endpoint (RFC 6749 §2.3.1).
    pub client_authentication: ClientAuthentication,
    /// Life of an access token where the reply has no `expires_in`.
    pub default_lifetime: Option<std::time::Duration>,
}

/// RFC 6749 §2.3.1 and RFC 7591 §2 `token_endpoint_auth_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// HTTP Basic with form-encoded id and secret.
    Basic,
    /// `client_id` and `client_secret` in the form.
    Post,
    /// A public client: `client_id` only.
    None,
}

/// One `[[inject]]` table.
#[derive(Debug)]
pub struct InjectRule {
    /// The hosts it speaks of.
    pub hosts: Vec<HostPattern>,
    /// 443 unless the file says otherwise.
    pub port: u16,
    /// Empty = every path.
    pub paths: Vec<PathPattern>,
    /// How the credential goes on; all of them are applied. Never empty.
    pub placements: Vec<Placement>,
    /// Headers without which the service refuses; added only when the caller sent none of that name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Which methods are sent again after a 401.
    pub replay: ReplayRule,
    /// Whether `Set-Cookie` may reach the caller.
    pub set_cookie: bool,
    /// Endpoints whose answers carry a new credential; refused.
    pub mints: Vec<MethodPath>,
    /// A host match without a path match is refused instead of forwarded without injection.
    pub refuse_other_paths: bool,
    /// The path itself is secret (webhooks): masked in every record.
    pub secret_path: bool,
}

/// `replay = "all" | "safe" | "never"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayRule {
    /// Every method: a 401 means "not processed" (RFC 9110 §15.5.2).
    All,
    /// Only safe methods (RFC 9110 §9.2.1).
    Safe,
    /// None.
    Never,
}

/// `POST /app/installations/*/access_tokens`.
#[derive(Debug)]
pub struct MethodPath {
    /// `None` = any method, written `*`.
    pub method: Option<Method>,
    /// The path.
    pub path: PathPattern,
}

/// `GITHUB_TOKEN = "ghp_"`: a variable and the prefix of its worthless value.
#[derive(Debug, Clone)]
pub struct Placeholder {
    /// The environment variable.
    pub variable: String,
    /// What the value begins with; the rest is made per agent and connection.
    pub prefix: String,
    /// A fixed value instead of a made one (a region, a flag).
    pub fixed: bool,
}
