//! Segments: their chain, their ends, and the readers that follow them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{chained, count, named, runtime, settings, start};
use crate::audit::{Error, Kind, Log, Settings, Since, Tail, verify_chain};

/// A stopped log of `requests` requests, over several segments.
fn filled(home: &Path, requests: usize) -> Settings {
    let log = start(home);
    fill(&log, requests);
    log.stop();
    settings(home)
}

pub(super) fn fill(log: &std::sync::Arc<Log>, requests: usize) {
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        for _ in 0..requests {
            spool.begin(Kind::Request).open().await.expect("opened");
        }
    });
}

pub(super) fn segments(settings: &Settings) -> Vec<PathBuf> {
    let entries = fs::read_dir(&settings.folder).expect("a folder").flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    paths.sort();
    paths
}

/// Not the chain's own.
pub(super) fn is_told(line: &str) -> bool {
    !line.contains("\"event\":\"segment\"") && !line.contains("\"event\":\"head\"")
}

fn spools(settings: &Settings) -> Vec<PathBuf> {
    fs::read_dir(settings.spools()).expect("a folder").flatten().map(|entry| entry.path()).collect()
}

/// Changes the lines of the second segment.
fn tamper(settings: &Settings, change: impl FnOnce(&mut Vec<String>)) {
    let path = &segments(settings)[1];
    let mut lines: Vec<String> = fs::read_to_string(path).expect("text").lines().map(ToOwned::to_owned).collect();
    change(&mut lines);
    lines.push(String::new());
    fs::write(path, lines.join("\n")).expect("written");
}

fn broken_at(settings: &Settings) -> (u32, u64) {
    match verify_chain(&settings.folder) {
        Err(Error::Broken { segment, line, .. }) => (segment, line),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_untouched_log_verifies_and_leaves_no_spool() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let verified = verify_chain(&settings.folder).expect("a whole chain");
    assert!(verified.segments > 3, "{verified:?}");
    assert_eq!((verified.first, verified.last, verified.torn), (1, verified.lines, false));
    assert_eq!(verified.lines, chained(&settings).len() as u64);
    assert_eq!(count(&settings, "open").len(), 300);
    assert_eq!((named(&settings, "start").len(), named(&settings, "stop").len()), (1, 1));
    assert_eq!(spools(&settings), Vec::<PathBuf>::new());
}

/// Where the only `stop` stands, and how many lines of requests stand before it.
fn before_the_stop(settings: &Settings) -> (usize, usize) {
    let lines = chained(settings);
    let stop = lines.iter().position(|line| line.contains("\"event\":\"stop\"")).expect("a stop");
    let requests = lines[..stop].iter().filter(|line| line.contains("\"event\":\"close\"")).count();
    (lines.len() - stop, requests)
}

#[test]
fn the_end_stands_after_all_that_was_written_before_it() {
    let home = tempfile::tempdir().expect("a folder");
    // After its first look the chain rests until it is told to stop, so that the last lines of all workers are taken at once.
    let settings = Settings { poll: Duration::from_secs(60), ..settings(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    for _worker in 0..3 {
        fill(&log, 20);
    }
    log.stop();
    assert_eq!(before_the_stop(&settings), (1, 60));
}

#[test]
fn the_end_stands_last_where_another_process_chains() {
    let home = tempfile::tempdir().expect("a folder");
    let (settings, holder) = (settings(home.path()), start(home.path()));
    let mut tail = Tail::open(&settings.folder, Since::Start).expect("a tail");
    assert!(tail.next_line(Duration::from_secs(60)).expect("readable").is_some(), "it holds the chain");
    let other = start(home.path());
    for _worker in 0..3 {
        fill(&other, 20);
    }
    other.stop();
    while !tail.next_line(Duration::from_secs(10)).expect("a readable log").expect("a stop").contains("\"event\":\"stop\"") {}
    assert_eq!(before_the_stop(&settings).1, 60);
    holder.stop();
}

/// A process that died while it removed one.
#[test]
fn a_spool_that_was_shortened_and_not_removed_is_removed_and_nothing_of_it_is_taken_again() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { segment_bytes: 1024 * 1024, ..settings(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, 40);
    log.stop();
    let before = chained(&settings);
    let mut sources = before.iter().filter_map(|line| line.split("\"src\":\"").nth(1)?.split(':').next());
    let last = sources.rfind(|source| *source != "chain").expect("a spool");
    fs::write(settings.spools().join(format!("{last}.spool")), "{\"v\":1}\n").expect("written");
    Log::start(settings.clone()).expect("a log").stop();
    assert_eq!(spools(&settings), Vec::<PathBuf>::new());
    let after = chained(&settings);
    let again = after[before.len()..].iter().filter(|line| line.contains(&format!("\"src\":\"{last}:")));
    assert_eq!((again.count(), after.len() > before.len()), (0, true), "{after:#?}");
    verify_chain(&settings.folder).expect("a whole chain");
}

#[test]
fn an_edit_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    tamper(&settings, |lines| lines[4] = lines[4].replace("\"v\":1", "\"v\":2"));
    assert_eq!(broken_at(&settings), (2, 5), "the line itself, though it is the next one that shows it");
}

#[test]
fn an_edit_of_what_a_line_is_chained_to_shows_there() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    tamper(&settings, |lines| {
        let at = lines[4].len() - 3;
        let other = if lines[4].as_bytes()[at] == b'0' { "1" } else { "0" };
        lines[4].replace_range(at..=at, other);
    });
    assert_eq!(broken_at(&settings), (2, 5));
}

#[test]
fn of_several_edits_the_first_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    tamper(&settings, |lines| lines[4..9].iter_mut().for_each(|line| *line = line.replace("\"v\":1", "\"v\":2")));
    assert_eq!(broken_at(&settings), (2, 5));
}

