//! A log-in that the gateway runs, by the app that is registered there: here are the browser and the terminal, and nothing is stored.

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use nexus::app::{AskError, Consent};
use nexus::model::{ConnectionId, ProviderId, UserName};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::super::arguments::Login;
use super::super::browser;
use super::super::context::{Context, Hint};
use super::super::gateway::There;
use super::super::remote::plain;
use super::super::terminal::Terminal;
use super::{INTERRUPTED, patience};

/// How soon the gateway is asked again how it stands, and the most that this grows to.
const SOON: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(3);
/// How long it may take to take a question back.
const PARTING: Duration = Duration::from_secs(5);

/// One log-in under way.
struct Session<'a> {
    terminal: &'a Terminal,
    there: &'a There,
    id: ConnectionId,
    title: String,
    /// What waits for the person, once it does.
    asked: RefCell<Option<Consent>>,
}

pub(super) fn run(
    (context, terminal): (&Context, &Terminal),
    there: &There,
    id: &ConnectionId,
    options: &Login,
) -> anyhow::Result<ExitCode> {
    can_be_done_there(there, id, options)?;
    let (patience, title) = (patience(options), title(context, terminal, id)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // From before anything is said: who reads it may answer with an interrupt.
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for an interrupt")?;
        let id = whose(there, id).await;
        let session = Session { terminal, there, id, title, asked: RefCell::new(None) };
        tokio::select! {
            done = session.connect(options, Instant::now() + patience) => done.map(|()| ExitCode::SUCCESS),
            _ = interrupt.recv() => Ok(session.interrupted().await),
        }
    })
}

/// What only a log-in from here can do wants the app named here.
fn can_be_done_there(there: &There, id: &ConnectionId, options: &Login) -> anyhow::Result<()> {
    let url = there.url();
    let user = id.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    let named = |more: &str| format!("nexus login {}{user} {more} --client-id ID", id.provider());
    if options.device {
        let message = format!(
            "the gateway {url} asks by a page, not by a code for devices; its page can be opened on any device (--no-browser \
             prints it), or this machine asks for a code by an app that you name"
        );
        return Err(Hint::new(message, named("--device")).into());
    }
    if options.redirect_uri.is_some() || options.port.is_some() || !options.fields.is_empty() {
        let message = format!(
            "the gateway {url} asks with its own redirect URI and what is registered there; --redirect-uri, --port and --field \
             are for a log-in from here, by an app that you name"
        );
        return Err(Hint::new(message, named("")).into());
    }
    Ok(())
}

/// What the service is called, where a file here says so; one without any log-in is told of before anybody is asked.
fn title(context: &Context, terminal: &Terminal, id: &ConnectionId) -> anyhow::Result<String> {
    let catalogue = context.catalogue(terminal);
    // A file of a person's own may be at the gateway alone.
    let Some(provider) = catalogue.get(id.provider()) else { return Ok(id.provider().to_string()) };
    let user = id.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    let Some(oauth2) = provider.oauth2.as_ref().filter(|oauth2| oauth2.authorize_url.is_some() || oauth2.device_url.is_some())
    else {
        let message = format!("{} has no log-in that Nexus knows", provider.title);
        return Err(Hint::new(message, format!("nexus register {}{user}", provider.id)).into());
    };
    let by_code = || {
        let message = format!("{} asks by a code for devices alone, which the gateway can't show", provider.title);
        Hint::new(message, format!("nexus login {}{user} --device --client-id ID", provider.id))
    };
    anyhow::ensure!(oauth2.authorize_url.is_some(), by_code());
    Ok(provider.title.clone())
}

/// The connection that is meant: a key that is one person's asks for that person.
async fn whose(there: &There, id: &ConnectionId) -> ConnectionId {
    if id.user().is_some() {
        return id.clone();
    }
    let told = there.get("/api/whoami").await.ok();
    let user = told.and_then(|told| told.get("user")?.as_str()?.parse::<UserName>().ok());
    ConnectionId::new(id.provider().clone(), user)
}

