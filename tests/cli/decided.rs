//! What the page says of a decision: every word of the log has a sentence, and no sentence says more than its line proves.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::service::service;
use crate::world::{Up, World, eventually};

/// Where the words of refusals and renewals are, one a line.
const WORDS: [&str; 7] = [
    "proxy/refusal.rs",
    "proxy/approval.rs",
    "proxy/mint.rs",
    "proxy/log_in/error.rs",
    "proxy/content.rs",
    "broker/error.rs",
    "decide/route.rs",
];

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name)
}

/// The words between `before` and `after`, of letters that those of the log have.
fn words(text: &str, before: &str, after: &str) -> Vec<String> {
    let ends = text.split(before).skip(1).filter_map(|rest| rest.split_once(after)).map(|(word, _)| word);
    let plain = |word: &&str| !word.is_empty() && word.chars().all(|letter| matches!(letter, 'a'..='z' | '_' | '-'));
    ends.filter(plain).map(str::to_owned).collect()
}

/// All words that a record of a request may have for why and how.
fn all_words() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in WORDS {
        let text = std::fs::read_to_string(source(name)).expect(name);
        all.extend(words(&text, " => \"", "\","));
    }
    let mut folders = vec![source("proxy"), source("audit")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.extend((!path.ends_with("tests")).then_some(path));
            } else {
                let text = std::fs::read_to_string(path).expect("a source");
                all.extend(words(text.split("#[cfg(test)]").next().unwrap_or_default(), ".note(\"", "\")"));
            }
        }
    }
    // Why a request went out twice is noted by way of a list.
    let text = std::fs::read_to_string(source("telemetry/sources.rs")).expect("a source");
    let again = text.split("const AGAIN").nth(1).and_then(|rest| rest.split_once("= [")?.1.split_once(']')).expect("a list").0;
    all.extend(again.split('"').skip(1).step_by(2).map(str::to_owned));
    assert!(all.contains("goaway"), "{again}");
    // How a person said yes is a member of its own.
    all.retain(|word| !["once", "grant"].contains(&word.as_str()));
    all
}

fn ask(up: &Up, url: &str) {
    let mut stream = TcpStream::connect(&up.address).expect("the proxy");
    let host = url.trim_start_matches("http://").split('/').next().expect("a host");
    write!(stream, "GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
    stream.read_to_end(&mut Vec::new()).expect("an answer");
}

/// What the page says of `lines`, beside all that it says of lines that could be.
fn said(world: &World, lines: &str) -> Value {
    let kept = world.path("lines.jsonl");
    std::fs::write(&kept, lines).expect("written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/decided.mjs");
    let words = serde_json::to_string(&all_words()).expect("JSON");
    let output = world.program("node", &[script.to_str().expect("a path"), &words, kept.to_str().expect("a path")]).output();
    let output = output.expect("node");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_page_says_of_a_line_what_it_proves_and_no_more() {
    let (address, _served) = service();
    let world = World::new();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n\
         [[rule]]\nname = \"no-secrets\"\nhosts = [\"127.0.0.1\"]\npaths = \"/secret\"\naction = \"deny\"\n",
    );
    let up = world.up();
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    for url in [
        format!("http://{address}/good"),
        format!("http://{address}/secret"),
        format!("http://{nobody}/"),
        "http://169.254.169.254/x".into(),
    ] {
        ask(&up, &url);
    }
    let log = || world.nexus(&["audit", "tail", "--json", "-n", "50"]).ok();
    eventually(|| log().matches("\"duration_us\"").count() >= 4);
    let seen = said(&world, &log());
    assert!(seen["combinations"].as_u64() > Some(10_000), "{seen}");
    assert_eq!(seen["unknown"], serde_json::json!([]), "these words have no sentence");
    let real: Vec<_> = seen["real"].as_array().expect("a list").iter().map(|one| one["said"].to_string()).collect();
    let some =
        |parts: &[&str]| assert!(real.iter().any(|text| parts.iter().all(|part| text.contains(part))), "{parts:?}: {real:?}");
    some(&["let on without a stored credential"]);
    some(&["nothing of it reached the service", "The rule no-secrets refused it."]);
    some(&["how much of it reached the service is not on record", "could not be reached"]);
    some(&["nothing of it reached the service", "private or local address"]);
}
