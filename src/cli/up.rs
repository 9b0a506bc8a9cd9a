//! `nexus up`: the proxy in the foreground. SIGHUP reloads, SIGTERM and SIGINT drain.

use anyhow::Context as _;
use nexus::app::{App, Origin, Setup};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::arguments::Up;
use super::context::Context;
use super::terminal::Terminal;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Up) -> anyhow::Result<()> {
    context.require_home()?;
    start_log(terminal);
    if let Err(error) = super::conceal::secret() {
        terminal
            .warn(&format!("NEXUS_SECRET stays readable in the process's environment ({error}); NEXUS_SECRET_FILE does not"));
    }
    let (overrides, unknown) = Context::overrides();
    for name in unknown {
        terminal.warn(&format!("{name} is not a variable of Nexus; keys of nexus.toml are set by NEXUS__SECTION__KEY"));
    }
    let (passphrase, origin) = context.passphrase()?;
    // After the secret has been read: a process that hides its memory can't open its own descriptors by name.
    harden(terminal);
    if origin == Origin::Machine {
        terminal
            .warn("NEXUS_SECRET is not set: the vault is sealed with this machine's hardware address, which is easy to guess");
    }
    let config = context.home.config(&overrides)?;
    let weak_secret = origin == Origin::Machine;
    let setup = Setup { home: context.home.clone(), config, passphrase, weak_secret, agents: Vec::new() };
    let running = App::with_overrides(setup, overrides)?.start()?;
    let addresses: Vec<String> = running.addresses().iter().map(ToString::to_string).collect();
    context.home.announce(running.addresses())?;
    terminal.say(&format!("nexus: the proxy listens on {}", addresses.join(", ")));
    if options.announce {
        terminal.data(&format!("listening {}\n", addresses.join(" ")))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(until_told(&running))?;
    terminal.say("nexus: draining");
    context.home.unannounce();
    running.stop();
    Ok(())
}

/// Waits for SIGTERM or SIGINT; SIGHUP reloads meanwhile.
async fn until_told(running: &nexus::app::Running) -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut term, mut int, mut hup) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?, listen(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = hup.recv() => running.reload(),
        }
    }
}

/// What the process itself says goes to stderr; `NEXUS_LOG` chooses how much.
fn start_log(terminal: &Terminal) {
    let filter = EnvFilter::try_from_env("NEXUS_LOG").unwrap_or_else(|_unset| EnvFilter::new("nexus=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = if terminal.json { builder.json().try_init() } else { builder.try_init() };
    if started.is_err() {
        terminal.warn("the log could not be started twice");
    }
}

/// No core dump and no debugger gets at the keys (I1).
fn harden(terminal: &Terminal) {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    if rustix::process::setrlimit(rustix::process::Resource::Core, none).is_err() {
        terminal.warn("core dumps could not be switched off");
    }
    #[cfg(target_os = "linux")]
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).is_err() {
        terminal.warn("other processes of this user can read the proxy's memory");
    }
}
