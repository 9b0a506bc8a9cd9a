//! `Spool`: where one worker writes its lines.
//!
//! Opening lines of all requests that are ready in one turn of the runtime go with one `write(2)`, and none of those requests
//! gets its [`Opened`] before that write succeeded. Other lines wait for the next such write, a timer or a full buffer.

use std::sync::{Arc, Weak};
use std::task::Poll;

use tokio::runtime::Handle;

use super::batch::Batch;
use super::entry::Entry;
use super::error::Error;
use super::id::Id;
use super::line::Moment;
use super::log::Log;
use super::record::{Kind, Record};
use super::settings::OnFailure;
use super::spool_file::SpoolFile;
use super::writer::Writer;
use crate::telemetry::Recorder;

/// Proof that the opening line of a request is written: what forwarding asks for.
#[derive(Debug)]
pub(crate) struct Opened {
    id: Id,
}

impl Opened {
    /// The record's name.
    pub(crate) fn id(&self) -> Id {
        self.id
    }
}

/// One worker's end of the log; copies write to the same files.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    writer: Arc<Writer>,
    recorder: Arc<Recorder>,
}

impl Spool {
    /// A spool that writes to `file` on the runtime it is called in.
    ///
    /// # Errors
    /// [`Error::NoRuntime`] outside a runtime.
    pub(super) fn start(log: Arc<Log>, file: SpoolFile, random: u64) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|_outside: tokio::runtime::TryCurrentError| Error::NoRuntime)?;
        Ok(Self { writer: Writer::start(log, file, runtime, random), recorder: Arc::default() })
    }

    /// The same, with a recorder that counts what the log tells.
    pub(crate) fn counted_by(self, recorder: Arc<Recorder>) -> Self {
        Self { recorder, ..self }
    }

    /// A record that closes itself when it is dropped.
    pub(crate) fn begin(&self, kind: Kind) -> Entry {
        self.recorder.began(kind.into());
        Entry::new(self.clone(), self.record(kind))
    }

    /// An empty record with a name of its own.
    pub(crate) fn record(&self, kind: Kind) -> Record {
        self.writer.record(kind)
    }

    /// Writes the opening line, together with all that open in this turn of the runtime.
    ///
    /// Dropping the future doesn't take back the line.
    ///
    /// # Errors
    /// What the write said, for every request of the batch, where the settings say [`OnFailure::Refuse`].
    pub(crate) async fn open(&self, record: &mut Record) -> Result<Opened, Error> {
        let opened = Opened { id: record.id() };
        let Some((batch, first)) = self.writer.join(record) else { return Ok(opened) };
        if first {
            let turn = Turn { writer: &self.writer, batch: &batch };
            let_others_run().await;
            drop(turn);
        }
        match batch.wait().await {
            Err(error) if self.writer.settings().on_failure == OnFailure::Refuse => Err(error),
            Ok(()) | Err(_) => Ok(opened),
        }
    }

    /// Writes the last line of `record`, if it has one, and takes its memory; never waits. Of strangers' many refusals, it tells the number.
    pub(super) fn end(&self, moment: Option<Moment>, record: &mut Record) {
        let told = moment.filter(|moment| *moment != Moment::Refuse || self.writer.log().tells(record));
        self.writer.end(told, record);
    }

    /// Tells of the refusals that had no lines of their own.
    pub(crate) fn tell_strangers(&self) {
        self.writer.log().tell_strangers();
    }

    /// Writes what waits, now.
    #[cfg(test)]
    pub(crate) fn flush(&self) {
        self.writer.flush();
    }

    /// What it has done so far.
    #[cfg(test)]
    pub(crate) fn counters(&self) -> super::writer::Counters {
        self.writer.counters()
    }

    /// Whoever writes its lines.
    pub(super) fn writer(&self) -> Weak<Writer> {
        Arc::downgrade(&self.writer)
    }

    /// Who counts what the log tells.
    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

/// Writes its batch when dropped, so that a caller who leaves in between keeps nobody waiting.
struct Turn<'a> {
    writer: &'a Writer,
    batch: &'a Arc<Batch>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.writer.flush_batch(self.batch);
    }
}

/// Lets every task that is ready now run before this one goes on.
async fn let_others_run() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
