//! `nexus login`: an account connected by a person's consent, in a browser or by a code that is typed on another device.

mod device;
mod loopback;
mod page;
mod redirect;
mod there;

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nexus::app::login::{self, Account, Error, Heard, Obtained, Ports, Revoked, Waiting, Wish, can_keep, keep};
use nexus::model::{ConnectionId, Credential, Secret, UserName};
use nexus::provider::Provider;
use nexus::vault::Store;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::arguments::Login;
use super::context::{Context, Hint, connection};
use super::process::{harden, start_log};
use super::terminal::Terminal;
use super::{browser, gateway, providers};
use loopback::{Arrival, Loopback};
use page::Page;
use redirect::Redirect;

/// Of the redirect URI, where none is named.
const PORT: u16 = 8093;
/// As shells have it for what an interrupt ended.
const INTERRUPTED: u8 = 130;
/// How long a browser may take to fetch the page that says how it ended.
const PARTING: Duration = Duration::from_secs(2);
/// Answers that are looked at at one time.
const ARRIVALS: usize = 8;

/// One log-in under way.
struct Session<'a> {
    terminal: &'a Terminal,
    store: Store,
    /// The gateway that keeps connections, where there is one.
    there: Option<gateway::There>,
    account: Account,
    ports: Ports,
    ends: Instant,
    /// The connection is written.
    stored: Cell<bool>,
}

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Login) -> anyhow::Result<ExitCode> {
    let id = connection(&options.provider, options.user.as_deref())?;
    context.require_home()?;
    let flood = start_log(terminal, "nexus=error");
    harden(terminal);
    let there = gateway::there(context, terminal)?;
    if let Some(code) = there.as_ref().and_then(|there| by_the_gateway((context, terminal), there, &id, options)) {
        flood.report();
        return code;
    }
    let catalogue = context.catalogue(terminal);
    providers::find(&catalogue, id.provider())?;
    let provider = Arc::clone(catalogue.get(id.provider()).context("the provider is gone")?);
    let redirect = Redirect::chosen(options.redirect_uri.as_deref(), options.port.unwrap_or(PORT))?;
    let store = context.store()?;
    let id = store.snapshot()?.meant(&id);
    context.warn_if_guessable(terminal)?;
    let account = account(terminal, (&store, &provider), &id, (options, &redirect))?;
    can_keep(&account, store.get(&id)?.as_deref()).context("nobody was asked")?;
    let patience = patience(options);
    let ports = login::ports(&context.home, &context.config()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        // From before anything is said: who reads it may answer with an interrupt.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for an interrupt")?;
        let (ends, stored) = (Instant::now() + patience, Cell::new(false));
        let session = Session { terminal, store, there, account, ports, ends, stored };
        let flow = async {
            match by_device(options, &provider) {
                true => session.by_device().await,
                false => session.by_code(redirect, !options.no_browser).await,
            }
        };
        tokio::select! {
            done = flow => done.map(|()| ExitCode::SUCCESS),
            _ = interrupt.recv() => Ok(session.interrupted()),
        }
    });
    // Whoever waits for a line of standard input is not waited for.
    runtime.shutdown_background();
    flood.report();
    code
}

/// What came of it where the gateway asks, by its own app; `None` where this machine does, by one that is named here.
fn by_the_gateway(
    ours: (&Context, &Terminal),
    there: &gateway::There,
    id: &ConnectionId,
    options: &Login,
) -> Option<anyhow::Result<ExitCode>> {
    match options.client_id {
        None => Some(there::run(ours, there, id, options)),
        Some(_) => before_asking(there, id).err().map(Err),
    }
}

