//! `Standing`: whether the audit log is as it was written, looked at now and then in the background.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::context::{Gateway, Shared};
use crate::audit::{Against, Error, Progress, Prover, PublicKey, Verified};

/// How long after the start it is looked for the first time, unless somebody asks before.
const FIRST: Duration = Duration::from_secs(10 * 60);
/// How long a look counts.
const EVERY: Duration = Duration::from_hours(24);

/// What was found, and what is being looked at.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    state: Mutex<State>,
    prover: Mutex<Option<Prover>>,
    /// Becomes true when the process is about to end.
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    checking: Option<Checking>,
    checked: Option<Arc<Checked>>,
}

/// A look that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checking {
    pub(super) since: SystemTime,
    pub(super) progress: Progress,
}

/// A look that is over.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) at: SystemTime,
    pub(super) took: Duration,
    pub(super) found: Result<Verified, Error>,
}

impl Standing {
    /// What is under way, and what was found last.
    pub(super) fn now(&self) -> (Option<Checking>, Option<Arc<Checked>>) {
        let state = self.state();
        (state.checking, state.checked.clone())
    }

    /// Whether it was never looked, or too long ago.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        let state = self.state();
        let old = |checked: &Arc<Checked>| now.duration_since(checked.at).is_ok_and(|age| age >= EVERY);
        state.checking.is_none() && state.checked.as_ref().is_none_or(old)
    }

    fn claim(&self, now: SystemTime) -> bool {
        let mut state = self.state();
        let free = state.checking.is_none();
        state.checking.get_or_insert(Checking { since: now, progress: Progress::default() });
        free
    }

    fn look(&self, gateway: &Gateway, whole: bool) -> Result<Verified, Error> {
        let mut held = self.prover.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<PublicKey> = gateway.ports.log.head_key().into_iter().collect();
        let prover = held.get_or_insert_with(|| Prover::new(Against { keys, head: None }));
        if whole {
            prover.forget();
        }
        prover.prove(&gateway.settings.audit, |progress| {
            if let Some(checking) = &mut self.state().checking {
                checking.progress = progress;
            }
            !self.over.load(Ordering::Relaxed)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks, in a thread that gives way to all others; says whether it begins now. Where `whole` is said, what was read before is read again.
pub(super) fn begin(gateway: &Shared, whole: bool) -> bool {
    let now = (gateway.ports.clock)();
    if !gateway.standing.claim(now) {
        return false;
    }
    let shared = Arc::clone(gateway);
    let work = move || {
        give_way();
        let (begun, standing) = (Instant::now(), &shared.standing);
        let found = standing.look(&shared, whole);
        tell(&found);
        let checked = Checked { at: (shared.ports.clock)(), took: begun.elapsed(), found };
        let mut state = standing.state();
        (state.checking, state.checked) = (None, Some(Arc::new(checked)));
    };
    let started = std::thread::Builder::new().name("nexus-verify".into()).spawn(work);
    if let Err(error) = started {
        tracing::error!(%error, "the audit log can't be verified");
        gateway.standing.state().checking = None;
    }
    true
}

/// Looks once a day, until the process ends.
pub(super) async fn keep_looking(gateway: Shared) {
    let mut stopping = gateway.stopping.clone();
    let daily = async {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + FIRST, FIRST);
        loop {
            ticks.tick().await;
            if gateway.standing.is_due((gateway.ports.clock)()) {
                begin(&gateway, false);
            }
        }
    };
    tokio::select! {
        () = daily => {}
        // An error means that whoever would tell is gone.
        _ = stopping.wait_for(|stopping| *stopping) => gateway.standing.over.store(true, Ordering::Relaxed),
    }
}

fn tell(found: &Result<Verified, Error>) {
    match found {
        Ok(_) | Err(Error::Stopped) => {}
        Err(error @ Error::Broken { .. }) => {
            tracing::error!(error = error as &dyn std::error::Error, "the audit log is not as it was written");
        }
        Err(error) => tracing::warn!(error = error as &dyn std::error::Error, "the audit log could not be verified"),
    }
}

/// Requests go first. Where the system refuses, it is verified at their pace.
#[cfg(target_os = "linux")]
fn give_way() {
    use rustix::process::setpriority_process;
    if let Err(error) = setpriority_process(Some(rustix::thread::gettid()), 19) {
        tracing::debug!(%error, "the audit log is verified at the pace of everything else");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_once_a_day_and_by_one_at_a_time() {
        let standing = Standing::default();
        let at = |hours| SystemTime::UNIX_EPOCH + Duration::from_hours(hours);
        assert!(standing.is_due(at(1)), "never looked");
        assert!(standing.claim(at(1)) && !standing.claim(at(1)) && !standing.is_due(at(50)), "somebody does");
        let checked = Checked { at: at(2), took: Duration::ZERO, found: Err(Error::Stopped) };
        *standing.state() = State { checking: None, checked: Some(Arc::new(checked)) };
        assert_eq!((standing.is_due(at(25)), standing.is_due(at(26)), standing.is_due(at(1))), (false, true, false));
        assert!(standing.claim(at(26)));
    }
}
