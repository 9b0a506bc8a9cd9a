//! A search answered piece by piece: every request once, whatever is written, packed or given up meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::indexed::{fill, filled, found, searches};
use super::settings;
use crate::audit::{Cursor, Format, FoundExport, Log, Order, Page, Paging, Record, Search, Settings, page};

fn paging(order: Order, from: Option<Cursor>, limit: usize) -> Paging {
    Paging { order, from, limit, patience: None }
}

fn piece(settings: &Settings, wanted: &Search, paging: &Paging) -> Page {
    page(&settings.folder, wanted, paging).expect("an index")
}

/// All pieces, one after the other; `between` is done after each.
fn pieces(settings: &Settings, wanted: &Search, (order, limit): (Order, usize), mut between: impl FnMut()) -> Vec<String> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let found = piece(settings, wanted, &paging(order, from, limit));
        assert!(found.records.len() <= limit && !found.behind);
        assert!(found.next.is_none() || found.next != from, "it goes on");
        all.extend(found.records.into_iter().map(|record| record.line));
        from = found.next;
        if from.is_none() {
            return all;
        }
        between();
    }
}

fn id(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("JSON");
    line["id"].as_str().or(line["event"].as_str()).expect("a name").to_owned()
}

#[test]
fn pieces_are_what_one_search_finds_in_both_orders() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 150);
    for (number, wanted) in searches().into_iter().enumerate() {
        let wanted = Search { limit: None, ..wanted };
        let all = found(&settings, &wanted);
        for order in [Order::Newest, Order::Oldest] {
            let mut lines = pieces(&settings, &wanted, (order, 1 + number % 40), || ());
            if order == Order::Newest {
                lines.reverse();
            }
            assert_eq!(lines, all, "{order:?} {wanted:?}");
        }
    }
}

#[test]
fn what_is_written_meanwhile_moves_nothing() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 200);
    let before: HashSet<String> = found(&settings, &Search::default()).into_iter().collect();
    let log: Arc<Log> = Log::start(settings.clone()).expect("a log");
    let newest = pieces(&settings, &Search::default(), (Order::Newest, 30), || fill(&log, 5));
    let oldest = pieces(&settings, &Search::default(), (Order::Oldest, 200), || ());
    log.stop();
    let once: HashSet<&String> = newest.iter().collect();
    assert_eq!(once.len(), newest.len(), "each once");
    assert!(before.iter().all(|line| once.contains(line)), "and none is left out");
    assert!(
        before.iter().all(|line| oldest.contains(line)) && oldest.len() > before.len(),
        "who reads onwards meets what is new"
    );
}

#[test]
fn what_is_given_up_meanwhile_is_left_out_and_all_else_is_there_once() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 400);
    let mut given_up = false;
    let newest = pieces(&settings, &Search::default(), (Order::Newest, 40), || {
        if !std::mem::replace(&mut given_up, true) {
            Log::start(Settings { keep_segments: Some(3), ..settings.clone() }).expect("a log").stop();
        }
    });
    let once: HashSet<&String> = newest.iter().collect();
    assert_eq!(once.len(), newest.len());
    let kept = found(&settings, &Search::default());
    let (first, now) = (id(newest.last().expect("some")), kept.iter().map(|line| id(line)).collect::<Vec<_>>());
    assert!(now.contains(&first), "nothing is told that is gone");
    let missing = kept.iter().filter(|line| !once.contains(line)).map(|line| id(line)).collect::<HashSet<_>>();
    assert!(missing.iter().all(|name| ["start", "stop", "forget"].contains(&name.as_str())), "{missing:?}");
}

#[test]
fn a_record_has_both_of_its_lines() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 120);
    let all = piece(&settings, &Search::default(), &paging(Order::Newest, None, 1000)).records;
    let (mut both, mut under_way) = (0, 0);
    for record in &all {
        let last: Value = serde_json::from_str(&record.line).expect("JSON");
        match (&record.opened, last["event"].as_str()) {
            (Some(opened), Some("close")) => {
                let opened: Value = serde_json::from_str(opened).expect("JSON");
                assert_eq!((&opened["event"], &opened["id"]), (&"open".into(), &last["id"]));
                both += 1;
            }
            (None, Some("open")) => under_way += 1,
            (None, Some("refuse" | "start" | "stop")) => {}
            odd => panic!("{odd:?}: {last}"),
        }
    }
    assert!(both > 70 && under_way > 5, "{both} {under_way}");
}