/// Nobody is asked for what can't be stored where it is to go.
fn before_asking(there: &gateway::There, id: &ConnectionId) -> anyhow::Result<()> {
    let Some((why, keyless)) = there.cannot_store(id)? else { return Ok(()) };
    let user = id.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    let message = format!("the gateway {} would not store what this log-in gives: {why}; nobody was asked", there.url());
    // Without a key the gateway would not ask for what works there either.
    let command = match keyless {
        true => format!("NEXUS_GATEWAY_KEY=ADMIN_KEY nexus login {}{user} --client-id ID", id.provider()),
        false => format!("nexus login {}{user}", id.provider()),
    };
    Err(Hint::new(message, command).into())
}

/// How long a person is waited for.
fn patience(options: &Login) -> Duration {
    options.timeout.unwrap_or(Duration::from_secs(10 * 60))
}

/// A service without a page for browsers has one for codes.
fn by_device(options: &Login, provider: &Provider) -> bool {
    let only = |oauth2: &nexus::provider::OAuth2| oauth2.authorize_url.is_none() && oauth2.device_url.is_some();
    options.device || provider.oauth2.as_ref().is_some_and(only)
}

/// Whose consent is asked, by which client; what is missing is told with the command that brings it.
fn account(
    terminal: &Terminal,
    (store, provider): (&Store, &Arc<Provider>),
    id: &ConnectionId,
    (options, redirect): (&Login, &Redirect),
) -> anyhow::Result<Account> {
    let app = ConnectionId::new(id.provider().clone(), None);
    let (own, app) = (store.get(id)?, store.get(&app)?);
    let wish = Wish { connection: id.clone(), scopes: options.scopes.clone(), fields: fields(terminal, provider, options)? };
    let user = id.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    Account::new(Arc::clone(provider), wish, own.as_deref(), app.as_deref()).map_err(|error| match error {
        Error::NoClient { ref console, .. } => {
            let place = console.as_ref().map(|console| format!(" at {console}")).unwrap_or_default();
            let message = format!(
                "{error}: make an OAuth app{place}, with the redirect URI {}, and name it (its secret is asked for)",
                redirect.uri()
            );
            Hint::new(message, format!("nexus login {}{user} --client-id ID", provider.id)).into()
        }
        Error::NotSealed(_) => Hint::new(error.to_string(), format!("nexus providers trust {}", provider.id)).into(),
        Error::NoLogin(_) => Hint::new(error.to_string(), format!("nexus register {}{user}", provider.id)).into(),
        error => anyhow::Error::from(error),
    })
}

/// The client and the tenants that the command line and the environment name.
fn fields(terminal: &Terminal, provider: &Provider, options: &Login) -> anyhow::Result<Credential> {
    let mut fields = Credential::default();
    for field in &options.fields {
        let (name, value) = field.split_once('=').with_context(|| "--field takes NAME=VALUE".to_owned())?;
        anyhow::ensure!(!name.ends_with("token"), "{name} is what the log-in gives; it is not for you to set");
        known_field(provider, name)?;
        fields.set(name, Secret::new(value.to_owned()));
    }
    let Some(id) = &options.client_id else { return Ok(fields) };
    fields.set("client_id", Secret::new(id.clone()));
    if options.client_secret.is_some() {
        terminal.warn("client_secret came by the command line, where other processes and the shell's history see it; prefer the prompt or NEXUS_CLIENT_SECRET");
    }
    let given = options.client_secret.clone().or_else(|| Context::variable("NEXUS_CLIENT_SECRET"));
    let secret = match given {
        Some(secret) => secret,
        None if terminal.can_ask() => terminal.ask_secret("client secret (nothing, if the app has none)")?,
        None => String::new(),
    };
    if !secret.is_empty() {
        fields.set("client_secret", Secret::new(secret));
    }
    let odd = ["client_id", "client_secret"].iter().find(|name| fields.field(name).is_some_and(Secret::has_control));
    anyhow::ensure!(odd.is_none(), "{} holds a line end or another control character", odd.unwrap_or(&""));
    Ok(fields)
}

