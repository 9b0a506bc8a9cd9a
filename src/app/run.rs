//! `App`: built from a [`Setup`], started on threads of its own, drained when told to.

mod control;
mod keeping;
mod seat;
mod telling;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

use self::control::control_plane;
use self::seat::Seat;
use super::announced::InForce;
use super::config::Config;
use super::endpoint::Endpoint;
use super::gateway::{self, LocalGateway};
use super::home::Home;
use super::node::{Node, NodeError};
use super::numbers;
use super::parts::{self, BuildError, Planes, Setup};
use super::reload::{self, Reload};
use super::settings;
use super::traces;
use super::watch::Watch;
use super::webhook::{self, Outbox, deliver};
use crate::agent::{Agent, Agents, Guesses};
use crate::approval::{Approvals, ReplyTo};
use crate::attention::Attention;
use crate::audit::Log;
use crate::broker::{self, Broker, Vault};
use crate::listener::{self, Socket, UnixDoor};
use crate::node::Held;
use crate::provider::Catalogue;
use crate::proxy::{Callers, Captures, Carried, Listener, Loads, Meters, Proxy, Waiting};
use crate::registration;
use crate::seal::DataKey;
use crate::telemetry::Telemetry;
use crate::upstream::Dialler;
use crate::vault::Store;

/// The whole proxy, built but not started.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use nexus::app::{App, Home, Planes, Setup, passphrase};
///
/// let home = Home::new("/home/me/.nexus");
/// let (secret, _origin) = passphrase(&home, &|name| std::env::var(name).ok())?;
/// let config = home.config(&[])?;
/// let running = App::new(Setup { home, config, passphrase: secret, weak_secret: false, agents: Vec::new(), planes: Planes::Proxy })?.start()?;
/// println!("the proxy listens on {:?}", running.addresses());
/// running.stop();
/// # Ok(())
/// # }
/// ```
pub struct App {
    home: Home,
    config: Config,
    overrides: Vec<(String, String)>,
    setup_agents: Vec<crate::agent::Registered>,
    planes: Planes,
    parts: Parts,
    gateway: Option<gateway::Prepared>,
}

/// What was opened and compiled before anything listens.
pub(super) struct Parts {
    pub(super) store: Arc<Store>,
    /// All connections, whosever they are.
    look: parts::Look,
    /// The gateway's, where they are taken from one.
    node: Option<Arc<Held>>,
    pub(super) dialler: Arc<Dialler>,
    issuer: Arc<crate::ca::Issuer>,
    pub(super) log: Arc<Log>,
    pub(super) placeholders: Arc<crate::agent::PlaceholderKey>,
    pub(super) apps: Arc<crate::agent::AppPlaceholders>,
    pub(super) agents: Arc<Agents>,
    pub(super) catalogue: Arc<ArcSwap<Catalogue>>,
    pub(super) attention: Arc<Attention>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) approvals: Arc<Approvals>,
    outbox: Option<Outbox>,
    exporter: Option<traces::Exporter>,
    rules: crate::decide::Rules,
    /// What people wrote of them.
    written: Vec<Arc<crate::policy::Rule>>,
    pages: crate::proxy::Pages,
    pub(super) key: DataKey,
    /// From before anything was read, so that no change falls between.
    watch: Option<Watch>,
}

/// A started proxy. Dropping it does not stop it; [`Running::stop`] does.
pub struct Running {
    addresses: Vec<SocketAddr>,
    draining: watch::Sender<bool>,
    reload: Arc<Reload>,
    threads: Vec<std::thread::JoinHandle<()>>,
    control: Option<(tokio::sync::oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
    gateway: Option<gateway::Started>,
    log: Arc<Log>,
    count: Arc<AtomicUsize>,
}

impl App {
    /// Opens vault, CA and audit log and compiles the rules. Nothing listens yet.
    ///
    /// # Errors
    /// As [`BuildError`] says.
    pub fn new(setup: Setup) -> Result<Self, BuildError> {
        Self::with_overrides(setup, Vec::new())
    }

    /// As [`App::new`], with the `NEXUS__SECTION__KEY` variables that a reload lays over the file again.
    ///
    /// # Errors
    /// As [`BuildError`] says.
    pub fn with_overrides(setup: Setup, overrides: Vec<(String, String)>) -> Result<Self, BuildError> {
        parts::warm_up();
        let key = parts::unlock(&setup)?;
        Self::with_key(setup, overrides, &key)
    }

