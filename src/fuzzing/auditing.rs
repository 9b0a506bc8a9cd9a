//! A door to the log: what a worker spends on the two lines of a request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Version;

use crate::audit::{Error, Fsync, Kind, Log, Settings, Spool, Verdict};
use crate::model::Target;

/// A log as it is shipped, without disk syncs, and a worker that writes to it.
#[derive(Debug)]
pub struct Auditing {
    runtime: tokio::runtime::Runtime,
    spool: Spool,
    /// Chains as long as this lives.
    _log: Arc<Log>,
}

impl Auditing {
    /// Writes to a folder `audit` in `folder`.
    ///
    /// # Errors
    /// Where the folder can't be written to, or no runtime can be built.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        let settings =
            Settings { fsync: Fsync::Never, poll: Duration::from_secs(1), ..Settings::shipped(folder.join("audit")) };
        let log = Log::start(settings)?;
        let build = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = build.map_err(|_none| Error::NoRuntime)?;
        let entered = runtime.enter();
        let spool = log.spool()?;
        drop(entered);
        Ok(Self { runtime, spool, _log: log })
    }

    /// Writes the opening line of a request to `target`, one `write(2)`, and hands in the closing one.
    ///
    /// # Errors
    /// What the write said.
    pub fn request(&self, target: &Target) -> Result<(), Error> {
        let mut entry = self.spool.begin(Kind::Request);
        entry.http(Version::HTTP_11);
        entry.target(target);
        entry.verdict(Verdict::Inject);
        self.runtime.block_on(entry.open())?;
        entry.status(200);
        Ok(())
    }
}
