//! I8 on a disk that is really full: a small tmpfs of the test's own, in a mount namespace of its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::chained::fill;
use super::{count, named, runtime, settings};
use crate::audit::{Error, Kind, Log, OnFailure, Settings, Spool, verify_chain};

const HOME: &str = "NEXUS_TEST_AUDIT_FULL";
/// Of the disk; what is kept in memory while it is full (1 MiB) has room on it, twice: in a spool and in segments.
const SIZE: &str = "8m";

/// What takes all the room there is, until it is dropped.
struct Filler(PathBuf);

impl Filler {
    fn new(settings: &Settings) -> Self {
        let path = settings.folder.join("filler");
        let mut file = fs::File::create(&path).expect("a file");
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Self(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("removed");
    }
}

async fn try_many(spool: &Spool, times: usize) -> Vec<Result<(), Error>> {
    let mut results = Vec::new();
    for _ in 0..times {
        results.push(spool.begin(Kind::Request).open().await.map(drop));
    }
    results
}

/// The child: meets the full disk in every way there is. Without its variable it has nothing to do.
#[test]
fn child_of_i8_full_disk() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    let settings = Settings { pack: true, ..settings(&home) };
    // Each with the whole disk to itself.
    for behaviour in [refused, unclosed, passed_on, unchained] {
        behaviour(&settings);
        fs::remove_dir_all(&settings.folder).expect("removed");
    }
}

fn start(settings: &Settings) -> Arc<Log> {
    Log::start(settings.clone()).expect("a log")
}

/// `refuse`: what can't be written doesn't leave; once there is room again it does. Every line that was promised is there, once.
fn refused(settings: &Settings) {
    let log = start(settings);
    let opened = runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        let before = try_many(&spool, 20).await;
        assert!(before.iter().all(Result::is_ok), "{before:?}");
        let filler = Filler::new(settings);
        let during = try_many(&spool, 60).await;
        let opened = during.iter().take_while(|result| result.is_ok()).count();
        // What is left of the last page of the spool can still be written.
        assert!(opened < 20, "{opened}");
        assert!(during[opened..].iter().all(|result| matches!(result, Err(Error::Io { doing: "write", .. }))), "{during:?}");
        drop(filler);
        assert!(try_many(&spool, 20).await.iter().all(Result::is_ok));
        opened + 40
    });
    log.stop();
    let lines = count(settings, "open");
    assert_eq!((lines.len(), lines.values().sum::<usize>()), (opened, opened));
    verify_chain(&settings.folder).expect("a whole chain");
}

/// What left before can't be closed while the disk is full: its last line waits and comes later.
fn unclosed(settings: &Settings) {
    let log = start(settings);
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        let mut entries: Vec<_> = (0..40).map(|_| spool.begin(Kind::Request)).collect();
        for entry in &mut entries {
            entry.open().await.expect("opened");
        }
        let filler = Filler::new(settings);
        drop(entries);
        spool.flush();
        assert!(spool.counters().failures > 0, "{:?}", spool.counters());
        drop(filler);
        spool.flush();
        assert_eq!(spool.counters().lost, 0);
    });
    log.stop();
    assert_eq!((count(settings, "open").len(), count(settings, "close").len()), (40, 40));
    verify_chain(&settings.folder).expect("a whole chain");
}

/// `warn`: all of it leaves, and the log counts what it could not keep.
fn passed_on(settings: &Settings) {
    let settings = &Settings { on_failure: OnFailure::Warn, ..settings.clone() };
    let log = start(settings);
    let lost = runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        let filler = Filler::new(settings);
        assert!(try_many(&spool, 8000).await.iter().all(Result::is_ok));
        drop(filler);
        spool.flush();
        spool.counters().lost
    });
    log.stop();
    let told = named(settings, "lost");
    let told: u64 = told.iter().filter_map(|line| line["lines"].as_str()?.parse::<u64>().ok()).sum();
    assert!(lost > 0 && told >= lost, "{lost} {told}");
    verify_chain(&settings.folder).expect("a whole chain");
}

/// Nothing can be chained, packed or rotated while the disk is full: the spools wait, and nothing of them is taken twice.
fn unchained(settings: &Settings) {
    let log = start(settings);
    fill(&log, 100);
    for _ in 0..3 {
        let filler = Filler::new(settings);
        runtime().block_on(async {
            let spool = log.spool().ok();
            for result in match &spool {
                Some(spool) => try_many(spool, 30).await,
                None => Vec::new(),
            } {
                result.unwrap_or_default();
            }
        });
        drop(filler);
        fill(&log, 30);
    }
    log.stop();
    let (opened, closed) = (count(settings, "open"), count(settings, "close"));
    assert!(opened.len() >= 190 && opened.values().chain(closed.values()).all(|times| *times == 1), "{}", opened.len());
    assert!(opened.keys().all(|id| closed.contains_key(id)));
    verify_chain(&settings.folder).expect("a whole chain");
}

/// As root in a mount namespace, else in a user namespace as well.
fn on_small_disk(folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.arg(if rustix::process::geteuid().is_root() { "-m" } else { "-rm" });
    command
        .args(["sh", "-c", "mount -t tmpfs -o mode=700,size=\"$1\" none \"$0\" && shift && exec \"$@\""])
        .arg(folder)
        .arg(SIZE);
    command
}

#[test]
#[cfg(target_os = "linux")]
fn i8_a_disk_that_is_full_refuses_passes_on_or_waits_as_it_is_told() {
    let home = tempfile::tempdir().expect("a folder");
    let output = on_small_disk(home.path())
        .arg(std::env::current_exe().expect("this test"))
        .args(["audit::tests::full::child_of_i8_full_disk", "--exact", "--nocapture", "--test-threads=1"])
        .env(HOME, home.path())
        .stdin(Stdio::null())
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
