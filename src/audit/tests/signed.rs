//! Heads: what they prove, and what is found that the chain alone doesn't show.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::chained::{fill, segments};
use super::{chained, named, settings};
use crate::audit::trailer::{Link, Trailer};
use crate::audit::turn::Pace;
use crate::audit::vouched::Vouched;
use crate::audit::{Against, Error, Head, HeadKey, Log, PublicKey, Settings, Verified, verify};
use crate::seal::DataKey;

fn is_head(line: &[u8]) -> bool {
    Vouched::chained(line).is_some_and(|(said, _)| said == Vouched::Head)
}

pub(super) fn key(home: &Path) -> HeadKey {
    HeadKey::open_or_make(&home.join("audit.key.enc"), &DataKey::from_bytes([7; 32])).expect("a key")
}

pub(super) fn signing(home: &Path) -> Settings {
    Settings { head_key: Some(Arc::new(key(home))), ..settings(home) }
}

/// A stopped log with signed heads, over several segments.
pub(super) fn filled(home: &Path, requests: usize) -> Settings {
    let settings = signing(home);
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, requests);
    log.stop();
    settings
}

pub(super) fn against(home: &Path) -> Against {
    Against { keys: vec![key(home).public()], head: None }
}

pub(super) fn proven(home: &Path) -> Verified {
    verify(&settings(home).folder, &against(home)).expect("a whole log")
}

pub(super) fn broken(home: &Path, against: &Against) -> (u32, u64, &'static str) {
    match verify(&settings(home).folder, against) {
        Err(Error::Broken { segment, line, what }) => (segment, line, what),
        other => panic!("{other:?}"),
    }
}

/// What somebody does who can write every file but has no key: changes a line, and chains all lines after it anew.
fn forge(settings: &Settings, from: usize, change: impl Fn(&str) -> Option<String>) {
    let mut link = Link::FIRST;
    for (index, path) in segments(settings).into_iter().enumerate() {
        let mut out = Vec::new();
        for line in fs::read_to_string(&path).expect("text").lines() {
            let trailer = Trailer::read(line.as_bytes()).expect("a chained line");
            let body = line.split(",\"src\":\"").next().expect("a body").to_owned() + "}";
            let body = if index >= from { change(&body) } else { Some(body) };
            if let Some(body) = body {
                link.append(&mut out, body.as_bytes(), trailer.source, trailer.offset);
            }
        }
        fs::write(path, out).expect("written");
    }
}

fn renamed(line: &str) -> Option<String> {
    Some(line.replace("\"event\":\"open\"", "\"event\":\"0pen\""))
}

#[test]
fn a_head_is_signed_at_each_segments_end_and_at_the_logs() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let ends = segments(&settings).into_iter().map(|path| {
        let text = fs::read_to_string(path).expect("text");
        is_head(text.lines().last().expect("a line").as_bytes())
    });
    let ends: Vec<bool> = ends.collect();
    assert!(ends.len() > 3 && ends.iter().all(|head| *head), "{ends:?}");
    let verified = proven(home.path());
    let signed = verified.signed.expect("a head");
    assert_eq!((signed.line, signed.after), (verified.last, 0));
    assert!(signed.time.ends_with('Z'), "{}", signed.time);
}

#[test]
fn a_head_is_signed_now_and_then() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { head_every: Duration::from_millis(1), segment_bytes: 1 << 30, ..signing(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    let mut tail = crate::audit::Tail::open(&settings.folder, crate::audit::Since::Start).expect("a tail");
    for _ in 0..3 {
        fill(&log, 1);
        let mut next = || tail.next_line(Duration::from_secs(20)).expect("readable").expect("a head in time");
        while !is_head(next().as_bytes()) {}
    }
    log.stop();
}

#[test]
fn i8_a_log_that_was_made_anew_shows_at_the_next_head() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    forge(&settings, 1, renamed);
    super::super::verify_chain(&settings.folder).expect("the chain alone holds");
    let (segment, _line, what) = broken(home.path(), &against(home.path()));
    assert_eq!((segment, what), (2, "the head is not signed by the key of this log"));
}

#[test]
fn i8_a_log_whose_heads_were_left_out_shows_at_the_next_segment() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    forge(&settings, 1, |line| renamed(line).filter(|line| !line.contains("\"event\":\"head\"")));
    let (segment, line, what) = broken(home.path(), &against(home.path()));
    assert_eq!((segment, what), (2, "the segment ends without a head, although heads were signed before"));
    assert!(line > 10);
    forge(&settings, 0, |line| Some(line.to_owned()).filter(|line| !line.contains("\"event\":\"head\"")));
    assert_eq!(proven(home.path()).signed, None, "nothing is claimed of a log without any");
}

