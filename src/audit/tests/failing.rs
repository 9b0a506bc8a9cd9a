//! I8 on a full disk, which a limit on the size of files stands in for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{count, named, runtime, settings, start};
use crate::audit::{Error, Kind, Log, OnFailure, Settings, Spool, verify_chain};

const HOME: &str = "NEXUS_TEST_AUDIT_FAILING";
/// Ends in the middle of a line, and before a spool file is full.
const LIMIT: u64 = 3001;

fn limit(bytes: Option<u64>) {
    // The hard limit stays, so that the soft one can be lifted again.
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("a limit");
}

async fn try_many(spool: &Spool, times: usize) -> Vec<Result<(), Error>> {
    let mut results = Vec::new();
    for _ in 0..times {
        results.push(spool.begin(Kind::Request).open().await.map(drop));
    }
    results
}

/// The child: writes until the limit, past it, and after it is lifted. Without its variable it has nothing to do.
#[test]
fn child_of_i8_full() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    refuse(&home.join("refuse"));
    warn(&home.join("warn"));
}

fn refuse(home: &Path) {
    let log = start(home);
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        limit(Some(LIMIT));
        let results = try_many(&spool, 40).await;
        let opened = results.iter().filter(|result| result.is_ok()).count();
        assert!((5..30).contains(&opened), "{opened}");
        assert!(results[opened..].iter().all(|result| matches!(result, Err(Error::Io { doing: "write", .. }))), "{results:?}");
        // All that share a write share its failure.
        let together = (0..10).map(|_| {
            let spool = spool.clone();
            tokio::task::spawn_local(async move { spool.begin(Kind::Request).open().await.map(drop) })
        });
        for task in together.collect::<Vec<_>>() {
            assert!(task.await.expect("no panic").is_err());
        }
        limit(None);
        assert!(try_many(&spool, 5).await.iter().all(Result::is_ok));
        std::fs::write(home.join("opened"), (opened + 5).to_string()).expect("written");
    });
    log.stop();
}

fn warn(home: &Path) {
    let log = Log::start(Settings { on_failure: OnFailure::Warn, ..settings(home) }).expect("a log");
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        limit(Some(LIMIT));
        assert!(try_many(&spool, 8000).await.iter().all(Result::is_ok));
        assert!(spool.counters().lost > 0, "{:?}", spool.counters());
        limit(None);
        spool.flush();
        std::fs::write(home.join("lost"), spool.counters().lost.to_string()).expect("written");
    });
    log.stop();
}

/// `sh` so that the signal is ignored in the child, as a service manager would.
fn run_child(home: &Path) {
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this test"))
        .args(["audit::tests::failing::child_of_i8_full", "--exact", "--nocapture", "--test-threads=1"])
        .env(HOME, home)
        .stdout(Stdio::null())
        .status()
        .expect("a child");
    assert!(status.success(), "{status}");
}

fn noted(path: &Path) -> usize {
    std::fs::read_to_string(path).expect("a note").parse().expect("a number")
}

#[test]
fn i8_a_full_disk_refuses_or_is_counted() {
    let home = tempfile::tempdir().expect("a folder");
    run_child(home.path());

    let refused = home.path().join("refuse");
    let opened = count(&settings(&refused), "open");
    assert_eq!(opened.len(), noted(&refused.join("opened")));
    assert_eq!(count(&settings(&refused), "close").len(), opened.len());
    assert_eq!(count(&settings(&refused), "refuse").len(), 50 - opened.len() + 5);
    assert_eq!(named(&settings(&refused), "torn").len(), 1);
    verify_chain(&settings(&refused).folder).expect("a whole chain");

    let warned = settings(&home.path().join("warn"));
    let lost: usize =
        named(&warned, "lost").iter().map(|line| line["lines"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)).sum();
    assert_eq!(lost, noted(&home.path().join("warn/lost")));
    let written: usize = ["open", "close"].iter().map(|event| count(&warned, event).values().sum::<usize>()).sum();
    assert_eq!(written + lost, 2 * 8000);
    verify_chain(&warned.folder).expect("a whole chain");
}
