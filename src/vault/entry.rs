//! `Entry`: one connection as the vault keeps it.

use std::sync::Arc;
use std::time::SystemTime;

use crate::model::{AgentName, ConnectionId, Credential, GatewayId, ProviderId, Secret, UserName};

/// How the account authenticates, as written in `auth_type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthType {
    /// `oauth2`.
    OAuth2,
    /// `api_key`.
    ApiKey,
    /// `basic_auth`.
    BasicAuth,
    /// Any other word, kept as it was.
    Other(String),
}

impl AuthType {
    /// The word in `auth_type`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::ApiKey => "api_key",
            Self::BasicAuth => "basic_auth",
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for AuthType {
    fn from(word: &str) -> Self {
        match word {
            "oauth2" => Self::OAuth2,
            "api_key" => Self::ApiKey,
            "basic_auth" => Self::BasicAuth,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Whether the credential can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It can.
    Active,
    /// The token endpoint refused it for good: a person must act. An access token that still lives goes on.
    Attention,
    /// Nobody uses it until a person approves it, or consents.
    Pending,
    /// A person ended it, or the service says that somebody did. Nobody uses it.
    Revoked,
    /// Its token is dead, and there is nothing to renew it with. Hardly ever written: [`Entry::status_at`] finds it. Requests go on
    /// with it, since our clock is no proof.
    Expired,
    /// The consent that it waited for was denied, or nobody gave it in time. Nobody uses it.
    Failed,
    /// A word that only a newer Nexus knows, which is kept. Nobody uses it: it may mean that nobody should.
    Unknown,
}

impl Status {
    /// All that have a word in the file.
    const WRITTEN: [Self; 6] = [Self::Active, Self::Attention, Self::Pending, Self::Revoked, Self::Expired, Self::Failed];

    /// `active`, `attention`, `pending`, `revoked`, `expired` or `failed`; `unknown` for another word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Attention => "attention",
            Self::Pending => "pending",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a request may go with the credential.
    pub fn serves(self) -> bool {
        matches!(self, Self::Active | Self::Attention | Self::Expired)
    }

    /// Whether it is renewed.
    pub fn renews(self) -> bool {
        matches!(self, Self::Active | Self::Expired)
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        Self::WRITTEN.into_iter().find(|status| status.as_str() == word).unwrap_or(Self::Unknown)
    }
}

/// Whose log-in a connection comes from: it is that agent's alone, and nobody's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Who logged in.
    pub agent: AgentName,
    /// For whom that agent acted then; acting for another it is another's connection to it.
    pub user: Option<UserName>,
    /// When it ends unless a person approves it before; `None` once one has.
    pub until: Option<SystemTime>,
    /// When it was obtained. A later log-in may get the name of one that was removed, and is another all the same.
    pub since: Option<SystemTime>,
    /// The connection that made it, where it is a key that a program made.
    pub made_with: Option<ConnectionId>,
}

/// How many handles of the gateway an entry keeps: the newest.
const GATEWAY_IDS: usize = 8;

/// A copy of a connection that a gateway owns: it can be used, but only its owner can renew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent {
    /// The owner's name for this state of the credential; another one says that it has been renewed or replaced.
    pub version: Arc<str>,
    /// What the owner can do for it.
    pub renewal: LentRenewal,
    /// Whether the owner has a client by which a person's consent can be asked for.
    pub client: bool,
}

/// What the owner of a lent credential can do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LentRenewal {
    /// Nothing: there is nothing to renew it with.
    None,
    /// Renew it when it dies.
    Able,
    /// Make it: there is nothing yet that a request could carry.
    First,
}

/// Members of an entry's JSON object that we do not know, or would write otherwise, word for word and in their order.
///
/// They may hold secrets, so their text is treated as one.
#[derive(Debug, Default)]
pub struct Unknown(pub(super) Vec<(String, Secret<String>)>);

