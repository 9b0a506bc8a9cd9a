//! What a process that holds secrets does before anything else.

use tracing_subscriber::EnvFilter;

use super::terminal::Terminal;

/// What the process itself says goes to stderr; `NEXUS_LOG` chooses how much, else `default` does.
pub(super) fn start_log(terminal: &Terminal, default: &str) {
    let filter = EnvFilter::try_from_env("NEXUS_LOG").unwrap_or_else(|_unset| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started =
        if terminal.json { builder.json().try_init() } else { builder.with_ansi(terminal.coloured_talk()).try_init() };
    if started.is_err() {
        terminal.warn("the log could not be started twice");
    }
}

/// No core dump gets at what passes through a command (I1).
pub(super) fn leave_no_core(terminal: &Terminal) {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    if rustix::process::setrlimit(rustix::process::Resource::Core, none).is_err() {
        terminal.warn("core dumps could not be switched off");
    }
}

/// No debugger, nor any other process of this user, gets at the keys (I1).
pub(super) fn harden(terminal: &Terminal) {
    #[cfg(target_os = "linux")]
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).is_err() {
        terminal.warn("other processes of this user can read the proxy's memory");
    }
}
