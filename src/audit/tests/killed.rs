//! I8 against `kill -9`: a child tells every id whose opening line it was promised; none of them may be missing afterwards.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};

use super::{count, events, runtime, settings, start};
use crate::audit::{Kind, verify_chain};

const HOME: &str = "NEXUS_TEST_AUDIT_KILLED";
const RUNS: usize = 50;

/// The child: opens and closes records until it is killed. Without its variable it is not a child and has nothing to do.
#[test]
fn child_of_i8_kill() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    let log = start(&home);
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        for _ in 0..8 {
            let spool = spool.clone();
            tokio::task::spawn_local(async move {
                loop {
                    let mut entry = spool.begin(Kind::Request);
                    let id = entry.open().await.expect("opened").id();
                    // Straight to the pipe: the test harness keeps what `println` says.
                    std::io::stdout().write_all(format!("\nopened {id}\n").as_bytes()).expect("a parent");
                }
            });
        }
        std::future::pending::<()>().await;
    });
}

fn told(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Option<String> {
    lines.find_map(|line| line.expect("text").strip_prefix("opened ").map(ToOwned::to_owned))
}

/// Kills a child after it told so many ids; every id it told.
fn one_run(home: &std::path::Path, until: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["audit::tests::killed::child_of_i8_kill", "--exact", "--nocapture", "--test-threads=1"])
        .env(HOME, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child");
    let stdout: ChildStdout = child.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(stdout).lines();
    let mut ids: Vec<String> = std::iter::from_fn(|| told(&mut lines)).take(until).collect();
    assert_eq!(ids.len(), until, "the child died by itself");
    child.kill().expect("killed");
    // A last line without its end was not told in full.
    ids.extend(std::iter::from_fn(|| told(&mut lines)).filter(|id| id.len() == 26));
    child.wait().expect("reaped");
    ids
}

#[test]
fn i8_no_opened_request_is_missing_after_kill_9() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = settings(home.path());
    let mut told = Vec::new();
    for _ in 0..RUNS {
        let until = 1 + (getrandom::u32().expect("random") % 400) as usize;
        told.extend(one_run(home.path(), until));
    }
    start(home.path()).stop();
    let opened = count(&settings, "open");
    let missing: Vec<_> = told.iter().filter(|id| !opened.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {:?}", missing.len(), told.len(), missing.first());
    let closed = count(&settings, "close");
    let twice: Vec<_> = opened.iter().chain(&closed).filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(told.len() > RUNS && events(&settings).len() > told.len());
    verify_chain(&settings.folder).expect("a whole chain");
}
