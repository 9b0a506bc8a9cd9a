//! The end of a consent, told to the service (RFC 7009).

use super::account::{client, present};
use super::error::Error;
use super::ports::Ports;
use crate::oauth::{self, TokenKind};
use crate::provider::Provider;
use crate::vault::Entry;

/// What became of the tokens of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The service ended them.
    Yes,
    /// There is nothing that it could end, or no way to tell it.
    Nothing,
}

/// Tells the service that the tokens of `entry` are to end: the refresh token, which ends all (RFC 7009 §2.1), then the access token, for
/// services that keep that one.
///
/// # Errors
/// Its tokens may still be good.
pub async fn revoke(provider: &Provider, entry: &Entry, ports: &Ports) -> Result<Revoked, Error> {
    let oauth2 = provider.oauth2.as_ref();
    let Some((oauth2, template)) = oauth2.and_then(|oauth2| Some((oauth2, oauth2.revocation_url.as_deref()?))) else {
        return Ok(Revoked::Nothing);
    };
    // Its host is that of the token endpoint, which was sealed. What was made by a grant, or typed, is no consent's.
    let field = |name: &str| present(&entry.fields, name);
    if !entry.may_renew_at(&oauth2.token_url) || field("client_id").is_none() {
        return Ok(Revoked::Nothing);
    }
    let url = oauth::endpoint(template, &field)?;
    let client = client(oauth2, &entry.fields);
    let tokens = [("refresh_token", TokenKind::Refresh), ("access_token", TokenKind::Access)];
    let mut first = None;
    for (name, kind) in tokens {
        let Some(token) = field(name) else { continue };
        let reply = ports.send(oauth::revoke(url.clone(), &client, (token, kind))?).await;
        let now = ports.now();
        let ended = reply.and_then(|reply| {
            oauth::read_revocation(&reply, now).map_err(|refused| Error::NotRevoked(std::sync::Arc::new(refused)))
        });
        // Where the refresh token ended, the access token may be gone with it.
        first.get_or_insert(ended);
    }
    first.map_or(Ok(Revoked::Nothing), |ended| ended.map(|()| Revoked::Yes))
}