    /// As [`App::with_overrides`], with the vault's key where it is derived already, which takes a tenth of a second.
    ///
    /// # Errors
    /// As [`BuildError`] says.
    pub fn with_key(setup: Setup, overrides: Vec<(String, String)>, key: &DataKey) -> Result<Self, BuildError> {
        let watch = Watch::begin(&setup.home, &setup.config);
        let crypto = parts::crypto();
        let (issuer, fingerprint) = parts::issuer(&setup.home, key, &setup.config, &crypto)?;
        issuer.ask(super::client_ca::client_verifier(&setup.home, &setup.config, &crypto)?)?;
        let registry = parts::agents(&setup.home, &setup.agents)?;
        parts::permit(&setup.config, setup.weak_secret, &registry)?;
        parts::warn_of_strangers(&setup.config, &registry);
        let catalogue = catalogue(&setup.home);
        let store = Arc::new(Store::with_key(setup.home.vault(), key.duplicate()));
        let look = parts::look(Arc::clone(&store));
        let written = super::rules::rules(&setup.home, &setup.config, &catalogue)?;
        let rules = parts::rules(&catalogue, &written, (&setup.config, &registry), parts::registered(Arc::clone(&look)));
        let dialler = Dialler::new(settings::upstream(&setup.home, &setup.config)?, &crypto)?;
        let pages = parts::pages(&setup.home, fingerprint)?;
        // A vault that can't be opened is told of now, not at the first request.
        registration::tell(&catalogue, &*store.snapshot()?);
        let (telemetry, exporter) = traces::prepare(&setup.home, &setup.config)?;
        let (attention, outbox) = webhook::prepare(&setup.home, &setup.config)?;
        let parts = Parts {
            store,
            approvals: Approvals::new(settings::approvals(&setup.config), Arc::clone(&attention)),
            attention,
            exporter,
            telemetry,
            outbox,
            look,
            node: None,
            dialler: Arc::new(dialler),
            issuer: Arc::new(issuer),
            log: parts::log(&setup.home, &setup.config, key)?,
            placeholders: Arc::new(parts::placeholder_key(key)),
            apps: Arc::new(parts::app_placeholders(key)),
            agents: parts::frozen(&setup.home, Agents::new(registry, settings::leases(&setup.config, setup.planes)))?,
            catalogue: Arc::new(ArcSwap::from_pointee(catalogue)),
            rules,
            written,
            pages,
            key: key.duplicate(),
            watch,
        };
        Self::of(setup, overrides, parts)
    }

    fn of(setup: Setup, overrides: Vec<(String, String)>, parts: Parts) -> Result<Self, BuildError> {
        let gateway = gateway::prepare(&setup)?;
        let Setup { home, config, planes, agents, .. } = setup;
        Ok(Self { home, config, planes, overrides, setup_agents: agents, parts, gateway })
    }

    /// The same as a node of the gateway that `node` names: its connections are taken from there, and from the vault only those that it
    /// never served. It starts no gateway of its own.
    ///
    /// # Errors
    /// As [`NodeError`] says. The gateway need not be up.
    pub fn lent_by(mut self, node: &Node) -> Result<Self, NodeError> {
        let parts = &mut self.parts;
        let held = Arc::new(node.hold(&self.home, &self.config, (&parts.store, &parts.apps))?);
        let look = Arc::clone(&held);
        parts.look = Arc::new(move || look.snapshot());
        let registered = parts::registered(Arc::clone(&parts.look));
        parts.rules = parts::rules(&parts.catalogue.load(), &parts.written, (&self.config, &parts.agents.load()), registered);
        parts.dialler.set_own_name(node.authority().clone());
        parts.node = Some(held);
        self.gateway = None;
        Ok(self)
    }

