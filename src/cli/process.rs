//! What a process that holds secrets does before anything else.

use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::flood::{Flood, Gate};
use super::terminal::Terminal;

/// What the process itself says goes to stderr; `NEXUS_LOG` chooses how much, else `default` does. What floods it is counted by the
/// answer.
pub(super) fn start_log(terminal: &Terminal, default: &str) -> Arc<Flood> {
    // A variable that is set to nothing is not set, as everywhere; an empty filter would silence errors.
    let asked = std::env::var("NEXUS_LOG").ok().filter(|text| !text.trim().is_empty());
    let filter = asked.map(EnvFilter::try_new).transpose().unwrap_or_else(|error| {
        terminal.warn(&format!("NEXUS_LOG is not a filter such as info or nexus=debug ({error}); it is left out"));
        None
    });
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    let flood = Arc::<Flood>::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = if terminal.json { lines.json().boxed() } else { lines.with_ansi(terminal.coloured_talk()).boxed() };
    let started = tracing_subscriber::registry().with(filter).with(Gate(Arc::clone(&flood))).with(lines).try_init();
    if started.is_err() {
        terminal.warn("the log could not be started twice");
    }
    flood
}

/// No core dump gets at what passes through a command (I1).
pub(super) fn leave_no_core(terminal: &Terminal) {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    if rustix::process::setrlimit(rustix::process::Resource::Core, none).is_err() {
        terminal.warn("core dumps could not be switched off");
    }
}

/// Files that are open besides the streams of callers and services.
const OWN_FILES: u64 = 256;
/// Below so many callers at once, each with a stream to its service, a person should know.
const FEW_CALLERS: u64 = 1000;
/// What macOS grants where it refuses the bound itself (`OPEN_MAX`).
const OPEN_MAX: u64 = 10_240;

/// Takes as many open files as this process may have: each caller is one, its request another, and a shell's usual 1,024 are few.
pub(super) fn take_open_files(terminal: &Terminal) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let take = |current| setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok();
    let fewer = current.is_some_and(|current| current < OPEN_MAX);
    let taken = take(maximum) || (fewer && take(Some(OPEN_MAX)));
    if !taken {
        tracing::debug!("the bound of open files stays as it was");
    }
    let callers = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |files| files.saturating_sub(OWN_FILES) / 2);
    if callers < FEW_CALLERS {
        terminal.warn(&format!(
            "open files are few enough that {callers} callers at once take them all; `ulimit -Hn` shows the bound"
        ));
    }
}

/// No debugger, nor any other process of this user, gets at the keys (I1).
pub(super) fn harden(terminal: &Terminal) {
    #[cfg(target_os = "linux")]
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).is_err() {
        terminal.warn("other processes of this user can read the proxy's memory");
    }
}
