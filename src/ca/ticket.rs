//! `HostTickets`: session tickets that only the host they were issued for takes back.

use std::fmt;
use std::sync::Arc;

use rustls::server::ProducesTickets;

/// One host's view of the ticketer that all hosts share.
///
/// A ticket opened for another host is none (RFC 6066 §3): the caller then gets a full handshake, and with it that host's
/// certificate to judge.
pub(super) struct HostTickets {
    /// The host's text and a zero byte, which no host holds.
    prefix: Box<[u8]>,
    shared: Arc<dyn ProducesTickets>,
}

impl HostTickets {
    pub(super) fn new(host: &str, shared: Arc<dyn ProducesTickets>) -> Self {
        Self { prefix: [host.as_bytes(), &[0]].concat().into_boxed_slice(), shared }
    }
}

impl ProducesTickets for HostTickets {
    fn enabled(&self) -> bool {
        self.shared.enabled()
    }
    fn lifetime(&self) -> u32 {
        self.shared.lifetime()
    }
    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.shared.encrypt(&[&self.prefix, plain].concat())
    }
    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let plain = self.shared.decrypt(cipher)?;
        plain.strip_prefix(&*self.prefix).map(<[u8]>::to_vec)
    }
}

impl fmt::Debug for HostTickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HostTickets(..)")
    }
}