/// A log-in uses the fields that are part of an address, and no other: a slip of the finger would be stored and never be seen.
fn known_field(provider: &Provider, name: &str) -> anyhow::Result<()> {
    let of_log_in = provider.fields.iter().filter(|field| !field.secret && !field.file).map(|field| field.name.as_str());
    let known: Vec<&str> = of_log_in.collect();
    if known.contains(&name) {
        return Ok(());
    }
    let title = &provider.title;
    anyhow::ensure!(!known.is_empty(), "a log-in to {title} takes no --field; {name} would have no effect");
    anyhow::bail!("a log-in to {title} has no field {name}; it takes {}", known.join(", "))
}

impl Session<'_> {
    /// The authorization code flow: the answer comes to a port of this machine (RFC 8252 §7.3), or is pasted.
    async fn by_code(&self, mut redirect: Redirect, open: bool) -> anyhow::Result<()> {
        let loopback = Loopback::bind(&mut redirect).await?;
        let (url, waiting) = self.account.ask(redirect.uri())?;
        let (sender, arrivals) = mpsc::channel(ARRIVALS);
        let is_pasted = loopback.is_none();
        if self.terminal.can_ask() || is_pasted {
            loopback::pasted(sender.clone());
        }
        let server = loopback.map(|loopback| tokio::spawn(loopback.serve(sender)));
        let opened = open && browser::open(&url).await;
        self.show(&url, &redirect, (opened, is_pasted));
        let done = self.until_answered(waiting, arrivals).await;
        if let Some(server) = server {
            server.abort();
        }
        done
    }

    fn show(&self, url: &str, redirect: &Redirect, (opened, is_pasted): (bool, bool)) {
        let title = &self.account.provider().title;
        let whom = self.account.connection().user().map(|user| format!(" for {user}")).unwrap_or_default();
        let how = if opened { "The browser opens this page, where you" } else { "Open this page in a browser, and" };
        self.terminal.talk(&format!("{how} let Nexus use your account of {title}{whom}:\n\n  {url}\n\n"));
        let paste = "paste the address that the browser shows in the end here";
        match (is_pasted, self.terminal.can_ask()) {
            (true, _) => self.terminal.say(&format!("Then {paste}:")),
            (false, true) => self.terminal.say(&format!(
                "Nexus waits at {}. If the browser is on another machine, {paste}. Ctrl-C ends it.",
                redirect.uri()
            )),
            (false, false) => self.terminal.say(&format!("Nexus waits at {}", redirect.uri())),
        }
    }

    async fn until_answered(&self, mut waiting: Waiting, mut arrivals: mpsc::Receiver<Arrival>) -> anyhow::Result<()> {
        loop {
            let arrival = timeout_at(self.ends, arrivals.recv()).await;
            let late = "no account was connected: nobody consented in time (--timeout)";
            let arrival = arrival
                .map_err(|_elapsed| anyhow::anyhow!(late))?
                .context("no account was connected: standard input has ended")?;
            let Arrival { redirect, query, answer, sent } = arrival;
            match waiting.hear(&redirect, &query) {
                Heard::Strange(same, why) => {
                    waiting = same;
                    if sent.is_none() {
                        self.terminal.warn(&why);
                    }
                    // Who asked may have left.
                    drop(answer.send(Page::strange(&why)));
                }
                Heard::Answer(code) => {
                    let end = match code {
                        Ok(code) => self.account.redeem(code, &self.ports).await,
                        Err(error) => Err(error),
                    };
                    let end = match end {
                        Ok(obtained) => self.kept(&obtained).await.map(|()| obtained),
                        Err(error) => Err(error.into()),
                    };
                    drop(answer.send(Page::end(&self.account, &end)));
                    if let Some(sent) = sent {
                        // Gone or too slow: the terminal says the same.
                        drop(timeout(PARTING, sent).await);
                    }
                    return end.map(drop);
                }
            }
        }
    }

    /// The device flow.
    async fn by_device(&self) -> anyhow::Result<()> {
        let code = self.account.device(&self.ports).await.map_err(|error| match error {
            Error::NoDevice(_) => {
                Hint::new(error.to_string(), format!("nexus login {} --no-browser", self.account.connection())).into()
            }
            error => anyhow::Error::from(error),
        })?;
        device::show(self.terminal, &code);
        let ends = self.ends.min(Instant::now() + code.left());
        let typed = self.account.typed(code, &self.ports);
        let obtained = device::while_waiting(self.terminal, ends, timeout_at(self.ends, typed)).await;
        let late = "no account was connected: nobody entered the code in time (--timeout)";
        self.kept(&obtained.map_err(|_elapsed| anyhow::anyhow!(late))??).await
    }

    /// An interrupt ends all; once the connection is written, the browser's last page alone is missed.
    fn interrupted(&self) -> ExitCode {
        if self.stored.get() {
            return ExitCode::SUCCESS;
        }
        self.terminal.say("\nnexus: interrupted; nothing was stored");
        ExitCode::from(INTERRUPTED)
    }

    /// Stores what was obtained, and says so. What nobody has then is ended at the service.
    async fn kept(&self, obtained: &Obtained) -> anyhow::Result<()> {
        let id = self.account.connection();
        let hosts = match &self.there {
            Some(there) => kept_there(there, &self.account, obtained),
            None => keep(&self.store, &self.account, obtained, None).map_err(anyhow::Error::from),
        };
        let hosts = match hosts {
            Ok(hosts) => hosts,
            Err(error) => return Err(error.context(self.given_up(obtained).await)),
        };
        self.stored.set(true);
        let facts = json!({
            "connected": id.as_str(),
            "account": obtained.person(),
            "scopes": obtained.scopes().collect::<Vec<_>>(),
            "hosts": hosts,
            "renewable": obtained.is_renewable(),
        });
        self.terminal.either(&facts, || {
            let person = obtained.person().map(|person| format!(" ({person})")).unwrap_or_default();
            format!("connected {id}{person} for {}\n", hosts.join(", "))
        })?;
        if !obtained.is_renewable() && !self.terminal.json {
            self.terminal.say("no refresh token came with it: where its token ends, log in again");
        }
        Ok(())
    }
}

