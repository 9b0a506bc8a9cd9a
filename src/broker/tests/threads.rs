use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::fakes::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn t119_a_thousand_requests_on_four_threads_over_an_expired_credential_make_one_call() {
    let home = runtime();
    let house = home.block_on(async { Arc::new(House::new(Some(Duration::ZERO))) });
    house.endpoint.gate.forget_permits(usize::MAX);
    let arrived = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (house, arrived) = (Arc::clone(&house), Arc::clone(&arrived));
            thread::spawn(move || runtime().block_on(worker(house, arrived)))
        })
        .collect();
    home.block_on(async {
        until(|| arrived.load(Ordering::SeqCst) == 1000).await;
        house.endpoint.gate.add_permits(1000);
        until(|| workers.iter().all(thread::JoinHandle::is_finished)).await;
    });
    for worker in workers {
        worker.join().expect("every request got the fresh credential");
    }
    assert_eq!(house.endpoint.calls(), 1);
    assert!(!house.endpoint.is_revoked());
}

async fn worker(house: Arc<House>, arrived: Arc<AtomicUsize>) {
    let tasks: Vec<_> = (0..250)
        .map(|_| {
            let (house, arrived) = (Arc::clone(&house), Arc::clone(&arrived));
            tokio::spawn(async move {
                arrived.fetch_add(1, Ordering::SeqCst);
                house.request().await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("an answer"), "access-2");
    }
}

#[test]
fn t125_a_renewal_outlives_the_thread_that_asked_for_it() {
    let (home, other) = (runtime(), runtime());
    let house = home.block_on(async { Arc::new(House::new(None)) });
    house.endpoint.gate.forget_permits(usize::MAX);
    let asking = other.spawn({
        let house = Arc::clone(&house);
        async move { house.always_401().await }
    });
    other.block_on(until(|| house.broker.is_renewing()));
    home.block_on(until(|| house.endpoint.sent.load(Ordering::SeqCst) == 1));
    drop(other);
    assert!(asking.is_finished());
    house.endpoint.gate.add_permits(1);
    home.block_on(until(|| !house.broker.is_renewing()));
    assert!(has(&house.vault.get(&house.id), "refresh_token", "refresh-2"));
}

#[test]
fn a_renewal_whose_runtime_stops_is_begun_anew() {
    let (home, other) = (runtime(), runtime());
    let house = home.block_on(async { Arc::new(House::new(None)) });
    house.endpoint.gate.forget_permits(usize::MAX);
    let asking = other.spawn({
        let house = Arc::clone(&house);
        async move { kept(&house.always_401().await) }
    });
    other.block_on(until(|| house.broker.is_renewing()));
    home.shutdown_background();
    assert_eq!(other.block_on(asking).expect("an answer"), "stopped");
    assert!(!house.broker.is_renewing());
}
