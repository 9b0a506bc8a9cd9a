//! Several writers at once, and sudden death.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nexus::model::Secret;
use nexus::vault::{Entry, Store};

use super::{Home, entry, id, store, token};

/// Tells a child process of this test binary what to do.
const TASK: &str = "NEXUS_VAULT_TEST_TASK";

/// Starts this test binary again, to run the test below with `task`.
fn start(task: &str, home: &Home) -> Child {
    let binary = std::env::current_exe().expect("our own path");
    let mut command = Command::new(binary);
    command.args(["--exact", "processes::each_of_forty_registrations_is_kept", "--nocapture", "--test-threads=1"]);
    command.env(TASK, format!("{task} {}", home.path().display())).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().expect("started")
}

/// Registers forty connections: here and now, or as the child process of another test, which may ask for `write` instead.
#[test]
fn each_of_forty_registrations_is_kept() {
    let Ok(task) = std::env::var(TASK) else {
        let home = Home::new();
        register_forty(&home.store(), "own");
        assert_eq!(home.store().list().expect("read").len(), 40);
        return;
    };
    let (task, folder) = task.split_once(' ').expect("a task and a folder");
    let store = store(Path::new(folder), 1);
    if task == "write" {
        write_for_ever(&store);
    }
    register_forty(&store, task);
}

fn register_forty(store: &Store, name: &str) {
    for number in 0..40 {
        store.register(&id(&format!("github:{name}-{number}")), entry("token")).expect("written");
    }
}

/// What the entry holds after write number `number`.
fn text_of(number: u32) -> String {
    format!("{number:08} ").repeat(500)
}

/// The number of the write that is on disk, which must be whole.
fn number_on_disk(store: &Store) -> u32 {
    let token = token(store, "github:big").expect("there");
    let number = token.get(..8).expect("a number").parse().expect("a number");
    assert_eq!(token, text_of(number));
    number
}

/// Goes on from the write that is on disk, and says when each is done.
fn write_for_ever(store: &Store) {
    for number in number_on_disk(store).. {
        println!("wrote {number}");
        std::io::stdout().flush().expect("written");
        let next = Secret::new(text_of(number + 1));
        store.update(&id("github:big"), |entry| entry.fields.set("access_token", next)).expect("written");
    }
}

#[test]
fn two_processes_registering_at_once_lose_nothing() {
    let home = Home::new();
    let children = ["one", "two", "three"].map(|name| start(name, &home));
    for child in children {
        let output = child.wait_with_output().expect("waited");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(home.store().list().expect("read").len(), 3 * 40);
}

#[test]
fn two_threads_updating_one_entry_lose_nothing() {
    let home = Home::new();
    let store = home.store();
    store.register(&id("github"), entry("")).expect("written");
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let store = &store;
            scope.spawn(move || {
                for number in 0..20 {
                    let set = |entry: &mut Entry| entry.fields.set(&format!("{name}{number}"), Secret::new(String::from("x")));
                    store.update(&id("github"), set).expect("written");
                }
            });
        }
    });
    let entry = store.get(&id("github")).expect("read").expect("there");
    assert_eq!(entry.fields.names().count(), 40);
}

#[test]
fn i9_death_at_any_moment_of_a_write_leaves_the_old_or_the_new_file() {
    let home = Home::new();
    let store = home.store();
    store.register(&id("github:big"), entry(&text_of(0))).expect("written");
    let unfinished = || home.names().iter().filter(|name| name.ends_with(".tmp")).count();
    let mut cut_short = 0;
    for round in 0..200_u32 {
        let acknowledged = kill_a_writer(&home, round);
        let number = number_on_disk(&store);
        assert!(number == acknowledged || number == acknowledged + 1, "round {round}: {number} after {acknowledged}");
        assert!(!store.snapshot().expect("read").rolled_back(), "round {round}");
        // One at most: each writer clears what the one before it left.
        assert!(unfinished() <= 1, "round {round}: {:?}", home.names());
        cut_short += unfinished();
    }
    assert!(cut_short > 0, "no writer was killed while it wrote");
    store.update(&id("github:big"), |_| ()).expect("the lock is free");
    assert_eq!(home.names(), [".nexus.enc.lock", ".nexus.enc.seen", "nexus.enc"]);
}

/// Kills a writer at some moment, and returns the last write that it said was done.
fn kill_a_writer(home: &Home, round: u32) -> u32 {
    let mut child = start("write", home);
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let number = |line: &str| line.trim_end().rsplit_once("wrote ").and_then(|(_, number)| number.parse::<u32>().ok());
    let mut line = String::new();
    let first = loop {
        line.clear();
        assert!(output.read_line(&mut line).expect("read") > 0, "the writer ended by itself");
        if let Some(first) = number(&line) {
            break first;
        }
    };
    wait_for_the_moment(home, round);
    child.kill().expect("killed");
    child.wait().expect("waited");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("read");
    // A line that was cut says nothing.
    let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
    whole.lines().rev().find_map(number).unwrap_or(first)
}

/// In turn any moment within the next write or two, and one at which a file is being written beside the vault.
fn wait_for_the_moment(home: &Home, round: u32) {
    // The golden ratio spreads the moments evenly.
    let micros = u64::from(round.wrapping_mul(2_654_435_769) >> 19);
    if round.is_multiple_of(2) {
        return spin_until(micros, || false);
    }
    spin_until(1_000_000, || home.names().iter().any(|name| name.ends_with(".tmp")));
    spin_until(micros / 64, || false);
}

fn spin_until(micros: u64, event: impl Fn() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_micros(micros) && !event() {
        std::hint::spin_loop();
    }
}
