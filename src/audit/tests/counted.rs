//! The numbers of a time: they are what the lines say, however and whenever these were read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::settings;
use crate::audit::index::{read_stats, stats};
use crate::audit::trailer::Link;
use crate::audit::{Measure, Range, Search, Settings, Wanted, search};

const RANGES: [(Range, i64, i64); 5] = [
    (Range::Hour, 60, 60),
    (Range::SixHours, 300, 72),
    (Range::Day, 900, 96),
    (Range::Week, 3600, 168),
    (Range::Month, 21600, 120),
];

/// A log that is written without the log.
struct Written {
    settings: Settings,
    link: Link,
    number: u64,
    random: u64,
    now: i64,
    /// The last line of each request, and its time.
    ended: Vec<(i64, Value)>,
}

impl Written {
    fn new(home: &std::path::Path) -> Self {
        let settings = settings(home);
        fs::DirBuilder::new().mode(0o700).create(&settings.folder).expect("a folder");
        Self { settings, link: Link::FIRST, number: 0, random: 7, now: Timestamp::now().as_microsecond(), ended: Vec::new() }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound
    }

    fn write(&mut self, lines: &[Value]) {
        let mut out = Vec::new();
        lines.iter().for_each(|line| self.link.append(&mut out, line.to_string().as_bytes(), "00-1", 0));
        let path = self.settings.folder.join("00000001.jsonl");
        OpenOptions::new().append(true).create(true).open(path).expect("a file").write_all(&out).expect("written");
    }

    /// A request that ended `ago` microseconds ago, with whatever `own` says of it.
    fn request(&mut self, ago: i64, own: &Value) {
        self.number += 1;
        let time = self.now - ago;
        let stamp = Timestamp::from_microsecond(time).expect("a time").strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let mut line = json!({
            "v": 1, "event": "close", "id": format!("R{}", self.number), "time": stamp, "agent": "ci", "host": "api.test",
            "verdict": "inject", "provider": "acme", "status": 200, "bytes_up": 10, "bytes_down": 100, "duration_us": 5000,
        });
        own.as_object().into_iter().flatten().for_each(|(key, value)| line[key] = value.clone());
        let mut open = line.clone();
        open["event"] = "open".into();
        let opened = line["event"] == "close" || line["event"] == "open";
        let lines = [open, line.clone()];
        self.write(if line["event"] == "open" { &lines[1..] } else { &lines[usize::from(!opened)..] });
        self.ended.push((time, line));
    }

    /// Requests of every kind, over 31 days and mostly of the last hour, out of order by up to a minute.
    fn fill(&mut self, requests: u64, hosts: u64) {
        for _ in 0..requests {
            let reach = [3_500, 20_000, 80_000, 600_000, 2_600_000][usize::try_from(self.below(5)).expect("small")];
            let ago = i64::try_from(self.below(reach * 1_000_000)).expect("small");
            let status = [200, 200, 204, 404, 500, 403][usize::try_from(self.below(6)).expect("small")];
            let own = json!({
                "agent": format!("a{}", self.below(3)), "host": format!("h{}.test", self.below(hosts)), "status": status,
                "duration_us": self.below(3_000_000), "bytes_down": self.below(100_000),
                "verdict": if status == 403 { "refuse" } else { "inject" }, "event": if status == 403 { "refuse" } else { "close" },
                "provider": (["acme", "other", ""])[usize::try_from(self.below(3)).expect("small")],
                "notes": if status == 204 { json!(["renewed", "replayed"]) } else { json!([]) },
            });
            self.request(ago, &own);
        }
    }

    fn told(&self, range: Range, by: Measure) -> Value {
        stats(&self.settings, Wanted { range, by, top: 5 }, &[]).expect("an index");
        let told = read_stats(&self.settings.folder, Wanted { range, by, top: 5 }, (self.now, &[])).expect("an index");
        serde_json::to_value(told).expect("JSON")
    }

    fn all(&self) -> Vec<Value> {
        RANGES.iter().flat_map(|(range, ..)| [Measure::Requests, Measure::Bytes].map(|by| self.told(*range, by))).collect()
    }

