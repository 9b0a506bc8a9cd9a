//! What Nexus itself answers to a program that asks a token endpoint for a token of its own: worthless, but of the vendor's shape. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::grant::JwtAlgorithm;
use super::path::PathPattern;
use super::pattern::HostPattern;
use super::rule::{Provider, words_of};
use super::strategy::{self, Fields};
use super::template::Template;
use crate::model::{Host, normalised, readings};

/// `[[token_response]]`: one answer, at one or more endpoints.
#[derive(Debug)]
pub struct TokenResponse {
    /// Where it is given, always to a POST (RFC 6749 §3.2).
    pub at: Vec<Endpoint>,
    /// Which members it has.
    pub shape: Shape,
    /// The access token.
    pub access_token: Made,
    /// Where the vendor gives a new one with each renewal.
    pub refresh_token: Option<Made>,
    /// OpenID Connect Core §3.1.3.3.
    pub id_token: Option<Made>,
    /// `Bearer`.
    pub token_type: String,
    /// `expires_in`.
    pub lifetime: Duration,
    /// Whether the beginning and the end are told as times too, `not_before` and `expires_on`, as Azure AD v1.0 does: texts.
    pub expires_on: bool,
    /// The status with which a program is told to go on asking (RFC 8628 §3.5): 400, but 200 at GitHub and 428 at Google.
    pub poll_status: u16,
    /// Whether `scope` is there, and what it says where the request says nothing.
    pub scope: Option<String>,
    /// Whether scopes that name no address are this service's, where several share the endpoint.
    pub bare_scopes: bool,
    /// What this vendor's programs read besides.
    pub members: Vec<(String, Member)>,
}

/// A place where tokens are asked for, on port 443.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// A host, or one of its tenants'.
    pub host: HostPattern,
    /// Its path.
    pub path: PathPattern,
    /// Fields that stand in the path, each with its segment's number, counted from 0: a tenant, an installation.
    pub fields: Vec<(usize, String)>,
}

/// `shape = "oauth2" | "github_app"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// RFC 6749 §5.1.
    OAuth2,
    /// "Create an installation access token for an app": 201, `token` and `expires_at`; the request says no `grant_type`.
    GithubApp,
}

/// How a token is made up.
#[derive(Debug)]
pub enum Made {
    /// What it begins with; the rest is a placeholder's.
    Prefix(String),
    /// A JSON Web Token (RFC 7519) that parses; what stands for its signature is a placeholder's.
    Jwt {
        /// What its head says.
        algorithm: JwtAlgorithm,
        /// What it says besides `sub`, `iat` and `exp`.
        claims: Vec<(String, Member)>,
    },
}

/// A member of a JSON object.
#[derive(Debug)]
pub enum Member {
    /// Text, with `{field}` for what differs by connection and is no secret.
    Text(Template),
    /// A whole number.
    Number(u32),
    /// `true` or `false`.
    Boolean(bool),
    /// An object.
    Object(Vec<(String, Self)>),
}

/// What one answer is made of.
pub struct Occasion<'a> {
    /// The placeholder's own part, of an agent and a connection.
    pub tail: &'a str,
    /// The time of day.
    pub now: SystemTime,
    /// What the request asks for.
    pub scope: Option<&'a str>,
    /// Whether the grant gives a refresh token.
    pub renewable: bool,
    /// The one that the caller has. It stays what it was (RFC 6749 §6), so that a person's own log-in outlives the answer.
    pub refresh_token: Option<&'a str>,
    /// Whether a token was exchanged (RFC 8693 §2.2.1).
    pub exchanged: bool,
    /// The connection's; only those that are no secret are read.
    pub fields: Fields<'a>,
    /// The hosts that it was sealed for, as [`Provider::hosts_of`] has them: a field that none of them shows is not told.
    pub hosts: &'a [String],
}

impl<'a> Occasion<'a> {
    /// For members alone.
    pub(super) fn of_no_token(fields: Fields<'a>, hosts: &'a [String]) -> Self {
        Self { tail: "", now: UNIX_EPOCH, scope: None, renewable: false, refresh_token: None, exchanged: false, fields, hosts }
    }

