//! A log that is proven again and again: what did not change is read once, and whatever did is found as if all were read.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::chained::{fill, segments};
use super::signed::{against, filled, signing};
use crate::audit::{Error, Log, Prover, Settings, Verified, pack::pack, turn::Pace, verify};

fn prove(prover: &mut Prover, settings: &Settings) -> Result<Verified, Error> {
    prover.prove(&settings.folder, |_| true)
}

/// As by a prover that knows nothing.
fn same(prover: &mut Prover, home: &Path, settings: &Settings) -> usize {
    let found = prove(prover, settings).expect("a whole log");
    let anew = verify(&settings.folder, &against(home)).expect("a whole log");
    let read = found.read;
    assert_eq!(Verified { read: anew.read, ..found }, anew);
    read
}

#[test]
fn what_did_not_change_is_read_once() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let mut prover = Prover::new(against(home.path()));
    let all = segments(&settings).len();
    assert!(all > 3);
    assert_eq!(same(&mut prover, home.path(), &settings), all);
    assert_eq!(same(&mut prover, home.path(), &settings), 1, "the one that is written");
    // More of it, one of it packed, and the oldest given up: only what is new is read.
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, 200);
    log.stop();
    let more = segments(&settings).len() - all;
    let read = same(&mut prover, home.path(), &settings);
    assert!(read == more + 1, "{read} of {more} more");
    pack(&settings.folder, 2, Pace::Brisk).expect("packed");
    assert_eq!(same(&mut prover, home.path(), &settings), 2, "another file, though it says the same");
    Log::start(Settings { keep_segments: Some(3), ..settings.clone() }).expect("a log").stop();
    let read = same(&mut prover, home.path(), &settings);
    assert!(read <= 3, "{read}");
    prover.forget();
    assert!(same(&mut prover, home.path(), &settings) >= 3);
}

#[test]
fn i8_a_line_that_is_changed_after_it_was_proven_is_found() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let mut prover = Prover::new(against(home.path()));
    let all = segments(&settings).len();
    same(&mut prover, home.path(), &settings);
    // One byte, and the file is as old and as long as before.
    let path = &segments(&settings)[1];
    let file = fs::OpenOptions::new().write(true).open(path).expect("a file");
    let (before, times) = (fs::read(path).expect("read"), file.metadata().expect("there").modified().expect("a time"));
    let place = before.iter().rposition(|byte| *byte == b'\n').map(|end| end - 200).expect("a line");
    file.write_all_at(b"~", place as u64).expect("written");
    file.set_modified(times).expect("set back");
    let found = prove(&mut prover, &settings);
    assert!(matches!(found, Err(Error::Broken { segment: 2, .. })), "{found:?}");
    assert!(matches!(prove(&mut prover, &settings), Err(Error::Broken { segment: 2, .. })), "and stays");
    file.write_all_at(&before[place..=place], place as u64).expect("written");
    let read = same(&mut prover, home.path(), &settings);
    assert!(read <= 3 && read < all, "what follows was not touched: {read}");
}

#[test]
fn i8_a_segment_that_is_taken_away_or_put_in_anothers_place_is_found() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let mut prover = Prover::new(against(home.path()));
    same(&mut prover, home.path(), &settings);
    let paths = segments(&settings);
    let aside = home.path().join("aside");
    fs::rename(&paths[1], &aside).expect("moved");
    assert!(matches!(prove(&mut prover, &settings), Err(Error::Broken { segment: 3, line: 1, .. })));
    fs::copy(&paths[2], &paths[1]).expect("copied");
    assert!(matches!(prove(&mut prover, &settings), Err(Error::Broken { .. })));
    fs::rename(&aside, &paths[1]).expect("moved back");
    same(&mut prover, home.path(), &settings);
}

#[test]
fn it_tells_how_far_it_is_and_ends_when_it_should() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { pack: false, ..signing(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, 200);
    log.stop();
    let (mut prover, mut told) = (Prover::new(against(home.path())), Vec::new());
    let stopped = prover.prove(&settings.folder, |progress| {
        told.push(progress);
        told.len() < 2
    });
    assert!(matches!(stopped, Err(Error::Stopped)) && told.len() == 2, "{told:?}");
    assert!(told[1].segments == 2 && told[1].of == segments(&settings).len() && told[1].lines > told[0].lines, "{told:?}");
    let whole = prove(&mut prover, &settings).expect("a whole log");
    assert_eq!(whole.read, whole.segments - 2, "what was read counts");
}
