//! The gateway's part of the application: its keys, its certificate, its thread, and where this machine's command line finds it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::alive::is_alive;
use super::config::Config;
use super::endpoint::Endpoint;
use super::home::{Home, HomeError, read_public_text, read_text, write};
use super::parts::{self, BuildError, Planes, Setup};
use super::run::Parts;
use super::settings;
use crate::agent::{self, Token};
use crate::broker::Broker;
use crate::ca::Itself;
use crate::disk;
use crate::gateway::{Gateway, Key, Keys, KeysError, OwnKey, Pending, PendingError, Ports, Server, read_keys, write_keys};
use crate::loan::Lender;
use crate::model::Secret;

const LIMIT: u64 = 1024 * 1024;

/// The name by which this machine's command line asks the gateway for a certificate that it knows.
pub const ITSELF: &str = "gateway.nexus.internal";

/// A gateway that has all it needs but its ports.
pub(super) struct Prepared {
    keys: Keys,
    own: Token,
    itself: Itself,
    tls: Option<Arc<ServerConfig>>,
}

/// A gateway that is up.
pub(super) struct Started {
    pub(super) address: SocketAddr,
    pub(super) tls: bool,
    own: Token,
    itself: CertificateDer<'static>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) thread: std::thread::JoinHandle<()>,
}

/// Reads what a gateway needs, where one is to be started.
pub(super) fn prepare(setup: &Setup) -> Result<Option<Prepared>, BuildError> {
    match setup.planes {
        Planes::Proxy => return Ok(None),
        Planes::Both if !setup.config.gateway.enabled => return Ok(None),
        Planes::Gateway if setup.weak_secret => return Err(BuildError::WeakGateway),
        Planes::Both if setup.weak_secret => {
            tracing::warn!("no gateway is started: {}", BuildError::WeakGateway);
            return Ok(None);
        }
        Planes::Both | Planes::Gateway => {}
    }
    let own = Token::key().map_err(|cause| BuildError::Thread(cause.into()))?;
    let keys = Keys::new(setup.home.gateway_keys()?.unwrap_or_default());
    let itself = Itself::create(ITSELF, SystemTime::now(), &parts::crypto())?;
    let tls = tls(&setup.home, &setup.config, &itself.shown)?;
    Ok(Some(Prepared { keys, own, itself, tls }))
}

impl Prepared {
    /// Binds its socket; only then is it known that it can be started.
    pub(super) fn start(
        self,
        (home, config): (&Home, &Config),
        ports: Ports,
        stopping: watch::Receiver<bool>,
        socket: std::net::TcpListener,
    ) -> Result<Started, BuildError> {
        let address = socket.local_addr().map_err(|cause| BuildError::Listen { address: config.gateway.listen, cause })?;
        let Self { keys, own, itself: Itself { certificate, shown }, tls } = self;
        let speaks_tls = tls.is_some();
        let settings = settings::gateway(home, config, (address, speaks_tls))?;
        if settings.keyless && ports.agents.load().defined() {
            tracing::info!(
                "programs of this user need no key at the gateway; where agents don't trust each other: gateway.keyless = \"refuse\""
            );
        }
        let gateway = Gateway::new(settings, ports, (keys, OwnKey::of(&own), shown), stopping);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(16).build();
        let runtime = runtime.map_err(BuildError::Thread)?;
        gateway.take_tls(tls);
        let server = Server::new(Arc::clone(&gateway));
        let work = move || {
            runtime.block_on(server.run(socket));
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        };
        let thread = std::thread::Builder::new().name("nexus-gateway".into()).spawn(work).map_err(BuildError::Thread)?;
        Ok(Started { address, tls: speaks_tls, own, itself: certificate, gateway, thread })
    }
}

/// The keys as the file has them now, while a gateway runs: a file that is gone, and was not before, is wrong, not empty.
pub(super) fn keys_again(home: &Home, gateway: &Gateway) -> Result<Keys, HomeError> {
    match home.gateway_keys()? {
        None if gateway.has_keys() => Err(HomeError::Vanished(home.gateway_keys_file())),
        keys => Ok(Keys::new(keys.unwrap_or_default())),
    }
}