#[test]
fn a_segment_that_is_put_back_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let paths = segments(&settings);
    fs::copy(&paths[0], &paths[2]).expect("copied");
    assert_eq!(broken_at(&settings), (3, 1));
    for path in &paths[2..] {
        fs::remove_file(path).expect("removed");
    }
    fs::copy(&paths[0], &paths[2]).expect("copied");
    assert_eq!(broken_at(&settings), (3, 1));
}

#[test]
fn a_swap_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    tamper(&settings, |lines| lines.swap(4, 5));
    assert_eq!(broken_at(&settings), (2, 5));
}

#[test]
fn a_cut_in_the_middle_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    tamper(&settings, |lines| drop(lines.remove(4)));
    assert_eq!(broken_at(&settings), (2, 5));
}

#[test]
fn a_cut_at_a_segments_end_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    tamper(&settings, |lines| drop(lines.pop()));
    assert_eq!(broken_at(&settings), (3, 1));
}

#[test]
fn an_added_line_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    tamper(&settings, |lines| lines.insert(4, "{}".into()));
    assert_eq!(broken_at(&settings), (2, 5));
}

#[test]
fn a_missing_segment_shows() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    fs::remove_file(&segments(&settings)[1]).expect("removed");
    assert_eq!(broken_at(&settings), (3, 1));
}

#[test]
fn a_later_run_goes_on_with_the_chain() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 30);
    let before = verify_chain(&settings.folder).expect("a whole chain");
    filled(home.path(), 30);
    let after = verify_chain(&settings.folder).expect("a whole chain");
    assert!(after.last > before.last + 60);
    assert_eq!(count(&settings, "open").len(), 60);
}

#[test]
fn a_torn_end_is_taken_again_from_its_spool() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let last = segments(&settings).pop().expect("a segment");
    let bytes = fs::read(&last).expect("bytes");
    fs::write(&last, &bytes[..bytes.len() - 7]).expect("written");
    assert!(verify_chain(&settings.folder).expect("a whole chain").torn);
    start(home.path()).stop();
    assert!(!verify_chain(&settings.folder).expect("a whole chain").torn);
}

#[test]
fn what_a_dead_process_left_is_chained_once_and_its_torn_line_told() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 3);
    let left = settings.spools().join("00000000000000aa-0001-00000001.spool");
    let whole = "{\"v\":1,\"event\":\"open\",\"id\":\"A\"}\n{\"v\":1,\"ev\u{18}\n{\"v\":1,\"event\":\"close\",\"id\":\"A\"}\n";
    fs::write(&left, format!("{whole}{{\"v\":1,\"event\":\"op")).expect("written");
    fs::write(settings.spools().join("not a spool.txt"), "x").expect("written");
    start(home.path()).stop();
    start(home.path()).stop();
    assert!(!left.exists());
    assert_eq!((count(&settings, "open")["A"], count(&settings, "close")["A"]), (1, 1));
    let torn: Vec<_> = named(&settings, "torn").into_iter().map(|line| line["text"].clone()).collect();
    assert_eq!(torn, ["{\"v\":1,\"ev", "{\"v\":1,\"event\":\"op"]);
    verify_chain(&settings.folder).expect("a whole chain");
}

