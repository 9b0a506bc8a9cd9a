//! `Live`: what happens now, read once for all who watch, and not at all while nobody does.
//!
//! One thread follows the log. What it finds goes into a ring from which each watcher takes at their own pace; who is too slow is told how
//! much they missed. Where there is more than can be read closely it looks at some requests only, and says at which part of them.

mod happened;
mod ring;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub(crate) use self::happened::{Happened, Watched};
use self::happened::{Joiner, bucket, identity, is_opened};
use self::ring::Ring;
use super::error::Error;
use super::tail::{Since, Tail};
use super::trailer::Trailer;

/// People and scripts that watch at a time.
const WATCHERS: usize = 32;
/// Of those, by one credential: nobody keeps all others from watching.
const SHARE: usize = 8;
/// How long the log is followed after the last of them has left: who comes back misses nothing.
const LINGER: Duration = Duration::from_secs(60);
/// How long is waited for a line before it is looked who watches.
const WAIT: Duration = Duration::from_millis(250);
/// So many lines before the first one are known from the start.
const EARLIER: usize = 2_000;
/// Lines that are read closely in a second; a thread that reads more would take from the proxy.
const CLOSELY: u64 = 4_000;
/// Those who wait are told at least this often while lines come.
const BATCH: usize = 256;

/// The log as it is written.
#[derive(Debug)]
pub(crate) struct Live {
    folder: PathBuf,
    held: Mutex<Held>,
    /// Requests that have ended, whether they were read closely or not.
    ended: AtomicU64,
    /// One of how many requests is read closely.
    one_of: AtomicU64,
    news: watch::Sender<News>,
}

#[derive(Debug, Default)]
struct Held {
    ring: Ring,
    /// By whose credential each of them watches.
    watchers: Vec<Arc<str>>,
    reading: bool,
}

/// What those who wait are told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct News {
    /// The place behind the newest.
    end: u64,
    /// What was there before is read.
    ready: bool,
}

/// As many watch as may.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TooMany {
    /// By whatever credential.
    #[error("{WATCHERS} watch already")]
    All,
    /// By this one.
    #[error("{SHARE} watch by this credential already")]
    Share,
}

impl Live {
    /// What is written to the log in `folder`. Nothing is read yet.
    pub(crate) fn new(folder: PathBuf) -> Arc<Self> {
        let (ended, one_of, news) = (AtomicU64::new(0), AtomicU64::new(1), watch::Sender::new(News::default()));
        Arc::new(Self { folder, held: Mutex::default(), ended, one_of, news })
    }

