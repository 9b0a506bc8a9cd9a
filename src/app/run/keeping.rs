//! The list of what needs a person, kept in `attention.json` by one of the proxies of a home.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use crate::attention::Attention;
use crate::disk;

/// What comes within this is written together.
const GATHER: Duration = Duration::from_millis(500);
/// How often it is written while something is open and nothing new happens: when it was asked for last counts too.
const AGAIN: Duration = Duration::from_secs(60);

/// Keeps one list in one file. Where several proxies of a home are up, the first that had something to keep does.
pub(super) struct Keeper {
    file: PathBuf,
    attention: Arc<Attention>,
    lock: Mutex<Option<disk::Lock>>,
}

impl Keeper {
    /// Takes up what was kept, if anything was. Blocks.
    pub(super) fn begin(file: PathBuf, attention: Arc<Attention>) -> Arc<Self> {
        let keeper = Self { file, attention, lock: Mutex::default() };
        if keeper.file.exists() {
            keeper.is_ours();
        }
        Arc::new(keeper)
    }

    /// Writes the list whenever it has changed, for as long as it is polled.
    pub(super) async fn run(self: Arc<Self>) {
        let mut news = self.attention.news();
        loop {
            let open = !self.attention.open().is_empty();
            tokio::select! {
                _ = news.changed() => sleep(GATHER).await,
                () = sleep(AGAIN), if open => {}
            }
            news.mark_unchanged();
            let keeper = Arc::clone(&self);
            drop(tokio::task::spawn_blocking(move || keeper.write()).await);
        }
    }

    /// Writes the list as it is now, if it is this process that keeps it and there ever was one. Blocks.
    pub(super) fn write(&self) {
        let nothing = !self.file.exists() && self.attention.all().is_empty();
        if !nothing && self.is_ours() {
            self.tell(self.attention.write(&self.file));
        }
    }

    /// Whether nobody else keeps it. What another process kept until now is taken up.
    fn is_ours(&self) -> bool {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            *lock = disk::Lock::try_acquire(&self.file).unwrap_or_else(|error| {
                self.tell(Err(error));
                None
            });
            if lock.is_some() {
                self.tell(self.attention.take_up(&self.file, SystemTime::now()));
            }
        }
        lock.is_some()
    }

    fn tell(&self, done: Result<(), disk::Error>) {
        if let Err(error) = done {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, file = %self.file.display(), "what needs a person is not kept for the next start");
        }
    }
}
