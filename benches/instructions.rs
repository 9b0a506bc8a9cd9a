//! How many instructions the parts of a request take: a bound for each, a twentieth above what it took when the bound was set.
//!
//! `make gates`. Instructions are counted by callgrind, so the machine's load says nothing; what they mean in time is `hot_path`'s. The
//! bounds are those of rustc 1.95 on x86-64 with AVX2: elsewhere, count what was there before first.

#![expect(clippy::expect_used, reason = "a bench that cannot set up should stop")]
#![expect(missing_docs, clippy::exit, reason = "of what the macros make")]

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use http::HeaderMap;
use http::uri::PathAndQuery;
use nexus::ca::{Issuer, Root, Settings};
use nexus::fuzzing::{Auditing, Decider, Scrubbing, pass_requests};
use nexus::model::{Credential, Host, Secret, Target};
use nexus::provider::{Catalogue, Prepared, Slot, prepare, strip_target};
use tempfile::TempDir;

use common::{REQUEST, answer, target};

/// So many instructions were counted; more than a twentieth above that is an error.
fn counted(instructions: u64) -> LibraryBenchmarkConfig {
    let limit = instructions + instructions / 20;
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, limit)]));
    config
}

#[library_benchmark(config = counted(7_488))]
fn head() {
    drop(black_box(pass_requests(black_box(&[REQUEST]))));
}

fn rules(count: usize) -> (Decider, Target) {
    let decider = Decider::with_rules(count).expect("a catalogue");
    let target = target(&format!("https://api.{}.p{}.example/v1/me", (count - 1) % 100, (count - 1) / 100));
    assert_eq!(decider.decide(&target), "inject");
    (decider, target)
}

fn written(count: usize) -> (Decider, Target) {
    let decider = Decider::with_policy(count).expect("rules");
    let target = target("https://api.stripe.com/v1/charges/ch_1?limit=2");
    assert_eq!(decider.decide(&target), "inject");
    (decider, target)
}

#[library_benchmark(setup = rules)]
#[bench::few(args = (10), config = counted(1_718))]
#[bench::many(args = (10_000), config = counted(1_742))]
fn decide((decider, target): (Decider, Target)) -> (Decider, Target) {
    black_box(decider.decide(black_box(&target)));
    (decider, target)
}

#[library_benchmark(setup = written)]
#[bench::rules(args = (1_000), config = counted(9_559))]
fn decide_by_policy((decider, target): (Decider, Target)) -> (Decider, Target) {
    black_box(decider.decide(black_box(&target)));
    (decider, target)
}

type Sent = (Vec<Slot>, Prepared, HeaderMap, PathAndQuery);

fn sent() -> Sent {
    let catalogue = Catalogue::builtin();
    let github = catalogue.get(&"github".parse().expect("a name")).expect("it ships");
    let rule = github.inject.first().expect("it has rules");
    let mut credential = Credential::default();
    credential.set("access_token", Secret::new("gho_0123456789abcdefghijklmnopqrstuvwxyz".to_owned()));
    let prepared = prepare(&rule.placements, &|name: &str| credential.field(name)).expect("sound").expect("complete");
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer ghp_0123456789abcdefghijklmnopqrstuvwxyz".parse().expect("a value"));
    headers.insert("accept", "application/vnd.github+json".parse().expect("a value"));
    (github.slots.clone(), prepared, headers, target("https://api.github.com/user?per_page=100").path)
}

#[library_benchmark(setup = sent, config = counted(3_052))]
fn strip_and_inject((slots, prepared, mut headers, mut path): Sent) -> Sent {
    strip_target(&slots, &mut headers, &mut path).expect("short");
    prepared.apply(&mut headers, &mut path).expect("it fits");
    (slots, prepared, headers, path)
}

fn issuer() -> (Issuer, Host) {
    let root = Root::create("bench", SystemTime::now()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let issuer = Issuer::new(&root, provider, Settings { cache_hosts: 1000 }, SystemTime::now()).expect("an issuer");
    issuer.warm().expect("it signs");
    (issuer, "h1.example.com".parse().expect("a host"))
}

#[library_benchmark(setup = issuer, config = counted(261_923))]
fn mint((issuer, host): (Issuer, Host)) -> (Issuer, Host) {
    drop(black_box(issuer.server_config(&host, true)));
    (issuer, host)
}

fn clean() -> (Scrubbing, Vec<Bytes>) {
    (Scrubbing::of(&["gho_0123456789abcdefghijklmnopqrstuvwxyz"]), answer(256 * 1024))
}

#[library_benchmark(setup = clean, config = counted(458_188))]
fn guard((scrubbing, pieces): (Scrubbing, Vec<Bytes>)) -> (Scrubbing, Vec<Bytes>) {
    black_box(scrubbing.scrub(pieces.iter().cloned(), |out| drop(black_box(out))));
    (scrubbing, pieces)
}

fn auditing() -> (TempDir, Auditing, Target) {
    let folder = tempfile::tempdir().expect("a folder");
    let auditing = Auditing::start(folder.path()).expect("a log");
    let target = target("https://api.github.com/repos/octo/hello/issues?state=open");
    // What only the first one pays.
    auditing.request(&target).expect("it writes");
    (folder, auditing, target)
}

#[library_benchmark(setup = auditing, config = counted(11_043))]
fn audit((folder, auditing, target): (TempDir, Auditing, Target)) -> (TempDir, Auditing, Target) {
    auditing.request(black_box(&target)).expect("it writes");
    (folder, auditing, target)
}

library_benchmark_group!(name = parts, benchmarks = [head, decide, decide_by_policy, strip_and_inject, mint, guard, audit]);
main!(library_benchmark_groups = parts);
