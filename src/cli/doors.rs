//! `nexus run`: a door for one command, through the proxy that is up or a private one, with an agent made for it.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use nexus::agent::{Registered, Token};
use nexus::app::{self, App, Origin, Planes, Running, Setup, init, warm_up};
use nexus::model::AgentName;
use nexus::vault::Store;

use super::arguments;
use super::conceal;
use super::context::{Context, Hint};
use super::init::{EXAMPLE, host_name};
use super::node;
use super::process::{harden, start_log};
use super::run::{self, Door, Job};
use super::surroundings::{self, UNLOGGED, Who};
use super::terminal::{Terminal, WEAK_SECRET};

/// If we are killed, the next proxy or command takes the agent back; without one it ends by itself.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A private proxy has one caller, which is gone by then.
const DRAIN: (&str, &str) = ("NEXUS__LIMITS__DRAIN_SECS", "2");

pub(super) fn run(context: &Context, terminal: &Terminal, options: arguments::Run) -> anyhow::Result<ExitCode> {
    let flood = start_log(terminal, "nexus=warn");
    conceal::secret(context, terminal);
    harden(terminal);
    warm_up();
    make_home(context, terminal)?;
    let agent = Passing::new(options.user.as_deref())?;
    let catalogue = context.catalogue(terminal);
    let credentials =
        catalogue.iter().flat_map(|provider| provider.placeholders.iter().map(|known| known.variable.clone())).collect();
    let key = context.key()?;
    let existing = node::connections(context, terminal, &Store::with_key(context.home.vault(), key.duplicate()))?;
    let who = Who { name: &agent.row.name, limits: Some(&agent.row) };
    let placeholders = surroundings::placeholders(&catalogue, &existing, &key, &who, &context.home.helpers());
    let inherited = Context::variable;
    let mut command = options.command.into_iter();
    let job = Job {
        inputs: surroundings::inputs(context, &context.config()?, placeholders, &inherited)?,
        home: context.home.path().to_owned(),
        command: command.next().unwrap_or_default(),
        args: command.collect(),
        clean: options.clean,
        keep: options.keep,
        credentials,
        confine: options.confine,
        warn: &|text| speak(terminal, text),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(run::run(job, async || open_bound(context, terminal, &agent).await))?;
    flood.report();
    Ok(ExitCode::from(code))
}

fn speak(terminal: &Terminal, text: &str) {
    match (text.strip_prefix("warning: "), text.strip_prefix("error: ")) {
        (Some(text), _) => terminal.warn(text),
        (_, Some(text)) => terminal.error(text),
        _ => terminal.say(&format!("nexus: {text}")),
    }
}

/// The first `nexus run` of a machine needs no `nexus init`.
fn make_home(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    if context.home.is_ready() {
        return Ok(());
    }
    let made = init(&context.home, &|name| context.variable_or_secret(name), EXAMPLE, &host_name())?;
    terminal.say(&format!("nexus: made {} (CA SHA-256 {})", context.home.path().display(), made.fingerprint));
    terminal.hint(
        "nothing is registered yet, so requests go out as the command sends them; `nexus register github` adds a credential",
    );
    Ok(())
}

/// An agent that exists as long as the command.
pub(super) struct Passing {
    row: Registered,
    token: Token,
}

impl Passing {
    pub(super) fn new(user: Option<&str>) -> anyhow::Result<Self> {
        let token = Token::random().context("the system gives no random numbers")?;
        let now = SystemTime::now();
        let number = getrandom::u32().context("the system gives no random numbers")?;
        let name = AgentName::of_command("run", number)?;
        let row = Registered {
            user: user.map(str::parse).transpose()?,
            expires: Some(now + LIFE),
            created: Some(now),
            ephemeral: true,
            ..Registered::unlimited(name, &token)
        };
        Ok(Self { row, token })
    }

    /// The path by which the proxy's base-URL door sends a request of it to `url`, which is https.
    pub(super) fn path_to(&self, url: &str) -> Option<http::Uri> {
        let rest = url.strip_prefix("https://")?;
        format!("/~{}/{rest}", self.token.text().expose()).parse().ok()
    }

    /// What the command shows the proxy.
    fn shown(&self) -> Option<(String, String)> {
        Some((self.row.name.to_string(), self.token.text().expose().clone()))
    }
}

/// What ends with the command.
pub(super) enum Guard {
    /// The agent's row in `passing.toml`.
    Added { _agent: app::Passing },
    /// A proxy of its own.
    Private(Option<Running>),
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Self::Private(running) = self
            && let Some(running) = running.take()
        {
            running.stop();
        }
    }
}

/// For a command that may leave out its token.
async fn open_bound(context: &Context, terminal: &Terminal, agent: &Passing) -> anyhow::Result<Door<Guard>> {
    if agent.row.user.is_some() && surroundings::running(context).await?.is_some() {
        binding(context)?;
    }
    open(context, terminal, agent).await
}

/// The proxy that is up, if it takes the agent, else a private one.
pub(super) async fn open(context: &Context, terminal: &Terminal, agent: &Passing) -> anyhow::Result<Door<Guard>> {
    if let Some(reached) = surroundings::running(context).await? {
        if reached.unlogged {
            terminal.warn(&format!("the proxy that is up {UNLOGGED}"));
            terminal.hint("nexus status");
        }
        let proxy = reached.announced.addresses.first().map(|address| surroundings::reachable(*address)).unwrap_or_default();
        let guard = Guard::Added { _agent: app::Passing::add(&context.home, &agent.row)? };
        if run::knows(&proxy, agent.token.text()).await {
            return Ok(Door { proxy, java_proxy: None, agent: agent.shown(), guard });
        }
        terminal.warn("the proxy that is up has not taken the agent of this command; a private proxy is started");
    }
    private(context, terminal, agent)
}

/// `--user` binds only where a caller without a token is nobody.
fn binding(context: &Context) -> anyhow::Result<()> {
    if context.home.lasting()?.is_some_and(|agents| !agents.is_empty()) {
        return Ok(());
    }
    anyhow::bail!(Hint::new(
        "--user would not bind the command: the proxy that is up serves whoever shows no token with every user's connections",
        "nexus agent add NAME"
    ))
}

/// A proxy in this process, on a port of its own, and on another one for clients that can't show a token (Java).
fn private(context: &Context, terminal: &Terminal, agent: &Passing) -> anyhow::Result<Door<Guard>> {
    let (mut overrides, _unknown) = Context::overrides();
    let bound = format!("{{ \"{}\" = \"127.0.0.1:0\" }}", agent.row.name);
    let own = [("NEXUS__PROXY__LISTEN", "[\"127.0.0.1:0\"]"), ("NEXUS__PROXY__AGENT_LISTEN", bound.as_str()), DRAIN];
    overrides.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let (passphrase, origin) = context.passphrase()?;
    let weak_secret = origin == Origin::Machine;
    if weak_secret {
        terminal.warn(WEAK_SECRET);
    }
    let config = context.home.config(&overrides)?;
    let node = node::lender(context, &config)?;
    let setup = Setup {
        home: context.home.clone(),
        config,
        passphrase,
        weak_secret,
        agents: vec![agent.row.clone()],
        planes: Planes::Proxy,
    };
    let app = node::lent(App::with_key(setup, overrides, &context.key()?)?, node.as_ref(), terminal)?;
    let running = app.start()?;
    let mut addresses = running.addresses().iter().map(ToString::to_string);
    let (proxy, java_proxy) = (addresses.next().unwrap_or_default(), addresses.next());
    Ok(Door { proxy, java_proxy, agent: agent.shown(), guard: Guard::Private(Some(running)) })
}