#[test]
fn lines_after_the_last_head_are_counted() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let last = segments(&settings).pop().expect("a segment");
    let text = fs::read_to_string(&last).expect("text");
    let without = text.lines().count() - 1;
    fs::write(&last, text.split_inclusive('\n').take(without).collect::<String>()).expect("written");
    let verified = proven(home.path());
    let signed = verified.signed.expect("the head before");
    assert!(signed.after > 0 && signed.line + signed.after == verified.last, "{signed:?}");
}

#[test]
fn i8_a_cut_at_the_end_shows_against_a_head_that_was_noted() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let noted = proven(home.path()).head;
    let held = Against { head: Some(noted), ..against(home.path()) };
    verify(&settings.folder, &held).expect("as it was");
    fs::remove_file(segments(&settings).pop().expect("a segment")).expect("removed");
    proven(home.path());
    let (segment, _line, what) = broken(home.path(), &held);
    assert_eq!(
        (segment as usize, what),
        (segments(&settings).len(), "the log ends here, before the line that the head was noted of: it was cut")
    );
    filled(home.path(), 300);
    let (_segment, _line, what) = broken(home.path(), &held);
    assert_eq!(what, "it is not the line that the head was noted of: the log was made anew before it");
}

#[test]
fn a_head_reads_back() {
    let home = tempfile::tempdir().expect("a folder");
    filled(home.path(), 1);
    let head = proven(home.path()).head;
    assert_eq!(head.to_string().parse(), Ok(head));
    for text in ["", "7", "7:", ":00", "x:00", &format!("{head}0")] {
        assert!(text.parse::<Head>().is_err(), "{text}");
    }
    let public = key(home.path()).public();
    assert_eq!(public.to_string().parse(), Ok(public));
    assert!("AAAA".parse::<PublicKey>().is_err());
}

#[test]
fn another_homes_key_proves_nothing_and_an_older_one_may_be_given() {
    let (home, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    filled(home.path(), 3);
    let old = key(home.path()).public();
    assert_eq!(broken(home.path(), &against(other.path())).2, "the head is not signed by the key of this log");
    fs::remove_file(home.path().join("audit.key.enc")).expect("lost");
    filled(home.path(), 3);
    assert_eq!(broken(home.path(), &against(home.path())).2, "the head is not signed by the key of this log");
    let both = Against { keys: vec![old, key(home.path()).public()], head: None };
    assert!(verify(&settings(home.path()).folder, &both).expect("a whole log").signed.is_some());
}

#[test]
fn i1_the_key_opens_with_the_vaults_key_only_and_is_never_shown() {
    let home = tempfile::tempdir().expect("a folder");
    let made = key(home.path());
    let file = home.path().join("audit.key.enc");
    assert_eq!(key(home.path()).public(), made.public(), "made once");
    assert!(matches!(HeadKey::open(&file, &DataKey::from_bytes([8; 32])), Err(Error::Key { .. })));
    let seed = crate::seal::open(&DataKey::from_bytes([7; 32]), &fs::read(&file).expect("read")).expect("opens");
    let shown = format!("{made:?} {:?} {}", signing(home.path()), made.public().pem());
    for text in [shown, fs::read_to_string(&file).expect("text")] {
        let spelt = [data_encoding::HEXLOWER.encode(&seed), data_encoding::BASE64.encode(&seed), format!("{seed:?}")];
        assert!(spelt.iter().all(|seed| !text.contains(seed.trim_end_matches('='))), "{text}");
    }
}

fn packed(settings: &Settings) -> Vec<PathBuf> {
    let entries = fs::read_dir(&settings.folder).expect("a folder").flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "zst")).collect()
}