    /// Binds the listeners and starts accept loop, workers and reload.
    ///
    /// # Errors
    /// [`BuildError::Listen`] for an address that can't be had, [`BuildError::Thread`] if the system gives no thread.
    pub fn start(self) -> Result<Running, BuildError> {
        let (sockets, door) = self.bind()?;
        let addresses: Vec<SocketAddr> = sockets.iter().filter_map(|(socket, _)| socket.address()).collect();
        let control =
            Builder::new_current_thread().enable_all().max_blocking_threads(128).build().map_err(BuildError::Thread)?;
        let (draining, stopping) = watch::channel(false);
        let count = Arc::new(AtomicUsize::new(0));
        let (drain, limit) = (Duration::from_secs(self.config.limits.drain_secs), self.config.limits.connections);
        let crew = if self.planes == Planes::Gateway { 0 } else { worker_count(&self.config) };
        let (log, dialler) = (Arc::clone(&self.parts.log), Arc::clone(&self.parts.dialler));
        let (reload, watch, gateway) = self.assemble((door, &addresses), control.handle(), (&stopping, &count))?;
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        for number in 0..crew {
            let (send, receive) = mpsc::unbounded_channel();
            workers.push(send);
            let seat = Seat {
                proxy: Arc::clone(&reload.proxy),
                dialler: Arc::clone(&dialler),
                log: Arc::clone(&log),
                count: Arc::clone(&count),
            };
            threads.push(spawn(&format!("nexus-{number}"), move || seat.run(receive, drain))?);
        }
        let stop = listener::Stop { stopping, count: Arc::clone(&count), limit };
        let (end, ended) = tokio::sync::oneshot::channel();
        let watching = Arc::clone(&reload);
        let thread = spawn("nexus-control", move || {
            control.block_on(control_plane(sockets, workers, stop, (watching, watch), ended));
            control.shutdown_timeout(Duration::from_secs(1));
        })?;
        Ok(Running { addresses, draining, reload, threads, control: Some((end, thread)), gateway, log, count })
    }

    /// The sockets of the proxy, and that of the gateway.
    fn bind(&self) -> Result<(Sockets, Option<std::net::TcpListener>), BuildError> {
        let sockets = if self.planes == Planes::Gateway { Vec::new() } else { bind(&self.home, &self.config)? };
        let named = self.config.gateway.listen;
        let door = self.gateway.as_ref().map(|_| listen(named).map_err(|cause| BuildError::Gateway { address: named, cause }));
        let door = door.transpose()?;
        // The control plane is not reached through the data plane either, whether it listens or not.
        let proxy = sockets.iter().filter_map(|(socket, _)| socket.address());
        let gateway = door.as_ref().and_then(|door| door.local_addr().ok());
        let lender = self.parts.node.iter().flat_map(|held| held.loopback());
        self.parts.dialler.set_own(proxy.chain([named]).chain(gateway).chain(lender).collect());
        Ok((sockets, door))
    }

    /// The proxy and what reloads it; the gateway, which begins to serve.
    fn assemble(
        self,
        (door, addresses): (Option<std::net::TcpListener>, &[SocketAddr]),
        runtime: &tokio::runtime::Handle,
        (stopping, count): (&watch::Receiver<bool>, &Arc<AtomicUsize>),
    ) -> Result<Assembled, BuildError> {
        let Self { home, config, overrides, setup_agents, mut parts, gateway, planes } = self;
        let broker = broker(&home, &config, &parts, runtime.clone());
        let gateway = match gateway.zip(door) {
            Some((gateway, door)) => {
                let ports = gateway::ports(&home, &parts, &broker, (planes, count))?;
                ports.map(|ports| gateway.start((&home, &config), ports, stopping.clone(), door)).transpose()?
            }
            None => None,
        };
        if let Some(started) = &gateway {
            let key = parts.outbox.as_ref().map(|outbox| Arc::clone(&outbox.webhook.key));
            parts.approvals.open(key.map(|key| ReplyTo { url: started.gateway.settings.url.clone(), key }));
        }
        if let Some(outbox) = parts.outbox.take() {
            let (dialler, attention) = (Arc::clone(&parts.dialler), Arc::clone(&parts.attention));
            runtime.spawn(deliver(outbox, dialler, attention, stopping.clone()));
        }
        if let Some(exporter) = parts.exporter.take() {
            runtime.spawn(exporter.run());
        }
        let (watch, log, dialler) = (parts.watch.take(), Arc::clone(&parts.log), Arc::clone(&parts.dialler));
        let (known, written) = (parts.catalogue.load().as_ref().clone(), std::mem::take(&mut parts.written));
        let reload = Reload {
            live: reload::Live::new(&home, &config, known, written),
            root: reload::SigningRoot::new(parts.key.duplicate(), &parts.pages),
            store: Arc::clone(&parts.store),
            look: Arc::clone(&parts.look),
            node: parts.node.clone(),
            catalogue: Arc::clone(&parts.catalogue),
            gateway: gateway.as_ref().map(|started| Arc::clone(&started.gateway)),
            log: Arc::clone(&log),
            proxy: numbers::told_by(proxy(&config, parts, broker, stopping.clone())?, log, dialler),
            extra_agents: setup_agents,
            addresses: addresses.to_vec(),
            overrides,
            home,
        };
        Ok((reload.shared(), watch, gateway))
    }
}

/// Sockets of the proxy, and for whom each is.
type Sockets = Vec<(Socket, Listener)>;

/// The catalogue at the start; a file with a mistake is told and left out.
fn catalogue(home: &Home) -> Catalogue {
    let (catalogue, mistakes) = Catalogue::with_user_folder(&home.providers());
    parts::warn_of_takeovers(&catalogue);
    for mistake in &mistakes {
        tracing::error!("a provider file was not taken: {mistake}");
    }
    catalogue
}

/// What reloads, what tells of changes, and the gateway.
type Assembled = (Arc<Reload>, Option<Watch>, Option<gateway::Started>);

impl Running {
    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where the gateway listens, and the key that this machine's command line shows it.
    pub fn gateway(&self) -> Option<LocalGateway> {
        self.gateway.as_ref().map(gateway::Started::local)
    }

