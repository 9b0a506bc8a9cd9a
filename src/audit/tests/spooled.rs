//! Opening, batching, closing, and records that are dropped.

use std::future::Future as _;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{count, events, named, runtime, settings, start};
use crate::audit::{Error, Fsync, Kind, Log, Verdict};

#[test]
fn an_opening_line_is_on_file_before_open_returns() {
    let home = tempfile::tempdir().expect("a folder");
    let log = start(home.path());
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        let mut record = spool.record(Kind::Request);
        let opened = spool.open(&mut record).await.expect("opened");
        assert_eq!(opened.id(), record.id());
        assert_eq!((spool.counters().lines, spool.counters().writes), (1, 1));
    });
    log.stop();
    assert_eq!(count(&settings(home.path()), "open").len(), 1);
}

#[test]
fn requests_of_one_turn_share_a_write() {
    let home = tempfile::tempdir().expect("a folder");
    let log = start(home.path());
    let counters = runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let spool = spool.clone();
                tokio::task::spawn_local(async move {
                    for _ in 0..10 {
                        let mut entry = spool.begin(Kind::Request);
                        entry.open().await.expect("opened");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        spool.flush();
        spool.counters()
    });
    assert_eq!(counters.lines, 2 * 640);
    assert!(counters.writes <= 40, "{counters:?}");
    log.stop();
    assert_eq!(count(&settings(home.path()), "open").len(), 640);
    assert_eq!(count(&settings(home.path()), "close").len(), 640);
}

#[test]
fn closing_lines_follow_opening_ones() {
    let home = tempfile::tempdir().expect("a folder");
    let log = start(home.path());
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        for _ in 0..200 {
            spool.begin(Kind::Tunnel).open().await.expect("opened");
        }
    });
    log.stop();
    let mut open = Vec::new();
    for line in events(&settings(home.path())) {
        let id = line["id"].clone();
        match line["event"].as_str() {
            Some("tunnel_open") => open.push(id),
            Some("tunnel_close") => assert_eq!(open.pop(), Some(id)),
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty());
}

#[test]
fn a_lone_closing_line_is_written_by_the_timer() {
    let home = tempfile::tempdir().expect("a folder");
    let log = start(home.path());
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        for (lines, writes) in [(2, 2), (4, 4)] {
            spool.begin(Kind::Request).open().await.expect("opened");
            let written = async {
                while spool.counters().lines < lines {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), written).await.expect("in time");
            assert_eq!((spool.counters().lines, spool.counters().writes), (lines, writes));
        }
    });
}

#[test]
fn an_entry_that_never_left_is_refused_and_one_that_did_is_closed() {
    let home = tempfile::tempdir().expect("a folder");
    let log = start(home.path());
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        drop(spool.begin(Kind::Request));
        let mut refused = spool.begin(Kind::Request);
        refused.refusal("policy", 403);
        drop(refused);
        let mut passed = spool.begin(Kind::Request);
        passed.verdict(Verdict::Pass);
        passed.open().await.expect("opened");
    });
    log.stop();
    let refused = named(&settings(home.path()), "refuse");
    assert_eq!(refused.len(), 2);
    assert_eq!(refused[0]["notes"][0], "abandoned");
    assert_eq!(refused[1]["refusal"], "policy");
    assert_eq!(named(&settings(home.path()), "close").len(), 1);
}

#[test]
fn a_caller_who_leaves_in_the_middle_keeps_nobody_waiting() {
    let home = tempfile::tempdir().expect("a folder");
    let log = start(home.path());
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        let (mut leaver, mut stayer) = (spool.begin(Kind::Request), spool.begin(Kind::Request));
        let (mut leaving, mut staying) = (Box::pin(leaver.open()), Box::pin(stayer.open()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(leaving.as_mut().poll(&mut context).is_pending());
        assert!(staying.as_mut().poll(&mut context).is_pending());
        assert_eq!(spool.counters().writes, 0);
        drop(leaving);
        assert!(matches!(staying.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
        assert_eq!(spool.counters().writes, 1);
    });
    log.stop();
    assert_eq!(count(&settings(home.path()), "open").len(), 2);
    assert_eq!(count(&settings(home.path()), "close").len(), 2);
}

#[test]
fn with_fsync_always_every_opener_of_a_batch_hears_of_the_sync() {
    let home = tempfile::tempdir().expect("a folder");
    let log = Log::start(crate::audit::Settings { fsync: Fsync::Always, ..settings(home.path()) }).expect("a log");
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        let open = |_| {
            let spool = spool.clone();
            tokio::task::spawn_local(async move { spool.begin(Kind::Request).open().await.map(|opened| opened.id()) })
        };
        for task in (0..32).map(open).collect::<Vec<_>>() {
            task.await.expect("no panic").expect("opened");
        }
    });
    log.stop();
    assert_eq!(count(&settings(home.path()), "open").len(), 32);
}

#[test]
fn an_event_that_is_no_request_is_told_escaped() {
    let home = tempfile::tempdir().expect("a folder");
    let log = start(home.path());
    log.event("connection_removed", &[("connection", "github:a\n\"b")]).expect("written");
    log.stop();
    assert!(matches!(log.event("late", &[]), Err(Error::Stopped)));
    let told = named(&settings(home.path()), "connection_removed");
    assert_eq!(told[0]["connection"], "github:a\n\"b");
}

#[test]
fn a_spool_needs_a_runtime() {
    let home = tempfile::tempdir().expect("a folder");
    assert!(matches!(start(home.path()).spool(), Err(Error::NoRuntime)));
}

#[test]
fn i7_a_spool_past_its_bound_refuses_until_it_is_chained() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = crate::audit::Settings { spool_bytes: 8 * 1024, ..settings(home.path()) };
    std::fs::create_dir_all(home.path().join("audit/spool")).expect("a folder");
    for folder in ["audit", "audit/spool"] {
        std::fs::set_permissions(home.path().join(folder), std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .expect("private");
    }
    // Somebody else holds the chain and doesn't get on.
    let lock = std::fs::File::create(home.path().join("audit/chain.lock")).expect("a file");
    lock.lock().expect("a lock");
    let log = Log::start(settings.clone()).expect("a log");
    let opened = runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        let mut opened = 0;
        loop {
            match spool.begin(Kind::Request).open().await {
                Ok(_) => opened += 1,
                Err(Error::Full { held, bound }) => {
                    assert!(held >= bound && held < 3 * bound, "{held}");
                    break opened;
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
    assert!(opened > 10, "{opened}");
    log.stop();
    drop(lock);
    Log::start(settings.clone()).expect("a log").stop();
    assert_eq!(count(&settings, "open").len(), opened);
}
