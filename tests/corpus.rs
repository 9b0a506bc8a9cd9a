//! What the fuzz targets check, over their corpora and thousands of inputs made from them, on stable Rust and in seconds.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail by panicking, as tests do"
)]

#[path = "../fuzz/checks/audit.rs"]
mod audit;
#[path = "../fuzz/checks/config.rs"]
mod config;
#[path = "../fuzz/checks/connect_line.rs"]
mod connect_line;
#[path = "../fuzz/checks/graphql.rs"]
mod graphql;
#[path = "../fuzz/checks/guard.rs"]
mod guard;
#[path = "../fuzz/checks/head.rs"]
mod head;
#[path = "../fuzz/checks/host.rs"]
mod host;
#[path = "../fuzz/checks/policy.rs"]
mod policy;
#[path = "../fuzz/checks/provider.rs"]
mod provider;
#[path = "../fuzz/checks/vault.rs"]
mod vault;

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

fn fuzz(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)
}

/// The seeds of one target, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = fuzz("corpus").join(target);
    let files: BTreeSet<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "{target} has {} seeds", files.len());
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Bytes that end, split or bend a message when they stand in the wrong place.
const SHARP: &[u8] = b"\0\t\n\r \"%,/:;@[\\]\x7f\x80\xff";

/// Checks every seed, every beginning of it, and it with any one byte left out or replaced by a sharp one.
fn check_around(target: &str, check: fn(&[u8])) {
    for seed in seeds(target) {
        check(&seed);
        for at in 0..seed.len() {
            check(&seed[..at]);
            check(&[&seed[..at], &seed[at + 1..]].concat());
            for sharp in SHARP {
                check(&[&seed[..at], &[*sharp], &seed[at + 1..]].concat());
            }
        }
    }
}

/// Checks every seed, and `count` inputs that are some steps away from one; always the same ones.
fn check_mutated(target: &str, count: usize, check: fn(&[u8])) {
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| check(seed));
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for number in 0..count {
        let mut input = seeds[number % seeds.len()].clone();
        for _ in 0..=chance.below(3) {
            mutate(&mut input, &seeds[chance.below(seeds.len())], &mut chance);
        }
        if let Err(cause) = panic::catch_unwind(|| check(&input)) {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-{number}"));
            fs::write(&file, &input).unwrap();
            let why = cause.downcast_ref::<String>().map_or("it panicked", String::as_str);
            panic!("input {number} of {target}, which is in {}: {why}", file.display());
        }
    }
}

/// Flips a bit, cuts, doubles, puts a sharp byte in, or goes on with another seed.
fn mutate(input: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    let end = at + chance.below((input.len() - at).min(40) + 1);
    match chance.below(6) {
        0 if at < input.len() => input[at] ^= 1 << chance.below(8),
        0 | 1 => input.truncate(at),
        2 => drop(input.drain(at..end)),
        3 => {
            let part = input[at..end].to_vec();
            input.splice(at..at, part);
        }
        4 => input.insert(at, SHARP[chance.below(SHARP.len())]),
        _ => {
            input.truncate(at);
            input.extend_from_slice(&other[chance.below(other.len() + 1)..]);
        }
    }
}

/// Marsaglia's xorshift: the same numbers in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 32).unwrap() % bound
    }
}

#[test]
fn i7_no_bytes_near_a_request_panic_or_read_differently_in_pieces() {
    check_around("head", head::check);
    check_mutated("head", 3000, head::check);
}

#[test]
fn i7_no_bytes_near_a_connect_panic_or_change_when_read_again() {
    check_around("connect_line", connect_line::check);
    check_mutated("connect_line", 5000, connect_line::check);
}

#[test]
fn i7_no_bytes_near_a_host_panic_or_have_two_spellings() {
    check_around("host", host::check);
    check_mutated("host", 20_000, host::check);
}

#[test]
fn i7_no_bytes_near_a_provider_file_panic_or_change_their_meaning() {
    check_mutated("provider", 3000, provider::check);
}

#[test]
fn i7_no_bytes_near_a_configuration_panic_or_change_their_meaning() {
    check_mutated("config", 5000, config::check);
}

#[test]
fn i7_no_bytes_near_a_policy_panic_or_change_their_meaning() {
    check_mutated("policy", 4000, policy::check);
}

#[test]
fn i7_no_bytes_near_a_graphql_body_panic_or_read_with_a_mutation() {
    check_around("graphql", graphql::check);
    check_mutated("graphql", 5000, graphql::check);
}

#[test]
fn i1_i7_no_bytes_near_an_echo_panic_or_pass_it_on() {
    check_mutated("guard", 2000, guard::check);
}

#[test]
fn i7_no_bytes_near_a_vault_panic_change_their_meaning_or_are_written_over() {
    check_mutated("vault", 4000, vault::check);
}

#[test]
fn i7_no_bytes_near_a_log_panic_or_reach_a_terminal() {
    check_mutated("audit", 1500, audit::check);
}

#[test]
fn every_target_has_a_check_that_runs_here() {
    let own = include_str!("corpus.rs");
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    let targets = names("fuzz_targets");
    assert_eq!((&targets, &targets), (&names("checks"), &names("corpus")));
    for target in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        assert!(own.contains(&format!("{target}::check);")), "{target}");
    }
}
