//! `nexus test` for the gateway beside the proxy: an agent for one request, and the proxy's own door.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use http::Uri;
use tokio::time::timeout;

use super::harmless::{Answer, ask_until_one_works, harmless};
use super::passing::Passing;
use super::registration::command;
use super::reload::Reload;
use super::roster::reachable;
use crate::agent::{Registered, Token};
use crate::gateway::{NotTried, Tried, TryOut};
use crate::model::{AgentName, ConnectionId};

/// For the whole request, a renewal included.
const PATIENCE: Duration = Duration::from_secs(45);
/// Its agent ends by itself where we are killed.
const LIFE: Duration = Duration::from_secs(120);

/// How connections are tried.
pub(super) fn trials(reload: &Arc<Reload>) -> TryOut {
    let shared = Arc::downgrade(reload);
    Box::new(move |id| Box::pin(try_out(Weak::clone(&shared), id)))
}

async fn try_out(reload: Weak<Reload>, id: ConnectionId) -> Result<Tried, NotTried> {
    let reload = reload.upgrade().ok_or(NotTried::NoProxy)?;
    let proxy = reachable(*reload.addresses.first().ok_or(NotTried::NoProxy)?);
    let vault = (reload.look)().map_err(failed)?;
    let entry = vault.get(&id).ok_or(NotTried::Missing)?;
    let catalogue = reload.catalogue.load_full();
    let provider = catalogue.get(id.provider()).ok_or_else(|| no_trial(&"the provider's file is gone"))?;
    if let Some(captured) = &entry.captured {
        return Err(no_trial(&format!("{id} is the log-in of the agent {}, which nobody else can use", captured.agent)));
    }
    if entry.is_app_alone() {
        return Err(no_trial(&format!("{id} is an app that people log in by, and nobody has yet")));
    }
    let requests = harmless(provider, &id, entry).map_err(|error| no_trial(&error))?;
    let begun = Instant::now();
    let agent = ForOne::add(&reload, &id).await?;
    let path_to = |url: &str| agent.path_to(url);
    let answer = timeout(PATIENCE, ask_until_one_works(&proxy, &path_to, &requests, &id)).await;
    agent.end(&reload).await;
    let (request, answer) = answer.map_err(|_elapsed| NotTried::Late)?.map_err(failed)?;
    let again = command(provider, &vault, &id);
    let Answer { status, refusal, .. } = &answer;
    Ok(Tried {
        connection: id.to_string(),
        request: request.line(),
        status: status.as_u16(),
        works: answer.works(),
        refusal: refusal.clone(),
        detail: answer.detail(),
        account: answer.account(entry),
        command: answer.mended_by(&again),
        millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// The agent of one trial.
struct ForOne {
    passing: Passing,
    token: Token,
}

impl ForOne {
    /// Of the connection's person, for its provider alone; in force when this returns.
    async fn add(reload: &Arc<Reload>, id: &ConnectionId) -> Result<Self, NotTried> {
        let token = Token::random().map_err(failed)?;
        let number = getrandom::u32().map_err(failed)?;
        let name = AgentName::of_command("test", number).map_err(failed)?;
        let now = SystemTime::now();
        let row = Registered {
            user: id.user().cloned(),
            providers: Some(vec![id.provider().clone()]),
            expires: Some(now + LIFE),
            created: Some(now),
            ephemeral: true,
            ..Registered::unlimited(name, &token)
        };
        let reload = Arc::clone(reload);
        let add = move || {
            let passing = Passing::add(&reload.home, &row)?;
            reload.reread_agents();
            Ok::<_, super::home::HomeError>(passing)
        };
        let passing = tokio::task::spawn_blocking(add).await.map_err(failed)?.map_err(failed)?;
        Ok(Self { passing, token })
    }

    /// The path by which the proxy's base-URL door sends a request of it to `url`, which is https.
    fn path_to(&self, url: &str) -> Option<Uri> {
        let rest = url.strip_prefix("https://")?;
        format!("/~{}/{rest}", self.token.text().expose()).parse().ok()
    }

    async fn end(self, reload: &Arc<Reload>) {
        let reload = Arc::clone(reload);
        let end = move || {
            drop(self.passing);
            reload.reread_agents();
        };
        if tokio::task::spawn_blocking(end).await.is_err() {
            tracing::warn!("the agent of a trial ends by itself in a while");
        }
    }
}

fn no_trial(why: &dyn std::fmt::Display) -> NotTried {
    NotTried::NoTrial(why.to_string())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> NotTried {
    NotTried::Failed(Box::new(error))
}
