//! The index: it says what the segments say, whatever became of it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;
use serde_json::Value;

use super::chained::segments;
use super::{chained, runtime, settings};
use crate::audit::{Kind, Log, Search, Settings, StatusRange, Verdict, search};
use crate::model::Scheme;

const AGENTS: [&str; 3] = ["ci", "laptop", "cron"];
const HOSTS: [&str; 4] = ["api.acme.test", "acme.test", "api.other.test", "evilacme.test"];
const PROVIDERS: [Option<&str>; 3] = [Some("github"), Some("stripe"), None];
const STATUSES: [u16; 4] = [200, 204, 404, 503];

/// Requests of every kind; every seventh is refused, every fifth of the last hundred is still under way when the log ends.
pub(super) fn fill(log: &Arc<Log>, requests: usize) {
    runtime().block_on(async {
        let spool = log.spool().expect("a spool");
        for number in 0..requests {
            let mut entry = spool.begin(Kind::Request);
            entry.agent(&AGENTS[number % 3].parse().expect("a name"));
            if number % 10 == 3 {
                entry.lease("L1");
            }
            let authority = format!("{}:443", HOSTS[number % 4]).parse().expect("an authority");
            entry.request(Scheme::Https, &Method::GET, &authority, "/x");
            if let Some(provider) = PROVIDERS[number / 2 % 3] {
                entry.provider(&provider.parse().expect("a name"));
                entry.verdict(Verdict::Inject);
            } else {
                entry.verdict(Verdict::Pass);
            }
            if number % 7 == 6 {
                entry.refusal("policy", 403);
                continue;
            }
            entry.open().await.expect("opened");
            entry.status(STATUSES[number / 3 % 4]);
            if number % 5 == 0 && requests - number < 100 {
                std::mem::forget(entry);
            }
        }
        spool.flush();
    });
}

pub(super) fn filled(home: &Path, requests: usize) -> Settings {
    let settings = Settings { pack: true, ..settings(home) };
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, requests);
    log.stop();
    settings
}

/// All lines, read from one end to the other.
struct Scan {
    lines: Vec<(String, Value)>,
    ended: HashSet<String>,
    providers: HashMap<String, String>,
}

fn text(line: &Value, name: &str) -> String {
    line[name].as_str().unwrap_or_default().to_owned()
}

impl Scan {
    fn of(settings: &Settings) -> Self {
        let parse = |line: String| {
            let parsed = serde_json::from_str(&line).expect("JSON");
            (line, parsed)
        };
        let lines: Vec<(String, Value)> = chained(settings).into_iter().map(parse).collect();
        let ended = lines.iter().filter(|(_, line)| line["event"] != "open").map(|(_, line)| text(line, "id")).collect();
        let opened = lines.iter().filter(|(_, line)| line["event"] == "open");
        let providers = opened.map(|(_, line)| (text(line, "id"), text(line, "provider"))).collect();
        Self { lines, ended, providers }
    }

    fn fits(&self, search: &Search, line: &Value) -> bool {
        let is = |wanted: &Option<String>, found: String| wanted.as_ref().is_none_or(|wanted| *wanted == found);
        let (id, event, host) = (text(line, "id"), text(line, "event"), text(line, "host"));
        let provider = self.providers.get(&id).cloned().unwrap_or_else(|| text(line, "provider"));
        let status: u64 = line["status"].as_u64().unwrap_or_default();
        let ranges: [(&str, std::ops::Range<u64>); 3] = [("404", 404..405), ("2xx", 200..300), ("5xx", 500..600)];
        let in_status = |wanted: &StatusRange| {
            ranges.iter().any(|(word, range)| word.parse().as_ref() == Ok(wanted) && range.contains(&status))
        };
        !matches!(event.as_str(), "segment" | "head")
            && (event != "open" || !self.ended.contains(&id))
            && is(&search.agent, text(line, "agent"))
            && is(&search.lease, text(line, "lease"))
            && is(&search.provider, provider)
            && is(&search.verdict, text(line, "verdict"))
            && search.host.as_ref().is_none_or(|wanted| match wanted.strip_prefix('*') {
                Some(suffix) => host.ends_with(suffix),
                None => host == *wanted,
            })
            && search.status.as_ref().is_none_or(in_status)
    }

