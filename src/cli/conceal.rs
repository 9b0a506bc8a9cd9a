//! `NEXUS_SECRET` out of `/proc/PID/environ`, which shows for as long as a process lives what it was started with (I1).

use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;

use rustix::io::FdFlags;
use zeroize::Zeroizing;

use super::context::Context;
use super::terminal::Terminal;

/// The variables whose text is handed on, and those that name the descriptor from which the process that takes our place reads it, once.
const SECRETS: [(&str, &str); 2] = [("NEXUS_SECRET", "NEXUS_SECRET_FD"), ("NEXUS_GATEWAY_KEY", "NEXUS_GATEWAY_KEY_FD")];
/// What other commands read, and a process that lives long has no use for.
pub(super) const OTHERS: [&str; 6] = [
    "NEXUS_AGENT_TOKEN",
    "NEXUS_API_KEY",
    "NEXUS_CLIENT_SECRET",
    "NEXUS_PASSWORD",
    "NEXUS_ACCESS_TOKEN",
    "NEXUS_REFRESH_TOKEN",
];
/// Starts this program anew in this process, with the secret in a pipe instead of the environment. Returns only if there is nothing to
/// hide, or, with a warning, if that failed: then the secret stays where it is.
pub(super) fn secret(context: &Context, terminal: &Terminal) {
    if let Err(error) = begin_anew(context) {
        terminal
            .warn(&format!("NEXUS_SECRET stays readable in the process's environment ({error}); NEXUS_SECRET_FILE does not"));
    }
}

fn begin_anew(context: &Context) -> std::io::Result<()> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|text| !text.is_empty());
    let all = || SECRETS.iter().map(|(name, _)| *name).chain(OTHERS);
    if !all().any(set) {
        return Ok(());
    }
    let mut again = std::process::Command::new(std::env::current_exe()?);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments);
    for name in all() {
        again.env_remove(name);
    }
    // Open until the other takes over.
    let mut pipes = Vec::new();
    for (name, descriptor) in SECRETS {
        let text = context.variable_or_secret(name).filter(|text| !text.is_empty()).map(Zeroizing::new);
        let Some(text) = text else { continue };
        let (read, write) = rustix::pipe::pipe()?;
        fill(write, &text)?;
        rustix::io::fcntl_setfd(&read, FdFlags::empty())?;
        again.env(descriptor, read.as_raw_fd().to_string());
        pipes.push(read);
    }
    let failed = again.exec();
    drop(pipes);
    Err(failed)
}

/// A pipe takes at least 4 KiB without a reader; a longer secret is refused instead of waited for.
fn fill(write: std::os::fd::OwnedFd, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    if text.len() > 4096 {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    std::fs::File::from(write).write_all(text.as_bytes())
}
