//! `Callers`: which agents callers are without a token, by the kernel's word of their process or by a certificate. Both may change under
//! an open stream, which ends then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;

use super::authenticate::Process;
use super::worker::Worker;
use crate::ca::ClientNames;
use crate::listener::UnixPeer;
use crate::model::AgentName;

/// Which agent a process is that comes by a Unix socket: one that has all that is said here.
#[derive(Debug, Clone)]
pub(crate) struct PeerRule {
    pub(crate) uid: Option<u32>,
    /// A control group; with `*` at its end, all that begin so.
    pub(crate) cgroup: Option<String>,
    pub(crate) agent: AgentName,
}

/// Which agent a caller is that shows a certificate with this name.
#[derive(Debug, Clone)]
pub(crate) struct CertificateRule {
    pub(crate) san: Option<String>,
    pub(crate) cn: Option<String>,
    pub(crate) agent: AgentName,
}

/// What is written of them.
#[derive(Debug, Default)]
pub(crate) struct CallerRules {
    pub(crate) peers: Vec<PeerRule>,
    pub(crate) certificates: Vec<CertificateRule>,
    /// Whether callers of a port must show a certificate.
    pub(crate) certificate_required: bool,
}

/// What is in force of it, and word of its changes.
#[derive(Debug)]
pub(crate) struct Callers {
    rules: ArcSwap<CallerRules>,
    /// By itself, since every request asks.
    required: AtomicBool,
    changed: watch::Sender<()>,
}

impl Callers {
    /// With `rules` in force.
    pub(crate) fn new(rules: CallerRules) -> Self {
        let required = AtomicBool::new(rules.certificate_required);
        Self { rules: ArcSwap::from_pointee(rules), required, changed: watch::Sender::new(()) }
    }

    /// Puts `rules` in force. What judges certificates is the issuer's, and changed before this.
    pub(crate) fn store(&self, rules: CallerRules) {
        self.required.store(rules.certificate_required, Ordering::Relaxed);
        self.rules.store(Arc::new(rules));
        self.changed.send_replace(());
    }

    /// Whether callers of a port must show a certificate.
    pub(super) fn certificate_required(&self) -> bool {
        self.required.load(Ordering::Relaxed)
    }

    /// Hears of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// By what the caller of one stream is known.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) process: Option<Arc<Process>>,
    /// The certificates that it showed, its own first, and the agent that it is by them.
    pub(super) shown: Option<(Vec<CertificateDer<'static>>, Option<Arc<AgentName>>)>,
    /// From before either was looked at.
    pub(super) changes: watch::Receiver<()>,
}

impl Worker {
    /// Finds out which agent `peer` is, while it is there to ask.
    pub(super) fn known_by_kernel(&self, peer: UnixPeer) -> Process {
        let rules = self.proxy.callers.rules.load();
        let cgroup = rules.peers.iter().any(|rule| rule.cgroup.is_some()).then(|| peer.cgroup()).flatten();
        let found = rules.peers.iter().find(|rule| rule.is(peer.uid, cgroup.as_deref()));
        Process { agent: found.map(|rule| rule.agent.clone()), peer }
    }

    /// Which agent the certificate names that a caller showed, and that was verified.
    pub(super) fn known_by_certificate(&self, certificate: &CertificateDer<'_>) -> Option<Arc<AgentName>> {
        let names = ClientNames::of(certificate)?;
        let fits = |rule: &&CertificateRule| match (&rule.san, &rule.cn) {
            (Some(san), _) => names.has(san),
            (None, Some(cn)) => names.is_called(cn),
            (None, None) => false,
        };
        let rules = self.proxy.callers.rules.load();
        rules.certificates.iter().find(fits).map(|rule| Arc::new(rule.agent.clone()))
    }

    /// Returns once the caller is no longer who it was when its stream began.
    pub(super) async fn until_unknown(&self, mut known: Known) {
        while known.changes.changed().await.is_ok() {
            if !self.still_is(&known) {
                tracing::debug!("a caller is no longer known by what it showed; its stream ends");
                return;
            }
        }
        // Nothing changes any more.
        std::future::pending::<()>().await;
    }

    fn still_is(&self, known: &Known) -> bool {
        let by_kernel = known.process.as_ref();
        by_kernel.is_none_or(|process| self.known_by_kernel(process.peer.clone()).agent == process.agent)
            && known.shown.as_ref().is_none_or(|(chain, agent)| self.stands(chain, agent.as_ref()))
    }

    /// Whether a new handshake with these certificates would be the same agent.
    fn stands(&self, chain: &[CertificateDer<'static>], agent: Option<&Arc<AgentName>>) -> bool {
        let (Some((own, others)), Some(verifier)) = (chain.split_first(), self.proxy.issuer.load().verifier()) else {
            return false;
        };
        let Ok(now) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) else { return false };
        verifier.verify_client_cert(own, others, UnixTime::since_unix_epoch(now)).is_ok()
            && self.known_by_certificate(own).as_ref() == agent
    }
}

impl PeerRule {
    fn is(&self, uid: u32, cgroup: Option<&str>) -> bool {
        let within = |pattern: &String| match (cgroup, pattern.strip_suffix('*')) {
            (None, _) => false,
            (Some(cgroup), Some(begin)) => cgroup.starts_with(begin),
            (Some(cgroup), None) => cgroup == pattern,
        };
        self.uid.is_none_or(|own| own == uid) && self.cgroup.as_ref().is_none_or(within)
    }
}