    /// The last line of each request that fits, or its first where that is all there is; and events.
    fn find(&self, search: &Search) -> Vec<String> {
        let mut found: Vec<_> = self.lines.iter().filter(|(_, line)| self.fits(search, line)).collect();
        found.sort_by_key(|(_, line)| text(line, "time"));
        let surplus = found.len().saturating_sub(search.limit.unwrap_or(usize::MAX));
        found.drain(surplus..).map(|(line, _)| line.clone()).collect()
    }
}

/// What a scan finds.
fn scanned(settings: &Settings, search: &Search) -> Vec<String> {
    Scan::of(settings).find(search)
}

pub(super) fn found(settings: &Settings, wanted: &Search) -> Vec<String> {
    search(&settings.folder, wanted, |_| {}).expect("an index")
}

/// Every combination of conditions.
pub(super) fn searches() -> Vec<Search> {
    let mut all = vec![Search::default()];
    let some = |words: &[&str]| -> Vec<Option<String>> {
        [None].into_iter().chain(words.iter().map(|word| Some((*word).to_owned()))).collect()
    };
    let leases = some(&["L1", "L2"]);
    let (agents, hosts) = (some(&["ci", "nobody"]), some(&["api.acme.test", "*.acme.test"]));
    for agent in &agents {
        for host in &hosts {
            for provider in &some(&["stripe"]) {
                for verdict in &some(&["inject", "refuse"]) {
                    for (status, lease) in pairs(&[None, Some("404"), Some("2xx"), Some("5xx")], &leases) {
                        all.push(Search {
                            agent: agent.clone(),
                            lease: lease.clone(),
                            host: host.clone(),
                            provider: provider.clone(),
                            verdict: verdict.clone(),
                            status: status.map(|status| status.parse().expect("a status")),
                            limit: (all.len() % 3 == 0).then_some(7),
                            ..Search::default()
                        });
                    }
                }
            }
        }
    }
    all
}

fn pairs<'a, A: Copy, B>(some: &'a [A], others: &'a [B]) -> impl Iterator<Item = (A, &'a B)> {
    some.iter().flat_map(move |one| others.iter().map(move |other| (*one, other)))
}

#[test]
fn an_index_of_another_version_is_made_anew() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 50);
    let wanted = Search { lease: Some("L1".to_owned()), ..Search::default() };
    let before = found(&settings, &wanted);
    assert_eq!((before.len(), before.clone()), (5, scanned(&settings, &wanted)));
    let older = rusqlite::Connection::open(settings.folder.join("index.sqlite")).expect("an index");
    older.execute_batch("DROP TABLE leased; PRAGMA user_version = 1").expect("an older one");
    drop(older);
    assert_eq!(found(&settings, &wanted), before);
}

#[test]
fn every_search_finds_what_a_scan_finds() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 700);
    let (scan, mut any) = (Scan::of(&settings), 0);
    for wanted in searches() {
        let (found, scanned) = (found(&settings, &wanted), scan.find(&wanted));
        // Of the same microsecond any may be among the newest.
        if wanted.limit.is_none() {
            assert_eq!(found, scanned, "{wanted:?}");
        }
        assert_eq!(found.len(), scanned.len(), "{wanted:?}");
        any += usize::from(!found.is_empty());
    }
    assert!(any > 30, "{any}");
}

#[test]
fn a_search_has_a_beginning_and_an_end_in_time() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 30);
    let between = SystemTime::now();
    filled(home.path(), 20);
    let all = found(&settings, &Search::default()).len();
    let before = found(&settings, &Search { until: Some(between), ..Search::default() }).len();
    let after = found(&settings, &Search { since: Some(between), ..Search::default() }).len();
    assert!(before >= 30 && after >= 20 && before + after == all, "{before} {after} {all}");
    let hour = Duration::from_secs(3600);
    assert!(found(&settings, &Search { since: Some(between + hour), ..Search::default() }).is_empty());
}

