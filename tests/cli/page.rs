//! The page as a person meets it: `nexus open`, Chromium (driven by `tests/page`), the built binary.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::service::service;
use crate::world::{Up, World, eventually};

/// A home whose proxy holds what is posted to the service until somebody says yes, and its service.
fn scene() -> (World, Up, String) {
    let (address, _served) = service();
    let world = World::new();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n\
         [[rule]]\nname = \"writes\"\nhosts = [\"127.0.0.1\"]\nmethods = [\"POST\"]\naction = \"approve\"\nsummary = \"writes\"\n",
    );
    let up = world.up();
    (world, up, address)
}

pub(crate) fn link(world: &World, role: &str) -> String {
    let made = world.nexus(&["open", "--no-browser", "--json", "--role", role, "--name", &format!("{role}-1")]).json();
    made["url"].as_str().expect("a link").to_owned()
}

fn driven(world: &World, scene: &str, links: &[String]) -> Value {
    driven_by("drive.mjs", world, scene, links)
}

/// What the browser saw and complained of (`wrong`) while a script of `tests/page` played a scene.
pub(crate) fn driven_by(script: &str, world: &World, scene: &str, links: &[String]) -> Value {
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder").join("test-page");
    assert!(modules.join("node_modules").exists(), "{} is missing: run tests/install.sh", modules.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page").join(script);
    let mut words = vec![script.to_str().expect("a path"), modules.to_str().expect("a path"), scene];
    words.extend(links.iter().map(String::as_str));
    let mut command = world.program("node", &words);
    if let Some(folder) = std::env::var_os("PICTURES") {
        command.env("PICTURES", folder);
    }
    let done = command.output().expect("node");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}{err}");
    let seen: Value = serde_json::from_str(out.lines().last().expect("a line")).expect("JSON");
    seen
}