#[test]
fn closed_segments_are_packed_and_read_as_before() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { pack: true, ..signing(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, 300);
    log.stop();
    // What was closed last is packed at the latest when the next one takes over.
    Log::start(settings.clone()).expect("a log").stop();
    assert!(packed(&settings).len() > 2, "{:?}", fs::read_dir(&settings.folder));
    let verified = proven(home.path());
    assert_eq!(verified.lines, chained(&settings).len() as u64);
    let told: Vec<String> = chained(&settings).into_iter().filter(|line| super::chained::is_told(line)).collect();
    for wanted in [1, 50, told.len() - 1, told.len()] {
        let mut tail = crate::audit::Tail::open(&settings.folder, crate::audit::Since::Last(wanted)).expect("a tail");
        let read = std::iter::from_fn(|| tail.next_line(Duration::ZERO).expect("readable"));
        let read: Vec<String> = read.filter(|line| super::chained::is_told(line)).collect();
        assert_eq!(read, told[told.len() - wanted..], "{wanted}");
    }
}

#[test]
fn i9_a_segment_that_was_packed_but_not_removed_is_packed_again_and_a_packed_last_one_is_not_written() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { pack: true, ..signing(home.path()) };
    filled(home.path(), 300);
    let plain = segments(&settings);
    let before = chained(&settings);
    for (number, path) in (1..).zip(&plain) {
        let text = fs::read(path).expect("read");
        crate::audit::pack::pack(&settings.folder, number, Pace::Brisk).expect("packed");
        if number == 2 {
            fs::write(path, text).expect("as if the process had died in between");
        }
    }
    let log = Log::start(settings.clone()).expect("a log");
    log.stop();
    assert_eq!(chained(&settings)[..before.len()], before);
    assert_eq!(segments(&settings).len(), 1, "one more, plain");
    proven(home.path());
}

#[test]
fn a_segment_ends_with_its_time_and_an_idle_log_stays_as_it_is() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { segment_age: Duration::ZERO, segment_bytes: 1 << 30, ..signing(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    let mut tail = crate::audit::Tail::open(&settings.folder, crate::audit::Since::Start).expect("a tail");
    let mut second = || tail.next_line(Duration::from_secs(20)).expect("readable").expect("a line in time");
    while !second().contains("\"segment\":\"2\"") {}
    log.stop();
    let verified = proven(home.path());
    // start, then stop: each its segment at most, and no more of them while nothing happens.
    assert!(verified.segments <= 4, "{verified:?}");
}

#[test]
fn what_is_not_kept_is_told_and_what_is_taken_away_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { keep_bytes: Some(40 * 1024), ..signing(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, 500);
    log.stop();
    assert!(!named(&settings, "forget").is_empty());
    let verified = proven(home.path());
    assert!(verified.first > 1 && verified.segments > 1, "{verified:?}");
    assert_eq!(verified.given_up, Some(true));
    let oldest = segments(&settings).remove(0);
    fs::remove_file(oldest).expect("removed");
    let (_segment, line, what) = broken(home.path(), &against(home.path()));
    assert_eq!((line, what), (1, "the segments before it are gone, and the log doesn't say that they are not kept"));
    let head = Head { seq: 1, hash: [0; 32] };
    let old = verify(&settings.folder, &Against { keys: Vec::new(), head: Some(head) });
    assert!(matches!(old, Err(Error::Broken { .. } | Error::Forgotten { .. })), "{old:?}");
}

#[test]
fn what_is_closed_in_a_hurry_is_packed_when_there_is_time_or_too_much() {
    use crate::audit::holder::Holder;
    use crate::audit::spool_file::SpoolFile;
    let (chunk, bell) = (64 * 1024, crate::audit::log::Bell::default());
    let line = format!("{{\"v\":1,\"event\":\"open\",\"path\":\"/{}\"}}\n", "a".repeat(980));
    for (chunks, keep_bytes, at_once) in [(6, None, 0), (13, None, 1), (6, Some(u64::MAX), 1)] {
        let home = tempfile::tempdir().expect("a folder");
        let settings = Settings { pack: true, keep_bytes, spool_file_bytes: u64::MAX, ..settings(home.path()) };
        fs::create_dir_all(settings.spools()).expect("folders");
        let mut spool = SpoolFile::create(&settings, 7, 1).expect("a spool");
        let lines = chunks * (chunk / line.len());
        spool.append(line.repeat(lines).as_bytes()).expect("written");
        let mut holder = Holder::claim(&settings, "0000000000000007-").expect("read").expect("nobody else");
        assert!(holder.round(&bell).expect("a round"));
        assert_eq!(packed(&settings).len(), at_once, "{chunks} chunks, {keep_bytes:?}");
        while holder.round(&bell).expect("a round") {}
        assert_eq!(packed(&settings).len(), chunks - 1, "all but the one that is written");
        assert_eq!(chained(&settings).len(), chunks + lines, "with a header each");
    }
}
