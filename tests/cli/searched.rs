//! Search as a person meets it: Chromium (driven by `tests/page/search.mjs`), the built binary, a log with what strangers may send.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::page::{complaints, driven_by, link};
use crate::service::{ask, service};
use crate::world::{Up, World, eventually};

/// What a stranger may have put into a path and a name.
const HOSTILE: [&str; 4] = [
    "/<img src=x onerror=alert(1)><b>bold</b>",
    "/\u{202e}gnp.exe\u{2066}\u{200b}",
    "/\u{1b}[31mred\u{7}\r\n\u{0}",
    "/{{7*7}}'\"`$(id)",
];

/// Lines of `requests` requests, the last of them now, as a proxy would have chained them.
fn history(world: &World, requests: usize) {
    let (mut lines, mut prev) = (String::new(), "0".repeat(64));
    let now = jiff::Timestamp::now();
    let mut seq = 0;
    for number in 0..requests {
        let ago = jiff::SignedDuration::from_millis(i64::try_from((requests - number) * 500).expect("small"));
        let time = now.checked_sub(ago).expect("a time").strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let path = match number {
            0 => format!("/{}", "long".repeat(16 * 1024)),
            _ if number % 500 == 1 => HOSTILE[number / 500 % HOSTILE.len()].to_owned(),
            _ => format!("/v1/items/{number}"),
        };
        let status = [200, 200, 404, 500][number % 4];
        let agent = ["ci", "<i>mallory</i>"][number % 2];
        let host = format!("api{}.example.com", number % 3);
        let what = json!({ "agent": agent, "method": "GET", "scheme": "https", "host": host, "port": 443, "path": path, "verdict": "pass" });
        for (event, more) in [
            ("open", json!({ "rule": "reads", "door": "connect", "provider": "acme", "connection": "acme:bob" })),
            ("close", json!({ "status": status, "bytes_up": 0, "bytes_down": 7, "duration_us": 1234 })),
        ] {
            let mut line = json!({ "v": 1, "event": event, "id": format!("01KAS{number:021}"), "time": time });
            let members = line.as_object_mut().expect("an object");
            members.extend(what.as_object().expect("an object").clone());
            members.extend(more.as_object().expect("an object").clone());
            // The log has plain ASCII alone.
            let ascii: String = line
                .to_string()
                .chars()
                .map(|letter| if letter.is_ascii() { letter.to_string() } else { format!("\\u{:04x}", u32::from(letter)) })
                .collect();
            seq += 1;
            let chained =
                format!("{},\"src\":\"chain:0\",\"seq\":{seq},\"prev\":\"{prev}\"}}", ascii.strip_suffix('}').expect("an end"));
            prev = data_encoding::HEXLOWER.encode(&Sha256::digest(&chained));
            lines.push_str(&chained);
            lines.push('\n');
        }
    }
    world.audit_segment(&lines);
}

/// A home with a log of long ago, whose proxy has just let five requests on and refused none.
fn scene(requests: usize) -> (World, Up) {
    let (address, _served) = service();
    let world = World::new();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n",
    );
    history(&world, requests);
    let up = world.up();
    for _ in 0..5 {
        assert!(ask(&up.address, &address).contains(" 204 "));
    }
    eventually(|| world.nexus(&["audit", "search", "--host", "127.0.0.1"]).ok().lines().count() == 5);
    (world, up)
}

#[test]
fn what_is_looked_for_is_found_and_the_address_says_it() {
    let (world, _up) = scene(3000);
    let seen = driven_by("search.mjs", &world, "finds", &[link(&world, "auditor")]);
    assert_eq!((&seen["here"], &seen["few"]), (&json!(5), &json!(true)), "five by curl, and few rows in the page: {seen}");
    assert!(
        seen["address"].as_str().is_some_and(|text| text.contains("host=127.0.0.1") && text.contains("from=24h")),
        "{seen}"
    );
    assert_eq!(
        (&seen["back"], &seen["onwards"], &seen["order"]),
        (&json!(true), &json!(true), &json!(["newest", "oldest"])),
        "{seen}"
    );
    let providers = seen["providers"].as_array().expect("a list");
    assert!(providers.iter().any(|name| name == "acme") && !providers.contains(&json!("acme:bob")), "{seen}");
    let csv = seen["csv"].as_str().expect("a file");
    assert!(csv.starts_with("time,event,id,") && csv.lines().count() == 6, "{csv}");
    let record = seen["record"].as_str().expect("a record");
    assert!(record.contains("127.0.0.1") && record.contains("nexus explain"), "{record}");
    assert!(seen["standing"].as_str().is_some_and(|text| text.contains("as it was written")), "{seen}");
    assert_eq!((&seen["wrong"], &seen["barriers"]), (&json!([]), &json!([])), "{seen}");
}

#[test]
fn what_strangers_sent_does_nothing() {
    let (world, _up) = scene(2100);
    let seen = driven_by("search.mjs", &world, "hostile", &[link(&world, "auditor")]);
    assert_eq!((&seen["markup"], &seen["asked"], &seen["over"]), (&json!(0), &json!(0), &json!([])), "{seen}");
    let texts = seen["texts"].to_string();
    assert!(texts.contains("<img src=x onerror=alert(1)>") && texts.contains("u{202e}") && texts.contains("u{1b}"), "{texts}");
    assert_eq!((&seen["wrong"], &seen["barriers"]), (&json!([]), &json!([])), "{seen}");
}

#[test]
fn ten_thousand_lines_of_strangers_do_nothing_to_any_view() {
    let (world, _up) = scene(10_000);
    let seen = driven_by("search.mjs", &world, "everywhere", &[link(&world, "operator")]);
    assert_eq!((&seen["markup"], &seen["all"], &seen["wrong"]), (&json!(0), &json!([]), &json!([])), "{seen}");
}

#[test]
fn i8_a_log_that_was_changed_is_told_in_red() {
    let (world, up) = scene(20);
    let folder = world.home("audit");
    let segment = folder.join("00000001.jsonl");
    let text = std::fs::read_to_string(&segment).expect("a segment");
    std::fs::write(&segment, text.replacen("/v1/items/7\"", "/v1/items/8\"", 1)).expect("written");
    let seen = driven_by("search.mjs", &world, "broken", &[link(&world, "operator")]);
    let alert = seen["alert"].as_str().expect("a banner");
    assert!(alert.contains("not as it was written") && alert.contains("Line 15 of segment 1"), "{alert}");
    assert_eq!((complaints(&seen), &seen["barriers"]), (Vec::new(), &Value::Array(Vec::new())), "{seen}");
    drop(up);
}
