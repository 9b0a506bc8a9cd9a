//! Log-ins by a code that a person types on a page of the service (RFC 8628), for services that have no page for browsers. They are in
//! memory alone: who asked is there and waits, and after a restart asks again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::AbortHandle;

use super::begin::{account, told};
use super::context::{Gateway, Shared};
use super::flow::Ending;
use super::keep::{can_keep, keep};
use super::problem::Problem;
use crate::consent::{self, Account, DeviceCode};
use crate::model::{ConnectionId, GatewayId};

/// So many at a time.
const MOST: usize = 32;
/// What became of one is told for so long.
const TOLD: Duration = Duration::from_secs(600);

/// How one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceStanding {
    /// Nobody has typed the code yet.
    Pending,
    /// The account is connected.
    Connected,
    /// Nothing came of it.
    Failed(Ending),
}

/// One under way, or over not long ago.
struct LogIn {
    id: GatewayId,
    standing: DeviceStanding,
    forgotten: SystemTime,
    work: Option<AbortHandle>,
}

/// All of them.
#[derive(Default)]
pub(super) struct DeviceLogIns(Mutex<Vec<LogIn>>);

impl DeviceLogIns {
    /// How the one called `id` stands.
    pub(super) fn standing(&self, id: &GatewayId, now: SystemTime) -> Option<DeviceStanding> {
        self.with(|all| all.iter().find(|one| one.id == *id && one.forgotten > now).map(|one| one.standing))
    }

    /// Gives one up that waits; false = there is none.
    pub(super) fn give_up(&self, id: &GatewayId) -> bool {
        self.with(|all| {
            let Some(one) = all.iter_mut().find(|one| one.id == *id) else { return false };
            // Without work it is over, or being stored: what a service gave must be kept.
            if let Some(work) = one.work.take() {
                work.abort();
                one.standing = DeviceStanding::Failed(Ending::Withdrawn);
            }
            true
        })
    }

    fn begin(&self, id: GatewayId, ends: SystemTime, now: SystemTime) -> Result<(), Problem> {
        self.with(|all| {
            all.retain(|one| one.forgotten > now);
            if all.len() >= MOST {
                let message = "too many people are being asked already; wait until some have answered";
                return Err(Problem::new(http::StatusCode::TOO_MANY_REQUESTS, "too_many_pending", message));
            }
            all.push(LogIn { id, standing: DeviceStanding::Pending, forgotten: ends + TOLD, work: None });
            Ok(())
        })
    }

    fn works(&self, id: &GatewayId, work: &AbortHandle) {
        self.with(|all| all.iter_mut().filter(|one| one.id == *id).for_each(|one| one.work = Some(work.clone())));
    }

    /// From now on nobody can give it up.
    fn is_typed(&self, id: &GatewayId) {
        self.with(|all| all.iter_mut().filter(|one| one.id == *id).for_each(|one| one.work = None));
    }

    fn end(&self, id: &GatewayId, standing: DeviceStanding) {
        self.with(|all| {
            let waiting = all.iter_mut().filter(|one| one.id == *id && one.standing == DeviceStanding::Pending);
            waiting.for_each(|one| (one.standing, one.work) = (standing, None));
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<LogIn>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A code that waits for a person.
pub(super) struct Code {
    pub(super) id: GatewayId,
    pub(super) typed: String,
    pub(super) page: String,
    pub(super) complete: Option<String>,
    pub(super) ends: SystemTime,
}

/// Asks the service for a code, and waits until it was typed.
///
/// # Errors
/// What is wrong with the wish, or with the state of things.
pub(super) async fn begin(gateway: &Shared, connection: ConnectionId, scopes: Vec<String>) -> Result<Code, Problem> {
    let account = gateway.on_disk(move |gateway| whose(gateway, &connection, scopes)).await??;
    let ports = gateway.consents();
    let code = account.device(&ports).await.map_err(|error| Problem::conflict("no_device", told(&error)))?;
    let id = GatewayId::random().map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        Problem::internal()
    })?;
    let now = (gateway.ports.clock)();
    let shown = Code {
        id: id.clone(),
        typed: code.user_code().to_owned(),
        page: code.verification_uri().to_owned(),
        complete: code.complete().map(str::to_owned),
        ends: now + code.left(),
    };
    gateway.devices.begin(id.clone(), shown.ends, now)?;
    let work = tokio::spawn(until_typed(Arc::clone(gateway), id.clone(), account, code));
    gateway.devices.works(&id, &work.abort_handle());
    Ok(shown)
}

/// Whose account it is to be, by the app that is registered.
fn whose(gateway: &Gateway, connection: &ConnectionId, scopes: Vec<String>) -> Result<Account, Problem> {
    let vault = gateway.vault()?;
    let catalogue = gateway.ports.catalogue.load();
    let unknown = || Problem::missing("there is no provider of this name; GET /api/catalogue lists them");
    let provider = catalogue.get(connection.provider()).ok_or_else(unknown)?;
    let connection = vault.meant(connection);
    let account = account(&vault, provider, &connection, scopes).map_err(|error| gateway.no_consent(provider, &error))?;
    can_keep(&account, vault.get(&connection).map(AsRef::as_ref))
        .map_err(|error| Problem::conflict("incomplete", told(&error)))?;
    Ok(account)
}

async fn until_typed(gateway: Shared, id: GatewayId, account: Account, code: DeviceCode) {
    let obtained = match account.typed(code, &gateway.consents()).await {
        Ok(obtained) => obtained,
        Err(error) => return gateway.devices.end(&id, DeviceStanding::Failed(why(&error))),
    };
    gateway.devices.is_typed(&id);
    let stored = gateway.on_disk(move |gateway| keep(&gateway.ports.store, &account, &obtained, None)).await;
    let standing = match stored {
        Ok(Ok(_hosts)) => DeviceStanding::Connected,
        Ok(Err(error)) => {
            tracing::error!("a log-in by a code was not stored: {}", told(&error));
            DeviceStanding::Failed(Ending::Failed)
        }
        Err(_stopped) => DeviceStanding::Failed(Ending::Failed),
    };
    gateway.devices.end(&id, standing);
}

fn why(error: &consent::Error) -> Ending {
    match error {
        consent::Error::Expired => Ending::Late,
        error if error.is_a_no() => Ending::Denied,
        error => {
            tracing::warn!("a log-in by a code failed: {}", told(error));
            Ending::Failed
        }
    }
}