    /// One more who watches by `credential`, from now on.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(crate) fn watch(self: &Arc<Self>, credential: Arc<str>) -> Result<Watcher, TooMany> {
        let mut held = self.held();
        if held.watchers.iter().filter(|by| **by == credential).count() >= SHARE {
            return Err(TooMany::Share);
        }
        if held.watchers.len() >= WATCHERS {
            return Err(TooMany::All);
        }
        held.watchers.push(Arc::clone(&credential));
        drop(held);
        // Counted before anything can fail: dropping it counts it out again.
        let watcher = Watcher { live: Arc::clone(self), credential, at: 0, news: self.news.subscribe() };
        watcher.keep_reading();
        Ok(watcher)
    }

    /// Starts the thread where there is none.
    fn read(self: &Arc<Self>) {
        let mut held = self.held();
        if std::mem::replace(&mut held.reading, true) {
            return;
        }
        drop(held);
        self.news.send_modify(|news| news.ready = false);
        let (live, folder) = (Arc::downgrade(self), self.folder.clone());
        let work = move || {
            let read = Tail::open(&folder, Since::Last(EARLIER)).and_then(|tail| Reader::new(live.clone(), tail).run());
            // Whoever ended by themselves has said so.
            if let Err(error) = read {
                tracing::warn!(error = &error as &dyn std::error::Error, "the audit log can't be followed for who watches");
                live.upgrade().iter().for_each(|live| live.held().reading = false);
            }
        };
        if let Err(error) = thread::Builder::new().name("audit-live".into()).spawn(work) {
            tracing::warn!(%error, "the audit log can't be followed for who watches");
            self.held().reading = false;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches.
#[derive(Debug)]
pub(crate) struct Watcher {
    live: Arc<Live>,
    credential: Arc<str>,
    /// The place of what is told next.
    at: u64,
    news: watch::Receiver<News>,
}

impl Watcher {
    /// Begins with the last `earlier` things that happened, or where `after` is the number of a line with what came after it; says whether
    /// nothing of that is missing. Waits until it is known what there was.
    pub(crate) async fn begin(&mut self, earlier: u64, after: Option<u64>) -> bool {
        // Whoever would tell lives as long as we do.
        drop(self.news.wait_for(|news| news.ready).await);
        let held = self.live.held();
        let (at, whole) = after.map_or_else(|| (held.ring.last(earlier), true), |seq| held.ring.after(seq));
        self.at = at;
        whole
    }

    /// Waits until there is something new.
    pub(crate) async fn changed(&mut self) {
        let at = self.at;
        drop(self.news.wait_for(|news| news.end > at).await);
    }

    /// What happened since, up to `most` of it, and how much is lost since it was not taken in time.
    pub(crate) fn take(&mut self, most: usize) -> (Vec<Arc<Happened>>, u64) {
        let (taken, lost) = self.live.held().ring.read(self.at, most);
        self.at += lost + taken.len() as u64;
        (taken, lost)
    }

    /// How many requests have ended since the start, of any kind.
    pub(crate) fn ended(&self) -> u64 {
        self.live.ended.load(Ordering::Relaxed)
    }

    /// One of how many requests is seen at all.
    pub(crate) fn one_of(&self) -> u64 {
        self.live.one_of.load(Ordering::Relaxed)
    }

    /// Follows the log again where that had ended; to be called now and then.
    pub(crate) fn keep_reading(&self) {
        self.live.read();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut held = self.live.held();
        if let Some(at) = held.watchers.iter().position(|by| *by == self.credential) {
            held.watchers.swap_remove(at);
        }
    }
}

/// The thread that follows the log.
struct Reader {
    live: Weak<Live>,
    tail: Tail,
    joiner: Joiner,
    /// Lines of this second.
    lines: u64,
    second: Instant,
    one_of: u64,
    ready: bool,
}

impl Reader {
    fn new(live: Weak<Live>, tail: Tail) -> Self {
        Self { live, tail, joiner: Joiner::default(), lines: 0, second: Instant::now(), one_of: 1, ready: false }
    }

    /// Until nobody has watched for a while.
    fn run(mut self) -> Result<(), Error> {
        let mut first = true;
        let mut watched = Instant::now();
        loop {
            let wait = if self.ready { WAIT } else { Duration::ZERO };
            let mut line = self.tail.next_line(wait)?;
            let mut taken = Vec::new();
            while let Some(text) = line.take() {
                if std::mem::take(&mut first) {
                    self.resume(&text);
                }
                taken.extend(self.look(&text));
                if taken.len() >= BATCH {
                    self.tell(taken.drain(..));
                }
                line = self.tail.next_line(Duration::ZERO)?;
            }
            self.ready = true;
            self.tell(taken.drain(..));
            let Some(live) = self.live.upgrade() else { return Ok(()) };
            let mut held = live.held();
            if !held.watchers.is_empty() {
                watched = Instant::now();
            } else if watched.elapsed() > LINGER {
                // Under the lock: whoever comes now sees that nobody reads.
                held.reading = false;
                held.ring.clear();
                return Ok(());
            }
        }
    }

    /// What was before the first line is not known.
    fn resume(&self, line: &str) {
        let seq = Trailer::read(line.as_bytes()).map_or(1, |trailer| trailer.link.seq);
        self.live.upgrade().iter().for_each(|live| live.held().ring.resume(seq));
    }

    /// What a line tells, where it is one that is read closely.
    fn look(&mut self, line: &str) -> Option<Happened> {
        let (id, ended) = identity(line)?;
        if self.ready {
            self.count(ended && !is_opened(line));
        }
        if self.one_of > 1 && !bucket(id).is_multiple_of(self.one_of) {
            return None;
        }
        self.joiner.take(line)
    }

    /// Counts a line, and says how closely the next ones are read.
    fn count(&mut self, ended: bool) {
        let Some(live) = self.live.upgrade() else { return };
        live.ended.fetch_add(u64::from(ended), Ordering::Relaxed);
        self.lines += 1;
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.one_of = (self.lines / CLOSELY).next_power_of_two();
            (self.lines, self.second) = (0, Instant::now());
        } else if self.lines > 2 * CLOSELY * self.one_of {
            self.one_of *= 2;
        }
        live.one_of.store(self.one_of, Ordering::Relaxed);
    }

    fn tell(&self, taken: impl Iterator<Item = Happened>) {
        let Some(live) = self.live.upgrade() else { return };
        let mut held = live.held();
        taken.for_each(|happened| held.ring.push(happened));
        let news = News { end: held.ring.end(), ready: self.ready };
        drop(held);
        live.news.send_if_modified(|told| std::mem::replace(told, news) != news);
    }
}