    /// The field as it may be told.
    fn label(&self, name: &str) -> Option<String> {
        strategy::open_label(self.fields, self.hosts, name)
    }
}

impl std::fmt::Debug for Occasion<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Occasion").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Members that Nexus writes itself.
pub(super) const OWN_MEMBERS: [&str; 11] = [
    "access_token",
    "expires_at",
    "expires_in",
    "expires_on",
    "id_token",
    "issued_token_type",
    "not_before",
    "refresh_token",
    "scope",
    "token",
    "token_type",
];

/// Claims that Nexus writes itself (RFC 7519 §4.1).
pub(super) const OWN_CLAIMS: [&str; 2] = ["exp", "iat"];

/// What comes back is no longer than this.
const MAX_ECHO: usize = 8 * 1024;

impl Shape {
    /// Its word in a provider file.
    pub fn word(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::GithubApp => "github_app",
        }
    }

    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::OAuth2 => 200,
            Self::GithubApp => 201,
        }
    }
}

impl Endpoint {
    /// Of a URL with `{field}`s. What stands for a field of the connection is any segment; `None` for what has no host or path of a kind
    /// that patterns know.
    pub fn of_url(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://")?;
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let field = |segment: &str| Some(segment.strip_prefix('{')?.strip_suffix('}')?.to_owned());
        let fields = segments.iter().enumerate().filter_map(|(place, segment)| Some((place, field(segment)?))).collect();
        let segments: Vec<&str> = segments.iter().map(|segment| if segment.contains('{') { "*" } else { segment }).collect();
        Some(Self { host: host.parse().ok()?, path: format!("/{}", segments.join("/")).parse().ok()?, fields })
    }

    /// Whether it is the same place as `other`, whatever its fields are called.
    pub fn is_at(&self, other: &Self) -> bool {
        self.host == other.host && self.path == other.path
    }

    /// Whether a request to `path` of `host` is for it, in every reading of the path: an answer is given where nobody could mean
    /// another place.
    pub fn takes(&self, host: &Host, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let trimmed = path.strip_suffix('/').filter(|rest| !rest.is_empty());
        let fits = |path: &str| self.path.matches_all_readings(path);
        self.host.matches(host) && (fits(path) || trimmed.is_some_and(fits))
    }

    /// Whether some service could take a request to `path` of `host` for one of it, by any reading: in another letter case, with the format
    /// behind it that the answer is to have (`token.json`), or with the dots and spaces that some take off. For refusals.
    pub fn may_be_meant(&self, host: &Host, path: &str) -> bool {
        let meant = |reading: &str| {
            let bare = reading.trim_end_matches(['/', '.', ' ']);
            [reading, bare].into_iter().any(|path| self.path.may_take(path))
        };
        self.host.matches(host) && readings(path).map_or(true, |all| all.iter().any(meant))
    }

    /// Whether `path`, which it takes, says the fields of this connection.
    fn says(&self, path: &str, fields: Fields<'_>) -> bool {
        let Ok(path) = normalised(path) else { return false };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let said = |(place, name): &(usize, String)| {
            let own = strategy::label(fields, name).flatten();
            segments.get(*place).zip(own).is_some_and(|(segment, own)| segment.eq_ignore_ascii_case(&own))
        };
        !self.fields.is_empty() && self.fields.iter().all(said)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "https://{}{}", self.host, self.path)
    }
}

impl TokenResponse {
    /// The JSON of one answer.
    pub fn body(&self, occasion: &Occasion<'_>) -> Value {
        let mut body = match self.shape {
            Shape::OAuth2 => self.oauth2(occasion),
            Shape::GithubApp => self.installation(occasion),
        };
        body.extend(object(&self.members, occasion));
        Value::Object(body)
    }

    /// Whether a connection with these fields belongs at `host`: a tenant's endpoint is that tenant's.
    pub fn is_bound(&self, host: &Host, fields: Fields<'_>) -> bool {
        let here = |pattern: &HostPattern| match pattern {
            HostPattern::Tenant { .. } => pattern.bind(fields).is_ok_and(|bound| bound.as_ref() == Some(host)),
            pattern => pattern.matches(host),
        };
        self.at.iter().any(|at| here(&at.host))
    }