/// TLS where a certificate is named: HTTP/1.1 only, by the one TLS provider. Who asks for [`ITSELF`] is shown `itself`.
pub(super) fn tls(home: &Home, config: &Config, itself: &Arc<CertifiedKey>) -> Result<Option<Arc<ServerConfig>>, BuildError> {
    let Some(named) = certificate(home, config)? else { return Ok(None) };
    let shown = Shown { named: Arc::new(named), itself: Arc::clone(itself) };
    let mut tls = ServerConfig::builder_with_provider(parts::crypto())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(tls)))
}

/// What it shows to whom.
#[derive(Debug)]
struct Shown {
    /// To everybody.
    named: Arc<CertifiedKey>,
    /// To this machine's command line, whoever signed the other.
    itself: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = if hello.server_name() == Some(ITSELF) { &self.itself } else { &self.named };
        Some(Arc::clone(shown))
    }
}

/// The certificate that the configuration names, and its key, which belong together.
///
/// # Errors
/// Where the files can't be used.
pub(super) fn certificate(home: &Home, config: &Config) -> Result<Option<CertifiedKey>, BuildError> {
    let refuse = |key, why: &str| Err(BuildError::Config { key, why: why.to_owned() });
    let (certificate, key) = match (&config.gateway.tls_cert, &config.gateway.tls_key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) => return refuse("gateway.tls_key", "must name the key of gateway.tls_cert"),
        (None, Some(_)) => return refuse("gateway.tls_cert", "must name the certificate of gateway.tls_key"),
        (None, None) => return Ok(None),
    };
    let chain = chain(&home.path().join(certificate))?;
    let key = private_key(&home.path().join(key))?;
    let refuse = |error: rustls::Error| BuildError::Config { key: "gateway.tls_key", why: error.to_string() };
    CertifiedKey::from_der(chain, key, &parts::crypto()).map(Some).map_err(refuse)
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let refuse = |why: String| BuildError::Config { key: "gateway.tls_cert", why };
    let text = read_public_text(file)?.ok_or_else(|| refuse(format!("there is no {}", file.display())))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| refuse(format!("{} is not PEM: {error}", file.display())))?;
    if found.is_empty() { Err(refuse(format!("{} holds no certificate", file.display()))) } else { Ok(found) }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, BuildError> {
    let refuse = |why: String| BuildError::Config { key: "gateway.tls_key", why };
    let text = read_text(file, LIMIT)?.ok_or_else(|| refuse(format!("there is no {}", file.display())))?;
    let text = zeroize::Zeroizing::new(text);
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| refuse(format!("{} holds no key: {error}", file.display())))
}

/// Where the gateway of this home listens, for who can read the home folder.
#[derive(Debug)]
pub struct LocalGateway {
    /// Its process.
    pub process: i32,
    /// Its address; one on every address is reached by loopback.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The certificate that it shows then to who asks for [`ITSELF`], in base64.
    pub certificate: String,
    /// What its command line shows it: a key of kind admin that is good until it ends.
    pub key: Secret<String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    process: i32,
    address: SocketAddr,
    tls: bool,
    #[serde(default)]
    certificate: String,
    key: String,
}

impl Home {
    /// The keys of `gateway-keys.toml`; `None` where there is no file.
    ///
    /// # Errors
    /// As [`HomeError`] says. We write no empty file, so that one is damaged.
    pub fn gateway_keys(&self) -> Result<Option<Vec<Key>>, HomeError> {
        let file = self.gateway_keys_file();
        let Some(text) = read_text(&file, LIMIT)? else { return Ok(None) };
        if text.trim().is_empty() {
            return Err(HomeError::Vanished(file));
        }
        read_keys(&text).map(Some).map_err(|cause| HomeError::Keys { path: file, cause })
    }

