//! What a line says, whatever the network put in.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::audit::clock::Clock;
use crate::audit::id::Ids;
use crate::audit::line::{self, Moment};
use crate::audit::record::{Door, Kind, Record, Verdict};
use crate::audit::{Summary, describe};
use crate::model::{Authority, Scheme, Target};

fn record(kind: Kind) -> Record {
    Record::new(Ids::new(7).next(std::time::UNIX_EPOCH), kind, std::time::UNIX_EPOCH, Vec::new(), 8 * 1024)
}

fn written(moment: Moment, record: &Record) -> String {
    let mut out = Vec::new();
    line::write(&mut out, moment, record, &mut Clock::new());
    String::from_utf8(out).expect("ascii")
}

fn parsed(moment: Moment, record: &Record) -> Value {
    serde_json::from_str(&written(moment, record)).expect("json")
}

fn full() -> Record {
    let mut record = record(Kind::Request);
    record.agent(&"coder".parse().expect("a name"));
    record.source("127.0.0.1:50123".parse().expect("an address"));
    record.door(Door::Connect);
    record.target(&Target {
        scheme: Scheme::Https,
        authority: Authority::parse("api.github.com:443", None).expect("an authority"),
        method: http::Method::GET,
        path: "/user?page=2&access_token=hunter2".parse().expect("a path"),
    });
    record.provider(&"github".parse().expect("a name"));
    record.connection(&"github:alice".parse().expect("a handle"));
    record.strategy("bearer");
    record.verdict(Verdict::Inject);
    record.sni(b"api.github.com");
    record.http(http::Version::HTTP_2);
    record.upstream_http(http::Version::HTTP_11);
    record.dialled("140.82.121.6:443".parse().expect("an address"));
    record.status(200);
    record.sent(12);
    record.received(3400);
    record.note("renewed");
    record.note("replayed");
    record.guard_hits(1);
    record
}

/// Both lines, the second from what the first one left, once `change` is done; and the second written anew.
fn pair(mut record: Record, change: impl FnOnce(&mut Record)) -> (Value, Value) {
    let mut out = Vec::new();
    let both = line::write(&mut out, Moment::Open, &record, &mut Clock::new());
    record.keep(&out[both]);
    change(&mut record);
    let kept = record.kept().is_some();
    let from_kept = parsed(Moment::Close, &record);
    record.verdict(record.verdict.expect("a verdict"));
    assert!(!kept || record.kept().is_none());
    (without(from_kept, &["time", "duration_us"]), without(parsed(Moment::Close, &record), &["time", "duration_us"]))
}

#[test]
fn what_is_kept_for_the_last_line_takes_no_room_from_its_texts() {
    let mut record =
        Record::new(Ids::new(7).next(std::time::UNIX_EPOCH), Kind::Request, std::time::UNIX_EPOCH, Vec::new(), 256);
    record.agent(&"coder".parse().expect("a name"));
    record.method(b"GET");
    record.verdict(Verdict::Inject);
    let mut out = Vec::new();
    let both = line::write(&mut out, Moment::Open, &record, &mut Clock::new());
    assert!(out.len() > 100);
    for _ in 0..9 {
        record.keep(&out[both.clone()]);
    }
    record.refusal("upstream_unreachable", 502);
    assert_eq!(parsed(Moment::Close, &record)["refusal"], "upstream_unreachable");
}

#[test]
fn the_last_line_repeats_the_first_as_long_as_that_is_true() {
    let same = |change: fn(&mut Record)| {
        let (kept, anew) = pair(full(), change);
        assert_eq!(kept, anew);
        kept
    };
    same(|_record| {});
    same(|record| record.status(503));
    assert_eq!(same(|record| record.refusal("limit", 429))["verdict"], "refuse");
    assert_eq!(same(|record| record.verdict(Verdict::Pass))["verdict"], "pass");
    assert_eq!(same(Record::secret_path)["path"], "/***");
    assert_eq!(same(|record| record.agent(&"other".parse().expect("a name")))["agent"], "other");
    assert_eq!(same(|record| record.connection(&"slack".parse().expect("a handle")))["connection"], "slack");
    let elsewhere = |record: &mut Record| record.authority(&Authority::parse("example.com:8443", None).expect("an authority"));
    assert_eq!(same(elsewhere)["port"], 8443);
}

fn without(mut line: Value, keys: &[&str]) -> Value {
    for key in keys {
        assert!(line.as_object_mut().expect("an object").remove(*key).is_some(), "{key}");
    }
    line
}

#[test]
fn an_opening_line_says_who_goes_where_and_how() {
    let line = without(parsed(Moment::Open, &full()), &["id", "time"]);
    let expected = json!({
        "v": 1, "event": "open", "agent": "coder", "method": "GET", "scheme": "https", "host": "api.github.com", "port": 443,
        "path": "/user?page=&access_token=", "connection": "github:alice", "verdict": "inject", "source": "127.0.0.1:50123",
        "door": "connect", "sni": "api.github.com", "http": "2", "provider": "github", "strategy": "bearer",
    });
    assert_eq!(line, expected);
}