    /// Whether a request to `path` of `host` is for the account of a connection with these fields, and no other's: the path may name a
    /// tenant or an installation.
    pub fn names(&self, host: &Host, path: &str, fields: Fields<'_>) -> bool {
        self.at.iter().any(|at| at.takes(host, path) && at.says(path, fields))
    }

    /// The templates in it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let claims = [Some(&self.access_token), self.refresh_token.as_ref(), self.id_token.as_ref()];
        let claims = claims.into_iter().flatten().flat_map(|made| match made {
            Made::Prefix(_) => &[],
            Made::Jwt { claims, .. } => claims.as_slice(),
        });
        let mut templates = Vec::new();
        claims.chain(&self.members).for_each(|(_name, member)| member.collect(&mut templates));
        templates.into_iter()
    }

    /// How many scopes of a log-in are this service's because they name no address.
    pub fn fits_bare_scopes(&self, scope: &str) -> usize {
        words_of(scope).filter(|word| self.bare_scopes && !word.contains('/')).count()
    }

    /// What stands for the tokens that a person's log-in gave: those of its answer, or a bare placeholder.
    pub fn stand_ins(&self, occasion: &Occasion<'_>) -> [String; 2] {
        let made =
            |made: Option<&Made>| made.map_or_else(|| occasion.tail.to_owned(), |made| made.token(self.lifetime, occasion));
        [made(Some(&self.access_token)), made(self.refresh_token.as_ref())]
    }

    /// What stands for the signature of a JSON Web Token with this `alg`.
    pub fn no_signature(algorithm: &str, tail: &str) -> String {
        let known = [JwtAlgorithm::Rs256, JwtAlgorithm::Es256, JwtAlgorithm::Hs256];
        no_signature(known.into_iter().find(|known| known.word() == algorithm).unwrap_or(JwtAlgorithm::Rs256), tail)
    }

    /// Fields that a request to `path` of `host`, and the answer to it, name: a tenant in either, an instance among the members.
    pub fn named_fields(&self, host: &Host, path: &str, member: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
        let here = || self.at.iter().filter(|at| at.takes(host, path));
        let tenants = here().filter_map(|at| Some((at.host.tenant()?.to_owned(), at.host.tenant_of(host)?.to_owned())));
        let segments: Vec<String> =
            normalised(path).map(|path| path.split('/').skip(1).map(str::to_owned).collect()).unwrap_or_default();
        let in_path =
            here().flat_map(|at| &at.fields).filter_map(|(place, name)| Some((name.clone(), segments.get(*place)?.clone())));
        let told = self.members.iter().filter_map(|(name, shape)| match shape {
            Member::Text(template) => template.read(&member(name)?),
            Member::Number(_) | Member::Boolean(_) | Member::Object(_) => None,
        });
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in tenants.chain(in_path).chain(told).filter(|(_, value)| is_label(value)) {
            if !fields.iter().any(|(known, _)| *known == name) {
                fields.push((name, value));
            }
        }
        fields
    }

    /// RFC 6749 §5.1.
    fn oauth2(&self, occasion: &Occasion<'_>) -> Map<String, Value> {
        let make = |made: &Made| Value::from(made.token(self.lifetime, occasion));
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        put("access_token", make(&self.access_token));
        put("token_type", self.token_type.as_str().into());
        put("expires_in", self.lifetime.as_secs().into());
        if self.expires_on {
            put("not_before", seconds(occasion.now).to_string().into());
            put("expires_on", seconds(occasion.now + self.lifetime).to_string().into());
        }
        if occasion.exchanged {
            put("issued_token_type", "urn:ietf:params:oauth:token-type:access_token".into());
        }
        if let Some(made) = self.refresh_token.as_ref().filter(|_| occasion.renewable) {
            let own = occasion.refresh_token.filter(|own| is_plain(own)).map(Value::from);
            put("refresh_token", own.unwrap_or_else(|| make(made)));
        }
        if let Some(made) = &self.id_token {
            put("id_token", make(made));
        }
        if let Some(default) = &self.scope {
            let said = occasion.scope.filter(|scope| is_plain(scope)).unwrap_or(default);
            if !said.is_empty() {
                put("scope", said.into());
            }
        }
        body
    }

    /// "Create an installation access token for an app", GitHub.
    fn installation(&self, occasion: &Occasion<'_>) -> Map<String, Value> {
        let end = seconds(occasion.now + self.lifetime);
        let end = i64::try_from(end).ok().and_then(|end| jiff::Timestamp::from_second(end).ok());
        let mut body = Map::new();
        body.insert("token".to_owned(), self.access_token.token(self.lifetime, occasion).into());
        body.insert("expires_at".to_owned(), end.map(|end| end.to_string()).into());
        body
    }
}

