//! Several logs in one folder: one chains for all.

use std::time::Duration;

use super::{count, runtime, settings, start};
use crate::audit::{Kind, Since, Tail, verify_chain};

#[test]
fn the_one_that_chains_takes_the_others_lines() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = settings(home.path());
    let holder = start(home.path());
    // Its first line shows that it holds the chain.
    let mut tail = Tail::open(&settings.folder, Since::Start).expect("a tail");
    assert!(tail.next_line(Duration::from_secs(60)).expect("readable").is_some());
    let other = start(home.path());
    let id = runtime().block_on(async {
        let spool = other.spool().expect("a spool");
        let mut entry = spool.begin(Kind::Request);
        entry.open().await.expect("opened").id()
    });
    loop {
        let line = tail.next_line(Duration::from_secs(60)).expect("readable").expect("a line in time");
        if line.contains(id.as_str()) {
            break;
        }
    }
    other.stop();
    holder.stop();
    verify_chain(&settings.folder).expect("a whole chain");
}

#[test]
fn one_that_outlives_the_holder_takes_over() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = settings(home.path());
    let logs: Vec<_> = (0..4).map(|_| start(home.path())).collect();
    for log in &logs {
        runtime().block_on(async {
            let spool = log.spool().expect("a spool");
            for _ in 0..50 {
                spool.begin(Kind::Request).open().await.expect("opened");
            }
        });
        log.stop();
    }
    let opened = count(&settings, "open");
    assert_eq!((opened.len(), opened.values().sum::<usize>()), (200, 200));
    assert_eq!(count(&settings, "close").len(), 200);
    verify_chain(&settings.folder).expect("a whole chain");
}
