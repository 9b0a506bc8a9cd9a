//! `Writer`: the buffer behind a spool, who waits for it, and what becomes of lines that can't be written.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::batch::Batch;
use super::clock::Clock;
use super::error::Error;
use super::id::Ids;
use super::line::{self, Moment, OPEN, TUNNEL_OPEN};
use super::log::Log;
use super::record::{Kind, Record};
use super::settings::{Fsync, OnFailure, Settings};
use super::spool_file::{Failed, SpoolFile};

/// A buffer of this size is written at once.
const FLUSH_BYTES: usize = 64 * 1024;
/// While writes fail, lines up to this many bytes are kept for later; more are counted and lost.
const KEEP_BYTES: usize = 1024 * 1024;
/// How many records' memory is kept for reuse.
const SPARES: usize = 64;
const RECORD_BYTES: usize = 640;

/// What a spool has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Lines written.
    pub(crate) lines: u64,
    /// Writes that wrote them.
    pub(crate) writes: u64,
    /// Writes that failed.
    pub(crate) failures: u64,
    /// Lines given up, each of them counted in a `lost` event.
    pub(crate) lost: u64,
    /// Whether the last write failed.
    pub(crate) failing: bool,
}

#[derive(Debug)]
pub(super) struct Writer {
    log: Arc<Log>,
    pending: Mutex<Pending>,
    linger: Arc<Notify>,
    runtime: Handle,
}

#[derive(Debug)]
struct Pending {
    buffer: Vec<u8>,
    lines: u64,
    batch: Option<Arc<Batch>>,
    file: SpoolFile,
    clock: Clock,
    ids: Ids,
    spares: Vec<Vec<u8>>,
    counters: Counters,
    unreported: u64,
    armed: bool,
    failing: bool,
}

impl Writer {
    /// A writer to `file`, with a task on `runtime` that writes lines which waited long enough.
    pub(super) fn start(log: Arc<Log>, file: SpoolFile, runtime: Handle, random: u64) -> Arc<Self> {
        let pending = Pending {
            buffer: Vec::with_capacity(FLUSH_BYTES / 4),
            lines: 0,
            batch: None,
            file,
            clock: Clock::new(),
            ids: Ids::new(random),
            spares: Vec::new(),
            counters: Counters::default(),
            unreported: 0,
            armed: false,
            failing: false,
        };
        let (linger, delay) = (Arc::new(Notify::new()), log.settings().linger);
        let writer = Arc::new(Self { log, pending: Mutex::new(pending), linger: Arc::clone(&linger), runtime });
        drop(writer.runtime.spawn(write_lingering(Arc::downgrade(&writer), linger, delay)));
        writer
    }

