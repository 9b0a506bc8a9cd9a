//! `Lender`: what of a connection a node gets to hold.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::Credential;
use crate::provider::{Provider, Renewal};
use crate::vault::{Entry, Lent, LentRenewal};

/// Bytes of a version's name: enough that no two states share one.
const VERSION: usize = 16;

/// Makes the copies.
pub(crate) struct Lender([u8; 32]);

impl Lender {
    /// With 32 secret bytes, so that the name of a state tells nothing of it and stays the same when the gateway starts again.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The copy of `entry`: the fields that go on requests, and those that are no secret (I11). Of an app alone it is that there is one.
    /// `None` for what a node has no business with: a log-in of one agent's own, and one that waits for approval.
    pub(crate) fn lend(&self, provider: &Provider, entry: &Entry) -> Option<Entry> {
        let app_alone = entry.is_app_alone();
        if !is_for_nodes(entry) {
            return None;
        }
        let is_spent = provider.spends("client_secret");
        let own = |name: &str| entry.placed_field(name, is_spent);
        let renewal = if app_alone { LentRenewal::None } else { renewal(provider, entry) };
        let usable = renewal != LentRenewal::First && entry.status.serves() && !app_alone;
        let mut fields = Credential::default();
        let open = provider.open_fields().into_iter().filter(|name| !provider.spends(name));
        for name in open.chain(provider.placed(&own).into_iter().filter(|_| usable)) {
            own(name).into_iter().for_each(|value| fields.set(name, value.duplicate()));
        }
        let mut copy = Entry::new(entry.provider.clone(), entry.auth_type.clone(), fields);
        (copy.registered_at, copy.expires_at, copy.status) = (entry.registered_at, entry.expires_at, entry.status);
        copy.app = app_alone;
        if let Some(hosts) = entry.sealed_hosts() {
            copy.seal(hosts.to_vec());
        }
        copy.lent =
            Some(Lent { version: self.version(entry), renewal, client: provider.has_client(&|name| entry.fields.field(name)) });
        Some(copy)
    }

    /// The name of this state of the credential: another one once anything of it has changed, be it only the refresh token.
    pub(crate) fn version(&self, entry: &Entry) -> Arc<str> {
        // HMAC takes keys of every length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Arc::from("") };
        let mut add = |part: &[u8]| {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        };
        for name in entry.fields.names() {
            add(name.as_bytes());
            add(entry.fields.field(name).map(|value| value.expose().as_bytes()).unwrap_or_default());
        }
        for time in [entry.registered_at, entry.expires_at] {
            let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            add(&since.map(|since| since.as_nanos().to_be_bytes()).unwrap_or_default());
        }
        let name = mac.finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(name.get(..VERSION).unwrap_or_default()).into()
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// Whether nodes hear of `entry`.
pub(super) fn is_for_nodes(entry: &Entry) -> bool {
    entry.is_open() || (entry.is_app_alone() && entry.captured.is_none())
}

fn renewal(provider: &Provider, entry: &Entry) -> LentRenewal {
    let present = |name: &str| entry.fields.field(name).is_some_and(|value| !value.matches(""));
    match provider.renewal(&|name| entry.fields.field(name)) {
        None => LentRenewal::None,
        Some(renewal) if present("access_token") || made(renewal).is_some_and(present) => LentRenewal::Able,
        Some(_) => LentRenewal::First,
    }
}

/// The field without which nothing has been made yet.
fn made(renewal: Renewal<'_>) -> Option<&'static str> {
    renewal.makes().last().copied()
}
