use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::fakes::*;
use crate::broker::{Broker, Error, Home, Ports, Renewal, Settings, Whose};
use crate::disk::Lock;
use crate::model::ConnectionId;
use crate::seal::DataKey;
use crate::vault::{self, Entry, Store};

fn store(folder: &Path) -> Arc<Store> {
    let settings = vault::Settings { file: folder.join("nexus.enc"), salt: folder.join(".salt") };
    Arc::new(Store::with_key(settings, DataKey::from_bytes([7; 32])))
}

/// A process of its own, as far as files can tell.
fn process(folder: &Path, endpoint: &Arc<FakeEndpoint>) -> Arc<Broker> {
    let ports = Ports {
        vault: Arc::new(Home::new(store(folder), folder.join("locks"))),
        endpoint: Arc::new(Line(Arc::clone(endpoint))),
        clock: Arc::new(SystemTime::now),
        runtime: tokio::runtime::Handle::current(),
    };
    Broker::new(ports, Settings { lock_wait: Duration::from_secs(1), ..Settings::default() })
}

fn id() -> ConnectionId {
    "acme".parse().expect("a name")
}

fn registered_in(folder: &Path) -> (Arc<FakeEndpoint>, Arc<Broker>) {
    let mut entry: Entry = registered(&[("access_token", "access-1"), ("refresh_token", "refresh-1")]);
    entry.registered_at = None;
    store(folder).register(&id(), entry).expect("a vault");
    let endpoint = Arc::new(FakeEndpoint::new());
    let broker = process(folder, &endpoint);
    (endpoint, broker)
}

async fn always_401(broker: &Arc<Broker>) -> Renewal {
    broker.authorize(&id(), &provider(), &[0], Whose::default()).await.expect("a permit").renew(Instant::now()).await
}

#[tokio::test]
async fn t126_what_was_renewed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (endpoint, broker) = registered_in(folder.path());
    assert_eq!(fresh(&always_401(&broker).await), "access-2");
    let entry = store(folder.path()).get(&id()).expect("a vault").expect("an entry");
    assert!(has(&entry, "access_token", "access-2") && has(&entry, "refresh_token", "refresh-2"));
    assert!(has(&entry, "client_secret", "the-client-secret"));
    let left = entry.expires_at.and_then(|end| end.duration_since(SystemTime::now()).ok()).expect("an end to come");
    assert!(left <= HOUR && left > HOUR - MINUTE, "{left:?}");
    assert_eq!(fresh(&always_401(&process(folder.path(), &endpoint)).await), "access-3");
    assert_eq!(endpoint.calls(), 2);
}

#[tokio::test]
async fn t127_processes_that_share_a_folder_spend_a_refresh_token_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (endpoint, one) = registered_in(folder.path());
    let two = process(folder.path(), &endpoint);
    endpoint.gate.forget_permits(usize::MAX);
    let tasks: Vec<_> = [&one, &two]
        .into_iter()
        .cycle()
        .take(200)
        .map(|broker| {
            tokio::spawn({
                let broker = Arc::clone(broker);
                async move { fresh(&always_401(&broker).await) }
            })
        })
        .collect();
    until(|| one.is_renewing() && two.is_renewing()).await;
    endpoint.gate.add_permits(10);
    for task in tasks {
        assert_eq!(task.await.expect("an answer"), "access-2");
    }
    assert_eq!(endpoint.calls(), 1);
    assert!(!endpoint.is_revoked());
}

#[tokio::test]
async fn t127_a_connection_that_another_process_holds_keeps_its_credential_and_its_refresh_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let (endpoint, broker) = registered_in(folder.path());
    std::fs::create_dir(folder.path().join("locks")).expect("a folder");
    let held = Lock::acquire(&folder.path().join("locks").join("acme")).expect("a lock");
    assert_eq!(kept(&always_401(&broker).await), "vault");
    assert_eq!(endpoint.calls(), 0);
    drop(held);
    assert_eq!(fresh(&always_401(&process(folder.path(), &endpoint)).await), "access-2");
}

#[tokio::test]
async fn i9_a_vault_that_cannot_be_read_gives_no_credential_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (endpoint, broker) = registered_in(folder.path());
    let permit = broker.authorize(&id(), &provider(), &[0], Whose::default()).await.expect("a permit");
    let file = folder.path().join("nexus.enc");
    let mut bytes = std::fs::read(&file).expect("a vault");
    bytes.truncate(40);
    std::fs::write(&file, &bytes).expect("a write");
    assert!(matches!(broker.authorize(&id(), &provider(), &[0], Whose::default()).await, Err(Error::Vault(_))));
    assert_eq!(kept(&permit.renew(Instant::now()).await), "vault");
    assert_eq!(std::fs::read(&file).expect("a vault"), bytes);
    assert_eq!(endpoint.calls(), 0);
}
