//! What somebody does to a log who can write its folder while no proxy is up, and has no key.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::chained::{fill, segments};
use super::signed::{against, broken, filled, proven, signing};
use super::{chained, named};
use crate::audit::trailer::{Link, Trailer};
use crate::audit::{Against, Carried, Kind, Log, Settings, verify};

/// Chains `events` to the log as anybody can.
fn append(settings: &Settings, events: &[&str]) {
    let last = chained(settings).pop().expect("a line");
    let mut link = Link::after(Trailer::read(last.as_bytes()).expect("a chained line").link.seq, last.as_bytes());
    let mut out = Vec::new();
    for event in events {
        link.append(&mut out, event.as_bytes(), "chain", 0);
    }
    let path = segments(settings).pop().expect("a segment");
    fs::OpenOptions::new().append(true).open(path).expect("a segment").write_all(&out).expect("written");
}

const FORGET: &str = r#"{"v":1,"event":"forget","time":"2026-01-01T00:00:00.000000Z","through":"2"}"#;

fn run(settings: &Settings) {
    Log::start(settings.clone()).expect("a log").stop();
}

#[test]
fn i8_history_that_somebody_says_is_not_kept_shows_before_and_after_the_next_start() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let noted = proven(home.path()).head;
    append(&settings, &[FORGET]);
    for path in &segments(&settings)[..2] {
        fs::remove_file(path).expect("removed");
    }
    let what = "it says that older segments are not kept, and is not signed by the key of this log";
    assert_eq!(broken(home.path(), &against(home.path())).2, what);
    assert_eq!(broken(home.path(), &Against { head: Some(noted), ..against(home.path()) }).2, what);
    run(&settings);
    assert_eq!(broken(home.path(), &against(home.path())).2, what);
    // Who has no key is told that it is anybody's word.
    let unkeyed = verify(&settings.folder, &Against::default()).expect("a chain");
    assert!(unkeyed.first > 1 && unkeyed.given_up == Some(false), "{unkeyed:?}");
}

#[test]
fn i8_a_signature_of_another_line_vouches_for_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { keep_segments: Some(3), ..signing(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, 300);
    log.stop();
    let own = chained(&settings).into_iter().rfind(|line| line.contains(r#""event":"forget""#)).expect("one");
    append(&settings, &[&(own.split(",\"src\":").next().expect("a body").to_owned() + "}")]);
    assert!(broken(home.path(), &against(home.path())).2.contains("is not signed"));
}

/// What was found of lines that had no head, and what the log says of it.
fn carried(home: &Path, settings: &Settings) -> Vec<(u64, u64)> {
    let found: Vec<Carried> = proven(home).carried;
    assert_eq!(found.len(), named(settings, "carried").len());
    found.iter().map(|one| (one.from, one.through)).collect()
}

#[test]
fn i8_lines_that_came_while_no_proxy_was_up_are_told_before_they_are_signed() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    run(&settings);
    assert_eq!(carried(home.path(), &settings), [], "a stop and a start leave none");
    let last = proven(home.path()).last;
    append(&settings, &[r#"{"v":1,"event":"open"}"#, r#"{"v":1,"event":"close"}"#]);
    run(&settings);
    assert_eq!(carried(home.path(), &settings), [(last + 1, last + 2)]);
    let verified = proven(home.path());
    assert_eq!(verified.signed.expect("a head").after, 0);
    run(&settings);
    assert_eq!(carried(home.path(), &settings).len(), 1, "once");
}

#[test]
fn i8_lines_in_a_spool_that_nobody_writes_are_told_as_well() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 3);
    let last = proven(home.path()).last;
    let lines = "{\"v\":1,\"event\":\"open\"}\n".repeat(3);
    fs::write(settings.spools().join("00000000000000aa-0001-00000001.spool"), lines).expect("written");
    run(&settings);
    assert_eq!(carried(home.path(), &settings), [(last + 1, last + 3)]);
    // More of them than a segment takes: whatever is signed on the way is told before.
    let last = proven(home.path()).last;
    let lines = format!("{{\"v\":1,\"event\":\"open\",\"path\":\"/{}\"}}\n", "x".repeat(200)).repeat(4000);
    fs::write(settings.spools().join("00000000000000ab-0001-00000001.spool"), lines).expect("written");
    run(&settings);
    let told = carried(home.path(), &settings);
    assert!(told.len() > 2 && told[1].0 == last + 1, "{told:?}");
    assert!(told[1..].iter().map(|(from, through)| through - from + 1).sum::<u64>() >= 4000, "{told:?}");
}

#[test]
fn what_waits_is_what_is_not_chained() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = signing(home.path());
    let log = Log::start(settings.clone()).expect("a log");
    super::runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        for _ in 0..20 {
            spool.begin(Kind::Request).open().await.expect("opened");
        }
        let begun = std::time::Instant::now();
        while verify(&settings.folder, &against(home.path())).expect("a log").waiting > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "all of it is chained");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(fs::read_dir(settings.spools()).expect("a folder").count() > 0, "the spools are there");
    });
    log.stop();
    fs::write(settings.spools().join("00000000000000aa-0001-00000001.spool"), "{\"v\":1}\n").expect("written");
    assert_eq!(proven(home.path()).waiting, 8);
}
