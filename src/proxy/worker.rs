//! `Proxy`: what all workers share; `Worker`: one core's runtime, pool and spool.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::captures::Captures;
use super::carried::Carried;
use super::forward::Expectations;
use super::internal::Pages;
use super::known::Callers;
use super::load::Loads;
use super::meter::{Meters, Now};
use super::placeholders::Kept;
use super::refusal::Refusal;
use super::replay::RequestBody;
use super::waiting::Waiting;
use crate::agent::{Agent, Agents, AppPlaceholders, Guesses, PlaceholderKey};
use crate::approval::Approvals;
use crate::attention::Attention;
use crate::audit::Spool;
use crate::broker::{Broker, Permit};
use crate::ca::Issuer;
use crate::decide::Rules;
use crate::head;
use crate::listener::{Peer, Peers};
use crate::model::{AgentName, Host};
use crate::telemetry::{Recorder, Telemetry};
use crate::upstream::{Dialler, Pool};

/// Bounds of the data plane. Every one has a key in `nexus.toml`.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Bytes of a request body kept for the second send.
    pub(crate) replay_memory: usize,
    /// Bytes of a body that a credential is looked for in, or put into.
    pub(crate) content: usize,
    /// How long a larger body waits for `100 Continue`.
    pub(crate) expect_timeout: Duration,
    /// A request head must be whole after this.
    pub(crate) head_timeout: Duration,
    /// The caller's TLS handshake.
    pub(crate) handshake_timeout: Duration,
    /// A caller's connection without a request.
    pub(crate) keep_alive: Duration,
    /// Silence in a response body or tunnel.
    pub(crate) idle_timeout: Duration,
    /// Streams of one HTTP/2 connection.
    pub(crate) http2_streams: u32,
    /// Connections of one agent.
    pub(crate) agent_connections: usize,
    /// Requests of one agent that are under way.
    pub(crate) agent_requests: usize,
    /// Log-ins of one agent that wait for approval.
    pub(crate) pending_log_ins: usize,
    /// How long they wait.
    pub(crate) log_in_wait: Duration,
    /// Whether bodies and frames that services send are searched for the credential.
    pub(crate) scrub_bodies: bool,
    /// Whether they are searched for all that the agent's requests went with.
    pub(crate) scrub_for_agent: bool,
    /// What a request head may be.
    pub(crate) head: head::Limits,
    /// Wrong tokens that one address may show in a minute.
    pub(crate) wrong_tokens_per_minute: u32,
    /// Whether every user of this machine is the agent that a loopback listener is bound to.
    pub(crate) agent_listen_any_user: bool,
    /// What the certificate of a proxy port that speaks TLS names, besides the address that a caller came to.
    pub(crate) names: Vec<Host>,
}

/// How often a long stream's agent is looked at without a reason.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// What all workers share.
pub(crate) struct Proxy {
    pub(crate) settings: Settings,
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) agents: Arc<Agents>,
    pub(crate) callers: Callers,
    pub(crate) guesses: Guesses,
    pub(crate) loads: Loads,
    pub(crate) meters: Meters,
    pub(crate) waiting: Waiting,
    pub(crate) captures: Captures,
    pub(crate) carried: Carried,
    pub(crate) attention: Arc<Attention>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) approvals: Arc<Approvals>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) issuer: ArcSwap<Issuer>,
    pub(crate) placeholders: Arc<PlaceholderKey>,
    pub(crate) apps: Arc<AppPlaceholders>,
    /// The identity of our own user where no agents are defined.
    pub(crate) local: Arc<Agent>,
    pub(crate) pages: ArcSwap<Pages>,
    pub(crate) draining: watch::Receiver<bool>,
}

impl Proxy {
    /// Whether `agent` may still act: not revoked, not changed, not expired.
    pub(super) fn still_known(&self, agent: &Arc<Agent>) -> bool {
        let local = Arc::ptr_eq(agent, &self.local) && !self.agents.load().defined();
        (local || (self.agents.holds(agent) && !agent.expired(SystemTime::now()))) && !self.agents.is_frozen(&agent.name)
    }

    /// # Errors
    /// [`Refusal::Frozen`] for an agent that gets nothing.
    pub(super) fn check_frozen(&self, agent: &Agent) -> Result<(), Refusal> {
        if self.agents.is_frozen(&agent.name) { Err(Refusal::Frozen) } else { Ok(()) }
    }