impl Session<'_> {
    async fn connect(&self, options: &Login, ends: Instant) -> anyhow::Result<()> {
        let asked = self.there.ask_consent(&self.id, &options.scopes).await.map_err(|error| self.refused(error))?;
        let (page, handle) = (asked.page.duplicate(), asked.id.clone());
        let again = asked.asked_before;
        self.asked.replace(Some(asked));
        let opened = !options.no_browser && browser::open(page.expose()).await;
        self.show(page.expose(), (opened, again));
        let ended = self.until_answered(&handle, ends).await?;
        self.asked.replace(None);
        match ended {
            End::Connected => self.tell().await,
            End::Not(why) => Err(anyhow::anyhow!("no account was connected: {why}")),
        }
    }

    fn show(&self, page: &str, (opened, again): (bool, bool)) {
        let (title, url) = (&self.title, self.there.url());
        let whom = self.id.user().map(|user| format!(" for {user}")).unwrap_or_default();
        let how = if opened { "The browser opens this page, where you" } else { "Open this page in a browser, and" };
        self.terminal.talk(&format!("{how} let the gateway {url} use your account of {title}{whom}:\n\n  {page}\n\n"));
        if again {
            self.terminal.say("It is the page of a log-in that was begun before and waits still.");
        }
        self.terminal.say("Nexus waits for the gateway to hear of it. Ctrl-C ends it.");
    }

    /// Asks with growing pauses how it stands.
    async fn until_answered(&self, handle: &str, ends: Instant) -> anyhow::Result<End> {
        let (path, mut pause) = (format!("/v1/check-connection/{handle}"), SOON);
        loop {
            let away = match self.there.get(&path).await {
                Ok(told) => match End::read(&told) {
                    Some(end) => return Ok(end),
                    None => None,
                },
                // It may be starting anew, and has what it asked on its disk.
                Err(error @ (AskError::Away(_) | AskError::Failed(_))) => Some(error),
                Err(error) => return Err(error).context("no account was connected"),
            };
            if Instant::now() + pause > ends {
                self.take_back().await;
                let late = match away {
                    Some(error) => anyhow::Error::from(error),
                    None => anyhow::anyhow!("nobody consented in time (--timeout)"),
                };
                return Err(late.context("no account was connected"));
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LATER);
        }
    }

    /// Nobody can answer any more what nobody waits for. What another log-in of the same key began is its own to end.
    async fn take_back(&self) {
        let Some(asked) = self.asked.take() else { return };
        let done = match asked.asked_before {
            true => false,
            false => matches!(timeout(PARTING, self.there.withdraw(&asked)).await, Ok(Ok(_))),
        };
        if !done {
            self.terminal.warn("the page may still be answered, for an hour at most; `nexus list` shows whether it was");
        }
    }

    async fn interrupted(&self) -> ExitCode {
        self.take_back().await;
        self.terminal.say("\nnexus: interrupted; no account was connected");
        ExitCode::from(INTERRUPTED)
    }

    /// Says what is connected now, as far as this key may know.
    async fn tell(&self) -> anyhow::Result<()> {
        let (id, url) = (&self.id, self.there.url());
        let shown = self.there.get(&format!("/api/connections/{id}")).await.unwrap_or_default();
        let name = shown.get("connection").and_then(Value::as_str).map_or_else(|| id.to_string(), plain);
        let words = |name: &str| -> Vec<String> {
            let all = shown.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            all.map(plain).collect()
        };
        let hosts = words("hosts");
        let value = json!({
            "connected": name,
            "user": id.user().map(UserName::as_str),
            "gateway": url,
            "scopes": words("scopes"),
            "hosts": hosts,
        });
        self.terminal.either(&value, || {
            let hosts = if hosts.is_empty() { String::new() } else { format!(" for {}", hosts.join(", ")) };
            format!("connected {name}{hosts} at the gateway {url}\n")
        })
    }

    /// What is missing, with the command that brings it.
    fn refused(&self, error: AskError) -> anyhow::Error {
        let provider = self.id.provider();
        let AskError::Refused { code, .. } = &error else { return error.into() };
        let command = match code.as_str() {
            "no_client" => format!("nexus register {provider} --app --client-id ID"),
            "malformed" if self.id.user().is_none() => return nobody_named(self.there, provider),
            "no_consent" => format!("nexus register {provider}"),
            _ => return error.into(),
        };
        Hint::new(error.to_string(), command).into()
    }
}

/// The default connection is everybody's, and no key of a node or a program asks for it.
fn nobody_named(there: &There, provider: &ProviderId) -> anyhow::Error {
    let message = format!(
        "{provider} without a person is everybody's connection, which takes an admin key at the gateway {}; this key asks for a person's",
        there.url()
    );
    // One with --user would be another connection than the one that was refused.
    Hint::new(message, format!("NEXUS_GATEWAY_KEY=ADMIN_KEY nexus login {provider}")).into()
}

/// What came of it.
enum End {
    Connected,
    /// Why nothing did.
    Not(String),
}

impl End {
    /// By what the gateway says of it; `None` while a person is asked.
    fn read(told: &Value) -> Option<Self> {
        let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
        Some(match (text("status"), text("reason")) {
            ("pending", _) => return None,
            ("active", _) => Self::Connected,
            ("failed", "access_denied") => Self::Not("the consent was denied".to_owned()),
            ("failed", "expired") => Self::Not("nobody answered while the gateway waited".to_owned()),
            ("failed", "withdrawn") => {
                Self::Not("another log-in for the same connection took its place, or it was ended".to_owned())
            }
            ("failed", _) => {
                Self::Not("it went wrong between the gateway and the service; the gateway's log says how".to_owned())
            }
            (status, _) => Self::Not(format!("it is {}", plain(status))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_says_is_an_end_or_none_yet() {
        let read = |status: &str, reason: Option<&str>| match End::read(&json!({ "status": status, "reason": reason })) {
            None => "waits".to_owned(),
            Some(End::Connected) => "connected".to_owned(),
            Some(End::Not(why)) => why,
        };
        assert_eq!((read("pending", None), read("active", None)), ("waits".into(), "connected".into()));
        assert!(read("failed", Some("access_denied")).contains("denied"));
        assert!(read("failed", Some("expired")).contains("nobody answered"));
        assert!(read("failed", None).contains("went wrong"), "an older gateway says no reason");
        assert_eq!(read("revoked\u{1b}[2J", None), "it is revoked[2J");
    }
}
