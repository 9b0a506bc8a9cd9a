//! `Log`: the shared part of the log. It hands out spools and runs the chaining thread.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::chain::Chain;
use super::clock::Clock;
use super::error::Error;
use super::head::PublicKey;
use super::index::{Begun, Stats, Wanted, stats};
use super::line;
use super::record::{Field, Record};
use super::settings::{Fsync, OnFailure, Settings};
use super::spool::Spool;
use super::spool_file::SpoolFile;
use super::strangers::{Strangers, Unwritten};
use super::writer::{Counters, Writer};

/// The number of the spool that holds nothing but the end; names sort by it.
const LAST: u32 = 9999;

/// The log of one process. Many processes may share its folder; one of them at a time chains for all.
#[derive(Debug)]
pub struct Log {
    settings: Settings,
    run: u64,
    workers: AtomicU32,
    strangers: Strangers,
    own: Mutex<Option<(SpoolFile, Clock)>>,
    bell: Arc<Bell>,
    thread: Mutex<Option<JoinHandle<()>>>,
    writers: Mutex<Vec<Weak<Writer>>>,
}

impl Log {
    /// Makes the folders, notes the start, and starts the thread that chains, beginning with what earlier runs left.
    ///
    /// # Errors
    /// Where the folder is not ours alone, or the first line can't be written.
    pub fn start(settings: Settings) -> Result<Arc<Self>, Error> {
        make_private(&settings.folder)?;
        make_private(&settings.spools())?;
        let run = getrandom::u64().map_err(Error::io("draw a random number for", &settings.folder))?;
        let own = SpoolFile::create(&settings, run, 0)?;
        let bell = Arc::new(Bell::default());
        let chain = Chain::new(settings.clone(), Arc::clone(&bell), run);
        let folder = settings.folder.clone();
        let log = Self {
            strangers: Strangers::new(settings.stranger_lines),
            settings,
            run,
            workers: AtomicU32::new(1),
            own: Mutex::new(Some((own, Clock::new()))),
            bell,
            thread: Mutex::new(None),
            writers: Mutex::default(),
        };
        log.note_start()?;
        let thread = thread::Builder::new().name("audit".into()).spawn(|| chain.run()).map_err(Error::io("chain", &folder))?;
        *hold(&log.thread) = Some(thread);
        Ok(Arc::new(log))
    }