#[test]
fn i9_a_spool_that_was_chained_but_not_removed_is_not_chained_again() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { segment_bytes: 1024 * 1024, spool_file_bytes: 1024 * 1024, ..settings(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    let copies = tempfile::tempdir().expect("a folder");
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        for _ in 0..40 {
            spool.begin(Kind::Request).open().await.expect("opened");
        }
        spool.flush();
        for path in spools(&settings) {
            fs::copy(&path, copies.path().join(path.file_name().expect("a name"))).expect("copied");
        }
    });
    log.stop();
    let before = count(&settings, "open");
    // As if the process had died between the last append and the removals.
    for copy in fs::read_dir(copies.path()).expect("a folder").flatten() {
        fs::copy(copy.path(), settings.spools().join(copy.file_name())).expect("copied");
    }
    start(home.path()).stop();
    assert_eq!(count(&settings, "open"), before);
    assert!(before.values().all(|&times| times == 1));
}

#[test]
fn only_the_newest_segments_are_kept() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { keep_segments: Some(2), ..settings(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, 300);
    log.stop();
    assert_eq!(segments(&settings).len(), 2);
    let verified = verify_chain(&settings.folder).expect("a whole chain");
    assert!(verified.first > 1 && verified.last > 600, "{verified:?}");
}

#[test]
fn a_folder_that_others_can_read_is_refused() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = settings(home.path());
    fs::create_dir(&settings.folder).expect("a folder");
    fs::set_permissions(&settings.folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("open to all");
    assert!(matches!(Log::start(settings), Err(Error::Exposed { .. })));
}

#[test]
fn i9_a_symlink_is_never_followed() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 3);
    let target = home.path().join("precious");
    fs::write(&target, "precious").expect("written");
    for segment in segments(&settings) {
        fs::remove_file(&segment).expect("removed");
        std::os::unix::fs::symlink(&target, &segment).expect("a link");
    }
    std::os::unix::fs::symlink(&target, settings.spools().join("00000000000000bb-0001-00000001.spool")).expect("a link");
    start(home.path()).stop();
    assert_eq!(fs::read_to_string(&target).expect("text"), "precious");
}

#[test]
fn a_tail_reads_from_where_it_is_told() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let all: Vec<String> = chained(&settings).into_iter().filter(|line| is_told(line)).collect();
    for wanted in [0, 1, 2, 50, all.len() - 1, all.len(), all.len() + 5] {
        let mut tail = Tail::open(&settings.folder, Since::Last(wanted)).expect("a tail");
        let read = std::iter::from_fn(|| tail.next_line(Duration::ZERO).expect("readable"));
        let read: Vec<String> = read.filter(|line| is_told(line)).collect();
        assert_eq!(read, all[all.len() - wanted.min(all.len())..], "{wanted}");
    }
}

#[test]
fn a_tail_follows_across_segments() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 10);
    let mut tail = Tail::open(&settings.folder, Since::End).expect("a tail");
    assert_eq!(tail.next_line(Duration::ZERO).expect("readable"), None);
    let before = chained(&settings).len();
    let writer = {
        let home = home.path().to_owned();
        std::thread::spawn(move || filled(&home, 300))
    };
    let mut read = Vec::new();
    while !read.last().is_some_and(|line: &String| line.contains("\"event\":\"stop\"")) {
        read.push(tail.next_line(Duration::from_secs(60)).expect("readable").expect("a line in time"));
    }
    writer.join().expect("no panic");
    while let Some(line) = tail.next_line(Duration::ZERO).expect("readable") {
        read.push(line);
    }
    assert_eq!(read, chained(&settings)[before..]);
}

#[test]
fn a_tail_waits_for_a_log_that_is_not_there_yet() {
    let home = tempfile::tempdir().expect("a folder");
    let mut tail = Tail::open(&settings(home.path()).folder, Since::End).expect("a tail");
    assert_eq!(tail.next_line(Duration::ZERO).expect("readable"), None);
    filled(home.path(), 1);
    assert!(tail.next_line(Duration::ZERO).expect("readable").expect("a line").contains("\"event\":\"segment\""));
}