/// Letters of RFC 6749 §3.3, and not too many. Nothing of a request comes back in its answer but its scope and the refresh token.
pub(super) fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    !text.is_empty() && text.len() <= MAX_ECHO && text.bytes().all(plain)
}

/// What may stand in a host or a path.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Made {
    fn token(&self, lifetime: Duration, occasion: &Occasion<'_>) -> String {
        let (algorithm, claims) = match self {
            Self::Prefix(prefix) => return format!("{prefix}{}", occasion.tail),
            Self::Jwt { algorithm, claims } => (*algorithm, claims),
        };
        let mut payload = Map::from_iter([("sub".to_owned(), Value::from("placeholder"))]);
        payload.extend(object(claims, occasion));
        payload.insert("iat".to_owned(), seconds(occasion.now).into());
        payload.insert("exp".to_owned(), seconds(occasion.now + lifetime).into());
        let header = json!({ "alg": algorithm.word(), "typ": "JWT", "kid": "placeholder" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(&header), part(&Value::Object(payload)), no_signature(algorithm, occasion.tail))
    }
}

/// As long as a signature, and one to whoever decodes it. It begins with the placeholder's own part, which `_` ends, so that it is
/// found in a token as in any other value; no key makes it.
fn no_signature(algorithm: JwtAlgorithm, tail: &str) -> String {
    let bytes: usize = match algorithm {
        JwtAlgorithm::Rs256 => 256,
        JwtAlgorithm::Es256 => 64,
        JwtAlgorithm::Hs256 => 32,
    };
    // RFC 4648 §3.5: the last letter may hold bits that nobody reads, which must be zero. `A` is.
    let rest = (bytes * 4).div_ceil(3).saturating_sub(tail.len() + 2);
    let filler: String = tail.chars().rev().cycle().take(rest).collect();
    format!("{tail}_{filler}A")
}

pub(super) fn object(members: &[(String, Member)], occasion: &Occasion<'_>) -> Map<String, Value> {
    members.iter().filter_map(|(name, member)| Some((name.clone(), member.value(occasion)?))).collect()
}

impl Member {
    /// `None` where the connection lacks a field that it names.
    fn value(&self, occasion: &Occasion<'_>) -> Option<Value> {
        match self {
            Self::Text(template) => template.fill(&|name| occasion.label(name)).map(Value::from),
            Self::Number(number) => Some((*number).into()),
            Self::Boolean(boolean) => Some((*boolean).into()),
            Self::Object(members) => Some(Value::Object(object(members, occasion))),
        }
    }

    pub(super) fn collect<'m>(&'m self, templates: &mut Vec<&'m Template>) {
        match self {
            Self::Text(template) => templates.push(template),
            Self::Object(members) => members.iter().for_each(|(_name, member)| member.collect(templates)),
            Self::Number(_) | Self::Boolean(_) => {}
        }
    }
}

impl Provider {
    /// The endpoints of its file that hand out tokens, those on tenants' hosts too.
    pub(super) fn default_endpoints(&self) -> Vec<Endpoint> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for endpoint in self.token_endpoints().filter_map(Endpoint::of_url) {
            if !endpoints.iter().any(|known| known.is_at(&endpoint)) {
                endpoints.push(endpoint);
            }
        }
        endpoints
    }
}

#[cfg(test)]
#[path = "token_response_tests.rs"]
mod tests;
