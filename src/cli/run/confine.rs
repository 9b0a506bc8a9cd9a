//! Shuts the command, not the proxy, out of Nexus's home.
//!
//! Landlock says what is allowed, for whole subtrees, and has no "all but this": to leave out `~/.nexus` one must allow
//! every entry beside it one by one, and what is made in `~` later is then denied, such as `~/.gitconfig.lock` or the draft
//! beside `~/.claude.json`. A private mount namespace can leave out one folder exactly: an empty one is mounted over it. But
//! on its own it doesn't hold: `/proc/PID/root` of any other process of the same user still shows the real one. Landlock
//! stops just that (a process inside a domain can't trace one outside), and forbids to mount and unmount. So:
//!
//! 1. *namespace*: where user namespaces are allowed (or we are root), a private mount namespace with a read-only folder over
//!    the home, and a Landlock domain that allows all files and locks both ways around it;
//! 2. *landlock*: where they are not (containers, Ubuntu 24.04), every entry beside the home and beside its parents is allowed,
//!    as found at the start; new entries right in those few folders can't be made. The person is told;
//! 3. nothing, with a warning, where the kernel has no Landlock (before 5.13, or switched off) and on macOS.
//!
//! A namespace can only be entered by a process of one thread, so we start ourselves once more, and that process shuts itself
//! out and then becomes the command. A first such process, without a command, finds out which way is open.
//!
//! What it does not cover: another process of the same user that acts on the command's behalf (`systemd-run --user`, a
//! container engine, a terminal multiplexer, cron); files given to the command as open descriptors; hard links to files of
//! the home elsewhere; a root that reads the disk's own device (its other ways around are taken from it, see `powers.rs`). The
//! command can't gain rights (`sudo` and other setuid programs don't
//! work), nor mount or make sandboxes that mount. In a namespace, files of other users than ours seem to belong to `nobody`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::process::Command;

/// How the command is to be shut out of the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Confine {
    /// The best way there is.
    Auto,
    /// Landlock alone, without namespaces.
    Landlock,
    /// Not at all.
    Off,
}

/// A way that works here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Namespace,
    Landlock,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Landlock => "landlock",
        }
    }

    fn from_name(name: &OsStr) -> Option<Self> {
        [Self::Namespace, Self::Landlock].into_iter().find(|way| name == way.name())
    }
}

/// What was chosen.
#[derive(Debug)]
pub(super) enum Confinement {
    /// By one of our ways.
    By { way: &'static str, asked_for: bool },
    /// Not at all, for this reason; none when that was asked for.
    None { reason: Option<String> },
}

/// The first argument of the process that shuts itself out. No one types it.
const MARK: &str = "__confined";
/// Exit code of that process where it can't; shells, `env` and `timeout` use it for their own failures.
const FAILED: u8 = 125;
/// The running program, even if its file was replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";

/// Finds a way by trying it.
pub(super) fn choose(wanted: Confine, home: &Path) -> Confinement {
    let ways: &[Way] = match wanted {
        Confine::Off => return Confinement::None { reason: None },
        Confine::Auto => &[Way::Namespace, Way::Landlock],
        Confine::Landlock => &[Way::Landlock],
    };
    if cfg!(not(target_os = "linux")) {
        return Confinement::None { reason: Some("only Linux can do that".into()) };
    }
    let mut reason = None;
    for way in ways {
        match attempt(*way, home) {
            Ok(()) => return Confinement::By { way: way.name(), asked_for: ways.first() == Some(way) },
            Err(error) => reason = Some(error),
        }
    }
    Confinement::None { reason }
}

fn attempt(way: Way, home: &Path) -> Result<(), String> {
    let mut process = std::process::Command::new(OURSELVES);
    let output = process.args([OsStr::new(MARK), OsStr::new(way.name()), home.as_os_str()]).env_clear().output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("nexus: error: ").to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Confinement {
    /// What the person should know.
    pub(super) fn warning(&self) -> Option<String> {
        match self {
            Self::By { asked_for: false, .. } => Some(
                "warning: no user namespaces here, so the command can't make files right beside NEXUS_HOME or its parent folders"
                    .to_owned(),
            ),
            Self::None { reason: Some(reason) } => {
                Some(format!("warning: the command can read NEXUS_HOME, because it can't be shut out here: {reason}"))
            }
            Self::By { .. } | Self::None { reason: None } => None,
        }
    }

    /// The process that becomes `command`.
    pub(super) fn command(&self, home: &Path, command: &OsStr) -> anyhow::Result<Command> {
        let Self::By { way, .. } = self else { return Ok(Command::new(command)) };
        let home = home.canonicalize().with_context(|| format!("cannot find {}", home.display()))?;
        let mut process = Command::new(OURSELVES);
        process.arg0("nexus").arg(MARK).arg(way).arg(home).arg(command);
        Ok(process)
    }
}

/// To be called first in `main`, before any thread starts: if this is the process that shuts itself out, does so and becomes
/// the command. Answers nothing where this is an ordinary start.
pub(crate) fn confined_entry() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != MARK {
        return None;
    }
    let (way, home) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let result = shut_out(&way, Path::new(&home));
    Some(match (result, args.next()) {
        (Err(error), _) => fail(&format!("error: {error:#}"), FAILED),
        (Ok(()), None) => ExitCode::SUCCESS,
        (Ok(()), Some(command)) => become_command(&command, args),
    })
}

#[cfg(target_os = "linux")]
fn shut_out(way: &OsStr, home: &Path) -> anyhow::Result<()> {
    let home = home.canonicalize().with_context(|| format!("cannot find {}", home.display()))?;
    match Way::from_name(way).context("this is an internal command of `nexus run`")? {
        Way::Namespace => super::namespace::hide(&home)?,
        Way::Landlock => super::landlock::shut_out(&home)?,
    }
    super::powers::give_up().context("cannot give up root's capabilities")?;
    prove(&home)
}

#[cfg(not(target_os = "linux"))]
fn shut_out(_: &OsStr, _: &Path) -> anyhow::Result<()> {
    anyhow::bail!("only Linux can do that")
}

/// Files of the home that must be out of reach now, and those that must not.
const SEALED: [&str; 5] = [".env", "nexus.enc", ".salt", "ca.key.enc", "audit.key.enc"];
const SHOWN: [&str; 1] = ["ca-bundle.pem"];

/// Looks whether it holds, rather than to believe it.
fn prove(home: &Path) -> anyhow::Result<()> {
    for name in SEALED {
        anyhow::ensure!(std::fs::File::open(home.join(name)).is_err(), "the kernel still lets {name} be read");
    }
    for name in SHOWN {
        std::fs::File::open(home.join(name)).with_context(|| format!("{name} can't be read any more"))?;
    }
    Ok(())
}

fn become_command(command: &OsStr, args: impl Iterator<Item = OsString>) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    let error = std::process::Command::new(command).args(args).exec();
    fail(&cannot_run(command, &error), super::exit_code(&error))
}

/// What to say about a command that does not start.
pub(super) fn cannot_run(command: &OsStr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("error: there is no command {}", command.to_string_lossy()),
        _ => format!("error: cannot run {}: {error}", command.to_string_lossy()),
    }
}

fn fail(text: &str, code: u8) -> ExitCode {
    use io::Write as _;
    // Without a standard error the exit code says it all.
    writeln!(io::stderr(), "nexus: {text}").ok();
    ExitCode::from(code)
}
