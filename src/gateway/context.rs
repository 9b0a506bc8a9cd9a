//! `Gateway`: what every handler is given.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ServerConfig;
use rustls::sign::CertifiedKey;
use tokio::sync::{Semaphore, watch};

use super::access::Who;
use super::adopt::ProviderFiles;
use super::counters::Counters;
use super::device::DeviceLogIns;
use super::insight::Insight;
use super::keys::{Keys, OwnKey};
use super::origin::Origin;
use super::pending::Pending;
use super::problem::Problem;
use super::roster::Roster;
use super::session::{AT_THE_PAGE, Sessions};
use super::settings::Settings;
use super::standing::Standing;
use super::survey::Survey;
use super::tried::TryOut;
use crate::agent::{Agents, AppPlaceholders, Guesses};
use crate::approval::Approvals;
use crate::attention::Attention;
use crate::audit::{Live, Log};
use crate::broker::{Broker, Clock};
use crate::consent;
use crate::listener::Peers;
use crate::loan::Lender;
use crate::oauth::TokenEndpoint;
use crate::provider::Catalogue;
use crate::telemetry::Telemetry;
use crate::upstream::Dialler;
use crate::vault::{Store, Uses};

/// Where answers to consents come to.
pub(super) const CALLBACK: &str = "/oauth/callback";

/// Searches of the audit log, and exports of it: each has a thread that blocks, of which other work wants some too.
const SEARCHES: usize = 4;
const EXPORTS: usize = 2;

/// How handlers share it.
pub(crate) type Shared = Arc<Gateway>;

/// The outside, handed to the gateway once.
pub(crate) struct Ports {
    /// The vault. All its calls block: see [`Gateway::on_disk`].
    pub(crate) store: Arc<Store>,
    /// Live credentials, and the only one that spends refresh tokens.
    pub(crate) broker: Arc<Broker>,
    /// The services that are known, as they are now.
    pub(crate) catalogue: Arc<ArcSwap<Catalogue>>,
    /// The identities of the proxy's callers, as they are now.
    pub(crate) agents: Arc<Agents>,
    /// What the placeholders of apps are made with.
    pub(crate) apps: Arc<AppPlaceholders>,
    /// What needs a person.
    pub(crate) attention: Arc<Attention>,
    /// Requests that wait for a person's word.
    pub(crate) approvals: Arc<Approvals>,
    /// Which addresses are reached.
    pub(crate) dialler: Arc<Dialler>,
    /// The way to token endpoints.
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    /// When connections were used last.
    pub(crate) uses: Uses,
    /// What nodes get to hold.
    pub(crate) lender: Lender,
    /// The time of day.
    pub(crate) clock: Clock,
    /// The audit log.
    pub(crate) log: Arc<Log>,
    /// Streams of the proxy's callers that are under way.
    pub(crate) streams: Arc<AtomicUsize>,
    /// What is counted in this process.
    pub(crate) telemetry: Arc<Telemetry>,
    /// What persons are being asked.
    pub(crate) pending: Arc<Pending>,
}

/// The control plane's state. It outlives every request.
pub(crate) struct Gateway {
    pub(crate) settings: Settings,
    pub(crate) ports: Ports,
    pub(crate) counters: Counters,
    /// Becomes true when the process is about to end: answers that go on for ever end then.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(super) keys: ArcSwap<Keys>,
    pub(super) own: OwnKey,
    /// What it shows to this machine's command line where TLS is spoken.
    pub(crate) itself: Arc<CertifiedKey>,
    /// TLS as it is spoken to who comes next; `None` = none is spoken.
    pub(super) tls: ArcSwapOption<ServerConfig>,
    pub(crate) guesses: Guesses,
    pub(super) refusals: Guesses,
    /// Log-ins by a code.
    pub(super) devices: DeviceLogIns,
    /// People at the page.
    pub(super) sessions: Sessions,
    /// What happens now, for who watches.
    pub(crate) live: Arc<Live>,
    peers: Mutex<Option<Peers>>,
    /// What takes provider files is built after us.
    pub(super) files: OnceLock<ProviderFiles>,
    /// So is what changes agents.
    pub(super) roster: OnceLock<Arc<Roster>>,
    /// And what tries connections.
    pub(super) trials: OnceLock<TryOut>,
    /// What knows of rules is built after us.
    pub(super) insight: OnceLock<Insight>,
    /// What was counted in the log last. Whoever reads much holds it, so that one does at a time.
    pub(super) surveying: Arc<tokio::sync::Mutex<Option<Arc<Survey>>>>,
    /// One service is added at a time.
    pub(super) adopting: Mutex<()>,
    /// Whether the audit log is as it was written.
    pub(super) standing: Standing,
    /// As many look something up in it at a time.
    pub(super) searches: Semaphore,
    /// As many take it along at a time.
    pub(super) exports: Arc<Semaphore>,
}

