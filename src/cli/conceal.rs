//! `NEXUS_SECRET` out of `/proc/PID/environ`, which shows for as long as a process lives what it was started with (I1).

use std::ffi::OsString;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;

use rustix::io::FdFlags;

/// The variable whose text must not stay.
const SECRET: &str = "NEXUS_SECRET";
/// Names the descriptor from which the process that takes our place reads it, once.
const DESCRIPTOR: &str = "NEXUS_SECRET_FD";

/// Starts this program anew in this process, with the secret in a pipe instead of the environment. Returns only if there is nothing to
/// hide, or if that failed: then the secret stays where it is and the reason is given.
pub(super) fn secret() -> std::io::Result<()> {
    let Some(text) = std::env::var_os(SECRET).filter(|text| !text.is_empty()) else { return Ok(()) };
    let (read, write) = rustix::pipe::pipe()?;
    fill(write, &text)?;
    rustix::io::fcntl_setfd(&read, FdFlags::empty())?;
    let mut again = std::process::Command::new(std::env::current_exe()?);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments).env_remove(SECRET).env(DESCRIPTOR, read.as_raw_fd().to_string());
    Err(again.exec())
}

/// A pipe takes at least 4 KiB without a reader; a longer secret is refused instead of waited for.
fn fill(write: std::os::fd::OwnedFd, text: &OsString) -> std::io::Result<()> {
    use std::io::Write as _;
    if text.len() > 4096 {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    std::fs::File::from(write).write_all(text.as_encoded_bytes())
}