impl Session<'_> {
    /// Ends at the service what could not be stored; what became of it, for people.
    async fn given_up(&self, obtained: &Obtained) -> String {
        let (provider, entry) = (self.account.provider(), login::fresh(&self.account, obtained));
        let alone = self.is_the_first().unwrap_or(false);
        let ended = match alone {
            true => timeout(PARTING, login::revoke(provider, &entry, &self.ports))
                .await
                .is_ok_and(|done| matches!(done, Ok(Revoked::Yes))),
            false => false,
        };
        let title = &provider.title;
        match ended {
            true => format!("the log-in was not stored, and its tokens were ended at {title}"),
            false => format!("the log-in was not stored; its tokens may still be good: end them at {title}"),
        }
    }

    /// Whether the person has no other connection: some services end all of an app's together.
    fn is_the_first(&self) -> anyhow::Result<bool> {
        let user = self.account.connection().user();
        let is_theirs = |id: &ConnectionId| UserName::same(id.user(), user);
        let Some(there) = &self.there else { return Ok(!self.store.snapshot()?.iter().any(|(id, _)| is_theirs(id))) };
        let told = there.list()?;
        let rows = told.get("connections").and_then(Value::as_array).context("no list")?;
        let named = |row: &Value| row.get("connection")?.as_str()?.parse::<ConnectionId>().ok();
        Ok(!rows.iter().filter_map(named).any(|id| is_theirs(&id)))
    }
}

/// The hosts that the gateway sealed it for.
fn kept_there(there: &gateway::There, account: &Account, obtained: &Obtained) -> anyhow::Result<Vec<String>> {
    let stored = there.keep(account.connection(), &login::fresh(account, obtained))?;
    let hosts = stored.get("hosts").and_then(|hosts| hosts.as_array()).into_iter().flatten().filter_map(|host| host.as_str());
    Ok(hosts.map(str::to_owned).collect())
}
