//! The room as a whole: what it writes, what survives, and what shows.

mod chained;
mod counted;
mod failing;
mod full;
mod indexed;
mod killed;
mod lines;
mod paged;
mod proven;
mod shared;
mod signed;
mod spooled;
mod vouched;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Fsync, Log, OnFailure, Settings, Since, Tail};

/// Small bounds, so that every edge is met.
fn settings(folder: &Path) -> Settings {
    Settings {
        folder: folder.join("audit"),
        on_failure: OnFailure::Refuse,
        fsync: Fsync::Never,
        sync_every: Duration::from_secs(1),
        head_key: None,
        head_every: Duration::from_secs(60),
        max_line: 8 * 1024,
        stranger_lines: 5,
        segment_bytes: 16 * 1024,
        segment_age: Duration::from_hours(24),
        pack: false,
        index: false,
        keep_segments: None,
        keep_bytes: None,
        keep_age: None,
        spool_file_bytes: 4 * 1024,
        spool_bytes: 64 * 1024 * 1024,
        linger: Duration::from_millis(5),
        poll: Duration::from_millis(1),
    }
}

fn start(folder: &Path) -> Arc<Log> {
    Log::start(settings(folder)).expect("a log")
}

fn runtime() -> tokio::runtime::LocalRuntime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("a runtime")
}

/// Every line of the segments, in order.
fn chained(settings: &Settings) -> Vec<String> {
    let mut tail = Tail::open(&settings.folder, Since::Start).expect("a tail");
    std::iter::from_fn(|| tail.next_line(Duration::ZERO).expect("a readable log")).collect()
}

/// The lines that are about requests, parsed.
fn events(settings: &Settings) -> Vec<Value> {
    let parsed = chained(settings).into_iter().map(|line| serde_json::from_str::<Value>(&line).expect("json"));
    parsed.filter(|line| line.get("id").is_some()).collect()
}

/// How often each id has a line of `event`.
fn count(settings: &Settings, event: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for line in events(settings).iter().filter(|line| line["event"] == event) {
        *counts.entry(line["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    counts
}

/// The words of one kind of event, in order.
fn named(settings: &Settings, event: &str) -> Vec<Value> {
    let parsed = chained(settings).into_iter().map(|line| serde_json::from_str::<Value>(&line).expect("json"));
    parsed.filter(|line| line["event"] == event).collect()
}
