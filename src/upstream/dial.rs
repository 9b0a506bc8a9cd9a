//! One new connection: check, TCP, perhaps the parent's tunnel, TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::lookup::Lookups;
use super::parent::SILENT;
use super::resolve::{self, Lookup, Policy};
use super::stream::Stream;
use super::tls::Configs;
use super::{Error, Parent, Settings, Versions};
use crate::model::{Authority, Host, Scheme};
use crate::plaintext::Plaintext;
use crate::read_ahead::ReadAhead;

/// Makes connections; shared by all workers.
pub(crate) struct Dialler {
    pub(super) settings: Settings,
    configs: Configs,
    lookups: Lookups,
    own: ArcSwap<Vec<SocketAddr>>,
    /// Our gateway, where it is another process.
    gateway: ArcSwapOption<Authority>,
    dialled: AtomicU64,
    failed: AtomicU64,
}

/// A connection that stands.
pub(crate) struct Connected {
    /// Ready to be spoken on.
    pub(crate) stream: Stream,
    /// Whether ALPN chose `h2`.
    pub(crate) http2: bool,
    /// The address that was dialled: the service's, or the parent's.
    pub(crate) address: SocketAddr,
    /// A parent is at the other end and reads the requests itself.
    pub(super) through: Option<Through>,
}

/// How a request without TLS is written to a parent: in absolute form (RFC 9112 §3.2.2), with our own identity.
#[derive(Debug)]
pub(super) struct Through {
    pub(super) authorization: Option<HeaderValue>,
}

impl Dialler {
    /// Loads the roots once.
    ///
    /// # Errors
    /// If rustls refuses the provider.
    pub(crate) fn new(settings: Settings, provider: &Arc<CryptoProvider>) -> Result<Self, rustls::Error> {
        let configs = Configs::new(provider, &settings.extra_roots)?;
        Ok(Self::with(settings, configs))
    }