    fn note_start(&self) -> Result<(), Error> {
        let run = format!("{:016x}", self.run);
        match self.event("start", &[("version", env!("CARGO_PKG_VERSION")), ("run", &run)]) {
            Err(error) if self.settings.on_failure == OnFailure::Warn => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the start of the audit log can't be noted");
                Ok(())
            }
            noted => noted,
        }
    }

    /// A spool for the worker whose runtime this is called in.
    ///
    /// # Errors
    /// Where its file can't be made, or there is no runtime.
    pub(crate) fn spool(self: &Arc<Self>) -> Result<Spool, Error> {
        let worker = self.workers.fetch_add(1, Ordering::Relaxed);
        let file = SpoolFile::create(&self.settings, self.run, worker)?;
        let random = getrandom::u64().map_err(Error::io("draw a random number for", &self.settings.folder))?;
        let spool = Spool::start(Arc::clone(self), file, random)?;
        hold(&self.writers).push(spool.writer());
        Ok(spool)
    }

    /// What proves the heads that this process signs, if it signs any.
    pub(crate) fn head_key(&self) -> Option<PublicKey> {
        self.settings.head_key.as_ref().map(|key| key.public())
    }

    /// What the spools of this process have done so far.
    pub(crate) fn counters(&self) -> Counters {
        let writers: Vec<_> = hold(&self.writers).iter().filter_map(Weak::upgrade).collect();
        writers.iter().map(|writer| writer.counters()).fold(Counters::default(), |sum, more| Counters {
            lines: sum.lines + more.lines,
            writes: sum.writes + more.writes,
            failures: sum.failures + more.failures,
            lost: sum.lost + more.lost,
            failing: sum.failing || more.failing,
        })
    }

    /// What the log tells of a time, in numbers. Reads files.
    ///
    /// # Errors
    /// Where the log or its index can't be read.
    pub(crate) fn stats(&self, wanted: Wanted, held: &[Begun]) -> Result<Stats, Error> {
        stats(&self.settings, wanted, held)
    }

    /// Tells of something that is not a request: a reload, a change of connections or agents. Writes at once, and blocks to do so.
    ///
    /// # Errors
    /// Where the line can't be written.
    pub fn event(&self, name: &'static str, details: &[(&'static str, &str)]) -> Result<(), Error> {
        let mut own = hold(&self.own);
        let Some((file, clock)) = own.as_mut() else { return Err(Error::Stopped) };
        let mut text = Vec::new();
        line::write_event(&mut text, name, details, clock);
        file.append(&text).map_err(|failed| failed.error)?;
        if self.settings.fsync == Fsync::Always {
            file.file().sync_data().map_err(Error::io("sync", &file.path()))?;
        }
        drop(own);
        self.bell.ring();
        Ok(())
    }

    /// Whether a refusal is told by a line of its own: those of an agent are, those of strangers so many in a minute.
    pub(super) fn tells(&self, record: &Record) -> bool {
        let Some(source) = record.source.filter(|_| record.text(Field::Agent).is_none()) else { return true };
        let (told, left) = self.strangers.count(source, Instant::now());
        self.tell_unwritten(left);
        told
    }

    /// Tells of the refusals that had no lines of their own in the minutes that are over; to be called now and then.
    pub(crate) fn tell_strangers(&self) {
        self.tell_unwritten(self.strangers.take(Instant::now(), false));
    }

    fn tell_unwritten(&self, unwritten: impl IntoIterator<Item = Unwritten>) {
        for Unwritten { source, count, within } in unwritten {
            let source = source.map_or_else(|| "others".to_owned(), |address| address.to_string());
            let (count, within) = (count.to_string(), within.as_secs().to_string());
            let details = [("source", source.as_str()), ("count", &count), ("within_secs", &within)];
            if let Err(error) = self.event("refuse_many", &details) {
                tracing::warn!(error = &error as &dyn std::error::Error, source, count, "refusals can't be noted");
            }
        }
    }

    /// Notes the end, chains what is written and ends the thread. Spools that still live can write; a later run chains that.
    pub fn stop(&self) {
        let Some(thread) = hold(&self.thread).take() else { return };
        self.tell_unwritten(self.strangers.take(Instant::now(), true));
        if let Err(error) = self.note_stop() {
            tracing::error!(error = &error as &dyn std::error::Error, "the end of the audit log can't be noted");
        }
        self.bell.stop();
        if thread.join().is_err() {
            tracing::error!("the audit chain ended early");
        }
    }

    /// In a file of its own that is taken last: whoever finds it finds before it all that was written until now.
    fn note_stop(&self) -> Result<(), Error> {
        let Some((own, mut clock)) = hold(&self.own).take() else { return Err(Error::Stopped) };
        drop(own);
        let mut file = SpoolFile::create(&self.settings, self.run, LAST)?;
        let mut text = Vec::new();
        line::write_event(&mut text, "stop", &[], &mut clock);
        file.append(&text).map_err(|failed| failed.error)?;
        if self.settings.fsync == Fsync::Always {
            file.file().sync_data().map_err(Error::io("sync", &file.path()))?;
        }
        Ok(())
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Says that there are new lines.
    pub(super) fn poke(&self) {
        self.bell.ring();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Wakes the chaining thread: cheap to ring while it is awake.
#[derive(Debug, Default)]
pub(super) struct Bell {
    asleep: AtomicBool,
    stopped: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            // Taken so that the sleeper is either before its check or in its wait.
            drop(hold(&self.stopped));
            self.rung.notify_all();
        }
    }

    pub(super) fn stop(&self) {
        *hold(&self.stopped) = true;
        self.rung.notify_all();
    }

    /// Sleeps for `time`, shorter on a stop; says whether there was one.
    pub(super) fn rest(&self, time: Duration) -> bool {
        let stopped = hold(&self.stopped);
        *self.rung.wait_timeout_while(stopped, time, |stopped| !*stopped).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Says that the sleep that follows ends when it is rung for; what was written before must be looked at after this.
    pub(super) fn doze(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    /// Sleeps for `time`, shorter when rung for or on a stop; says whether there was a stop.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let stopped = hold(&self.stopped);
        let wait = |stopped: &mut bool| !*stopped && self.asleep.load(Ordering::SeqCst);
        let stopped = self.rung.wait_timeout_while(stopped, time, wait).unwrap_or_else(PoisonError::into_inner).0;
        self.asleep.store(false, Ordering::SeqCst);
        *stopped
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes `folder` for its owner alone, or checks that it is.
fn make_private(folder: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io("create", folder))?;
    let metadata = fs::symlink_metadata(folder).map_err(Error::io("examine", folder))?;
    if metadata.is_dir() && metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::Exposed { path: folder.to_owned() })
}
