//! `nexus run -- CMD`: one command with the environment of the proxy, without credentials, shut out of Nexus's home.
//!
//! The command keeps the terminal and stays in our process group. Its exit code is ours: 128 + n when signal n ended it,
//! 127 when there is no such command, 126 when it can't be run, 125 when it could not be shut out of the home.

mod confine;
mod knock;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod powers;
mod scrub;
mod signals;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::Context as _;
use tokio::process::{Child, Command};

use crate::cli::env::{Inputs, variables, write_helpers};

pub(crate) use confine::{Confine, confined_entry};
pub(crate) use knock::{Knocked, knock, knows};

/// What to run, and how.
pub(crate) struct Job<'a> {
    /// The environment; `proxy` and `agent` are replaced by what the door says.
    pub(crate) inputs: Inputs<'a>,
    /// `$NEXUS_HOME`, of which the command sees only `ca.pem`, `ca-bundle.pem` and `env/`.
    pub(crate) home: PathBuf,
    /// The program, found by `PATH`.
    pub(crate) command: OsString,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// Start from `PATH`, `HOME`, `TERM`, `LANG`, `USER`, `SHELL` and `TMPDIR` only.
    pub(crate) clean: bool,
    /// Variables that are passed on whatever else is said.
    pub(crate) keep: Vec<String>,
    /// Variables of the catalogue that hold a credential elsewhere: removed even where no placeholder replaces them.
    pub(crate) credentials: Vec<String>,
    /// How the command is shut out of the home.
    pub(crate) confine: Confine,
    /// Says one line to the person.
    pub(crate) warn: &'a dyn Fn(&str),
}

/// A proxy to run the command with: the one that is up, or a private one that lives as long as the guard.
pub(crate) struct Door<G> {
    /// `host:port`.
    pub(crate) proxy: String,
    /// As [`Inputs::java_proxy`].
    pub(crate) java_proxy: Option<String>,
    /// Name and token of an agent made for this command.
    pub(crate) agent: Option<(String, String)>,
    /// Dropped when the command has ended: stops a private proxy, revokes the agent.
    pub(crate) guard: G,
}

/// Runs the command and answers its exit code. `open` finds a proxy or starts a private one.
///
/// # Errors
/// When there is no proxy, the helper files can't be written, or what is to be kept is not for commands. What is wrong with the command itself is an exit code.
pub(crate) async fn run<G>(mut job: Job<'_>, open: impl AsyncFnOnce() -> anyhow::Result<Door<G>>) -> anyhow::Result<u8> {
    scrub::may_keep(&job.keep)?;
    let door = open().await?;
    job.inputs.proxy = door.proxy;
    job.inputs.java_proxy = door.java_proxy;
    job.inputs.agent = door.agent;
    write_helpers(&job.inputs)?;
    if job.clean {
        job.inputs.inherited = &|_| None;
    }
    let mut signals = signals::Signals::listen().context("cannot listen for signals")?;
    let code = match command(&job)?.spawn() {
        Ok(child) => wait(child, &mut signals).await?,
        Err(error) => cannot_run(&job, &error),
    };
    drop(door.guard);
    Ok(code)
}

fn command(job: &Job<'_>) -> anyhow::Result<Command> {
    let confinement = confine::choose(job.confine, &job.home);
    if let Some(warning) = confinement.warning() {
        (job.warn)(&warning);
    }
    let mut command = confinement.command(&job.home, &job.command)?;
    command.args(&job.args).env_clear().envs(scrub::passed_on(std::env::vars_os(), job)).envs(variables(&job.inputs));
    for name in &job.keep {
        // A placeholder must not replace what the person asked to keep.
        if let Some(value) = std::env::var_os(name).filter(|_| job.inputs.placeholders.iter().any(|(known, _)| known == name)) {
            command.env(name, value);
        }
    }
    Ok(command)
}

async fn wait(mut child: Child, signals: &mut signals::Signals) -> anyhow::Result<u8> {
    loop {
        tokio::select! {
            status = child.wait() => return Ok(code(status.context("cannot wait for the command")?)),
            // The id is gone once the child is reaped, so that a signal can't reach a stranger that has its number.
            signal = signals.next() => if let Some(id) = child.id() { signals::pass(signal, id) },
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let number = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(1)
}

fn cannot_run(job: &Job<'_>, error: &std::io::Error) -> u8 {
    (job.warn)(&confine::cannot_run(&job.command, error));
    exit_code(error)
}

/// As shells and `env` have it: 127 for what is not there, 126 for what can't be run.
fn exit_code(error: &std::io::Error) -> u8 {
    if error.kind() == ErrorKind::NotFound { 127 } else { 126 }
}

#[cfg(test)]
mod tests;
