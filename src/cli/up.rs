//! `nexus up`: the proxy in the foreground. SIGHUP reloads, SIGTERM and SIGINT drain.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use nexus::app::{App, BuildError, Config, Origin, Planes, Running, Setup, warm_up, write_bundle};
use nexus::seal::DataKey;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::arguments::Up;
use super::conceal;
use super::context::{Context, Hint};
use super::flood::Flood;
use super::node;
use super::process::{harden, start_log, take_open_files};
use super::terminal::{Terminal, WEAK_SECRET};
use super::{gateway, surroundings};

/// How often lines are told of that the log left out.
const REPORT: Duration = Duration::from_secs(60);

/// What the process needs before anything comes to it.
fn prepare(terminal: &Terminal) {
    harden(terminal);
    take_open_files(terminal);
    warm_up();
}

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Up) -> anyhow::Result<()> {
    context.require_home()?;
    let flood = start_log(terminal, "nexus=info");
    conceal::secret(context, terminal);
    prepare(terminal);
    let (overrides, unknown) = Context::overrides();
    for name in unknown {
        terminal.warn(&format!("{name} is not a variable of Nexus; keys of nexus.toml are set by NEXUS__SECTION__KEY"));
    }
    let (passphrase, origin) = context.passphrase()?;
    if origin == Origin::Machine {
        terminal.warn(WEAK_SECRET);
    }
    let read = context.home.config_text()?;
    let config = configured(context, &overrides)?;
    let key = context.key()?;
    certificates(context, terminal, &key)?;
    let weak_secret = origin == Origin::Machine;
    let planes = if options.gateway_only { Planes::Gateway } else { Planes::Both };
    let node = if options.gateway_only { None } else { node::lender(context, &config)? };
    let setup = Setup { home: context.home.clone(), config, passphrase, weak_secret, agents: Vec::new(), planes };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = runtime.block_on(async { Signals::listen() })?;
    let app = node::lent(App::with_key(setup, overrides, &key)?, node.as_ref(), terminal)?;
    let running = app.start().map_err(|error| in_use(context, error))?;
    // Files are watched since the start; the configuration was read before.
    if !context.home.config_text().is_ok_and(|text| text == read) {
        running.reload();
    }
    if !options.gateway_only {
        runtime.block_on(tell_of_another(context, terminal))?;
    }
    announce(context, terminal, options, &running)?;
    runtime.block_on(signals.until_told(&running, &flood));
    terminal.say("nexus: draining");
    context.home.unannounce();
    context.home.unannounce_gateway();
    running.stop();
    flood.report();
    Ok(())
}

/// What callers trust, as it is to be from now on.
fn certificates(context: &Context, terminal: &Terminal, key: &DataKey) -> anyhow::Result<()> {
    super::ca::finish_if_due(context, terminal, key)?;
    if !context.home.bundle().exists() {
        // Callers are given it at http://nexus.internal/ca-bundle.pem.
        write_bundle(&context.home)?;
    }
    Ok(())
}

/// The configuration, with the address that people go back to by default.
fn configured(context: &Context, overrides: &[(String, String)]) -> anyhow::Result<Config> {
    let mut config = context.home.config(overrides)?;
    config.gateway.return_urls.splice(0..0, gateway::return_url(context)?);
    Ok(config)
}

/// Says where it listens, and writes it down for other commands.
fn announce(context: &Context, terminal: &Terminal, options: &Up, running: &Running) -> anyhow::Result<()> {
    let mut lines = String::new();
    let gateway = running.gateway();
    if let Some(gateway) = &gateway {
        context.home.announce_gateway(gateway)?;
    }
    if !running.addresses().is_empty() {
        context.home.announce(running.addresses(), running.in_force())?;
        terminal.say(&format!("nexus: the proxy listens on {}", joined(running.addresses())));
        lines = format!("listening {}\n", joined(running.addresses()).replace(", ", " "));
    }
    if let Some(gateway) = gateway {
        let (scheme, address) = (if gateway.tls { "https" } else { "http" }, gateway.address);
        terminal.say(&format!("nexus: the gateway listens on {scheme}://{address}"));
        lines.push_str(&format!("gateway {address}\n"));
    }
    if options.announce {
        terminal.data(&lines)?;
    }
    Ok(())
}

/// One that answers: what a killed proxy wrote down may outlive it, as long as its process is not reaped or its number is used again.
async fn tell_of_another(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    if let Some(other) = surroundings::running(context).await? {
        let (process, place) = (other.announced.process, joined(&other.announced.addresses));
        terminal.warn(&format!("another proxy of this home is up on {place} (process {process}); `nexus run` uses that one"));
    }
    Ok(())
}

fn joined(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An address that is taken: by a proxy of this home, or by something that only another address goes around.
fn in_use(context: &Context, error: BuildError) -> anyhow::Error {
    if let BuildError::Gateway { address, cause } = &error
        && cause.kind() == std::io::ErrorKind::AddrInUse
    {
        let message = format!(
            "the gateway cannot listen on {address}: something listens there; set gateway.listen in nexus.toml, \
             gateway.enabled = false, or the variable"
        );
        return Hint::new(message, "NEXUS__GATEWAY__LISTEN=127.0.0.1:8190 nexus up").into();
    }
    let BuildError::Listen { address, cause } = &error else { return error.into() };
    if cause.kind() != std::io::ErrorKind::AddrInUse {
        return error.into();
    }
    let others = context.home.announced().unwrap_or_default();
    match others.iter().find(|other| other.addresses.contains(address)) {
        Some(other) => Hint::new(
            format!("cannot listen on {address}: the proxy of this home listens there already (process {})", other.process),
            "nexus status",
        ),
        None => Hint::new(
            format!(
                "cannot listen on {address}: another program listens there; set proxy.listen in nexus.toml, or the variable"
            ),
            "NEXUS__PROXY__LISTEN='[\"127.0.0.1:8191\"]' nexus up",
        ),
    }
    .into()
}

/// The signals we heed. Listened for before anybody can know that we are up, so that none ends us without a drain.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; SIGHUP reloads meanwhile, and what the log left out is told of.
    async fn until_told(mut self, running: &Running, flood: &Flood) {
        let mut reports = tokio::time::interval(REPORT);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => running.reload(),
                _ = reports.tick() => flood.report(),
            }
        }
    }
}
