//! `nexus audit tail`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::Signal;

use crate::world::{Done, World, eventually, signal};

#[test]
fn lines_that_a_flood_left_out_are_told_of_however_loud_the_log_is() {
    let world = World::new().with("NEXUS_LOG", "warn");
    let service = rcgen::generate_simple_self_signed(["untrusted.test".to_owned()]).unwrap();
    let (certificate, key) = (world.path("cert.pem"), world.path("key.pem"));
    std::fs::write(&certificate, service.cert.pem()).unwrap();
    std::fs::write(&key, service.signing_key.serialize_pem()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let serve = ["s_server", "-quiet", "-www", "-accept", &port, "-cert"];
    let mut server =
        world.program("openssl", &serve).arg(&certificate).arg("-key").arg(&key).stderr(Stdio::null()).spawn().unwrap();
    eventually(|| std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    world.config(&format!(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\nunmatched = \"intercept\"\n[limits]\ndrain_secs = 1\n\
         [upstream]\nhttp2 = false\nresolve = {{ \"untrusted.test\" = \"127.0.0.1:{port}\" }}\n"
    ));
    let mut child = world.command(&["up", "--announce"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let proxy = format!("http://{}", line.trim().strip_prefix("listening ").expect("it listens"));
    let mut curl = world.program("curl", &["-sS", "-k", "-o", "/dev/null", "-x", &proxy]);
    let asked = Done::from(curl.args(["https://untrusted.test/[1-60]", "-w", "%{http_code}\n"]).output().unwrap()).ok();
    assert_eq!(asked.matches("502").count(), 60, "{asked}");
    signal(&child, Signal::TERM);
    let said = Done::from(child.wait_with_output().unwrap()).err;
    server.kill().unwrap();
    server.wait().unwrap();
    let plain = said.lines().filter(|line| line.contains("the TLS of a service is not valid")).count();
    let notices = said.lines().filter(|line| line.contains(" WARN ") && line.contains("were left out of this log"));
    let told: usize = notices.filter_map(|line| line.split("left_out=").nth(1)?.split(' ').next()?.parse::<usize>().ok()).sum();
    assert!(plain >= 20 && told > 0 && plain + told >= 60, "{plain} + {told}:\n{said}");
}

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

/// A log of one run with a request in it.
fn logged() -> World {
    let world = World::new();
    let up = world.up();
    knock(&world, &up.address);
    up.stop();
    world
}

/// The log's only segment.
fn segment(world: &World) -> std::path::PathBuf {
    world.home("audit/00000001.jsonl")
}

#[test]
fn a_log_is_proven_and_what_is_not_proven_is_said() {
    let world = logged();
    let text = world.nexus(&["audit", "verify"]).ok();
    assert!(text.contains("Holds") && text.contains("Signed") && text.contains("Not proven"), "{text}");
    let value = world.nexus(&["audit", "verify", "--json"]).json();
    assert_eq!((&value["holds"], &value["signed"]["lines_after"]), (&true.into(), &0.into()), "{value:#}");
    assert!(value["unproven"][0].as_str().unwrap().contains("--head") && value["unproven"][1].is_null(), "{value:#}");
    let head = value["head"].as_str().unwrap().to_owned();
    let held = world.nexus(&["audit", "verify", "--json", "--head", &head]).json();
    assert_eq!(held["unproven"], serde_json::json!([]), "{held:#}");
    // Without the secret, by whoever was given the key.
    let key = world.nexus(&["audit", "key"]).ok();
    std::fs::remove_file(world.home(".env")).unwrap();
    let signed = world.nexus(&["audit", "verify", "--json", "--key", key.trim(), "--head", &head]).json();
    assert_eq!(signed["signed"], held["signed"], "{signed:#}");
}

#[test]
fn a_line_that_was_changed_is_named_with_an_exit_code_of_its_own() {
    let world = logged();
    let head = world.nexus(&["audit", "verify", "--json"]).json()["head"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(segment(&world)).unwrap();
    let changed = text.replace("/whoami", "/whoelse");
    let line = 1 + text.lines().position(|line| line.contains("/whoami")).unwrap();
    std::fs::write(segment(&world), changed).unwrap();
    let said = world.nexus(&["audit", "verify"]).failed(3);
    assert!(said.contains(&format!("broken at line {line} of segment 1: ")), "{said}");
    let done = world.nexus(&["audit", "verify", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, &value["holds"], &value["broken"]["line"]), (Some(3), &false.into(), &line.into()));
    let cut: String = text.split_inclusive('\n').take(2).collect();
    std::fs::write(segment(&world), cut).unwrap();
    world.nexus(&["audit", "verify"]).ok();
    let said = world.nexus(&["audit", "verify", "--head", &head]).failed(3);
    assert!(said.contains("it was cut"), "{said}");
    for (argument, value, word) in
        [("--head", "soon", "NUMBER:HASH"), ("--head", "7:ab", "64 hex digits"), ("--key", "x", "nexus audit key")]
    {
        let said = world.nexus(&["audit", "verify", argument, value]);
        assert!(said.code == Some(2) && (said.err.contains(word) || said.err.contains("this is no head")), "{said:?}");
    }
}

#[test]
fn another_program_can_check_a_head_with_the_public_key() {
    use base64::Engine as _;
    let world = logged();
    let pem = world.nexus(&["audit", "key", "--pem"]).ok();
    std::fs::write(world.path("key.pem"), pem).unwrap();
    let text = std::fs::read_to_string(segment(&world)).unwrap();
    let line = text.lines().rfind(|line| line.contains("\"event\":\"head\"")).expect("a head");
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let said = line.split(",\"sig\":\"").next().unwrap();
    let message = format!("nexus audit head 1\n{}\n{}\n{said}", value["seq"], value["prev"].as_str().unwrap());
    std::fs::write(world.path("message"), message).unwrap();
    let signature = base64::engine::general_purpose::STANDARD.decode(value["sig"].as_str().unwrap()).unwrap();
    std::fs::write(world.path("signature"), signature).unwrap();
    let mut openssl = world.program("openssl", &["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"]);
    openssl.arg(world.path("key.pem")).arg("-sigfile").arg(world.path("signature")).arg("-in").arg(world.path("message"));
    Done::from(openssl.output().unwrap()).ok();
}

#[test]
fn what_happened_is_found_by_what_it_was() {
    let world = logged();
    let found = |arguments: &[&str]| {
        let whole: Vec<&str> = [&["audit", "search", "--json"], arguments].concat();
        let text = world.nexus(&whole).ok();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<serde_json::Value>>()
    };
    let all = found(&[]);
    let page = found(&["--host", "nexus.internal", "--since", "1h"]);
    assert!(page.len() == 1 && page[0]["path"] == "/whoami" && all.len() > 2, "{all:?}");
    let status = page[0]["status"].to_string();
    assert_eq!(found(&["--status", &status, "--agent", page[0]["agent"].as_str().unwrap_or_default()]), page);
    assert_eq!(found(&["--host", "*.internal", "--status", &format!("{}xx", &status[..1])]), page);
    for none in
        [["--host", "internal"], ["--until", "1h"], ["--provider", "github"], ["--status", "599"], ["--agent", "nobody"]]
    {
        assert!(found(&none).is_empty(), "{none:?}");
    }
    assert_eq!(found(&["-n", "1"])[0]["event"], "stop");
    let text = world.nexus(&["audit", "search", "--host", "nexus.internal"]);
    assert!(text.out.contains("/whoami") && text.err.is_empty(), "{text:?}");
    let none = world.nexus(&["audit", "search", "--status", "599"]);
    assert!(none.out.is_empty() && none.err.contains("nothing like that"), "{none:?}");
    for arguments in [["--status", "many"], ["--since", "soon"], ["--verdict", "maybe"]] {
        let whole: Vec<&str> = [&["audit", "search"], arguments.as_slice()].concat();
        world.nexus(&whole).failed(2);
    }
}