#[test]
fn a_text_is_looked_for_in_what_the_conditions_leave_and_in_bounded_time() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 300);
    let wanted = |text: &str, agent: Option<&str>| Search {
        text: Some(text.to_owned()),
        agent: agent.map(str::to_owned),
        ..Search::default()
    };
    let some = found(&settings, &wanted("OTHER.test", Some("ci")));
    let all = found(&settings, &Search { agent: Some("ci".to_owned()), ..Search::default() });
    let by_hand: Vec<String> = all.into_iter().filter(|line| line.contains("other.test")).collect();
    assert!(some.len() > 10 && some == by_hand, "{} {}", some.len(), by_hand.len());
    assert_eq!(pieces(&settings, &wanted("other.test", Some("ci")), (Order::Oldest, 7), || ()), by_hand);
    // Nothing has it: each piece says how far it came, and the next goes on from there.
    let (mut scanned, mut from, mut count) = (0, None, 0);
    loop {
        let impatient = Paging { patience: Some(Duration::ZERO), ..paging(Order::Newest, from, 10) };
        let found = piece(&settings, &wanted("nowhere", None), &impatient);
        assert!(found.records.is_empty());
        (scanned, count, from) = (scanned + found.scanned, count + 1, found.next);
        if from.is_none() {
            break;
        }
    }
    let all = found_everything(&settings);
    assert!(scanned == all && count > 1, "{scanned} of {all} in {count}");
}

fn found_everything(settings: &Settings) -> u64 {
    found(settings, &Search::default()).len() as u64
}

#[test]
fn agents_of_somebody_are_looked_up_together() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 60);
    let of = |agents: &[&str]| {
        let agents = Some(agents.iter().map(|name| (*name).to_owned()).collect());
        found(&settings, &Search { agents, ..Search::default() }).len()
    };
    assert_eq!((of(&["ci"]), of(&["ci", "cron"]), of(&["nobody\"',"]), of(&[])), (20, 40, 0, 0));
}

#[test]
fn an_empty_log_has_nothing_to_go_on_with() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = settings(home.path());
    drop(Log::start(settings.clone()).map(|log| log.stop()));
    let wanted = Search { agent: Some("nobody".to_owned()), ..Search::default() };
    for order in [Order::Newest, Order::Oldest] {
        let found = piece(&settings, &wanted, &paging(order, None, 10));
        assert!(found.records.is_empty() && found.next.is_none() && found.scanned == 0);
    }
}

fn file(settings: &Settings, format: Format, wanted: &Search) -> String {
    let mut export = FoundExport::new(&settings.folder, format, wanted.clone(), std::time::SystemTime::now());
    std::iter::from_fn(|| export.next_piece().expect("an index")).collect()
}

#[test]
fn a_file_has_all_that_is_found_the_oldest_first() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 1_600);
    let wanted = Search { agent: Some("ci".to_owned()), ..Search::default() };
    let records = piece(&settings, &wanted, &paging(Order::Oldest, None, 1_000)).records;
    assert!(records.len() > 500, "more than a piece: {}", records.len());
    let both = |record: &Record| record.opened.iter().chain([&record.line]).cloned().collect::<Vec<_>>();
    let lines: Vec<String> = records.iter().flat_map(both).collect();
    assert!(file(&settings, Format::Lines, &wanted).lines().eq(lines.iter().map(String::as_str)));
    let rows = file(&settings, Format::Csv, &wanted);
    assert_eq!((rows.lines().count(), rows.matches(",ci,").count()), (records.len() + 1, records.len()));
    let few = Search { limit: Some(7), ..wanted };
    assert!(file(&settings, Format::Ocsf, &few).lines().count() == 7);
    assert_eq!(file(&settings, Format::Otlp, &Search { agent: Some("nobody".to_owned()), ..Search::default() }), "");
}
