//! The chaining thread: takes the lines of all spools, of every process that shares the folder, into the segments.
//!
//! One process at a time does so, the holder of a lock on `chain.lock`; the others wait for it to die. How far a spool was taken
//! stands in the very line that was taken from it, so death at any moment neither loses nor repeats one. A spool file whose
//! writer is gone (its lock is free) is removed once it is chained.

use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::holder::Holder;
use super::index::Indexer;
use super::log::Bell;
use super::settings::Settings;

/// How long to wait when nothing happens, when somebody else chains, or after a failure.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait when nothing happens here while other processes' spools are there to be looked at.
const SHARED: Duration = Duration::from_millis(200);

/// The thread's life, whether it holds the chain or waits for it.
#[derive(Debug)]
pub(super) struct Chain {
    settings: Settings,
    bell: Arc<Bell>,
    /// How the names of this process's spools begin.
    own: String,
    holder: Option<Holder>,
    indexer: Indexer,
    failing: bool,
}

impl Chain {
    pub(super) fn new(settings: Settings, bell: Arc<Bell>, run: u64) -> Self {
        Self { settings, bell, own: format!("{run:016x}-"), holder: None, indexer: Indexer::new(), failing: false }
    }

    /// Chains until the log stops, and once more then.
    pub(super) fn run(mut self) {
        let mut stopped = false;
        loop {
            self.bell.doze();
            let round = self.round();
            let round = self.judge(round);
            if stopped {
                break;
            }
            stopped = match round {
                Ok(true) => self.bell.rest(self.settings.poll),
                Ok(false) if self.is_shared() => self.bell.sleep(SHARED),
                Ok(false) => self.bell.sleep(IDLE),
                Err(Failing) => self.bell.rest(IDLE),
            };
        }
        if let Some(holder) = &mut self.holder
            && let Err(error) = holder.finish()
        {
            tracing::error!(error = &error as &dyn std::error::Error, "the end of the audit log can't be signed and synced");
        }
    }

    /// Takes what there is; says whether there was anything.
    fn round(&mut self) -> Result<bool, Error> {
        if self.holder.is_none() {
            self.holder = Holder::claim(&self.settings, &self.own)?;
        }
        let Some(holder) = &mut self.holder else { return Ok(false) };
        let busy = holder.round(&self.bell)?;
        let behind = self.settings.index && self.indexer.keep_up(&self.settings.folder, busy, holder.pace(&self.bell));
        Ok(busy | behind)
    }

    /// Whether this process chains for others, who can't ring.
    fn is_shared(&self) -> bool {
        self.holder.as_ref().is_some_and(Holder::serves_others)
    }

    /// Reports a failure once, and its end.
    fn judge(&mut self, round: Result<bool, Error>) -> Result<bool, Failing> {
        match round {
            Ok(busy) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the audit log can be chained again");
                }
                Ok(busy)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the audit log can't be chained; its spools wait"
                    );
                }
                Err(Failing)
            }
        }
    }
}

/// The last round failed.
struct Failing;
