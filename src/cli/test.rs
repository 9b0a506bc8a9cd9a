//! `nexus test`: one harmless request with a connection's credential, through the proxy, as a program would send it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use nexus::app::harmless::{Answer, NoTrial, ask_until_one_works, harmless};
use nexus::app::registration::command;
use nexus::model::{ConnectionId, UserName};
use nexus::provider::Provider;
use nexus::vault::{Entry, Snapshot};
use serde_json::json;
use tokio::time::timeout;

use super::arguments::Test;
use super::context::{Context, Hint, connection};
use super::doors::{self, Passing};
use super::process::{harden, start_log};
use super::terminal::Terminal;
use super::{list, node, providers};

/// For the whole request, a renewal included.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Test) -> anyhow::Result<ExitCode> {
    context.require_home()?;
    let flood = start_log(terminal, "nexus=error");
    harden(terminal);
    let vault = node::connections(context, terminal, &context.store()?)?;
    let id = chosen(&vault, options)?;
    let catalogue = context.catalogue(terminal);
    let provider = providers::find(&catalogue, id.provider())?;
    let Some(entry) = vault.get(&id) else {
        return Err(node::elsewhere(context, terminal, &id)?.unwrap_or_else(|| absent(provider, &id)).into());
    };
    if let Some(captured) = &entry.captured {
        anyhow::bail!("{id} is the log-in of the agent {}, which nobody else can use", captured.agent);
    }
    anyhow::ensure!(!entry.is_app_alone(), app_alone(provider, &id));
    let requests = harmless(provider, &id, entry).map_err(|error| match error {
        NoTrial::Lacks { .. } => anyhow::Error::from(list::missing(id.as_str())).context(error),
        error => error.into(),
    })?;
    let agent = Passing::new(id.user().map(UserName::as_str))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (request, answer) = runtime.block_on(async {
        let door = doors::open(context, terminal, &agent).await?;
        let path_to = |url: &str| agent.path_to(url);
        let asked = ask_until_one_works(&door.proxy, &path_to, &requests, &id);
        let answer = timeout(PATIENCE, asked).await.context("no answer came in time");
        drop(door.guard);
        answer?.map_err(anyhow::Error::from)
    })?;
    flood.report();
    let again = command(provider, &vault, &id);
    tell(terminal, (provider, &id, entry), (&request.line(), &answer), &again)
}

/// The connection that the command line names, its person by name or by number.
fn chosen(vault: &Snapshot, options: &Test) -> anyhow::Result<ConnectionId> {
    let user = options.user_id.as_deref().or(options.user.as_deref());
    if options.user_id.is_some() {
        let id = connection(&options.provider, None)?;
        anyhow::ensure!(id.user().is_none(), "the person is named twice: in {id} and by --user-id");
    }
    Ok(vault.meant(&connection(&options.provider, user)?))
}

fn absent(provider: &Provider, id: &ConnectionId) -> Hint {
    let user = id.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    let verb = if provider.oauth2.as_ref().is_some_and(|oauth2| oauth2.authorize_url.is_some()) { "login" } else { "register" };
    Hint::new(format!("{id} is not registered"), format!("nexus {verb} {}{user}", provider.id))
}

fn app_alone(provider: &Provider, id: &ConnectionId) -> Hint {
    Hint::new(format!("{id} is an app that people log in by, and nobody has yet"), format!("nexus login {}", provider.id))
}

/// Says what the service answered; `again` is what connects the account anew. Anything but a success is exit code 1.
fn tell(
    terminal: &Terminal,
    (provider, id, entry): (&Provider, &ConnectionId, &Entry),
    (request, answer): (&str, &Answer),
    again: &str,
) -> anyhow::Result<ExitCode> {
    let Answer { status, refusal, .. } = answer;
    let works = answer.works();
    let account = answer.account(entry);
    let command = answer.mended_by(again);
    let facts = json!({
        "connection": id.as_str(), "request": request, "status": status.as_u16(), "works": works,
        "refusal": refusal, "account": account, "command": command,
    });
    terminal.either(&facts, || {
        let whose = account.as_ref().map(|account| format!(", as {account}")).unwrap_or_default();
        match refusal {
            Some(kind) => format!("{id}: Nexus refused {request} ({kind})\n"),
            None => format!("{id}: {} answered {} to {request}{whose}\n", provider.title, status.as_u16()),
        }
    })?;
    if works {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(detail) = answer.detail() {
        terminal.error(&detail);
    } else {
        terminal.error(&format!("the credential of {id} does not do"));
    }
    if let Some(command) = command {
        terminal.hint(&format!("run `{command}`"));
    }
    Ok(ExitCode::FAILURE)
}
