//! What the gateway is told at start.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::return_url::ReturnUrl;
use super::session::Lasting;
use crate::head::Limits;
use crate::model::Host;

/// How the gateway behaves and where its bounds are.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The address that it listens on.
    pub(crate) listen: IpAddr,
    /// Names and addresses under which it is known, besides `localhost`, the address that a connection came to and, where it listens on every
    /// address, those of loopback.
    pub(crate) names: Vec<Host>,
    /// Where people's browsers reach it, without a slash at the end.
    pub(crate) url: String,
    /// Where they may be sent back to; the first is the one where an app names none.
    pub(crate) return_urls: Vec<ReturnUrl>,
    /// The folder of the audit log.
    pub(crate) audit: PathBuf,
    /// How long before its end a credential is renewed.
    pub(crate) renew_ahead: Duration,
    /// How long a service's token endpoint may take.
    pub(crate) token_timeout: Duration,
    /// How long requests may go on after SIGTERM.
    pub(crate) drain: Duration,
    /// Whether a program of our own user is somebody that shows no key.
    pub(crate) keyless: bool,
    /// Wrong keys that one address may show in a minute before it has to wait.
    pub(crate) wrong_keys_per_minute: u32,
    /// A request head must be whole after this.
    pub(crate) head_timeout: Duration,
    /// A TLS handshake must be done after this.
    pub(crate) handshake_timeout: Duration,
    /// A request must be answered after this, its body read.
    pub(crate) answer_timeout: Duration,
    /// How long people stay signed in at the page.
    pub(crate) sessions: Lasting,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Of those, the ones of one address.
    pub(crate) address_connections: usize,
}

/// Bytes of a request's body.
pub(super) const BODY: usize = 64 * 1024;
/// What a request's head may be: keys and names are short.
pub(super) const LIMITS: Limits = Limits { fields: 64, head: 32 * 1024, target: 8 * 1024, linger: Duration::from_secs(1) };