pub(crate) fn complaints(seen: &Value) -> Vec<&str> {
    seen["wrong"].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

#[test]
fn a_link_signs_in_once_and_half_a_session_is_none() {
    let (world, _up, _service) = scene();
    let seen = driven(&world, "sign_in", &[link(&world, "operator")]);
    assert!(seen["address"].as_str().is_some_and(|address| address.ends_with('/') && !address.contains("nxp_")), "{seen}");
    assert_eq!(seen["seen"]["cookie"], "", "no script sees it: {seen}");
    assert!(seen["alert"].as_str().is_some_and(|text| text.contains("followed already")), "{seen}");
    let cookie = &seen["cookie"];
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"], &cookie["expires"]), (&json!(true), &json!("Strict"), &json!(-1)));
    assert_eq!((&seen["half"], &seen["left"], &seen["cookies"]), (&json!(403), &json!("signed_out"), &json!(0)), "{seen}");
    // What it complains of is what it was refused.
    assert!(complaints(&seen).iter().all(|text| text.contains("40")), "{seen}");
    let log = world.nexus(&["audit", "tail", "--json", "-n", "50"]).ok();
    assert!(log.contains("page_signed_in") && log.contains("\"operator-1\"") && !log.contains("nxp_"), "{log}");
}

/// Posts to the service by way of the proxy; what is answered, whenever it is.
fn post(up: &Up, service: &str, path: &str, body: &str) -> std::thread::JoinHandle<String> {
    let (proxy, length) = (up.address.clone(), body.len());
    let request = format!(
        "POST http://{service}{path} HTTP/1.1\r\nHost: {service}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(proxy).expect("the proxy");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    })
}

#[test]
fn an_operator_lets_a_request_on_and_an_auditor_may_only_look() {
    let (world, up, service) = scene();
    let held = post(&up, &service, "/issues", r#"{"title":"<b>bold</b><script>alert(1)</script>"}"#);
    eventually(|| world.nexus(&["approvals", "--json"]).json()["waiting"] == 1);
    let seen = driven(&world, "approve", &[link(&world, "operator"), link(&world, "auditor")]);
    let text = seen["text"].as_str().expect("the card");
    assert!(text.contains("writes") && text.contains("POST") && text.contains("<b>bold</b>"), "{text}");
    assert_eq!((&seen["markup"], &seen["buttons"]), (&json!(0), &json!(0)), "{seen}");
    assert_eq!(seen["refused"], json!([403, "key_kind"]), "{seen}");
    assert!(held.join().expect("the caller").starts_with("HTTP/1.1 204"), "it went on");
    let ended = world.nexus(&["approvals", "--json"]).json();
    assert_eq!((&ended["items"][0]["status"], &ended["items"][0]["by"]), (&json!("allowed"), &json!("operator-1")), "{ended}");
}

/// A path as long as may be, and letters that turn what stands around them.
#[test]
fn held_requests_are_answered_by_keyboard_whatever_is_in_them() {
    let (world, up, service) = scene();
    let waiting = |number: u64| eventually(|| world.nexus(&["approvals", "--json"]).json()["waiting"] == number);
    let long = post(&up, &service, &format!("/{}?q=%E2%80%AE", "long".repeat(1800)), "\u{202e}gnp.exe\u{1b}[31m <i>x</i>");
    waiting(1);
    let short = post(&up, &service, "/short", "");
    waiting(2);
    let seen = driven(&world, "answers", &[link(&world, "operator")]);
    assert_eq!((&seen["seen"], &seen["wrong"]), (&json!([]), &json!([])), "{seen}");
    let text = seen["text"].to_string();
    assert!(text.contains("u{202e}gnp.exe") && text.contains("u{1b}") && text.contains("<i>x</i>"), "{text}");
    assert_eq!((&seen["next"][0], &seen["last"]), (&json!("ARTICLE"), &json!(["H1", "Approvals"])), "{seen}");
    assert!(seen["said"].as_str().is_some_and(|said| said.contains("goes on.")), "{seen}");
    let answers = [long, short].map(|held| held.join().expect("the caller")[..12].to_owned());
    let mut sorted = answers.to_vec();
    sorted.sort();
    assert_eq!(sorted, ["HTTP/1.1 204", "HTTP/1.1 403"], "one goes on, one is refused");
}

#[test]
fn a_path_that_leads_nowhere_is_told_in_the_page() {
    let (world, _up, _service) = scene();
    let seen = driven(&world, "nowhere", &[link(&world, "auditor")]);
    let problem = json!([404, "application/problem+json"]);
    assert_eq!((&seen["status"], &seen["others"]), (&json!(404), &json!([problem, problem, problem])), "{seen}");
}

#[test]
fn every_view_can_be_used_by_everybody_and_fits() {
    let (world, _up, _service) = scene();
    world.register(&["github"], "access_token=gho_0123456789abcdef\n");
    let seen = driven(&world, "look", &[link(&world, "operator"), link(&world, "operator")]);
    assert_eq!((&seen["seen"], &seen["wrong"]), (&json!([]), &json!([])), "{seen}");
}

#[test]
fn t150_no_other_page_frames_or_reads_it() {
    let (world, _up, _service) = scene();
    let seen = driven(&world, "framed", &[link(&world, "operator")]);
    assert_eq!((&seen["inside"], &seen["other"]), (&json!(false), &json!("kept")), "{seen}");
}

/// What other users and shut-out programs of this machine can read is the command line of the launcher.
#[test]
fn i1_no_process_is_told_the_link() {
    let (world, _up, _service) = scene();
    let launcher = world.path("xdg-open");
    std::fs::write(&launcher, "#!/bin/sh\necho \"$@\" > \"$HOME/told\"\n").unwrap();
    std::fs::set_permissions(&launcher, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", world.path("").display(), std::env::var("PATH").unwrap());
    let mut command = world.command(&["open", "--json"]);
    let made: Value = serde_json::from_slice(&command.env("PATH", path).output().unwrap().stdout).expect("JSON");
    let told = std::fs::read_to_string(world.path("told")).expect("it was started");
    assert!(told.starts_with("file://") && !told.contains("nxp_"), "{told}");
    let page = world.read("open.html");
    assert!(page.contains(made["url"].as_str().expect("a link")), "{page}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(world.home("open.html")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn who_is_signed_out_is_out() {
    let (world, up, _service) = scene();
    link(&world, "auditor");
    assert_eq!(world.nexus(&["open", "--end", "--json"]).json(), json!({ "ended": 1 }));
    drop(up);
    assert!(world.nexus(&["open"]).failed(1).contains("none is up in this home"));
    assert!(world.nexus(&["open", "--role", "king"]).code == Some(2));
}
