//! A proxy whose log lies on a disk that is really full: a small tmpfs in a mount namespace of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;

use rustix::process::Signal;

use crate::service::{ask, service};
use crate::world::{World, eventually, signal};

/// `nexus up` with `audit/` on a disk of its own, and that folder as seen from here.
fn up(world: &World) -> (Child, String, PathBuf) {
    let root = rustix::process::geteuid().is_root();
    let script = "mount -t tmpfs -o mode=700,size=256k none \"$0\" && exec \"$@\"";
    let mut command = world.program("unshare", &[if root { "-m" } else { "-rm" }, "sh", "-c", script]);
    command.arg(world.home("audit")).args([env!("CARGO_BIN_EXE_nexus"), "up", "--announce"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening ").expect("it listens").to_owned();
    let inside = PathBuf::from(format!("/proc/{}/root{}", child.id(), world.home("audit").display()));
    (child, address, inside)
}

fn fill(file: &PathBuf) {
    let mut file = std::fs::File::create(file).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

fn configure(world: &World, on_failure: &str) {
    world.config(&format!(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n\
         [audit]\non_failure = \"{on_failure}\"\n"
    ));
}

#[test]
fn i8_nothing_leaves_while_the_disk_of_the_log_is_full_and_all_does_once_there_is_room() {
    let world = World::new();
    configure(&world, "refuse");
    let (service, served) = service();
    let (mut child, proxy, audit) = up(&world);
    assert!(ask(&proxy, &service).starts_with("http/1.1 204"));
    fill(&audit.join("filler"));
    let mut answer = String::new();
    // What is left of the last page can still be written.
    eventually(|| {
        answer = ask(&proxy, &service);
        answer.starts_with("http/1.1 503")
    });
    assert!(answer.contains("nexus-refusal: audit"), "{answer}");
    let before = served.load(Ordering::SeqCst);
    for _ in 0..5 {
        assert!(ask(&proxy, &service).starts_with("http/1.1 503"));
    }
    assert_eq!(served.load(Ordering::SeqCst), before, "none of them left");
    std::fs::remove_file(audit.join("filler")).unwrap();
    assert!(ask(&proxy, &service).starts_with("http/1.1 204"));
    let opened = || {
        let segment = std::fs::read_to_string(audit.join("00000001.jsonl")).unwrap_or_default();
        segment.lines().filter(|line| line.contains("\"event\":\"open\"")).count()
    };
    eventually(|| opened() == served.load(Ordering::SeqCst));
    signal(&child, Signal::TERM);
    assert!(child.wait().unwrap().success());
}

#[test]
fn i8_where_a_warning_will_do_requests_go_on_over_a_full_disk() {
    let world = World::new();
    configure(&world, "warn");
    let (service, served) = service();
    let (mut child, proxy, audit) = up(&world);
    fill(&audit.join("filler"));
    for _ in 0..40 {
        assert!(ask(&proxy, &service).starts_with("http/1.1 204"));
    }
    assert_eq!(served.load(Ordering::SeqCst), 40);
    std::fs::remove_file(audit.join("filler")).unwrap();
    assert!(ask(&proxy, &service).starts_with("http/1.1 204"));
    let segment = || std::fs::read_to_string(audit.join("00000001.jsonl")).unwrap_or_default();
    // Kept in memory and written late, as long as there is room for them there.
    eventually(|| segment().lines().filter(|line| line.contains("\"event\":\"open\"")).count() == 41);
    signal(&child, Signal::TERM);
    assert!(child.wait().unwrap().success());
}
