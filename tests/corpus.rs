//! What the fuzz targets check, over their corpora and what is one step away from them, on stable Rust and in seconds.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail by panicking, as tests do")]

#[path = "../fuzz/checks/connect_line.rs"]
mod connect_line;
#[path = "../fuzz/checks/head.rs"]
mod head;

use std::path::Path;

/// The seeds of one target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// Bytes that end, split or bend a message when they stand in the wrong place.
const SHARP: &[u8] = b"\0\t\n\r \"%,/:;@[\\]\x7f\x80\xff";

/// Checks every seed, every beginning of it, and it with any one byte left out or replaced by a sharp one.
fn check_around(target: &str, check: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 5, "{target} has {} seeds", seeds.len());
    for seed in seeds {
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

#[test]
fn i7_no_bytes_near_a_request_panic_or_read_differently_in_pieces() {
    check_around("head", head::check);
}

#[test]
fn i7_no_bytes_near_a_connect_panic_or_change_when_read_again() {
    check_around("connect_line", connect_line::check);
}
