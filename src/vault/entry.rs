//! `Entry`: one connection as the vault keeps it.

use std::time::SystemTime;

use crate::model::{Credential, ProviderId};

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

/// Whether the credential can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It can.
    Active,
    /// The token endpoint refused it for good: a person must act.
    Attention,
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
    /// When a person registered it.
    pub registered_at: Option<SystemTime>,
    /// When the access token dies, where that is known.
    pub expires_at: Option<SystemTime>,
    /// Exact hosts the credential may reach, sealed at registration. Empty in entries that JarvisCore wrote.
    pub hosts: Vec<String>,
    /// Whether it can be used.
    pub status: Status,
    /// Members of the JSON object that we do not know, kept word for word.
    pub other: serde_json::Map<String, serde_json::Value>,
}