    /// What a scan counts by step: requests, refused, errors, renewed, bytes.
    fn scanned(&self, step: i64, steps: i64) -> BTreeMap<i64, [u64; 5]> {
        let first = self.now.div_euclid(step * 1_000_000) - steps + 1;
        let mut counts: BTreeMap<i64, [u64; 5]> = BTreeMap::new();
        for (time, line) in &self.ended {
            let number = |name: &str| line[name].as_u64().unwrap_or_default();
            let (status, at) = (number("status"), time.div_euclid(step * 1_000_000));
            if at < first {
                continue;
            }
            let renewed = line["notes"].as_array().is_some_and(|notes| notes.contains(&"renewed".into()));
            let one = [
                1,
                (line["verdict"] == "refuse").into(),
                (status >= 500).into(),
                renewed.into(),
                number("bytes_up") + number("bytes_down"),
            ];
            counts.entry(at).or_default().iter_mut().zip(one).for_each(|(sum, one)| *sum += one);
        }
        counts
    }
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn names(told: &Value, dimension: &str) -> Vec<String> {
    let items = told[dimension]["items"].as_array().expect("items");
    items.iter().map(|item| item["name"].as_str().unwrap_or("").to_owned()).collect()
}

#[test]
fn the_numbers_are_what_the_lines_say() {
    let home = tempfile::tempdir().expect("a folder");
    let mut log = Written::new(home.path());
    log.fill(3_000, 20);
    for (range, step, steps) in RANGES {
        let (told, scanned) = (log.told(range, Measure::Bytes), log.scanned(step, steps));
        let all = told["steps"].as_array().expect("steps");
        assert_eq!(i64::try_from(all.len()), Ok(steps));
        let shown: BTreeMap<i64, [u64; 5]> = all
            .iter()
            .filter(|one| number(one, "requests") > 0)
            .map(|one| {
                let at: Timestamp = one["at"].as_str().expect("a time").parse().expect("a time");
                let bytes = number(one, "bytes_up") + number(one, "bytes_down");
                let counts = ["requests", "refused", "errors", "renewed"].map(|name| number(one, name));
                (at.as_second().div_euclid(step), [counts[0], counts[1], counts[2], counts[3], bytes])
            })
            .collect();
        assert_eq!(shown, scanned, "{range:?}");
        let requests: u64 = scanned.values().map(|counts| counts[0]).sum();
        assert!(requests > 300 && number(&told["totals"], "requests") == requests, "{range:?}");
        for dimension in ["providers", "agents", "hosts"] {
            let items = told[dimension]["items"].as_array().expect("items").iter();
            let named: u64 = items.chain([&told[dimension]["others"]]).filter_map(|item| item["requests"].as_u64()).sum();
            assert_eq!(named, requests, "{dimension} in {range:?}");
        }
        assert_eq!(
            names(&told, "providers").into_iter().collect::<BTreeSet<_>>(),
            ["acme", "other", ""].map(str::to_owned).into()
        );
    }
}

#[test]
fn percentiles_are_near_the_truth() {
    let home = tempfile::tempdir().expect("a folder");
    let mut log = Written::new(home.path());
    log.fill(2_000, 5);
    let told = log.told(Range::Month, Measure::Requests);
    let first = log.now.div_euclid(21_600_000_000) - 119;
    let timed = |(time, line): &(i64, Value)| {
        (time.div_euclid(21_600_000_000) >= first && line["event"] == "close").then(|| number(line, "duration_us"))
    };
    let mut times: Vec<u64> = log.ended.iter().filter_map(timed).collect();
    times.sort_unstable();
    assert_eq!(number(&told["totals"], "timed"), times.len() as u64);
    for (name, percent) in [("p50_us", 50), ("p90_us", 90), ("p99_us", 99)] {
        let (truth, shown) = (times[(times.len() * percent).div_ceil(100) - 1], number(&told["totals"], name));
        assert!(truth.abs_diff(shown) * 32 <= truth, "{name}: {shown} for {truth}");
    }
}

#[test]
fn an_index_that_is_made_anew_tells_the_same_as_one_that_was_fed() {
    let home = tempfile::tempdir().expect("a folder");
    let mut log = Written::new(home.path());
    for requests in [1, 400, 1_300, 40, 900] {
        // More hosts in a step than are told apart.
        log.fill(requests, 700);
        log.told(Range::Day, Measure::Requests);
    }
    let fed = log.all();
    fs::remove_file(log.settings.folder.join("index.sqlite")).expect("removed");
    assert_eq!(log.all(), fed);
    let database = rusqlite::Connection::open(log.settings.folder.join("index.sqlite")).expect("an index");
    let most: i64 = database
        .query_row("SELECT max(n) FROM (SELECT count(*) AS n FROM sums GROUP BY level, step, dimension)", [], |row| row.get(0))
        .expect("a number");
    let others: i64 =
        database.query_row("SELECT sum(requests) FROM sums WHERE dimension = 13", [], |row| row.get(0)).expect("a number");
    assert!(others > 0 && most < 256 + 1024, "{others} {most}");
}

#[test]
fn i7_who_comes_late_and_much_is_told_of_whoever_fills_the_step_before() {
    let home = tempfile::tempdir().expect("a folder");
    let mut log = Written::new(home.path());
    for number in 0..1_500 {
        log.request(90_000_000, &json!({ "host": format!("noise{number}.test"), "bytes_down": 1 }));
    }
    for _ in 0..30 {
        log.request(90_000_000, &json!({ "host": "many.test", "bytes_down": 1 }));
    }
    log.request(90_000_000, &json!({ "host": "much.test", "bytes_down": 5_000_000 }));
    log.fill(600, 5);
    for (by, expected) in [(Measure::Requests, "many.test"), (Measure::Bytes, "much.test")] {
        let wanted = Wanted { range: Range::Hour, by, top: 10 };
        log.told(Range::Hour, by);
        let told =
            serde_json::to_value(read_stats(&log.settings.folder, wanted, (log.now, &[])).expect("an index")).expect("JSON");
        assert!(names(&told, "hosts").contains(&expected.to_owned()), "{told}");
    }
}

#[test]
fn what_has_not_ended_is_counted_once_where_it_began() {
    let home = tempfile::tempdir().expect("a folder");
    let mut log = Written::new(home.path());
    log.request(200_000_000, &json!({ "event": "open", "id": "X" }));
    // A CONNECT that is opened is told by its requests.
    log.request(200_000_000, &json!({ "event": "open", "id": "C", "verdict": "intercept" }));
    log.request(100_000_000, &json!({ "event": "tunnel_close", "id": "D", "verdict": "intercept" }));
    let before = log.told(Range::Hour, Measure::Requests);
    assert_eq!((number(&before["totals"], "requests"), number(&before["totals"], "unfinished")), (1, 1));
    log.request(10_000_000, &json!({ "id": "Y" }));
    let close = json!({ "id": "X", "status": 500 });
    let mut line = log.ended[3].1.clone();
    close.as_object().into_iter().flatten().for_each(|(key, value)| line[key] = value.clone());
    log.write(&[line]);
    let after = log.told(Range::Hour, Measure::Requests);
    let totals = &after["totals"];
    assert_eq!(["requests", "unfinished", "errors"].map(|name| number(totals, name)), [2, 0, 1]);
    assert_eq!(after["agents"]["others"], Value::Null);
}

#[test]
fn refusals_without_lines_of_their_own_are_counted_and_alarms_and_new_hosts_are_told() {
    let home = tempfile::tempdir().expect("a folder");
    let mut log = Written::new(home.path());
    log.request(4_000_000_000_000, &json!({ "host": "old.test" }));
    let stamp = log.ended[0].1["time"].clone();
    log.request(5_000_000, &json!({ "host": "old.test" }));
    log.request(5_000_000, &json!({ "host": "new.test" }));
    log.request(5_000_000, &json!({ "host": "refused.test", "event": "refuse", "verdict": "refuse", "status": 403 }));
    let canary = json!({ "host": "evil.test", "event": "refuse", "verdict": "refuse", "status": 403, "notes": ["canary"], "canary": { "place": "body" } });
    log.request(5_000_000, &canary);
    let now = log.ended[1].1["time"].clone();
    log.write(&[
        json!({ "v": 1, "event": "refuse_many", "time": now, "source": "192.0.2.1", "count": "40", "within_secs": "60" }),
        json!({ "v": 1, "event": "refuse_many", "time": stamp, "source": "192.0.2.1", "count": "7", "within_secs": "60" }),
        json!({ "v": 1, "event": "start", "time": now, "version": "0", "run": "1" }),
    ]);
    let told = log.told(Range::Month, Measure::Requests);
    assert_eq!(["requests", "refused", "canaries"].map(|name| number(&told["totals"], name)), [44, 42, 1]);
    let hosts: Vec<_> = told["new_hosts"]["items"].as_array().expect("hosts").iter().map(|one| one["host"].clone()).collect();
    assert_eq!((hosts, number(&told["new_hosts"], "count")), (vec![json!("new.test")], 1));
    let alarm = &told["canaries"][0];
    assert_eq!((&alarm["host"], &alarm["place"], &alarm["refused"]), (&json!("evil.test"), &json!("body"), &json!(true)));
}

#[test]
fn a_log_without_an_index_or_lines_has_numbers_too() {
    let home = tempfile::tempdir().expect("a folder");
    let log = Written::new(home.path());
    let told = log.told(Range::Day, Measure::Requests);
    assert_eq!(
        (number(&told["totals"], "requests"), &told["complete"], &told["totals"]["p50_us"]),
        (0, &json!(true), &Value::Null)
    );
    let kept = Settings { index: true, ..log.settings };
    fs::remove_file(kept.folder.join("index.sqlite")).expect("removed");
    let wanted = Wanted { range: Range::Day, by: Measure::Requests, top: 5 };
    let told = serde_json::to_value(stats(&kept, wanted, &[]).expect("numbers")).expect("JSON");
    assert_eq!(told["complete"], json!(true), "there is nothing to be indexed");
    search(&kept.folder, &Search::default(), |_| {}).expect("an index");
}
