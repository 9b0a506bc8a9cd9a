//! Who is asking: a token in `Proxy-Authorization`, a listener bound to an agent, or our own user on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::refusal::Refusal;
use super::worker::{Listener, Worker};
use crate::agent::Agent;
use crate::audit::Entry;
use crate::listener::UnixPeer;
use crate::model::AgentName;

/// What the caller showed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// The value of its one `Proxy-Authorization`.
    Authorization(&'a [u8]),
    /// The token in a base-URL path.
    Token(&'a str),
}

/// Where the stream comes from and through which socket.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) listener: Arc<Listener>,
    /// The process at the other end, where the stream came by a Unix socket.
    pub(super) process: Option<Arc<Process>>,
    /// Which agent the caller is by the certificate that it showed.
    pub(super) certificate: Option<Arc<AgentName>>,
    /// The caller speaks TLS to the proxy itself.
    pub(super) tls: bool,
}

/// A process of this machine, and which agent it is by the kernel's word.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) peer: UnixPeer,
    pub(super) agent: Option<AgentName>,
}

impl Worker {
    /// The agent behind `origin`.
    ///
    /// # Errors
    /// [`Refusal::UnknownAgent`]: a wrong token is never taken for no token. [`Refusal::Limit`] after too many wrong ones.
    pub(super) fn authenticate(&self, origin: &Origin, shown: Shown<'_>) -> Result<Arc<Agent>, Refusal> {
        let agents = self.proxy.agents.load();
        let now = SystemTime::now();
        let token = match shown {
            Shown::Nothing => None,
            Shown::Authorization(value) => Some(credentials(value).ok_or(Refusal::UnknownAgent)?),
            Shown::Token(token) => Some((None, Zeroizing::new(token.to_owned()))),
        };
        if self.proxy.callers.certificate_required() && !origin.tls && origin.process.is_none() {
            return Err(Refusal::UnknownAgent);
        }
        let by_kernel = origin.process.as_deref().and_then(|process| process.agent.as_ref());
        let by_certificate = origin.certificate.as_deref();
        if by_kernel.zip(by_certificate).is_some_and(|(one, other)| one != other) {
            return Err(Refusal::UnknownAgent);
        }
        let known = by_kernel.or(by_certificate);
        let Some((name, token)) = token else {
            return match known.or(origin.listener.agent.as_ref()) {
                Some(named) if known.is_some() => agents.by_name(named, now).ok_or(Refusal::UnknownAgent),
                Some(_) if self.is_a_stranger(origin) => Err(Refusal::UnknownAgent),
                Some(bound) => agents.by_name(bound, now).ok_or(Refusal::UnknownAgent),
                None if agents.serves_local() => self.local(origin),
                None => Err(Refusal::UnknownAgent),
            };
        };
        let found = self.proxy.agents.by_token(&token, now).filter(|agent| name.is_none_or(|name| name == agent.name.as_str()));
        // Whoever is known in two ways is the same in both.
        let found = found.filter(|agent| known.is_none_or(|known| *known == agent.name));
        // Only wrong tokens are slowed down: many agents may share one address, and one that guesses must not lock out the others.
        found.ok_or_else(|| {
            let source = origin.peer.ip();
            if self.proxy.guesses.exhausted(source, self.proxy.settings.wrong_tokens_per_minute) {
                return Refusal::Limit("wrong tokens from this address");
            }
            self.proxy.guesses.wrong(source);
            Refusal::UnknownAgent
        })
    }

    /// With no agents defined, loopback callers of our own user are `local`; loopback alone is no identity (threat 131).
    fn local(&self, origin: &Origin) -> Result<Arc<Agent>, Refusal> {
        if let Some(process) = &origin.process {
            return if process.peer.is_ours() { Ok(Arc::clone(&self.proxy.local)) } else { Err(Refusal::UnknownAgent) };
        }
        let loopback = origin.peer.ip().is_loopback() && origin.local.ip().is_loopback();
        if loopback && self.same_user(origin) { Ok(Arc::clone(&self.proxy.local)) } else { Err(Refusal::UnknownAgent) }
    }

    /// Whether another user of this machine came to a listener that is bound to an agent. Beyond loopback the kernel can't tell; there
    /// the network has to keep strangers away.
    fn is_a_stranger(&self, origin: &Origin) -> bool {
        let loopback = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
        let here = loopback(&origin.peer) || loopback(&origin.local);
        here && !self.proxy.settings.agent_listen_any_user && !self.same_user(origin)
    }

    fn same_user(&self, origin: &Origin) -> bool {
        self.peers.as_ref().is_some_and(|peers| peers.same_user(origin.peer, origin.local))
    }
}

/// Writes down where the stream comes from.
pub(super) fn note_source(entry: &mut Entry, origin: &Origin) {
    match &origin.process {
        Some(process) => entry.process(&process.peer),
        None => entry.source(origin.peer),
    }
}

/// Writes down who asks.
pub(super) fn note_agent(entry: &mut Entry, agent: &Agent) {
    entry.agent(&agent.name);
    if let Some(lease) = agent.lease() {
        entry.lease(&lease.id);
    }
}

/// Name and token from `Basic` (RFC 7617), or the token alone from `Bearer` (RFC 6750) or from a name left empty.
fn credentials(value: &[u8]) -> Option<(Option<String>, Zeroizing<String>)> {
    let value = std::str::from_utf8(value).ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((None, Zeroizing::new(rest.trim().to_owned())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(rest.trim()).ok()?);
    let (name, token) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(((!name.is_empty()).then(|| name.to_owned()), Zeroizing::new(token.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_as_basic_or_bearer() {
        let name_and_token = |value: &[u8]| credentials(value).map(|(name, token)| (name, token.to_string()));
        assert_eq!(name_and_token(b"Basic YTp0"), Some((Some("a".into()), "t".into())));
        assert_eq!(name_and_token(b"bearer t"), Some((None, "t".into())));
        for value in [&b"Basic"[..], b"Basic !!", b"Digest x", b"", b"Basic YQ==", b"\xff"] {
            assert_eq!(name_and_token(value), None, "{value:?}");
        }
    }
}
