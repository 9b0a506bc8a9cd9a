//! `nexus audit tail`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::world::World;

/// One request of its own page leaves two lines less than one to a service, but a line.
fn knock(world: &World, address: &str) {
    let done =
        world.program("curl", &["-sS", "-o", "/dev/null", "-x", &format!("http://{address}"), "http://nexus.internal/whoami"]);
    assert!({ done }.status().unwrap().success());
}

#[test]
fn the_last_lines_are_told_to_people_and_given_to_programs() {
    let world = World::new();
    let empty = world.nexus(&["audit", "tail"]);
    assert!(empty.out.is_empty() && empty.err.contains("nothing is logged yet"), "{empty:?}");
    let up = world.up();
    knock(&world, &up.address);
    up.stop();
    let lines: Vec<serde_json::Value> =
        world.nexus(&["audit", "tail", "--json"]).ok().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(
        lines.iter().any(|line| line["event"] == "start") && lines.iter().any(|line| line["path"] == "/whoami"),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line["event"] == "stop"), "{lines:?}");
    let text = world.nexus(&["audit", "tail", "-n", "2"]).ok();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("nexus.internal") && text.trim_end().ends_with(" stop") && !text.contains('\u{1b}'), "{text}");
    assert!(world.nexus(&["audit", "tail", "-n", "2", "--color", "always"]).ok().contains('\u{1b}'));
}

#[test]
fn following_shows_what_comes_next_as_it_comes() {
    let world = World::new();
    let up = world.up();
    let mut tail = world.command(&["audit", "tail", "-f", "-n", "1000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains(" start")));
    knock(&world, &up.address);
    assert!(lines.by_ref().any(|line| line.unwrap().contains("/whoami")));
    up.stop();
    assert!(lines.by_ref().any(|line| line.unwrap().contains(" stop")));
    tail.kill().unwrap();
    tail.wait().unwrap();
}