    pub(super) fn settings(&self) -> &Settings {
        self.log.settings()
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn record(&self, kind: Kind) -> Record {
        let mut pending = self.pending();
        let began = SystemTime::now();
        let id = pending.ids.next(began);
        let memory = pending.spares.pop().unwrap_or_else(|| Vec::with_capacity(RECORD_BYTES));
        Record::new(id, kind, began, memory, self.settings().max_line)
    }

    pub(super) fn counters(&self) -> Counters {
        let pending = self.pending();
        Counters { failing: pending.failing, ..pending.counters }
    }

    /// Writes what waits.
    #[cfg(test)]
    pub(super) fn flush(&self) {
        self.write(&mut self.pending());
    }

    /// Writes what waits, if `batch` is still among it.
    pub(super) fn flush_batch(&self, batch: &Arc<Batch>) {
        let mut pending = self.pending();
        if pending.batch.as_ref().is_some_and(|waiting| Arc::ptr_eq(waiting, batch)) {
            self.write(&mut pending);
        }
    }

    /// Adds an opening line to the batch of this turn; says whether it is its first. `None`: there is no room, and nobody minds.
    pub(super) fn join(&self, record: &mut Record) -> Option<(Arc<Batch>, bool)> {
        let mut pending = self.pending();
        if pending.is_full() && self.settings().on_failure == OnFailure::Warn {
            pending.lose(1);
            return None;
        }
        let both = pending.push(Moment::Open, record);
        record.keep(pending.buffer.get(both).unwrap_or_default());
        let first = pending.batch.is_none();
        let batch = Arc::clone(pending.batch.get_or_insert_default());
        if pending.buffer.len() > FLUSH_BYTES && !pending.failing {
            self.write(&mut pending);
        }
        Some((batch, first))
    }

    /// Adds the last line of `record`, if there is one, and keeps its memory for the next one.
    pub(super) fn end(&self, moment: Option<Moment>, record: &mut Record) {
        let mut pending = self.pending();
        if let Some(moment) = moment {
            self.add(&mut pending, moment, record);
        }
        let memory = record.take_memory();
        if pending.spares.len() < SPARES && memory.capacity() <= 4 * RECORD_BYTES {
            pending.spares.push(memory);
        }
    }

    fn add(&self, pending: &mut Pending, moment: Moment, record: &Record) {
        if pending.is_full() {
            return pending.lose(1);
        }
        pending.push(moment, record);
        if pending.buffer.len() > FLUSH_BYTES && !pending.failing {
            return self.write(pending);
        }
        self.arm(pending);
    }

    /// Sees to it that lines don't wait longer than they may.
    fn arm(&self, pending: &mut Pending) {
        if !pending.armed {
            pending.armed = true;
            self.linger.notify_one();
        }
    }

    /// Writes the buffer and tells the batch in it.
    fn write(&self, pending: &mut Pending) {
        if pending.buffer.is_empty() {
            return;
        }
        let batch = pending.batch.take();
        let outcome = pending.file.append(&pending.buffer);
        match outcome {
            Ok(()) => {
                self.written(pending, batch);
                self.log.poke();
            }
            Err(failed) => {
                self.not_written(pending, &failed);
                if let Some(batch) = batch {
                    batch.finish(Err(failed.error));
                }
            }
        }
    }

    fn written(&self, pending: &mut Pending, batch: Option<Arc<Batch>>) {
        pending.counters.lines += std::mem::take(&mut pending.lines);
        pending.counters.writes += 1;
        pending.buffer.clear();
        pending.buffer.shrink_to(4 * FLUSH_BYTES);
        if std::mem::take(&mut pending.failing) {
            tracing::info!(lost = pending.unreported, "the audit spool can be written again");
        }
        if pending.unreported > 0 {
            let lost = std::mem::take(&mut pending.unreported).to_string();
            pending.lines += 1;
            line::write_event(&mut pending.buffer, "lost", &[("lines", &lost)], &mut pending.clock);
            self.arm(pending);
        }
        let Some(batch) = batch else { return };
        if self.settings().fsync == Fsync::Always {
            self.sync(pending, batch);
        } else {
            batch.finish(Ok(()));
        }
    }

    /// Syncs on a thread that may block, then tells the batch.
    fn sync(&self, pending: &Pending, batch: Arc<Batch>) {
        let (file, path) = (pending.file.file(), pending.file.path());
        let promise = Promise(batch);
        drop(self.runtime.spawn_blocking(move || promise.0.finish(file.sync_data().map_err(Error::io("sync", &path)))));
    }

    fn not_written(&self, pending: &mut Pending, failed: &Failed) {
        pending.counters.failures += 1;
        if !std::mem::replace(&mut pending.failing, true) {
            tracing::error!(error = &failed.error as &dyn std::error::Error, "the audit spool can't be written");
        }
        pending.keep_unwritten(failed.written, self.settings().on_failure);
        if !pending.buffer.is_empty() {
            self.arm(pending);
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn push(&mut self, moment: Moment, record: &Record) -> Range<usize> {
        self.lines += 1;
        line::write(&mut self.buffer, moment, record, &mut self.clock)
    }

    fn is_full(&self) -> bool {
        self.failing && self.buffer.len() > KEEP_BYTES
    }

    fn lose(&mut self, lines: u64) {
        self.unreported += lines;
        self.counters.lost += lines;
    }

    /// Keeps the lines that weren't written in full, save those of requests that are refused for it.
    fn keep_unwritten(&mut self, written: usize, on_failure: OnFailure) {
        let written = self.buffer.get(..written).unwrap_or_default();
        let whole = memchr::memrchr(b'\n', written).map_or(0, |end| end + 1);
        if on_failure == OnFailure::Warn {
            // Up to KEEP_BYTES stay, at every try again: they aren't gone through.
            self.lines -= memchr::memchr_iter(b'\n', self.buffer.get(..whole).unwrap_or_default()).count() as u64;
            self.buffer.drain(..whole);
            return;
        }
        let rest = self.buffer.split_off(whole);
        self.buffer.clear();
        self.lines = 0;
        for line in rest.split_inclusive(|&byte| byte == b'\n') {
            if !line.starts_with(OPEN) && !line.starts_with(TUNNEL_OPEN) {
                self.buffer.extend_from_slice(line);
                self.lines += 1;
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut pending = self.pending();
        self.write(&mut pending);
        // The first write may have left word of lost lines.
        self.write(&mut pending);
        if pending.lines > 0 {
            tracing::error!(lines = pending.lines, "audit lines are lost: their spool can't be written");
        }
        drop(pending);
        self.linger.notify_one();
    }
}

/// A batch on its way to the disk: told an error if its runtime ends before.
struct Promise(Arc<Batch>);

impl Drop for Promise {
    fn drop(&mut self) {
        self.0.finish(Err(Error::Stopped));
    }
}

/// Writes lines that no opening line took along.
async fn write_lingering(writer: Weak<Writer>, linger: Arc<Notify>, delay: Duration) {
    loop {
        linger.notified().await;
        tokio::time::sleep(delay).await;
        let Some(writer) = writer.upgrade() else { return };
        let mut pending = writer.pending();
        pending.armed = false;
        writer.write(&mut pending);
    }
}