#[test]
fn an_index_that_is_gone_behind_damaged_or_of_another_log_is_made_right() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 200);
    let file = settings.folder.join("index.sqlite");
    let right = |what: &str| {
        let all = Search::default();
        assert_eq!(found(&settings, &all), scanned(&settings, &all), "{what}");
    };
    right("made");
    filled(home.path(), 100);
    right("behind");
    fs::remove_file(&file).expect("removed");
    right("gone");
    fs::write(&file, vec![b'x'; 9000]).expect("written");
    right("not a database");
    let bytes = fs::read(&file).expect("read");
    fs::write(&file, &bytes[..bytes.len() / 2]).expect("written");
    right("cut");
    let kept = tempfile::tempdir().expect("a folder");
    fs::copy(&file, kept.path().join("index")).expect("copied");
    fs::remove_dir_all(&settings.folder).expect("removed");
    filled(home.path(), 150);
    fs::copy(kept.path().join("index"), &file).expect("copied");
    right("of another log");
}

#[test]
fn what_is_not_kept_is_not_found() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 400);
    let before = found(&settings, &Search::default()).len();
    let keeping = Settings { keep_segments: Some(2), ..settings.clone() };
    Log::start(keeping).expect("a log").stop();
    let all = Search::default();
    let left = found(&settings, &all);
    assert!(left.len() < before / 2, "{} of {before}", left.len());
    let kept = scanned(&settings, &all);
    assert!(left.iter().all(|line| kept.contains(line)) && left.len() == kept.len());
}

#[test]
fn the_thread_that_chains_keeps_the_index() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = Settings { index: true, ..settings(home.path()) };
    let log = Log::start(settings.clone()).expect("a log");
    fill(&log, 50);
    let indexed = || {
        let path = settings.folder.join("index.sqlite");
        let database = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        database.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).ok()
    };
    let begun = std::time::Instant::now();
    while indexed().unwrap_or(0) < 40 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not kept");
        std::thread::yield_now();
    }
    let mode = fs::metadata(settings.folder.join("index.sqlite")).expect("there").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    log.stop();
}

#[test]
fn i9_a_link_in_the_place_of_the_index_is_not_followed() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = filled(home.path(), 5);
    let precious = home.path().join("precious");
    fs::write(&precious, "precious").expect("written");
    std::os::unix::fs::symlink(&precious, settings.folder.join("index.sqlite")).expect("a link");
    assert!(found(&settings, &Search::default()).len() >= 5, "the link is removed, an index made");
    assert_eq!(fs::read_to_string(&precious).expect("text"), "precious");
    assert!(!segments(&settings).is_empty());
}

/// A segment of `requests` requests, written without the log: of one agent in a thousand.
fn written(settings: &Settings, requests: usize) {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(&settings.folder).expect("a folder");
    let (mut link, mut out) = (crate::audit::trailer::Link::FIRST, Vec::new());
    for number in 0..requests {
        let agent = if number % 1000 == 7 { "rare" } else { AGENTS[number % 3] };
        let host = HOSTS[number % 4];
        for event in ["open", "close"] {
            let time = format!("2026-11-22T{:02}:{:02}:{:02}.5Z", number / 3600, number / 60 % 60, number % 60);
            let line = format!(
                r#"{{"v":1,"event":"{event}","id":"{number}","time":"{time}","agent":"{agent}","host":"{host}","verdict":"pass","status":200}}"#
            );
            link.append(&mut out, line.as_bytes(), "00-1", 0);
        }
    }
    fs::write(settings.folder.join("00000001.jsonl"), out).expect("written");
}

/// The shortest of three.
fn shortest(mut work: impl FnMut() -> usize, expected: usize) -> Duration {
    let times = (0..3).map(|_| {
        let begun = std::time::Instant::now();
        assert_eq!(work(), expected);
        begun.elapsed()
    });
    times.min().expect("three")
}

/// The more there is, the larger the difference: with ten million lines it is a thousand and more. What is left here is mostly the
/// opening of the index.
#[test]
fn a_search_is_much_faster_than_a_scan() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = settings(home.path());
    written(&settings, 10_000);
    let wanted = Search { agent: Some("rare".to_owned()), limit: Some(10), ..Search::default() };
    assert_eq!(found(&settings, &wanted).len(), 10, "the index is made");
    let searched = shortest(|| found(&settings, &wanted).len(), 10);
    let scanned = shortest(|| scanned(&settings, &wanted).len(), 10);
    assert!(scanned > 10 * searched, "{scanned:?} {searched:?}");
}