#[test]
fn a_closing_line_says_what_came_of_it() {
    let line = without(parsed(Moment::Close, &full()), &["id", "time", "duration_us"]);
    let expected = json!({
        "v": 1, "event": "close", "agent": "coder", "method": "GET", "scheme": "https", "host": "api.github.com", "port": 443,
        "path": "/user?page=&access_token=", "connection": "github:alice", "provider": "github", "verdict": "inject", "dialled": "140.82.121.6:443",
        "upstream_http": "1.1", "status": 200, "bytes_up": 12, "bytes_down": 3400, "guard_hits": 1,
        "notes": ["renewed", "replayed"],
    });
    assert_eq!(line, expected);
}

#[test]
fn a_refused_tunnel_is_one_line() {
    let mut record = record(Kind::Tunnel);
    record.authority(&Authority::parse("[::1]:8443", None).expect("an authority"));
    record.refusal("private_address", 403);
    let line = without(parsed(Moment::Refuse, &record), &["id", "time", "duration_us"]);
    let expected = json!({
        "v": 1, "event": "tunnel_refuse", "host": "[::1]", "port": 8443, "verdict": "refuse", "refusal": "private_address",
        "status": 403, "bytes_up": 0, "bytes_down": 0,
    });
    assert_eq!(line, expected);
}

#[test]
fn a_tunnel_says_the_name_of_its_handshake_when_it_ends() {
    let mut record = record(Kind::Tunnel);
    record.authority(&Authority::parse("192.0.2.7:443", None).expect("an authority"));
    record.verdict(Verdict::Intercept);
    let opened = without(parsed(Moment::Open, &record), &["id", "time"]);
    let expected = json!({ "v": 1, "event": "tunnel_open", "host": "192.0.2.7", "port": 443, "verdict": "intercept" });
    assert_eq!(opened, expected);
    record.sni(b"api.github.com");
    let closed = without(parsed(Moment::Close, &record), &["id", "time", "duration_us"]);
    let expected = json!({
        "v": 1, "event": "tunnel_close", "host": "192.0.2.7", "port": 443, "verdict": "intercept", "sni": "api.github.com",
        "bytes_up": 0, "bytes_down": 0,
    });
    assert_eq!(closed, expected);
}

#[test]
fn the_last_value_of_a_field_counts() {
    let mut record = full();
    record.secret_path();
    record.verdict(Verdict::Pass);
    let line = written(Moment::Open, &record);
    assert!(line.contains(r#""path":"/***""#) && line.contains(r#""verdict":"pass""#), "{line}");
    assert!(!line.contains("access_token"), "{line}");
}

#[test]
fn i7_notes_and_lines_are_bounded() {
    let mut record = full();
    for _ in 0..1000 {
        record.note("renewed");
        record.unparsed(&[b'\n'; 10_000]);
        record.sni(&[0xff; 10_000]);
        record.method(&[b'G'; 10_000]);
    }
    let line = written(Moment::Refuse, &record);
    assert!(line.len() < 9 * 1024, "{}", line.len());
    assert!(serde_json::from_str::<Value>(&line).is_ok());
}

#[test]
fn what_an_operator_did_is_told_by_the_operator() {
    let line = r#"{"v":1,"event":"agent_frozen","time":"T","by":"ann","kind":"operator","agent":"ci"}"#;
    let summary = describe(line).expect("a line");
    assert_eq!((summary.agent.as_deref(), summary.notes), (Some("ann"), vec!["agent ci".to_owned()]));
}

#[test]
fn a_summary_is_for_people() {
    let summary = describe(&written(Moment::Close, &full())).expect("a line");
    assert_eq!(summary.host.as_deref(), Some("api.github.com"));
    assert_eq!(summary.status, Some(200));
    let told = Summary { time: "T".into(), duration: Some(std::time::Duration::from_micros(12_340)), ..summary }.to_string();
    let expected = "T close coder inject github:alice GET api.github.com/user?page=&access_token= 200 12.3ms [renewed] [replayed] \
                    [1 reflected secrets replaced]";
    assert_eq!(told, expected);
    assert_eq!(describe("not a line"), None);
    assert_eq!(describe(r#"{"v":1,"event":"segment","time":"T","spools":[]}"#), None);
}

proptest! {
    #[test]
    fn i8_any_bytes_in_any_field_give_one_plain_line(
        method: Vec<u8>,
        target: Vec<u8>,
        sni in proptest::collection::vec(any::<u8>(), 0..400),
        odd in "\\PC{0,40}[\u{0}-\u{1f}\u{7f}-\u{9f}\u{2028}\u{2029}\u{202a}-\u{202e}\u{2066}-\u{2069}\"\\\\]{0,40}",
        moment in prop_oneof![Just(Moment::Open), Just(Moment::Close), Just(Moment::Refuse)],
    ) {
        let mut record = record(Kind::Request);
        record.method(&method);
        record.unparsed(&target);
        record.sni(&sni);
        let plain = written(moment, &record);
        record.unparsed(format!("/{odd}").as_bytes());
        for line in [plain, written(moment, &record)] {
            let body = line.strip_suffix('\n').expect("a line end");
            prop_assert!(body.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{:?}", body);
            let value: Value = serde_json::from_str(body).expect("json");
            prop_assert!(value["path"].is_string());
            let told = describe(body).expect("a summary").to_string();
            prop_assert!(told.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{:?}", told);
        }
    }
}