    /// Whether any secret is looked for in what a service answers to a request of `agent` with `permit`.
    pub(super) fn guards(&self, agent: &Agent, permit: Option<&Permit>) -> bool {
        let Settings { scrub_bodies, scrub_for_agent, .. } = self.settings;
        let own = || permit.is_some_and(|permit| permit.needles().next().is_some());
        scrub_bodies && (own() || (scrub_for_agent && self.carried.knows(agent)))
    }

    /// Why `agent` may not act any more.
    pub(super) fn why_unknown(&self, agent: &Agent) -> Refusal {
        self.check_frozen(agent).err().unwrap_or(Refusal::UnknownAgent)
    }

    /// Waits until `agent` may not act any more.
    pub(super) async fn until_unknown(&self, agent: &Arc<Agent>) {
        let mut changes = self.agents.changes();
        while self.still_known(agent) {
            // A clock that is set meanwhile is noticed within the hour.
            let left = agent.time_left(SystemTime::now()).unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}

/// A listening socket, as a stream that came through it sees it.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    /// Its callers are this agent, token or not.
    pub(crate) agent: Option<AgentName>,
}

/// One core's part of the data plane. Everything in it stays on its thread.
pub(crate) struct Worker {
    pub(super) proxy: Arc<Proxy>,
    pub(super) pool: Rc<Pool<RequestBody>>,
    pub(super) dialler: Arc<Dialler>,
    pub(super) spool: Spool,
    pub(super) peers: Option<Peers>,
    pub(super) expectations: Expectations,
    pub(super) kept_placeholders: Kept,
    pub(super) recorder: Arc<Recorder>,
    under_way: Cell<usize>,
    idle: tokio::sync::Notify,
    count: Arc<AtomicUsize>,
}

/// A stream that is being served; [`Worker::drained`] waits for it.
pub(super) struct UnderWay(Rc<Worker>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        if self.0.under_way.get() == 0 {
            self.0.idle.notify_one();
        }
    }
}

impl Worker {
    /// A worker of `proxy`; `count` is told when a stream has ended. Call it inside the worker's runtime.
    pub(crate) fn new(proxy: Arc<Proxy>, dialler: Arc<Dialler>, spool: Spool, count: Arc<AtomicUsize>) -> Rc<Self> {
        let recorder = proxy.telemetry.recorder();
        let spool = spool.counted_by(Arc::clone(&recorder));
        let peers = Peers::new().map_err(|error| tracing::warn!(%error, "the kernel can't say who a loopback caller is")).ok();
        let pool = Pool::new(Arc::clone(&dialler));
        Rc::new(Self {
            proxy,
            pool,
            dialler,
            spool,
            peers,
            expectations: Expectations::default(),
            kept_placeholders: Kept::default(),
            recorder,
            under_way: Cell::new(0),
            idle: tokio::sync::Notify::new(),
            count,
        })
    }

    /// Serves one accepted stream on a task of its own.
    pub(crate) fn accept(self: &Rc<Self>, stream: std::net::TcpStream, peer: Peer, listener: Arc<Listener>) {
        // It is counted already.
        self.under_way.set(self.under_way.get() + 1);
        let under_way = UnderWay(Rc::clone(self));
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            match tokio::net::TcpStream::from_std(stream) {
                Ok(stream) => super::serve::stream(&worker, stream, peer, &listener).await,
                Err(error) => tracing::debug!(%error, "an accepted stream could not be used"),
            }
            drop(under_way);
        });
    }

    /// Something that a drain is to wait for, beside the streams.
    pub(super) fn begin(self: &Rc<Self>) -> UnderWay {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(Rc::clone(self))
    }

    /// How many streams are being served.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.get()
    }

    /// Waits until no stream is being served.
    pub(crate) async fn drained(&self) {
        while self.under_way.get() > 0 {
            self.idle.notified().await;
        }
    }

    /// Drops connections to services that have been idle too long, and forgets what nobody asks for any more.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
        self.recorder.idle(self.pool.idle());
        self.spool.tell_strangers();
        self.dialler.sweep();
        self.proxy.loads.sweep();
        self.proxy.agents.sweep(SystemTime::now());
        self.proxy.meters.sweep(Now::read());
        self.expectations.sweep();
        self.proxy.carried.sweep(self.proxy.agents.load().agents().chain([&*self.proxy.local]));
    }
}