    /// As [`Dialler::new`], but trusting `roots` alone: for a service whose authority a person has named.
    ///
    /// # Errors
    /// If rustls refuses the provider or a root.
    pub(crate) fn pinned(
        settings: Settings,
        provider: &Arc<CryptoProvider>,
        roots: &[CertificateDer<'static>],
    ) -> Result<Self, rustls::Error> {
        let configs = Configs::pinned(provider, roots)?;
        Ok(Self::with(settings, configs))
    }

    fn with(settings: Settings, configs: Configs) -> Self {
        let lookups = Lookups::new(settings.agent_lookups, settings.unknown_names_per_minute);
        let (own, gateway) = (ArcSwap::default(), ArcSwapOption::empty());
        Self { settings, configs, lookups, own, gateway, dialled: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    /// How many connections came to stand since the start, and how many did not.
    pub(crate) fn dials(&self) -> [u64; 2] {
        [&self.dialled, &self.failed].map(|count| count.load(Ordering::Relaxed))
    }

    /// Forgets agents that ask for no names.
    pub(crate) fn sweep(&self) {
        self.lookups.sweep();
    }

    /// Tells which addresses are our own listeners: they are never dialled (I5).
    pub(crate) fn set_own(&self, own: Vec<SocketAddr>) {
        self.own.store(Arc::new(own));
    }

    /// Tells which service holds our credentials: it is not dialled for anybody (I5).
    pub(crate) fn set_own_name(&self, gateway: Authority) {
        self.gateway.store(Some(Arc::new(gateway)));
    }

    /// Whether `authority` could be dialled, as far as that is known before its name is looked up.
    ///
    /// # Errors
    /// As the dial would give them.
    pub(crate) fn permit(&self, authority: &Authority) -> Result<(), Error> {
        let own = self.own.load();
        let Settings { allow_private, resolve, .. } = &self.settings;
        Policy { allow_private, resolve, own: &own }.permit(authority)
    }

    /// A TCP stream to `authority` on behalf of `agent`, its address checked, through the parent where there is one.
    pub(crate) async fn tcp(&self, authority: &Authority, agent: &Arc<str>) -> Result<(TcpStream, SocketAddr), Error> {
        resolve::permit_name(authority)?;
        if self.gateway.load().as_deref() == Some(authority) {
            return Err(Error::Loop { authority: authority.clone() });
        }
        if let Some(parent) = self.parent_of(authority) {
            return self.tcp_through(parent, authority).await;
        }
        let late = |_elapsed| Error::ConnectTimeout { authority: authority.clone() };
        timeout(self.settings.connect_timeout, self.tcp_directly(authority, agent)).await.map_err(late)?
    }

    /// A parent that takes the connection and then says nothing is not the service's fault.
    async fn tcp_through(&self, parent: &Parent, authority: &Authority) -> Result<(TcpStream, SocketAddr), Error> {
        let deadline = Instant::now() + self.settings.connect_timeout;
        let late = |_elapsed| Error::ConnectTimeout { authority: authority.clone() };
        let (mut stream, address) = timeout_at(deadline, self.reach(parent, authority)).await.map_err(late)??;
        let silent = |_elapsed| Error::ParentAnswer { parent: parent.authority.clone(), why: SILENT };
        timeout_at(deadline, parent.connect(&mut stream, authority)).await.map_err(silent)??;
        Ok((stream, address))
    }

    async fn tcp_directly(&self, authority: &Authority, agent: &Arc<str>) -> Result<(TcpStream, SocketAddr), Error> {
        let own = self.own.load();
        let addresses = resolve::addresses(&self.settings, Lookup { lookups: &self.lookups, agent }, &own, authority).await?;
        let (stream, address) = first_of(addresses, authority, self.settings.connect_timeout).await?;
        if meets_ourselves(&own, &stream) {
            return Err(Error::Loop { authority: authority.clone() });
        }
        Ok((stream, address))
    }

    /// The parent that `authority` is reached through: what has an address of its own in `upstream.resolve` is not.
    fn parent_of(&self, authority: &Authority) -> Option<&Parent> {
        let overridden = self.settings.resolve.iter().any(|entry| entry.host == authority.host);
        self.settings.parent.as_ref().filter(|parent| !overridden && parent.covers(&authority.host))
    }

    /// A TCP stream to `parent`, which will be asked for `authority`.
    async fn reach(&self, parent: &Parent, authority: &Authority) -> Result<(TcpStream, SocketAddr), Error> {
        resolve::permit_for_parent(&self.settings, &self.own.load(), authority)?;
        let unreachable = |error| match error {
            Error::Unreachable { cause, .. } | Error::NoSuchHost { cause, .. } => {
                Error::ParentUnreachable { parent: parent.authority.clone(), cause }
            }
            Error::ConnectTimeout { .. } => {
                Error::ParentUnreachable { parent: parent.authority.clone(), cause: std::io::ErrorKind::TimedOut.into() }
            }
            other => other,
        };
        let found = self.lookups.find_own(&parent_host(&parent.authority), parent.authority.port).await;
        let addresses = found.map_err(unreachable)?;
        let dialled = first_of(addresses, &parent.authority, self.settings.connect_timeout).await;
        let (stream, address) = dialled.map_err(unreachable)?;
        if meets_ourselves(&self.own.load(), &stream) {
            return Err(Error::Loop { authority: parent.authority.clone() });
        }
        Ok((stream, address))
    }

    /// Without TLS the parent forwards by itself: many refuse CONNECT to port 80.
    async fn through_parent(&self, authority: &Authority) -> Result<Option<Connected>, Error> {
        let Some(parent) = self.parent_of(authority) else { return Ok(None) };
        resolve::permit_name(authority)?;
        let late = |_elapsed| Error::ConnectTimeout { authority: authority.clone() };
        let (stream, address) = timeout(self.settings.connect_timeout, self.reach(parent, authority)).await.map_err(late)??;
        let through = Some(Through { authorization: parent.authorization.clone() });
        Ok(Some(Connected { stream: Stream::Tcp(stream), http2: false, address, through }))
    }

    /// A connection to `authority` on behalf of `agent`; over `https` the certificate is verified for its host before this returns.
    pub(crate) async fn connect(
        &self,
        scheme: Scheme,
        authority: &Authority,
        versions: Versions,
        agent: &Arc<str>,
    ) -> Result<Connected, Error> {
        let connected = self.connect_once(scheme, authority, versions, agent).await;
        let count = if connected.is_ok() { &self.dialled } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        connected
    }

    async fn connect_once(
        &self,
        scheme: Scheme,
        authority: &Authority,
        versions: Versions,
        agent: &Arc<str>,
    ) -> Result<Connected, Error> {
        if scheme == Scheme::Http
            && let Some(connected) = self.through_parent(authority).await?
        {
            return Ok(connected);
        }
        let (tcp, address) = self.tcp(authority, agent).await?;
        if scheme == Scheme::Http {
            return Ok(Connected { stream: Stream::Tcp(tcp), http2: false, address, through: None });
        }
        let offer = if versions == Versions::Any && self.settings.http2 { &self.configs.any } else { &self.configs.http1 };
        let failed = |cause: std::io::Error| {
            tracing::warn!(%authority, %address, %cause, "the TLS of a service is not valid");
            Error::Tls { authority: authority.clone(), cause }
        };
        let name = server_name(&authority.host).map_err(|cause| failed(std::io::Error::other(cause)))?;
        let handshake = TlsConnector::from(Arc::clone(offer)).connect(name, ReadAhead::new(tcp));
        let late = |_elapsed| Error::ConnectTimeout { authority: authority.clone() };
        let stream = timeout(self.settings.handshake_timeout, handshake).await.map_err(late)?.map_err(failed)?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Connected { stream: Stream::Tls(Box::new(Plaintext::new(stream))), http2, address, through: None })
    }
}

/// Whether both ends are this machine and the far one is a port we listen on: a listener on all addresses is also reached by those
/// that nobody listed. Nothing has been sent yet.
fn meets_ourselves(own: &[SocketAddr], stream: &TcpStream) -> bool {
    let (Ok(near), Ok(far)) = (stream.local_addr(), stream.peer_addr()) else { return true };
    near.ip() == far.ip()
        && own.iter().any(|ours| ours.port() == far.port() && (ours.ip().is_unspecified() || resolve::is_own(own, far)))
}

fn parent_host(authority: &Authority) -> String {
    match &authority.host {
        Host::Name(name) => name.to_string(),
        Host::Ip(address) => address.to_string(),
    }
}

pub(super) fn server_name(host: &Host) -> Result<ServerName<'static>, rustls_pki_types::InvalidDnsNameError> {
    match host {
        Host::Name(name) => ServerName::try_from(name.to_string()),
        Host::Ip(address) => Ok(ServerName::from(*address)),
    }
}

/// Tries the addresses in order; each gets an equal share of the time, so that one dead address does not use it all.
async fn first_of(
    addresses: Vec<SocketAddr>,
    authority: &Authority,
    limit: Duration,
) -> Result<(TcpStream, SocketAddr), Error> {
    let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|cause| Error::Unreachable { authority: authority.clone(), cause })?;
                return Ok((stream, address));
            }
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = std::io::ErrorKind::TimedOut.into(),
        }
    }
    if last.kind() == std::io::ErrorKind::TimedOut {
        return Err(Error::ConnectTimeout { authority: authority.clone() });
    }
    Err(Error::Unreachable { authority: authority.clone(), cause: last })
}
