//! The live view as a person meets it, and the lines that it makes to be pasted elsewhere.

use serde_json::{Value, json};

use crate::page::{driven_by, link};
use crate::service::service;
use crate::world::{Up, World};

/// A home whose proxy refuses what is posted, and its service.
fn scene() -> (World, Up, String) {
    let (address, _served) = service();
    let world = World::new();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n\
         [[rule]]\nname = \"no writes\"\nhosts = [\"127.0.0.1\"]\nmethods = [\"POST\"]\naction = \"deny\"\n",
    );
    let up = world.up();
    (world, up, address)
}

fn text<'a>(seen: &'a Value, name: &str) -> &'a str {
    seen[name].as_str().unwrap_or_else(|| panic!("{name}: {seen}"))
}

#[test]
fn requests_are_seen_as_they_happen() {
    let (world, up, service) = scene();
    let seen = driven_by("live.mjs", &world, "watch", &[link(&world, "auditor"), up.address.clone(), service]);
    let first = text(&seen, "first");
    assert!(["GET", "local", "pass", "204"].iter().all(|word| first.contains(word)), "{first}");
    assert_eq!((&seen["held"], &seen["refused"]), (&json!(0), &json!("403")), "{seen}");
    let record = text(&seen, "record");
    for words in [
        "no writes",
        "docs/howto/policy.md",
        "nexus explain POST 'http://127.0.0.1:",
        "[[rule]]",
        "methods = \"POST\"",
        "/it's/",
    ] {
        assert!(record.contains(words), "{words}: {record}");
    }
    assert_eq!((&seen["focus"], &seen["filtered"], &seen["wrong"]), (&json!(true), &json!(2), &json!([])), "{seen}");
    assert_eq!(seen["active"], 200, "{seen}");
}

#[test]
fn a_held_request_is_seen_as_it_waits() {
    let (address, _served) = service();
    let world = World::new();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n\
         [[rule]]\nname = \"ask first\"\nhosts = [\"127.0.0.1\"]\nmethods = [\"PUT\"]\naction = \"approve\"\n",
    );
    let up = world.up();
    let seen = driven_by("live.mjs", &world, "held", &[link(&world, "operator"), up.address.clone(), address]);
    assert!(["PUT", "/orders?token=", "held"].iter().all(|word| text(&seen, "row").contains(word)), "{seen}");
    assert!(
        ["ask first", "waits for a person", "Answer it in Approvals"].iter().all(|word| text(&seen, "panel").contains(word)),
        "{seen}"
    );
    for words in [
        "action = \"allow\"",
        "methods = \"PUT\"",
        "before the rule ask first",
        "nexus.toml",
        "nexus policy check",
        "more than this one",
    ] {
        assert!(text(&seen, "rule").contains(words), "{words}: {seen}");
    }
    let shut = json!([true, true, true]);
    assert_eq!((&seen["none"], &seen["between"]), (&shut, &shut), "neither is copied, and the dialog is there: {seen}");
    assert!(text(&seen, "copied").contains("paths = \"/*\""), "{seen}");
    assert!(text(&seen, "selected").contains("paths = \"/orders\"") && seen["waits"] == json!(1), "{seen}");
    let took = seen["took"][0].as_str().unwrap_or_default();
    assert!(took.contains(", after ") && took.ends_with(" held") && seen["took"][1] == took, "{seen}");
    assert!(text(&seen, "tile").contains("1 of them under way, 1 held for a word"), "{seen}");
    assert_eq!((&seen["status"], &seen["other"], &seen["rows"]), (&json!("204"), &json!("403"), &json!(1)), "{seen}");
    assert_eq!((&seen["looks"], &seen["wrong"]), (&json!([]), &json!([])), "{seen}");
}

#[test]
fn a_view_that_is_left_before_it_is_ready_keeps_nothing_open() {
    let (world, _up, _service) = scene();
    let seen = driven_by("live.mjs", &world, "left", &[link(&world, "auditor")]);
    assert_eq!((&seen["asked"], &seen["open"], &seen["heading"]), (&json!(8), &json!(0), &json!(["Policy"])), "{seen}");
    assert_eq!(seen["wrong"], json!([]), "{seen}");
}

#[test]
fn the_live_view_can_be_used_by_everybody_and_fits() {
    let (world, up, service) = scene();
    let links = [link(&world, "operator"), link(&world, "operator"), up.address.clone(), service];
    let seen = driven_by("live.mjs", &world, "look", &links);
    assert_eq!((&seen["seen"], &seen["wrong"]), (&json!([]), &json!([])), "{seen}");
}

#[test]
fn a_stream_that_is_lost_is_told_of_and_comes_back() {
    let (world, up, service) = scene();
    let seen = driven_by(
        "live.mjs",
        &world,
        "lost",
        &[link(&world, "operator"), up.address.clone(), service, up.process().to_string()],
    );
    assert_eq!(seen["kept"], 1, "{seen}");
    assert!(text(&seen, "text").contains("Trying again in"), "{seen}");
}

/// What strangers sent gets out of no quotes: a shell runs the one command, and the rules are rules.
#[test]
fn lines_to_paste_mean_what_they_say() {
    let (world, _up, _service) = scene();
    let seen = driven_by("live.mjs", &world, "lines", &[link(&world, "operator")]);
    assert_eq!((&seen["markup"], &seen["text"], &seen["wide"]), (&json!(0), &json!(false), &json!(0)), "{seen}");
    for line in seen["lines"].as_array().expect("lines") {
        let line = line.as_str().expect("a line");
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
        let shown = format!("nexus() {{ printf '%s\\n' \"$#\" \"$@\"; }}; {line}");
        let done = world.program("sh", &["-c", &shown]).output().expect("a shell");
        let out = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && !world.path("work/pwned").exists(), "{line}: {out}");
        let words: Vec<&str> = out.lines().collect();
        assert!(words.contains(&"explain") && words.iter().filter(|word| word.contains("://")).count() == 1, "{line}: {out}");
    }
    let rules: Vec<&str> = seen["rules"].as_array().expect("rules").iter().filter_map(Value::as_str).collect();
    std::fs::write(world.path("work/rules.toml"), rules.join("\n")).expect("a file");
    assert!(world.nexus(&["policy", "check", "rules.toml"]).ok().starts_with(&rules.len().to_string()));
}