impl Unknown {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether `other` has the same members, in whatever order.
    fn same_as(&self, other: &Self) -> bool {
        let has = |(name, value): &(String, Secret<String>)| {
            other.0.iter().any(|(other, text)| other == name && value.matches(text.expose()))
        };
        self.0.len() == other.0.len() && self.0.iter().all(has)
    }
}

/// One connection: its secret fields and what we know about them.
#[derive(Debug)]
pub struct Entry {
    /// The provider it belongs to.
    pub provider: ProviderId,
    /// How it authenticates.
    pub auth_type: AuthType,
    /// `access_token`, `refresh_token`, `client_id`, `client_secret`, `api_key`, `username`, `password`, tenant labels, ….
    pub fields: Credential,
    /// When a person registered it, or connected it by a log-in, last. Another time says that it is another credential.
    pub registered_at: Option<SystemTime>,
    /// When the access token dies, where that is known.
    pub expires_at: Option<SystemTime>,
    /// Exact hosts the credential may reach, sealed at registration. Empty in entries that JarvisCore wrote.
    pub hosts: Vec<String>,
    /// Whether the hosts were sealed: then it reaches those and no others, and none if there are none.
    pub sealed: bool,
    /// Token endpoints that the refresh token and the client's secret may be sent to, as the provider's file wrote them when they were
    /// sealed at registration.
    pub token_urls: Vec<String>,
    /// Whether it can be used.
    pub status: Status,
    /// The agent that obtained it by its own log-in; `None` where a person registered it.
    pub captured: Option<Captured>,
    /// Whether its client is known to be an app's: then the client's secret is for log-ins and renewals and never taken for a token.
    pub app: bool,
    /// What the gateway called it when it gave it to programs, the newest last.
    pub gateway_ids: Vec<GatewayId>,
    /// What its owner says of it where it is a copy in memory; `None` for all that is in a vault. Never written.
    pub lent: Option<Lent>,
    /// Members of the JSON object that are kept word for word.
    pub other: Unknown,
}

impl Entry {
    /// A fresh entry without hosts or expiry; [`register`](super::Store::register) writes the time.
    pub fn new(provider: ProviderId, auth_type: AuthType, fields: Credential) -> Self {
        Self {
            provider,
            auth_type,
            fields,
            registered_at: None,
            expires_at: None,
            hosts: Vec::new(),
            sealed: false,
            token_urls: Vec::new(),
            status: Status::Active,
            captured: None,
            app: false,
            gateway_ids: Vec::new(),
            lent: None,
            other: Unknown::default(),
        }
    }

    /// Says which hosts the credential may reach, once and for all.
    pub fn seal(&mut self, hosts: Vec<String>) {
        (self.hosts, self.sealed) = (hosts, true);
    }

    /// Makes `id` one of its handles; of many the oldest goes.
    pub fn answer_to(&mut self, id: GatewayId) {
        self.gateway_ids.retain(|known| *known != id);
        self.gateway_ids.push(id);
        self.gateway_ids.drain(..self.gateway_ids.len().saturating_sub(GATEWAY_IDS));
    }

    /// The hosts it may reach; `None` where nothing was sealed (as JarvisCore writes entries) and the provider's file decides.
    pub fn sealed_hosts(&self) -> Option<&[String]> {
        (self.sealed || !self.hosts.is_empty()).then_some(self.hosts.as_slice())
    }

    /// Whether it is one that a request may use without naming it, or that is listed for all who may use the provider's: neither one
    /// that waits for approval, nor one of an agent's own, nor an app alone.
    pub fn is_open(&self) -> bool {
        !self.is_app_alone() && self.status != Status::Pending && self.captured.is_none()
    }

    /// Whether it is an app that nobody has logged in by to this connection: no credential yet.
    pub fn is_app_alone(&self) -> bool {
        let has = |name| self.fields.field(name).is_some_and(|value| !value.expose().is_empty());
        self.app && self.status == Status::Active && !has("access_token") && !has("refresh_token")
    }

    /// Whether it is a log-in of `agent` that waits for approval.
    pub fn waits_for(&self, agent: &AgentName) -> bool {
        self.status == Status::Pending && self.captured.as_ref().is_some_and(|captured| captured.agent == *agent)
    }

