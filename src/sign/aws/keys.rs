//! The stored keys, and the few places where they are looked at.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4::generate_signing_key;
use zeroize::Zeroizing;

use super::error::Error;
use super::scope::Scope;
use crate::model::Secret;

/// One access key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'a> {
    /// Names the key; no secret.
    pub(crate) access_key_id: &'a str,
    /// What signs.
    pub(crate) secret_access_key: &'a Secret<String>,
    /// Comes with temporary keys.
    pub(crate) session_token: Option<&'a Secret<String>>,
}

impl Keys<'_> {
    /// Whether a signature can be made with them.
    ///
    /// # Errors
    /// A part that is empty, or that the text that is signed or a header cannot carry.
    pub(super) fn check(&self) -> Result<(), Error> {
        let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !visible(self.access_key_id) || self.access_key_id.contains(['/', ',']) {
            return Err(Error::Keys("access key id"));
        }
        if !visible(self.secret_access_key.expose()) {
            return Err(Error::Keys("secret access key"));
        }
        if self.session_token.is_some_and(|token| !visible(token.expose())) {
            return Err(Error::Keys("session token"));
        }
        Ok(())
    }

    /// A copy for the signer, which wipes it.
    pub(super) fn credentials(&self) -> Credentials {
        let token = self.session_token.map(|token| token.expose().clone());
        Credentials::new(self.access_key_id, self.secret_access_key.expose().as_str(), token, None, "nexus")
    }

    /// How long the session token is, in bytes.
    pub(super) fn token_length(&self) -> usize {
        self.session_token.map_or(0, |token| token.expose().len())
    }

    /// The key of one day, region and service ("Derive a signing key"): good for them alone.
    pub(super) fn signing_key(&self, time: SystemTime, scope: &Scope) -> Zeroizing<Vec<u8>> {
        let key = generate_signing_key(self.secret_access_key.expose(), time, &scope.region, &scope.service);
        Zeroizing::new(key.as_ref().to_vec())
    }
}
