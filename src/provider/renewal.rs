//! How a connection comes by its next token: with its refresh token, or by a grant.

use std::time::Duration;

use super::grant::Grant;
use super::oauth2::OAuth2;
use super::rule::Provider;
use super::strategy::{Fields, present};

/// How the credential of one connection is renewed.
#[derive(Debug, Clone, Copy)]
pub enum Renewal<'p> {
    /// The refresh token that a person's consent gave (RFC 6749 §6).
    Refresh(&'p OAuth2),
    /// A new token from what is stored.
    Grant(&'p Grant),
}

impl<'p> Renewal<'p> {
    /// Where its secrets are sent, as the file writes it; `None` where nobody is asked.
    pub fn token_url(self) -> Option<&'p str> {
        match self {
            Self::Refresh(oauth2) => Some(oauth2.renewal_url()),
            Self::Grant(grant) => grant.token_url.as_deref(),
        }
    }

    /// The fields that it fills, as [`super::GrantKind::makes`] says.
    pub fn makes(self) -> &'static [&'static str] {
        match self {
            Self::Refresh(_) => &["access_token"],
            Self::Grant(grant) => grant.kind.makes(),
        }
    }

    /// Life of a token whose reply does not tell.
    pub fn default_lifetime(self) -> Option<Duration> {
        match self {
            Self::Refresh(oauth2) => oauth2.default_lifetime,
            Self::Grant(grant) => grant.default_lifetime,
        }
    }
}

impl Provider {
    /// How a connection with these fields is renewed: by its refresh token, else by the first grant whose fields it has.
    pub fn renewal(&self, fields: Fields<'_>) -> Option<Renewal<'_>> {
        if let Some(oauth2) = self.oauth2.as_ref().filter(|_| present(fields, "refresh_token")) {
            return Some(Renewal::Refresh(oauth2));
        }
        self.grants.iter().find(|grant| grant.is_filled_by(fields)).map(Renewal::Grant)
    }

    /// Whether these fields hold a client by which a person's consent can be asked for.
    pub fn has_client(&self, fields: Fields<'_>) -> bool {
        let asks = |oauth2: &OAuth2| oauth2.authorize_url.is_some() || oauth2.device_url.is_some();
        let filled = |name: &str| fields(name).filter(|value| !value.matches(""));
        self.oauth2.as_ref().is_some_and(asks)
            && filled("client_id").is_some()
            && !matches!(self.renewal(&filled), Some(Renewal::Grant(_)))
    }
}