impl Gateway {
    /// A gateway that knows `keys`, and `own`, which is that of this machine's command line, to which it shows `itself`.
    pub(crate) fn new(
        settings: Settings,
        ports: Ports,
        (keys, own, itself): (Keys, OwnKey, Arc<CertifiedKey>),
        stopping: watch::Receiver<bool>,
    ) -> Shared {
        let peers = Peers::new().inspect_err(|error| tracing::warn!(%error, "whose process calls can't be told here")).ok();
        Arc::new(Self {
            sessions: Sessions::new(settings.sessions),
            live: Live::new(settings.audit.clone()),
            settings,
            ports,
            counters: Counters::default(),
            stopping,
            keys: ArcSwap::from_pointee(keys),
            own,
            itself,
            tls: ArcSwapOption::empty(),
            guesses: Guesses::default(),
            refusals: Guesses::default(),
            devices: DeviceLogIns::default(),
            peers: Mutex::new(peers),
            files: OnceLock::new(),
            roster: OnceLock::new(),
            trials: OnceLock::new(),
            insight: OnceLock::new(),
            surveying: Arc::default(),
            adopting: Mutex::default(),
            standing: Standing::default(),
            searches: Semaphore::new(SEARCHES),
            exports: Arc::new(Semaphore::new(EXPORTS)),
        })
    }

    /// Speaks TLS by `tls` from the next connection on.
    pub(crate) fn take_tls(&self, tls: Option<Arc<ServerConfig>>) {
        self.tls.store(tls);
    }

    /// Adds providers by `files` from now on.
    pub(crate) fn take_provider_files(&self, files: ProviderFiles) {
        if self.files.set(files).is_err() {
            tracing::debug!("provider files are added the way that was said first");
        }
    }

    /// Puts `keys` in force.
    pub(crate) fn take_keys(&self, keys: Keys) {
        self.keys.store(Arc::new(keys));
    }

    /// Whether any key is in force.
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.load().len() > 0
    }

    /// Whether `asker`, as [`Who::asker`] says it, is an administrator.
    pub(super) fn is_admin(&self, asker: &str) -> bool {
        // Of those at the page only operators ask for connections.
        asker == Who::CommandLine.asker()
            || asker.ends_with(AT_THE_PAGE)
            || self.keys.load().administers(asker, (self.ports.clock)())
    }

    /// The way to token endpoints, for consents.
    pub(super) fn consents(&self) -> consent::Ports {
        let (endpoint, clock) = (Arc::clone(&self.ports.endpoint), Arc::clone(&self.ports.clock));
        consent::Ports::new(endpoint, clock, self.settings.token_timeout)
    }

    /// Where services send people back to.
    pub(super) fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK}", self.settings.url)
    }

    /// Whether who was admitted by a key still would be.
    pub(crate) fn still_admits(&self, who: &Who) -> bool {
        match who {
            Who::Key(key) => self.keys.load().has(key, (self.ports.clock)()),
            Who::Agent(agent) => self.ports.agents.holds(agent) && !agent.expired((self.ports.clock)()),
            Who::Session(session) => self.sessions.holds(session, (self.ports.clock)()),
            Who::Anyone | Who::Owner | Who::CommandLine => true,
        }
    }

    /// Does what blocks, such as anything with the vault, on a thread for it.
    ///
    /// # Errors
    /// 500 where it panicked, or we are about to end.
    pub(crate) async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let gateway = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&gateway)).await.map_err(|error| {
            tracing::error!(%error, "what a request of the gateway asked for failed");
            Problem::internal()
        })
    }

    /// Whether the other end of a loopback connection is a process of our own user, by the kernel's word.
    pub(super) fn is_our_user(&self, origin: &Origin) -> bool {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (peer, local) = (plain(origin.peer), plain(origin.local));
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let here = peer.ip().is_loopback() && local.ip().is_loopback();
        here && peers.as_ref().is_some_and(|peers| peers.same_user(peer, local))
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gateway").field("settings", &self.settings).finish_non_exhaustive()
    }
}