    /// Whether `key` is one of the keys of this home's gateway.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub(super) fn gateway_knows(&self, key: &Secret<String>) -> Result<bool, HomeError> {
        Ok(Keys::new(self.gateway_keys()?.unwrap_or_default()).know(&agent::hash(key.expose())))
    }

    /// Changes the keys under the file's lock: what another process wrote meanwhile is not lost. Where nothing changes nothing is written.
    ///
    /// # Errors
    /// As [`HomeError`] says; then the file is as it was.
    pub fn change_gateway_keys<T>(&self, change: impl FnOnce(&mut Vec<Key>) -> T) -> Result<T, HomeError> {
        let file = self.gateway_keys_file();
        let invalid = |cause: KeysError| HomeError::Keys { path: file.clone(), cause };
        let _held = disk::Lock::acquire(&file).map_err(|cause| HomeError::File { path: file.clone(), cause })?;
        let before = self.gateway_keys()?.unwrap_or_default();
        let mut keys = before.clone();
        let result = change(&mut keys);
        if keys != before {
            let text = write_keys(&keys).map_err(invalid)?;
            write(&file, text.as_bytes(), disk::PRIVATE)?;
        }
        Ok(result)
    }

    /// Writes down where the gateway of this process listens, and the key of this machine's command line.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn announce_gateway(&self, gateway: &LocalGateway) -> Result<(), HomeError> {
        let LocalGateway { process, address, tls, certificate, key } = gateway;
        let (certificate, key) = (certificate.clone(), key.expose().clone());
        let line = Line { process: *process, address: *address, tls: *tls, certificate, key };
        let text = zeroize::Zeroizing::new(serde_json::to_string(&line).unwrap_or_default());
        write(&self.gateway_file(), text.as_bytes(), disk::PRIVATE)
    }

    /// The gateway that was announced last, if its process is still there.
    ///
    /// # Errors
    /// As [`HomeError`] says. What is not understood is no gateway.
    pub fn local_gateway(&self) -> Result<Option<LocalGateway>, HomeError> {
        let Some(text) = read_text(&self.gateway_file(), LIMIT)? else { return Ok(None) };
        let line: Option<Line> = serde_json::from_str(&text).ok();
        let found = line.map(|line| LocalGateway {
            process: line.process,
            address: line.address,
            tls: line.tls,
            certificate: line.certificate,
            key: Secret::new(line.key),
        });
        Ok(found.filter(|found| is_alive(found.process)))
    }

    /// Takes back what this process wrote.
    pub fn unannounce_gateway(&self) {
        let ours = std::process::id().cast_signed();
        let gone = match self.local_gateway() {
            Ok(Some(found)) if found.process == ours => {
                std::fs::remove_file(self.gateway_file()).map_err(|error| error.to_string())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = gone {
            tracing::debug!(%error, "the gateway's address file stays as it is");
        }
    }
}

impl Started {
    /// What this machine's command line needs.
    pub(super) fn local(&self) -> LocalGateway {
        LocalGateway {
            process: std::process::id().cast_signed(),
            address: self.address,
            tls: self.tls,
            certificate: STANDARD.encode(&self.itself),
            key: self.own.text().duplicate(),
        }
    }
}

/// What the gateway sees of the rest. `None` where what people are being asked can't be read: a proxy beside it starts all the same.
pub(super) fn ports(
    home: &Home,
    parts: &Parts,
    broker: &Arc<Broker>,
    (planes, streams): (Planes, &Arc<AtomicUsize>),
) -> Result<Option<Ports>, BuildError> {
    let pending = match Pending::open(home.gateway_pending(), parts.key.duplicate()) {
        Err(error) if planes == Planes::Both && !matches!(error, PendingError::InUse(_)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "no gateway is started");
            return Ok(None);
        }
        pending => Arc::new(pending?),
    };
    Ok(Some(Ports {
        pending,
        store: Arc::clone(&parts.store),
        broker: Arc::clone(broker),
        catalogue: Arc::clone(&parts.catalogue),
        agents: Arc::clone(&parts.agents),
        apps: Arc::clone(&parts.apps),
        attention: Arc::clone(&parts.attention),
        approvals: Arc::clone(&parts.approvals),
        dialler: Arc::clone(&parts.dialler),
        endpoint: Arc::new(Endpoint(Arc::clone(&parts.dialler))),
        uses: home.uses(),
        lender: Lender::new(parts.key.subkey("loans")),
        clock: Arc::new(std::time::SystemTime::now),
        log: Arc::clone(&parts.log),
        streams: Arc::clone(streams),
        telemetry: Arc::clone(&parts.telemetry),
    }))
}
