//! The control thread: everything that is not a worker's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::keeping::Keeper;
use super::seat::Accepted;
use super::telling::tell_gateway;
use crate::app::reload::Reload;
use crate::app::watch::Watch;
use crate::app::{frozen, node, passing};
use crate::listener::{self, Socket};
use crate::proxy::Listener;

/// How often agents are looked for whose command was killed.
const SWEEP_AGENTS: Duration = Duration::from_secs(30);

/// How often log-ins are looked for that nobody approved in time.
const SWEEP_LOG_INS: Duration = Duration::from_secs(60);

/// How often it is written down when connections were used.
const NOTE_USES: Duration = Duration::from_secs(30);

/// How long the last spans may take.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Accepts, reloads, renews, until the workers have ended.
pub(super) async fn control_plane(
    sockets: Vec<(Socket, Listener)>,
    workers: Vec<mpsc::UnboundedSender<Accepted>>,
    stop: listener::Stop,
    (reload, watch): (Arc<Reload>, Option<Watch>),
    ended: tokio::sync::oneshot::Receiver<()>,
) {
    if let Some(watch) = watch {
        tokio::spawn(watch.run(Arc::clone(&reload)));
    }
    begin_chores(&reload);
    let keeper = Keeper::begin(reload.home.attention_file(), Arc::clone(&reload.proxy.attention));
    tokio::spawn(Arc::clone(&keeper).run());
    if let Some(held) = &reload.node {
        tokio::spawn(tell_gateway(Arc::clone(held), Arc::clone(&reload.proxy.attention)));
        node::begin(held).await;
    }
    let workers = Arc::new(workers);
    let next = Arc::new(AtomicUsize::new(0));
    let mut doors = Vec::new();
    for (socket, listener) in sockets {
        doors.push(tokio::spawn(listener::accept(door(socket, listener, &workers, &next, &stop), stop.clone())));
    }
    drop(workers);
    for door in doors {
        if door.await.is_err() {
            tracing::error!("an accept loop ended by a panic");
        }
    }
    // Renewals that are under way end before the process does: a rotated token must reach the disk.
    drop(ended.await);
    if tokio::time::timeout(Duration::from_secs(10), reload.proxy.broker.settle()).await.is_err() {
        tracing::warn!("a renewal was still under way at the end");
    }
    if tokio::time::timeout(LAST_SPANS, reload.proxy.telemetry.finish()).await.is_err() {
        tracing::warn!("spans were still waiting for the collector at the end");
    }
    note_uses_now(&reload).await;
    drop(tokio::task::spawn_blocking(move || keeper.write()).await);
}

/// What is done beside the accepting, for as long as the runtime lives.
fn begin_chores(reload: &Arc<Reload>) {
    // The first random number of the process takes 30 ms; the first caller should not wait for it.
    let issuer = reload.proxy.issuer.load_full();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = issuer.warm() {
            tracing::error!(%error, "no leaf certificates can be made");
        }
    });
    tokio::spawn(sweep_agents(Arc::clone(reload)));
    tokio::spawn(sweep_log_ins(Arc::clone(reload)));
    tokio::spawn(frozen::write_down(Arc::clone(reload)));
    tokio::spawn(note_uses(Arc::clone(reload)));
    tokio::spawn(look_after_needs(Arc::clone(reload)));
}

/// Takes out the agents of commands that were killed; the change of the file is then taken like any other.
async fn sweep_agents(reload: Arc<Reload>) {
    let mut ticks = tokio::time::interval(SWEEP_AGENTS);
    loop {
        ticks.tick().await;
        let home = reload.home.clone();
        match tokio::task::spawn_blocking(move || passing::sweep(&home)).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(count)) => tracing::info!(count, "took back the agents of commands that were killed"),
            // Whoever reads the file for its own sake says so aloud.
            Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "agents were not looked through"),
        }
    }
}

/// Drops the log-ins that nobody approved in time.
async fn sweep_log_ins(reload: Arc<Reload>) {
    let mut ticks = tokio::time::interval(SWEEP_LOG_INS);
    loop {
        ticks.tick().await;
        let store = Arc::clone(&reload.store);
        match tokio::task::spawn_blocking(move || store.remove_lapsed(SystemTime::now())).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(count)) => tracing::info!(count, "dropped log-ins that nobody approved in time"),
            Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, "log-ins were not looked through"),
        }
    }
}

/// Writes down when connections were used, so that people see it.
async fn note_uses(reload: Arc<Reload>) {
    let mut ticks = tokio::time::interval(NOTE_USES);
    loop {
        ticks.tick().await;
        note_uses_now(&reload).await;
    }
}

async fn note_uses_now(reload: &Arc<Reload>) {
    let latest = reload.proxy.broker.uses();
    if latest.is_empty() {
        return;
    }
    if let Some(held) = &reload.node {
        held.report(&latest).await;
    }
    let reload = Arc::clone(reload);
    let noted = tokio::task::spawn_blocking(move || {
        let vault = (reload.look)().ok();
        // A vault that can't be read just now says nothing about what is in it.
        let exists = |id: &_| vault.as_ref().is_none_or(|vault| vault.get(id).is_some());
        reload.home.uses().note(&latest, SystemTime::now(), exists)
    });
    if let Ok(Err(error)) = noted.await {
        tracing::warn!(error = &error as &dyn std::error::Error, "it is not written down when connections were used");
    }
}

/// Looks whether somebody has done what requests were refused for, while there is something on the list.
async fn look_after_needs(reload: Arc<Reload>) {
    let attention = Arc::clone(&reload.proxy.attention);
    let (mut seen, mut looked) = (None, Instant::now());
    loop {
        let pause = attention.pause();
        tokio::select! {
            () = tokio::time::sleep_until(looked + pause.unwrap_or_default()), if pause.is_some() => {}
            () = attention.stirred() => continue,
            () = moved(&reload), if pause.is_some() => {}
        }
        looked = Instant::now();
        let proxy = Arc::clone(&reload.proxy);
        let mut version = seen;
        let looking = tokio::task::spawn_blocking(move || {
            proxy.broker.look_after_needs(&proxy.attention, &mut version);
            version
        });
        seen = looking.await.unwrap_or(seen);
    }
}

/// Waits until what the gateway of this node lends has changed.
async fn moved(reload: &Reload) {
    match &reload.node {
        Some(held) => held.moved().await,
        None => std::future::pending().await,
    }
}

/// Hands each stream to the workers in turn.
fn door(
    socket: Socket,
    listener: Listener,
    workers: &Arc<Vec<mpsc::UnboundedSender<Accepted>>>,
    next: &Arc<AtomicUsize>,
    stop: &listener::Stop,
) -> listener::Door {
    let (workers, next, listener, count) = (Arc::clone(workers), Arc::clone(next), Arc::new(listener), Arc::clone(&stop.count));
    let handle = move |stream, peer| {
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let Some(worker) = workers.get(turn % workers.len().max(1)) else { return };
        count.fetch_add(1, Ordering::Relaxed);
        if worker.send((stream, peer, Arc::clone(&listener))).is_err() {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    };
    listener::Door { socket, handle: Box::new(handle) }
}