    /// Streams under way.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Which rules it obeys.
    pub fn in_force(&self) -> InForce {
        self.reload.in_force()
    }

    /// Reads providers, agents and configuration again; a bad file leaves the old one live.
    pub fn reload(&self) {
        self.reload.run();
    }

    /// Stops accepting, lets requests finish for `limits.drain_secs`, closes the log.
    pub fn stop(mut self) {
        if self.draining.send(true).is_err() {
            tracing::debug!("everything has stopped already");
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
        if let Some(gateway) = self.gateway.take()
            && gateway.thread.join().is_err()
        {
            tracing::error!("the gateway ended by a panic");
        }
        if let Some((end, thread)) = self.control.take() {
            if end.send(()).is_err() {
                tracing::debug!("the control thread has ended already");
            }
            if thread.join().is_err() {
                tracing::error!("the control thread ended by a panic");
            }
        }
        self.log.stop();
        tracing::info!("stopped");
    }
}

fn broker(home: &Home, config: &Config, parts: &Parts, runtime: tokio::runtime::Handle) -> Arc<Broker> {
    let vault: Arc<dyn Vault> = match &parts.node {
        Some(held) => Arc::<Held>::clone(held),
        None => Arc::new(broker::Home::new(Arc::clone(&parts.store), home.locks())),
    };
    let ports = broker::Ports {
        vault,
        endpoint: Arc::new(Endpoint(Arc::clone(&parts.dialler))),
        clock: Arc::new(SystemTime::now),
        runtime,
    };
    Broker::new(ports, settings::broker(config))
}

fn proxy(config: &Config, parts: Parts, broker: Arc<Broker>, draining: watch::Receiver<bool>) -> Result<Proxy, BuildError> {
    let local = Agent::local().ok_or_else(|| BuildError::Config { key: "agent", why: "local is not a name".into() })?;
    Ok(Proxy {
        settings: settings::proxy(config),
        rules: ArcSwap::from_pointee(parts.rules),
        agents: parts.agents,
        callers: Callers::new(settings::callers(config)),
        guesses: Guesses::default(),
        loads: Loads::default(),
        meters: Meters::default(),
        waiting: Waiting::default(),
        captures: Captures::default(),
        carried: Carried::default(),
        broker,
        attention: parts.attention,
        telemetry: parts.telemetry,
        approvals: parts.approvals,
        issuer: ArcSwap::new(parts.issuer),
        placeholders: parts.placeholders,
        apps: parts.apps,
        local: Arc::new(local),
        pages: ArcSwap::from_pointee(parts.pages),
        draining,
    })
}

/// One listening socket each, without SO_REUSEPORT: another process must not be able to share our port.
fn bind(home: &Home, config: &Config) -> Result<Sockets, BuildError> {
    let ports = parts::listeners(config)?.into_iter().map(|(address, listener)| {
        let socket = listen(address).map_err(|cause| BuildError::Listen { address, cause })?;
        Ok((Socket::Tcp(socket), listener))
    });
    let files = config.proxy.unix_listen.iter().map(|path| {
        let path = home.path().join(path);
        let door = UnixDoor::bind(&path, config.proxy.unix_mode.bits());
        Ok((Socket::Unix(door.map_err(|cause| BuildError::UnixListen { path, cause })?), Listener { agent: None }))
    });
    ports.chain(files).collect()
}

fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket =
        socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn worker_count(config: &Config) -> usize {
    match config.proxy.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, BuildError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(BuildError::Thread)
}