    /// How it stands at `now`, where `renewable` says whether there is something to renew it with.
    pub fn status_at(&self, now: SystemTime, renewable: bool) -> Status {
        let is_dead = self.expires_at.is_some_and(|end| end <= now);
        if self.status == Status::Active && is_dead && !renewable { Status::Expired } else { self.status }
    }

    /// Whether nobody approved it in time.
    pub fn has_lapsed(&self, now: SystemTime) -> bool {
        let until = self.captured.as_ref().and_then(|captured| captured.until);
        self.status == Status::Pending && until.is_some_and(|until| until <= now)
    }

    /// Whether anything was sealed at all.
    pub fn is_sealed(&self) -> bool {
        self.sealed_hosts().is_some() || !self.token_urls.is_empty()
    }

    /// Whether its refresh token and its client's secret may be sent to `token_url`. An entry in which nothing is sealed (as JarvisCore
    /// writes them) goes where the provider's file says; one that was sealed before the file named any token endpoint goes to none.
    pub fn may_renew_at(&self, token_url: &str) -> bool {
        !self.is_sealed() || self.token_urls.iter().any(|sealed| sealed == token_url)
    }

    /// The field called `name` as a request should use it.
    ///
    /// As in JarvisCore, the `access_token` of an `oauth2` entry that has none is its `client_secret`: people register a personal
    /// token that way, unless the entry says that its client is an app's. A field without text counts as missing.
    pub fn effective_field(&self, name: &str) -> Option<&Secret<String>> {
        let field = |name| self.fields.field(name).filter(|value| !value.expose().is_empty());
        match (name, &self.auth_type) {
            ("access_token", AuthType::OAuth2) if !self.app => field("access_token").or_else(|| field("client_secret")),
            _ => field(name),
        }
    }

    /// As [`Entry::effective_field`] for a provider of which `is_spent` tells whether it makes access tokens from its client's secret:
    /// then the secret itself is none, and goes on no request.
    pub fn placed_field(&self, name: &str, is_spent: bool) -> Option<&Secret<String>> {
        if is_spent {
            return self.fields.field(name).filter(|value| !value.expose().is_empty());
        }
        self.effective_field(name)
    }

    /// The fields a program needs to authenticate by itself, as JarvisCore hands them out.
    ///
    /// `oauth2`: `access_token` (see [`Entry::effective_field`]), `client_id`, `client_secret`; `api_key`: `api_key`; `basic_auth`:
    /// `username`, `password`; any other: all fields.
    pub fn auth_info(&self) -> Credential {
        let named = |names: &[&str]| {
            let mut info = Credential::default();
            for name in names {
                if let Some(value) = self.effective_field(name) {
                    info.set(name, value.duplicate());
                }
            }
            info
        };
        match &self.auth_type {
            AuthType::OAuth2 => named(&["access_token", "client_id", "client_secret"]),
            AuthType::ApiKey => named(&["api_key"]),
            AuthType::BasicAuth => named(&["username", "password"]),
            AuthType::Other(_) => named(&self.fields.names().collect::<Vec<_>>()),
        }
    }

    /// Whether `other` says the same in every respect.
    pub fn same_as(&self, other: &Self) -> bool {
        let known = |entry: &Self| (entry.registered_at, entry.expires_at, entry.status);
        known(self) == known(other)
            && self.provider == other.provider
            && self.auth_type == other.auth_type
            && self.sealed_hosts() == other.sealed_hosts()
            && self.token_urls == other.token_urls
            && self.captured == other.captured
            && self.app == other.app
            && self.gateway_ids == other.gateway_ids
            && self.lent == other.lent
            && same_fields(&self.fields, &other.fields)
            && self.other.same_as(&other.other)
    }
}

fn same_fields(one: &Credential, two: &Credential) -> bool {
    let same_value = |name| match (one.field(name), two.field(name)) {
        (Some(one), Some(two)) => one.matches(two.expose()),
        _ => false,
    };
    one.names().eq(two.names()) && one.names().all(same_value)
}
